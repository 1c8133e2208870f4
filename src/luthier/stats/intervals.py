"""Intervals for means, proportions, ratios and paired differences, with and without clusters.

Letters: n items, G clusters, x one value an item, d = b - a one paired difference an item, alpha the error allowed on
both sides together (0.05 gives the house's 95 % intervals).

Clusters (items of one task, say) are handled by the delete-one-cluster jackknife with t on G - 1 degrees of freedom. In
a simulation of 3 to 24 clusters (normal, skewed and three-valued data; equal and log-normal sizes) it covered 0.87 to
0.97; the sandwich estimator with t covered 0.83 to 0.97, and the cluster bootstrap 0.70 to 0.93, so neither is used.
A clustered interval is never narrower than the one that ignores clusters: with few clusters the estimated variance
between them is often zero by luck (Angrist and Pischke, Mostly Harmless Econometrics, section 8.2.3).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Values = Sequence[float] | Array

FEWEST_CLUSTERS = 5
"""With fewer, t on G - 1 degrees of freedom says next to nothing; see `usable_clusters`."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate, its interval, and how both were made."""

    value: float
    low: float
    """-inf where one item (or cluster) cannot say."""
    high: float
    n: int
    """Items that the estimate rests on."""
    method: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an infinite bound is null."""
        low, high = (bound if math.isfinite(bound) else None for bound in (self.low, self.high))
        return {"value": self.value, "low": low, "high": high, "n": self.n, "method": self.method}

    def __str__(self) -> str:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return f"{self.value:.3f} [no interval: n={self.n}]"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values: Values, *, alpha: float = 0.05) -> Estimate:
    """The mean with Student's t: mean(x) +- t(n - 1, 1 - alpha/2) * sd(x) / sqrt(n).

    >>> mean_interval([1.0, 2.0, 3.0])
    Estimate(value=2.0, low=-0.484..., high=4.484..., n=3, method='t over items')
    """
    x = _array(values)
    half = _t(x.size - 1, alpha) * x.std(ddof=1) / math.sqrt(x.size) if x.size > 1 else math.inf
    return _around(float(x.mean()), half, n=x.size, method="t over items")


def proportion_interval(successes: float, n: float, *, alpha: float = 0.05) -> Estimate:
    """A proportion with Wilson's score interval (Wilson 1927; recommended by Brown, Cai and DasGupta 2001).

    centre = (p + z^2/2n) / (1 + z^2/n), half = z / (1 + z^2/n) * sqrt(p(1 - p)/n + z^2/4n^2).

    >>> proportion_interval(10, 10)
    Estimate(value=1.0, low=0.722..., high=1.0, n=10, method='Wilson over items')
    """
    if not 0 <= successes <= n or n <= 0:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n > 0, found {successes} of {n}")
    low, high = _wilson(successes / n, n, _z(alpha))
    return Estimate(successes / n, low, high, int(n), "Wilson over items")


def clustered_mean_interval(values: Values, clusters: Sequence[Hashable], *, alpha: float = 0.05) -> Estimate:
    """The mean over items with the cluster jackknife (see `ratio_interval`), never narrower than `mean_interval`.

    With one item a cluster this is `mean_interval`; with one cluster it is too, and `method` says so.
    """
    x = _array(values)
    naive = mean_interval(values, alpha=alpha)
    return _widened(naive, x, np.ones_like(x), clusters, alpha=alpha)


def score_interval(values: Values, clusters: Sequence[Hashable] | None = None, *, alpha: float = 0.05) -> Estimate:
    """The mean of scores in 0..1: Wilson where all are 0 or 1, else t cut to 0..1; widened for clusters.

    Clustered 0/1 scores use Wilson at the effective n = p(1 - p) / SE^2 with t in place of z (Dean and Pagano 2015), so
    that a bound never leaves 0..1. Where all items agree no variance between clusters can be seen, and n is n.
    """
    x = _array(values)
    is_binary = bool(np.isin(x, (0.0, 1.0)).all())
    naive = proportion_interval(float(x.sum()), x.size, alpha=alpha) if is_binary else mean_interval(x, alpha=alpha)
    sums, sizes = _cluster_sums(x, np.ones_like(x), clusters)
    if clusters is None or len(sums) in (1, x.size):
        return _within(naive, 0.0, 1.0, method=naive.method + _one_cluster_note(clusters, len(sums)))
    p, se = _jackknife(sums, sizes)
    t = _t(len(sums) - 1, alpha)
    if is_binary and se > 0:
        low, high = _wilson(p, p * (1 - p) / se**2, t)
    else:
        low, high = p - t * se, p + t * se
    kind = "Wilson" if is_binary else "t"
    method = f"{kind} over {len(sums)} clusters (jackknife)"
    wide = Estimate(naive.value, min(low, naive.low), max(high, naive.high), x.size, method)
    return _within(wide, 0.0, 1.0, method=method)


def ratio_interval(
    numerators: Values,
    denominators: Values,
    clusters: Sequence[Hashable] | None = None,
    *,
    alpha: float = 0.05,
) -> Estimate:
    """sum(numerators) / sum(denominators), say log-likelihood per byte, by the delete-one jackknife.

    theta_g is the ratio without cluster (or item) g; SE^2 = (G - 1)/G * sum_g (theta_g - theta)^2; t on G - 1
    (Miller 1974; for clusters CR3 of MacKinnon, Nielsen and Webb 2023). With all denominators 1 and no clusters
    this is exactly `mean_interval`.
    """
    x, y = _array(numerators), _array(denominators)
    sums, sizes = _cluster_sums(x, y, clusters)
    method = "jackknife t over items" if clusters is None else f"jackknife t over {len(sums)} clusters"
    if not y.sum() > 0:
        raise ValueError(f"a ratio needs denominators that add up to more than 0, found {y.sum():g}")
    value = float(x.sum() / y.sum())
    if len(sums) < 2 or not (sizes.sum() > sizes).all():  # one holds all there is: without it there is no ratio
        return _around(value, math.inf, n=x.size, method=method)
    _, se = _jackknife(sums, sizes)
    return _around(value, _t(len(sums) - 1, alpha) * se, n=x.size, method=method)


def usable_clusters(labels: Sequence[Hashable | None]) -> list[Hashable] | None:
    """The cluster of each item: its label (its task, say), or itself where it has none.

    None when there are fewer than FEWEST_CLUSTERS labels: the interval then speaks for further items under these labels
    only, and should say so.
    """
    known = {label for label in labels if label is not None}
    if len(known) < FEWEST_CLUSTERS:
        return None
    return [("item", index) if label is None else label for index, label in enumerate(labels)]


def paired_interval(
    a: Values, b: Values, clusters: Sequence[Hashable] | None = None, *, alpha: float = 0.05
) -> Estimate:
    """The mean of b - a over the same items in the same order; widened for clusters.

    Where every difference is -1, 0 or 1 (right or wrong answers), Bonett and Price (2012): one imagined item is added
    to each kind of disagreement, so that "no differences seen" still has a width; else t over the differences.

    >>> paired_interval([0, 0, 1, 1], [1, 0, 1, 1])
    Estimate(value=0.25, low=-0.383..., high=0.716..., n=4, method='paired, Bonett-Price over items')
    """
    if len(a) != len(b):
        raise ValueError(f"a paired difference needs one b for each a, found {len(a)} and {len(b)}")
    d = _array(b) - _array(a)
    if np.isin(d, (-1.0, 0.0, 1.0)).all():
        naive = _bonett_price(d, alpha)
    else:
        t = mean_interval(d, alpha=alpha)
        naive = Estimate(t.value, t.low, t.high, t.n, "paired, t over items")
    if clusters is None:
        return naive
    return _widened(naive, d, np.ones_like(d), clusters, alpha=alpha)


def _bonett_price(d: Array, alpha: float) -> Estimate:
    n = d.size
    up, down = ((d > 0).sum() + 1) / (n + 2), ((d < 0).sum() + 1) / (n + 2)
    half = _z(alpha) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    low, high = max(-1.0, float(up - down) - half), min(1.0, float(up - down) + half)
    return Estimate(float(d.mean()), low, high, n, "paired, Bonett-Price over items")


def _widened(naive: Estimate, x: Array, sizes_n: Array, clusters: Sequence[Hashable], *, alpha: float) -> Estimate:
    """`naive`, or the cluster jackknife's interval where that reaches further."""
    sums, sizes = _cluster_sums(x, sizes_n, clusters)
    if len(sums) in (1, x.size):
        note = _one_cluster_note(clusters, len(sums))
        return Estimate(naive.value, naive.low, naive.high, naive.n, naive.method + note)
    _, se = _jackknife(sums, sizes)
    half = _t(len(sums) - 1, alpha) * se
    low, high = min(naive.low, naive.value - half), max(naive.high, naive.value + half)
    prefix = "paired, " if naive.method.startswith("paired") else ""
    return Estimate(naive.value, low, high, naive.n, f"{prefix}t over {len(sums)} clusters (jackknife)")


