"""The exact test is Fisher's and, over strata, what shuffling finds; the interval covers what it should."""

import doctest

import numpy as np
import pytest
from scipy import stats as scipy_stats

from luthier.stats import strata
from luthier.stats.strata import Strata, stratified_difference, stratified_exact


def counts(*rows):
    return Strata(*np.array(rows, float).T)


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(strata)
    assert result.attempted >= 1 and result.failed == 0


@pytest.mark.parametrize("row", [(3, 3, 0, 3), (8, 10, 1, 12), (0, 5, 0, 9), (40, 90, 55, 80), (7, 7, 7, 7)])
def test_one_stratum_is_fishers_exact_test(row):
    x1, n1, x2, n2 = row
    expected = scipy_stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]]).pvalue
    assert stratified_exact(counts(row)) == pytest.approx(expected)


def test_strata_that_leave_one_way_change_nothing():
    informative = (8, 10, 1, 12)
    assert stratified_exact(counts(informative, (5, 5, 9, 9), (0, 4, 0, 3))) == pytest.approx(
        stratified_exact(counts(informative))
    )


def test_groups_that_differ_between_strata_only_do_not_differ():
    # All of the first group is in a stratum where the outcome is common: the pooled shares are 0.82 and 0.18.
    rows = (counts((90, 100, 9, 10), (1, 10, 10, 100)), counts((91, 110, 19, 110)))
    assert stratified_exact(rows[0]) == pytest.approx(1.0)
    assert stratified_exact(rows[1]) < 1e-15
    assert abs(stratified_difference(rows[0]).value) < 1e-12


def test_over_strata_p_is_what_shuffling_within_strata_finds():
    rng = np.random.default_rng(3)
    table = counts((6, 8, 2, 9), (3, 4, 3, 10), (5, 6, 4, 8))
    sums = sum(rng.hypergeometric(int(x1 + x2), int(n1 + n2 - x1 - x2), int(n1), 200_000)
               for x1, n1, x2, n2 in zip(*table, strict=True))  # fmt: skip
    chance = np.bincount(sums) / len(sums)
    seen = chance[int(table.with_1.sum())]
    assert stratified_exact(table) == pytest.approx(chance[chance <= seen * 1.02].sum(), rel=0.03)


def test_the_interval_covers_the_difference_and_never_vanishes():
    rng = np.random.default_rng(5)
    n1, n2 = np.array([12.0, 30, 8]), np.array([20.0, 10, 9])
    for base, difference in ((0.05, 0.0), (0.3, 0.2), (0.0, 0.9)):
        covered = 0
        for _ in range(1000):
            x1, x2 = rng.binomial(n1.astype(int), base + difference), rng.binomial(n2.astype(int), base)
            found = stratified_difference(Strata(x1.astype(float), n1, x2.astype(float), n2))
            covered += found.low <= difference <= found.high
        assert 0.925 <= covered / 1000 <= 0.99, (base, difference, covered)
    sure = stratified_difference(counts((10, 10, 0, 10)))
    assert sure.value == 1 and sure.low < 0.8 and sure.high == 1


def test_the_difference_has_the_sign_of_the_first_group_and_is_mirrored():
    table = counts((8, 10, 1, 12), (5, 9, 2, 7))
    other = Strata(table.with_2, table.of_2, table.with_1, table.of_1)
    one, two = stratified_difference(table), stratified_difference(other)
    assert one.value > 0
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="items with the outcome"):
        stratified_exact(counts((4, 3, 0, 1)))
    with pytest.raises(ValueError, match="both groups"):
        stratified_difference(counts((1, 3, 0, 0)))
