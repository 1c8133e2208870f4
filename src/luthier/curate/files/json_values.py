"""Values of a JSON file that follow one another, in a list or without one, to raw rows.

A part of the text is held at a time, so a list of a gigabyte takes a few megabytes. After a row that is broken, reading
goes on at the next line that starts a row like it; where there is none, the rest of the file is one fault.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.json_texts import Pairs, as_row, not_json
from luthier.curate.files.raw import (
    BYTE_ORDER_MARK,
    KEPT_OF_LONG,
    LONGEST_ROW,
    RawRow,
    bytes_of,
    cut_off,
    not_utf8,
    too_long,
)
from luthier.curate.files.unpacking import chunks_of

LONGEST_INDENT = 200
LONGEST_LITERAL = 12
"""A parser that stops so near to the end of what is held may only miss what follows: "-Infin", "\\u26"."""
_GAP = re.compile(r"[\s,]*")


class _Window:
    """The part of a file's text that is held, and how far reading is."""

    def __init__(self, path: Path) -> None:
        self.text = ""
        self.at = 0
        """Reading is at this character of the text."""
        self.is_all = False
        """Whether the file has nothing after the text."""
        self._chunks = chunks_of(path)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._line, self._column, self._offset = 1, 0, 0
        """Of the text's first character: line, characters before it on that line, bytes before it."""
        self._counted, self._line_at = 0, 1
        """A place in the text, and its line."""

    def more(self) -> None:
        """Hold as much again, and let go of what was read; the indentation of the row that is read stays."""
        before = self.text.rfind("\n", max(0, self.at - LONGEST_INDENT), self.at)
        self._let_go(max(0, self.at - 1) if before < 0 else before)
        pieces, size = [self.text], 0
        while size <= len(self.text) and not self.is_all:
            chunk = next(self._chunks, None)
            self.is_all = chunk is None
            piece = self._decoder.decode(chunk or b"", final=self.is_all)
            if not self._offset and size + len(self.text) == 0 and piece.startswith("\ufeff"):
                piece, self._offset = piece[1:], len(BYTE_ORDER_MARK)
            pieces.append(piece)
            size += len(piece)
        self.text = "".join(pieces)
        self._counted, self._line_at = 0, self._line

    def skip(self) -> bool:
        """Go over blanks and commas; whether anything is left."""
        while True:
            self.at = _GAP.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or self.is_all:
                return self.at < len(self.text)
            self.more()

    def line(self) -> int:
        """The line of the file on which reading is."""
        self._line_at += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line_at

    def offset(self) -> int:
        """The bytes of the file before the place where reading is."""
        return self._offset + len(bytes_of(self.text[: self.at]))

    def describe(self, character: int) -> str:
        """The place of a character of the text, for people."""
        line = self._line + self.text.count("\n", 0, character)
        start = self.text.rfind("\n", 0, character)
        column = character - start if start >= 0 else self._column + character + 1
        return f"line {line}, column {column}"

    def indent(self) -> str | None:
        """What stands before the row on its line, when that is blank; None when it is not."""
        start = self.text.rfind("\n", 0, self.at) + 1
        before = self.text[start : self.at]
        is_line_start = start > 0 or not self._column
        return before if is_line_start and (not before or before.isspace()) else None

    def _let_go(self, end: int) -> None:
        passed = self.text[:end]
        newlines = passed.count("\n")
        self._line += newlines
        self._column = len(passed) - passed.rfind("\n") - 1 if newlines else self._column + len(passed)
        self._offset += len(bytes_of(passed))
        self.text = self.text[end:]
        self.at -= end


