"""One model on one set of items.

    luthier evaluate --model RUN --data items.jsonl --out evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.config import Config, parse_override, validate
from luthier.curate.rows import read_examples
from luthier.evaluate.config import EvaluateConfig


class EvaluateRecipe(Config):
    """What the command line of `luthier evaluate` may set."""

    evaluate: EvaluateConfig = EvaluateConfig()


def main(
    model: Path, *, files: Sequence[Path], out: Path, overrides: Sequence[str], say: Callable[[str], None]
) -> Mapping[str, Any]:
    """Evaluate and write OUT with its report; returns the summary."""
    data: dict[str, Any] = {"evaluate": {}}
    for override in overrides:
        key, value = parse_override(override)
        table, _, name = key.rpartition(".")
        data.setdefault(table or key, {})
        data[table or key] = {**data[table or key], name: value} if table else value
    config = validate(EvaluateRecipe, data, places={}, default_place="command line").evaluate

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
    )  # fmt: skip
    examples = sorted(found.examples, key=lambda e: e.id)[: config.max_items] if config.max_items else found.examples
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
