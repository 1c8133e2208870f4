"""Every item of a suite in k phrasings: one answer each, one score an item, and how much the words matter.

    OUT/phrased/           the evaluation of every item in every phrasing, like any other
    OUT/                   an item's score is the mean over its phrasings, so intervals count items, not answers
    OUT/phrasings.json     per KPI and task: the score of each phrasing, their median and their spread

A median over phrasings is what a user whose words nobody tuned for can expect (Sclar et al., arXiv:2310.11324; Mizrahi
et al., arXiv:2401.00595).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation, read_evaluation, write_summary
from luthier.evaluate.suite import Suite
from luthier.evaluate.suite_file import SLOT, SuitePhrasing
from luthier.records import Completion, Example, Message, write_records
from luthier.runs import write_json

LINK = "item:"
"""How a phrased item's links name the item that it is a phrasing of."""
ALL = "all"
"""The row over all tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One KPI of one task under every phrasing, over the items that could be graded under all of them."""

    kpi: str
    task: str
    n: int
    """Items."""
    scores: Mapping[str, float]
    """Mean by phrasing."""

    @property
    def median(self) -> float:
        """Of the phrasings' means."""
        return statistics.median(self.scores.values())

    @property
    def sd(self) -> float:
        """Standard deviation of the phrasings' means, n - 1 in the divisor; 0 for one phrasing."""
        return statistics.stdev(self.scores.values()) if len(self.scores) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "median": self.median, "sd": self.sd, "low": min(self.scores.values()),
                "high": max(self.scores.values())}  # fmt: skip

    def line(self) -> str:
        """One line of text."""
        worst, best = (choose(self.scores, key=lambda name: self.scores[name]) for choose in (min, max))
        return (
            f"{self.kpi} | {self.task} | median {self.median:.3f} of {len(self.scores)} phrasings | sd {self.sd:.3f} | "
            f"{self.scores[worst]:.3f} ({worst}) to {self.scores[best]:.3f} ({best}) | n {self.n}"
        )


def phrased(suite: Suite, phrasings: Sequence[SuitePhrasing]) -> Suite:
    """Every item in every phrasing, phrasing by phrasing; DataError names items without a request to put in words."""
    mute = [item for item in suite.examples if not any(turn.role == "user" for turn in item.prompt)]
    if mute:
        raise DataError(
            "items cannot be phrased",
            [Problem(where=item.source, found="no turn of the user", expected="a request", fix="remove the item")
             for item in mute],
        )  # fmt: skip
    return Suite.of(suite.name, [_put(item, phrasing) for phrasing in phrasings for item in suite.examples])


def folded(asked: Evaluation, suite: Suite, out: Path) -> Evaluation:
    """Write into `out` the evaluation of the suite's items, each with its answers and grades under all phrasings."""
    items = {LINK + item.id: item.id for item in suite.examples}
    item_of = {example.id: items[next(link for link in example.links if link in items)]
               for example in asked.items.values()}  # fmt: skip
    completions = [replace(row, example_id=item_of[row.example_id])
                   for rows in asked.completions.values() for row in rows]  # fmt: skip
    grades = [replace(grade, example_id=item_of[item_id], reason=_with(asked.items[item_id].template, grade.reason))
              for by_item in asked.grades.values() for item_id, rows in by_item.items() for grade in rows]  # fmt: skip
    write_records(out / "items.jsonl", suite.examples)
    write_records(out / "completions.jsonl", _in_order(completions, suite))
    write_records(out / "grades.jsonl", grades)
    facts = {"model": asked.summary["model"], "sampling": asked.summary["sampling"],
             "suite": {"name": suite.name, "digest": suite.digest, "items": len(suite.examples),
                       "repeats": suite.num_repeats, "phrasings": len({e.template for e in asked.items.values()})},
             "generation": asked.summary.get("generation", {})}  # fmt: skip
    write_summary(out, facts, suite.examples, grades)
    write_json(out / "phrasings.json", [spread.to_json() for spread in spreads(asked)])
    return read_evaluation(out)


def spreads(asked: Evaluation) -> list[Spread]:
    """For each KPI the spread over all items, then that of each task."""
    found = []
    for kpi in asked.grades:
        values: dict[str, dict[str, dict[str, float]]] = {}  # by task, item, phrasing
        for example_id, value in asked.values(kpi).items():
            example = asked.items[example_id]
            link = next(link for link in example.links if link.startswith(LINK))
            for task in {ALL, example.task or ALL}:
                row = values.setdefault(task, {}).setdefault(link, {})
                if value is not None:
                    row[str(example.template)] = value
        names = sorted({str(example.template) for example in asked.items.values()})
        for task in sorted(values, key=lambda task: (task != ALL, task)):
            whole = [row for row in values[task].values() if len(row) == len(names)]
            if whole:
                scores = {name: statistics.fmean(row[name] for row in whole) for name in names}
                found.append(Spread(kpi=kpi, task=task, n=len(whole), scores=scores))
    return found


def _put(item: Example, phrasing: SuitePhrasing) -> Example:
    place = max(k for k, turn in enumerate(item.prompt) if turn.role == "user")
    turns = list(item.messages)
    # Replaced, not formatted: braces in an item are its own.
    said = phrasing.prompt.replace(SLOT, turns[place].content)
    turns[place] = Message(role="user", content=said, name=turns[place].name)
    return Example.of(
        turns, targets=item.targets, choices=item.choices, tools=item.tools, grading=item.grading, task=item.task,
        cluster=item.cluster, template=phrasing.name, language=item.language, licence=item.licence,
        links=(*item.links, LINK + item.id), source=item.source, generator=item.generator,
    )  # fmt: skip


def _with(template: str | None, reason: str) -> str:
    return f"{template}: {reason}" if reason else f"{template}"


def _in_order(rows: Sequence[Completion], suite: Suite) -> list[Completion]:
    places = {item.id: place for place, item in enumerate(suite.examples)}
    return sorted(rows, key=lambda row: places[row.example_id])

