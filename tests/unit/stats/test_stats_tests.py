import doctest

import numpy as np
import pytest
from scipy import stats as scipy_stats

from luthier.stats import power
from luthier.stats import tests as exact_tests
from luthier.stats.power import items_for_difference
from luthier.stats.tests import benjamini_hochberg, mcnemar_exact


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
