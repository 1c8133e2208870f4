import doctest

import numpy as np
import pytest
from scipy import stats as scipy_stats

from luthier.stats import equivalence
from luthier.stats.equivalence import paired_equivalence


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(equivalence)
    assert result.attempted >= 2 and result.failed == 0


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.3])
def test_p_is_the_larger_of_scipys_two_one_sided_t_tests(margin):
    rng = np.random.default_rng(4)
    a, b = rng.random(60), rng.random(60)
    above = scipy_stats.ttest_1samp(b - a, -margin, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(b - a, margin, alternative="less").pvalue
    found = paired_equivalence(a, b, margin=margin)
    expected = max(above, below)
    assert found.p == pytest.approx(min(expected, 0.5), abs=1e-9)
    assert found.is_equivalent == (expected < 0.05)
    interval = scipy_stats.ttest_rel(b, a).confidence_interval(0.9)
    assert [found.difference.low, found.difference.high] == pytest.approx([interval.low, interval.high])


@pytest.mark.parametrize("is_clustered", [False, True])
def test_models_that_differ_by_the_margin_are_rarely_called_alike(is_clustered):
    rng, ids, alike, really = np.random.default_rng(7), np.repeat(np.arange(12), 20), 0, 0
    clusters = ids.tolist() if is_clustered else None
    for _ in range(120):
        shift = 0.15 * rng.normal(size=12)[ids] if is_clustered else 0.0
        d = 0.3 * rng.normal(size=240) + shift
        alike += paired_equivalence(np.zeros(240), d + 0.1, clusters, margin=0.1).is_equivalent
        really += paired_equivalence(np.zeros(240), d, clusters, margin=0.2).is_equivalent
    assert alike / 120 <= 0.05 + 3 * 0.02
    assert really / 120 > 0.7


def test_a_margin_or_level_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="margin above 0"):
        paired_equivalence([0.0, 1.0], [0.0, 1.0], margin=0)
    with pytest.raises(ValueError, match=r"alpha below 0\.5"):
        paired_equivalence([0.0, 1.0], [0.0, 1.0], margin=0.1, alpha=0.5)
