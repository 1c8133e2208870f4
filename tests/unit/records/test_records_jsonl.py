"""Records on disk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import DataError
from luthier.records import Completion, Example, Feedback, Grade, Message, Preference, read_records, write_records

texts = st.text(max_size=12)
messages = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant"]),
        content=texts,
        weight=st.sampled_from([None, 0.0, 0.5]),
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
