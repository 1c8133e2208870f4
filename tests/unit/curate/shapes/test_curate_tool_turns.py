"""Tools, their calls and their answers, in each of the ways in which they are written."""

import json

import pytest

from luthier.curate.files.raw import RawRow
from luthier.curate.shapes.recognising import convert
from luthier.records import Message, read_records, write_records
from luthier.records.nouns import Example

TOOL = {"name": "find", "description": "finds", "parameters": {"type": "object"}}
WRAPPED = {"type": "function", "function": TOOL}
CALL = {"type": "function", "function": {"name": "find", "arguments": '{"order": 7}'}}
BARE = {"name": "find", "arguments": {"order": 7}}
USER = {"role": "user", "content": "a"}
ANSWER = {"role": "assistant", "content": "b"}


def converted(row):
    return convert(RawRow("rows.jsonl", 41, json.dumps(row).encode(), data=row))


def record_of(row):
    result = converted(row)
    assert result.fault is None, result.fault
    return result.records[0]


def said(record):
    return [(m.role, m.content, *[c["function"]["name"] for c in m.tool_calls]) for m in record.messages]


WAYS = [
    {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                  {"role": "tool", "content": "x"}, ANSWER], "tools": [WRAPPED]},
    {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": json.dumps([CALL])},
                  {"role": "tool", "content": "x"}, ANSWER], "tools": json.dumps([WRAPPED])},
    {"messages": [USER, {"role": "assistant", "function_call": {"name": "find", "arguments": '{"order": 7}'}},
                  {"role": "function", "name": "find", "content": "x"}, ANSWER], "functions": [TOOL]},
    {"messages": [USER, {"role": "assistant", "content": [{"type": "tool_call", "value": json.dumps(BARE)}]},
                  {"role": "tool", "content": [{"type": "text", "value": "x"}]}, ANSWER], "tools": json.dumps([TOOL])},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": json.dumps(BARE)},
                       {"from": "observation", "value": "x"}, {"from": "gpt", "value": "b"}], "tools": json.dumps([TOOL])},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "tool_call", "value": json.dumps([BARE])},
                       {"from": "tool_response", "value": "x"}, {"from": "gpt", "value": "b"}], "tools": [json.dumps(TOOL)]},
]  # fmt: skip


@pytest.mark.parametrize("row", WAYS)
def test_each_way_of_writing_calls_comes_to_one_form(row):
    record = record_of(row)
    assert said(record) == [("user", "a"), ("assistant", "", "find"), ("tool", "x"), ("assistant", "b")]
    assert record.messages[1].tool_calls == (CALL,)
    assert record.tools == (WRAPPED,)
    assert record.targets == ("b",)


def test_a_turn_of_calls_joins_the_turn_of_the_assistant_before_it():
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "let me see"},
             {"from": "function_call", "value": json.dumps(BARE)}, {"from": "function_call", "value": json.dumps(BARE)},
             {"from": "observation", "value": "x"}, {"from": "observation", "value": "y"}, {"from": "gpt", "value": "b"}]  # fmt: skip
    assert said(record_of({"conversations": turns})) == [
        ("user", "a"), ("assistant", "let me see", "find", "find"), ("tool", "x"), ("tool", "y"), ("assistant", "b"),
    ]  # fmt: skip


def test_a_conversation_may_end_in_a_call_and_then_has_no_text_to_compare_with():
    record = record_of({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}], "tools": [TOOL]})
    assert record.targets == ()
    assert record.messages[-1].text == 'find({"order": 7})'


def test_ids_and_names_of_calls_and_answers_are_kept():
    call = {"id": "c1", **CALL}
    answer = {"role": "tool", "tool_call_id": "c1", "name": "find", "content": {"found": ["é", 1]}}
    record = record_of({"messages": [USER, {"role": "assistant", "tool_calls": [call]}, answer, ANSWER]})
    assert record.messages[1].tool_calls == (call,)
    assert record.messages[2] == Message(
        role="tool", content='{"found": ["é", 1]}', tool_call_id="c1", name="find"
    )  # fmt: skip


