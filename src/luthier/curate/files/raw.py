"""The raw row, and the lines of a file that it is read from.

Lines end at the byte "\\n" and nowhere else, so a row that holds U+2028 stays whole and FILE:LINE is the line that an
editor shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, Fault
from luthier.curate.files.unpacking import bytes_within, chunks_of, likely_encoding

Row = Mapping[str, Any]
"""One row as its file has it: column names and values."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_ROW = 64 * 2**20
"""A row of more bytes is a fault: it is a missing line break, or no text to learn from. No more of a row is ever held
in memory."""
KEPT_OF_LONG = 64 * 2**10
"""So many bytes of such a row go to quarantine."""
NEAR_BYTES = 12
"""A finding in text that is not UTF-8 quotes so many bytes to each side."""


class RawRow(NamedTuple):
    """One row of a file."""

    file: str
    line: int
    """The line on which the row starts; for Parquet and for columns in JSON the row's number. Both count from 1."""
    raw: bytes
    """The row as it stands in the file; empty where it was read cell by cell, then `data` is all there is."""
    data: Row | None = None
    """None where the row could not be read; then `fault` says why."""
    fault: Fault | None = None
    num_lines: int = 1
    is_whole: bool = False
    """Whether its texts are known to hold no half of a surrogate pair."""

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
    num_bytes: int = 0
    """Of a line longer than LONGEST_ROW its length, and `data` is its beginning; else 0."""

    def text(self) -> str:
        """The line as text; BadRow when it is too long, or names the byte of the file that is not UTF-8."""
        if self.num_bytes:
            raise too_long(self.num_bytes)
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(self.data, error.start, self.offset) from None


class CutOff(Exception):
    """A compressed file ends before its end. The lines before that were read."""

    def __init__(self, rest: RawLine) -> None:
        """`rest` is the line in which the file ends."""
        super().__init__("cut off")
        self.rest = rest


def lines_of(path: Path) -> Iterator[RawLine]:
    """The lines of a file, unpacked, without a byte order mark. Raises CutOff after the last line of a cut archive."""
    return _lines(chunks_of(path), number=1, offset=0)


def lines_within(path: Path, *, start: int, end: int, first_line: int) -> Iterator[RawLine]:
    """The lines in a range of bytes of an uncompressed file in UTF-8; the range begins with line `first_line`."""
    return _lines(bytes_within(path, start=start, end=end), number=first_line, offset=start)


def _lines(chunks: Iterator[bytes | None], *, number: int, offset: int) -> Iterator[RawLine]:
    held: list[bytes] = []  # pieces of a line that goes on in the next chunk
    size = 0
    is_first = offset == 0
    for chunk in chunks:
        if chunk is None:
            raise CutOff(_line(number, offset, held, size))
        if is_first and chunk.startswith(BYTE_ORDER_MARK):
            chunk, offset = chunk[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
        is_first = False
        lines = chunk.split(b"\n")
        if held:
            held.append(lines.pop(0))
            size += len(held[-1])
            if size > LONGEST_ROW:
                held = [b"".join(held)[:KEPT_OF_LONG]]
            if not lines:
                continue
            yield _line(number, offset, held, size)
            number, offset = number + 1, offset + size + 1
        last = lines.pop()
        for line in lines:
            yield RawLine(number, offset, line.removesuffix(b"\r"))
            number += 1
            offset += len(line) + 1
        held, size = [last] if last else [], len(last)
    if held:
        yield _line(number, offset, held, size)


def text_of(path: Path) -> str:
    """The whole text of a file, as far as it can be unpacked; bytes that are not UTF-8 become lone surrogates."""
    data = b"".join(chunk for chunk in chunks_of(path) if chunk is not None)
    return data.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes of a text that `text_of` or the like has decoded."""
    return text.encode("utf-8", "surrogateescape")


def first_bytes(path: Path) -> bytes:
    """The beginning of the file's text: unpacked, without a byte order mark and blanks. Empty for an empty file."""
    text = b""
    for chunk in chunks_of(path):
        text = (text + (chunk or b"")).removeprefix(BYTE_ORDER_MARK).lstrip()
        if text:
            break
    return text


def not_utf8(data: bytes, place: int, offset: int) -> BadRow:
    """The fault of a row whose byte at `place` is not UTF-8; `offset` bytes of the file stand before the row."""
    encoding = likely_encoding(data)
    fix = "save the file as UTF-8"
    if encoding is not None:
        near = data[max(0, place - NEAR_BYTES) : place + NEAR_BYTES].decode(encoding, "replace")
        fix += f"; as {encoding} it would say {near!r} here: iconv -f {encoding} -t UTF-8 OLD > NEW"
    return BadRow("not UTF-8", field="", found=f"byte 0x{data[place]:02x} at byte {offset + place} of the file",
                  expected="UTF-8 text", fix=fix)  # fmt: skip


def too_long(num_bytes: int) -> BadRow:
    """The fault of a row of so many bytes."""
    return BadRow("too long", field="", found=f"a row of {num_bytes:,} bytes or more",
                  expected=f"at most {LONGEST_ROW:,} bytes",
                  fix="see whether line breaks are missing: write one row a line, and split long ones")  # fmt: skip


def cut_off(file: str, line: int, raw: bytes) -> RawRow:
    """The row that stands for the lost end of a file; `raw` is what remains of the row in which it ends."""
    fault = BadRow("cut off", field="", found="the end of the file", expected="the rest of the row and of the file",
                   fix="copy or download the file again; the rows before this place were read",
                   ).fault(f"{file}:{line}")  # fmt: skip
    return RawRow(file, line, raw, fault=fault, num_lines=1 + raw.count(b"\n"))


def _line(number: int, offset: int, pieces: list[bytes], size: int) -> RawLine:
    return RawLine(number, offset, b"".join(pieces).removesuffix(b"\r"), size if size > LONGEST_ROW else 0)
