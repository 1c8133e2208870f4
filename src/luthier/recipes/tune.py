"""The whole loop on your own rows: curate, choose a base, tune, evaluate against the base, let the gate decide.

Costs what your data and model cost; on dolly's 15,000 rows with a model of 260,000 parameters, minutes on two cores.

    luthier run recipe.toml train.optim.lr=1e-4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from luthier.config import Config
from luthier.curate.config import CurateConfig, DataConfig
from luthier.errors import ConfigError, DataError, Problem
from luthier.evaluate.config import EvaluateConfig, GateConfig
from luthier.evaluate.suite_file import is_suite, suite_file
from luthier.improve.config import ImproveConfig
from luthier.models.folders import digest
from luthier.recipes import stages
from luthier.recipes.bias import check_bias
from luthier.recipes.error_analysis import analysed
from luthier.recipes.examining import Examination, base_examined, examined
from luthier.recipes.judging import JUDGE, check_judge
from luthier.recipes.suites import opened_suite, settle, suite_files, suite_name, unsettle
from luthier.records import Example, Preference, read_records, write_records
from luthier.runs import Run, sha256, write_json
from luthier.select.config import SelectConfig
from luthier.train.config import ModelConfig, RunConfig, TrainConfig
from luthier.versions import Register

if TYPE_CHECKING:
    from luthier.evaluate.ci.findings import CiFiles
    from luthier.evaluate.comparison import Comparison
    from luthier.evaluate.gate import Verdict

EXIT = {"ship": 0, "hold": 1, "not enough evidence": 3}
"""Exit status of each verdict."""


class TuneRecipe(Config):
    """Keys of a tune recipe."""

    recipe: Literal["tune"] = "tune"
    """The script that reads this file."""
    model: ModelConfig
    data: DataConfig
    curate: CurateConfig = CurateConfig()
    select: SelectConfig | None = None
    """Candidates for the base; without this table the base is `model.base`."""
    train: TrainConfig = TrainConfig()
    prefer: TrainConfig | None = Field(default=None)
    """A second training stage, from the tuned model; the keys of `[train]`, usually with method "dpo"."""
    evaluate: EvaluateConfig = EvaluateConfig()
    gate: GateConfig = GateConfig()
    improve: ImproveConfig = ImproveConfig()
    run: RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    verdict: Verdict
    against_base: Mapping[str, Comparison]
    """By suite: the fairest reading of the base against the model that stands."""
    preferred_against_tuned: Mapping[str, Comparison]
    """By suite; empty without a second training stage."""
    evaluations: Mapping[str, Mapping[str, Path]]
    """By model ("base", "tuned", "preferred"), then by suite."""
    standing: str
    """Which model stands: "tuned" or "preferred"."""
    model: Path
    report: Path


def main(
    recipe: TuneRecipe, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None,
    watch: Callable[[dict[str, Any]], None] | None = None, ci: CiFiles | None = None,
    command: str = "",
) -> int:  # fmt: skip
    """Run the recipe; the exit status is the gate's: 0 ship, 1 hold, 3 not enough evidence.

    `ci` is what to write for continuous integration, and `command` what does the run again.
    """
    check_before_running(recipe)  # before the folder of an earlier run is touched
    run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=step_echo, watch=watch)
    outcome = tune(recipe, run)
    for suite, comparison in outcome.against_base.items():
        run.say(f"{suite} | base -> {outcome.standing} | " + comparison.kpis[recipe.gate.kpi].line())
    for line in outcome.verdict.lines():
        run.say(f"gate | {line}")
    run.say(f"report | {outcome.report}")
    run.say(f"serve with: luthier serve --model {recipe.run.dir}")
    if ci is not None and ci.is_wanted:
        from luthier.evaluate.ci.findings import of_run

        ci.write(of_run(outcome.against_base, outcome.verdict, folder=run.folder, title=f"Run {run.folder.name}",
                        command=command))  # fmt: skip
    return EXIT[outcome.verdict.answer]


def tune(recipe: TuneRecipe, run: Run) -> Outcome:
    """Every stage in order; each is reused while nothing it depends on has changed."""
    check_before_running(recipe)
    rows = stages.curated(run, recipe.data, recipe.curate)
    _need_preferences(rows, recipe, run)
    suites = _suites(recipe, run, rows)
    settings = chosen_base(recipe, run, rows)
    base = stages.start_of(settings)
    material = stages.curated_material(rows, recipe.train)
    models = {"tuned": stages.tuned(run, "train", recipe.train, start=base, model=settings, material=material)}
    if recipe.prefer is not None:
        models["preferred"] = stages.tuned(
            run, "prefer", recipe.prefer, model=settings.model_copy(update={"new_tokens": ()}),  # known by now
            start=stages.kept_version(models["tuned"], run.folder / "versions"),
            material=stages.curated_material(rows, recipe.prefer),
        )  # fmt: skip
    examination = Examination(suites=suites, config=recipe.evaluate, settings=settings)
    evaluations = {
        "base": base_examined(run, examination, model=base, rows=rows, kpi=recipe.gate.kpi),
        **{name: examined(run, name, examination, model=model) for name, model in models.items()},
    }
    outcome = _decided(recipe, run, models, evaluations)
    _analysed(recipe, run, rows, outcome)
    _register(recipe, run, rows, outcome)
    run.finish()
    return outcome


def _decided(
    recipe: TuneRecipe, run: Run, models: Mapping[str, Path], evaluations: Mapping[str, Mapping[str, Path]]
) -> Outcome:
    """The preference round stands only if its own gate says ship; then the gate judges what stands against the base."""
    from luthier.evaluate.bias.audit import read_audit
    from luthier.evaluate.bias.guardrail import with_bias
    from luthier.evaluate.comparison import compare
    from luthier.evaluate.gate import decide
    from luthier.recipes.model_card import write_model_card
    from luthier.recipes.run_report import write_run_report

    def against(a: str, b: str) -> dict[str, Comparison]:
        return {suite: compare(evaluations[a][suite], evaluations[b][suite]) for suite in evaluations[a]}

    standing, second = "tuned", {}
    if "preferred" in models:
        second = against("tuned", "preferred")
        answer = decide(list(second.values()), config=recipe.gate)
        run.say(f"gate | preference round against the tuned model: {answer.answer}; {answer.reasons[0]}")
        standing = "preferred" if answer.answer == "ship" else "tuned"
    against_base = against("base", standing)
    verdict = decide(list(against_base.values()), config=recipe.gate)
    audit = read_audit(evaluations[standing]["held_out"])
    verdict = with_bias(verdict, recipe.gate.bias, audit, suite="held_out")
    write_json(run.folder / "gate.json", verdict.to_json() | {"model": digest(models[standing])})
    write_model_card(run.folder, models[standing])
    model = stages.stand(models[standing], run.folder)
    outcome = Outcome(
        verdict=verdict, against_base=against_base, preferred_against_tuned=second, evaluations=evaluations,
        standing=standing, model=model, report=run.folder / "report.html",
    )  # fmt: skip
    write_run_report(outcome, run.folder, title=f"Run {run.folder.name}", kpi=recipe.gate.kpi)
    return outcome


def _analysed(recipe: TuneRecipe, run: Run, rows: Path, outcome: Outcome) -> None:
    """RUN/errors: where the model that stands is weak on the held-out rows, and the curated rows that have to do with
    it."""
    from luthier.evaluate.evaluation import read_evaluation

    base, standing = (read_evaluation(outcome.evaluations[name]["held_out"]) for name in ("base", outcome.standing))
    analysed(standing, base=base, kpi=recipe.gate.kpi, out=run.folder / "errors", say=run.say,
             training=read_records(rows / "train.jsonl", Example))  # fmt: skip


def chosen_base(recipe: TuneRecipe, run: Run, rows: Path) -> ModelConfig:
    """The base of the recipe, or the winner of its candidates."""
    if recipe.select is None:
        return recipe.model
    from luthier.recipes.selection import selected

    return recipe.model.model_copy(update={"base": str(selected(run, recipe.select, recipe.evaluate, rows=rows))})


def _suites(recipe: TuneRecipe, run: Run, rows: Path) -> dict[str, Path]:
    """The held-out rows, and the recipe's further suites as records; none of their prompts may be trained on."""
    suites = {"held_out": rows / "held_out.jsonl"}
    if suites["held_out"].stat().st_size == 0:
        raise DataError(
            "there is nothing to evaluate on",
            [Problem(where=str(suites["held_out"]), found="no rows", expected="at least one held-out row",
                     fix="raise curate.held_out_share, or name files in data.held_out")],
        )  # fmt: skip
    if not recipe.evaluate.suites:
        return suites
    from luthier.curate.duplicates import Placed

    learnt: list[Example | Preference] = [
        *read_records(rows / "train.jsonl", Example),
        *read_records(rows / "preferences.jsonl", Preference),
    ]
    taught = {key for p in (Placed.of("", record) for record in learnt) for key in (p.prompt_key, *p.earlier_keys)}
    for path in recipe.evaluate.suites:
        name = suite_name(path)
        if name in suites:
            raise ConfigError(
                "two suites have one name",
                [Problem(where=f"evaluate.suites: {path}", found=repr(name),
                         expected="a name of its own (held_out is taken)", fix="rename the file or the suite")],
            )  # fmt: skip
        target = run.folder / "suites" / f"{name}.jsonl"
        examples = _settled_items(path, target, run)
        shared = [e.source for e in examples if Placed.of("", e).prompt_key in taught]
        if shared and not recipe.data.allow_overlap:
            raise DataError(
                f"{len(shared):,} prompts of {path} are trained on",
                [Problem(where=source, found="a prompt of the training rows", expected="prompts that nobody trained on",
                         fix="remove it from one of them, or set data.allow_overlap = true") for source in shared],
            )  # fmt: skip
        suites[name] = target
    return suites


