"""What a record is to the search of near-duplicates: all that it teaches, so that different rows stay apart."""

import json

import pytest
from test_similarity_near import LONG, TOLD, verdict

from luthier.curate.mapping import near_text
from luthier.records import Example, Message, Preference

USER = Message(role="user", content=LONG)


def said(text: str, **rest: object) -> Message:
    return Message(role="assistant", content=text, **rest)


def call(name: str, **arguments: object) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return Message(role="assistant", content="", tool_calls=({"type": "function", "function": function},))


PLAIN = Example.of([USER, said(TOLD)])
TOOLS = ({"type": "function", "function": {"name": "lamp_on"}},)
DIFFERENT = {
    "calls": (Example.of([USER, call("lamp_on", room=1)]), Example.of([USER, call("lamp_off", room=1)])),
    "arguments": (Example.of([USER, call("book", people=2)]), Example.of([USER, call("book", people=9)])),
    "grading": (Example.of([USER], grading={"tests": ["f(1)==2"]}), Example.of([USER], grading={"tests": ["f(1)!=2"]})),
    "tools": (PLAIN, Example.of([USER, said(TOLD)], tools=TOOLS)),
    "further targets": (Example.of([USER], targets=["Peas", "Beans"]), Example.of([USER], targets=["Peas", "Figs"])),
    "order of targets": (Example.of([USER], targets=[TOLD, LONG]), Example.of([USER], targets=[LONG, TOLD])),
    "weights": (
        Example.of([USER, said(TOLD, weight=0.0), USER, said(TOLD)]),
        Example.of([USER, said(TOLD, weight=1.0), USER, said(TOLD)]),
    ),
    "weight of the answer": (PLAIN, Example.of([USER, said(TOLD, weight=0.5)])),
    "roles": (
        Example.of([Message(role="system", content="Be brief."), USER, said(TOLD)]),
        Example.of([Message(role="user", content=f"Be brief.\n{LONG}"), said(TOLD)]),
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_rows_that_teach_different_things_are_never_one_row(name):
    left, right = DIFFERENT[name]
    assert verdict(near_text(left), near_text(right)) != "near"
    for record in (left, right):
        assert verdict(near_text(record), near_text(record)) == "near"


def test_what_nobody_trains_on_makes_no_other_row():
    same = Example.of([USER, said(TOLD, weight=1.0)], targets=[TOLD], task="garden", links=["a"])
    assert near_text(same) == near_text(PLAIN)


def test_both_answers_of_a_preference_count():
    one, other = (Preference.of([USER], chosen=TOLD, rejected=text) for text in ("Ask somebody.", "No idea."))
    assert verdict(near_text(one), near_text(other)) != "near"
    assert verdict(near_text(one), near_text(one)) == "near"
