import doctest
import math

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from luthier.stats import overdispersion
from luthier.stats.intervals import proportion_interval, score_interval
from luthier.stats.overdispersion import averaged_score_bounds, correlation_weights, item_spread


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(overdispersion)
    assert result.attempted >= 1 and result.failed == 0


def mean_correlation(sums, sizes):
    """By scipy's beta-binomial and adaptive quadrature in both dimensions: slow and plain."""
    most = sum(n * n for n in sizes) / sum(sizes)

    def joint(p, rho):
        a, b = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
        prior = (1 - rho) ** 3 / (1 + (most - 1) * rho) / math.sqrt(p * (1 - p))
        return prior * math.prod(scipy_stats.betabinom.pmf(x, n, a, b) for x, n in zip(sums, sizes, strict=True))

    limits = (1e-4, 1 - 1e-3, 1e-4, 1 - 1e-4)
    options = {"epsabs": 0, "epsrel": 1e-4, "limit": 40}
    whole, first = (
        integrate.nquad(lambda p, rho, k=k: joint(p, rho) * rho**k, [limits[2:], limits[:2]], opts=options)[0]
        for k in (0, 1)
    )
    return first / whole


@pytest.mark.parametrize(
    ("sums", "sizes"), [([1, 2, 3, 2], [4, 4, 4, 4]), ([0, 6, 1, 5], [6, 6, 6, 6]), ([2, 1, 5], [9, 3, 6])]
)
def test_the_weights_are_the_posterior_by_plain_quadrature(sums, sizes):
    rho, weights = correlation_weights(np.array(sums, dtype=float), np.array(sizes, dtype=float))
    assert weights.sum() == pytest.approx(1) and (np.diff(rho) > 0).all()
    assert rho @ weights == pytest.approx(mean_correlation(sums, sizes), rel=0.03)


def test_clusters_that_differ_speak_for_a_correlation_and_equal_ones_against_it():
    sizes = np.full(8, 20.0)
    unlike = correlation_weights(np.array([0.0, 20, 0, 20, 0, 20, 0, 20]), sizes)
    alike = correlation_weights(np.full(8, 10.0), sizes)
    assert unlike[0] @ unlike[1] > 0.5 and alike[0] @ alike[1] < 0.02


def test_the_weights_do_not_depend_on_how_many_nodes_are_used(monkeypatch):
    sums, sizes = np.array([3.0, 900.0, 40.0, 0.0, 12.0]), np.array([50.0, 2000.0, 60.0, 7.0, 900.0])
    coarse = correlation_weights(sums, sizes)
    monkeypatch.setattr(overdispersion, "NUM_SHARES", 401)
    monkeypatch.setattr(overdispersion, "NUM_CORRELATIONS", 200)
    fine = correlation_weights(sums, sizes)
    assert coarse[0] @ coarse[1] == pytest.approx(fine[0] @ fine[1], rel=0.02)


def test_the_spread_of_right_and_wrong_is_one_and_of_graded_scores_their_variance():
    ids, ones = np.repeat([0, 1, 2], [4, 5, 6]), np.ones(15)

    def spread(x):
        return item_spread(*(np.bincount(ids, y) for y in (x, x**2, ones)))

    assert spread(np.array([1.0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 0])) == pytest.approx(1)
    x = np.random.default_rng(0).uniform(0.4, 0.6, 15)  # the mean is near 1/2, where no skewness is assumed
    means = np.bincount(ids, x)[ids] / np.bincount(ids)[ids]
    assert spread(x) == pytest.approx(((x - means) ** 2).sum() / (means * (1 - means)).sum(), rel=0.2)
    assert spread(np.full(15, 0.01)) > 0.5 and spread(np.zeros(15)) == 1 and spread(np.full(15, 0.5)) == 1e-6


def test_bounds_with_one_number_of_items_are_wilsons():
    for x, n in ((0, 20), (3, 40), (40, 40)):
        expected = scipy_stats.binomtest(x, n).proportion_ci(method="wilson")
        found = averaged_score_bounds(x / n, np.array([float(n)]), np.array([1.0]), alpha=0.05)
        assert found == pytest.approx([expected.low, expected.high], abs=1e-9)


def test_rare_events_in_few_clusters_are_covered_where_the_estimated_variance_is_not_trusted():
    rng, hits, naive = np.random.default_rng(2), 0, 0
    ids = np.repeat(np.arange(5), 40)
    for _ in range(300):
        x = (rng.random(200) < rng.beta(0.02 * 4, 0.98 * 4, 5)[ids]).astype(float)
        found, plain = score_interval(x, ids.tolist()), proportion_interval(x.sum(), 200)
        hits, naive = hits + (found.low <= 0.02 <= found.high), naive + (plain.low <= 0.02 <= plain.high)
    assert hits / 300 >= 0.93 and naive / 300 < 0.75


@pytest.mark.parametrize("shape", [(0.7, 0.3), (0.5, 0.5), (0.1, 0.4)])
def test_clusters_whose_size_goes_with_their_scores_are_covered_too(shape):
    """The large clusters have another share than the small ones, which no beta-binomial says."""
    rng, ids, hits = np.random.default_rng(3), np.repeat(np.arange(12), [30, 6] * 6), 0
    truth = (30 * shape[0] + 6 * shape[1]) / 36
    for _ in range(300):
        shares = rng.beta(5 * np.tile(shape, 6), 5 - 5 * np.tile(shape, 6))
        found = score_interval((rng.random(len(ids)) < shares[ids]).astype(float), ids.tolist())
        hits += found.low <= truth <= found.high
    assert hits / 300 >= 0.93
