"""The decision to ship: superiority on the target, non-inferiority on every guardrail, margins named beforehand.

    target      better by more than `margin`: the interval of new - old lies above it
    guardrail   worse by no more than `allowed_regression`: the interval lies above minus that

Ship needs every check to pass, so the chance of shipping wrongly is at most that of the weakest single check: an
intersection-union test (Berger 1982), which needs no correction for the number of guardrails. "No significant
difference" is never taken for "equal": a check that neither passes nor fails is not enough evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luthier.errors import ConfigError, Problem
from luthier.evaluate.comparison import Comparison, KpiComparison
from luthier.evaluate.config import GateConfig, GuardrailConfig
from luthier.stats.intervals import Estimate
from luthier.stats.power import more_items

Answer = Literal["ship", "hold", "not enough evidence"]
Outcome = Literal["pass", "fail", "unsure"]
TARGET_POWER = 0.8
"""The chance of seeing the difference with the number of items that is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of the gate, and how it came out."""

    kpi: str
    role: Literal["target", "guardrail"]
    suite: str
    bound: float
    """The difference must be above this."""
    difference: Estimate | None
    outcome: Outcome
    reason: str
    needed_items: int | None = None
    """About how many more items would settle it; set when unsure."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "kpi": self.kpi, "role": self.role, "suite": self.suite, "bound": self.bound, "outcome": self.outcome,
            "difference": self.difference.to_json() if self.difference else None,
            "reason": self.reason, "needed_items": self.needed_items,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says, and why."""

    answer: Answer
    checks: tuple[Check, ...]
    alpha: float
    """Of the checks' intervals."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence a check, those that decided first."""
        order = {"fail": 0, "unsure": 1, "pass": 2}
        return tuple(check.reason for check in sorted(self.checks, key=lambda check: order[check.outcome]))

    @property
    def needed_items(self) -> int | None:
        """About how many more items would give a clear answer; None when there is one."""
        needed = [check.needed_items for check in self.checks if check.needed_items is not None]
        return max(needed) if needed and self.answer == "not enough evidence" else None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        checks = [check.to_json() for check in self.checks]
        return {"answer": self.answer, "reasons": list(self.reasons), "needed_items": self.needed_items,
                "alpha": self.alpha, "checks": checks}  # fmt: skip

    def lines(self) -> list[str]:
        """The verdict as text."""
        needed = [] if self.needed_items is None else [f"about {self.needed_items:,} more items are needed"]
        return [f"verdict: {self.answer}", *self.reasons, *needed]


def decide(comparisons: Sequence[Comparison], *, config: GateConfig) -> Verdict:
    """The verdict on b of each comparison. The first is that of the target; guardrails may name another's suite."""
    kpi = _find(config.kpi, None, comparisons, where="gate.kpi")
    checks = [_check_target(kpi, comparisons[0].suite_name, config)]
    for number, guardrail in enumerate(config.guardrails):
        where = f"gate.guardrails.{number}"
        suite = guardrail.suite or comparisons[0].suite_name
        kpi = _find(guardrail.kpi, guardrail.suite, comparisons, where=where)
        checks.append(_check_guardrail(kpi, suite, guardrail, config))
    outcomes = {check.outcome for check in checks}
    answer: Answer = "hold" if "fail" in outcomes else "not enough evidence" if "unsure" in outcomes else "ship"
    return Verdict(answer=answer, checks=tuple(checks), alpha=config.alpha)


