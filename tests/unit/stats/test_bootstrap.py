import doctest
import math

import numpy as np
import pytest

from luthier.stats import bootstrap
from luthier.stats.bootstrap import bootstrap_mean, bootstrap_paired, bootstrap_ratio, bootstrap_within, tail_share
from luthier.stats.intervals import mean_interval


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(bootstrap)
    assert result.attempted == 3 and result.failed == 0


@pytest.mark.parametrize(("clusters", "is_skewed"), [(10, False), (24, False), (24, True)])
def test_the_interval_covers_the_truth_in_a_clustered_simulation(clusters, is_skewed):
    """Tasks differ in difficulty, 20 right or wrong answers each: 600 studies, the same in every run."""
    rng = np.random.default_rng(11)
    truth, covered, studies = (0.25 if is_skewed else 0.5), 0, 600
    for study in range(studies):
        difficulty = rng.beta(0.5, 1.5, clusters) if is_skewed else np.clip(rng.normal(0.5, 0.12, clusters), 0, 1)
        found = bootstrap_mean(rng.binomial(20, difficulty) / 20, seed=study, draws=1000)
        covered += found.low <= truth <= found.high
    assert covered / studies >= 0.93


def test_paired_differences_cover_and_are_narrower_than_unpaired_ones():
    rng = np.random.default_rng(3)
    covered, narrower, studies = 0, 0, 400
    for study in range(studies):
        level = rng.uniform(0.2, 0.8, 12)
        before = level + rng.normal(0, 0.05, 12)
        after = level + 0.1 + rng.normal(0, 0.05, 12)
        paired = bootstrap_mean(after - before, seed=study, draws=1000)
        alone = bootstrap_mean(after, seed=study, draws=1000)
        covered += paired.low <= 0.1 <= paired.high
        narrower += paired.high - paired.low < alone.high - alone.low
    assert covered / studies >= 0.93 and narrower == studies


def test_on_many_normal_clusters_it_is_students_t():
    values = np.random.default_rng(0).normal(0.5, 0.1, 60)
    found, expected = bootstrap_mean(values, seed=1, draws=20_000), mean_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.002)


def test_a_ratio_weighs_clusters_by_their_denominators():
    found = bootstrap_ratio([1, 1, 1, 1, 6], [1, 1, 1, 1, 2], seed=0)
    assert found.value == pytest.approx(10 / 6) and found.n == 5
    assert found.low == 1.0 and 1.0 < found.high <= 3.0, "draws lie between the smallest and the largest ratio"


def test_clusters_that_agree_leave_no_width_and_a_shift_moves_all():
    assert bootstrap_mean([0.3] * 6, seed=0).low == pytest.approx(0.3)
    values = np.array([0.1, 0.4, 0.2, 0.9, 0.5, 0.6])
    one, other = bootstrap_mean(values, seed=4), bootstrap_mean(values + 1, seed=4)
    assert (other.low - 1, other.high - 1) == pytest.approx((one.low, one.high))


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).uniform(size=12)
    assert bootstrap_mean(values, seed=4) == bootstrap_mean(values, seed=4)
    assert bootstrap_mean(values, seed=4) != bootstrap_mean(values, seed=5)


def test_few_clusters_give_no_interval_and_say_so():
    found = bootstrap_mean([0.2, 0.4, 0.6, 0.8], seed=0)
    assert found.value == pytest.approx(0.5) and math.isinf(found.low) and math.isinf(found.high)
    assert "4 clusters" in found.method and found.to_json()["low"] is None


def test_the_tail_shrinks_with_fewer_clusters():
    assert tail_share(5, 0.05) < tail_share(10, 0.05) < tail_share(50, 0.05) < 0.025


def test_with_fixed_tasks_items_are_resampled_within_each():
    right = np.tile([0.0, 1.0], 50)
    one = bootstrap_within([right], seed=1)
    expected = mean_interval(right)
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high), abs=0.01)
    # A task of 100 items and one of 10 that are all right: each counts half, and only the first can vary.
    two = bootstrap_within([right, [1.0] * 10], seed=1)
    assert two.value == 0.75 and two.high - two.low == pytest.approx((one.high - one.low) / 2, rel=0.3)
    assert two.n == 110 and "2 tasks" in two.method
    assert math.isinf(bootstrap_within([right, [1.0, 0.0]], seed=1).high)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [([], [], "one pair"), ([1.0], [1.0, 2.0], "one pair"), ([math.nan], [1.0], "finite"), ([1.0], [0.0], "above zero")],
)
def test_what_is_no_number_is_refused(x, y, words):
    with pytest.raises(ValueError, match=words):
        bootstrap_ratio(x, y, seed=0)


def test_the_paired_bootstrap_draws_whole_clusters_written_out():
    rng = np.random.default_rng(1)
    ids = np.repeat(np.arange(7), [2, 5, 3, 4, 6, 2, 3])
    a, b = rng.random(len(ids)), rng.random(len(ids))
    found = bootstrap_paired(a, b, ids.tolist(), seed=2, draws=400)
    times = np.random.default_rng(2).multinomial(7, np.full(7, 1 / 7), size=400)
    means = [np.repeat(b - a, row[ids]).mean() for row in times]
    tail = tail_share(7, 0.05)
    assert found.value == pytest.approx((b - a).mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [tail, 1 - tail]).tolist())
    with pytest.raises(ValueError, match="found 2 clusters for 3 pairs"):
        bootstrap_paired([0, 0, 1], [1, 1, 1], "ab", seed=1)
