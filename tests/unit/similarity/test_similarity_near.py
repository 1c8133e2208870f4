"""Near-duplicates: edited rows are found, rows that differ in a number or a negation are not."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.similarity.near import NearText, Sketches, near_duplicates

LONG = (
    "Please read the letter that my neighbour wrote about the broken fence behind our two gardens, and tell me in a few "
    "plain sentences what she would like me to do before the winter comes and the ground freezes."
)
ANSWER = (
    "She asks you to repair the fence together with her before the first frost, to share the price of the wood, and to "
    "call her brother, who owns the tools that the work needs."
)


@pytest.mark.parametrize(
    ("old", "new", "is_near"),
    [("broken", "damaged", True), ("about", "not about", False), ("two", "three", False), ("my", "17", False)],
)
def test_rows_with_a_word_changed_are_near_unless_it_is_a_number_or_a_negation(old, new, is_near):
    rows = [NearText(LONG, ANSWER), NearText(LONG.replace(f" {old} ", f" {new} "), ANSWER), NearText("Hello?", "Hi.")]
    found = near_duplicates([Sketches.of(rows)])

    assert (found.group.tolist() == [0, 0, 2]) == is_near
    assert found.group[2] == 2


def test_the_parts_make_no_odds(tmp_path):
    rows = [NearText(LONG, ANSWER), NearText("Hello?", "Hi."), NearText(LONG.replace("broken", "old"), ANSWER)]
    whole = near_duplicates([Sketches.of(rows)])
    Sketches.of(rows[:1]).save(tmp_path / "a")
    parted = near_duplicates([Sketches.open(tmp_path / "a"), Sketches.of(rows[1:])])

    assert np.array_equal(whole.pairs, parted.pairs) and np.array_equal(whole.group, parted.group)
    assert whole.pairs.tolist() == [[0, 2]]
