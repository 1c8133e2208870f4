"""How many items a claim needs, asked before they are spent."""

from __future__ import annotations

import math

from scipy import special


def items_for_difference(difference: float, *, sd: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items needed to see a paired mean difference of this size with this power.

    n = (z(1 - alpha/2) + z(power))^2 * sd^2 / difference^2, where sd is that of b - a over items. Drawing K answers an
    item lowers it: sd^2 = w^2 + sA^2/K + sB^2/K (Miller 2024, arXiv:2411.00640). With clusters, pass SE * sqrt(n).

    >>> items_for_difference(0.03, sd=1 / 3)
    969
    """
    if difference == 0:
        raise ValueError("a difference of zero cannot be seen with any number of items")
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(f"alpha and power lie between 0 and 1, found {alpha} and {power}")
    z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    return math.ceil((z * sd / difference) ** 2)