def test_a_tool_may_answer_nothing():
    for nothing in (None, "", []):
        turns = [USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": nothing}, ANSWER]
        assert record_of({"messages": turns}).messages[2].content in ("", "[]")


def test_a_call_within_the_text_lets_a_tool_answer():
    written = {"role": "assistant", "content": '<tool_call>{"name": "find"}</tool_call>'}
    turns = [USER, written, {"role": "tool", "content": "x"}, ANSWER]
    assert [m.role for m in record_of({"messages": turns}).messages] == ["user", "assistant", "tool", "assistant"]


def test_what_differs_in_calls_or_tools_alone_is_other_content():
    rows = [
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}], "tools": tools}
        for tools in ([TOOL], [{**TOOL, "name": "look"}], [])
    ]
    rows.append({"messages": [USER, {"role": "assistant", "tool_calls": [CALL, CALL]}], "tools": [TOOL]})
    assert len({record_of(row).id for row in rows}) == len(rows)


def test_a_record_with_calls_is_read_as_it_was_written_and_read_as_a_row_too(tmp_path):
    record = record_of(WAYS[0])
    ending = record_of({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}], "tools": [TOOL]})
    write_records(tmp_path / "r.jsonl", [record, ending])
    assert list(read_records(tmp_path / "r.jsonl", Example)) == [record, ending]
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    again = [converted(json.loads(line)) for line in lines]
    assert [result.shape for result in again] == ["luthier", "luthier"]
    assert [result.records[0] for result in again] == [record, ending]


FAULTS = [
    ({"messages": [USER, {"role": "tool", "content": "x"}]}, "wrong order", "messages[1].role", "'tool'"),
    ({"messages": [USER, ANSWER, {"role": "tool", "content": "x"}]}, "wrong order", "messages[2].role", "'tool'"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]}, "wrong order", "messages[2].role", "'user'"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "x"}]},
     "missing answer", "messages", "the tool has the last word"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{"id": 1}]}]}, "broken tool call",
     "messages[1].tool_calls[0]", "'id'"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": "find it"}]}, "broken tool call", "messages[1].tool_calls",
     "'find it'"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{"name": "find", "arguments": "{"}]}]}, "broken tool call",
     "messages[1].tool_calls[0].arguments", "'{'"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{"name": "find", "arguments": 3}]}]}, "broken tool call",
     "messages[1].tool_calls[0].arguments", "3 (int)"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{"name": "find", "arguments": '"\\ud83d"'}]}]},
     "broken tool call", "messages[1].tool_calls[0].arguments", "ud83d"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "c1", **CALL}]},
                   {"role": "tool", "tool_call_id": "c2", "content": "x"}, ANSWER]},
     "wrong tool call id", "messages[2].tool_call_id", "'c2'"),
    ({"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": " "}]},
     "empty answer", "conversations[1].value", "' '"),
    ({"messages": [USER, {"role": "assistant", "content": "", "tool_calls": []}]}, "empty answer", "messages[1].content", "''"),
    ({"messages": [USER, ANSWER], "tools": "find"}, "broken tools", "tools", "'find'"),
    ({"messages": [USER, ANSWER], "tools": [{"parameters": {}}]}, "broken tools", "tools[0]", "parameters"),
    ({"messages": [USER, ANSWER], "tools": [3]}, "broken tools", "tools[0]", "3 (int)"),
    ({"messages": [USER, ANSWER], "tools": 3}, "broken tools", "tools", "3 (int)"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason", "field", "found"), FAULTS)
def test_a_row_with_broken_tools_is_a_problem_with_its_place(row, reason, field, found):
    result = converted(row)
    assert not result.records
    problem = result.fault.problem
    assert (result.fault.reason, problem.where) == (reason, f"rows.jsonl:41: {field}")
    assert found in problem.found
    assert problem.expected and problem.fix
