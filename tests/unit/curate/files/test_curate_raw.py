"""Files as lines: of any encoding that a byte order mark names, of any compression, and however long."""

import codecs
import gzip
import itertools
import json
import random
import tracemalloc

import pyarrow
import pytest

from luthier.curate.files import json_values, raw, unpacking
from luthier.curate.files.raw import CutOff, lines_of, lines_within
from luthier.curate.files.reading import can_be_cut, read_part, read_rows
from luthier.curate.files.unpacking import likely_encoding

GOOD = '{"prompt": "a", "completion": "b"}'
TEXTS = ["plain", "caf\u00e9", "\u65e5\u672c", "\U0001f600", "one\u2028two", ""]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def reasons(rows):
    return [row.fault.reason if row.fault else None for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_what_a_byte_order_mark_names_is_decoded(tmp_path, monkeypatch, encoding, suffix, chunk):
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(unpacking, "ZSTD_READ_BYTES", chunk)
    text = "".join(json.dumps({"prompt": text, "completion": "b"}, ensure_ascii=False) + "\r\n" for text in TEXTS)
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    data = mark + text.encode(encoding)
    packed = {"": data, ".gz": gzip.compress(data, mtime=0), ".zst": pyarrow.compress(data, codec="zstd", asbytes=True)}
    path = write(tmp_path / f"rows.jsonl{suffix}", packed[suffix])
    rows = list(read_rows(path))
    assert [row.data["prompt"] for row in rows] == TEXTS
    assert [row.line for row in rows] == list(range(1, len(TEXTS) + 1))
    assert can_be_cut(path) == (suffix == "" and encoding.startswith("utf-8"))


def test_wide_text_that_is_cut_within_a_character_ends_in_a_fault(tmp_path):
    rows = list(read_rows(write(tmp_path / "rows.jsonl", f"{GOOD}\n{GOOD}\n".encode("utf-16")[:-1])))
    assert reasons(rows) == [None, None, "cut off"] or reasons(rows) == [None, "cut off"]


def test_an_archive_of_zstd_that_is_cut_gives_the_rows_before_the_cut(tmp_path):
    draw = random.Random(0)
    lines = "".join(json.dumps({"prompt": draw.randbytes(30).hex(), "completion": "b"}) + "\n" for _ in range(20_000))
    packed = pyarrow.compress(lines.encode(), codec="zstd", asbytes=True)
    path = write(tmp_path / "rows.jsonl.zst", packed)
    assert len(list(read_rows(path))) == 20_000
    rows = list(read_rows(write(path, packed[: len(packed) // 2])))
    assert 5_000 < len(rows) < 20_000
    assert reasons(rows)[-1] == "cut off" and not any(reasons(rows)[:-1])
    with pytest.raises(CutOff):
        list(lines_of(path))


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [("caf\u00e9 cr\u00e8me", "cp1252", "cp1252"), ("na\u00efve", "latin-1", "cp1252"), ("\u4f60\u597d, a", "gb18030", "gb18030")],
)  # fmt: skip
def test_the_likely_encoding_of_what_is_not_utf8_is_told(text, encoding, expected):
    assert likely_encoding(text.encode(encoding)) == expected
    assert likely_encoding(b"\x81 \x8d") is None


def test_a_line_without_end_is_a_fault_and_never_held_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "LONGEST_ROW", 2_000)
    monkeypatch.setattr(raw, "KEPT_OF_LONG", 100)
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 256)
    long = json.dumps({"prompt": "x" * 3_000_000, "completion": "b"})
    path = write(tmp_path / "rows.jsonl", f"{GOOD}\n{long}\r\n{GOOD}\n{long}")
    tracemalloc.start()
    rows = list(read_rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.line for row in rows] == [1, 2, 3, 4]
    assert reasons(rows) == [None, "too long", None, "too long"]
    assert rows[1].raw == long.encode()[:100] and f"{len(long) + 1:,} bytes" in rows[1].fault.problem.found
    assert peak < 200_000


def test_a_row_of_ten_megabytes_is_read(tmp_path):
    row = {"prompt": "x" * 10_000_000, "completion": "b"}
    for name, content in (("rows.jsonl", json.dumps(row)), ("rows.json", json.dumps([row, row], indent=1))):
        assert all(found.data == row for found in read_rows(write(tmp_path / name, content)))


@pytest.mark.parametrize("chunk", [1, 2, 5, 64])
def test_a_list_read_in_pieces_gives_what_it_gives_read_at_once(tmp_path, monkeypatch, chunk):
    rows = [{"prompt": text, "completion": "b" * k, "n": [k, 1.5e10, -12, True, None]} for k, text in enumerate(TEXTS)]
    indented, flat = (json.dumps(rows, ensure_ascii=False, indent=indent) for indent in (2, None))
    contents = [
        indented, flat, "\ufeff \n" + indented, indented.replace("\n", "\r\n"), indented + "\n \n", flat + " x", "[]", "[ ", "[1, 22, 333]",
        indented.replace('"bb"', "bb", 1), indented.replace('"bb"', '"bb', 1), flat.replace('"bb"', "bb", 1), indented[:-40], indented[:-2],
        indented.replace("\u65e5", "\\ud83d"), "[nul, {}]", "[" * 500,
        flat.replace("[", "", 1).replace("}, {", "}\n{\n").removesuffix("]") + "\n{",
    ]  # fmt: skip
    cp1252 = json.dumps(rows[:2], ensure_ascii=False, indent=1).encode("cp1252")
    for number, content in enumerate([*contents, cp1252]):
        path = write(tmp_path / f"{number}.json", content)
        monkeypatch.setattr(unpacking, "CHUNK_BYTES", 1 << 20)
        whole = list(read_rows(path))
        monkeypatch.setattr(unpacking, "CHUNK_BYTES", chunk)
        assert list(read_rows(path)) == whole, content


def test_values_that_follow_one_another_over_several_lines_are_rows(tmp_path):
    rows = [{"prompt": str(k), "completion": "b"} for k in range(3)]
    text = "\n".join(json.dumps(row, indent=1) for row in rows)
    found = list(read_rows(write(tmp_path / "rows.json", text)))
    assert [row.data for row in found] == rows
    assert [row.line for row in found] == [1, 5, 9]
    broken = text.replace('"1"', '"1" oops')
    assert reasons(read_rows(write(tmp_path / "rows.json", broken))) == [None, "not JSON", None]


def test_a_long_list_is_never_held_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 1 << 14)
    path = tmp_path / "rows.json"
    with path.open("w") as file:
        file.write(
            "[" + ",\n".join(json.dumps({"prompt": f"{k} " * 20, "completion": "b"}) for k in range(20_000)) + "]"
        )
    tracemalloc.start()
    count = sum(1 for _ in read_rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000 and peak < 400_000 < path.stat().st_size / 4


def test_a_row_of_a_list_that_is_too_long_is_a_fault_and_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json_values, "LONGEST_ROW", 2_000)
    monkeypatch.setattr(json_values, "KEPT_OF_LONG", 100)
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 256)
    rows = [{"prompt": "a"}, {"prompt": "x" * 50_000}, {"prompt": "c"}]
    found = list(read_rows(write(tmp_path / "rows.json", json.dumps(rows, indent=1))))
    assert reasons(found) == [None, "too long", None]
    assert len(found[1].raw) == 100 and found[2].data == rows[2] and found[2].line == 8