def _settled_items(path: Path, target: Path, run: Run) -> Sequence[Example]:
    """The items of a suite or of a file of items, written to `target` as the run keeps them."""
    from luthier.curate.rows import read_examples

    if is_suite(path):
        suite = opened_suite(path, quarantine=target.parent, say=run.say)
        settle(suite, target)
        return suite.suite.examples
    found = read_examples([path], quarantine=target.with_suffix(".quarantine.jsonl"))
    if not found.examples:
        raise DataError(
            "there is nothing to evaluate on",
            [Problem(where=f"evaluate.suites: {path}", found="only preferences", expected="at least one example",
                     fix="remove the file from evaluate.suites")],
        )  # fmt: skip
    if found.problems:
        run.say(f"suite | {path.stem}: {len(found.problems)} rows cannot be used; see {target.parent}")
    unsettle(target)
    write_records(target, found.examples)
    return found.examples


def check_before_running(recipe: TuneRecipe) -> None:
    """What can be known to be wrong before anything has run: a mistake must not wait for hours of training."""
    from luthier.curate.files.reading import check_files
    from luthier.graders import RANK_KPIS, grader_by_name, named_graders

    for table, config in (("train", recipe.train), ("prefer", recipe.prefer)):
        if config is not None and config.method == "pretrain":
            raise ConfigError(
                "this recipe cannot train that way",
                [Problem(where=f"{table}.method", found='"pretrain"', expected="sft, dpo or grpo",
                         fix='use `luthier train` for plain text, or write recipe = "pretrain"')],
            )  # fmt: skip
        if config is not None and config.method == "grpo":
            grader_by_name(config.grpo.grader, where=f"{table}.grpo.grader")
    check_judge(recipe.evaluate)
    check_bias(recipe.gate.bias, recipe.evaluate.bias)
    others = [name for name in recipe.evaluate.graders if name != JUDGE]
    known = {*({JUDGE} & {*recipe.evaluate.graders}), *named_graders(others, where="evaluate.graders"), *RANK_KPIS}
    asked = {name for suite in recipe.evaluate.suites if is_suite(suite) for name in suite_file(suite)[1].graders}
    asked = {*named_graders(sorted(asked - {JUDGE}), where="the graders of a suite")}
    named = [("gate.kpi", recipe.gate.kpi)]
    named += [(f"gate.guardrails.{n}.kpi", guardrail.kpi) for n, guardrail in enumerate(recipe.gate.guardrails)]
    unknown = [(where, kpi) for where, kpi in named if kpi not in known | (asked if where != "gate.kpi" else set())]
    if unknown:
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where=where, found=repr(kpi), expected=f"one of {', '.join(sorted(known))}",
                     fix="correct it, or add it to evaluate.graders") for where, kpi in unknown],
        )  # fmt: skip
    suites = {"held_out", *map(suite_name, recipe.evaluate.suites)}
    strangers = [(n, g.suite) for n, g in enumerate(recipe.gate.guardrails) if g.suite and g.suite not in suites]
    if strangers:
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where=f"gate.guardrails.{n}.suite", found=repr(suite),
                     expected=f"one of {', '.join(sorted(suites))}",
                     fix="correct the name, or add the file to evaluate.suites") for n, suite in strangers],
        )  # fmt: skip
    rows = [file for suite in recipe.evaluate.suites for file in suite_files(suite)]
    check_files([*recipe.data.files, *recipe.data.held_out, *rows])
    for path in (*recipe.evaluate.plain_text, *filter(None, [recipe.model.chat_template])):
        sha256(path)
    if recipe.select is None:
        stages.refuse_own_model(stages.start_of(recipe.model), recipe.run.dir)
        return
    for candidate in recipe.select.candidates:
        stages.refuse_own_model(candidate, recipe.run.dir)


