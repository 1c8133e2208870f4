"""The gate's promise, simulated: fast and seeded here, with more draws in bench/simulate_statistics.py."""

import numpy as np
import pytest
from bench.simulate_statistics import gate_errors

DRAWS = 150
MOST = 0.05 + 3 * (0.05 * 0.95 / DRAWS) ** 0.5


@pytest.fixture(scope="module")
def errors():
    return list(gate_errors(DRAWS, np.random.default_rng(11)))


def test_every_kind_of_data_is_simulated(errors):
    assert {(row["values"], row["clusters"]) for row in errors} == {
        (values, clusters) for values in ("right or wrong", "graded") for clusters in (None, 8, 20)
    }


def test_equal_models_are_rarely_called_better(errors):
    assert [row for row in errors if row["truth"] == "equal" and row["passes"] > MOST] == []


@pytest.mark.parametrize("truth", ["5 points worse", "worse by what is allowed"])
def test_a_loss_of_five_points_rarely_passes_a_guardrail(errors, truth):
    assert [row for row in errors if row["truth"] == truth and row["passes"] > MOST] == []
