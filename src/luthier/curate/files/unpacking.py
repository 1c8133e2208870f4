"""The bytes of a data file as UTF-8, piece by piece: unpacked, and decoded where a byte order mark names UTF-16 or -32.

A file is never held whole, so its size does not matter.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow

PACKED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""Suffixes of compressed files, and the bytes with which these begin."""
CHUNK_BYTES = 1 << 20
# What comes out of the read that meets a cut archive's end is lost: small reads lose little.
ZSTD_READ_BYTES = 1 << 16
WIDE_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte order marks and the encodings that they announce, the longer ones first."""
LONGEST_MARK = 4
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")


def chunks_of(path: Path) -> Iterator[bytes | None]:
    """The text of a file in UTF-8, piece by piece; None at the end of one that is cut off or damaged.

    Bytes that are not UTF-8 stay as they are. Half a surrogate pair in UTF-16 becomes three bytes that are not UTF-8.
    """
    pieces = _unpacked(path)
    head = b""
    for piece in pieces:
        if piece is None:
            yield head
            yield None
            return
        head += piece
        if len(head) >= LONGEST_MARK:
            break
    encoding = next((name for mark, name in WIDE_MARKS if head.startswith(mark)), None)
    if encoding is not None:
        yield from _decoded(chain([head], pieces), encoding)
        return
    yield head
    yield from pieces


def bytes_within(path: Path, *, start: int, end: int) -> Iterator[bytes]:
    """A range of the bytes of a file, piece by piece."""
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(CHUNK_BYTES, end - start))):
            start += len(piece)
            yield piece


def is_wide(path: Path) -> bool:
    """Whether a file begins with a byte order mark of UTF-16 or UTF-32."""
    with path.open("rb") as file:
        head = file.read(LONGEST_MARK)
    return any(head.startswith(mark) for mark, _ in WIDE_MARKS)


def likely_encoding(data: bytes) -> str | None:
    """The encoding that bytes which are not UTF-8 most likely have: gb18030 or cp1252, or None."""
    runs = _HIGH_BYTES.findall(data)
    is_paired = bool(runs) and all(len(run) % 2 == 0 for run in runs)
    for encoding in ("gb18030", "cp1252") if is_paired else ("cp1252",):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return None


def _unpacked(path: Path) -> Iterator[bytes | None]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            try:
                yield from iter(lambda: packed.read1(CHUNK_BYTES), b"")
            except (EOFError, zlib.error, gzip.BadGzipFile):
                yield None
    elif suffix == ".zst" and path.stat().st_size:
        with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd") as packed:
            try:
                yield from iter(lambda: packed.read(ZSTD_READ_BYTES), b"")
            except OSError:
                yield None
    else:
        with path.open("rb") as plain:
            yield from iter(lambda: plain.read(CHUNK_BYTES), b"")


def _decoded(pieces: Iterator[bytes | None], encoding: str) -> Iterator[bytes | None]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        for piece in pieces:
            if piece is None:
                yield None
                return
            yield decoder.decode(piece).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield None
