"""How far two labellers agree, and how far beyond what chance alone would make.

Letters: n items labelled by both, p_ij the share that the first labels i and the second j, p_i. and p_.j its margins.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from luthier.stats.intervals import Estimate, proportion_interval


class Agreement(NamedTuple):
    """Of two labellers of the same items."""

    raw: Estimate
    """The share of items with one label."""
    kappa: Estimate | None
    """Cohen's kappa, 1 for full agreement and 0 for that of chance; None where one of them gives one label alone."""

    def to_json(self) -> dict[str, Any]:
        """raw and kappa, each with value, low, high, n and method."""
        return {"raw": self.raw.to_json(), "kappa": self.kappa.to_json() if self.kappa else None}

    def __str__(self) -> str:
        return f"agreement {self.raw}, Cohen's kappa {self.kappa or 'undefined'}, n {self.raw.n}"


def agreement(first: Sequence[Hashable], second: Sequence[Hashable], *, alpha: float = 0.05) -> Agreement:
    """Raw agreement and Cohen's kappa of labels [n] and [n]; ValueError for none, or lists of unlike length.

    kappa = (p_o - p_e) / (1 - p_e), p_o = sum p_ii, p_e = sum p_i. p_.i (Cohen 1960), with the large-sample standard
    error of Fleiss, Cohen and Everitt (1969), cut at -1 and 1; where that is 0, from the bounds of the raw agreement.

    >>> agreement("aabb", "aaba").kappa.value
    0.5
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"two lists of labels of one length are needed, found {len(first)} and {len(second)}")
    labels = {label: number for number, label in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        table[labels[one], labels[other]] += 1
    n = len(first)
    raw = proportion_interval(float(np.trace(table)), n, alpha=alpha)
    shares = table / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    expected = float(rows @ columns)
    if max(rows.max(), columns.max()) > 1 - 1e-12:  # kappa is then 0 or undefined whatever the other says
        return Agreement(raw, None)
    kappa = (float(np.trace(shares)) - expected) / (1 - expected)
    same = np.diag(shares) @ (1 - (rows + columns) * (1 - kappa)) ** 2
    sums = (columns[:, None] + rows[None, :]) ** 2
    unlike = (1 - kappa) ** 2 * ((shares * sums).sum() - np.diag(shares * sums).sum())
    variance = (same + unlike - (kappa - expected * (1 - kappa)) ** 2) / (n * (1 - expected) ** 2)
    if variance > 1e-12:
        half = float(special.ndtri(1 - alpha / 2)) * math.sqrt(float(variance))
        low, high, method = kappa - half, kappa + half, "Fleiss, Cohen and Everitt over items"
    else:  # full agreement, or none: as sure as the raw agreement is
        low, high = ((bound - expected) / (1 - expected) for bound in (raw.low, raw.high))
        method = "from the bounds of the raw agreement, over items"
    return Agreement(raw, Estimate(kappa, max(-1.0, low), min(1.0, high), n, method))
