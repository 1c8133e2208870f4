"""Are two models alike? Not "no difference was seen", but "a difference that matters is ruled out"."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from luthier.stats.intervals import Estimate, Values, paired_interval


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What two one-sided tests say."""

    difference: Estimate
    """b - a with its interval of 1 - 2 alpha, the one that the tests compare with the margin."""
    margin: float
    p: float
    """The smallest alpha at which both tests reject."""
    is_equivalent: bool
    """The interval lies within the margin on both sides."""


def paired_equivalence(
    a: Values,
    b: Values,
    clusters: Sequence[Hashable] | None = None,
    *,
    margin: float,
    alpha: float = 0.05,
) -> Equivalence:
    """Two one-sided tests (TOST, Schuirmann 1987) that mean(b - a) lies between -margin and margin.

    Each test has level alpha, so alike is claimed of unlike models at most so often; both reject where the interval of
    1 - 2 alpha lies within the margin. The interval is `paired_interval`, so right or wrong answers, graded ones and
    clusters are all handled as the gate handles them.

    >>> paired_equivalence([1, 0] * 200, [1, 0] * 200, margin=0.02).is_equivalent
    True
    >>> paired_equivalence([1, 0] * 20, [1, 0] * 20, margin=0.02).is_equivalent
    False
    """
    if not margin > 0 or not 0 < alpha < 0.5:
        raise ValueError(f"a margin above 0 and alpha below 0.5 are needed, found {margin} and {alpha}")

    def is_within(level: float) -> bool:
        found = paired_interval(a, b, clusters, alpha=2 * level)
        return -margin < found.low and found.high < margin

    low, high = 0.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if is_within(middle) else (middle, high)
    difference = paired_interval(a, b, clusters, alpha=2 * alpha)
    return Equivalence(difference, margin, high, is_within(alpha))
