"""Intervals of the literature that Luthier's are measured beside; plain float64, one sample a call.

Each takes what was seen and returns its two bounds. None of them is used by Luthier as it stands here.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Bounds = tuple[float, float]
Z = float(special.ndtri(0.975))


def wilson(x: float, n: float, z: float = Z) -> Bounds:
    """Wilson 1927."""
    p, scale = x / n, 1 + z * z / n
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    centre = (p + z * z / (2 * n)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def wald(x: float, n: float) -> Bounds:
    """The textbook's p +- z sqrt(p (1 - p) / n)."""
    half = Z * math.sqrt(x / n * (1 - x / n) / n)
    return x / n - half, x / n + half


def jeffreys(x: float, n: float) -> Bounds:
    """Quantiles of Beta(x + 1/2, n - x + 1/2); 0 and 1 at the ends (Brown, Cai and DasGupta 2001)."""
    low, high = (float(special.betaincinv(x + 0.5, n - x + 0.5, share)) for share in (0.025, 0.975))
    return (0.0 if x == 0 else low), (1.0 if x == n else high)


def clopper_pearson(x: float, n: float) -> Bounds:
    """Clopper and Pearson 1934, exact."""
    low = 0.0 if x <= 0 else float(special.betaincinv(x, n - x + 1, 0.025))
    return low, (1.0 if x >= n else float(special.betaincinv(x + 1, n - x, 0.975)))


def agresti_coull(x: float, n: float) -> Bounds:
    """Agresti and Coull 1998."""
    low, high = wald(x + Z * Z / 2, n + Z * Z)
    return max(0.0, low), min(1.0, high)


def newcombe_paired(up: int, down: int, both: int, neither: int) -> Bounds:
    """Newcombe 1998, method 10: Wilson's bounds of both shares, with their correlation."""
    n = up + down + both + neither
    b, a = (both + up) / n, (both + down) / n
    (low_b, high_b), (low_a, high_a) = wilson(both + up, n), wilson(both + down, n)
    product = (both + up) * (both + down) * (n - both - up) * (n - both - down)
    phi = (both * neither - up * down) / math.sqrt(product) if product else 0.0
    if phi > 0:
        phi = max(both * neither - up * down - n / 2, 0) / math.sqrt(product)
    one, two, three, four = b - low_b, high_a - a, high_b - b, a - low_a
    return (b - a - math.sqrt(max(0.0, one**2 - 2 * phi * one * two + two**2)),
            b - a + math.sqrt(max(0.0, three**2 - 2 * phi * three * four + four**2)))  # fmt: skip


def tango(up: int, down: int, n: int) -> Bounds:
    """Tango 1998: the score interval of a paired difference."""

    def score(delta: float) -> float:
        b = -up - down + (2 * n - up + down) * delta
        c = -down * delta * (1 - delta)
        q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        variance = n * (2 * q + delta * (1 - delta))
        return (up - down - n * delta) / math.sqrt(variance) if variance > 0 else math.inf * (up - down - n * delta)

    def where(target: float) -> float:
        low, high = -1 + 1e-12, 1 - 1e-12
        for _ in range(45):
            middle = (low + high) / 2
            low, high = (middle, high) if score(middle) > target else (low, middle)
        return low

    return where(Z), where(-Z)


def cluster_sums(x: Array, clusters: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Sum and number of items of each cluster."""
    return np.bincount(clusters, x).astype(np.float64), np.bincount(clusters).astype(np.float64)


def jackknife(sums: Array, sizes: Array) -> tuple[float, float, float]:
    """Mean over items, delete-one-cluster standard error (CR3), Student's quantile on G - 1."""
    count = len(sums)
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    p = float(sums.sum() / sizes.sum())
    se = math.sqrt((count - 1) / count * float(((without - p) ** 2).sum()))
    return p, se, float(special.stdtrit(count - 1, 0.975))


def jackknife_t(sums: Array, sizes: Array) -> Bounds:
    """p +- t SE."""
    p, se, t = jackknife(sums, sizes)
    return p - t * se, p + t * se


def wilson_effective(sums: Array, sizes: Array) -> Bounds:
    """Wilson at p (1 - p) / SE^2 items with t, never narrower than Wilson (Dean and Pagano 2015)."""
    p, se, t = jackknife(sums, sizes)
    naive = wilson(float(sums.sum()), float(sizes.sum()))
    if se == 0:
        return naive
    n = p * (1 - p) / se**2
    found = wilson(p * n, n, t)
    return min(naive[0], found[0]), max(naive[1], found[1])


def korn_graubard(sums: Array, sizes: Array) -> Bounds:
    """Clopper and Pearson at the effective number of items, at most N, with (t_items / t_clusters)^2 (1998)."""
    p, se, t = jackknife(sums, sizes)
    total = float(sizes.sum())
    ratio = (float(special.stdtrit(total - 1, 0.975)) / t) ** 2
    n = total if se == 0 else min(total, p * (1 - p) / se**2 * ratio)
    return clopper_pearson(p * n, n)


def logit_t(sums: Array, sizes: Array) -> Bounds:
    """p +- t SE on the logit scale; Clopper and Pearson where there is no variance to be seen."""
    p, se, t = jackknife(sums, sizes)
    if se == 0 or not 0 < p < 1:
        return clopper_pearson(float(sums.sum()), float(sizes.sum()))
    half = t * se / (p * (1 - p))
    return float(special.expit(special.logit(p) - half)), float(special.expit(special.logit(p) + half))
