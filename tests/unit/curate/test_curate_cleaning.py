"""Cleaning repairs what tools break and leaves alone what a person could have meant."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.cleaning import clean, clean_text, has_lost_characters
from luthier.records import Example, Message, Preference
from luthier.similarity import normal_form


def example(prompt, answer, **rest):
    return Example.of([Message(role="user", content=prompt), Message(role="assistant", content=answer)], **rest)


REPAIRED = [
    ("It\u00e2\u20ac\u2122s caf\u00c3\u00a9", "It\u2019s caf\u00e9", {"mojibake"}),
    ("fine caf\u00e9\nbroken caf\u00c3\u00a9", "fine caf\u00e9\nbroken caf\u00e9", {"mojibake"}),
    ("a\r\nb\rc\u2028d", "a\nb\nc\nd", {"line ends"}),
    ("10\u00a0euro", "10 euro", {"no-break spaces"}),
    ("zero\u200bwidth\x00\x07", "zerowidth", {"invisible characters"}),
    ("cafe\u0301", "caf\u00e9", {"Unicode form"}),
    ("  padded \n", "padded", {"outer blanks"}),
    ("\n\n  if x:\n    y\n\n", "  if x:\n    y", {"outer blanks"}),
]

KEPT = [
    "def f():\n\treturn 'a  b'  # two blanks",
    "He said \u201cyes\u201d \u2014 na\u00efve caf\u00e9, \u00e0 la carte",
    "&lt;b&gt; stays &amp; so does \\n",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f469\u200d\U0001f4bb",
    "\u0e01\u200b\u0e02",
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
    "10\u202f000",
    "lost \ufffd here",
]


@pytest.mark.parametrize(("text", "expected", "names"), REPAIRED)
def test_broken_texts_are_repaired_and_the_repair_is_named(text, expected, names):
    repairs = set()
    assert clean_text(text, repairs) == expected
    assert repairs == names


@pytest.mark.parametrize("text", KEPT)
def test_texts_that_mean_what_they_say_stay_as_they_are(text):
    repairs = set()
    assert clean_text(text, repairs) == text
    assert not repairs


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab e\u0301\u00a0\n\r\t\u200b\u2028\ufeff\x00\u4f60")))
def test_a_clean_text_stays_and_keeps_its_normal_form(text):
    cleaned = clean_text(text, set())
    assert clean_text(cleaned, set()) == cleaned
    assert normal_form(cleaned) == normal_form(text)


def test_every_text_of_an_example_is_cleaned_and_it_gets_the_id_of_what_it_says_now():
    dirty = example("a\u200b", "b\u00a0c", targets=["b\u00a0c", "b c", "d\u200b"], choices=["d\u200b", "e"],
                    task="t", links=("l",), source="f:1", licence="MIT", grading={"grader": "choice"})  # fmt: skip
    clean_one = example("a", "b c", targets=["b c", "d"], choices=["d", "e"], task="t", links=("l",), source="f:1",
                        licence="MIT", grading={"grader": "choice"})  # fmt: skip
    cleaned = clean(dirty)
    assert cleaned.record == clean_one
    assert cleaned.repairs == {"invisible characters", "no-break spaces"}


def test_loss_weights_survive_cleaning():
    dirty = Example.of([Message(role="user", content="a\u200b"), Message(role="assistant", content="b", weight=0.5)])
    assert [message.weight for message in clean(dirty).record.messages] == [None, 0.5]


def test_a_clean_record_is_the_same_object():
    record = example("a", "b")
    assert clean(record).record is record
    assert clean(record).repairs == frozenset()


def test_an_example_with_targets_only_gets_the_first_as_its_answer():
    item = Example.of([Message(role="user", content="a")], targets=["b", "c"], choices=["b", "c"], task="t")
    cleaned = clean(item)
    assert cleaned.record == example("a", "b", targets=["b", "c"], choices=["b", "c"], task="t")
    assert cleaned.record.prompt == item.prompt
    assert cleaned.repairs == {"answer added from targets"}


def test_both_answers_and_the_prompt_of_a_preference_are_cleaned():
    prompt = [Message(role="user", content="a\u200b")]
    cleaned = clean(Preference.of(prompt, chosen="b ", rejected="c\r\nd", origin="edit", links=("l",), source="f:1"))
    assert cleaned.record == Preference.of(
        [Message(role="user", content="a")], chosen="b", rejected="c\nd", origin="edit", links=("l",), source="f:1"
    )


def test_lost_characters_are_noticed_in_prompt_and_answer():
    assert has_lost_characters(example("a", "b\ufffd")) and has_lost_characters(example("\ufffd", "b"))
    assert not has_lost_characters(example("a", "b"))