def _need_preferences(rows: Path, recipe: TuneRecipe, run: Run) -> None:
    path = rows / "preferences.jsonl"
    has_pairs = path.is_file() and path.stat().st_size > 0
    wants = [config for config in (recipe.train, recipe.prefer) if config is not None and config.method == "dpo"]
    if wants and not has_pairs:
        raise ConfigError(
            "the recipe asks for preference training, and the data holds no preference",
            [Problem(where='method = "dpo"',
                     found=f"no chosen/rejected rows in {', '.join(map(str, recipe.data.files))}",
                     expected="rows with chosen and rejected",
                     fix="add such a file to data.files, or remove [prefer]")],
        )  # fmt: skip
    if has_pairs and not wants:
        run.say("curate | the preferences are kept but not trained on: the recipe has no [prefer] table")


def _register(recipe: TuneRecipe, run: Run, rows: Path, outcome: Outcome) -> None:
    """RUN/versions: the model that stands, promoted or held with the numbers of its gate."""
    from luthier.recipes.model_card import write_model_card

    register = Register(run.folder / "versions")
    source = run.folder / ("prefer" if outcome.standing == "preferred" else "train") / "model"
    kept = stages.kept_version(source, run.folder / "versions")
    data = [sha256(rows / name) for name in ("train.jsonl", "preferences.jsonl") if (rows / name).is_file()]
    version = register.add(model=kept, digest=digest(kept), data=data, note=f"luthier run, {outcome.standing}")
    numbers: dict[str, Any] = outcome.verdict.to_json()
    if version.status == "candidate":  # else the same model as before: a rerun changes nothing that was decided since
        if outcome.verdict.answer == "ship":
            register.promote(version.name, numbers)
        else:
            register.hold(version.name, numbers)
    write_model_card(run.folder, kept)
    current = register.current()
    if current is not None and current.digest != version.digest:
        stages.stand(run.folder / "versions" / current.digest, run.folder)
        run.say(f"versions | {current.name} stays current, in {run.folder / 'model'}")
