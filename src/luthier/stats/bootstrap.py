"""Intervals by resampling whole clusters, for numbers that are compared over the same tasks in many arms.

Letters: G clusters (tasks, say), W draws, alpha the error allowed on both sides together.

A draw takes G clusters with replacement, each with all that was measured on it, so what is paired within a cluster
stays paired (Cameron, Gelbach and Miller 2008). The plain percentile interval is too narrow where there are few
clusters: the spread of the draws lacks the factor G/(G - 1) and the quantiles are those of a normal. So the tail is
moved out to

    tail = Phi(-sqrt(G / (G - 1)) * t(G - 1, 1 - alpha/2))

which is the expanded percentile interval of Hesterberg (2015, "What Teachers Should Know About the Bootstrap"): on
normal data it is Student's t, and on skewed data it keeps the skew that the draws show. In simulations of clusters of
20 right or wrong answers (bell-shaped and heavily skewed means, paired differences; 1000 each) it covered 0.92 to
0.94 with 6 clusters, 0.93 to 0.95 with 10 and 0.94 to 0.97 with 24 or 40; the plain percentile interval 0.83 to 0.88,
0.89 to 0.92 and 0.92 to 0.96.

It speaks for further clusters of the kind. It says nothing of further runs of the same training: report several
seeds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from scipy import special

from luthier.stats.intervals import FEWEST_CLUSTERS, Array, Estimate

DRAWS = 10_000


def bootstrap_mean(
    values_G: Sequence[float] | Array, *, seed: int, draws: int = DRAWS, alpha: float = 0.05
) -> Estimate:
    """The mean of one number a cluster, each cluster counting the same; the interval resamples clusters.

    >>> str(bootstrap_mean([0.2, 0.4, 0.4, 0.5, 0.5, 0.6, 0.7, 0.9], seed=1))
    '0.525 [0.350, 0.712]'
    """
    x = np.asarray(values_G, dtype=np.float64)
    return bootstrap_ratio(x, np.ones_like(x), seed=seed, draws=draws, alpha=alpha)


def bootstrap_ratio(
    numerators_G: Sequence[float] | Array,
    denominators_G: Sequence[float] | Array,
    *,
    seed: int,
    draws: int = DRAWS,
    alpha: float = 0.05,
) -> Estimate:
    """sum(numerators) / sum(denominators) of one pair a cluster; the interval resamples clusters.

    With fewer than FEWEST_CLUSTERS clusters the bounds are infinite and `method` says why.
    """
    x, y = (np.asarray(v, dtype=np.float64) for v in (numerators_G, denominators_G))
    _check(x, y)
    count = x.size
    value = float(x.sum() / y.sum())
    if count < FEWEST_CLUSTERS:
        method = f"no interval: {count} clusters, {FEWEST_CLUSTERS} are needed"
        return Estimate(value, -math.inf, math.inf, count, method)
    times_WG = _times(count, seed, draws)
    tail = tail_share(count, alpha)
    low, high = np.quantile(times_WG @ x / (times_WG @ y), [tail, 1 - tail])
    return Estimate(value, float(low), float(high), count, f"bootstrap over {count} clusters, {draws} draws, expanded")


def bootstrap_paired(
    a: Sequence[float] | Array,
    b: Sequence[float] | Array,
    clusters: Sequence[Hashable],
    *,
    seed: int,
    draws: int = DRAWS,
    alpha: float = 0.05,
) -> Estimate:
    """The mean of b - a over the same items in the same order; the interval resamples clusters, pairs staying pairs.

    `bootstrap_ratio` of each cluster's sum of differences and number of items, so large clusters count for more.

    >>> str(bootstrap_paired([0, 0, 0, 0, 1, 1], [1, 0, 1, 1, 1, 0], "abcdef", seed=1))
    '0.333 [-0.500, 1.000]'
    """
    d = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    if len(clusters) != d.size:
        raise ValueError(f"each pair needs a cluster, found {len(clusters)} clusters for {d.size} pairs")
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    places = np.array([names[name] for name in clusters])
    sums, sizes = (np.bincount(places, x, len(names)).astype(np.float64) for x in (d, np.ones_like(d)))
    return bootstrap_ratio(sums, sizes, seed=seed, draws=draws, alpha=alpha)


def bootstrap_within(
    items: Sequence[Sequence[float] | Array], *, seed: int, draws: int = DRAWS, alpha: float = 0.05
) -> Estimate:
    """The mean over tasks of the mean of each one's items, where the tasks are too few to be resampled.

    Items are drawn with replacement within every task: the interval speaks for further items of these very tasks.
    With a task of fewer than FEWEST_CLUSTERS items the bounds are infinite.
    """
    values = [np.asarray(x, dtype=np.float64) for x in items]
    for x in values:
        _check(x, np.ones_like(x))
    value = float(np.mean([x.mean() for x in values]))
    count, fewest = sum(x.size for x in values), min(x.size for x in values)
    if fewest < FEWEST_CLUSTERS:
        return Estimate(value, -math.inf, math.inf, count, f"no interval: {len(values)} tasks, one of {fewest} items")
    rng = np.random.default_rng(seed)
    sums_W = sum(rng.multinomial(x.size, np.full(x.size, 1 / x.size), size=draws) @ x / x.size for x in values)
    tail = tail_share(fewest, alpha)
    low, high = np.quantile(sums_W / len(values), [tail, 1 - tail])
    method = f"bootstrap of items within {len(values)} tasks, {draws} draws, expanded; nothing is said of other tasks"
    return Estimate(value, float(low), float(high), count, method)


def tail_share(count: int, alpha: float) -> float:
    """The share of draws left out on either side, for `count` clusters (formula above).

    >>> round(tail_share(10, 0.05), 4), round(tail_share(100_000, 0.05), 4)
    (0.0086, 0.025)
    """
    t = float(special.stdtrit(count - 1, 1 - alpha / 2))
    return float(special.ndtr(-math.sqrt(count / (count - 1)) * t))


@lru_cache(maxsize=8)
def _times(count: int, seed: int, draws: int) -> Array:
    """How often each cluster is taken, by draw; kept, since a study asks for the same again and again."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return drawn.astype(np.float64)


def _check(x: Array, y: Array) -> None:
    if x.ndim != 1 or x.size == 0 or x.shape != y.shape:
        raise ValueError(f"a bootstrap needs one pair a cluster, found shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a bootstrap needs finite values; leave out what could not be told")
    if not (y > 0).all():
        raise ValueError("the denominators of a ratio are above zero")
