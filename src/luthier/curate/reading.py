"""Files to raw rows: each with its place, the bytes it stood in, and its columns or what is wrong with it.

Lines end at the byte "\\n" and nowhere else, so a row that holds U+2028 stays whole and FILE:LINE is the line that an
editor shows. A row that cannot be read is a fault, never an exception: the rows around it go on.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, Fault, shown
from luthier.errors import DataError, Problem

Row = Mapping[str, Any]
"""One row as its file has it: column names and values."""

CHUNK_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
QUARANTINE_KEYS = {"where", "reason", "raw"}
"""A line of quarantine.jsonl; its "raw" is read in its place, so that mended rows can be fed back."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a file."""

    file: str
    line: int
    """The line on which the row starts; for Parquet and columns in JSON the row's number. Both count from 1."""
    raw: bytes
    """What the file holds; for a cell table that could be read, and for Parquet, the row as JSON."""
    data: Row | None = None
    """None where the row could not be read; then `fault` says why."""
    fault: Fault | None = None
    num_lines: int = 1

    @property
    def where(self) -> str:
        """The row's place, "data/train.jsonl:41"."""
        return f"{self.file}:{self.line}"


class RawLine(NamedTuple):
    """One line of a text file, without its end."""

    number: int
    offset: int
    """Bytes before it in the (unpacked) file."""
    data: bytes


class CutOff(Exception):
    """A compressed file ends before its end; the lines before that were read."""


def check_files(paths: Sequence[Path], suffixes: Iterable[str]) -> None:
    """DataError that names every path that is missing, is a folder, cannot be opened, or has an unknown suffix."""
    problems = [problem for path in paths if (problem := _path_problem(path, tuple(suffixes))) is not None]
    if problems:
        raise DataError("a data file cannot be used", problems)


def suffix_of(path: Path) -> str:
    """The suffix that says how to read the file, without .gz: ".jsonl" for "rows.jsonl.gz"."""
    name = path.name.lower()
    return Path(name[: -len(".gz")] if name.endswith(".gz") else name).suffix


def read_json(path: Path) -> Iterator[RawRow]:
    """The rows of a JSON file: one object a line, one list of objects, one object of columns, or one object.

    Which of these it is, is seen from its content, since all of them are found under .json and under .jsonl.
    """
    head = first_bytes(path)
    if head.startswith(b"["):
        return _list_rows(path)
    if head.startswith(b"{") and suffix_of(path) == ".json":
        return _object_rows(path)
    return _line_rows(path)


def lines_of(path: Path) -> Iterator[RawLine]:
    """The lines of a file, unpacked, without a byte order mark. Raises CutOff after the last line of a cut archive."""
    number = offset = 0
    rest = b""
    for chunk in _chunks(path):
        if chunk is None:
            yield RawLine(number + 1, offset, rest)
            raise CutOff
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            number += 1
            yield RawLine(number, offset, _bare(line, number))
            offset += len(line) + 1
    if rest:
        yield RawLine(number + 1, offset, _bare(rest, number + 1))


def decoded(line: bytes, *, offset: int) -> str:
    """The bytes as text; BadRow names the byte of the file that is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow(
            "not UTF-8", field="", found=f"byte 0x{line[error.start]:02x} at byte {offset + error.start} of the file",
            expected="UTF-8 text", fix="save the file as UTF-8",
        ) from None  # fmt: skip


def cut_off(file: str, line: int, raw: bytes) -> RawRow:
    """The fault of a file that ends too early; `raw` is what remains of the row it ends in."""
    fault = BadRow(
        "cut off", field="", found="the end of the file", expected="the rest of this row and of the file",
        fix="copy or download the file again; the rows before this place were read",
    ).fault(f"{file}:{line}")  # fmt: skip
    return RawRow(file, line, raw, fault=fault, num_lines=1 + raw.count(b"\n"))


def first_bytes(path: Path) -> bytes:
    """The first bytes of the file's text: unpacked, after the byte order mark and blanks."""
    text = b""
    for chunk in _chunks(path):
        text = (text + (chunk or b"")).removeprefix(BYTE_ORDER_MARK).lstrip()
        if text or chunk is None:
            break
    return text


