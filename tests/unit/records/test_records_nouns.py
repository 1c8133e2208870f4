"""Records: what they say of themselves, and where their ids come from."""

from __future__ import annotations

import dataclasses

import pytest

from luthier.records import Completion, Example, Message, Preference, content_id, conversation_text

ASK = Message(role="user", content="where?")
SAY = Message(role="assistant", content="here")


def test_ids_depend_on_content_and_on_nothing_else():
    one = Example.of([ASK, SAY], task="a", source="x.jsonl:1")
    same = Example.of((ASK, SAY), task="b", source="y.jsonl:9", licence="mit")
    assert one.id == same.id and len(one.id) == 16
    others = [
        Example.of([ASK]), Example.of([SAY, ASK]), Example.of([ASK, SAY], targets=["here", "there"]), Example.of([ASK, SAY], choices=["here"]),
        Example.of([ASK, dataclasses.replace(SAY, weight=0.5)]), Example.of([dataclasses.replace(ASK, role="system"), SAY]),
    ]  # fmt: skip
    assert len({e.id for e in [one, *others]}) == 7


def test_a_weight_that_is_the_default_is_no_other_content():
    assert Example.of([ASK, SAY]).id == Example.of([ASK, dataclasses.replace(SAY, weight=1.0)]).id


def test_calls_tools_and_whoever_speaks_are_content():
    call = {"type": "function", "function": {"name": "t", "arguments": "{}"}}
    asks = dataclasses.replace(SAY, tool_calls=(call,))
    says = Message(role="tool", content="x")
    ids = {Example.of(turns, tools=tools).id for turns, tools in [
        ([ASK, SAY], ()), ([ASK, asks], ()), ([ASK, SAY], (call,)), ([ASK, asks, says, SAY], ()),
        ([ASK, asks, dataclasses.replace(says, name="t"), SAY], ()),
        ([ASK, asks, dataclasses.replace(says, tool_call_id="1"), SAY], ()),
        ([ASK, dataclasses.replace(SAY, tool_calls=(call, call))], ()),
    ]}  # fmt: skip
    assert len(ids) == 7
    assert asks.text == "here\nt({})" and Example.of([ASK, dataclasses.replace(asks, content="")]).targets == ()


def test_a_target_given_or_taken_from_the_answer_is_the_same_content():
    assert Example.of([ASK, SAY]).id == Example.of([ASK, SAY], targets=["here"]).id
    ids = {Example.of([ASK, SAY], targets=t, choices=c).id for t, c in [
        (["here"], []), (["here", "here"], []), (["here"], ["here"]), (["x"], []), (["x"], ["x"]), (["x", "x"], []),
    ]}  # fmt: skip
    assert len(ids) == 6


def test_text_is_not_confused_across_fields():
    turns = [[Message(role="user", content="a3:b"), SAY], [ASK, Message(role="assistant", content="1:a")]]
    assert len({Example.of(t, choices=c).id for t in turns for c in ([], ["1:x1:y"], ["1:x", "y"], ["x", "y"])}) == 8
    assert content_id("ab", "c") != content_id("a", "bc")
    assert Preference.of([ASK], chosen="a", rejected="b").id != Preference.of([ASK], chosen="b", rejected="a").id


def test_prompt_is_everything_but_the_final_answer():
    assert Example.of([ASK, SAY]).prompt == (ASK,)
    assert Example.of([ASK, SAY, ASK]).prompt == (ASK, SAY, ASK)
    assert Example.of([]).prompt == ()


def test_targets_default_to_the_final_answer():
    assert Example.of([ASK, SAY]).target == "here"
    assert Example.of([ASK, SAY], targets=["x", "y"]).target == "x"
    assert Example.of([ASK]).target is None


def test_only_assistant_turns_weigh_unless_told():
    assert [m.loss_weight for m in (ASK, SAY, Message(role="system", content=""))] == [0.0, 1.0, 0.0]
    assert dataclasses.replace(SAY, weight=0.0).loss_weight == 0.0


def test_several_samples_of_one_text_are_several_completions():
    ids = {Completion.of(example_id="e", model_id="m", text="t", sample=n).id for n in range(3)}
    assert len(ids) == 3


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ASK.content = "x"


def test_conversation_text_is_a_line_per_turn():
    assert conversation_text([ASK, SAY]) == "user: where?\nassistant: here"
