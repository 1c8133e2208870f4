import math

import pytest

from luthier.graders.rank import can_be_ranked, chance, rank_grade, rank_options
from luthier.records import AnswerScore, Example, Message


def item(targets, choices):
    return Example.of([Message(role="user", content="?")], targets=targets, choices=choices)


def score_by(table):
    def score(examples, candidates):
        return [
            [AnswerScore(table[text], num_tokens=1, num_bytes=len(text.encode())) for text in texts]
            for _, texts in zip(examples, candidates, strict=True)
        ]

    return score


def graded(example, table, **rest):
    (ranking,) = rank_options([example], score_by(table), model_id="m")
    return rank_grade(example, ranking, **rest)


def test_the_likeliest_option_is_the_answer():
    example = item(["no"], ["yes", "no"])
    assert graded(example, {"yes": -2.0, "no": -1.0}).value == 1
    grade = graded(example, {"yes": -1.0, "no": -2.0})
    assert (grade.value, grade.grader, grade.reason) == (0, "rank", "chose 'yes'")


def test_per_byte_lets_a_long_option_win():
    example = item(["a long answer"], ["a long answer", "no"])
    table = {"a long answer": -5.0, "no": -2.0}
    assert graded(example, table).value == 0
    grade = graded(example, table, per_byte=True)
    assert (grade.value, grade.grader) == (1, "rank_per_byte")


def test_a_tie_earns_the_share_that_is_right_not_the_luck_of_the_order():
    table = {"a": -1.0, "b": -1.0, "c": -3.0}
    assert graded(item(["a"], ["a", "b", "c"]), table).value == 0.5
    assert graded(item(["b"], ["a", "b", "c"]), table).value == 0.5


def test_an_item_whose_answer_is_no_option_is_undecided_and_nan_is_an_error():
    assert graded(item(["x"], ["a", "b"]), {"a": -1.0, "b": -2.0}).value is None
    grade = graded(item(["a"], ["a", "b"]), {"a": math.nan, "b": -2.0})
    assert grade.value is None and grade.is_error


def test_chance_is_the_score_of_a_blind_choice():
    items = [item(["a"], ["a", "b"]), item(["a"], ["a", "b", "c", "d"]), item(["x"], ["a", "b"]), item(["x"], [])]
    assert chance(items) == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert chance(items[2:]) is None
    assert [can_be_ranked(e) for e in items] == [True, True, True, False]
