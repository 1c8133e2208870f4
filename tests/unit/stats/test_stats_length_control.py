import numpy as np
import pytest
from scipy import optimize, special

from luthier.stats.length_control import FEWEST, fit_firth, length_controlled


def drawn(n, *, alpha, beta, seed):
    """Comparisons by a judge who prefers b by alpha and longer answers by beta."""
    random = np.random.default_rng(seed)
    d = random.normal(80, 200, n).round()
    wins = random.random(n) < special.expit(alpha + beta * np.tanh(d / d.std()))
    return wins.astype(float), d


def slow_firth(x, y):
    """The penalised likelihood, maximised without derivatives."""

    def minus(weights):
        p = special.expit(x @ weights)
        information = sum(p[i] * (1 - p[i]) * np.outer(x[i], x[i]) for i in range(len(x)))
        return -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() - 0.5 * np.log(np.linalg.det(information))

    return optimize.minimize(minus, np.zeros(x.shape[1]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}).x


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_that_of_a_plain_search(seed):
    random = np.random.default_rng(seed)
    x = np.stack([np.ones(25), np.tanh(random.normal(size=25))], axis=1)
    y = random.choice([0.0, 0.25, 0.5, 1.0], 25)
    assert fit_firth(x, y) == pytest.approx(slow_firth(x, y), abs=1e-5)


def test_a_win_by_length_alone_is_no_win_once_lengths_are_equal():
    wins, d = drawn(4000, alpha=0.0, beta=2.0, seed=1)
    found = length_controlled(wins, d)
    assert wins.mean() > 0.58
    assert found.rate.low < 0.5 < found.rate.high and found.rate.value == pytest.approx(0.5, abs=0.03)
    assert found.beta == pytest.approx(2.0, abs=0.3)


def test_the_interval_covers():
    truth, hits = special.expit(0.4), 0
    for seed in range(300):
        rate = length_controlled(*drawn(80, alpha=0.4, beta=1.0, seed=seed)).rate
        hits += rate.low <= truth <= rate.high
    assert hits >= 0.92 * 300


def test_clusters_widen_and_one_sided_wins_stay_finite():
    wins, d = drawn(60, alpha=0.3, beta=0.5, seed=5)
    alone = length_controlled(wins, d).rate
    again = length_controlled(np.repeat(wins, 4), np.repeat(d, 4), [n // 4 for n in range(240)]).rate
    naive = length_controlled(np.repeat(wins, 4), np.repeat(d, 4)).rate
    assert naive.high - naive.low < 0.6 * (again.high - again.low)
    assert again.high - again.low == pytest.approx(alone.high - alone.low, rel=0.1)
    always = length_controlled(np.ones(40), np.arange(40.0)).rate
    assert 0.8 < always.value < 1 and always.low < always.value < always.high < 1


def test_without_differences_of_length_there_is_no_length_term():
    found = length_controlled([1.0] * 15 + [0.0] * 5, [0.0] * 20)
    assert found.beta == 0 and found.rate.value == pytest.approx(15.5 / 21)
    assert found.rate.method == "logistic regression; no length differs"
    assert length_controlled([1.0] * (FEWEST - 1), range(FEWEST - 1)) is None
    with pytest.raises(ValueError, match="one length"):
        length_controlled([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        length_controlled([2.0] * 10, range(10))
