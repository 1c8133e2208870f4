"""Rows that say the same become one; rows that only look alike do not."""

import pytest

from luthier.curate.duplicates import Placed, conflicts, merge_duplicates
from luthier.records import Example, Message, Preference


def example(prompt="a", answer="b", weight=None, **rest):
    messages = [Message(role="user", content=prompt), Message(role="assistant", content=answer, weight=weight)]
    return Example.of(messages, **rest)


def preference(prompt="a", chosen="b", rejected="c"):
    return Preference.of([Message(role="user", content=prompt)], chosen=chosen, rejected=rejected)


def placed(*records):
    return [Placed.of(f"f:{line}", record) for line, record in enumerate(records, start=1)]


def test_the_first_of_equal_rows_stays_and_says_what_went_into_it():
    kept, merged = merge_duplicates(placed(example(), example("x"), example("a \u200b"), example()))
    assert [row.where for row in kept] == ["f:1", "f:2"]
    assert [(row.where, stays.where) for row, stays in merged] == [("f:3", "f:1"), ("f:4", "f:1")]


def test_the_row_that_stays_has_the_links_of_all():
    rows = placed(example(links=("p",)), example(links=("q", "p")), example(links=("r",)))
    kept, merged = merge_duplicates(rows)
    assert kept[0].record.links == ("p", "q", "r")
    assert kept[0].record.id == rows[0].record.id
    assert all(stays is kept[0] for _, stays in merged)


DIFFERENT = [
    (example(), example(answer="c")),
    (example(), example(prompt="A")),
    (example(), example(weight=0.5)),
    (example(targets=["b"]), example(targets=["b", "c"])),
    (example(targets=["b", "x"]), example(targets=["b"], choices=["x"])),
    (example(choices=["b", "c"]), example(choices=["b", "d"])),
    (example(grading={"grader": "exact"}), example(grading={"grader": "choice"})),
    (preference(), preference(rejected="d")),
    (preference("a", "b", "c"), preference("a", "c", "b")),
    (example(), preference()),
]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_rows_that_differ_in_what_they_teach_are_both_kept(left, right):
    assert len(merge_duplicates(placed(left, right)).kept) == 2


def test_equal_preferences_are_merged():
    assert len(merge_duplicates(placed(preference(), preference("a ", "b", "c "))).kept) == 1


def test_different_answers_to_one_prompt_are_a_conflict_and_equal_ones_are_none():
    rows = placed(example("a", "b"), example("x", "y"), example("a ", "c"), example("a", "b", weight=0.5), example("z", "y"))
    (conflict,) = conflicts(rows)
    assert [row.where for row in conflict] == ["f:1", "f:3"]
