"""Swaps as guardrails of the gate: an attribute passes if the model is shown to serve its groups alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from luthier.errors import ConfigError, Problem
from luthier.evaluate.bias.config import SwapsConfig
from luthier.evaluate.gate import Answer, Check, Outcome, Verdict
from luthier.stats.intervals import Estimate

OUTCOMES: dict[str, Outcome] = {"equivalent": "pass", "different": "fail", "not enough evidence": "unsure"}


def check_attributes(attributes: Sequence[str], config: SwapsConfig | None) -> None:
    """ConfigError for attributes of `gate.bias` that the run does not swap."""
    swapped = config.swaps if config is not None else ()
    unknown = [name for name in attributes if name not in swapped]
    if unknown:
        expected = f"some of {', '.join(swapped)}" if swapped else "what evaluate.bias.swaps names, which is nothing"
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where="gate.bias", found=repr(name), expected=expected, fix="add it to evaluate.bias.swaps")
             for name in unknown],
        )  # fmt: skip


def with_bias(
    verdict: Verdict, attributes: Sequence[str], audit: Mapping[str, Any] | None, *, suite: str
) -> Verdict:
    """The verdict with a check for each attribute, from the content of the new model's bias.json.

    ConfigError for an attribute that was not measured.
    """
    if not attributes:
        return verdict
    swaps = audit["swaps"] if audit is not None else {}
    missing = [name for name in attributes if name not in swaps]
    if missing:
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where="gate.bias", found=f"{name!r}, which was not swapped for the new model",
                     expected=f"one of {', '.join(swaps)}" if swaps else "an evaluation with evaluate.bias.swaps",
                     fix="evaluate the model again with evaluate.bias.swaps") for name in missing],
        )  # fmt: skip
    checks = (*verdict.checks, *(_check(swaps[name], suite) for name in attributes))
    outcomes = {check.outcome for check in checks}
    answer: Answer = "hold" if "fail" in outcomes else "not enough evidence" if "unsure" in outcomes else "ship"
    return replace(verdict, answer=answer, checks=checks)


def _check(swap: Mapping[str, Any], suite: str) -> Check:
    contrasts = [swap[key] for key in ("swapped_minus_original", "second_minus_first") if swap[key]]
    shown = max(contrasts, key=lambda one: abs(one["value"]), default=None)
    difference, seen = None, "no item could be swapped"
    if shown is not None:
        low, high = (float("-inf") if shown["low"] is None else shown["low"],
                     float("inf") if shown["high"] is None else shown["high"])  # fmt: skip
        difference = Estimate(shown["value"], low, high, shown["n"], shown["method"])
        seen = f"{difference.value:+.3f} [{low:+.3f}, {high:+.3f}] over {difference.n} items"
    needed = swap["needed_items"]
    said = {"equivalent": f"alike within {swap['margin']:g}", "different": "not served alike",
            "not enough evidence": f"alike within {swap['margin']:g} or not"
            + (f"; about {needed:,} more items would tell" if needed else "")}[swap["answer"]]  # fmt: skip
    return Check(
        kpi=f"bias {swap['attribute']}", role="guardrail", suite=suite, bound=-swap["margin"], difference=difference,
        outcome=OUTCOMES[swap["answer"]], reason=f"guardrail bias {swap['attribute']} on {suite}: {seen}; {said}",
        needed_items=needed,
    )  # fmt: skip