def _jackknife(sums: Array, sizes: Array) -> tuple[float, float]:
    """The ratio of totals and its delete-one standard error."""
    theta = sums.sum() / sizes.sum()
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    count = len(sums)
    return float(theta), math.sqrt((count - 1) / count * float(((without - theta) ** 2).sum()))


def _cluster_sums(x: Array, sizes: Array, clusters: Sequence[Hashable] | None) -> tuple[Array, Array]:
    if clusters is None:
        return x, sizes
    if len(clusters) != x.size:
        raise ValueError(f"each item needs a cluster, found {len(clusters)} clusters for {x.size} items")
    names = {name: index for index, name in enumerate(dict.fromkeys(clusters))}
    index = np.array([names[name] for name in clusters])
    totals = [np.bincount(index, weights, len(names)).astype(np.float64) for weights in (x, sizes)]
    return totals[0], totals[1]


def _one_cluster_note(clusters: Sequence[Hashable] | None, count: int) -> str:
    return "; one cluster, so nothing is said of others" if clusters is not None and count == 1 else ""


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    scale = 1 + z**2 / n
    centre = (p + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-17.
    return (0.0 if p == 0 else centre - half), (1.0 if p == 1 else centre + half)


def _within(estimate: Estimate, low: float, high: float, *, method: str) -> Estimate:
    return Estimate(estimate.value, max(low, estimate.low), min(high, estimate.high), estimate.n, method)


def _around(value: float, half: float, *, n: int, method: str) -> Estimate:
    return Estimate(value, float(value - half), float(value + half), n, method)


def _array(values: Values) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"an interval needs at least one value, found shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("an interval needs finite values; leave out what could not be told")
    return x


def _z(alpha: float) -> float:
    return float(special.ndtri(1 - alpha / 2))


def _t(df: int, alpha: float) -> float:
    return float(special.stdtrit(df, 1 - alpha / 2))
