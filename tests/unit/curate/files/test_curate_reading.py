"""Which files are read, and what is said of those that cannot be; quarantined rows can be fed back."""

import gzip
import importlib.machinery
import importlib.util
import json
import sys
import types
from pathlib import Path

import pyarrow
import pyarrow.ipc
import pytest

from luthier.curate.files.reading import READERS, check_files, data_files, no_rows, read_rows
from luthier.curate.shapes.recognising import convert
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
        "folder.jsonl": "a folder without files of rows",
        "rows.txt": "the suffix '.txt'",
        "plain.jsonl.gz": "a file that is not compressed",
        "twice.jsonl": "the file 2 times",
    }
    assert str(tmp_path / "missing.jsonl") in str(caught.value)


def test_a_file_is_known_however_its_path_is_written(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text("{}")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    monkeypatch.chdir(tmp_path)
    for other in (tmp_path / "a.jsonl", Path("../") / tmp_path.name / "a.jsonl", Path("link.jsonl")):
        with pytest.raises(DataError, match=rf"a\.jsonl: found the file 2 times, also as {other}"):
            check_files([Path("a.jsonl"), other])


@pytest.mark.parametrize("suffix", [suffix for suffix in READERS if suffix not in (".parquet", ".arrow")])
def test_every_format_is_read_plain_and_compressed_and_in_capitals(tmp_path, suffix):
    page = "<table><tr><th>prompt</th><th>completion</th></tr><tr><td>a</td><td>b</td></tr></table>"
    content = {
        ".html": page,
        ".htm": page,
        ".csv": "prompt,completion\na,b\n",
        ".tsv": "prompt\tcompletion\na\tb\n",
        ".md": "|prompt|completion|\n|-|-|\n|a|b|\n",
        ".markdown": "|prompt|completion|\n|-|-|\n|a|b|\n",
    }.get(suffix, '{"prompt": "a", "completion": "b"}\n')
    packed = pyarrow.compress(content.encode(), codec="zstd", asbytes=True)
    files = {
        f"x{suffix.upper()}": content.encode(),
        f"x{suffix}.gz": gzip.compress(content.encode()),
        f"x{suffix}.zst": packed,
    }
    for name, data in files.items():
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
    assert first.records[0].target == "now full"
    assert first.records[0].source == f"{path}:1"
    assert second.fault.problem.where == f"{path}:2: raw"


ROW = '{"prompt": "a", "completion": "b"}\n'


def test_a_folder_is_its_files_in_the_order_of_their_names_and_others_are_named(tmp_path):
    names = ["b.jsonl", "a/z.csv", "a/b.json.gz", "c.txt", "README.md", "b.jsonl.version.json", "dataset_info.json",
             ".hidden/x.jsonl", "a/.y.jsonl", "p.parquet.gz"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(ROW.encode()) if name.endswith(".gz") else ROW.encode())
    said = []
    files = data_files([tmp_path], say=said.append)
    assert [str(path.relative_to(tmp_path)) for path in files] == ["a/b.json.gz", "a/z.csv", "b.jsonl"]
    assert said == [
        f"data | {tmp_path} | 3 files; passed over README.md, b.jsonl.version.json, c.txt, dataset_info.json, p.parquet.gz"
    ]
    with pytest.raises(DataError, match="the file 2 times"):
        data_files([tmp_path, tmp_path / "b.jsonl"])


def test_a_file_of_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "x.jsonl.gz").write_text("plain")
    with pytest.raises(DataError, match=r"x\.jsonl\.gz: found a file that is not compressed"):
        check_files([tmp_path])


TABLE = pyarrow.table({"prompt": ["a", "c"], "completion": ["b", None], "n": [1, 2]})


@pytest.mark.parametrize("opened", [pyarrow.ipc.new_stream, pyarrow.ipc.new_file])
def test_arrow_files_are_read_by_row_number(tmp_path, opened):
    path = tmp_path / "rows.arrow"
    with opened(str(path), TABLE.schema) as file:
        file.write_table(TABLE, max_chunksize=1)
    rows = list(read_rows(path, {"n": "count"}))
    assert [(row.line, row.data) for row in rows] == [
        (1, {"prompt": "a", "completion": "b", "count": 1}), (2, {"prompt": "c", "completion": None, "count": 2}),
    ]  # fmt: skip


def fake_hub(monkeypatch, tmp_path, error=None):
    """A library of the datasets' name that keeps TABLE in a file, as the true one does; returns what it was asked."""
    path = tmp_path / "kept.arrow"
    with pyarrow.ipc.new_stream(str(path), TABLE.schema) as file:
        file.write_table(TABLE)
    asked = []

    def load_dataset(name, config, *, split):
        asked.append((name, config, split))
        if error is not None:
            raise error
        return types.SimpleNamespace(cache_files=[{"filename": str(path)}])

    library = types.ModuleType("datasets")
    library.load_dataset = load_dataset
    library.__spec__ = importlib.machinery.ModuleSpec("datasets", None)
    monkeypatch.setitem(sys.modules, "datasets", library)
    return asked


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("owner/name", ("owner/name", None, "train")),
        ("owner/name.v2:test", ("owner/name.v2", None, "test")),
        ("hub:owner/name/main:test[:10%]", ("owner/name", "main", "test[:10%]")),
    ],
)
def test_a_dataset_of_the_hub_is_read_from_the_files_that_keep_it(tmp_path, monkeypatch, name, expected):
    asked = fake_hub(monkeypatch, tmp_path)
    check_files([Path(name)])
    assert asked == []
    (path,) = data_files([Path(name)])
    assert asked == [expected]
    assert [row.data["prompt"] for row in read_rows(path)] == ["a", "c"]


def test_what_the_hub_does_not_have_is_an_error_with_the_librarys_words(tmp_path, monkeypatch):
    fake_hub(monkeypatch, tmp_path, error=FileNotFoundError("no dataset of that name\nand more"))
    with pytest.raises(DataError, match="owner/name: found FileNotFoundError: no dataset of that name, expected"):
        data_files([Path("owner/name")])


def test_without_the_library_a_name_of_the_hub_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'\.venv/bin/pip install -e "\.\[hub\]"'):
        check_files([Path("owner/name")])
    with pytest.raises(DataError, match=r"expected OWNER/NAME, hub:OWNER/NAME/CONFIG:SPLIT"):
        check_files([Path("hub:name")])


def test_a_mistyped_path_is_no_name_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/rows", "data/rows.jsonl", "elsewhere/rows.jsonl", "rows"):
        with pytest.raises(DataError, match="no such file"):
            check_files([Path(name)])
