"""One turn of the loop: what users said of served answers becomes rows, a new version, and the gate's decision.

Costs what the recipe's training costs. The recipe is the one that `luthier run` made the first version with.

    luthier improve recipe.toml improve.store=sqlite:///traces.sqlite
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from luthier.curate.config import DataConfig
from luthier.improve.candidates import Collected
from luthier.improve.cycle import CycleResult, Decision, Steps, Trained, improve
from luthier.recipes import stages
from luthier.recipes.examining import Examination, examined
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, read_records, write_records
from luthier.runs import Run
from luthier.versions import Register, Version

EXIT = {"promoted": 0, "nothing new": 0, "unchanged": 0, "held": 1}
"""Exit status of each outcome; a gate without enough evidence is told apart in `exit_status`."""


def main(recipe: TuneRecipe, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None) -> int:
    """Take one turn; the exit status is the gate's: 0 promoted or nothing new, 1 hold, 3 not enough evidence."""
    run = Run.open(recipe.run.dir, recipe, echo=echo, step_echo=step_echo)
    result = turn(recipe, run)
    return exit_status(result)


def exit_status(result: CycleResult) -> int:
    """What the command line ends with."""
    return 3 if result.gate.get("word") == "not enough evidence" else EXIT[result.outcome]


def turn(recipe: TuneRecipe, run: Run) -> CycleResult:
    """Collect, curate, train, judge; the promoted version becomes RUN/model."""
    register = Register(run.folder / "versions")
    rows = run.folder / "curate"
    taught = [e.messages for name in ("train.jsonl", "dev.jsonl") if (rows / name).is_file()
              for e in read_records(rows / name, Example)]  # fmt: skip
    steps = Steps(
        curate=_curate(recipe, run), train=_train(recipe, run), evaluate=_evaluate(recipe, run), gate=_gate(recipe),
        trained_on=taught,
    )  # fmt: skip
    result = improve(recipe.improve, steps, register=register, folder=run.folder / "improve", say=run.say)
    current = register.current()
    if result.outcome == "promoted" and current is not None:
        stages.stand(Path(current.model), run.folder)
        run.say(f"improve | {current.name} is current | to take it back: luthier versions rollback --run {run.folder}")
    run.finish()
    return result


def _curate(recipe: TuneRecipe, run: Run) -> Callable[[Collected, Path], Path]:
    """The recipe's own rows and what feedback taught, curated together: a prompt stays on the side where it was."""

    def curate(collected: Collected, folder: Path) -> Path:
        added = [folder.parent / "candidates.jsonl"] if collected.candidates else []
        added += [folder.parent / "preferences.jsonl"] if collected.preferences else []
        data = DataConfig(
            files=(*recipe.data.files, *added), held_out=recipe.data.held_out, allow_overlap=recipe.data.allow_overlap
        )
        return stages.curated(run, data, recipe.curate, folder=folder)

    return curate


def _train(recipe: TuneRecipe, run: Run) -> Callable[[Path, Version, Path], Trained]:
    """The recipe's base tuned on all rows so far: no version inherits the drift of the one before."""

    def train(curated: Path, current: Version, folder: Path) -> Trained:
        from luthier.models.folders import digest

        base = stages.start_of(recipe.model)
        model = stages.tuned(
            run, "improve-train", recipe.train, start=base, model=recipe.model, folder=folder,
            material=stages.curated_material(curated, recipe.train),
        )  # fmt: skip
        has_pairs = (curated / "preferences.jsonl").is_file() and (curated / "preferences.jsonl").stat().st_size > 0
        if recipe.prefer is not None and has_pairs:
            model = stages.tuned(
                run, "improve-prefer", recipe.prefer, start=model, model=recipe.model,
                folder=folder.parent / "preferred", material=stages.curated_material(curated, recipe.prefer),
            )  # fmt: skip
        elif has_pairs:
            run.say("improve | preferences are kept but not trained on: the recipe has no [prefer] table")
        kept = stages.kept_version(model, run.folder / "versions")
        return Trained(kept, digest(kept))

    return train


def _evaluate(recipe: TuneRecipe, run: Run) -> Callable[[Path, Sequence[Example], Path], Path]:
    """On the holdout of the store and on the run's own held-out rows: neither was ever trained on."""

    def evaluate(model: Path, items: Sequence[Example], folder: Path) -> Path:
        own = list(read_records(run.folder / "curate" / "held_out.jsonl", Example))
        suite = folder.parent / "holdout-suite.jsonl"
        write_records(suite, [*items, *own])
        examination = Examination(suites={"holdout": suite}, config=recipe.evaluate, settings=recipe.model)
        return examined(run, folder.name, examination, model=model, folder=folder)["holdout"]

    return evaluate


def _gate(recipe: TuneRecipe) -> Callable[[Path, Path, float], Decision]:
    def gate(before: Path, after: Path, alpha: float) -> Decision:
        from luthier.evaluate.comparison import compare
        from luthier.evaluate.gate import decide

        comparison = compare(before, after)
        verdict = decide([comparison], config=recipe.gate.model_copy(update={"alpha": alpha}))
        numbers = {**verdict.to_json(), "comparison": comparison.kpis[recipe.gate.kpi].to_json()}
        return Decision(is_promoted=verdict.answer == "ship", word=verdict.answer, numbers=numbers)

    return gate
