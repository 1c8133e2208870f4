"""The inner loops over many texts, compiled by numba: the same results as the numpy ways beside them, several times
faster. Imported only by `worth`, since loading the compiler takes longer than a small job.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.similarity import row_loops, word_loops
from luthier.similarity.ragged import Ragged

_USUAL_SYMBOLS = 1 << 21
"""More are coded at once only where one text has more."""

copy_runs = row_loops.copy
"""Copy the runs of so many values from `starts` on to `new`: values, starts, counts, target, new."""


@cache
def _room() -> NDArray[np.int32]:
    """Three numbers a symbol, kept: to get new memory takes longer than to fill it."""
    return np.empty((3, _USUAL_SYMBOLS), np.int32)


def coded(symbols: NDArray[np.uint32], lengths: NDArray[np.int64], tables: Any) -> Any:
    """Codes of the words of texts that line ends part, and where those of each text end; as `words._coded` has them."""
    text_ends = np.empty(len(lengths), np.int64)
    room = _room() if len(symbols) <= _USUAL_SYMBOLS else np.empty((3, len(symbols)), np.int32)
    codes, starts, ends = room.view(np.uint32)[0], room[1], room[2]
    num = word_loops.split(symbols, tables.kinds, tables.marks, lengths, codes, starts, ends, text_ends)
    word_loops.mark_strict(
        symbols, tables.kinds, codes, starts, ends, text_ends, num,
        tables.known, tables.known_kinds, tables.low_bits, tables.pairs, np.empty(num, np.uint8),
    )  # fmt: skip
    return codes[:num].copy(), text_ends


def form_hashes(texts: list[bytes], is_form: NDArray[np.bool_], marks: bytes, blanks: bytes) -> NDArray[np.uint64]:
    """As `sketch` has them, of texts in ASCII and of forms that are made already."""
    tables = np.zeros((2, 256), np.bool_)
    tables[0, list(marks)] = tables[1, list(blanks)] = True
    found = np.empty(len(texts), np.uint64)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    word_loops.hash_forms(np.frombuffer(b"".join(texts), np.uint8), ends, is_form, tables[0], tables[1], found)
    return found


def common_ends(left: Ragged, right: Ragged) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many words the two texts of each pair have in common at the beginning and, of the others, at the end."""
    before, behind = np.empty(len(left.counts), np.int64), np.empty(len(left.counts), np.int64)
    row_loops.trim(*left, *right, before, behind)
    return before, behind


def edits(left: Ragged, right: Ragged, most: int, widest: int) -> NDArray[np.int64]:
    """As `alike.edits` has them, of which `widest` is the widest."""
    found, room = np.empty(len(left.counts), np.int64), np.empty((2, 2 * most + 3), np.int64)
    row_loops.distances(*left, *right, most, widest, *common_ends(left, right), found, room[0], room[1])
    return found


def packed_grams(words: Ragged, rows: NDArray[np.int64], family: Any, bits: int, part: tuple[int, int]) -> Any:
    """The runs of words of some rows, each a hash and, in the last `bits` bits, the row's number; as in `sharing`.

    `part`: of how many ranges of hashes only which one is wanted.
    """
    room = int((words.counts + 2 * family.padded).sum())
    packed = np.empty(room, np.uint64)
    num = row_loops.pack_grams(
        words.values, words.starts, words.counts, rows, family.width, int(family.padded), np.uint64(family.side),
        np.uint64(bits), np.uint64(part[0]), np.uint64(part[1]), packed,
    )  # fmt: skip
    return packed[:num]


def shared_entries(entries: NDArray[np.uint64], bits: int, num_rows: int) -> Any:
    """Of entries, in the order of their rows, those that several rows share, sorted; where each run of them starts, its
    length, and by how many too many were there of each row. Uses the array that it is given."""
    sort(entries, bits)
    repeated = np.zeros(num_rows, np.int64)
    starts, counts = np.empty(len(entries) // 2 + 1, np.int64), np.empty(len(entries) // 2 + 1, np.int64)
    num = row_loops.keep_shared(entries, np.uint64(bits), repeated, starts, counts)
    return entries, starts[:num], counts[:num], repeated


def sort(values: NDArray[np.uint64], low: int = 0) -> None:
    """Sort in place; what is equal but for its last `low` bits is in the order of these already."""
    row_loops.sort(values, np.empty_like(values), low, np.empty(1026, np.int64), np.empty(1025, np.int64))
