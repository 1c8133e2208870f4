"""Files in pieces that workers take: of plain JSON Lines a range of bytes, of other formats some rows.

A range ends at a line end, so a worker reads its piece by itself. What cannot be entered in the middle (archives, CSV,
Parquet ...) is read here, and handed out row by row: reading and handing over takes a small part of the time that the
steps take, so one reader keeps many workers busy. How a file is cut depends on the files alone, never on who works.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.curate.files.raw import RawRow
from luthier.curate.files.reading import can_be_cut, read_part, read_rows

SMALLEST_BYTES, LARGEST_BYTES = 4 << 20, 64 << 20
MOST_PIECES = 256
"""A piece is this part of all bytes, within the limits above: time is told often, and files in the work folder few."""
PIECE_ROWS = 8192
"""Rows of a piece, at most, where it is cut by rows; it ends earlier when its rows have the bytes of a piece."""
OBJECT_BYTES = 8
"""Counted for a number, and for what else has no length."""
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a file."""

    file: int
    """Which of the files it belongs to, counted from 0."""
    number: int
    """Which piece of the file it is, counted from 0."""
    path: Path
    rows: tuple[RawRow, ...] | None = None
    """The rows, where it is cut by rows."""
    first_line: int = 1
    start: int = 0
    end: int = 0
    """The bytes that it covers, where it is cut by bytes."""
    num_bytes: int = 0
    """About how much its rows hold, where it is cut by rows."""
    content: str = ""
    """What its rows are known by; empty where the worker has to look at the bytes."""

    @property
    def name(self) -> str:
        """The name of its shard; names sort in input order."""
        return f"{self.file:05}-{self.number:06}"

    @property
    def weight(self) -> float:
        """About how much work it is, beside a piece of the least size that files are cut into."""
        if self.rows is not None:
            return max(len(self.rows) / PIECE_ROWS, self.num_bytes / SMALLEST_BYTES)
        return (self.end - self.start) / SMALLEST_BYTES

    @property
    def bytes_before_end(self) -> int:
        """How many bytes of its file lie before its end; 0 where that is not known."""
        return self.end


def piece_bytes(files: Sequence[Path], *, most: int | None = None) -> int:
    """How many bytes a piece of these files has; at most `most`."""
    size = sum(path.stat().st_size for path in files) // MOST_PIECES
    size = min(max(size, SMALLEST_BYTES), LARGEST_BYTES)
    return min(size, most) if most else size


def chunks(files: Sequence[Path], *, columns: Mapping[str, str], size: int) -> Iterator[Chunk]:
    """All pieces of all files in order, each of about `size` bytes, or of PIECE_ROWS rows if those are fewer."""
    for number, path in enumerate(files):
        if can_be_cut(path):
            yield from _ranges(number, path, size)
        else:
            yield from _some_rows(number, path, columns, size)


def rows_of(chunk: Chunk, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of a piece."""
    if chunk.rows is not None:
        return iter(chunk.rows)
    return read_part(chunk.path, columns, start=chunk.start, end=chunk.end, first_line=chunk.first_line)


def some_of(rows: Iterator[RawRow], *, most_rows: int, most_bytes: int) -> tuple[list[RawRow], int]:
    """The next rows, up to `most_rows` of them or to the one with which they have `most_bytes`; and their bytes."""
    some: list[RawRow] = []
    size = 0
    while len(some) < most_rows and size < most_bytes and (row := next(rows, None)) is not None:
        some.append(row)
        size += len(row.raw) or _size(row.data)
    return some, size


def content_of(chunk: Chunk) -> str:
    """What the content of a piece is known by: its place, and a hash of what stands there."""
    found = chunk.content or _hash(chunk)
    return f"{chunk.path} {chunk.first_line} {chunk.start} {chunk.end} {found}"


def _ranges(number: int, path: Path, size: int) -> Iterator[Chunk]:
    count = itertools.count()
    start = end = line_end = 0
    line, lines = 1, 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            last = block.rfind(b"\n") + 1
            if last:
                line_end, lines = end + last, lines + block.count(b"\n")
            end += len(block)
            if line_end - start >= size:
                yield Chunk(file=number, number=next(count), path=path, first_line=line, start=start, end=line_end)
                start, line, lines = line_end, line + lines, 0
    if end > start:
        yield Chunk(file=number, number=next(count), path=path, first_line=line, start=start, end=end)


def _some_rows(number: int, path: Path, columns: Mapping[str, str], size: int) -> Iterator[Chunk]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    rows = read_rows(path, columns)
    first = 0
    for piece in itertools.count():
        some, num_bytes = some_of(rows, most_rows=PIECE_ROWS, most_bytes=size)
        if not some:
            return
        yield Chunk(file=number, number=piece, path=path, rows=tuple(some), num_bytes=num_bytes,
                    content=f"{digest} {first} {len(some)}")  # fmt: skip
        first += len(some)


def _size(value: Any) -> int:
    """About how many bytes a value of a row takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return OBJECT_BYTES


def _hash(chunk: Chunk) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with chunk.path.open("rb") as file:
        file.seek(chunk.start)
        left = chunk.end - chunk.start
        while left and (block := file.read(min(READ_BYTES, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()
