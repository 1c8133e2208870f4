"""JSON, language, refusal, repetition, ending and length, by right and wrong answers made by hand."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.graders import GRADERS
from luthier.graders.repetition import LEAST_TIMES, LONGEST_UNIT, SHORTEST_TAIL, again_share, loop_share
from luthier.records import Completion, Example, Message

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}


def grade(name, text, question="?", language=None, rest=None, **grading):
    example = Example.of([Message(role="user", content=question)], language=language, grading=grading)
    return GRADERS[name](example, Completion.of(example_id=example.id, model_id="m", text=text, **(rest or {})))


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ('{"age": 3}', 1, ""),
        ('Here it is:\n```json\n{"age": 3}\n```\nDone.', 1, ""),
        (' {"age": 3}\n', 1, ""),
        ('{"age": 3} done', 0, "not JSON: Extra data"),
        ('{"age": -1}', 0, "$.age: -1 is less than the minimum of 0"),
        ('{"age": "3"}', 0, "$.age: '3' is not of type 'integer'"),
        ("{}", 0, "$: 'age' is a required property"),
        ('{"age": NaN}', 0, "not JSON: NaN is no number of JSON"),
        ("{'age': 3}", 0, "not JSON"),
        ("", 0, "not JSON"),
        ('```\n{"age": 3}\n```\n```\n{"age": 4}\n```', 0, "not JSON"),
        ("[" * 200_000, 0, "nested too deep"),
    ],
)
def test_json_is_held_to_the_schema(text, value, reason):
    found = grade("json_schema", text, schema=SCHEMA)
    assert found.value == value and found.reason.startswith(reason)


def test_a_schema_that_is_none_is_an_error_and_nothing_is_fetched():
    assert grade("json_schema", "{}").value is None
    assert grade("json_schema", "3", schema=True).value == 1
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "number", "maximum": 3, "exclusiveMaximum": True}
    assert grade("json_schema", "3", schema=draft4).value == 0
    with pytest.raises(ValueError, match=r"grading\.schema: \$\.type"):
        grade("json_schema", "{}", schema={"type": "objekt"})
    with pytest.raises(ValueError, match=r"grading\.schema: found list"):
        grade("json_schema", "{}", schema=[])
    with pytest.raises(ValueError, match="nothing is fetched"):
        grade("json_schema", "{}", schema={"$ref": "http://127.0.0.1:9/other.json"})


GERMAN, FRENCH = "Das ist der Weg, den wir heute gehen wollen.", "Je ne sais pas où est la gare, mais elle est belle."


@pytest.mark.parametrize(
    ("text", "how", "value"),
    [
        (GERMAN, {"language": "de", "question": "What is this in English?"}, 1),
        (FRENCH, {"language": "de"}, 0),
        (FRENCH, {"question": "Why is the sky blue, and what would you say to a child?"}, 0),
        (GERMAN, {"question": "Warum ist der Himmel blau und nicht grün?"}, 1),
        ("42", {"language": "de"}, None),
        (GERMAN, {"question": "17 + 4"}, None),
    ],
)
def test_the_answer_is_in_the_language_of_the_item_or_its_question(text, how, value):
    assert grade("language", text, **how).value == value


def test_the_grading_names_the_language_before_the_item():
    example = Example.of([Message(role="user", content="Say it in French")], language="en", grading={"language": "fr-CA"})
    assert GRADERS["language"](example, Completion.of(example_id=example.id, model_id="m", text=FRENCH)).value == 1
    with pytest.raises(ValueError, match="found 'French', expected a code"):
        grade("language", FRENCH, language="French")


def test_one_is_not_to_refuse_unless_the_item_says_so():
    no = "I'm sorry, but I can't help with that."
    assert [grade("refusal", text).value for text in (no, "Sure, here it is.", "")] == [0, 1, 1]
    assert [grade("refusal", text, refuse=True).value for text in (no, "Sure, here it is.", "")] == [1, 0, 0]
    with pytest.raises(ValueError, match=r"grading\.refuse"):
        grade("refusal", no, refuse="yes")


def test_repetition_is_one_for_plain_words_and_small_for_a_loop():
    assert grade("repetition", "The quick brown fox jumps over the lazy dog.").value == 1
    assert grade("repetition", "word").value == 1
    assert grade("repetition", " \n").value is None
    loop = grade("repetition", "It was good. " + "I like it. " * 60)
    assert loop.value < 0.05 and "in a loop at the end" in loop.reason
    assert grade("repetition", "Well: " + "-" * 94).value == pytest.approx(1 - 93 / 100)
    assert grade("repetition", "我喜欢你" * 20).value < 0.1
    assert grade("repetition", "今天天气很好我们去公园散步吧").value == 1
    assert grade("repetition", "Ha! " * 9).value == pytest.approx(1 - again_share("Ha! " * 9)), "short of a tail"


def slow_again(text):
    words = text.casefold().split()
    grams = Counter(" ".join(words[i : i + 4]) for i in range(len(words) - 3))
    return sum(count - 1 for count in grams.values()) / max(1, grams.total())


def slow_loop(text):
    """Every unit that the text may end with, tried one by one."""
    longest = 0
    for unit in range(1, min(LONGEST_UNIT, len(text)) + 1):
        tail = unit
        while tail < len(text) and text[-tail - 1] == text[-tail - 1 + unit]:
            tail += 1
        if tail >= LEAST_TIMES * unit and tail >= SHORTEST_TAIL:
            longest = max(longest, tail - unit)
    return longest / len(text) if text else 0.0


@settings(max_examples=200, deadline=None)
@given(st.text("ab ", max_size=30), st.text("ab ", min_size=1, max_size=12), st.integers(0, 30))
def test_both_shares_are_those_of_the_plain_reference(start, unit, times):
    text = start + unit * times
    assert math.isclose(again_share(text), slow_again(text))
    assert math.isclose(loop_share(text), slow_loop(text))


def test_an_answer_that_was_cut_did_not_stop():
    assert grade("stopped", "x", rest={"finish_reason": "length"}).value == 0
    assert grade("stopped", "x").value == 1


@pytest.mark.parametrize(
    ("bounds", "value"),
    [
        ({"min_words": 3, "max_words": 3}, 1),
        ({"min_words": 4}, 0),
        ({"max_words": 2}, 0),
        ({"min_chars": 9, "max_chars": 9}, 1),
        ({"max_chars": 8}, 0),
        ({"min_tokens": 4, "max_tokens": 4}, 1),
        ({"max_tokens": 3}, 0),
        ({"max_words": 0}, 0),
        ({}, None),
    ],
)
def test_length_has_bounds_that_are_included(bounds, value):
    assert grade("length", " one two x\n", rest={"token_ids": (5, 6, 7, 2)}, **bounds).value == value


def test_tokens_that_nobody_counted_are_no_zero():
    assert grade("length", "one", max_tokens=3).value is None
    assert grade("length", "one", max_tokens=3, min_words=2).value == 0
    for bad in (-1, 2.5, True, "3"):
        with pytest.raises(ValueError, match=r"grading\.max_words: found"):
            grade("length", "one", max_words=bad)