@pytest.mark.parametrize("content", ["\n".join([GOOD] * 9), "\ufeff" + f"\n{GOOD}\r\n\n{{oops\n{GOOD}\n" * 3])
def test_ranges_of_a_file_give_the_rows_of_the_whole(tmp_path, content):
    path = write(tmp_path / "rows.jsonl", content)
    data, whole = path.read_bytes(), list(read_rows(path, {"prompt": "question"}))
    ends = [place + 1 for place, byte in enumerate(data) if byte == 10]
    for first in ends:
        bounds = [0, first, *[end for end in ends[-2:] if end > first], len(data)]
        parts = [
            row for start, end in itertools.pairwise(bounds)
            for row in read_part(path, {"prompt": "question"}, start=start, end=end,
                                 first_line=1 + data[:start].count(b"\n"))
        ]  # fmt: skip
        assert parts == whole
    assert [line.number for line in lines_within(path, start=ends[0], end=ends[1], first_line=2)] == [2]


def test_only_plain_files_of_json_lines_can_be_cut(tmp_path):
    names = {"a.jsonl": GOOD, "b.ndjson": f"{GOOD}\n{GOOD}", "c.json": f"{GOOD}\n{GOOD}", "d.json": f"[{GOOD}]",
             "e.jsonl": f"[{GOOD}]", "f.json": GOOD, "g.csv": "a,b"}  # fmt: skip
    found = {name for name, content in names.items() if can_be_cut(write(tmp_path / name, content))}
    assert found == {"a.jsonl", "b.ndjson", "c.json"}
