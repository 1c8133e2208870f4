import doctest
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from luthier.stats import intervals
from luthier.stats.intervals import (
    clustered_mean_interval,
    mean_interval,
    paired_interval,
    proportion_interval,
    ratio_interval,
    score_interval,
    usable_clusters,
)


def bounds(estimate):
    return [estimate.low, estimate.high]


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(intervals, optionflags=doctest.ELLIPSIS)
    assert result.attempted >= 3 and result.failed == 0


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_mean_interval_is_scipys_t_interval(alpha):
    x = np.random.default_rng(0).normal(3, 2, 17)
    expected = scipy_stats.t.interval(1 - alpha, 16, loc=x.mean(), scale=scipy_stats.sem(x))
    estimate = mean_interval(x, alpha=alpha)
    assert bounds(estimate) == pytest.approx(expected, rel=1e-12)
    assert (estimate.value, estimate.n) == (pytest.approx(x.mean()), 17)


def test_one_item_has_no_interval_and_says_so_in_json_and_text():
    estimate = mean_interval([0.4])
    assert bounds(estimate) == [-math.inf, math.inf]
    assert estimate.to_json() == {"value": 0.4, "low": None, "high": None, "n": 1, "method": "t over items"}
    assert str(estimate) == "0.400 [no interval: n=1]"


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (3, 10), (81, 263)])
def test_proportion_interval_is_scipys_wilson(successes, n):
    expected = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert bounds(proportion_interval(successes, n)) == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_values_that_are_no_numbers_or_none_at_all_are_refused():
    for values in ([], [0.1, math.nan]):
        with pytest.raises(ValueError, match="an interval needs"):
            mean_interval(values)
    with pytest.raises(ValueError, match="found 3 of 2"):
        proportion_interval(3, 2)
    with pytest.raises(ValueError, match="one b for each a"):
        paired_interval([1], [1, 2])
    with pytest.raises(ValueError, match="each item needs a cluster"):
        score_interval([1, 0], ["a"])


def test_clusters_of_one_item_give_the_naive_interval():
    x = [0.2, 0.9, 0.4, 0.6]
    assert bounds(clustered_mean_interval(x, "abcd")) == bounds(mean_interval(x))
    assert bounds(score_interval(x, "abcd")) == bounds(score_interval(x))
    assert bounds(paired_interval(x, x[::-1], "abcd")) == bounds(paired_interval(x, x[::-1]))
    # The jackknife itself is the naive formula then, so the fall-back is no seam.
    assert bounds(ratio_interval(x, [1, 1, 1, 1])) == pytest.approx(bounds(mean_interval(x)))


def test_one_cluster_is_not_generalised_from_and_says_so():
    estimate = clustered_mean_interval([0.1, 0.5, 0.4], "aaa")
    assert bounds(estimate) == bounds(mean_interval([0.1, 0.5, 0.4]))
    assert "nothing is said of others" in estimate.method
    assert "nothing is said of others" in score_interval([0, 1, 1], "aaa").method


def test_equal_clusters_give_the_t_interval_over_cluster_means():
    x = [0.0, 0.2, 0.5, 0.7, 0.9, 1.1]
    estimate = clustered_mean_interval(x, [1, 1, 2, 2, 3, 3])
    assert bounds(estimate) == pytest.approx(bounds(mean_interval([0.1, 0.6, 1.0])))
    assert estimate.method == "t over 3 clusters (jackknife)"


def test_unequal_clusters_follow_the_jackknife_written_out():
    x, clusters = [0.0, 0.1, 0.2, 3.0, 3.1, 6.0], ["a", "a", "a", "b", "b", "c"]
    without = [np.mean([v for v, c in zip(x, clusters, strict=True) if c != g]) for g in "abc"]
    se = math.sqrt(2 / 3 * sum((m - np.mean(x)) ** 2 for m in without))
    half = scipy_stats.t.ppf(0.975, 2) * se
    assert bounds(clustered_mean_interval(x, clusters)) == pytest.approx([np.mean(x) - half, np.mean(x) + half])


