"""JSON files to raw rows: objects line by line, a list of objects, an object of columns, or one object.

Which of these a file holds is seen from its content, since all of them are found under .json and under .jsonl.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.raw import UNDECODED, CutOff, RawRow, Row, cut_off, first_bytes, lines_of, not_utf8, text_of

NEAR_CHARACTERS = 20
"""A finding in broken JSON quotes so much around the place where reading stopped."""
_GAP = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Span:
    """The place of one row in the text of a whole file."""

    file: str
    whole: str
    line: int
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.whole[self.start : self.end]

    def row(self, value: Any) -> RawRow:
        """The raw row here, made of its JSON value."""
        bad_byte = UNDECODED.search(self.whole, self.start, self.end)
        if bad_byte:
            offset = len(_raw(self.whole[: bad_byte.start()]))
            return self.faulty(not_utf8(ord(bad_byte[0]) & 0xFF, offset))
        try:
            row = _as_row(value)
        except BadRow as bad:
            return self.faulty(bad)
        return RawRow(self.file, self.line, _raw(self.text), data=row, num_lines=1 + self.text.count("\n"))

    def faulty(self, bad: BadRow) -> RawRow:
        """The raw row here, with what is wrong with it."""
        fault = bad.fault(f"{self.file}:{self.line}")
        return RawRow(self.file, self.line, _raw(self.text), fault=fault, num_lines=1 + self.text.count("\n"))


def read_json(path: Path) -> Iterator[RawRow]:
    """The rows of a JSON file, of any of the four kinds."""
    head = first_bytes(path)
    if head.startswith(b"["):
        return _list_rows(str(path), text_of(path))
    if head.startswith(b"{") and path.name.lower().removesuffix(".gz").endswith(".json"):
        return _object_rows(path, text_of(path))
    return _line_rows(path)


def row_of(text: str) -> Row:
    """The JSON object that a text holds; BadRow says where it does not parse."""
    try:
        return _as_row(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise _not_json(text, error) from None


def _line_rows(path: Path) -> Iterator[RawRow]:
    file = str(path)
    try:
        for line in lines_of(path):
            if not line.data.strip():
                continue
            try:
                yield RawRow(file, line.number, line.data, data=row_of(line.text()))
            except BadRow as bad:
                yield RawRow(file, line.number, line.data, fault=bad.fault(f"{file}:{line.number}"))
    except CutOff as cut:
        yield cut_off(file, cut.rest.number, cut.rest.data)


def _list_rows(file: str, text: str) -> Iterator[RawRow]:
    """The rows of one list. The text is held whole, the rows are made one by one.

    After a row that is broken, reading goes on at the next line that starts a row; where there is none, the rest of the
    file is one fault.
    """
    start, counted, line = text.index("[") + 1, 0, 1
    while True:
        start = _GAP.match(text, start).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, start), start
        if start == len(text):
            yield cut_off(file, line, b"")
            return
        if text.startswith("]", start):
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
            yield _Span(file, text, line, start, end).row(value)
        except (ValueError, RecursionError) as error:
            end = _next_row(text, start)
            yield _Span(file, text, line, start, end).faulty(_not_json(text, error))
            if end == len(text):
                return
        start = end
    rest = _Span(file, text, line, start + 1, len(text))
    if rest.text.strip():
        yield rest.faulty(BadRow("not JSON", field="", found=shown(rest.text.strip()),
                                 expected="nothing after the end of the list",
                                 fix="make it one list, or one object a line"))  # fmt: skip


def _object_rows(path: Path, text: str) -> Iterator[RawRow]:
    """The rows of a .json file that begins with an object."""
    start = text.index("{")
    whole = _Span(str(path), text, 1 + text.count("\n", 0, start), start, len(text))
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        if _is_json(text[start:].split("\n", 1)[0]):
            return _line_rows(path)
        return iter([whole.faulty(_not_json(text, error))])
    if text[end:].strip():
        return _line_rows(path)
    return _column_rows(str(path), value) if _is_columns(value) else iter([whole.row(value)])


def _column_rows(file: str, columns: dict[str, list[Any]]) -> Iterator[RawRow]:
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield RawRow(file, number, b"", data=dict(zip(columns, cells, strict=True)))


def _is_columns(value: Any) -> bool:
    """Whether an object holds columns: lists of one length. The turns of a single conversation are no column."""
    if not all(isinstance(column, list) for column in value.values()):
        return False
    turns = [column[0] for column in value.values() if column and isinstance(column[0], dict)]
    is_conversation = any("role" in turn or "from" in turn for turn in turns)
    return len({len(column) for column in value.values()}) == 1 and not is_conversation


def _as_row(value: Any) -> Row:
    if isinstance(value, dict):
        return value
    raise BadRow("not an object", field="", found=shown(value), expected="a JSON object, {...}",
                 fix="write the row as an object with named fields")  # fmt: skip


def _not_json(text: str, error: ValueError | RecursionError) -> BadRow:
    if not isinstance(error, json.JSONDecodeError):
        return BadRow("not JSON", field="", found="too deep a nesting or too long a number", expected="a JSON object",
                      fix="repair or delete this row")  # fmt: skip
    near = text[error.pos : error.pos + NEAR_CHARACTERS].split("\n", 1)[0]
    if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
        return BadRow("cut off", field="", found="the end of the text within a row", expected="the rest of the row",
                      fix="the file or line was cut: copy it again, or delete this row")  # fmt: skip
    place = f"column {error.colno}" if "\n" not in text else f"line {error.lineno}, column {error.colno}"
    return BadRow("not JSON", field="", found=f"{shown(near)} at {place}",
                  expected=error.msg[0].lower() + error.msg[1:], fix="repair or delete this row")  # fmt: skip


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _next_row(text: str, broken: int) -> int:
    """Where the row after the broken one starts: the next line indented like it that opens an object."""
    line_start = text.rfind("\n", 0, broken) + 1
    indent = text[line_start:broken]
    if not indent.isspace() and indent:
        return len(text)
    found = text.find(f"\n{indent}{{", broken)
    return len(text) if found < 0 else found + 1


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