def _path_problem(path: Path, suffixes: Sequence[str]) -> Problem | None:
    fix = "check the path"
    if path.is_dir():
        return Problem(where=str(path), found="a folder", expected="a file", fix="name the files in it")
    if suffix_of(path) not in suffixes and path.exists():
        known = ", ".join(suffixes)
        return Problem(where=str(path), found=f"the suffix {suffix_of(path)!r}", expected=f"{known}, also with .gz",
                       fix="rename the file to say what it holds, or convert it")  # fmt: skip
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        return Problem(where=str(path), found=found, expected="a file that can be read", fix=fix)
    if path.name.lower().endswith(".gz") and not is_packed and path.stat().st_size:
        return Problem(where=str(path), found="a file that is not compressed", expected="a gzip file",
                       fix="remove .gz from its name")  # fmt: skip
    return None


def _chunks(path: Path) -> Iterator[bytes | None]:
    """The unpacked bytes, piece by piece; None at the end of an archive that is cut off or damaged."""
    if not path.name.lower().endswith(".gz"):
        with path.open("rb") as plain:
            yield from iter(lambda: plain.read(CHUNK_BYTES), b"")
        return
    with gzip.open(path, "rb") as packed:
        try:
            yield from iter(lambda: packed.read1(CHUNK_BYTES), b"")
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield None


def _bare(line: bytes, number: int) -> bytes:
    line = line.removesuffix(b"\r")
    return line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line


def _line_rows(path: Path) -> Iterator[RawRow]:
    file = str(path)
    line = RawLine(1, 0, b"")
    try:
        for line in lines_of(path):
            if not line.data.strip():
                continue
            try:
                yield RawRow(file, line.number, line.data, data=_row(_parsed(decoded(line.data, offset=line.offset))))
            except BadRow as bad:
                yield RawRow(file, line.number, line.data, fault=bad.fault(f"{file}:{line.number}"))
    except CutOff:
        yield cut_off(file, line.number + 1, b"")


def _list_rows(path: Path) -> Iterator[RawRow]:
    """The rows of one JSON list. The text is held whole; the rows are made one by one."""
    file, text = str(path), _text(path)
    decoder = json.JSONDecoder()
    start = text.index("[") + 1
    line, counted = 1, 0
    while True:
        start = _after_gap(text, start)
        line, counted = line + text.count("\n", counted, start), start
        if text.startswith("]", start):
            start, closed = start + 1, True
            break
        if start == len(text):
            closed = False
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            end = _next_row(text, start)
            yield _broken(file, line, text[start:end], error)
        else:
            yield _list_row(file, line, text[start:end], value)
        start = end
    if text[start:].strip() or not closed:
        yield cut_off(file, line, _raw(text[start:])) if not closed else _trailing(file, line, text[start:])


def _object_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a .json file that begins with an object."""
    file, text = str(path), _text(path)
    start = text.index("{")
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        try:
            json.loads(text[start:].split("\n", 1)[0])
        except (ValueError, RecursionError):
            yield _broken(file, 1, text, error)
            return
        value, end = {}, start  # a file of lines, the first of which is whole
    if text[end:].strip():
        yield from _line_rows(path)
    elif _is_columns(value):
        for number, cells in enumerate(zip(*value.values(), strict=True), start=1):
            row = dict(zip(value, cells, strict=True))
            yield _list_row(file, number, json.dumps(row, ensure_ascii=False), row)
    else:
        yield _list_row(file, 1 + text.count("\n", 0, start), text[start:end], value)


def _list_row(file: str, line: int, text: str, value: Any) -> RawRow:
    raw = _raw(text)
    try:
        decoded(raw, offset=0)
        return RawRow(file, line, raw, data=_row(value), num_lines=1 + text.count("\n"))
    except BadRow as bad:
        return RawRow(file, line, raw, fault=bad.fault(f"{file}:{line}"), num_lines=1 + text.count("\n"))