def test_clustering_never_narrows_an_interval():
    # Each cluster has the same mean, so the variance between clusters is estimated as zero.
    x, clusters = [0.0, 1.0] * 6, [k // 2 for k in range(12)]
    assert bounds(clustered_mean_interval(x, clusters)) == bounds(mean_interval(x))
    assert bounds(score_interval(x, clusters)) == bounds(proportion_interval(6, 12))
    a = [0.5] * 12
    assert bounds(paired_interval(a, x, clusters)) == bounds(paired_interval(a, x))


def test_scores_that_are_all_right_still_have_a_width():
    estimate = score_interval([1.0] * 20, [k % 4 for k in range(20)])
    assert bounds(estimate) == bounds(proportion_interval(20, 20))
    assert 0.83 < estimate.low < 0.85 and estimate.high == 1.0


def test_score_intervals_stay_within_zero_and_one():
    assert bounds(score_interval([0.0, 0.1, 0.9])) == [0.0, 1.0]
    clustered = score_interval([1, 1, 1, 1, 1, 0, 0, 0], "aaaabbcc")
    assert 0 <= clustered.low < clustered.value < clustered.high <= 1
    assert clustered.method == "Wilson over 3 clusters (jackknife)"


def test_paired_interval_of_right_and_wrong_is_bonett_and_price():
    a = [1] * 10 + [1] * 3 + [0] * 7 + [0] * 20
    b = [1] * 10 + [0] * 3 + [1] * 7 + [0] * 20
    up, down, n = (7 + 1) / 42, (3 + 1) / 42, 42
    half = 1.959963985 * math.sqrt((up + down - (up - down) ** 2) / n)
    estimate = paired_interval(a, b)
    assert estimate.value == pytest.approx(0.1)
    assert bounds(estimate) == pytest.approx([up - down - half, up - down + half])


def test_no_difference_seen_is_not_no_difference_proved():
    estimate = paired_interval([0.3, 0.7, 1.0], [0.3, 0.7, 1.0])
    assert estimate.value == 0 and estimate.low < -0.3 and estimate.high > 0.3


def test_paired_interval_of_scores_is_scipys_paired_t():
    rng = np.random.default_rng(1)
    a, b = rng.random(25), rng.random(25)
    expected = scipy_stats.ttest_rel(b, a).confidence_interval()
    assert bounds(paired_interval(a, b)) == pytest.approx([expected.low, expected.high])


def test_ratio_interval_is_the_ratio_of_sums_not_the_mean_of_ratios():
    estimate = ratio_interval([-10, -1], [100, 1])
    assert estimate.value == pytest.approx(-11 / 101)
    assert ratio_interval([-10], [100]).low == -math.inf


def test_labels_cluster_items_from_five_labels_on():
    assert usable_clusters(["a", "b", "c", "d", None]) is None
    clusters = usable_clusters(["a", "b", "c", "d", "e", None, "a", None])
    assert clusters[0] == clusters[6] == "a"
    assert len(set(clusters)) == 7


def coverage(make, interval, truth, repeats=600):
    rng = np.random.default_rng(20)
    hits = 0
    for _ in range(repeats):
        estimate = interval(make(rng))
        hits += estimate.low <= truth <= estimate.high
    return hits / repeats


def test_wilson_covers_small_proportions():
    assert coverage(lambda rng: rng.random(40) < 0.07, lambda x: score_interval(x.astype(float)), 0.07) >= 0.93


def test_clustered_scores_cover_where_naive_ones_do_not():
    ids = np.repeat(np.arange(10), [5, 10, 15, 20, 25, 5, 10, 15, 20, 25])

    def make(rng):
        return (rng.random(150) < rng.beta(2, 2, 10)[ids]).astype(float)

    assert coverage(make, lambda x: score_interval(x, list(ids)), 0.5) >= 0.93
    assert coverage(make, score_interval, 0.5) < 0.8


@pytest.mark.parametrize("num_clusters", [4, 12])
def test_paired_clustered_differences_cover(num_clusters):
    ids = np.repeat(np.arange(num_clusters), 15)

    def make(rng):
        differs = rng.random(len(ids)) < 0.4
        is_better = rng.random(len(ids)) < rng.beta(3, 3, num_clusters)[ids]
        return np.where(differs, np.where(is_better, 1, -1), 0)

    assert coverage(make, lambda d: paired_interval(np.zeros(len(d)), d, list(ids)), 0.0) >= 0.93


def test_paired_rare_differences_cover():
    def make(rng):
        return np.where(rng.random(50) < 0.04, np.where(rng.random(50) < 0.5, 1, -1), 0)

    assert coverage(make, lambda d: paired_interval(np.zeros(50), d), 0.0) >= 0.93


def test_a_ratio_without_anything_below_is_refused_and_one_that_rests_on_one_item_has_no_interval():
    with pytest.raises(ValueError, match="more than 0"):
        ratio_interval([1.0, 2.0], [0.0, 0.0])
    found = ratio_interval([1.0, 2.0, 0.0], [4.0, 0.0, 0.0])
    assert (found.value, found.low, found.high) == (0.75, -math.inf, math.inf)
