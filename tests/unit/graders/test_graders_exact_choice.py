import pytest

from luthier.graders.choice import choice, options_named
from luthier.graders.exact import exact
from luthier.records import Completion, Example, Message


def item(targets=(), choices=(), **rest):
    return Example.of([Message(role="user", content="?")], targets=targets, choices=choices, **rest)


def said(example, text):
    return Completion.of(example_id=example.id, model_id="m", text=text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Paris", 1),
        (" Paris\r\n", 1),
        ("paris", 0),
        ("Paris.", 0),
        ("Lutetia", 1),
        ("", 0),
        ("caf\u00e9", 1),
        ("cafe\u0301", 1),
    ],
)
def test_exact_compares_the_stripped_nfc_form_with_every_accepted_answer(text, value):
    example = item(["Paris", "Lutetia", "cafe\u0301"])
    assert exact(example, said(example, text)).value == value


def test_exact_cannot_tell_without_an_accepted_answer():
    example = item()
    grade = exact(example, said(example, "anything"))
    assert grade.value is None and not grade.is_error and "no accepted answer" in grade.reason


SENTIMENT = ("positive", "negative", "very positive")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("positive", ["positive"]),
        ("- Positive.", ["positive"]),
        ('  "POSITIVE"  ', ["positive"]),
        ("positive\n\nBecause I like it, not negative.", ["positive"]),
        ("I would say it is negative!", ["negative"]),
        ("It is very positive indeed", ["very positive"]),
        ("positive or negative", ["positive", "negative"]),
        ("positives and negativity", []),
        ("", []),
    ],
)
def test_choice_reads_which_options_an_answer_names(text, named):
    assert options_named(text, SENTIMENT) == named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A", ["(A)"]),
        ("(b) Rome", ["(B)"]),
        ("B. Rome, a city", ["(B)"]),
        ("So the answer is (A).", ["(A)"]),
        ("Answer: B", ["(B)"]),
        ("A dog is not a cat", []),
        ("I pick a", []),
    ],
)
def test_options_of_one_letter_are_not_found_in_ordinary_words(text, named):
    assert options_named(text, ("(A)", "(B)")) == named


def test_choice_reads_scripts_that_write_no_spaces():
    positive, negative = "\u6b63\u9762", "\u8d1f\u9762"
    assert options_named(f"\u7b54\u6848\u662f{negative}\u3002", (positive, negative)) == [negative]


@pytest.mark.parametrize(
    ("text", "value"), [("Yes.", 1), ("no", 0), ("yes and no", 0), ("perhaps", 0), ("- yes", 1), ("", 0)]
)
def test_an_answer_that_names_no_option_or_two_is_wrong_not_undecided(text, value):
    example = item(["yes"], ["yes", "no"])
    assert choice(example, said(example, text)).value == value


@pytest.mark.parametrize("example", [item([], ["a b", "c d"]), item(["x"], ["a b", "c d"]), item(["x"])])
def test_choice_cannot_tell_when_no_option_is_known_to_be_right(example):
    assert choice(example, said(example, "a b")).value is None


def test_the_accepted_option_is_found_in_the_targets_spelling():
    example = item(["- Yes."], ["yes", "no"])
    assert choice(example, said(example, "YES")).value == 1
