import doctest
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from luthier.stats import noise
from luthier.stats.noise import noise_floor


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(noise)
    assert result.attempted >= 1 and result.failed == 0


def test_the_floor_is_the_pooled_spread_with_scipys_quantiles():
    scores = [[0.5, 0.54, 0.49], [0.7, 0.71]]
    found = noise_floor(scores, alpha=0.1)
    variance = sum(np.var(runs) * len(runs) for runs in scores) / 3
    assert found.sd == pytest.approx(math.sqrt(variance))
    assert found.difference == pytest.approx(scipy_stats.t.ppf(0.95, 3) * math.sqrt(2 * variance))
    limits = [math.sqrt(3 * variance / scipy_stats.chi2.ppf(q, 3)) for q in (0.95, 0.05)]
    assert [found.sd_low, found.sd_high] == pytest.approx(limits)
    assert (found.runs, found.settings) == (5, 2)


def test_two_further_runs_differ_by_less_than_the_floor_as_often_as_said():
    rng, below, holds = np.random.default_rng(9), 0, 0
    for _ in range(500):
        found = noise_floor(rng.normal(0.6, 0.02, (2, 3)).tolist())
        one, two = rng.normal(0.3, 0.02, 2)
        below += abs(one - two) < found.difference
        holds += found.sd_low <= 0.02 <= found.sd_high
    assert 0.92 <= below / 500 <= 0.98 and 0.92 <= holds / 500 <= 0.98


@pytest.mark.parametrize("scores", [[], [[0.5]], [[0.5, 0.6], [0.7]], [[0.5, math.nan]]])
def test_a_single_run_has_no_noise_floor(scores):
    with pytest.raises(ValueError, match="at least two finite scores"):
        noise_floor(scores)
