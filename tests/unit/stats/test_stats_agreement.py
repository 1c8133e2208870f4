import math
import random

import pytest

from luthier.stats.agreement import agreement


def test_kappa_is_that_of_the_worked_example():
    """Two readers of fifty grant proposals: p_o 0.7, p_e 0.5, kappa 0.4."""
    found = agreement("y" * 20 + "y" * 5 + "n" * 10 + "n" * 15, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15)
    assert found.raw.value == 0.7 and found.kappa is not None
    assert found.kappa.value == pytest.approx(0.4)


def test_the_error_of_kappa_is_that_of_the_jackknife():
    draw = random.Random(3)
    first = [draw.choice("abc") for _ in range(400)]
    second = [label if draw.random() < 0.6 else draw.choice("abc") for label in first]
    kappa = agreement(first, second).kappa
    others = [agreement(first[:i] + first[i + 1 :], second[:i] + second[i + 1 :]).kappa.value for i in range(400)]
    mean = sum(others) / 400
    se = math.sqrt(399 / 400 * sum((other - mean) ** 2 for other in others))
    assert (kappa.high - kappa.low) / 2 == pytest.approx(1.96 * se, rel=0.02)


def test_full_agreement_chance_and_one_label_alone():
    full = agreement("abab", "abab")
    assert (full.raw.value, full.kappa.value, full.kappa.high) == (1, 1, 1)
    assert full.kappa.low == pytest.approx((full.raw.low - 0.5) / 0.5) and full.kappa.low < 0.5
    assert agreement("aaaa", "abab").kappa is None
    assert agreement("aabb", "abab").kappa.value == 0
    assert agreement("aaaa", "aaaa").kappa is None
    assert agreement("aaaa", "aaaa").to_json()["kappa"] is None
    assert agreement("ab", "ba").kappa.value == -1
    for bad in (("", ""), ("a", "ab")):
        with pytest.raises(ValueError, match="two lists of labels"):
            agreement(*bad)
