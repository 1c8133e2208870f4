"""Right and wrong answers made by hand: the grader must tell every one of them apart."""

import pytest

from luthier.graders import GRADERS, grade_all
from luthier.records import Completion, Example, Message

RIGHT_AND_WRONG = [
    ({"must": ["red", "fox"]}, ["a red fox", "The FOX is red.", "fox: red"], ["a red box", "foxes are red", "red", ""]),
    ({"must": ["red fox"]}, ["a red fox", "Red, fox!"], ["a fox, red", "a red old fox"]),
    ({"must": "tea"}, ["tea"], ["team"]),
    ({"must_not": ["red"]}, ["a blue fox", "covered"], ["a red fox", "RED", " \n", "!?"]),
    ({"any_of": [["thank", "thanks"], ["hat"]]}, ["thanks for the hat", "I thank you. Hat!"], ["thanks", "a hat"]),
    ({"starts": "Dear Anna"}, ["Dear Anna, hello", " dear anna"], ["Dear Annabel", "Hello, Dear Anna"]),
    ({"starts": ["is", "does"]}, ["Is it?", "does it"], ["island", "it is"]),
    ({"ends": "?"}, ["is it so?", "is it so? \n"], ["is it so", "is it so?!"]),
    ({"ends": ["end", "stop"]}, ["the end", "the stop"], ["the bend", "the end."]),
    ({"min_words": 2, "max_words": 3}, ["one two", "it's the three"], ["one", "one two three four"]),
    ({"lines": 2}, ["a b\nc d", "a\n\n\nb\n", "a\r\nb"], ["a b c d", "a\nb\nc"]),
    (
        {"sentences": 2},
        ["A fox ran. It hid.", 'He said "go." She ran!', "One. two"],
        ["A fox ran and hid.", "A. B. C."],
    ),
    ({"upper": True}, ["BIG FOX", "A1"], ["Big fox", "BIG fOX"]),
    ({"upper": False}, ["big fox", "a1"], ["Big fox"]),
    ({"same_words": True}, ["Is the fox red?", "is the fox red"], ["the fox is red", "is the fox red now"]),
    ({}, ["is the fox red"], ["is a fox red"]),
    ({"must": ["fox"], "max_words": 3, "ends": "."}, ["a red fox."], ["a fox", "a fox that is red."]),
    ({"must": ["don't"]}, ["don\u2019t go"], ["do not go"]),
]


def grade(grading, text, targets=("is the fox red?",)):
    example = Example.of([Message(role="user", content="?")], targets=targets, grading={"grader": "auto", **grading})
    return GRADERS["constraints"](example, Completion.of(example_id=example.id, model_id="m", text=text))


@pytest.mark.parametrize(("grading", "right", "wrong"), RIGHT_AND_WRONG, ids=lambda value: str(value)[:40])
def test_right_answers_are_right_and_wrong_ones_wrong(grading, right, wrong):
    assert [text for text in right if grade(grading, text).value != 1] == []
    assert [text for text in wrong if grade(grading, text).value != 0] == []


def test_the_reason_names_what_is_broken():
    assert grade({"must": ["fox"], "lines": 2}, "a cat").reason == "breaks must, lines"


def test_without_constraints_and_answers_it_cannot_tell():
    assert grade({}, "anything", targets=()).value is None
    assert grade({"same_words": False, "must": ["fox"]}, "fox", targets=()).value == 1


def test_a_misspelt_constraint_is_an_error_and_lets_no_answer_pass():
    with pytest.raises(ValueError, match="must_nott: no such constraint, expected some of must"):
        grade({"must_nott": ["fox"]}, "a fox")
    example = Example.of([Message(role="user", content="?")], grading={"wrods": 3})
    completion = Completion.of(example_id=example.id, model_id="m", text="x")
    found = grade_all(GRADERS["constraints"], [example], [completion])
    assert found[0].is_error
