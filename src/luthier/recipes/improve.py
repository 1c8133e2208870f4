"""One turn of the loop: what users said of served answers becomes rows, a new version, and the gate's decision.

Costs what the recipe's training costs. The recipe is the one that `luthier run` made the first version with.

    luthier improve recipe.toml improve.store=sqlite:///traces.sqlite
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from luthier.curate.config import DataConfig
from luthier.curate.duplicates import Placed
from luthier.improve.candidates import Collected
from luthier.improve.cycle import CycleResult, Decision, Steps, Trained, improve
from luthier.recipes import stages
from luthier.recipes.examining import Examination, examined
from luthier.recipes.model_card import write_model_card
from luthier.recipes.suites import suite_name
from luthier.recipes.tune import TuneRecipe, chosen_base
from luthier.records import Example, Preference, read_records, write_records
from luthier.runs import Run
from luthier.similarity.near_index import NearIndex
from luthier.train.config import ModelConfig
from luthier.versions import Register, Version

EXIT = {"promoted": 0, "nothing new": 0, "unchanged": 0, "held": 1}
"""Exit status of each outcome; a gate without enough evidence is told apart in `exit_status`."""


def main(
    recipe: TuneRecipe, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> int:  # fmt: skip
    """Take one turn; the exit status is the gate's: 0 promoted or nothing new, 1 hold, 3 not enough evidence."""
    run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=step_echo, watch=watch)
    result = turn(recipe, run)
    return exit_status(result)


def exit_status(result: CycleResult) -> int:
    """What the command line ends with."""
    return 3 if result.gate.get("word") == "not enough evidence" else EXIT[result.outcome]


def turn(recipe: TuneRecipe, run: Run) -> CycleResult:
    """Collect, curate, train, judge; the promoted version becomes RUN/model."""
    register = Register(run.folder / "versions")
    rows = run.folder / "curate"
    taught = [e.messages for name in ("train.jsonl", "dev.jsonl") for e in read_records(rows / name, Example)]
    taught += [p.prompt for p in read_records(rows / "preferences.jsonl", Preference)]
    settings = chosen_base(recipe, run, rows)
    stages.refuse_own_model(stages.start_of(settings), run.folder)
    steps = Steps(
        curate=_curate(recipe, run), train=_train(recipe, run, settings), evaluate=_evaluate(recipe, run),
        gate=_gate(recipe), trained_on=taught, near=_near,
    )  # fmt: skip
    result = improve(recipe.improve, steps, register=register, folder=run.folder / "improve", say=run.say)
    current = register.current()
    if result.outcome in ("promoted", "unchanged") and current is not None:  # unchanged: perhaps cut off before this
        write_model_card(run.folder, run.folder / "versions" / current.digest)
        stages.stand(run.folder / "versions" / current.digest, run.folder)
    if result.outcome == "promoted" and current is not None:
        run.say(f"improve | {current.name} is current | to take it back: luthier versions rollback --run {run.folder}")
    run.finish()
    return result


def _near(roots: Sequence[str]) -> Callable[[str], list[str]]:
    """What finds those of the roots that another is nearly the same as, by the rule of `certificate`."""
    index = NearIndex(roots)
    return lambda root: [found.text for found in index.near_to(root)]


def _curate(recipe: TuneRecipe, run: Run) -> Callable[[Collected, Path], Path]:
    """The rows that the run curated and what feedback taught, together; what was held out stays held out."""

    def curate(collected: Collected, folder: Path) -> Path:
        held_out = _held_out_keys(recipe, run)
        added = []
        taught: dict[str, Sequence[Example | Preference]] = {
            "candidates": list(read_records(folder.parent / "candidates.jsonl", Example)),
            "preferences": list(read_records(folder.parent / "preferences.jsonl", Preference)),
        }
        for name, found in taught.items():
            apart = [record for record in found if not held_out & set(_keys(record))]
            if len(apart) < len(found):
                run.say(f"improve | {len(found) - len(apart)} {name} on held-out prompts are not learned from")
            if apart:
                write_records(folder.parent / f"{name}-apart.jsonl", apart)
                added.append(folder.parent / f"{name}-apart.jsonl")
        rows = run.folder / "curate"
        own = [rows / name for name in ("train.jsonl", "dev.jsonl", "preferences.jsonl")]
        data = DataConfig(
            files=(*(path for path in own if path.stat().st_size > 0), *added),
            held_out=(rows / "held_out.jsonl",),
            allow_overlap=recipe.data.allow_overlap,
        )
        # These are our own records: renaming and licensing were for the raw files.
        config = recipe.curate.model_copy(update={"columns": {}, "licence": None})
        return stages.curated(run, data, config, folder=folder)

    return curate


