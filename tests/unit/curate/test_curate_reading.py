"""Which files are read, and what is said of those that cannot be; quarantined rows can be fed back."""

import gzip
import json

import pytest

from luthier.curate.reading import READERS, check_files, no_rows, read_rows
from luthier.curate.shapes import convert
from luthier.errors import DataError


def test_every_path_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "rows.txt").write_text("x")
    (tmp_path / "plain.jsonl.gz").write_text("{}")
    (tmp_path / "twice.jsonl").write_text("{}")
    names = ["missing.jsonl", "folder.jsonl", "rows.txt", "plain.jsonl.gz", "twice.jsonl", "twice.jsonl"]
    with pytest.raises(DataError) as caught:
        check_files([tmp_path / name for name in names])
    found = {problem.where.rpartition("/")[2]: problem.found for problem in caught.value.problems}
    assert found == {
        "missing.jsonl": "no such file",
        "folder.jsonl": "a folder",
        "rows.txt": "the suffix '.txt'",
        "plain.jsonl.gz": "a file that is not compressed",
        "twice.jsonl": "the file 2 times",
    }
    assert str(tmp_path / "missing.jsonl") in str(caught.value)


@pytest.mark.parametrize("suffix", [suffix for suffix in READERS if suffix != ".parquet"])
def test_every_format_is_read_plain_and_compressed_and_in_capitals(tmp_path, suffix):
    content = {
        ".csv": "prompt,completion\na,b\n",
        ".tsv": "prompt\tcompletion\na\tb\n",
        ".md": "|prompt|completion|\n|-|-|\n|a|b|\n",
        ".markdown": "|prompt|completion|\n|-|-|\n|a|b|\n",
    }.get(suffix, '{"prompt": "a", "completion": "b"}\n')
    for name, data in ((f"x{suffix.upper()}", content.encode()), (f"x{suffix}.gz", gzip.compress(content.encode()))):
        path = tmp_path / name
        path.write_bytes(data)
        check_files([path])
        assert [row.data for row in read_rows(path)] == [{"prompt": "a", "completion": "b"}]


def test_a_file_name_with_wide_brackets_is_no_obstacle(tmp_path):
    path = tmp_path / "\u6570\u636e\uff08\u6700\u7ec8\uff09.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}')
    check_files([path])
    assert next(iter(read_rows(path))).where == f"{path}:1"


def test_a_file_without_rows_is_described(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "prose.md").write_text("no table")
    assert no_rows(tmp_path / "empty.jsonl").found == "an empty file"
    assert "|---|---|" in no_rows(tmp_path / "prose.md").expected


def test_a_line_of_quarantine_is_read_as_the_row_that_it_keeps(tmp_path):
    path = tmp_path / "quarantine.jsonl"
    mended = {"where": "old.jsonl:3", "reason": "empty answer", "raw": '{"prompt": "a", "completion": "now full"}'}
    still_broken = {"where": "old.jsonl:4", "reason": "not JSON", "raw": '{"prompt": "a", '}
    path.write_text(json.dumps(mended) + "\n" + json.dumps(still_broken) + "\n")
    first, second = (convert(row) for row in read_rows(path))
    assert first.record.target == "now full"
    assert first.record.source == f"{path}:1"
    assert second.fault.problem.where == f"{path}:2: raw"
