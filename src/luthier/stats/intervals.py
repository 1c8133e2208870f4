"""Intervals for means, proportions, ratios and paired differences, with and without clusters.

Letters: n items, G clusters, x one value an item, d = b - a one paired difference an item, alpha the error allowed on
both sides together (0.05 gives the house's 95 % intervals).

Means and paired differences over clusters (items of one task, say) take the bias-reduced sandwich estimator with the
degrees of freedom that fit it (CR2, Bell and McCaffrey 2002); with clusters of one size that is Student's t over the
clusters' means, and with unlike sizes it covers where G - 1 degrees of freedom do not. Scores in 0..1 take a score
interval whose design effect is averaged over what can be known of it (`luthier.stats.overdispersion`). A clustered
interval is never narrower than the one that ignores clusters: with few clusters the estimated variance between them is
often zero by luck (Angrist and Pischke, Mostly Harmless Econometrics, section 8.2.3). What each covers, and how wide
it is beside other methods, stands in docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from luthier.stats.overdispersion import averaged_score_bounds, correlation_weights, item_spread

Array = npt.NDArray[np.float64]
Values = Sequence[float] | Array

FEWEST_CLUSTERS = 5
"""With fewer, t on G - 1 degrees of freedom says next to nothing; see `usable_clusters`."""
ROBUST_CLUSTERS = 20
"""From here on the variance between clusters, as they are, is known well enough to widen a score interval."""
MANY_CLUSTERS = 300
"""With more, that variance alone is used; it covered 0.94 of p = 0.02 at 300 clusters of 20."""


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
    """A proportion with Wilson's score interval (1927), or the mid-p bound where that reaches further.

    centre = (p + z^2/2n) / (1 + z^2/n), half = z / (1 + z^2/n) * sqrt(p(1 - p)/n + z^2/4n^2). The mid-p bounds are
    those of Clopper and Pearson with half the probability of what was seen (Lancaster 1961). Both are short, and each
    falls to 0.92 where the other does not (Wilson's lower bound at few successes, mid-p's at some shares); together
    they cover at least 0.93 of every share from 0.02 to 0.98 from 30 items on, and are at most 4 % wider than Wilson.

    >>> proportion_interval(10, 10)
    Estimate(value=1.0, low=0.722..., high=1.0, n=10, method='Wilson or mid-p over items')
    """
    if not 0 <= successes <= n or n <= 0:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n > 0, found {successes} of {n}")
    low, high = _wilson(successes / n, n, _z(alpha))
    low, high = min(low, _mid_p_low(successes, n, alpha)), max(high, 1 - _mid_p_low(n - successes, n, alpha))
    return Estimate(successes / n, low, high, int(n), "Wilson or mid-p over items")


def clustered_mean_interval(values: Values, clusters: Sequence[Hashable], *, alpha: float = 0.05) -> Estimate:
    """The mean over items, t over clusters (CR2), never narrower than `mean_interval`.

    u_g = sum of cluster g - n_g mean, h_g = n_g / N, SE^2 = sum_g u_g^2 / (1 - h_g) / N^2; t on the Satterthwaite
    degrees of freedom of that sum for independent items, N^2 / (sum (w n)^2 (1 - 2h) + (sum w n h)^2) with w =
    1 / (1 - h) (Bell and McCaffrey 2002; Imbens and Kolesar 2016; Pustejovsky and Tipton 2018). With clusters of one
    size this is Student's t over their means. With one item a cluster it is `mean_interval`; with one cluster it is
    too, and `method` says so.
    """
    return _widened(mean_interval(values, alpha=alpha), _array(values), clusters, alpha=alpha)


def score_interval(values: Values, clusters: Sequence[Hashable] | None = None, *, alpha: float = 0.05) -> Estimate:
    """The mean of scores in 0..1 with a score interval, whose bounds never leave 0..1; widened for clusters.

    Items: `proportion_interval` where all are 0 or 1; else Wilson at n / phi items with t in place of z, where phi is
    the variance of the scores over p(1 - p) (`item_spread`). Clusters: Wilson at N / (phi (1 - rho) + (t/z)^2 rho m)
    items, averaged over the intraclass correlation rho as `luthier.stats.overdispersion` says, with t on G - 1 and m =
    sum(n^2) / N. It is built on a beta-binomial; from ROBUST_CLUSTERS clusters on, Wilson at the effective number of
    items that CR2 gives widens it where the data are not like that (Korn and Graubard 1998; Dean and Pagano 2015), and
    above MANY_CLUSTERS that alone is used.
    """
    x = _array(values)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"scores lie between 0 and 1, found {x.min():g} to {x.max():g}")
    naive = _item_scores(x, alpha)
    sums, sizes = _cluster_sums(x, np.ones_like(x), clusters)
    if clusters is None or len(sums) in (1, x.size):
        note = _one_cluster_note(clusters, len(sums))
        return Estimate(naive.value, naive.low, naive.high, naive.n, naive.method + note)
    bounds = [(naive.low, naive.high)]
    if len(sums) <= MANY_CLUSTERS:
        squares, _ = _cluster_sums(x**2, np.ones_like(x), clusters)
        bounds.append(_averaged(sums, squares, sizes, alpha))
    if len(sums) >= ROBUST_CLUSTERS:
        bounds.append(_score_cr2(sums, sizes, alpha))
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    return Estimate(naive.value, low, high, x.size, f"score interval over {len(sums)} clusters")


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
    return _widened(naive, d, clusters, alpha=alpha)


def unpaired_interval(
    a: Values,
    b: Values,
    clusters_a: Sequence[Hashable] | None = None,
    clusters_b: Sequence[Hashable] | None = None,
    *,
    alpha: float = 0.05,
) -> Estimate:
    """mean(b) - mean(a) of scores in 0..1 over different items, from the interval of each (`score_interval`).

    low = d - sqrt((b - low_b)^2 + (high_a - a)^2), high = d + sqrt((high_b - b)^2 + (a - low_a)^2): Newcombe's hybrid
    (1998, method 10), for any intervals by Zou and Donner 2008. The two samples must share no item and no cluster;
    what shares items is paired, and `paired_interval` sees more.

    >>> unpaired_interval([1] * 56 + [0] * 14, [1] * 48 + [0] * 32)
    Estimate(value=-0.2..., low=-0.33..., high=-0.05..., n=150, method='unpaired; a: Wilson or mid-p over items; ...
    """
    one, two = score_interval(a, clusters_a, alpha=alpha), score_interval(b, clusters_b, alpha=alpha)
    value = two.value - one.value
    low = value - math.hypot(two.value - two.low, one.high - one.value)
    high = value + math.hypot(two.high - two.value, one.value - one.low)
    method = f"unpaired; a: {one.method}; b: {two.method}"
    return Estimate(value, max(-1.0, low), min(1.0, high), one.n + two.n, method)


def _bonett_price(d: Array, alpha: float) -> Estimate:
    n = d.size
    up, down = ((d > 0).sum() + 1) / (n + 2), ((d < 0).sum() + 1) / (n + 2)
    half = _z(alpha) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    low, high = max(-1.0, float(up - down) - half), min(1.0, float(up - down) + half)
    return Estimate(float(d.mean()), low, high, n, "paired, Bonett-Price over items")


def _item_scores(x: Array, alpha: float) -> Estimate:
    p = float(x.mean())
    if np.isin(x, (0.0, 1.0)).all():
        return proportion_interval(float(x.sum()), x.size, alpha=alpha)
    if x.size == 1:
        return Estimate(p, 0.0, 1.0, 1, "Wilson with t over items")
    spread = item_spread(x.sum(keepdims=True), (x**2).sum(keepdims=True), np.array([float(x.size)]))
    low, high = _wilson(p, (x.size - 1) / spread, _t(x.size - 1, alpha))
    return Estimate(p, low, high, x.size, "Wilson with t over items")


def _averaged(sums: Array, squares: Array, sizes: Array, alpha: float) -> tuple[float, float]:
    spread = item_spread(sums, squares, sizes)
    rho, weights = correlation_weights(sums / spread, sizes / spread)
    total = float(sizes.sum())
    inflated = (_t(len(sums) - 1, alpha) / _z(alpha)) ** 2 * float((sizes**2).sum()) / total
    effective = total / (spread * (1 - rho) + inflated * rho)
    return averaged_score_bounds(float(sums.sum()) / total, effective, weights, alpha=alpha)


def _score_cr2(sums: Array, sizes: Array, alpha: float) -> tuple[float, float]:
    p, se, df = _cr2(sums, sizes)
    if se == 0:
        return p, p
    return _wilson(p, p * (1 - p) / se**2, _t(df, alpha))


def _widened(naive: Estimate, x: Array, clusters: Sequence[Hashable], *, alpha: float) -> Estimate:
    """`naive`, or the clustered interval where that reaches further."""
    sums, sizes = _cluster_sums(x, np.ones_like(x), clusters)
    if len(sums) in (1, x.size):
        note = _one_cluster_note(clusters, len(sums))
        return Estimate(naive.value, naive.low, naive.high, naive.n, naive.method + note)
    _, se, df = _cr2(sums, sizes)
    half = _t(df, alpha) * se
    low, high = min(naive.low, naive.value - half), max(naive.high, naive.value + half)
    prefix = "paired, " if naive.method.startswith("paired") else ""
    return Estimate(naive.value, low, high, naive.n, f"{prefix}t over {len(sums)} clusters (CR2)")


def _cr2(sums: Array, sizes: Array) -> tuple[float, float, float]:
    """The mean over items, its standard error and degrees of freedom; see `clustered_mean_interval`."""
    total = sizes.sum()
    mean, share = sums.sum() / total, sizes / total
    weight = 1 / (1 - share)
    se = math.sqrt(float((weight * (sums - sizes * mean) ** 2).sum())) / total
    spread = (weight**2 * sizes**2 * (1 - 2 * share)).sum() + (weight * sizes * share).sum() ** 2
    return float(mean), float(se), float(total**2 / spread)


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


def _mid_p_low(successes: float, n: float, alpha: float) -> float:
    """The share at which P(more than this) + P(this)/2 = alpha/2; 0 without a success."""
    if successes == 0:
        return 0.0
    low, high = 0.0, successes / n
    for _ in range(50):
        p = (low + high) / 2
        above = special.betainc(successes, n - successes + 1, p)
        more = special.betainc(successes + 1, n - successes, p) if successes < n else 0.0
        low, high = (p, high) if above + more < alpha else (low, p)
    return low


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


def _t(df: float, alpha: float) -> float:
    return float(special.stdtrit(df, 1 - alpha / 2))