def _held_out_keys(recipe: TuneRecipe, run: Run) -> set[str]:
    """Prompts that the run evaluates on: feedback on them teaches nothing, or the next gate would be a leak."""
    files = [run.folder / "curate" / "held_out.jsonl", *_further_suites(recipe, run).values()]
    return {Placed.of("", example).prompt_key for path in files for example in read_records(path, Example)}


def _further_suites(recipe: TuneRecipe, run: Run) -> dict[str, Path]:
    """The suites that the recipe names, as the run converted them."""
    return {name: run.folder / "suites" / f"{name}.jsonl" for name in map(suite_name, recipe.evaluate.suites)}


def _keys(record: Example | Preference) -> tuple[str, ...]:
    """The prompt of the final answer and those of the turns before it."""
    placed = Placed.of("", record)
    return (placed.prompt_key, *placed.earlier_keys)


def _train(recipe: TuneRecipe, run: Run, settings: ModelConfig) -> Callable[[Path, Version, Path], Trained]:
    """The recipe's base tuned on all rows so far: no version inherits the drift of the one before."""

    def train(curated: Path, current: Version, folder: Path) -> Trained:
        from luthier.models.folders import digest

        base, turn = stages.start_of(settings), folder.parent.name
        model = stages.tuned(
            run, f"improve-{turn}-train", recipe.train, start=base, model=settings, folder=folder,
            material=stages.curated_material(curated, recipe.train),
        )  # fmt: skip
        has_pairs = (curated / "preferences.jsonl").is_file() and (curated / "preferences.jsonl").stat().st_size > 0
        if recipe.prefer is not None and (has_pairs or recipe.prefer.method != "dpo"):
            model = stages.tuned(
                run, f"improve-{turn}-prefer", recipe.prefer, model=settings.model_copy(update={"new_tokens": ()}),
                start=stages.kept_version(model, run.folder / "versions"),
                folder=folder.parent / "preferred", material=stages.curated_material(curated, recipe.prefer),
            )  # fmt: skip
        elif has_pairs and recipe.train.method != "dpo":
            run.say("improve | preferences are kept but not trained on: the recipe has no [prefer] table")
        write_model_card(run.folder, model)
        kept = stages.kept_version(model, run.folder / "versions")
        return Trained(kept, digest(kept))

    return train


def _evaluate(recipe: TuneRecipe, run: Run) -> Callable[[Path, Sequence[Example], Path], Path]:
    """On the holdout of the store and on the run's own held-out rows: neither was ever trained on."""

    def evaluate(model: Path, items: Sequence[Example], folder: Path) -> Path:
        own = list(read_records(run.folder / "curate" / "held_out.jsonl", Example))
        suite = folder.parent / "holdout-suite.jsonl"
        write_records(suite, [*items, *own])
        suites = {"holdout": suite, **_further_suites(recipe, run)}
        examination = Examination(suites=suites, config=recipe.evaluate, settings=recipe.model)
        return examined(run, folder.name, examination, model=model, folder=folder)["holdout"]

    return evaluate


def _gate(recipe: TuneRecipe) -> Callable[[Path, Path, float], Decision]:
    def gate(before: Path, after: Path, alpha: float) -> Decision:
        from luthier.evaluate.bias.audit import read_audit
        from luthier.evaluate.bias.guardrail import with_bias
        from luthier.evaluate.comparison import compare
        from luthier.evaluate.gate import decide

        names = [before.name, *map(suite_name, recipe.evaluate.suites)]
        comparisons = [compare(before.parent / name, after.parent / name) for name in names]
        # The run's held-out rows are part of the holdout's suite here.
        guardrails = tuple(
            guardrail.model_copy(update={"suite": None}) if guardrail.suite == "held_out" else guardrail
            for guardrail in recipe.gate.guardrails
        )
        config = recipe.gate.model_copy(update={"alpha": alpha, "guardrails": guardrails})
        verdict = decide(comparisons, config=config)
        verdict = with_bias(verdict, config.bias, read_audit(after), suite=comparisons[0].suite_name)
        numbers = {**verdict.to_json(), "comparison": comparisons[0].kpis[recipe.gate.kpi].to_json()}
        return Decision(is_promoted=verdict.answer == "ship", word=verdict.answer, numbers=numbers)

    return gate
