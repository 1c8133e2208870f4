"""Multinomial logistic regression on sparse rows, several times at once on different parts of them.

Letters: N rows, D columns, K classes, F fits; a fit sees the rows that its mask marks.

Each fit minimises, over weights W [D, K] and intercepts b [K],

    sum over its rows of -ln p(label)  +  penalty / 2 * (|W|^2 + |b|^2),     p = softmax(ln prior + x W + b)

with the prior that its rows show, so that the penalty pulls towards "as often as it was seen". The optimum is
W = X^T A, b = 1^T A for coefficients A [N, K] (representer theorem), and only these are kept: with the kernel
G = X X^T + 1, the logits are ln prior + G A, and the gradient in the geometry of W is the coefficients
R + penalty A, R = p - onehot(label). L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5) runs on A with
the inner product a . G c, which is the one of W. Steps are combinations of gradients, so one product with G an
iteration serves the directions and the line search. Memory goes with rows, not with columns.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MEMORY = 6
"""Pairs of steps and gradient changes that L-BFGS remembers."""
SUFFICIENT = 1e-4
"""The share of the expected decrease that a step must reach (Armijo; Nocedal and Wright, section 3.1)."""
_HALVINGS = 30

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


class _Image(NamedTuple):
    """Coefficients of all fits and their product with the kernel; both [F, K, N], rows last for fast sums."""

    own: Floats
    through: Floats

    def dot(self, other: _Image) -> Floats:
        """The inner product of the weights that the two stand for, for each fit; shape [F]."""
        found: Floats = np.einsum("fkn,fkn->f", self.own, other.through).astype(np.float64)
        return found

    def plus(self, other: _Image, times_F: Floats) -> _Image:
        factor = times_F[:, None, None].astype(self.own.dtype)
        return _Image(self.own + factor * other.own, self.through + factor * other.through)


class Fits(NamedTuple):
    """What the fits say of every row, seen or not."""

    probabilities_FKN: Floats
    gradient_F: Floats
    """Norm of the gradient at the end, over that at the start."""
    steps: int


def fit_logistic(
    rows: Any, labels: Ints, masks_FN: Marks, *, num_classes: int, penalty: float = 1.0, tolerance: float = 1e-3,
    max_steps: int = 200,
) -> Fits:  # fmt: skip
    """Fit F classifiers to CSR rows [N, D] with labels [N] in 0..K-1; deterministic, in the number format of the rows.

    It ends when every gradient is below `tolerance` times what it was at the start, or when no step helps. ValueError
    when a fit sees no row.
    """
    if not masks_FN.any(axis=1).all():
        raise ValueError("a fit sees no row")
    problem = _Problem(rows, labels, masks_FN, num_classes, penalty)
    zero = np.zeros((len(masks_FN), num_classes, rows.shape[0]), dtype=rows.dtype)
    point = _Image(zero, zero)
    value_F, residual = problem.at(point)
    slope = problem.slope(point, residual)
    first_F = last_F = np.sqrt(slope.dot(slope))
    pairs: deque[tuple[_Image, _Image, Floats]] = deque(maxlen=MEMORY)
    steps = 0
    while steps < max_steps and (last_F > tolerance * first_F).any():
        moved, value_F, residual = _searched(problem, point, value_F, slope, _direction(slope, pairs))
        new_slope = problem.slope(moved, residual)
        minus_F = np.full(len(masks_FN), -1.0)
        step, change = moved.plus(point, minus_F), new_slope.plus(slope, minus_F)
        pairs.append((step, change, step.dot(change)))
        if not step.own.any():
            break  # rounding hides any further decrease
        point, slope = moved, new_slope
        last_F = np.sqrt(slope.dot(slope))
        steps += 1
    return Fits(problem.probabilities(point), last_F / np.where(first_F > 0, first_F, 1.0), steps)


class _Problem:
    """The sums that are minimised, all fits side by side."""

    def __init__(self, rows: Any, labels: Ints, masks_FN: Marks, num_classes: int, penalty: float) -> None:
        self.rows, self.columns = rows, rows.T.tocsr()
        self.labels, self.penalty = labels, penalty
        self.masks_FN = masks_FN.astype(rows.dtype)
        self.onehot_KN = np.ascontiguousarray(np.eye(num_classes, dtype=rows.dtype)[labels].T)
        # A class that a fit never sees counts as half a row, so that its logarithm is a number.
        prior_FK = np.maximum(self.masks_FN @ self.onehot_KN.T, 0.5)
        self.log_prior_FK1 = np.log(prior_FK / prior_FK.sum(axis=1, keepdims=True))[:, :, None]

    def probabilities(self, point: _Image) -> Floats:
        found, _ = self._softmax(point)
        return found

    def at(self, point: _Image) -> tuple[Floats, Floats]:
        """The sums, shape [F], and R, shape [F, K, N]."""
        probabilities, losses_FN = self._softmax(point)
        values_F = (losses_FN * self.masks_FN).sum(axis=1, dtype=np.float64) + self.penalty / 2 * point.dot(point)
        probabilities -= self.onehot_KN
        probabilities *= self.masks_FN[:, None, :]
        return values_F, probabilities

    def slope(self, point: _Image, residual: Floats) -> _Image:
        """The gradient."""
        own = residual + self.penalty * point.own
        fits, classes, num_rows = own.shape
        flat = np.ascontiguousarray(own.reshape(fits * classes, num_rows).T)
        through = self.rows @ (self.columns @ flat) + flat.sum(axis=0)
        return _Image(own, np.ascontiguousarray(through.T).reshape(fits, classes, num_rows))

    def _softmax(self, point: _Image) -> tuple[Floats, Floats]:
        """Probabilities [F, K, N] and -ln p(label) [F, N]."""
        odds = self.log_prior_FK1 + point.through
        odds -= odds.max(axis=1, keepdims=True)
        of_label = np.einsum("fkn,kn->fn", odds, self.onehot_KN)
        np.exp(odds, out=odds)
        totals = odds.sum(axis=1)
        odds /= totals[:, None, :]
        return odds, np.log(totals) - of_label


def _direction(slope: _Image, pairs: deque[tuple[_Image, _Image, Floats]]) -> _Image:
    """The two-loop recursion, each fit with coefficients of its own."""
    found, alphas = slope, []
    for step, change, product_F in reversed(pairs):
        alpha_F = _ratio(step.dot(found), product_F)
        alphas.append(alpha_F)
        found = found.plus(change, -alpha_F)
    scale_F = np.full(len(slope.own), -1.0)
    if pairs:
        _, change, product_F = pairs[-1]
        ratio_F = _ratio(product_F, change.dot(change))
        scale_F = -np.where(ratio_F > 0, ratio_F, 1.0)
    scale = scale_F[:, None, None].astype(slope.own.dtype)
    found = _Image(found.own * scale, found.through * scale)
    for (step, change, product_F), alpha_F in zip(pairs, reversed(alphas), strict=True):
        beta_F = _ratio(change.dot(found), product_F)
        found = found.plus(step, -alpha_F - beta_F)
    return found


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _searched(
    problem: _Problem, point: _Image, value_F: Floats, slope: _Image, direction: _Image
) -> tuple[_Image, Floats, Floats]:
    """The point after a step that decreases each sum enough, the sums there and R; a fit that is done stays."""
    expected_F = slope.dot(direction)
    times_F = np.where(expected_F < 0, 1.0, 0.0)
    for _ in range(_HALVINGS):
        moved = point.plus(direction, times_F)
        reached_F, residual = problem.at(moved)
        is_enough = reached_F <= value_F + SUFFICIENT * times_F * expected_F
        if is_enough.all():
            return moved, reached_F, residual
        times_F = np.where(is_enough, times_F, times_F / 2)
    # Rounding hides the decrease: these fits are as good as they get.
    moved = point.plus(direction, np.where(is_enough, times_F, 0.0))
    return moved, *problem.at(moved)
