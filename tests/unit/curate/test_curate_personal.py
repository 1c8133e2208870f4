"""Personal data in every corner of a record: nothing stays, one value has one placeholder, and JSON stays JSON."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.config import PersonalConfig
from luthier.curate.personal import found_in, redacted_row, redaction_of, replaced_in
from luthier.records import Example, Message, Preference

REDACTION = redaction_of(PersonalConfig())


def call(arguments, name="pay"):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def example(*, arguments="{}", said="Hello.", name=None, **rest):
    turns = [
        Message(role="user", content=said), Message(role="assistant", content="", tool_calls=(call(arguments),)),
        Message(role="tool", content="done", tool_call_id="call_1", name=name), Message(role="assistant", content="Done."),
    ]  # fmt: skip
    return Example.of(turns, **rest)


def arguments_of(record):
    return record.messages[1].tool_calls[0]["function"]["arguments"]


TOOL = {"type": "function", "function": {"name": "pay", "description": "Ask ann@example.org.",
                                         "parameters": {"type": "object", "properties": {"to": {"enum": ["ann@example.org"]}}}}}  # fmt: skip
CORNERS = {
    "tools": {"tools": (TOOL,)},
    "grading": {"grading": {"grader": "exact", "reference": ["ann@example.org"]}},
    "task": {"task": "mail of ann@example.org"},
    "cluster": {"cluster": "ann@example.org"},
    "name": {"name": "ann@example.org"},
    "arguments": {"arguments": '{"to": {"mail": "ann@example.org"}}'},
    "key of arguments": {"arguments": '{"ann@example.org": 5}'},
    "arguments that are no JSON": {"arguments": "to ann@example.org"},
}


@pytest.mark.parametrize("corner", CORNERS)
def test_every_corner_of_a_row_is_looked_at_and_has_the_number_of_the_others(corner):
    record = example(said="I am bob@example.org, and she is ann@example.org.", **CORNERS[corner])
    assert found_in(record, REDACTION)["email"] >= 3
    made, kinds = replaced_in(record, REDACTION)
    assert kinds["email"] >= 3 and "example.org" not in repr(made)
    assert made.messages[0].content == "I am [EMAIL_1], and she is [EMAIL_2]."
    assert repr(made).count("[EMAIL_2]") >= 2 and "[EMAIL_3]" not in repr(made)
    assert made.id == Example.of(made.messages, targets=made.targets, choices=made.choices, tools=made.tools).id


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"card":4111111111111111}', {"card": "[CARD_1]"}),
        ('{"cards": [4111111111111111, 12]}', {"cards": ["[CARD_1]", 12]}),
        ('{"note": "line\\n\\"ann@example.org\\"", "n": 1.5}', {"note": 'line\n"[EMAIL_1]"', "n": 1.5}),
        ('{"ssn": "123-45-6789"}', {"ssn": "[NATIONAL_ID_1]"}),
    ],
)
def test_arguments_stay_json(arguments, expected):
    made, _ = replaced_in(example(arguments=arguments), REDACTION)
    assert json.loads(arguments_of(made)) == expected


def test_what_holds_nothing_is_the_same_object_and_arguments_keep_their_form():
    clean = example(arguments='{"a":1,  "b":"x"}', tools=(TOOL["function"] | {"description": "Pays."},), task="t")
    clean = Example.of(clean.messages, task="t")
    assert replaced_in(clean, REDACTION)[0] is clean
    made, _ = replaced_in(example(arguments='{"a":1,  "b":"x"}', said="ann@example.org"), REDACTION)
    assert arguments_of(made) == '{"a":1,  "b":"x"}'


def test_links_sources_and_ids_of_calls_are_not_touched():
    record = example(said="ann@example.org", links=("ann@example.org",), source="ann@example.org.jsonl:1")
    made, _ = replaced_in(record, REDACTION)
    assert (made.links, made.source) == (record.links, record.source)
    assert made.messages[1].tool_calls[0]["id"] == made.messages[2].tool_call_id == "call_1"


def test_preferences_are_looked_at_in_every_corner_too():
    prompt = [Message(role="user", content="Hello.", name="ann@example.org")]
    record = Preference.of(prompt, chosen="Hi ann@example.org", rejected="no", task="of ann@example.org")
    made, kinds = replaced_in(record, REDACTION)
    assert kinds == {"email": 3} and "example.org" not in repr(made) and made.task == "of [EMAIL_1]"


@pytest.mark.parametrize("arguments", ['{"to": "ann\\u0040example.org"}', '{"n": "card\\n4111111111111111"}'])
def test_escapes_hide_nothing(arguments):
    made, kinds = replaced_in(example(arguments=arguments), REDACTION)
    assert kinds.total() == 1 and "_1]" in arguments_of(made)
    assert found_in(made, REDACTION).total() == 0


@pytest.mark.parametrize("value", [{"password": ["hunter2!x9"]}, {"of": {"api_key": ["", "hunter2!x9"]}},
                                   {"steps": ["update", "84.20.30.41"]}, {"x": ["iban", "to12 DE89370400440532013000"]}])  # fmt: skip
def test_what_a_list_holds_is_found_wherever_it_stands(value):
    for record in (example(arguments=json.dumps(value)), example(grading=value)):
        assert found_in(record, REDACTION).total() == 1
        made, _ = replaced_in(record, REDACTION)
        assert "hunter2" not in repr(made) and "84.20" not in repr(made) and "DE89" not in repr(made)


NAMES = st.sampled_from(["password", "api_key", "token", "version", "iban", "ip", "phone", "note", "", "ssn"])
PIECES = st.sampled_from([
    "hunter2!x9", "password:", "the secret is", "", "update", "v", "84.20.30.41", "555-123-4567", "4155552671", 4155552671,
    "call", "+1 415", "555 2671", "DE89370400440532013000", "de89370400440532013000", "to12 iban", "x", "bob@example.org",
    "@", "4111 1111 1111 1111", "12", "bearer", "abc123abc123abc123", 78051120, "078-05-1120", "\uff11\uff12", "secret: ",
])  # fmt: skip
VALUES = st.recursive(PIECES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
                      max_leaves=8)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=3), VALUES)
def test_looking_at_the_whole_first_finds_all_that_looking_at_each_value_does(arguments, grading):
    rest = {"arguments": json.dumps(arguments), "grading": {"of": grading}}
    # An address in the cluster makes every value be looked at by itself.
    each = found_in(example(cluster="zoe@example.com", **rest), REDACTION)
    each["email"] -= 1
    assert found_in(example(**rest), REDACTION) == +each


def test_a_row_of_a_file_is_shown_with_placeholders_and_what_is_said_of_it_with_the_same_ones():
    row = '{"to": ["ann@example.org"], "password": ["hunter2!x9"], "n": 1}'
    shown, (found,) = redacted_row(row, ["ann@example.org (str)"], REDACTION)
    assert json.loads(shown) == {"to": ["[EMAIL_1]"], "password": ["[SECRET_1]"], "n": 1} and found == "[EMAIL_1] (str)"
    assert redacted_row('{"to": ann@example.org', [], REDACTION)[0] == '{"to": [EMAIL_1]'
    assert redacted_row('{"a":  1}', ["x"], REDACTION) == ('{"a":  1}', ["x"])


def test_a_row_that_names_a_key_twice_is_shown_with_placeholders_for_both_values():
    shown, _ = redacted_row('{"a": "ann@example.org", "a": "bob@example.org"}', [], REDACTION)
    assert json.loads(shown) == {"a": "[EMAIL_1]", "a (2)": "[EMAIL_2]"}


def test_no_value_is_lost_where_two_names_become_one_placeholder():
    record, _ = replaced_in(example(arguments='{"ann@example.org": 1, "Ann@Example.org": 2, "[EMAIL_1]": 3}'), REDACTION)
    assert list(json.loads(arguments_of(record)).values()) == [1, 2, 3] and "example" not in arguments_of(record)


@pytest.mark.parametrize("number", [4111111111111111.0, 4111111111111111])
def test_a_number_with_a_point_is_looked_at_like_one_without(number):
    record, kinds = replaced_in(example(arguments=json.dumps({"card": number})), REDACTION)
    assert arguments_of(record) == '{"card": "[CARD_1]"}' and sum(kinds.values()) == 1


@pytest.mark.parametrize("number", [0.5, 1e300, float("inf"), 4111111111111111.5, 12.0])
def test_numbers_that_are_no_whole_ones_or_too_long_stay(number):
    record = example(arguments=json.dumps({"card": number}))
    assert replaced_in(record, REDACTION)[0] is record
