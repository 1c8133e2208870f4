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
    unpaired_interval,
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


def mid_p_low(successes, n):
    """Written out: bisection on the probability of more successes and half that of as many."""
    low, high = 0.0, successes / n
    for _ in range(60):
        p = (low + high) / 2
        tail = scipy_stats.binom.sf(successes, n, p) + scipy_stats.binom.pmf(successes, n, p) / 2
        low, high = (p, high) if tail < 0.025 else (low, p)
    return low


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (1, 30), (3, 10), (81, 263)])
def test_a_proportion_reaches_as_far_as_scipys_wilson_and_the_mid_p_bounds(successes, n):
    wilson = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    low = min(wilson.low, mid_p_low(successes, n))
    high = max(wilson.high, 1 - mid_p_low(n - successes, n))
    assert bounds(proportion_interval(successes, n)) == pytest.approx([low, high], abs=1e-9)


@pytest.mark.parametrize("n", [30, 35, 50, 100, 150])
def test_a_proportion_covers_93_percent_of_every_share_and_is_hardly_wider_than_wilson(n):
    """Summed over all outcomes, so exact."""
    ours = np.array([bounds(proportion_interval(x, n)) for x in range(n + 1)])
    wilson = np.array([scipy_stats.binomtest(x, n).proportion_ci(method="wilson") for x in range(n + 1)])
    p = np.linspace(0.02, 0.5, 481)
    chance = scipy_stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    is_in = (ours[:, 0] <= p[:, None] + 1e-12) & (p[:, None] <= ours[:, 1])
    assert (chance * is_in).sum(axis=1).min() >= 0.93
    assert (np.ptp(ours, axis=1).sum() / np.ptp(wilson, axis=1).sum()) < 1.05
    assert (chance @ np.ptp(ours, axis=1) / (chance @ np.ptp(wilson, axis=1))).max() < 1.05


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
    assert estimate.method == "t over 3 clusters (CR2)"


def cr2_written_out(x, clusters):
    """Bell and McCaffrey with matrices: the variance estimate is y' A y, its degrees of freedom tr(A)^2 / tr(A A)."""
    n = len(x)
    residual = np.eye(n) - np.full((n, n), 1 / n)
    a = np.zeros((n, n))
    for name in dict.fromkeys(clusters):
        chosen = np.array([float(c == name) for c in clusters])
        # (I - H_gg)^(-1/2) by its eigenvectors; ones is the only one that H_gg does not send to 0.
        values, vectors = np.linalg.eigh(np.diag(chosen) @ residual @ np.diag(chosen) + np.diag(1 - chosen))
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        picks = chosen @ root @ residual / n
        a += np.outer(picks, picks)
    return math.sqrt(x @ a @ x), np.trace(residual @ a) ** 2 / np.trace(a @ a)


@pytest.mark.parametrize("sizes", [[3, 2, 1], [1, 2, 3, 5, 8, 13], [4, 4, 4, 4], [30, 1, 1, 1, 2]])
def test_unequal_clusters_follow_bell_and_mccaffrey_written_out_with_matrices(sizes):
    rng = np.random.default_rng(len(sizes))
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=len(clusters)) + 9 * rng.normal(size=len(sizes))[clusters]
    se, df = cr2_written_out(x, clusters)
    half = scipy_stats.t.ppf(0.975, df) * se
    assert half > np.ptp(bounds(mean_interval(x))) / 2, "else the interval of items would be shown"
    assert bounds(clustered_mean_interval(x, clusters.tolist())) == pytest.approx([x.mean() - half, x.mean() + half])


def test_clustering_never_narrows_an_interval():
    # Each cluster has the same mean, so the variance between clusters is estimated as zero.
    x, clusters = [0.0, 1.0] * 6, [k // 2 for k in range(12)]
    assert bounds(clustered_mean_interval(x, clusters)) == bounds(mean_interval(x))
    assert bounds(score_interval(x, clusters)) == bounds(proportion_interval(6, 12))
    a = [0.5] * 12
    assert bounds(paired_interval(a, x, clusters)) == bounds(paired_interval(a, x))


def test_scores_that_are_all_right_still_have_a_width():
    estimate = score_interval([1.0] * 20, [k % 4 for k in range(20)])
    assert estimate.low < proportion_interval(20, 20).low < 0.85 and estimate.high == 1.0
    assert estimate.low > 0.5


def test_score_intervals_stay_within_zero_and_one():
    graded = score_interval([0.0, 0.1, 0.9])
    assert 0 < graded.low < graded.value < graded.high < 1 and graded.method == "Wilson with t over items"
    assert bounds(score_interval([0.3])) == [0.0, 1.0]
    with pytest.raises(ValueError, match=r"found 0\.5 to 1\.2"):
        score_interval([0.5, 1.2])
    clustered = score_interval([1, 1, 1, 1, 1, 0, 0, 0], "aaaabbcc")
    assert 0 <= clustered.low < clustered.value < clustered.high <= 1
    assert clustered.method == "score interval over 3 clusters"


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


def test_an_unpaired_difference_is_newcombes_worked_example():
    """56 of 70 and 48 of 80: 0.20 [0.0524, 0.3339] with Wilson's bounds (Newcombe 1998, table II, method 10)."""
    found = unpaired_interval([1] * 48 + [0] * 32, [1] * 56 + [0] * 14)
    assert found.value == pytest.approx(0.2) and found.n == 150
    assert bounds(found) == pytest.approx([0.0524, 0.3339], abs=0.006)  # ours also reach for the mid-p bounds
    turned = unpaired_interval([1] * 56 + [0] * 14, [1] * 48 + [0] * 32)
    assert bounds(turned) == pytest.approx([-found.high, -found.low])


def test_an_unpaired_difference_of_clusters_is_wider_and_covers():
    rng, ids = np.random.default_rng(5), np.repeat(np.arange(10), 12)
    hits = plain = 0
    for _ in range(200):
        a, b = ((rng.random(120) < rng.beta(3, 3, 10)[ids]).astype(float) for _ in range(2))
        found, naive = unpaired_interval(a, b, ids.tolist(), ids.tolist()), unpaired_interval(a, b)
        hits, plain = hits + (found.low <= 0 <= found.high), plain + (naive.low <= 0 <= naive.high)
    assert hits / 200 >= 0.93 and plain / 200 < 0.9


def test_ratio_interval_is_the_ratio_of_sums_not_the_mean_of_ratios():
    estimate = ratio_interval([-10, -1], [100, 1])
    assert estimate.value == pytest.approx(-11 / 101)
    assert ratio_interval([-10], [100]).low == -math.inf


def test_labels_cluster_items_from_five_labels_on():
    assert usable_clusters(["a", "b", "c", "d", None]) is None
    clusters = usable_clusters(["a", "b", "c", "d", "e", None, "a", None])
    assert clusters[0] == clusters[6] == "a"
    assert len(set(clusters)) == 7


def coverage(make, interval, truth, repeats=400):
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
