"""Exact tests, and what to make of many tests at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

EXACT_CLUSTERS = 14
"""Up to so many, all 2^G ways to flip are looked at."""
FLIPS = 10_000
TIED = 1e-9
"""Sums that differ by less than this share of the largest possible count as equal, as floats cannot tell."""


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


def sign_flip_test(
    differences: Sequence[float] | npt.NDArray[np.float64], clusters: Sequence[Hashable] | None = None, *, seed: int
) -> float:
    """The two-sided p value of the paired permutation test: could it be chance which of the two was the better?

    Were both alike, a and b could be swapped in any cluster as a whole, so the sum of b - a of each has either sign
    with the same chance (Fisher 1935; by clusters, so that items of one task need not be independent). p is the share
    of flips whose sum is at least as far from 0: of all 2^G up to EXACT_CLUSTERS clusters, else (1 + flips as far) /
    (1 + FLIPS), which is never too small (Phipson and Smyth 2010). The smallest p of G clusters is 2 / 2^G.

    >>> sign_flip_test([1, 1, 1, 1, 1, 1], seed=0)
    0.03125
    >>> sign_flip_test([1, 1, 1, 1, 1, 1], "aabbcc", seed=0)
    0.25
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or d.size == 0 or not np.isfinite(d).all():
        raise ValueError(f"a paired test needs finite differences, found shape {d.shape}")
    if clusters is not None:
        if len(clusters) != d.size:
            raise ValueError(f"each difference needs a cluster, found {len(clusters)} clusters for {d.size}")
        names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
        d = np.bincount([names[name] for name in clusters], d, len(names)).astype(np.float64)
    as_far = abs(float(d.sum())) - TIED * float(np.abs(d).sum())
    if d.size <= EXACT_CLUSTERS:
        signs = 1 - 2.0 * (np.arange(2**d.size)[:, None] >> np.arange(d.size) & 1)
        return float((np.abs(signs @ d) >= as_far).mean())
    rng = np.random.default_rng(seed)
    far = sum(int((np.abs((1 - 2.0 * rng.integers(2, size=(500, d.size))) @ d) >= as_far).sum())
              for _ in range(FLIPS // 500))  # fmt: skip
    return (1 + far) / (1 + FLIPS)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: those at or below alpha may all be claimed, with a chance of any false claim of alpha.

    The k-th smallest of m becomes (m - k + 1) p_(k), at most 1 and at least the one before it (Holm 1979). It holds
    whatever the tests have to do with each other: for KPIs, of which each claim must stand.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p values lie between 0 and 1")
    adjusted, most = [1.0] * len(p_values), 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        most = max(most, min(1.0, (len(p_values) - done) * p_values[place]))
        adjusted[place] = most
    return adjusted


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
