"""One model on one set of items.

    luthier evaluate --model RUN --data items.jsonl --out evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import Config, validate
from luthier.curate.rows import read_examples
from luthier.errors import ConfigError, Problem
from luthier.evaluate.ci.findings import CiFiles, of_evaluation
from luthier.evaluate.config import EvaluateConfig
from luthier.recipes.bias import check_bias, with_its_bias
from luthier.recipes.error_analysis import analysed
from luthier.recipes.examining import sampled, say_cut_prompts
from luthier.recipes.judging import JOURNAL, graders_of, note_agreement
from luthier.recipes.overriding import assign_to_table
from luthier.recipes.suites import on_suite
from luthier.records import content_id
from luthier.runs import library_versions, source_digest

if TYPE_CHECKING:
    from luthier.evaluate.evaluation import Evaluation


class EvaluateRecipe(Config):
    """What the command line of `luthier evaluate` may set."""

    evaluate: EvaluateConfig = EvaluateConfig()


def main(
    model: Path, *, files: Sequence[Path], out: Path, overrides: Sequence[str], say: Callable[[str], None],
    training: Sequence[Path] = (), ci: CiFiles | None = None, suite: Path | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    """Evaluate and write OUT with its report; returns the summary.

    The items are those of `files` or of the `suite`. `training` are the rows that the model learned from, and `ci` says
    what to write for continuous integration.
    """
    data: dict[str, Any] = {}
    assign_to_table(data, overrides, kind=EvaluateRecipe)
    config = validate(EvaluateRecipe, data, places={}, default_place="command line").evaluate
    _refuse_unread(config)
    check_bias((), config.bias)
    if (suite is None) is not bool(files):
        found = "both --data and --suite" if files else "neither --data nor --suite"
        raise ConfigError(
            "it is not clear what to evaluate on",
            [Problem(where="luthier evaluate", found=found,
                     expected="one of them", fix="name files of items, or a suite")],
        )  # fmt: skip

    from luthier.evaluate.report import write_report

    learnt = read_examples(list(training)).examples if training else ()
    if suite is None:
        evaluation = _on_files(model, files, config, out=out, say=say)
    else:
        evaluation = on_suite(model, suite, config, out=out, say=say)
    kpi = next(iter(evaluation.grades))
    errors = analysed(evaluation, kpi=kpi, out=out / "errors", training=learnt, say=say)
    given = [*([f"--suite {suite}"] if suite else []), *(f"--data {path}" for path in files),
             *(f"--training {path}" for path in training)]  # fmt: skip
    command = " ".join([f"luthier evaluate --model {model} {' '.join(given)} --out {out}", *overrides])
    write_report(out / "report.html", evaluation, command=command, errors=errors)
    if ci is not None:
        ci.write(of_evaluation(evaluation, command=command))
    for name, measured in evaluation.kpis.items():
        say(f"evaluate | {name} | {measured.estimate} | {measured.undecided} undecided, {measured.errors} errors")
    say(f"evaluate | report {out / 'report.html'}")
    return evaluation.summary


def _on_files(
    model: Path, files: Sequence[Path], config: EvaluateConfig, *, out: Path, say: Callable[[str], None]
) -> Evaluation:
    """The model on all usable items of the files, through its chat template."""
    from luthier.evaluate.evaluation import Subject, evaluate
    from luthier.evaluate.suite import Suite
    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.logprobs import scorer

    found = read_examples(list(files), quarantine=out / "quarantine.jsonl")
    if found.problems:
        say(f"evaluate | {len(found.problems):,} rows cannot be used; see {out / 'quarantine.jsonl'}")
    loaded = load_model(model)
    for notice in loaded.notices:
        say(f"evaluate | {notice}")
    subject = Subject(
        model_id=loaded.digest, model_name=model.name,
        generate=generator(loaded, batch_rows=config.batch_rows), score=scorer(loaded),
        made_by=content_id(source_digest("luthier.models.generate"), source_digest("luthier.models.logprobs"),
                           library_versions()),
    )  # fmt: skip
    examples = sampled(found.examples, config)
    say_cut_prompts(loaded, examples, say=say)
    graders = graders_of(config, journal=out / JOURNAL, say=lambda line: say(f"evaluate | {line}"))
    evaluation = evaluate(
        Suite.of(files[0].stem, examples), subject, graders=graders, sampling=config.sampling(), out=out, say=say
    )  # fmt: skip
    note_agreement(graders, examples, out=out, say=lambda line: say(f"evaluate | {line}"))
    return with_its_bias(
        evaluation, subject, loaded, config.bias, sampling=config.sampling(), batch_rows=config.batch_rows,
        say=lambda line: say(f"bias | {line}"),
    )  # fmt: skip


def _refuse_unread(config: EvaluateConfig) -> None:
    """Keys that only a whole run reads: an option that would change nothing is an error."""
    unread = [key for key in ("suites", "plain_text", "shots") if key in config.model_fields_set]
    if unread:
        raise ConfigError(
            "this command does not read that key",
            [Problem(where=f"command line: evaluate.{key}", found="a value", expected="a key of one evaluation",
                     fix="put it into a recipe and use `luthier run`") for key in unread],
        )  # fmt: skip
