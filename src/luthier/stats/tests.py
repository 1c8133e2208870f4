"""Exact tests, and what to make of many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

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


def benjamini_hochberg(p_values: Sequence[float], *, rate: float) -> list[bool]:
    """Which tests are discoveries, so that at most `rate` of these are false on average (Benjamini, Hochberg 1995).

    The k smallest p values of m are discoveries, k the largest with p_(k) <= k / m * rate. It holds for tests that are
    independent or positively dependent (Benjamini and Yekutieli 2001). Where no test has anything to find, the chance
    of any discovery is at most `rate`.

    >>> benjamini_hochberg([0.01, 0.9, 0.02, 0.2], rate=0.05)
    [True, False, True, False]
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p values lie between 0 and 1")
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    last = max((k for k, at in enumerate(order, 1) if p_values[at] <= k / len(order) * rate), default=0)
    found = set(order[:last])
    return [k in found for k in range(len(p_values))]
