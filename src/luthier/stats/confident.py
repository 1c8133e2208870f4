"""Confident learning: which labels are wrong, by what a classifier says of rows that it was not trained on.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (arXiv:1911.00068).

Letters: N rows, K classes. Probabilities are out of fold, each row sums to 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.optimize

SUREST_SHARE = 0.3
"""Of the rows: where the classifier is most certain, and differing labels are taken for errors."""
LOG_POWERS = (-1.5, 2.5)
"""Bounds of the logarithm of the power that calibrates probabilities."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


def class_thresholds(probabilities_NK: Floats, labels: Ints) -> Floats:
    """For each class the mean probability of it over the rows labelled so (equation 2); infinite for an unused class.

    >>> class_thresholds(np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]), np.array([0, 0, 1])).round(2).tolist()
    [0.7, 0.8]
    """
    classes = probabilities_NK.shape[1]
    own = probabilities_NK[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=own, minlength=classes)
    thresholds: Floats = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    return thresholds


def confident_joint(probabilities_NK: Floats, labels: Ints) -> Ints:
    """How many rows labelled i (line) are confidently j (column); shape [K, K] (equation 1).

    A row is confidently the most probable of the classes whose threshold its probability reaches; a row that reaches
    none is not counted.
    """
    classes = probabilities_NK.shape[1]
    # Rounding must not push a row below a mean that it equals, as where all rows of a class have one probability.
    reaches_NK = probabilities_NK >= class_thresholds(probabilities_NK, labels) - 1e-12
    likely = np.where(reaches_NK, probabilities_NK, -1.0).argmax(axis=1)
    is_counted = reaches_NK.any(axis=1)
    joint = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(joint, (labels[is_counted], likely[is_counted]), 1)
    return joint


def expected_wrong(joint: Ints, labels: Ints) -> Ints:
    """How many rows labelled i (line) are truly j (column), of all rows; whole numbers, 0 on the diagonal (equation 3).

    Each line of the joint is scaled to the number of rows with its label; a line without a confident row is all right.
    """
    counts = np.bincount(labels, minlength=len(joint))
    seen = joint.sum(axis=1)
    share = np.divide(joint, seen[:, None], out=np.zeros(joint.shape), where=seen[:, None] > 0)
    expected: Ints = np.rint(share * counts[:, None]).astype(np.int64)
    np.fill_diagonal(expected, 0)
    return expected


def likely_wrong(probabilities_NK: Floats, labels: Ints) -> Marks:
    """The rows whose label is wrong by both rules of the paper (method "C+NR" in section 3.2); shape [N].

    By class: of the rows labelled i, the n_i least probable, where n_i is how many of them should be wrong. By noise
    rate: of the rows labelled i, for each other j, the n_ij with the largest p_j - p_i. Equal ones go in order.
    """
    wrong = expected_wrong(confident_joint(probabilities_NK, labels), labels)
    own = probabilities_NK[np.arange(len(labels)), labels]
    by_class, by_rate = np.zeros(len(labels), dtype=bool), np.zeros(len(labels), dtype=bool)
    for label in np.flatnonzero(wrong.sum(axis=1)):
        rows = np.flatnonzero(labels == label)
        by_class[rows[np.argsort(own[rows], kind="stable")[: wrong[label].sum()]]] = True
        for other in np.flatnonzero(wrong[label]):
            margin = own[rows] - probabilities_NK[rows, other]
            by_rate[rows[np.argsort(margin, kind="stable")[: wrong[label, other]]]] = True
    return by_class & by_rate


class Evidence(NamedTuple):
    """What the classifier says against each label."""

    likely: Ints
    """The most probable other class; shape [N]."""
    odds: Floats
    """The expected number of rows wrongly labelled so, for each one rightly labelled so; 0 and up; shape [N]."""

    @property
    def confidence(self) -> Floats:
        """The probability that the label is wrong, 0 to 1."""
        return np.minimum(self.odds, 1.0)


def evidence(probabilities_NK: Floats, labels: Ints, *, allowed_NK: Marks | None = None) -> Evidence:
    """How probable it is that each label is wrong and the most probable other class right.

    A row labelled i with the text of class j is there either because somebody erred, which happens to noise / (K - 1)
    of the rows of class j, or because texts of class j are now and then of class i. Both together are p_i, so

        P(wrong) = noise / (K - 1) * p_j / p_i,      at most 1, and 0 where p_i is the larger.

    For that p must be calibrated: it is raised to the power that makes the labels most probable (temperature scaling,
    Guo et al., arXiv:1706.04599). `noise` is how often labels differ from the classifier where it is most certain:
    there texts of one class are hardly ever of another, so what remains is error (the anchor points of Liu and Tao,
    arXiv:1411.7718). With `allowed_NK`, K counts the classes that a row may have.
    """
    rows_N = np.arange(len(labels))
    scaled_NK = calibrated(probabilities_NK, labels)
    surest = np.argsort(-scaled_NK.max(axis=1), kind="stable")[: round(SUREST_SHARE * len(labels))]
    differing = int((scaled_NK[surest].argmax(axis=1) != labels[surest]).sum())
    # Jeffreys' prior: no difference among few rows is no proof that there is no error.
    noise = (differing + 0.5) / (len(surest) + 1)
    own_N = scaled_NK[rows_N, labels]
    others_NK = scaled_NK.copy()
    others_NK[rows_N, labels] = -1.0
    likely = others_NK.argmax(axis=1)
    best_N = others_NK[rows_N, likely]
    others_N = scaled_NK.shape[1] - 1 if allowed_NK is None else np.maximum(allowed_NK.sum(axis=1) - 1, 1)
    odds = noise / others_N * best_N / np.maximum(own_N, 1e-300)
    return Evidence(likely, np.where(best_N > own_N, odds, 0.0))


def calibrated(probabilities_NK: Floats, labels: Ints) -> Floats:
    """The probabilities to the power that makes the labels most probable, each row summing to 1 again."""
    logs_NK = np.log(np.maximum(probabilities_NK, 1e-12))
    own_N = logs_NK[np.arange(len(labels)), labels]

    def loss(log_power: float) -> float:
        power = math.exp(log_power)
        return float((_logsumexp_rows(power * logs_NK) - power * own_N).sum())

    found = scipy.optimize.minimize_scalar(loss, bounds=LOG_POWERS, method="bounded", options={"xatol": 1e-3})
    powered_NK = math.exp(found.x) * logs_NK
    scaled: Floats = np.exp(powered_NK - _logsumexp_rows(powered_NK)[:, None])
    return scaled


def _logsumexp_rows(values_NK: Floats) -> Floats:
    """ln of the sum of exp over each row; shape [N]."""
    most_N = values_NK.max(axis=1)
    found: Floats = most_N + np.log(np.exp(values_NK - most_N[:, None]).sum(axis=1))
    return found
