"""Intervals hold the truth as often as they say: fast and seeded here, with more draws and settings in `bench`."""

import numpy as np
import pytest
from bench.simulate_statistics import (
    OURS,
    clustered_pairs,
    clustered_shares,
    graded_scores,
    right_or_wrong_pairs,
    single_shares,
    summary,
)

DRAWS = 120
LEAST = 0.93
SLACK = 3 * (0.07 * 0.93 / DRAWS) ** 0.5
"""Three standard errors of the simulation."""


def test_single_shares_and_right_or_wrong_pairs_are_covered_exactly():
    settings = [*single_shares((30, 50)), *right_or_wrong_pairs((30,))]
    assert [setting for setting in settings if setting.seen[OURS].coverage < LEAST] == []
    assert min(setting.about.get("p", 1) for setting in settings) == 0.02


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("shares", lambda rng: clustered_shares(DRAWS, rng, clusters=((5, 20), (12, 6)), shares=(0.02, 0.5))),
        ("graded", lambda rng: graded_scores(DRAWS // 2, rng)),
        ("pairs", lambda rng: clustered_pairs(DRAWS // 2, rng)),
    ],
)
def test_clustered_and_graded_values_are_covered(name, draw):
    settings = list(draw(np.random.default_rng(3)))
    slack = SLACK if name == "shares" else SLACK * 2**0.5
    assert [setting for setting in settings if setting.seen[OURS].coverage < LEAST - slack] == []
    assert np.mean([setting.seen[OURS].coverage for setting in settings]) >= 0.945


def test_the_summary_counts_the_settings_that_a_method_does_not_cover():
    lines = {(line["kind"], line["method"]): line for line in summary(list(single_shares((30,))))}
    assert lines["share", OURS]["below_0.93"] == 0 and lines["share", OURS]["our_width_where_it_covers"] == 1
    assert lines["share", "Wald"]["below_0.93"] > 0
