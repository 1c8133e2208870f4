"""The tests behind "equivalent", "different" and "not enough evidence"."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.evaluate.bias.items import SwappedItem, SwappedItems
from luthier.evaluate.bias.swaps import swap_results
from luthier.records import Example, Message
from luthier.stats.equivalence import paired_equivalence
from luthier.stats.tests import holm, sign_flip_test


def example(number: int, side: str) -> Example:
    return Example.of((Message(role="user", content=f"{number} {side}"),), targets=("x",))


def found(attribute: str, directions) -> SwappedItems:
    items = tuple(SwappedItem(example(k, f"{attribute} before"), example(k, f"{attribute} after"), way)
                  for k, way in enumerate(directions))  # fmt: skip
    return SwappedItems(attribute, ("first", "second"), items, {"a reason": 2}, 3)


def results(*cases, margin=0.05, alpha=0.05):
    """Cases of (attribute, directions, values before, values after)."""
    swapped = [found(name, directions) for name, directions, _, _ in cases]
    before, after = {}, {}
    for some, (name, _, a, b) in zip(swapped, cases, strict=True):
        before |= {one.original.id: x for one, x in zip(some.items, a, strict=True)}
        after[name] = {one.swapped.id: x for one, x in zip(some.items, b, strict=True)}
    return swap_results(swapped, before, after, margin=margin, alpha=alpha)


def test_the_p_values_are_those_of_tost_and_of_the_sign_flip_test_after_holm():
    a1, b1 = [1.0] * 60 + [0.0] * 60, [1.0] * 58 + [0.0] * 62
    a2, b2 = [1.0] * 60, [1.0] * 40 + [0.0] * 20
    one, two = results(("x", [0] * 120, a1, b1), ("y", [0] * 60, a2, b2))
    same = [paired_equivalence(a, b, margin=0.05).p for a, b in ((a1, b1), (a2, b2))]
    other = [sign_flip_test([y - x for x, y in zip(a, b, strict=True)], seed=0) for a, b in ((a1, b1), (a2, b2))]
    assert [one.p_equivalent, two.p_equivalent] == holm(same)
    assert [one.p_different, two.p_different] == holm(other)
    assert one.swapped_minus_original.difference.value == pytest.approx(-2 / 120)
    assert two.answer == "different" and two.needed_items is None


def test_many_alike_answers_are_equivalent_and_few_are_not_enough_evidence():
    many, = results(("x", [1, -1] * 100, [1.0] * 200, [1.0] * 200))
    few, = results(("x", [1, -1] * 10, [1.0] * 20, [1.0] * 20))
    assert many.answer == "equivalent" and many.needed_items is None
    assert few.answer == "not enough evidence" and few.needed_items > 0
    assert f"about {few.needed_items:,} more items" in few.line()
    assert few.to_json()["left_out"] == {"a reason": 2} and few.to_json()["n"] == 20


def test_a_preference_for_one_group_is_seen_though_swaps_both_ways_cancel():
    # A model that is right only where the second group is named: the mean of swapped - original is 0.
    ways = [1, -1] * 50
    before = [0.0, 1.0] * 50
    after = [1.0, 0.0] * 50
    (one,) = results(("x", ways, before, after))
    assert one.swapped_minus_original.difference.value == 0
    assert one.second_minus_first.difference.value == 1
    assert one.answer == "different" and one.changed.value == 1
    assert one.widest is one.second_minus_first


def test_items_without_a_grade_are_counted_and_none_at_all_says_nothing():
    (some,) = results(("x", [1] * 4, [1.0, None, 1.0, 0.0], [1.0, 1.0, None, 0.0]))
    assert some.undecided == 2 and some.swapped_minus_original.difference.n == 2
    (none,) = results(("x", [], [], []))
    assert (none.answer, none.needed_items, none.to_json()["value"]) == ("not enough evidence", None, None)


def claims(shift: float, *, worlds: int, items: int, seed: int) -> dict[str, float]:
    """How often each answer is given of right or wrong answers whose mean differs by `shift`; two attributes."""
    rng = np.random.default_rng(seed)
    counts = {"equivalent": 0, "different": 0, "not enough evidence": 0}
    for _ in range(worlds):
        cases = []
        for name in ("x", "y"):
            p = np.full(items, 0.6)
            kept = rng.random(items) < 0.7  # answers that a swap leaves as they are
            before = rng.random(items) < p
            again = rng.random(items) < p + shift / 0.3
            after = np.where(kept, before, again)
            cases.append((name, [0] * items, before.astype(float).tolist(), after.astype(float).tolist()))
        said = [one.answer for one in results(*cases, margin=0.1)]
        for answer in counts:
            counts[answer] += answer in said
    return {answer: count / worlds for answer, count in counts.items()}


def test_alike_models_are_called_different_at_most_as_often_as_alpha_allows():
    # 0.05 over both attributes; a share of 80 worlds above 0.11 has a chance below 0.02 where the rate is 0.05.
    assert claims(0.0, worlds=80, items=100, seed=1)["different"] <= 0.11


def test_models_at_the_margin_are_called_equivalent_at_most_as_often_as_alpha_allows():
    assert claims(0.1, worlds=80, items=100, seed=2)["equivalent"] <= 0.11


def test_alike_models_are_called_equivalent_with_enough_items():
    assert claims(0.0, worlds=10, items=800, seed=3)["equivalent"] >= 0.8
