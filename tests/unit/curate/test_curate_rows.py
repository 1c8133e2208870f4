"""Rows as they are: nothing is cleaned, merged or dropped, and what cannot be used is told."""

import json

import pytest

from luthier.curate.rows import read_examples, recognise, row_at
from luthier.errors import DataError

DIRTY = {"prompt": "a\u200b", "completion": " b"}
BAD = {"prompt": "a", "completion": ""}
PREFERENCE = {"prompt": "a", "chosen": "b", "rejected": "c"}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_usable_rows_come_unchanged_and_in_order_and_the_others_go_to_quarantine(tmp_path):
    data = write(tmp_path / "rows.jsonl", DIRTY, BAD, DIRTY, PREFERENCE)
    rows = read_examples([data], quarantine=tmp_path / "q.jsonl")
    assert [example.messages[0].content for example in rows.examples] == ["a\u200b", "a\u200b"]
    assert [example.source for example in rows.examples] == [f"{data}:1", f"{data}:3"]
    assert [preference.chosen for preference in rows.preferences] == ["b"]
    assert [problem.where for problem in rows.problems] == [f"{data}:2: completion"]
    assert json.loads((tmp_path / "q.jsonl").read_text())["raw"] == json.dumps(BAD)


def test_strict_makes_an_error_of_a_bad_row_after_quarantine_was_written(tmp_path):
    data = write(tmp_path / "rows.jsonl", DIRTY, BAD)
    with pytest.raises(DataError, match=r"rows\.jsonl:2: completion: found ''"):
        read_examples([data], quarantine=tmp_path / "q.jsonl", strict=True)
    assert (tmp_path / "q.jsonl").read_text()


def test_an_empty_file_is_a_problem_and_nothing_usable_at_all_an_error(tmp_path):
    empty = write(tmp_path / "empty.jsonl")
    data = write(tmp_path / "rows.jsonl", DIRTY)
    assert read_examples([empty, data]).problems[0].found == "an empty file"
    with pytest.raises(DataError, match="no row of the data can be used"):
        read_examples([empty])
    with pytest.raises(DataError, match="no such file"):
        read_examples([tmp_path / "missing.jsonl"])


def test_row_at_gives_the_row_that_covers_the_line(tmp_path):
    data = tmp_path / "rows.json"
    data.write_text(json.dumps([{"prompt": str(k), "completion": "x"} for k in range(3)], indent=1))
    assert row_at(f"{data}:6").messages[0].content == "1"
    assert row_at(f"{data}:8").messages[0].content == "1"
    preference = write(tmp_path / "p.jsonl", PREFERENCE)
    assert [message.content for message in row_at(f"{preference}:1").messages] == ["a", "b"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [("{}:2", "completion: found ''"), ("{}:9", "no row on this line"), ("{}:x", "FILE:LINE"), ("{}", "FILE:LINE")],
)
def test_row_at_says_why_there_is_no_row(tmp_path, spec, message):
    data = write(tmp_path / "rows.jsonl", DIRTY, BAD)
    with pytest.raises(DataError, match=message):
        row_at(spec.format(data))


def test_recognise_counts_shapes_and_rows_that_cannot_be_used(tmp_path):
    one = write(tmp_path / "one.jsonl", DIRTY, BAD, PREFERENCE, PREFERENCE)
    two = write(tmp_path / "two.jsonl", {"Frage": "a", "output": "b"})
    assert recognise([one, two], columns={"Frage": "instruction"}) == {
        str(one): {"preference": 2, "prompt/completion": 1, "unusable": 1},
        str(two): {"alpaca": 1},
    }
