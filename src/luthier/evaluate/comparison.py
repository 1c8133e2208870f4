"""Two models on the same items: paired by item id, never by order.

The difference is b - a, so above zero means that b is better. Its interval is clustered by task where there are tasks
enough; McNemar's exact test stands beside it where answers are right or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation, read_evaluation
from luthier.evaluate.kpis import in_words_of_tasks, task_clusters
from luthier.records import Example
from luthier.stats.intervals import Estimate, paired_interval
from luthier.stats.tests import mcnemar_exact


class Pair(NamedTuple):
    """One item's value under both."""

    item: Example
    a: float
    b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiComparison:
    """One KPI under a and b, over the items that both could be graded on."""

    kpi: str
    pairs: tuple[Pair, ...] = field(repr=False)
    difference: Estimate | None
    """b - a; None when no item was graded under both."""
    mcnemar_p: float | None
    """Two-sided; None where values are not all 0 or 1."""
    undecided: int
    """Items asked of both that one or both have no value for: they are left out."""

    @property
    def a(self) -> float | None:
        """The mean of a over the pairs."""
        return sum(pair.a for pair in self.pairs) / len(self.pairs) if self.pairs else None

    @property
    def b(self) -> float | None:
        """The mean of b over the pairs."""
        return sum(pair.b for pair in self.pairs) / len(self.pairs) if self.pairs else None

    @property
    def better(self) -> int:
        """Items on which b is better."""
        return sum(pair.b > pair.a for pair in self.pairs)

    @property
    def worse(self) -> int:
        """Items on which b is worse."""
        return sum(pair.b < pair.a for pair in self.pairs)

    def interval(self, *, alpha: float) -> Estimate:
        """The difference with an interval of 1 - alpha; there must be pairs."""
        return _difference(self.pairs, alpha=alpha)

    def by_task(self) -> dict[str, KpiComparison]:
        """The comparison within each task; items without one are left out."""
        tasks: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            if pair.item.task is not None:
                tasks.setdefault(pair.item.task, []).append(pair)
        return {task: _of_pairs(self.kpi, tasks[task], undecided=0) for task in sorted(tasks)}

    def to_json(self) -> dict[str, Any]:
        """Everything but the pairs."""
        return {
            "a": self.a,
            "b": self.b,
            "difference": self.difference.to_json() if self.difference else None,
            "better": self.better,
            "worse": self.worse,
            "same": len(self.pairs) - self.better - self.worse,
            "mcnemar_p": self.mcnemar_p,
            "undecided": self.undecided,
        }

    def line(self) -> str:
        """One line of the text table."""
        if self.difference is None:
            return f"{self.kpi} | no item could be graded under both ({self.undecided} undecided)"
        d = self.difference
        p = "" if self.mcnemar_p is None else f" | McNemar p {self.mcnemar_p:.2g}"
        left_out = f" | {self.undecided} undecided" if self.undecided else ""
        return (
            f"{self.kpi} | {self.a:.3f} -> {self.b:.3f} | {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}] | n {d.n} | "
            f"{self.better} better, {self.worse} worse{p}{left_out} | {d.method}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two evaluations, KPI by KPI."""

    a_name: str
    b_name: str
    suite_name: str
    """Of b: the suite that guardrails are named by."""
    kpis: dict[str, KpiComparison]
    lone_kpis: tuple[str, ...]
    """KPIs that only one of the two has."""
    num_common: int
    only_in_a: int
    only_in_b: int
    same_model: bool
    """Both evaluations are of one model: only prompting or sampling differ."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object, per task included."""
        return {
            "a": self.a_name,
            "b": self.b_name,
            "suite": self.suite_name,
            "items": {"common": self.num_common, "only_in_a": self.only_in_a, "only_in_b": self.only_in_b},
            "same_model": self.same_model,
            "lone_kpis": list(self.lone_kpis),
            "kpis": {name: kpi.to_json() for name, kpi in self.kpis.items()},
            "tasks": {name: {task: part.to_json() for task, part in kpi.by_task().items()}
                      for name, kpi in self.kpis.items()},
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The comparison as text: what is compared, then one line a KPI."""
        alone = f"; left out: {self.only_in_a} only in a, {self.only_in_b} only in b"
        note = alone if self.only_in_a or self.only_in_b else ""
        head = [f"a: {self.a_name}", f"b: {self.b_name}", f"{self.num_common} items in common{note}"]
        if self.same_model:
            head.append("both are the same model")
        tail = [f"not compared, since only one has it: {', '.join(self.lone_kpis)}"] if self.lone_kpis else []
        return [*head, *(kpi.line() for kpi in self.kpis.values()), *tail]


def compare(a: Path, b: Path) -> Comparison:
    """Paired statistics of two evaluation folders."""
    return compare_evaluations(read_evaluation(a), read_evaluation(b))


def compare_evaluations(a: Evaluation, b: Evaluation) -> Comparison:
    """Paired statistics of two evaluations, for every KPI that both have. DataError when they share no item."""
    common = [item for item_id, item in b.items.items() if item_id in a.items]
    if not common:
        raise DataError(
            "the two evaluations cannot be compared",
            [Problem(where=f"{a.folder} and {b.folder}", found="no item in common", expected="the same items",
                     fix="evaluate both models on the same files")],
        )  # fmt: skip
    kpis = {kpi: _compare_kpi(kpi, a, b, common) for kpi in b.grades if kpi in a.grades}
    return Comparison(
        a_name=a.name,
        b_name=b.name,
        suite_name=b.suite_name,
        kpis=kpis,
        lone_kpis=tuple(sorted(a.grades.keys() ^ b.grades.keys())),
        num_common=len(common),
        only_in_a=len(a.items) - len(common),
        only_in_b=len(b.items) - len(common),
        same_model=a.model_id == b.model_id,
    )


def _compare_kpi(kpi: str, a: Evaluation, b: Evaluation, common: Sequence[Example]) -> KpiComparison:
    a_values, b_values = a.values(kpi), b.values(kpi)
    pairs, undecided = [], 0
    for item in common:
        if item.id not in a_values or item.id not in b_values:
            continue
        a_value, b_value = a_values[item.id], b_values[item.id]
        if a_value is None or b_value is None:
            undecided += 1
        else:
            pairs.append(Pair(item, a_value, b_value))
    return _of_pairs(kpi, pairs, undecided=undecided)


def _of_pairs(kpi: str, pairs: Sequence[Pair], *, undecided: int) -> KpiComparison:
    is_binary = bool(pairs) and all(value in (0.0, 1.0) for pair in pairs for value in (pair.a, pair.b))
    only_a, only_b = sum(pair.a > pair.b for pair in pairs), sum(pair.b > pair.a for pair in pairs)
    return KpiComparison(
        kpi=kpi,
        pairs=tuple(pairs),
        difference=_difference(pairs, alpha=0.05) if pairs else None,
        mcnemar_p=mcnemar_exact(only_a, only_b) if is_binary else None,
        undecided=undecided,
    )


def _difference(pairs: Sequence[Pair], *, alpha: float) -> Estimate:
    items = [pair.item for pair in pairs]
    a, b = [pair.a for pair in pairs], [pair.b for pair in pairs]
    return in_words_of_tasks(paired_interval(a, b, task_clusters(items), alpha=alpha), items)
