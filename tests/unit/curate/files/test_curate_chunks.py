"""However a file is cut, its rows are all there, once, in order, and at their lines."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from luthier.curate.files import chunks as module
from luthier.curate.files.chunks import chunks, content_of, piece_bytes, rows_of, some_of
from luthier.curate.files.reading import read_rows


def write(path, data):
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def lines(count):
    return b"".join(
        json.dumps({"prompt": f"q {k}", "completion": "a" * (k % 37)}).encode() + b"\n" for k in range(count)
    )


def pieces(path, size):
    return list(chunks([path], columns={}, size=size))


def seen(rows):
    return [(row.where, row.data, None if row.fault is None else row.fault.reason) for row in rows]


CONTENTS = {
    "plain": lines(200),
    "no line end at the end": lines(50).rstrip(b"\n"),
    "blank lines and CRLF": b"\n\r\n" + lines(20).replace(b"\n", b"\r\n") + b"\n\n" + lines(3),
    "byte order mark": b"\xef\xbb\xbf" + lines(30),
    "broken rows": lines(9) + b'{"prompt": \xff}\nnot json\n' + lines(9) + b'{"prompt": "cut',
    "a long row": lines(3) + json.dumps({"prompt": "x" * 5000}).encode() + b"\n" + lines(3),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("size", [1, 100, 1000, 10**9])
def test_the_pieces_of_a_file_hold_the_rows_of_the_file(tmp_path, monkeypatch, name, size):
    monkeypatch.setattr(module, "READ_BYTES", 64)
    path = write(tmp_path / "rows.jsonl", CONTENTS[name])
    found = pieces(path, size)
    assert seen(row for piece in found for row in rows_of(piece, {})) == seen(read_rows(path))
    assert [piece.name for piece in found] == sorted(piece.name for piece in found)
    if size == 100 and name == "plain":
        assert len(found) > 20
        assert found[-1].bytes_before_end == path.stat().st_size


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.csv", "rows.json"])
def test_files_that_cannot_be_entered_in_the_middle_are_cut_by_rows(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "PIECE_ROWS", 30)
    rows = [{"prompt": f"q {k}", "completion": "a"} for k in range(100)]
    text = {
        "rows.csv": "prompt,completion\n" + "".join(f"q {k},a\n" for k in range(100)),
        "rows.json": json.dumps(rows),
        "rows.jsonl.gz": "".join(json.dumps(row) + "\n" for row in rows),
    }[name]
    path = write(tmp_path / name, text.encode())
    found = pieces(path, 10**6)
    assert [len(piece.rows) for piece in found] == [30, 30, 30, 10]
    assert seen(row for piece in found for row in rows_of(piece, {})) == seen(read_rows(path))


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.csv", "rows.parquet"])
def test_pieces_of_long_rows_end_by_bytes_and_so_do_batches(tmp_path, name):
    table = {"prompt": [f"q {k}" for k in range(40)], "completion": ["a" * 50_000] * 40}
    path = tmp_path / name
    if name == "rows.parquet":
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    else:
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        text = "".join(f"{row['prompt']},{row['completion']}\n" for row in rows) if name == "rows.csv" else "".join(
            json.dumps(row) + "\n" for row in rows
        )  # fmt: skip
        write(path, (("prompt,completion\n" if name == "rows.csv" else "") + text).encode())
    found = pieces(path, 200_000)
    assert [len(piece.rows) for piece in found] == [4] * 10
    assert seen(row for piece in found for row in rows_of(piece, {})) == seen(read_rows(path))
    assert all(piece.weight > 4 * 50_000 / module.SMALLEST_BYTES for piece in found)
    some, size = some_of(read_rows(path), most_rows=512, most_bytes=120_000)
    assert len(some) == 3 and 150_000 <= size < 151_000


def test_a_piece_is_known_by_its_place_and_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "READ_BYTES", 64)
    path = write(tmp_path / "rows.jsonl", lines(100))
    before = [content_of(piece) for piece in pieces(path, 500)]
    assert len(set(before)) == len(before) > 4
    path.write_bytes(lines(100).replace(b"q 99", b"q xx") + lines(1))
    after = [content_of(piece) for piece in pieces(path, 500)]
    assert after[: len(before) - 1] == before[:-1] and after[len(before) - 1] != before[-1]


def test_a_packed_file_is_known_by_its_bytes(tmp_path):
    path = write(tmp_path / "rows.jsonl.gz", lines(10))
    before = [content_of(piece) for piece in pieces(path, 9000)]
    assert before == [content_of(piece) for piece in pieces(path, 9999)]
    assert not {*before} & {content_of(piece) for piece in pieces(path, 100)}  # other pieces, of other rows
    write(path, lines(11))
    assert before != [content_of(piece) for piece in pieces(path, 9000)]


def test_large_files_are_cut_into_larger_pieces_and_a_limit_of_memory_into_smaller(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(6 << 30)
    assert piece_bytes([small]) == module.SMALLEST_BYTES
    assert piece_bytes([small, large]) == (6 << 30) // module.MOST_PIECES
    assert piece_bytes([small, large], most=5 << 20) == 5 << 20
    assert piece_bytes([small], most=5 << 20) == module.SMALLEST_BYTES
