"""How many items a claim needs, asked before they are spent, and what a number of items can see."""

from __future__ import annotations

import math

from scipy import special

from luthier.stats.intervals import Estimate


def items_for_difference(difference: float, *, sd: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items needed to see a paired mean difference of this size with this power.

    n = (z(1 - alpha/2) + z(power))^2 * sd^2 / difference^2, where sd is that of b - a over items, or what
    `difference_sd` makes of its parts (Miller 2024, arXiv:2411.00640).

    >>> items_for_difference(0.03, sd=1 / 3)
    969
    """
    if difference == 0:
        raise ValueError("a difference of zero cannot be seen with any number of items")
    return math.ceil((_sum_of_z(alpha, power) * sd / difference) ** 2)


def detectable_difference(items: int, *, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest paired mean difference that so many items show with this power: (z + z) * sd / sqrt(n).

    >>> round(detectable_difference(969, sd=1 / 3), 4)
    0.03
    """
    if items < 1:
        raise ValueError(f"at least one item is needed, found {items}")
    return _sum_of_z(alpha, power) * sd / math.sqrt(items)


def difference_sd(
    *,
    between: float,
    within_a: float = 0.0,
    within_b: float = 0.0,
    samples: int = 1,
    cluster_size: float = 1.0,
    correlation: float = 0.0,
) -> float:
    """The sd that the functions of this file take, from its parts.

    sqrt((w^2 + sA^2/K + sB^2/K) * (1 + (m - 1) rho)): w is the sd over items of the expected difference, sA and sB
    that of one answer about its item's mean, K the answers drawn for an item (Miller 2024, section 3), m the items of
    a cluster and rho the correlation of differences within one (Kish 1965). More answers lower sA and sB alone.

    >>> round(difference_sd(between=0.2, within_a=0.4, within_b=0.4, samples=4), 4)
    0.3464
    """
    if samples < 1 or cluster_size < 1 or not 0 <= correlation <= 1:
        found = f"{samples} samples, clusters of {cluster_size} and a correlation of {correlation}"
        raise ValueError(f"samples and clusters are at least 1 and a correlation lies in 0..1, found {found}")
    variance = between**2 + (within_a**2 + within_b**2) / samples
    return math.sqrt(variance * (1 + (cluster_size - 1) * correlation))


def more_items(difference: Estimate, gap: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """How many further items would tell `gap` from zero, at the spread that these items show, clusters included.

    `alpha` is also that of the estimate's interval, whose half width over z gives SE; sd = SE sqrt(n). At least 1.

    >>> more_items(Estimate(0.02, -0.02, 0.06, 400, "paired"), 0.03)
    1053
    """
    z = float(special.ndtri(1 - alpha / 2))
    sd = (difference.high - difference.low) / (2 * z) * math.sqrt(difference.n)
    return max(1, items_for_difference(gap, sd=sd, alpha=alpha, power=power) - difference.n)


def _sum_of_z(alpha: float, power: float) -> float:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(f"alpha and power lie between 0 and 1, found {alpha} and {power}")
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
