"""One list of refusals for all that ask."""

import doctest

import pytest
from refusal_table import OTHERS, REFUSALS

import luthier.refusals as refusals
from luthier.curate.bias.rows import naming_rows
from luthier.curate.counted_texts import RowText
from luthier.curate.labels.answers import REFUSAL, flags_of
from luthier.curate.synthesis.rules import answer_fault
from luthier.monitor.traffic import traffic
from luthier.records import Message
from luthier.refusals import begins_with_refusal
from luthier.traces import Trace

CASES = [
    ("I'm sorry, but I can't help with that.", True),
    ("I\u2019m sorry, I am unable to do so.", True),
    ("As an AI language model, I have no opinion.", True),
    ("I will not discuss this.", True),
    ("Ich kann Ihnen dabei leider nicht helfen.", True),
    ("Je ne peux pas vous aider.", True),
    ("No puedo ayudarte.", True),
    ("I'm sorry to hear that. Your parcel is on its way.", False),
    ("I am sorry for your loss.", False),
    ("I won't be late tonight.", False),
    ("Unfortunately, I forgot my keys.", False),
    ("I can help with that.", False),
    ("You cannot return opened goods.", False),
    ("x" * 300 + " I can't help with that.", False),
    ("\n  I can't help with that.", True),
    ("", False),
]


@pytest.mark.parametrize("answer", REFUSALS)
def test_answers_that_refuse_are_told_in_ten_languages(answer):
    assert begins_with_refusal(answer)


@pytest.mark.parametrize("answer", OTHERS)
def test_answers_that_only_look_so_are_not_taken_for_refusals(answer):
    assert not begins_with_refusal(answer)


def test_only_sentences_that_start_within_the_first_characters_are_looked_at():
    start = "It is so. " * 19
    assert begins_with_refusal(f"{start}I can't help with that.") is False  # the twentieth sentence
    assert begins_with_refusal("word " * 30 + ". I can't help with that.")
    assert not begins_with_refusal("word " * 45 + ". I can't help with that.")


@pytest.mark.parametrize(("answer", "refused"), CASES)
def test_the_refusal_rule(answer, refused):
    assert begins_with_refusal(answer) is refused


@pytest.mark.parametrize(("answer", "refused"), [case for case in CASES if case[0]])
def test_curation_synthesis_bias_and_monitoring_agree(answer, refused):
    assert (REFUSAL in flags_of("Tell me of the lake.", answer)) is refused
    assert (answer_fault("Tell me of the lake.", answer) == "refusal") is refused
    row = RowText(0, "She asks of the lake.", answer, "en", "", 5, len(answer.split()))
    assert naming_rows([row], {}).rows[0].is_refusal is refused
    share = traffic([made(answer)], [], name="all").refused
    assert share is not None and share.value == refused


def test_a_long_run_of_blanks_takes_time_in_proportion():
    assert not any(begins_with_refusal(f"{start}{' ' * 300_000}x") for start in ("", "Sorry,", "Well.", "I'm sorry"))


def made(answer):
    return Trace(
        id="t", created_at="2026-08-20T10:00:00.000+00:00", model_id="aa", model_name="support",
        messages=(Message(role="user", content="where?"),), answer=answer, prompt_tokens=5, completion_tokens=3,
        latency_ms=100.0, first_token_ms=20.0, finish_reason="stop", consent=True,
    )  # fmt: skip


def test_the_examples_in_the_docstring_hold():
    result = doctest.testmod(refusals)
    assert result.attempted >= 1 and result.failed == 0
