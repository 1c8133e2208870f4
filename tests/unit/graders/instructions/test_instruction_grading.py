import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.graders import GRADERS, auto, grade_all, named_graders
from luthier.graders.instructions.asking import KINDS, read_instructions
from luthier.graders.instructions.grading import (
    Outcome,
    instructions,
    instructions_loose,
    loose_finding,
    loose_forms,
    outcomes,
)
from luthier.records import Completion, Example, Grade, Message

NO_COMMA = {"id": "punctuation:no_comma"}
TITLE = {"id": "detectable_format:title"}
END = {"id": "startend:end_checker", "end_phrase": "The end."}
THREE_WORDS = {"id": "length_constraints:number_words", "relation": "at least", "num_words": 3}


def item(*asked, prompt="?", **grading):
    grading = {"grader": "instructions", "instructions": list(asked), **grading}
    return Example.of([Message(role="user", content=prompt)], grading=grading)


def said(example, text, sample=0):
    return Completion.of(example_id=example.id, model_id="m", text=text, sample=sample)


def grade(grader, text, *asked):
    example = item(*asked)
    return grader(example, said(example, text))


def test_an_answer_is_right_when_it_follows_every_instruction():
    both = grade(instructions, "one two three", NO_COMMA, THREE_WORDS)
    assert (both.value, both.reason) == (1, "follows punctuation:no_comma; follows length_constraints:number_words")
    one = grade(instructions, "one, two", NO_COMMA, THREE_WORDS)
    assert one.value == 0
    assert one.reason == "breaks punctuation:no_comma (1 commas); breaks length_constraints:number_words (2 words)"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Sure, here it is:\nno comma", NO_COMMA),
        ("no comma\nBye, then", NO_COMMA),
        ("Well, so:\nno comma\nBye, then", NO_COMMA),
        ("It was so. *The end.*", END),
        ("So:\n**The end.**\nBye!", END),
    ],
)
def test_loosely_first_line_last_line_and_asterisks_are_forgiven(text, asked):
    assert grade(instructions, text, asked).value == 0
    assert grade(instructions_loose, text, asked).value == 1


def test_loosely_a_comma_in_the_middle_is_not_forgiven_and_an_empty_rest_follows_nothing():
    assert grade(instructions_loose, "a\nb, c\nd", NO_COMMA).value == 0
    assert grade(instructions_loose, "a, b", NO_COMMA).value == 0
    assert grade(instructions_loose, "", NO_COMMA).value == 0


def test_each_instruction_may_be_followed_in_another_form():
    text = "<<Joy>>, he said\nIt is so. *The end.*"
    found = grade(instructions_loose, text, TITLE, NO_COMMA, END)
    assert found.value == 1
    assert grade(instructions, text, TITLE, NO_COMMA, END).reason == (
        "follows detectable_format:title; breaks punctuation:no_comma (1 commas); breaks startend:end_checker (another end)"
    )


@given(st.text("ab,*\n .\r", max_size=30))
def test_loose_forms_are_the_eight_of_the_definition_and_strict_is_the_first(text):
    lines = text.replace("\r\n", "\n").split("\n")
    plain = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    assert set(loose_forms(text)) == {*plain, *(form.replace("*", "") for form in plain)}
    assert loose_forms(text)[0] == text
    (asked,) = read_instructions([NO_COMMA])
    assert loose_finding(asked, text).follows == any(asked.finding(form).follows for form in loose_forms(text))
    assert loose_finding(asked, text).follows >= asked.finding(text).follows


def test_without_instructions_it_cannot_tell_and_without_the_key_it_is_an_error():
    example = Example.of([Message(role="user", content="?")], targets=["x"])
    assert instructions(example, said(example, "x")).value is None
    assert grade(instructions, "x").value is None
    example = Example.of([Message(role="user", content="?")], grading={"grader": "instructions", "instruction": []})
    (found,) = grade_all(auto, [example], [said(example, "x")])
    assert found.is_error and "grading.instructions: found nothing, expected a list" in found.reason


@pytest.mark.parametrize("grader", ["instructions", "instructions_loose"])
def test_an_unknown_id_is_an_error_that_names_it_and_never_a_zero(grader):
    example = item({"id": "punctuation:no_coma"})
    (found,) = grade_all(GRADERS[grader], [example], [said(example, "x")])
    assert found.is_error and found.value is None
    assert "grading.instructions[0].id: found 'punctuation:no_coma', expected punctuation:no_comma" in found.reason


def test_strict_and_loose_are_two_kpis_and_auto_asks_for_the_strict_one():
    assert list(named_graders(["auto", "instructions", "instructions_loose"], where="x")) == [
        "auto", "instructions", "instructions_loose",
    ]  # fmt: skip
    example = item(NO_COMMA)
    found = auto(example, said(example, "a, b"))
    assert (found.grader, found.value) == ("auto", 0)
    assert outcomes(found) == [Outcome("punctuation:no_comma", False)]


@given(st.lists(st.sampled_from([NO_COMMA, TITLE, END, THREE_WORDS]), max_size=5), st.text("a ,<>.", max_size=20))
def test_the_outcomes_are_read_back_from_the_reason(asked, text):
    found = grade(instructions, text, *asked)
    expected = [Outcome(each.id, each.finding(text).follows) for each in read_instructions(asked)]
    assert outcomes(found) == expected
    assert found.value == (float(all(outcome.follows for outcome in expected)) if expected else None)


def test_every_id_can_be_read_back_from_a_reason():
    for name in KINDS:
        found = Grade(completion_id="c", example_id="e", grader="auto", value=1.0, reason=f"instructions: follows {name}")
        assert outcomes(found) == [Outcome(name, True)]
