"""The raw row, and the lines of a file that it is read from.

Lines end at the byte "\\n" and nowhere else, so a row that holds U+2028 stays whole and FILE:LINE is the line that an
editor shows.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, Fault

Row = Mapping[str, Any]
"""One row as its file has it: column names and values."""

CHUNK_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, after decoding with errors="surrogateescape"."""


@dataclass(frozen=True, slots=True)
class RawRow:
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

    def text(self) -> str:
        """The line as text; BadRow names the byte of the file that is not UTF-8."""
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(self.data[error.start], self.offset + error.start) from None


class CutOff(Exception):
    """A compressed file ends before its end. The lines before that were read."""

    def __init__(self, rest: RawLine) -> None:
        """`rest` is the line in which the file ends."""
        super().__init__("cut off")
        self.rest = rest


def lines_of(path: Path) -> Iterator[RawLine]:
    """The lines of a file, unpacked, without a byte order mark. Raises CutOff after the last line of a cut archive."""
    number, offset, rest = 1, 0, b""
    for chunk in chunks_of(path):
        if chunk is None:
            raise CutOff(RawLine(number, offset, rest))
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield RawLine(number, offset, _bare(line, number))
            number, offset = number + 1, offset + len(line) + 1
    if rest:
        yield RawLine(number, offset, _bare(rest, number))


def chunks_of(path: Path) -> Iterator[bytes | None]:
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


def text_of(path: Path) -> str:
    """The whole text of a file, as far as it can be unpacked; bytes that are not UTF-8 are marked (see UNDECODED)."""
    data = b"".join(chunk for chunk in chunks_of(path) if chunk is not None)
    return data.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")


def first_bytes(path: Path) -> bytes:
    """The beginning of the file's text: unpacked, without a byte order mark and blanks. Empty for an empty file."""
    text = b""
    for chunk in chunks_of(path):
        text = (text + (chunk or b"")).removeprefix(BYTE_ORDER_MARK).lstrip()
        if text:
            break
    return text


def not_utf8(byte: int, offset: int) -> BadRow:
    """The fault of a byte at `offset` in the file that is not UTF-8."""
    return BadRow("not UTF-8", field="", found=f"byte 0x{byte:02x} at byte {offset} of the file",
                  expected="UTF-8 text", fix="save the file as UTF-8")  # fmt: skip


def cut_off(file: str, line: int, raw: bytes) -> RawRow:
    """The row that stands for the lost end of a file; `raw` is what remains of the row in which it ends."""
    fault = BadRow("cut off", field="", found="the end of the file", expected="the rest of the row and of the file",
                   fix="copy or download the file again; the rows before this place were read",
                   ).fault(f"{file}:{line}")  # fmt: skip
    return RawRow(file, line, raw, fault=fault, num_lines=1 + raw.count(b"\n"))


def _bare(line: bytes, number: int) -> bytes:
    line = line.removesuffix(b"\r")
    return line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