def _check_target(kpi: KpiComparison, suite: str, config: GateConfig) -> Check:
    def check(outcome: Outcome, reason: str, needed_items: int | None = None) -> Check:
        return Check(kpi=kpi.kpi, role="target", suite=suite, bound=config.margin, difference=difference,
                     outcome=outcome, reason=reason, needed_items=needed_items)  # fmt: skip

    difference = kpi.interval(alpha=config.alpha) if kpi.pairs else None
    if difference is None or difference.n < config.min_items:
        return check("unsure", _too_few(kpi, "target", config), config.min_items - len(kpi.pairs))
    seen = f"target {kpi.kpi}: {_spelled(difference)}"
    if difference.low > config.margin:
        return check("pass", f"{seen}; better by more than {config.margin:g}")
    if difference.high < 0:
        return check("fail", f"{seen}; worse")
    if difference.high < config.margin + config.worthwhile:
        return check("fail", f"{seen}; an improvement of {config.margin + config.worthwhile:g} is ruled out")
    gap = max(difference.value - config.margin, config.worthwhile)
    needed = more_items(difference, gap, alpha=config.alpha, power=TARGET_POWER)
    return check(
        "unsure", f"{seen}; could be better than {config.margin:g} or not{_about(needed, gap, difference)}", needed
    )


def _check_guardrail(kpi: KpiComparison, suite: str, guardrail: GuardrailConfig, config: GateConfig) -> Check:
    def check(outcome: Outcome, reason: str, needed_items: int | None = None) -> Check:
        return Check(kpi=kpi.kpi, role="guardrail", suite=suite, bound=-allowed, difference=difference,
                     outcome=outcome, reason=reason, needed_items=needed_items)  # fmt: skip

    allowed = guardrail.allowed_regression
    difference = kpi.interval(alpha=config.alpha) if kpi.pairs else None
    if difference is None or difference.n < config.min_items:
        return check("unsure", _too_few(kpi, "guardrail", config), config.min_items - len(kpi.pairs))
    seen = f"guardrail {kpi.kpi} on {suite}: {_spelled(difference)}"
    # At the bound itself nothing is lost: with no regression allowed, "no worse" includes equal.
    if difference.low >= -allowed:
        return check("pass", f"{seen}; worse by no more than {allowed:g}")
    if difference.high < -allowed:
        return check("fail", f"{seen}; worse by more than {allowed:g}")
    # Planned for a model that is as good as the old one, unless it looks better than that.
    gap = max(difference.value, 0.0) + allowed or config.worthwhile
    needed = more_items(difference, gap, alpha=config.alpha, power=TARGET_POWER)
    return check(
        "unsure", f"{seen}; could be worse by more than {allowed:g} or not{_about(needed, gap, difference)}", needed
    )


def _find(name: str, suite: str | None, comparisons: Sequence[Comparison], *, where: str) -> KpiComparison:
    """The KPI of the named suite, or of the first comparison."""
    chosen = comparisons[0] if suite is None else next((c for c in comparisons if c.suite_name == suite), None)
    if chosen is None:
        known = ", ".join(sorted({c.suite_name for c in comparisons}))
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where=f"{where}.suite", found=repr(suite), expected=f"one of the suites compared: {known}",
                     fix="correct the name, or compare both models on that suite")],
        )  # fmt: skip
    if name not in chosen.kpis:
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where=where, found=f"KPI {name!r}", expected=f"one that was measured: {', '.join(chosen.kpis)}",
                     fix="correct the name, or add the grader to evaluate.graders")],
        )  # fmt: skip
    return chosen.kpis[name]


def _about(needed: int, gap: float, difference: Estimate) -> str:
    # More items of the same tasks say nothing of how tasks differ.
    spread = " in further tasks like these" if difference.method.find(" tasks (") > 0 else ""
    power = f"{100 * TARGET_POWER:.0f} % power"
    return f"; about {needed:,} more items{spread} would show a difference of {gap:.3g} with {power}"


def _spelled(difference: Estimate) -> str:
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}] over {difference.n} items"


def _too_few(kpi: KpiComparison, role: str, config: GateConfig) -> str:
    note = f" ({kpi.undecided} could not be graded)" if kpi.undecided else ""
    return f"{role} {kpi.kpi}: {len(kpi.pairs)} items in common{note}; the gate needs {config.min_items}"
