"""The rate at which b wins over a, had both been of one length.

Letters: n comparisons, y in [0, 1] (1: b wins, 0: a wins, between them ties), d = length of b - length of a.

    P(b wins) = sigmoid(alpha + beta tanh(d / sd(d)))          reported: sigmoid(alpha), the length term at zero

after the length-controlled win rate of Dubois et al. (arXiv:2404.04475), whose terms for each request are left out. The
fit maximises sum y ln p + (1 - y) ln(1 - p) + 1/2 ln |X' W X| (Firth 1993), so that it is finite though one side wins
every time. The interval is Wald's on the scale of alpha, with the larger of two variances: that of the model, and the
sandwich over clusters. It corrects for what length does on average to this judge. It does not make a judge safe against
answers that are written to please it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from luthier.stats.intervals import Estimate

Array = npt.NDArray[np.float64]
MOST_STEPS, TOLERANCE, HALVINGS = 100, 1e-10, 30
FEWEST = 10
"""Comparisons below which two terms are not fitted."""


class LengthControlled(NamedTuple):
    """A win rate with the length term at zero."""

    rate: Estimate
    beta: float
    """Of the length term, in logits: above 0 the judge prefers the longer answer. 0 where no length differs."""


def length_controlled(
    wins: Sequence[float], differences: Sequence[float], clusters: Sequence[Hashable] | None = None, *,
    alpha: float = 0.05,
) -> LengthControlled | None:  # fmt: skip
    """The rate for wins [n] and differences of length [n], in characters say; None for fewer than FEWEST.

    ValueError for wins outside 0..1 or lists of unlike length.
    """
    y, d = np.asarray(wins, dtype=float), np.asarray(differences, dtype=float)
    if y.shape != d.shape or y.ndim != 1:
        raise ValueError(f"wins and differences are lists of one length, found {y.shape} and {d.shape}")
    if len(y) < FEWEST:
        return None
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError("wins lie between 0 and 1")
    spread = float(d.std())
    columns = [np.ones_like(y)] + ([np.tanh(d / spread)] if spread > 0 else [])
    x = np.stack(columns, axis=1)
    weights = fit_firth(x, y)
    half = float(special.ndtri(1 - alpha / 2)) * math.sqrt(_variance(x, y, weights, clusters))
    value, low, high = (float(special.expit(weights[0] + side)) for side in (0.0, -half, half))
    what = "logistic regression on tanh(length difference / sd), length term at zero"
    rate = Estimate(value, low, high, len(y), what if spread > 0 else "logistic regression; no length differs")
    return LengthControlled(rate, float(weights[1]) if spread > 0 else 0.0)


def fit_firth(x: Array, y: Array) -> Array:
    """Weights [D] of a logistic regression of y [n] in 0..1 on x [n, D], with the penalty of Firth (Biometrika 1993).

    Newton's steps on the modified score X'(y - p + h (1/2 - p)), h the leverages, halved until the likelihood grows.
    """
    weights = np.zeros(x.shape[1])
    value = _likelihood(x, y, weights)
    for _ in range(MOST_STEPS):
        p = special.expit(x @ weights)
        inverse = np.linalg.inv(_information(x, p))
        leverage = p * (1 - p) * np.einsum("nd,de,ne->n", x, inverse, x)
        step = inverse @ (x.T @ (y - p + leverage * (0.5 - p)))
        for _ in range(HALVINGS):
            moved = _likelihood(x, y, weights + step)
            if moved >= value:
                break
            step = step / 2
        else:
            return weights  # rounding hides any further growth
        weights, value = weights + step, moved
        if float(np.abs(step).max()) < TOLERANCE:
            break
    return weights


def _likelihood(x: Array, y: Array, weights: Array) -> float:
    logits = x @ weights
    _, log_determinant = np.linalg.slogdet(_information(x, special.expit(logits)))
    return float((y * special.log_expit(logits) + (1 - y) * special.log_expit(-logits)).sum() + log_determinant / 2)


def _information(x: Array, p: Array) -> Array:
    found: Array = (x * (p * (1 - p))[:, None]).T @ x
    return found


def _variance(x: Array, y: Array, weights: Array, clusters: Sequence[Hashable] | None) -> float:
    """Of the intercept: the model's, or the sandwich over clusters where that is larger."""
    p = special.expit(x @ weights)
    bread = np.linalg.inv(_information(x, p))
    scores = x * (y - p)[:, None]
    if clusters is not None:
        _, group = np.unique([str(label) for label in clusters], return_inverse=True)
        scores = np.stack([np.bincount(group, column) for column in scores.T], axis=1)
    count = len(scores)
    sandwich = bread @ (scores.T @ scores) @ bread * count / max(count - 1, 1)
    return float(max(bread[0, 0], sandwich[0, 0]))
