"""Clustered shares where clusters are few or events rare: what can be known of how alike the items of a cluster are.

The usual variance between clusters is an estimate from G numbers. Where 2 % of the items are right, most clusters have
none, that estimate is often near zero by luck, and an interval that trusts it misses the truth (Dean and Pagano 2015
found the same; with 5 clusters of 100 items and an intraclass correlation of 0.2 it covered 0.63 in `bench`). Here the
correlation is not estimated but averaged over: a beta-binomial says how probable each value of it is, and each gives a
score interval of its own design effect.

Letters: G clusters, R nodes of the correlation rho, K nodes of the share p; x successes and n items of a cluster, N
items together, m = sum(n^2) / N the size of the cluster that an item is in, on average; phi the spread of one item's
score as a share of p (1 - p), which is 1 for right or wrong and less for graded scores.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

PRIOR_POWER = 3.0
"""Of 1 - rho in the prior. With 2, intervals at p = 0.02 were 6 to 10 % wider; with 5, the least coverage was 0.92."""
SKEW_WEIGHT = 3.0
"""The squared skewness of the mean of right-or-wrong answers at which half of a missing spread is assumed."""
LEAST_SPREAD = 1e-6
"""Of phi, for scores that are all the same."""
NUM_CORRELATIONS, NUM_SHARES = 24, 41
SPAN = 8.0
"""The shares that are integrated over reach this far to both sides, in logits."""


def item_spread(sums_G: Array, squares_G: Array, sizes_G: Array) -> float:
    """phi: the variance of scores within clusters over sum(n p_g (1 - p_g)), between 0 and 1; p_g is a cluster's mean.

    For right or wrong it is 1. Among skewed scores the rare large ones, which make the variance, are easily missed; so
    phi is moved towards 1 by k / (3 + k), where k = (1 - 2p)^2 / (N p (1 - p)) is the squared skewness that a mean of
    right-or-wrong answers would have: 0.34 for 30 items at 0.02, 0.07 at 0.1, nothing at 0.5.
    """
    means = sums_G / sizes_G
    most = float((sizes_G * means * (1 - means)).sum())
    within = float((squares_G - sizes_G * means**2).sum())
    phi = within / most if most > 0 else 1.0
    total = float(sizes_G.sum())
    p = float(sums_G.sum()) / total
    if not 0 < p < 1:
        return 1.0
    skew = (1 - 2 * p) ** 2 / (total * p * (1 - p))
    return min(1.0, max(LEAST_SPREAD, phi + (1 - phi) * skew / (SKEW_WEIGHT + skew)))


def correlation_weights(sums_G: Array, sizes_G: Array) -> tuple[Array, Array]:
    """Nodes of the intraclass correlation and how probable each is, both [R]; the weights add up to 1.

    The likelihood is beta-binomial, B(x + a, n - x + b) / B(a, b) with a = p (1 - rho) / rho and b = (1 - p) a / p
    (Skellam 1948), integrated over p with Jeffreys' prior. The prior of rho is (1 - rho)^3 / (1 + (m - 1) rho): the
    denominator is that of the reference prior of the one-way layout (Datta and Ghosh 1995), flat in the logarithm of
    the design effect. Counts may be fractions: graded scores enter as x / phi and n / phi.
    """
    total, most = float(sizes_G.sum()), float((sizes_G**2).sum() / sizes_G.sum())
    edges = np.concatenate([[0.0], np.geomspace(min(3e-4, 0.03 / most), 0.95, NUM_CORRELATIONS - 1), [1.0]])
    rho_R = np.sqrt(edges[:-1] * edges[1:])
    rho_R[0] = edges[1] / 2
    prior_R = (_prior(edges[:-1], most) + 4 * _prior(rho_R, most) + _prior(edges[1:], most)) * np.diff(edges)
    p_K, log_weight_K = _shares((float(sums_G.sum()) + 0.5) / (total + 1), total)
    odds_R = (1 - rho_R) / rho_R
    a_KR, b_KR = p_K[:, None] * odds_R, (1 - p_K)[:, None] * odds_R
    pairs, times = np.unique(np.stack([sums_G, sizes_G]), axis=1, return_counts=True)
    # ln B(x + a, n - x + b) by its three parts, of which the last does not depend on p: a + b = (1 - rho) / rho.
    alone_KR = special.gammaln(a_KR) + special.gammaln(b_KR) - special.gammaln(odds_R)
    logs_KR = log_weight_K[:, None] - times.sum() * alone_KR
    for x, n, count in zip(*pairs, times, strict=True):
        both_KR = special.gammaln(x + a_KR) + special.gammaln(max(n - x, 0.0) + b_KR)
        logs_KR += count * (both_KR - special.gammaln(n + odds_R))
    weights_R = np.exp(logs_KR - logs_KR.max()).sum(axis=0) * prior_R
    return rho_R, weights_R / weights_R.sum()


def averaged_score_bounds(p: float, effective_R: Array, weights_R: Array, *, alpha: float) -> tuple[float, float]:
    """The bounds of a share p by a score interval whose number of items is known only up to its weights.

    The bounds are where sum_r w_r Phi((q - p) sqrt(n_r / (q (1 - q)))) is alpha/2 and 1 - alpha/2; with one n this is
    Wilson's interval.

    >>> low, high = averaged_score_bounds(0.1, np.array([50.0]), np.array([1.0]), alpha=0.05)
    >>> round(low, 4), round(high, 4)
    (0.0435, 0.2136)
    """
    roots_R = np.sqrt(effective_R)

    def found(share: float) -> float:
        low, high = -40.0, 40.0
        for _ in range(60):
            middle = (low + high) / 2
            q = 1 / (1 + math.exp(-middle))
            # sqrt(q (1 - q)) by the logit, which stays exact where q is near 0 or 1.
            at = float(weights_R @ special.ndtr((q - p) * roots_R * (2 * math.cosh(middle / 2))))
            low, high = (middle, high) if at < share else (low, middle)
        return 1 / (1 + math.exp(-low))

    return (0.0 if p == 0 else found(alpha / 2)), (1.0 if p == 1 else found(1 - alpha / 2))


def _prior(rho: Array, most: float) -> Array:
    found: Array = (1 - rho) ** PRIOR_POWER / (1 + (most - 1) * rho)
    return found


def _shares(centre: float, total: float) -> tuple[Array, Array]:
    """Nodes of p around `centre`, dense where the likelihood may be narrow, and the logarithm of their weights."""
    scale = 1 / math.sqrt((total + 1) * centre * (1 - centre))
    steps = np.linspace(-1, 1, NUM_SHARES) * math.asinh(SPAN / scale)
    p = special.expit(special.logit(centre) + scale * np.sinh(steps))
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return p, np.log(np.cosh(steps)) + 0.5 * (np.log(p) + np.log1p(-p))
