"""Any number of evaluations, each held against the first on the items that the two share.

A p value is the smallest error rate at which the paired interval leaves out zero, so it knows of tasks as the interval
does. With several runs, those of one KPI are adjusted together (Holm 1979): the chance that any of them is below 0.05
though no run differs is at most 0.05.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import DataError, Problem
from luthier.evaluate.comparison import Comparison, KpiComparison, compare_evaluations
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.pairing import left_out
from luthier.stats.tests import holm

SMALLEST_P = 1e-9
"""Below this a p value says nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One run against the first on one KPI."""

    run: str
    kpi: str
    comparison: KpiComparison
    p: float | None
    """Two-sided; None where no item could be graded under both."""
    p_holm: float | None
    """Adjusted for all runs that this KPI compares with the first."""

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """The run's mean, the first's on the same items, the difference, its interval, p and n, as text."""
        d, found = self.comparison.difference, self.comparison
        if d is None or self.p_holm is None:
            return ("-", "-", "-", "-", "-", f"0 ({found.undecided} undecided)")
        note = f" ({found.undecided} undecided)" if found.undecided else ""
        return (f"{found.b:.3f}", f"{found.a:.3f}", f"{d.value:+.3f}", f"[{d.low:+.3f}, {d.high:+.3f}]",
                p_text(self.p_holm), f"{d.n}{note}")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The first run, and the others against it."""

    names: tuple[str, ...]
    """Of all runs, each once; the first is what the others are held against."""
    evaluations: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...]
    """Of the second run, the third ..., with the first."""
    contrasts: tuple[Contrast, ...]
    """By KPI, then by run."""

    @property
    def kpis(self) -> tuple[str, ...]:
        """The KPIs that some run has in common with the first."""
        return tuple(dict.fromkeys(contrast.kpi for contrast in self.contrasts))

    def of_kpi(self, kpi: str) -> list[Contrast]:
        """The contrasts of one KPI."""
        return [contrast for contrast in self.contrasts if contrast.kpi == kpi]

    def notes(self) -> list[str]:
        """What a reader must know beside the numbers: items and metrics that are left out."""
        found = []
        for name, comparison in zip(self.names[1:], self.comparisons, strict=True):
            if comparison.only_in_a or comparison.only_in_b:
                alone = f"{comparison.only_in_a} only in the first, {comparison.only_in_b} only in it"
                found.append(f"{name}: {comparison.num_common} items in common with the first; left out: {alone}")
            if comparison.lone_kpis:
                found.append(f"{name}: not compared, since only one has it: {', '.join(comparison.lone_kpis)}")
        return [*found, *self.left_out()]

    def left_out(self) -> list[str]:
        """One line for each reason why metrics of logs are no KPIs."""
        lost: dict[tuple[str, str], list[str]] = {}
        for name, evaluation in zip(self.names, self.evaluations, strict=True):
            reasons: dict[str, list[str]] = {}
            for metric, why in left_out(evaluation).items():
                reasons.setdefault(why, []).append(metric)
            for why, metrics in reasons.items():
                lost.setdefault((", ".join(metrics), why), []).append(name)
        return [f"left out of {', '.join(names)}: {metrics}; {why}" for (metrics, why), names in lost.items()]

    def lines(self) -> list[str]:
        """The table as text; of two runs, the lines of their comparison."""
        if len(self.comparisons) == 1:
            return [*self.comparisons[0].lines(), *self.left_out()]
        head = [f"first: {self.names[0]}", "every difference is run - first, paired by item, with its 95 % interval"]
        body = []
        for kpi in self.kpis:
            rows = [("run", "mean", "first", "difference", "interval", "p (Holm)", "n"),
                    *((contrast.run, *contrast.cells()) for contrast in self.of_kpi(kpi))]  # fmt: skip
            widths = [max(len(row[k]) for row in rows) for k in range(7)]
            body += ["", kpi]
            for row in rows:
                cells = [text.ljust(width) if k in (0, 6) else text.rjust(width)
                         for k, (text, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
                body.append("  " + "  ".join(cells).rstrip())
        notes = self.notes()
        return [*head, *body, *([""] if notes else []), *notes]

    def to_json(self) -> dict[str, Any]:
        """A JSON object: of two runs that of their comparison; of more, `runs` and one comparison for each other run.

        Either holds `p` and `p_holm` for each KPI, and what is left out of which log.
        """
        comparisons = []
        for name, comparison in zip(self.names[1:], self.comparisons, strict=True):
            data = comparison.to_json()
            for contrast in self.contrasts:
                if contrast.run == name:
                    data["kpis"][contrast.kpi] |= {"p": contrast.p, "p_holm": contrast.p_holm}
            comparisons.append(data)
        lost = {name: left_out(evaluation) for name, evaluation in zip(self.names, self.evaluations, strict=True)
                if left_out(evaluation)}  # fmt: skip
        if len(comparisons) == 1:
            return {**comparisons[0], "left_out": lost}
        return {"runs": list(self.names), "comparisons": comparisons, "left_out": lost}


def standings(evaluations: Sequence[Evaluation]) -> Standings:
    """Every evaluation against the first. Their ids must mean the same: see `luthier.evaluate.pairing.comparable`.

    DataError when one shares no item with the first, or when no KPI is common to any run and the first.
    """
    names = _names(evaluations)
    comparisons = tuple(compare_evaluations(evaluations[0], other) for other in evaluations[1:])
    if not any(comparison.kpis for comparison in comparisons):
        first, other = evaluations[0], evaluations[1]
        raise DataError(
            "the evaluations cannot be compared",
            [Problem(where=f"{first.folder} and {other.folder}",
                     found=f"the KPIs {', '.join(first.grades)} and {', '.join(other.grades)}",
                     expected="a KPI that both have",
                     fix="say which are the same: --same NAME=OTHER calls OTHER by the name NAME")],
        )  # fmt: skip
    contrasts = []
    for kpi in dict.fromkeys(kpi for kpi in evaluations[0].grades if any(kpi in c.kpis for c in comparisons)):
        found = [(name, c.kpis[kpi]) for name, c in zip(names[1:], comparisons, strict=True) if kpi in c.kpis]
        p_values = [p_value(comparison) for _, comparison in found]
        adjusted = iter(holm([p for p in p_values if p is not None]))
        contrasts += [
            Contrast(run=name, kpi=kpi, comparison=comparison, p=p, p_holm=None if p is None else next(adjusted))
            for (name, comparison), p in zip(found, p_values, strict=True)
        ]
    return Standings(names=names, evaluations=tuple(evaluations), comparisons=comparisons, contrasts=tuple(contrasts))


def p_value(comparison: KpiComparison) -> float | None:
    """The smallest alpha at which the interval of 1 - alpha leaves out zero, found by halving; None without pairs."""
    if comparison.difference is None:
        return None

    def leaves_out_zero(alpha: float) -> bool:
        found = comparison.interval(alpha=alpha)
        return found.low > 0 or found.high < 0

    low, high = SMALLEST_P, 1.0
    if leaves_out_zero(low):
        return low
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if leaves_out_zero(middle) else (middle, high)
    return high


def p_text(p: float) -> str:
    """A p value for people."""
    return f"<{SMALLEST_P:g}" if p <= SMALLEST_P else f"{p:.2g}"


def _names(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """The runs' names; with the folder where two are called alike, and a number where one is given twice."""
    counts = Counter(evaluation.name for evaluation in evaluations)
    names: list[str] = []
    for evaluation in evaluations:
        name = evaluation.name
        if counts[name] > 1:
            name = f"{name} in {evaluation.folder}"
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return tuple(names)