def value_rows(path: Path, *, is_list: bool) -> Iterator[RawRow]:
    """The rows of one list, or of values that follow one another without one."""
    file, window, pairs = str(path), _Window(path), Pairs()
    decoder = json.JSONDecoder(object_pairs_hook=pairs.as_object)
    if is_list:
        window.skip()
        window.at += 1  # its bracket
    while True:
        if not window.skip():
            if is_list:
                yield cut_off(file, window.line(), b"")
            return
        if is_list and window.text[window.at] == "]":
            break
        line = window.line()
        try:
            pairs.fault = None
            value, end = _value(window, decoder)
        except (BadRow, RecursionError) as error:
            bad = error if isinstance(error, BadRow) else not_json("", error)
            yield _broken(file, window, line, bad)
            if window.is_all and window.at == len(window.text):
                return
        else:
            row = _row(file, line, window, end, pairs.fault or value)
            window.at = end
            yield row
    window.at += 1
    yield from _after_the_list(file, window)


def _value(window: _Window, decoder: json.JSONDecoder) -> tuple[Any, int]:
    """The value where reading is, and where it ends in the text; BadRow when there is none."""
    while True:
        try:
            value, end = decoder.raw_decode(window.text, window.at)
            if end < len(window.text) or window.is_all:
                return value, end
        except json.JSONDecodeError as error:
            is_near_end = error.pos > len(window.text) - LONGEST_LITERAL or error.msg.startswith("Unterminated")
            if window.is_all or not is_near_end:
                raise not_json(window.text, error, place=window.describe(error.pos)) from None
        except ValueError as error:  # a number of thousands of digits
            raise not_json(window.text, error) from None
        if len(window.text) - window.at > LONGEST_ROW:
            raise too_long(LONGEST_ROW)
        window.more()


def _row(file: str, line: int, window: _Window, end: int, value: Any) -> RawRow:
    """The row of a value, or of the BadRow that is wrong with it."""
    text = window.text[window.at : end]
    num_lines = 1 + text.count("\n")
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raw = bytes_of(text)
        bad: BadRow = not_utf8(raw, len(bytes_of(text[: error.start])), window.offset())
    else:
        try:
            if isinstance(value, BadRow):
                raise value
            return RawRow(file, line, raw, as_row(value), num_lines=num_lines)
        except BadRow as found:
            bad = found
    return RawRow(file, line, raw, fault=bad.fault(f"{file}:{line}"), num_lines=num_lines)


def _broken(file: str, window: _Window, line: int, bad: BadRow) -> RawRow:
    """The row that is broken, up to the next line that starts a row like it, or to the end of the file."""
    indent = window.indent()
    mark = None if indent is None else f"\n{indent}{{"
    raw, num_lines = _skip_to(window, mark)
    return RawRow(file, line, raw, fault=bad.fault(f"{file}:{line}"), num_lines=num_lines)


def _skip_to(window: _Window, mark: str | None) -> tuple[bytes, int]:
    """Go on to the line that `mark` begins, or to the end; what was passed over (its beginning), and its lines."""
    pieces: list[str] = []
    size, newlines = 0, 0
    while True:
        found = -1 if mark is None else window.text.find(mark, window.at)
        overlap = 0 if mark is None or window.is_all else len(mark) - 1
        end = found + 1 if found >= 0 else max(window.at, len(window.text) - overlap)
        piece = window.text[window.at : end]
        window.at, size, newlines = end, size + len(piece), newlines + piece.count("\n")
        pieces = [*pieces, piece] if size <= LONGEST_ROW else ["".join([*pieces, piece])[:KEPT_OF_LONG]]
        if found >= 0 or (window.is_all and end == len(window.text)):
            return bytes_of("".join(pieces)), 1 + newlines
        window.more()


def _after_the_list(file: str, window: _Window) -> Iterator[RawRow]:
    """A fault for what follows the end of the list, if anything does."""
    line = window.line()
    raw, num_lines = _skip_to(window, None)
    rest = raw.decode("utf-8", "surrogateescape")
    if rest.strip():
        bad = BadRow("not JSON", field="", found=shown(rest.strip()), expected="nothing after the end of the list",
                     fix="make it one list, or one object a line")  # fmt: skip
        yield RawRow(file, line, raw, fault=bad.fault(f"{file}:{line}"), num_lines=num_lines)
