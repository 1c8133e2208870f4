"""Does a swap of groups change how well a model answers? Two paired contrasts an attribute, by item.

    swapped - original   what the swap does, whichever way it went
    second - first       the score where the second group is named less that where the first is; items that name both
                         are not in it. Where a model prefers one group, and as many items name one as the other, the
                         first contrast cancels and this one does not.

Three answers. Equivalent: for both contrasts two one-sided tests (TOST) put the difference within the margin.
Different: the sign-flip test rules out zero for one of them, and equivalence is not shown. Else not enough evidence.
Equivalence of both needs each to be shown, which takes no correction (an intersection-union test); a difference of
either does (Bonferroni over the two). Over attributes both p values are Holm's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luthier.evaluate.bias.items import SwappedItems
from luthier.evaluate.kpis import in_words_of_tasks, task_clusters
from luthier.records import Example
from luthier.stats.equivalence import paired_equivalence
from luthier.stats.intervals import Estimate, paired_interval, proportion_interval
from luthier.stats.power import more_items
from luthier.stats.tests import holm, sign_flip_test

SwapAnswer = Literal["equivalent", "different", "not enough evidence"]
POWER = 0.8
SEED = 0
NEVER = 1.0
"""The p value of a test that has nothing to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One paired difference."""

    difference: Estimate
    """With its interval of 95 %."""
    tested: Estimate
    """With the interval that two one-sided tests at this level compare with the margin: 1 - 2 alpha / attributes."""
    p_equivalent: float
    p_different: float

    def to_json(self) -> dict[str, Any]:
        """value, low, high, n, method, and both p values."""
        return {**self.difference.to_json(), "p_equivalent": self.p_equivalent, "p_different": self.p_different}


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapResult:
    """What a swap of one attribute did."""

    attribute: str
    sides: tuple[str, str]
    answer: SwapAnswer
    margin: float
    swapped_minus_original: Contrast | None
    """None where no item could be swapped and graded."""
    second_minus_first: Contrast | None
    """None where no item names one side alone."""
    p_equivalent: float
    """Holm's, over attributes."""
    p_different: float
    changed: Estimate | None
    """Share of items whose score changed at all, in whichever direction."""
    needed_items: int | None
    """About how many more items that name the groups would settle it."""
    undecided: int
    """Items that one of the two answers could not be graded of."""
    left_out: Mapping[str, int]
    num_unconcerned: int

    @property
    def said(self) -> str:
        """The answer in words."""
        if self.needed_items is None:
            return self.answer
        return f"{self.answer} (about {self.needed_items:,} more items)"

    @property
    def widest(self) -> Contrast | None:
        """The contrast that is further from zero."""
        found = [one for one in (self.swapped_minus_original, self.second_minus_first) if one is not None]
        return max(found, key=lambda one: abs(one.difference.value), default=None)

    def line(self) -> str:
        """One line of text."""
        widest = self.widest
        seen = "no item could be swapped" if widest is None else f"{widest.difference} over {widest.difference.n} items"
        left_out = sum(self.left_out.values())
        return f"swap {self.attribute} | {self.said} | {seen} | margin {self.margin:g} | {left_out} left out"

    def to_json(self) -> dict[str, Any]:
        """A JSON object; value, low, high and n are of the contrast swapped - original."""
        first, second = self.swapped_minus_original, self.second_minus_first
        nothing = {"value": None, "low": None, "high": None, "n": 0, "method": "no item could be swapped and graded"}
        return {
            **(first.difference.to_json() if first else nothing), "attribute": self.attribute,
            "sides": list(self.sides), "answer": self.answer, "margin": self.margin,
            "p_equivalent": self.p_equivalent, "p_different": self.p_different,
            "swapped_minus_original": first.to_json() if first else None,
            "second_minus_first": second.to_json() if second else None,
            "changed": self.changed.to_json() if self.changed else None, "needed_items": self.needed_items,
            "undecided": self.undecided, "left_out": dict(self.left_out), "unconcerned": self.num_unconcerned,
        }  # fmt: skip


def swap_results(
    swapped: Sequence[SwappedItems],
    original_values: Mapping[str, float | None],
    swapped_values: Mapping[str, Mapping[str, float | None]],
    *,
    margin: float,
    alpha: float,
) -> list[SwapResult]:
    """A result for each attribute. Values by item id: of the originals, and by attribute of the swapped ones."""
    count = len(swapped)
    found = [_contrasts(one, original_values, swapped_values[one.attribute], margin, alpha / count) for one in swapped]
    p_equivalent = holm([max((c.p_equivalent for c in some if c), default=NEVER) for some, _, _ in found])
    p_different = holm([_bonferroni([c.p_different for c in some if c]) for some, _, _ in found])
    results = []
    for one, (some, changed, undecided), same, other in zip(swapped, found, p_equivalent, p_different, strict=True):
        answer: SwapAnswer = "equivalent" if same <= alpha else "different" if other <= alpha else "not enough evidence"
        is_open = answer == "not enough evidence"
        needed = max((_needed(c, margin, alpha / count) for c in some if c), default=None) if is_open else None
        results.append(SwapResult(
            attribute=one.attribute, sides=one.sides, answer=answer, margin=margin, swapped_minus_original=some[0],
            second_minus_first=some[1], p_equivalent=same, p_different=other, changed=changed, needed_items=needed,
            undecided=undecided, left_out=one.left_out, num_unconcerned=one.num_unconcerned,
        ))  # fmt: skip
    return results


Contrasts = tuple[Contrast | None, Contrast | None]


def _contrasts(
    found: SwappedItems, before: Mapping[str, float | None], after: Mapping[str, float | None], margin: float,
    level: float,
) -> tuple[Contrasts, Estimate | None, int]:  # fmt: skip
    """Both contrasts, the share of items that changed, and how many could not be graded."""
    rows = [(one, before.get(one.original.id), after.get(one.swapped.id)) for one in found.items]
    graded = [(one.original, one.direction, a, b) for one, a, b in rows if a is not None and b is not None]
    if not graded:
        return (None, None), None, len(rows)
    whole = _contrast([(item, a, b) for item, _, a, b in graded], margin, level)
    directed = [(item, a, b) if way > 0 else (item, b, a) for item, way, a, b in graded if way]
    by_side = _contrast(directed, margin, level) if directed else None
    changed = proportion_interval(sum(a != b for _, _, a, b in graded), len(graded))
    return (whole, by_side), changed, len(rows) - len(graded)


def _contrast(pairs: Sequence[tuple[Example, float, float]], margin: float, level: float) -> Contrast:
    items, a, b = ([pair[0] for pair in pairs], [pair[1] for pair in pairs], [pair[2] for pair in pairs])
    clusters = task_clusters(items)
    tost = paired_equivalence(a, b, clusters, margin=margin, alpha=level)
    differences = [after - before for before, after in zip(a, b, strict=True)]
    return Contrast(
        difference=in_words_of_tasks(paired_interval(a, b, clusters), items),
        tested=tost.difference,
        p_equivalent=tost.p,
        p_different=sign_flip_test(differences, clusters, seed=SEED) if any(differences) else NEVER,
    )


def _bonferroni(p_values: Sequence[float]) -> float:
    return min(NEVER, len(p_values) * min(p_values)) if p_values else NEVER


def _needed(contrast: Contrast, margin: float, level: float) -> int:
    """About how many more items show what is nearer: that the difference is within the margin, or that it is none of
    chance."""
    away = abs(contrast.tested.value)
    return more_items(contrast.tested, max(margin - away, away), alpha=2 * level, power=POWER)
