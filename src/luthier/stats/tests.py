"""Exact tests."""

from __future__ import annotations

from scipy import special


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """The two-sided p value of McNemar's exact test: could `only_a` against `only_b` be a fair coin's doing?

    `only_a` items were right under a alone, `only_b` under b alone; items on which both agree do not matter.
    p = min(1, 2 * P(X <= min(only_a, only_b))), X ~ Binomial(only_a + only_b, 1/2)   (McNemar 1947, exact form).

    >>> mcnemar_exact(1, 7)
    0.0703125
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"counts cannot be negative, found {only_a} and {only_b}")
    if only_a == only_b:
        return 1.0
    return min(1.0, 2.0 * float(special.bdtr(float(min(only_a, only_b)), only_a + only_b, 0.5)))
