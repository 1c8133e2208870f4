"""Items of evaluations that different programs wrote, made comparable: paired by what they say, never by order.

Within one program an item keeps the identity that its program's reader gave it. Across programs an item is its prompt,
options and accepted answers as texts, white space at their ends aside: a log and a folder share the items that ask the
same in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from luthier.errors import ConfigError, DataError, Problem
from luthier.evaluate.evaluation import Evaluation
from luthier.records import Completion, Example, Grade, content_id

RowT = TypeVar("RowT", Completion, Grade)


def written_by(evaluation: Evaluation) -> str:
    """The program: "luthier", "lm-eval" or "inspect"."""
    return str(evaluation.summary.get("log", {}).get("tool", "luthier"))


def left_out(evaluation: Evaluation) -> dict[str, str]:
    """Metrics of a log that cannot be a KPI, and why."""
    return dict(evaluation.summary.get("log", {}).get("left_out", {}))


def comparable(evaluations: Sequence[Evaluation], *, same: Mapping[str, str] | None = None) -> list[Evaluation]:
    """The evaluations with ids that mean the same in all of them.

    `same` names KPIs that are one thing under two names: {"acc": "auto"} calls acc auto wherever it stands.
    """
    named = [_renamed(evaluation, same or {}) for evaluation in evaluations]
    unknown = [name for name in same or {} if not any(name in evaluation.grades for evaluation in evaluations)]
    if unknown:
        known = sorted({name for evaluation in evaluations for name in evaluation.grades})
        raise ConfigError(
            "KPIs cannot be matched",
            [Problem(where="--same", found=repr(name), expected=f"a KPI that was measured: {', '.join(known)}",
                     fix="correct the name") for name in unknown],
        )  # fmt: skip
    if len({written_by(evaluation) for evaluation in evaluations}) == 1:
        return named
    return [_by_wording(evaluation) for evaluation in named]


def wording_id(item: Example) -> str:
    """The id of an item by its words alone: turns of the prompt, options in their order, accepted answers in any."""
    turns = [(turn.role, turn.text.strip()) for turn in item.prompt]
    return content_id("wording", turns, [c.strip() for c in item.choices], sorted({t.strip() for t in item.targets}))


def _by_wording(evaluation: Evaluation) -> Evaluation:
    """The evaluation with items under their wording's id. DataError where two items say the same."""
    ids: dict[str, str] = {}
    taken: dict[str, Example] = {}
    problems = []
    for item_id, item in evaluation.items.items():
        ids[item_id] = wording_id(item)
        other = taken.setdefault(ids[item_id], item)
        if other is not item:
            problems.append(
                Problem(where=item.source or str(evaluation.folder),
                        found=f"the same words as {other.source or 'another item'}",
                        expected="one item of each wording, since evaluations of two programs are paired by it",
                        fix="compare one task at a time: name its file of samples")
            )  # fmt: skip
    if problems:
        raise DataError(f"the items of {evaluation.folder} cannot be paired", problems)
    return replace(
        evaluation,
        items={ids[old]: replace(item, id=ids[old]) for old, item in evaluation.items.items()},
        completions={ids[old]: [_of(row, ids[old]) for row in rows] for old, rows in evaluation.completions.items()
                     if old in ids},
        rankings={ids[old]: replace(row, example_id=ids[old]) for old, row in evaluation.rankings.items()
                  if old in ids},
        grades={kpi: {ids[old]: [_of(row, ids[old]) for row in rows] for old, rows in by_item.items() if old in ids}
                for kpi, by_item in evaluation.grades.items()},
    )  # fmt: skip


def _of(row: RowT, item_id: str) -> RowT:
    return replace(row, example_id=item_id)


def _renamed(evaluation: Evaluation, same: Mapping[str, str]) -> Evaluation:
    taken = [(old, new) for old, new in same.items() if old in evaluation.grades and new in evaluation.grades]
    if taken:
        raise ConfigError(
            "KPIs cannot be matched",
            [Problem(where=f"--same {new}={old}", found=f"both in {evaluation.folder}",
                     expected="one KPI of an evaluation under each name", fix="choose another pair of KPIs")
             for old, new in taken],
        )  # fmt: skip
    return replace(evaluation, grades={same.get(kpi, kpi): rows for kpi, rows in evaluation.grades.items()})
