"""One model on one set of items.

    luthier evaluate --model RUN --data items.jsonl --out evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.config import Config, validate
from luthier.curate.rows import read_examples
from luthier.errors import ConfigError, Problem
from luthier.evaluate.config import EvaluateConfig
from luthier.recipes.examining import sampled, say_cut_prompts
from luthier.recipes.overriding import assign_to_table
from luthier.records import content_id
from luthier.runs import library_versions, source_digest


class EvaluateRecipe(Config):
    """What the command line of `luthier evaluate` may set."""

    evaluate: EvaluateConfig = EvaluateConfig()


def main(
    model: Path, *, files: Sequence[Path], out: Path, overrides: Sequence[str], say: Callable[[str], None]
) -> Mapping[str, Any]:
    """Evaluate and write OUT with its report; returns the summary."""
    data: dict[str, Any] = {}
    assign_to_table(data, overrides, kind=EvaluateRecipe)
    config = validate(EvaluateRecipe, data, places={}, default_place="command line").evaluate
    _refuse_unread(config)

    from luthier.evaluate.evaluation import Subject, evaluate
    from luthier.evaluate.report import write_report
    from luthier.evaluate.suite import Suite
    from luthier.graders import named_graders
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
    evaluation = evaluate(
        Suite.of(files[0].stem, examples), subject, graders=named_graders(config.graders, where="evaluate.graders"),
        sampling=config.sampling(), out=out, say=say,
    )  # fmt: skip
    command = f"luthier evaluate --model {model} {' '.join(f'--data {path}' for path in files)} --out {out}"
    write_report(out / "report.html", evaluation, command=" ".join([command, *overrides]))
    for name, kpi in evaluation.kpis.items():
        say(f"evaluate | {name} | {kpi.estimate} | {kpi.undecided} undecided, {kpi.errors} errors")
    say(f"evaluate | report {out / 'report.html'}")
    return evaluation.summary


def _refuse_unread(config: EvaluateConfig) -> None:
    """Keys that only a whole run reads: an option that would change nothing is an error."""
    unread = [key for key in ("suites", "plain_text", "shots") if key in config.model_fields_set]
    if unread:
        raise ConfigError(
            "this command does not read that key",
            [Problem(where=f"command line: evaluate.{key}", found="a value", expected="a key of one evaluation",
                     fix="put it into a recipe and use `luthier run`") for key in unread],
        )  # fmt: skip
