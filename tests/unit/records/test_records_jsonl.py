"""Records on disk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import DataError
from luthier.records import Completion, Example, Feedback, Grade, Message, Preference, read_records, write_records
from luthier.records.jsonl import parse_json

texts = st.text(max_size=12)
messages = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant", "tool"]),
        content=texts,
        weight=st.sampled_from([None, 0.0, 0.5]),
        tool_calls=st.sampled_from([(), ({"type": "function", "function": {"name": "t", "arguments": "{}"}},)]),
        tool_call_id=st.sampled_from([None, "c"]),
        name=st.sampled_from([None, "n"]),
    ),
    max_size=3,
)


@given(rows=st.lists(st.tuples(messages, st.lists(texts, max_size=2), st.sampled_from([None, "t"])), max_size=4))
def test_what_is_written_is_what_is_read(tmp_path_factory, rows):
    """Any text at all: line separators, NUL, astral characters."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    examples = [Example.of(m, targets=t, task=task, grading={"grader": "exact", "n": 1}) for m, t, task in rows]
    assert write_records(path, examples) == len(examples)
    assert list(read_records(path, Example)) == examples
    assert len(path.read_bytes().split(b"\n")) == len(examples) + 1


@pytest.mark.parametrize(
    "record",
    [
        Completion.of(
            example_id="e", model_id="m", text="t", token_ids=(1, 2), logprobs=(-0.5, -1.25), finish_reason="length"
        ),
        Grade(completion_id="c", example_id="e", grader="exact", value=None, reason="unclear", is_error=True),
        Preference.of([Message(role="user", content="q")], chosen="a", rejected="b", links=("doc1",)),
        Feedback(id="f", trace_id="t", kind="thumb", value=0.0),
    ],
)
def test_every_kind_of_record_round_trips(tmp_path, record):
    write_records(tmp_path / "r.jsonl", [record])
    assert list(read_records(tmp_path / "r.jsonl", type(record))) == [record]


def test_defaults_are_left_out_and_the_version_is_beside_the_file(tmp_path):
    path = tmp_path / "deep" / "rows.jsonl"
    write_records(path, [Example.of([Message(role="user", content="é")], targets=["x"], source="a:1")])
    assert set(json.loads(path.read_text(encoding="utf-8"))) == {"id", "messages", "targets", "source"}
    assert "é" in path.read_text(encoding="utf-8")
    assert json.loads((path.parent / "rows.jsonl.version.json").read_text()) == {
        "record": "Example",
        "version": 1,
        "rows": 1,
    }


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_records(path, [Example.of([])])
    before = path.read_bytes()

    def torn():
        yield Example.of([Message(role="user", content="x")])
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        write_records(path, torn())
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"id": "x"}', '{"id": "x", "messages": [], "nope": 1}', '{"id": "x", "messages": [{"role": "user"}]}',
                                  '{"id": "x", "messages": 3}'])  # fmt: skip
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    write_records(path, [Example.of([])])
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(DataError) as error:
        list(read_records(path, Example))
    assert error.value.problems[0].where == f"{path}:3"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list(read_records(tmp_path / "no.jsonl", Example))


JSON_TEXTS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.integers(2**63 - 2, 2**66), st.floats(), st.text(max_size=5),
        st.sampled_from(["\ud83d", "\ude00x"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@given(value=JSON_TEXTS, is_ascii=st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(value, is_ascii):
    data = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "replace")
    assert repr(parse_json(data)) == repr(json.loads(data))


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1,}', b"\xff", b"01", b"[1] 2", b'"\x01"'])
def test_what_is_no_json_is_a_value_error(data):
    with pytest.raises(ValueError):
        parse_json(data)


def test_numbers_that_json_alone_can_write_come_back(tmp_path):
    big = {"grader": "exact", "n": 2**70, "x": float("inf"), "deep": {"y": [-1.5e300]}}
    record = Example.of([Message(role="user", content="a")], grading=big)
    done = Completion.of(example_id="e", model_id="m", text="t", logprobs=(float("-inf"), -0.5))
    for written in (record, done):
        write_records(tmp_path / "r.jsonl", [written])
        assert list(read_records(tmp_path / "r.jsonl", type(written))) == [written]
