"""The books balance or curation fails, and quarantine keeps every byte."""

import base64
import json
from collections import Counter

import pytest

from luthier.curate.faults import BadRow
from luthier.curate.ledger import Books, write_quarantine
from luthier.curate.raw import RawRow


def faulty(raw=b"", data=None):
    bad = BadRow("odd", field="x", found="a", expected="b", fix="c")
    return RawRow("f.jsonl", 3, raw, data=data), bad.fault("f.jsonl:3")


def test_books_that_do_not_balance_are_refused():
    books = Books()
    books.files["f.jsonl"] = Counter(alpaca=3)
    books.quarantined.append(faulty())
    assert books.ledger(parts={"train": 1}, preferences=1)["kept"] == 2
    with pytest.raises(AssertionError, match="read 3 rows, accounted for 4"):
        books.ledger(parts={"train": 2}, preferences=1)


def test_quarantine_keeps_the_row_as_text_as_base64_or_as_its_cells(tmp_path):
    rows = [faulty('{"a": "\u00e9"'.encode()), faulty(b"caf\xe9"), faulty(data={"prompt": "a", "n": None})]
    write_quarantine(tmp_path / "q.jsonl", rows)
    entries = [json.loads(line) for line in (tmp_path / "q.jsonl").read_bytes().splitlines()]
    assert entries[0] == {"where": "f.jsonl:3: x", "reason": "odd", "found": "a", "expected": "b", "fix": "c",
                          "raw": '{"a": "\u00e9"'}  # fmt: skip
    assert base64.b64decode(entries[1]["raw_base64"]) == b"caf\xe9"
    assert json.loads(entries[2]["raw"]) == {"prompt": "a", "n": None}
