import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import minimize

from luthier.stats.logistic import fit_logistic


def made(rng, *, rows=80, columns=25, classes=3, density=0.3):
    """Rows of length 1 and labels that lean on the first columns."""
    values = rng.random((rows, columns)) * (rng.random((rows, columns)) < density)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    labels = (values[:, :classes] * 3 + rng.gumbel(size=(rows, classes)) * 0.3).argmax(axis=1)
    return scipy.sparse.csr_matrix(values), labels


def reference(rows, labels, *, classes, penalty, prior_labels=None):
    """Weights, intercepts and log priors of one fit by scipy's own minimiser, in the plain parameters."""
    values = rows.toarray()
    counts = np.maximum(np.bincount(labels if prior_labels is None else prior_labels, minlength=classes), 0.5)
    prior = np.log(counts / counts.sum())

    def loss(flat):
        weights, intercepts = flat[:-classes].reshape(-1, classes), flat[-classes:]
        odds = prior + values @ weights + intercepts
        total = np.log(np.exp(odds).sum(axis=1)) - odds[np.arange(len(labels)), labels]
        return total.sum() + penalty / 2 * (flat**2).sum()

    found = minimize(
        loss, np.zeros((values.shape[1] + 1) * classes), method="BFGS", options={"gtol": 1e-7, "maxiter": 4000}
    )
    return found.x[:-classes].reshape(-1, classes), found.x[-classes:], prior, found.fun


@pytest.mark.parametrize(("classes", "penalty"), [(2, 1.0), (3, 0.5), (4, 2.0)])
def test_the_fit_is_that_of_a_plain_minimiser(classes, penalty):
    rows, labels = made(np.random.default_rng(classes), rows=50, columns=9, classes=classes)
    fits = fit_logistic(
        rows, labels, np.ones((1, 50), dtype=bool), num_classes=classes, penalty=penalty, tolerance=1e-8
    )
    weights, intercepts, prior, _ = reference(rows, labels, classes=classes, penalty=penalty)
    odds = np.exp(prior + rows.toarray() @ weights + intercepts)
    np.testing.assert_allclose(fits.probabilities_FKN[0].T, odds / odds.sum(axis=1, keepdims=True), atol=2e-6)


def test_a_fit_says_of_rows_that_it_does_not_see_what_one_on_its_rows_alone_says():
    rows, labels = made(np.random.default_rng(5), rows=60, columns=9)
    mask = np.random.default_rng(6).random(60) < 0.7
    fits = fit_logistic(rows, labels, mask[None], num_classes=3, tolerance=1e-8)
    weights, intercepts, prior, _ = reference(rows[mask], labels[mask], classes=3, penalty=1.0)
    odds = np.exp(prior + rows.toarray() @ weights + intercepts)
    np.testing.assert_allclose(fits.probabilities_FKN[0].T, odds / odds.sum(axis=1, keepdims=True), atol=2e-6)


def test_several_fits_at_once_are_each_the_fit_alone():
    rng = np.random.default_rng(7)
    rows, labels = made(rng)
    masks = rng.random((4, 80)) < 0.75
    together = fit_logistic(rows, labels, masks, num_classes=3, tolerance=1e-9).probabilities_FKN
    for mask, found in zip(masks, together, strict=True):
        alone = fit_logistic(rows, labels, mask[None], num_classes=3, tolerance=1e-9).probabilities_FKN[0]
        np.testing.assert_allclose(found, alone, atol=1e-7)


def test_the_gradient_at_the_end_is_as_small_as_asked_for():
    rows, labels = made(np.random.default_rng(8), rows=200)
    masks = np.ones((2, 200), dtype=bool)
    loose = fit_logistic(rows, labels, masks, num_classes=3, tolerance=1e-1)
    tight = fit_logistic(rows, labels, masks, num_classes=3, tolerance=1e-6)
    assert loose.steps < tight.steps < 200
    assert loose.gradient_F.max() <= 1e-1 and tight.gradient_F.max() <= 1e-6


def test_without_columns_probabilities_are_the_shares_of_the_labels():
    labels = np.array([0, 0, 0, 1])
    rows = scipy.sparse.csr_matrix((4, 5))
    found = fit_logistic(rows, labels, np.ones((1, 4), dtype=bool), num_classes=2, tolerance=1e-10).probabilities_FKN
    np.testing.assert_allclose(found[0, :, 0], [0.75, 0.25], atol=1e-9)


def test_float32_rows_give_nearly_the_same_and_take_the_same_way():
    rows, labels = made(np.random.default_rng(9), rows=150)
    mask = np.ones((1, 150), dtype=bool)
    exact = fit_logistic(rows, labels, mask, num_classes=3, tolerance=1e-2)
    single = fit_logistic(rows.astype(np.float32), labels, mask, num_classes=3, tolerance=1e-2)
    assert single.probabilities_FKN.dtype == np.float32
    np.testing.assert_allclose(single.probabilities_FKN, exact.probabilities_FKN, atol=1e-4)


def test_a_class_that_a_fit_never_sees_is_improbable_and_finite():
    rows, labels = made(np.random.default_rng(10))
    mask = (labels != 2)[None]
    found = fit_logistic(rows, labels, mask, num_classes=3).probabilities_FKN[0]
    assert np.isfinite(found).all() and 0 < found[2].max() < 0.1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_fit_that_rounding_keeps_from_its_aim_ends(kind):
    rows, labels = made(np.random.default_rng(12))
    mask = np.ones((1, 80), dtype=bool)
    fits = fit_logistic(rows.astype(kind), labels, mask, num_classes=3, tolerance=0.0, max_steps=5_000)
    assert fits.steps < 1_000 and fits.gradient_F.max() < 1e-3


def test_a_fit_without_rows_is_refused():
    rows, labels = made(np.random.default_rng(11))
    with pytest.raises(ValueError, match="no row"):
        fit_logistic(rows, labels, np.zeros((1, 80), dtype=bool), num_classes=3)
