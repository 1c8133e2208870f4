"""KPIs: the mean of a grader over items, with its interval, what could not be told, and what failed.

From five tasks on, items are clustered by task and the interval speaks for further tasks like these. With fewer, it
speaks for further items of these tasks only, and says so.

An item's value is the mean over its graded answers. Every item is in exactly one of n, undecided and errors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from luthier.records import Example, Grade
from luthier.stats.intervals import FEWEST_CLUSTERS, Estimate, score_interval, usable_clusters

Grades = Mapping[str, Mapping[str, Sequence[Grade]]]
"""Grades by KPI, then by item id."""


@dataclass(frozen=True, slots=True)
class Kpi:
    """One KPI over some items."""

    name: str
    estimate: Estimate | None
    """None when no item could be graded."""
    undecided: int
    errors: int

    @property
    def value(self) -> float | None:
        """The mean over graded items."""
        return self.estimate.value if self.estimate else None

    def to_json(self) -> dict[str, Any]:
        """value, low, high, n, method, undecided, errors."""
        nothing = {"value": None, "low": None, "high": None, "n": 0, "method": "no item could be graded"}
        return {
            **(self.estimate.to_json() if self.estimate else nothing),
            "undecided": self.undecided,
            "errors": self.errors,
        }


def grades_by_item(grades: Iterable[Grade]) -> dict[str, dict[str, list[Grade]]]:
    """Grades by KPI (the grader's name), then by item."""
    result: dict[str, dict[str, list[Grade]]] = {}
    for grade in grades:
        result.setdefault(grade.grader, {}).setdefault(grade.example_id, []).append(grade)
    return result


def item_value(grades: Sequence[Grade]) -> float | None:
    """The mean over an item's graded answers; None when none could be graded."""
    values = [grade.value for grade in grades if grade.value is not None]
    return sum(values) / len(values) if values else None


def kpi_over(name: str, items: Sequence[Example], by_item: Mapping[str, Sequence[Grade]]) -> Kpi:
    """The KPI over those of `items` that it graded, failed at or left undecided."""
    seen = [item for item in items if item.id in by_item]
    values = {item.id: item_value(by_item[item.id]) for item in seen}
    graded = [item for item in seen if values[item.id] is not None]
    failed = [i for i in seen if values[i.id] is None and any(grade.is_error for grade in by_item[i.id])]
    numbers = [value for value in values.values() if value is not None]
    estimate = _estimate(numbers, graded) if graded else None
    return Kpi(name, estimate, undecided=len(seen) - len(graded) - len(failed), errors=len(failed))


def task_clusters(items: Sequence[Example]) -> list[Hashable] | None:
    """The task of each item, to cluster an interval by; None for too few tasks."""
    return usable_clusters([item.task for item in items])


def in_words_of_tasks(estimate: Estimate, items: Sequence[Example]) -> Estimate:
    """The estimate with a `method` that says tasks for clusters, or that tasks are too few to speak for others."""
    count = len({item.task for item in items if item.task is not None})
    note = f"; of these {count} tasks, too few to speak for others" if 1 < count < FEWEST_CLUSTERS else ""
    return replace(estimate, method=estimate.method.replace(" clusters", " tasks") + note)


def kpi_table(items: Iterable[Example], grades: Grades) -> dict[str, Kpi]:
    """Every KPI over all items."""
    everything = list(items)
    return {name: kpi_over(name, everything, by_item) for name, by_item in grades.items()}


def sliced(items: Iterable[Example], grades: Grades, *, by: str) -> dict[str, dict[str, Kpi]]:
    """KPIs for each value of the field `by` ("task" or "cluster"), by name; items without one are left out."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for item in items:
        value = getattr(item, by)
        if value is not None:
            groups[value].append(item)
    return {name: kpi_table(groups[name], grades) for name in sorted(groups)}


def _estimate(values: Sequence[float], items: Sequence[Example]) -> Estimate:
    return in_words_of_tasks(score_interval(values, task_clusters(items)), items)
