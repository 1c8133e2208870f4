"""The books balance or curation fails, and quarantine keeps every byte."""

import base64
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from luthier.curate.faults import BadRow
from luthier.curate.files.raw import RawRow
from luthier.curate.gathered import Gathered
from luthier.curate.ledger import account, by_count, write_quarantine
from luthier.curate.shards import EDGE, ROW, Notes, Shard, Writer


def faulty(raw=b"", data=None):
    bad = BadRow("odd", field="x", found="a", expected="b", fix="c")
    return RawRow("f.jsonl", 3, raw, data=data), bad.fault("f.jsonl:3")


def table(tmp_path, inputs, *, num_inputs, quarantined=0, dropped=()):
    """One shard: the input row of each record, and the input rows that a row step dropped."""
    entries = np.zeros(len(inputs), ROW)
    entries["input"], entries["part"] = inputs, 1
    counts = {"shape": Counter(alpaca=num_inputs), "quarantined": Counter(odd=quarantined)}
    with Writer(tmp_path / "00000-000000") as writer:
        writer.add([b"{}\n"] * len(inputs), entries, np.zeros(0, EDGE))
        for row in dropped:
            writer.tell("dropped", row, {"where": "f:1", "id": "", "rule": "marked as bad"})
        writer.finish(Notes("key", num_inputs, {}, counts))
    return Gathered([Path("f.jsonl")], 1, [Shard(tmp_path / "00000-000000")])


def test_books_that_do_not_balance_are_refused(tmp_path):
    with pytest.raises(AssertionError, match="read 4 rows, recognised 4, accounted for 3"):
        account(table(tmp_path, [0, 1], num_inputs=4, quarantined=1))


def test_each_row_ends_in_one_place_and_further_records_are_made(tmp_path):
    # Rows 0, 1 and 3 make records, row 3 makes three; row 4 makes one and drops one; row 5 is dropped whole.
    rows = table(tmp_path, [0, 1, 3, 3, 3, 4, 6], num_inputs=8, quarantined=2, dropped=[4, 5])
    rows.merge(np.array([1, 2]), np.array([0, 3]), "duplicate")
    rows.drop(np.array([4, 6]), "leak")
    ends = account(rows)
    assert (ends.read, ends.kept) == (8, 3)  # rows 0, 3 and 4
    assert (ends.merged, ends.dropped, ends.quarantined) == (
        {"duplicate": 1},
        {"leak": 1, "marked as bad": 1},
        {"odd": 2},
    )
    assert ends.made == 3  # two of row 3, one of row 4
    assert ends.records == {"kept": 3, "merged": 2, "dropped": 4}


def test_quarantine_keeps_the_row_as_text_as_base64_or_as_its_cells(tmp_path):
    rows = [faulty('{"a": "\u00e9"'.encode()), faulty(b"caf\xe9"), faulty(data={"prompt": "a", "n": None})]
    write_quarantine(tmp_path / "q.jsonl", rows)
    entries = [json.loads(line) for line in (tmp_path / "q.jsonl").read_bytes().splitlines()]
    assert entries[0] == {"where": "f.jsonl:3: x", "reason": "odd", "found": "a", "expected": "b", "fix": "c",
                          "raw": '{"a": "\u00e9"'}  # fmt: skip
    assert base64.b64decode(entries[1]["raw_base64"]) == b"caf\xe9"
    assert json.loads(entries[2]["raw"]) == {"prompt": "a", "n": None}


def test_counts_are_sorted_by_size_and_then_by_name():
    assert list(by_count({"b": 1, "c": 2, "a": 1})) == ["c", "a", "b"]
