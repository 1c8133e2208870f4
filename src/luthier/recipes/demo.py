"""The whole loop on the practice world, offline: messy files to a tuned model, judged against its base.

About four minutes on two cores. It ends in a table and the address of a report.

    luthier demo
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from luthier.config import read_toml, validate
from luthier.demo.files import write_practice_data
from luthier.recipes.run_report import forgetting, score_rows, write_run_report
from luthier.recipes.tune import Outcome, TuneRecipe, tune
from luthier.runs import Run, write_json

HERE = Path(__file__).parent
BASE = HERE.parent / "demo" / "model"
"""The small base that ships with the package, made by recipes/pretrain.toml."""
SEED = 7


def demo_recipe(out: Path) -> TuneRecipe:
    """recipes/demo.toml with its places filled in, after the practice files were written to OUT/data."""
    data, lines = read_toml(HERE / "demo.toml")
    files = write_practice_data(out / "data", seed=SEED, **data.pop("practice"))
    data["model"]["base"] = str(BASE)
    data["train"]["text"]["files"] = [str(files.plain_mixed)]
    data["data"] |= {"files": [str(p) for p in (*files.raw, files.preferences)],
                     "held_out": [str(files.unseen_phrasings)]}  # fmt: skip
    data["evaluate"] |= {"suites": [str(files.unseen_tasks)], "plain_text": [str(files.plain)]}
    data["run"] = {"dir": str(out)}
    places = {key: f"{HERE / 'demo.toml'}:{line}" for key, line in lines.items()}
    return validate(TuneRecipe, data, places=places, default_place=str(HERE / "demo.toml"))


def main(out: Path, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None) -> int:
    """Run the loop in the folder `out`; exit status 0 whatever the gate says."""
    started = time.monotonic()
    recipe = demo_recipe(out)
    stages = _StageLines(echo, passing=step_echo)
    outcome = tune(recipe, Run.open(out, recipe, echo=stages, step_echo=step_echo))
    stages.finish()
    write_run_report(
        outcome, out, title="Luthier on its practice world", kpi=recipe.gate.kpi,
        intro="A small closed world: messy files curated, the small base that ships tuned and preferred, "
        "and what that changed, measured on phrasings and on tasks that it was never trained on.",
    )  # fmt: skip
    seconds = time.monotonic() - started
    write_json(out / "demo.json", {"seconds": round(seconds, 1), "verdict": outcome.verdict.to_json(),
                                   "scores": score_rows(outcome, recipe.gate.kpi)})  # fmt: skip
    for line in closing_lines(outcome, out, recipe.gate.kpi, seconds):
        echo(line)
    return 0


@dataclass(slots=True)
class _StageLines:
    """One line for each stage: the last that it said, or its account of the rows; what passes goes to a terminal."""

    echo: Callable[[str], None]
    passing: Callable[[str], None] | None
    kept: str = ""

    def __call__(self, line: str) -> None:
        if self.kept and line.partition(" | ")[0] != self.kept.partition(" | ")[0]:
            self.finish()
        if not (self.kept.startswith("curate | read ") and line.startswith("curate")):
            self.kept = line
        if self.passing is not None:
            self.passing(line)

    def finish(self) -> None:
        """Show the line of the stage that has ended."""
        if self.passing is not None:
            self.passing("")
        self.echo(self.kept)
        self.kept = ""


def closing_lines(outcome: Outcome, out: Path, kpi: str, seconds: float) -> list[str]:
    """The table, the verdict, and where to go next."""
    names = {"held_out": "unseen phrasings", "unseen_tasks": "unseen tasks"}
    head = ("", "model", "score", "95 % interval", "against the base")
    rows = [head, *((names.get(suite, suite), *rest) for suite, *rest in score_rows(outcome, kpi))]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lost = [f"{f.model} {f.perplexity:.2f}" + (f" ({f.change} nats a token)" if f.change else "")
            for f in forgetting(outcome)]  # fmt: skip
    return [
        "",
        *table,
        "the base is given its best reading: chat or few-shot plain text, as generated or by its likeliest option",
        "perplexity on plain text: " + ", ".join(lost),
        "",
        f"gate: {outcome.verdict.answer}; {outcome.verdict.reasons[0]}",
        f"report: {outcome.report.resolve()}",
        f"chat with it: luthier serve --model {out}",
        f"time: {seconds:.0f} s",
    ]
