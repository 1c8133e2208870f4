from random import Random

import pytest

from luthier.curate.labels.groups import FEWEST_ROWS, LabelRow, label_row, task_groups
from luthier.records import Example, Message


def example(prompt, answer, **rest):
    turns = [Message(role="user", content=prompt)]
    return Example.of([*turns, Message(role="assistant", content=answer)] if answer is not None else turns, **rest)


def rows_of(count, *, labels=("good", "bad"), text="film {i}", **rest):
    return [LabelRow(text.format(i=i), labels[i % len(labels)], **rest) for i in range(count)]


def test_a_row_with_a_short_answer_is_a_text_with_a_label():
    row = label_row(example("Is it good?\nOPTIONS:\n- Yes\n- No\n\nA film.", "Yes.", task="films"))
    assert row == LabelRow("Is it good?\n\nA film.", "yes", ("yes", "no"), "films")


@pytest.mark.parametrize("answer", ["", "one two three four five six", "a\nb", "x" * 41, "..."])
def test_an_answer_that_is_no_label_makes_no_row(answer):
    assert label_row(example("Say something.", answer)) is None


def test_choices_and_targets_of_an_evaluation_item_are_read():
    row = label_row(example("Is it good?", None, targets=["Good"], choices=["Good", "Bad"]))
    assert (row.label, row.options) == ("good", ("good", "bad"))
    assert label_row(example("Is it good?", None)) is None


def test_rows_that_name_their_task_are_one_group():
    rows = [row for pair in zip(rows_of(60, task="films"), rows_of(60, task="books"), strict=True) for row in pair]
    groups = task_groups(rows)
    assert [(group.name, len(group.rows)) for group in groups] == [("films", 60), ("books", 60)]
    assert groups[0].rows == tuple(range(0, 120, 2)) and set(groups[0].labels) == {"good", "bad"}


@pytest.mark.parametrize("labels", [
    ("good",), tuple(f"name {i}" for i in range(20)), tuple("abcd"), tuple(str(i) for i in range(9)),
])  # fmt: skip
def test_one_label_many_labels_and_labels_of_one_sign_make_no_task(labels):
    assert task_groups(rows_of(90, labels=labels, task="t")) == []


def test_few_rows_make_no_task():
    assert task_groups(rows_of(FEWEST_ROWS - 1, task="t")) == []
    assert len(task_groups(rows_of(FEWEST_ROWS, task="t"))) == 1


def test_rows_without_a_task_are_grouped_by_their_options_in_any_order():
    rows = rows_of(30, options=("good", "bad")) + rows_of(30, options=("bad", "good"))
    (group,) = task_groups(rows)
    assert group.name == "options: bad | good" and len(group.rows) == 60 and group.options is None


def test_options_whose_meaning_lies_in_the_question_are_grouped_by_the_instruction():
    yes_no = ("yes", "no")
    rows = rows_of(60, labels=yes_no, options=yes_no, text="Is this a film?\n{i}")
    rows += rows_of(60, labels=yes_no, options=yes_no, text="Is this a book?\n{i}")
    assert [group.name for group in task_groups(rows)] == ["line: Is this a film?", "line: Is this a book?"]


@pytest.mark.parametrize(("text", "name"), [
    ("Is this good or bad?\nnumber {i}", "line: Is this good or bad?"),
    ("number {i}\nIs this good or bad?", "line: Is this good or bad?"),
    ("Tell me whether this is good or bad: {i}", "begins: Tell me whether this is"),
    ("{i} is what I mean, is it good or bad?", "ends: is it good or bad?"),
])  # fmt: skip
def test_an_instruction_is_a_shared_line_or_shared_words(text, name):
    (group,) = task_groups(rows_of(60, text=text))
    assert group.name == name and len(group.rows) == 60


def test_labels_that_are_listed_together_are_one_set_of_classes():
    rng = Random(1)
    classes = ["animal", "tool", "fruit", "colour", "number", "place"]
    rows = [LabelRow(f"thing {i}", pair[0], tuple(pair)) for i in range(120) for pair in [rng.sample(classes, 3)]]
    (group,) = task_groups(rows)
    assert len(group.rows) == 120 and group.name == "options with 'animal'"
    assert group.options == tuple(row.options for row in rows)


def test_rows_without_a_label_keep_their_numbers_free():
    rows = [None, *rows_of(60, task="t"), None]
    assert task_groups(rows)[0].rows == tuple(range(1, 61))


def test_a_row_is_in_one_group_at_most_and_the_largest_comes_first():
    rows = rows_of(60, task="small") + rows_of(80, options=("good", "bad"), text="Tell me of this film now: {i}")
    groups = task_groups(rows)
    assert [len(group.rows) for group in groups] == [80, 60]
    assert len({row for group in groups for row in group.rows}) == 140
