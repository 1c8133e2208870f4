import doctest
import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from luthier.stats import power
from luthier.stats import tests as exact_tests
from luthier.stats.intervals import paired_interval
from luthier.stats.power import detectable_difference, difference_sd, items_for_difference, more_items
from luthier.stats.tests import benjamini_hochberg, holm, mcnemar_exact, sign_flip_test


def test_the_examples_in_the_docstrings_hold():
    for module in (exact_tests, power):
        result = doctest.testmod(module)
        assert result.attempted >= 1 and result.failed == 0


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 3), (5, 14), (60, 31)])
def test_mcnemar_is_scipys_binomial_test_of_a_fair_coin(only_a, only_b):
    expected = scipy_stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_exact(only_a, only_b) == pytest.approx(expected)


def test_items_for_difference_gives_the_published_figure_and_grows_with_power():
    # Miller 2024: sd 1/3 (sigma^2 = 1/9), 3 points, alpha 0.05, power 0.8.
    assert items_for_difference(0.03, sd=1 / 3) == 969
    assert items_for_difference(0.03, sd=1 / 3, power=0.9) > 1290
    assert items_for_difference(-0.06, sd=1 / 3) == 243


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="difference of zero"):
        items_for_difference(0, sd=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        items_for_difference(0.1, sd=1, power=1)
    with pytest.raises(ValueError, match="negative"):
        mcnemar_exact(-1, 2)


@pytest.mark.parametrize("seed", range(5))
def test_discoveries_are_those_of_scipys_adjusted_p_values(seed):
    rng = np.random.default_rng(seed)
    p_values = np.concatenate([rng.uniform(size=30), rng.uniform(0, 0.01, size=6), [0.0, 1.0]])
    expected = scipy_stats.false_discovery_control(p_values, method="bh") <= 0.1
    assert benjamini_hochberg(p_values.tolist(), rate=0.1) == expected.tolist()
    assert benjamini_hochberg([], rate=0.1) == []


def test_a_p_value_above_one_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.5, 1.2], rate=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_the_sign_flip_test_is_scipys_permutation_test_of_all_flips(seed):
    d = np.random.default_rng(seed).normal(0.4, 1, 9).round(1)
    expected = scipy_stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_test(d, seed=0) == pytest.approx(expected)


def test_clusters_flip_as_a_whole():
    d, clusters = [0.5, 0.1, -0.2, 0.4, 0.3, 0.9, -0.1], "aabbccd"
    sums = [0.6, 0.2, 1.2, -0.1]
    all_flips = [abs(np.dot(signs, sums)) for signs in itertools.product((1, -1), repeat=4)]
    expected = np.mean([far >= sum(sums) - 1e-12 for far in all_flips])
    assert sign_flip_test(d, clusters, seed=0) == pytest.approx(expected)
    assert sign_flip_test(d, clusters, seed=0) > sign_flip_test(d, seed=0)


def test_many_clusters_are_flipped_at_random_close_to_mcnemar():
    d = [1] * 20 + [-1] * 8 + [0] * 60
    p = sign_flip_test(d, seed=1)
    assert p == sign_flip_test(d, seed=1) and abs(p - mcnemar_exact(8, 20)) < 0.01
    assert sign_flip_test([1.0] * 200, seed=1) == 1 / 10_001
    assert sign_flip_test([0.0] * 30, seed=1) == 1


def test_flipping_clusters_keeps_its_level_where_flipping_items_does_not():
    rng, ids = np.random.default_rng(6), np.repeat(np.arange(10), 12)
    found = {"clusters": 0, "items": 0}
    for _ in range(200):
        d = rng.normal(size=120) + 0.7 * rng.normal(size=10)[ids]
        found["clusters"] += sign_flip_test(d, ids.tolist(), seed=0) <= 0.05
        t = d.mean() / (d.std() / np.sqrt(120))
        found["items"] += abs(t) > 1.96
    assert found["clusters"] / 200 <= 0.05 + 3 * 0.0154 and found["items"] / 200 > 0.2


def test_holm_is_the_step_down_written_out():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 0.2, 9)
    order = np.argsort(p)
    slow = {k: max(min(1.0, (9 - j) * p[order[j]]) for j in range(place + 1)) for place, k in enumerate(order)}
    assert holm(p.tolist()) == pytest.approx([slow[k] for k in range(9)])
    assert holm([]) == [] and holm([0.6, 0.9]) == [1.0, 1.0]
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])


def test_a_differences_or_clusters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="finite differences"):
        sign_flip_test([0.1, float("nan")], seed=0)
    with pytest.raises(ValueError, match="found 1 clusters for 2"):
        sign_flip_test([0.1, 0.2], "a", seed=0)


def test_the_detectable_difference_is_the_inverse_of_the_items_needed():
    assert detectable_difference(969, sd=1 / 3) == pytest.approx(0.03, rel=1e-3)
    assert items_for_difference(detectable_difference(400, sd=0.5, power=0.9), sd=0.5, power=0.9) in (400, 401)
    with pytest.raises(ValueError, match="at least one item"):
        detectable_difference(0, sd=1)


def test_a_detectable_difference_is_detected_as_often_as_said():
    sd = difference_sd(between=0.2, within_a=0.4, within_b=0.3, samples=4, cluster_size=5, correlation=0.3)
    rng, seen, ids = np.random.default_rng(3), 0, np.repeat(np.arange(60), 5)
    gap = detectable_difference(300, sd=sd)
    inner = np.sqrt(sd**2 / (1 + 4 * 0.3))
    for _ in range(300):
        d = gap + inner * (np.sqrt(0.7) * rng.normal(size=300) + np.sqrt(0.3) * rng.normal(size=60)[ids])
        seen += paired_interval(np.zeros(300), d, ids.tolist()).low > 0
    assert abs(seen / 300 - 0.8) < 0.07


def test_more_answers_an_item_lower_only_what_answers_add():
    assert difference_sd(between=0.2) == 0.2
    assert difference_sd(between=0.0, within_a=0.6, within_b=0.8, samples=4) == pytest.approx(0.5)
    assert difference_sd(between=0.1, cluster_size=11, correlation=0.3) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least 1"):
        difference_sd(between=0.1, samples=0)


def test_as_many_more_items_as_asked_for_narrow_the_interval_to_what_the_gap_needs():
    rng = np.random.default_rng(8)
    d = rng.normal(0.0, 0.3, 200)
    needed = more_items(paired_interval(np.zeros(200), d), 0.05)
    assert abs(needed + 200 - items_for_difference(0.05, sd=d.std(ddof=1))) <= 8  # t for z
    assert more_items(paired_interval(np.zeros(200), d), 5.0) == 1
