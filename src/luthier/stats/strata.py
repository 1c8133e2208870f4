"""Two groups compared within strata: an exact test, and the difference of their shares with its interval.

Letters: S strata; in each, n1 items of the first group of which x1 have the outcome, and n2 and x2 of the second;
N = n1 + n2, m = x1 + x2. Only what differs within a stratum counts, so strata may differ in their shares as they like.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from luthier.stats.intervals import Array, Estimate

TIED = 1e-7
"""Tables whose probabilities differ by less than this share count as equally likely, as floats cannot tell."""


class Strata(NamedTuple):
    """The counts of all strata, each [S]."""

    with_1: Array
    of_1: Array
    with_2: Array
    of_2: Array


def stratified_exact(counts: Strata) -> float:
    """The two-sided p value of the exact test that within no stratum the groups differ.

    Given the margins of every stratum, x1 is hypergeometric in each, and the sum of x1 over strata has the convolution
    of these as its distribution (Gart 1970, Mehta, Patel and Gray 1985). p adds up the sums that are no more likely
    than the one seen. With one stratum this is Fisher's exact test.

    >>> round(stratified_exact(Strata(*map(np.array, ([3.0], [3.0], [0.0], [3.0])))), 6)
    0.1
    """
    _check(counts)
    pmf, start = np.ones(1), 0
    for x1, n1, x2, n2 in zip(*(column.astype(int).tolist() for column in counts), strict=True):
        m, low = x1 + x2, max(0, x1 + x2 - n2)
        k = np.arange(low, min(n1, m) + 1)
        if len(k) == 1:  # the margins leave one way: nothing to learn from
            start += low
            continue
        logs = _log_choose(n1, k) + _log_choose(n2, m - k) - _log_choose(n1 + n2, np.array([m]))
        pmf, start = np.convolve(pmf, np.exp(logs)), start + low
    seen = pmf[int(counts.with_1.sum()) - start]
    return float(min(1.0, pmf[pmf <= seen * (1 + TIED)].sum()))


def stratified_difference(counts: Strata, *, alpha: float = 0.05) -> Estimate:
    """The share of the outcome in the first group less that in the second, over strata, with a score interval.

    The estimate is that of Mantel and Haenszel, sum(w (x1/n1 - x2/n2)) / sum(w) with w = n1 n2 / N; the interval that
    of Klingenberg 2014 (Statistics in Medicine 33, 2968), which uses the variance of Sato 1989 and keeps its width
    where a share is 0 or 1:

        P = (n1^2 x2 - n2^2 x1 + n1 n2 (n2 - n1)/2) / N^2,   Q = (x1 (n2 - x2) + x2 (n1 - x1)) / (2 N)
        middle = d + z^2 sum(P) / (2 sum(w)^2),   half = sqrt(middle^2 - d^2 + z^2 sum(Q) / sum(w)^2)

    Strata without items of both groups say nothing. ValueError where no stratum has both.
    """
    _check(counts)
    has_both = (counts.of_1 > 0) & (counts.of_2 > 0)
    x1, n1, x2, n2 = (column[has_both].astype(np.float64) for column in counts)
    if not len(x1):
        raise ValueError("no stratum has items of both groups")
    total = n1 + n2
    weight = float((n1 * n2 / total).sum())
    d = float(((x1 * n2 - x2 * n1) / total).sum()) / weight
    p = float(((n1**2 * x2 - n2**2 * x1 + n1 * n2 * (n2 - n1) / 2) / total**2).sum()) / weight**2
    q = float(((x1 * (n2 - x2) + x2 * (n1 - x1)) / (2 * total)).sum()) / weight**2
    z2 = float(special.ndtri(1 - alpha / 2)) ** 2
    middle = d + z2 * p / 2
    half = math.sqrt(max(0.0, middle**2 - d**2 + z2 * q))
    low, high = max(-1.0, min(d, middle - half)), min(1.0, max(d, middle + half))
    return Estimate(d, low, high, int(total.sum()), f"Mantel-Haenszel over {len(x1)} strata")


def _log_choose(n: int, k: Array) -> Array:
    found: Array = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return found


def _check(counts: Strata) -> None:
    for some, of in ((counts.with_1, counts.of_1), (counts.with_2, counts.of_2)):
        if not (len(some) == len(of) == len(counts.of_1) and (some >= 0).all() and (some <= of).all()):
            raise ValueError("a stratum needs 0 <= items with the outcome <= items, in both groups")
