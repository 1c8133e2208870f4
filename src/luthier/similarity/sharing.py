"""Which rows share runs of words so rare that they may be near-duplicates: no near pair is missed, few others come.

All runs of a few words of all rows are sorted by their hash, so that rows that share one stand beside each other; a
range of hashes at a time, so that memory does not grow with the rows. Where few rows share a run, each two of them are
a candidate. A run that more rows share is a phrase or the frame of a template, and says little: there only the first
row and the neighbour before are candidates, so that many near copies of one row still form one group.

A candidate stays if the runs that it shares, and those that are too common to have been looked at, could be as many as
a near pair must share: a set-similarity join (Chaudhuri, Ganti and Kaushik, ICDE 2006) with the rarest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from luthier.similarity.ragged import (
    Counts,
    Flags,
    Ragged,
    Unsigned,
    gram_hashes,
    offsets,
    owners,
    places,
    runs,
    slices,
    spread,
)
from luthier.similarity.sketch import Rows

SHINGLE_WORDS = 5
SHORT_SHINGLE_WORDS = 3
LONG_WORDS = 25
"""From this length on, three changed words leave a run of five words whole, and Jaccard similarity says something."""
MOST_EDITS = 3
"""Words that may differ between two texts, whatever their Jaccard similarity."""
RARE_ROWS = 32
"""A run of words in more rows than this is common: not each two of its rows are looked at."""
FRAME_ROWS = 4
"""A run of words in so many rows may be the frame of a template."""
_STRADDLE = MOST_EDITS - 1
_BLOCK_WORDS = 1 << 18
_PASS_GRAMS = 1 << 23
_HELD_PAIRS = 1 << 22


class Family(NamedTuple):
    """Runs of `width` words of one side of those rows that have `least` to `most` words there."""

    side: int
    width: int
    padded: bool
    """Whether the borders of the text count as words, as they do for texts that are not much longer than a run."""
    least: int
    most: int


# Texts a little shorter and a little longer than the border are looked at in both ways, or a pair across it were lost.
_LONG = (SHINGLE_WORDS, False, LONG_WORDS - MOST_EDITS, 2**62)
_SHORT = (SHORT_SHINGLE_WORDS, True, 1, LONG_WORDS + _STRADDLE)
PROMPTS = (Family(0, *_LONG), Family(0, *_SHORT))
ANSWERS = (Family(1, *_LONG), Family(1, *_SHORT))


class Shared(NamedTuple):
    """What the rows of a family have in common."""

    pairs: Counts
    """[P, 2]: candidates, the smaller row number first."""
    frames: Unsigned
    """[F]: hashes of the runs that at least FRAME_ROWS rows share, without their last `row_bits` bits, sorted."""


def row_bits(rows: Rows) -> int:
    """Bits of a row number: so many bits of a hash make room for it."""
    return max(len(rows) - 1, 1).bit_length()


def shared(rows: Rows, live: Counts, family: Family, *, jaccard: float) -> Shared:
    """The candidates among the `live` rows (their numbers, sorted) by what one family of runs says."""
    lengths = rows.borders(family.side, live)[2]
    live = live[(family.least <= lengths) & (lengths <= family.most)]
    lengths = rows.borders(family.side, live)[2]
    bits = np.uint64(row_bits(rows))
    total = int(lengths.sum()) + (2 * len(live) if family.padded else 0)
    num_passes = -(-total // _PASS_GRAMS)
    sizes, common = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    counted, frames = _Counted(len(rows), bits), []
    for number in range(num_passes):
        entries = _entries(rows, live, lengths, family, bits, number, num_passes)
        keys, of_row = entries >> bits, entries & ((np.uint64(1) << bits) - np.uint64(1))
        del entries
        sizes += _per_row(of_row, len(rows))
        starts, counts = runs(keys)
        counted.add_rare(of_row, starts, counts)
        if family.side == 0:
            frames.append(keys[starts[counts >= FRAME_ROWS]])
            counted.add_common(of_row, starts, counts)
        common += _per_row(of_row[places(starts, np.where(counts > RARE_ROWS, counts, 0))], len(rows))
    pairs = _possible(*counted.all(), sizes, common, family, jaccard)
    return Shared(pairs, np.concatenate(frames) if frames else np.zeros(0, dtype=np.uint64))


def grams(words: Ragged, width: int, *, padded: bool, seed: int) -> tuple[Unsigned, Counts]:
    """Hashes of the runs of `width` words of each row, laid end to end, and how many each row has."""
    if padded:
        words = with_borders(words, 1)
    hashes = gram_hashes(spread(words.values), width, seed=seed)
    counts = np.maximum(words.counts - width + 1, 0)
    return hashes[places(words.starts, counts)], counts


def with_borders(words: Ragged, num: int) -> Ragged:
    """The rows with `num` border codes before and behind each."""
    counts = words.counts + 2 * num
    starts = offsets(counts)
    values = np.full(int(counts.sum()), BORDER, dtype=np.uint32)
    values[places(starts + num, words.counts)] = words.values
    return Ragged(values, starts, counts)


BORDER = 0
"""The code of the border of a text; a word has it once in two thousand million."""


def _entries(
    rows: Rows, live: Counts, lengths: Counts, family: Family, bits: np.uint64, number: int, num_passes: int
) -> Unsigned:
    """Hash and row number of each run of one range of hashes, sorted, each once a row."""
    found = []
    for block in slices(lengths, _BLOCK_WORDS):
        words = rows.take(family.side, live[block])
        hashes, counts = grams(words, family.width, padded=family.padded, seed=family.side)
        packed = ((hashes >> bits) << bits) | np.repeat(live[block].astype(np.uint64), counts)
        if num_passes > 1:
            high = hashes >> np.uint64(32)
            packed = packed[(high * np.uint64(num_passes)) >> np.uint64(32) == np.uint64(number)]
        found.append(packed)
    entries = np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)
    del found
    entries.sort()
    return entries[np.append(True, entries[1:] != entries[:-1])] if len(entries) else entries


class _Counted:
    """Pairs of rows with how many rare runs they share, merged from time to time so that they stay few."""

    def __init__(self, num_rows: int, bits: np.uint64) -> None:
        self.bits = bits
        # Smaller row, greater row and count in one number: it is the sorting that takes the time.
        self.count_bits = np.uint64(64) - np.uint64(2) * bits
        assert self.count_bits >= 8, f"{num_rows} rows are too many to be compared at once"
        self.packed = np.zeros(0, dtype=np.uint64)
        self.new: list[Unsigned] = []
        self.held = 0

    def add_rare(self, of_row: Counts, starts: Counts, counts: Counts) -> None:
        """Each two rows of each run that 2 to RARE_ROWS rows share."""
        for size in range(2, RARE_ROWS + 1):
            first = starts[counts == size]
            left, right = np.triu_indices(size, 1)
            for part in slices(np.full(len(first), len(left)), _HELD_PAIRS):
                at = first[part][:, None]
                self._add(of_row[at + left].ravel(), of_row[at + right].ravel(), 1)

    def add_common(self, of_row: Counts, starts: Counts, counts: Counts) -> None:
        """Each row of a common run with the first of them and with the one before."""
        is_common = counts > RARE_ROWS
        for part in slices(counts[is_common], _HELD_PAIRS):
            first, sizes = starts[is_common][part], counts[is_common][part] - 1
            row = of_row[places(first + 1, sizes)]
            self._add(of_row[places(first, sizes)], row, 0)
            self._add(np.repeat(of_row[first], sizes), row, 0)

    def all(self) -> tuple[Counts, Counts, Counts]:
        """Smaller row, greater row, shared rare runs of every pair."""
        self._merge()
        pairs, counts = self.packed >> self.count_bits, self.packed & self._most()
        low = (np.uint64(1) << self.bits) - np.uint64(1)
        return (pairs >> self.bits).astype(np.int64), (pairs & low).astype(np.int64), counts.astype(np.int64)

    def _most(self) -> np.uint64:
        return (np.uint64(1) << self.count_bits) - np.uint64(1)

    def _add(self, left: Unsigned, right: Unsigned, count: int) -> None:
        self.new.append((((left << self.bits) | right) << self.count_bits) | np.uint64(count))
        self.held += len(left)
        if self.held > _HELD_PAIRS:
            self._merge()

    def _merge(self) -> None:
        packed = np.concatenate([self.packed, *self.new])
        packed.sort()
        starts, _ = runs(packed >> self.count_bits)
        if len(starts):
            counts = np.minimum(np.add.reduceat(packed & self._most(), starts), self._most())
            packed = (packed[starts] & ~self._most()) | counts
        self.packed, self.new, self.held = packed, [], 0


def _per_row(of_row: Unsigned, num_rows: int) -> Counts:
    return np.bincount(of_row.astype(np.int64), minlength=num_rows)


def _possible(
    left: Counts, right: Counts, found: Counts, sizes: Counts, common: Counts, family: Family, jaccard: float
) -> Counts:
    """The pairs that could share as many runs as a near pair of their sizes must."""
    most = np.maximum(sizes[left], sizes[right])
    # A set of n can lack floor((1 - t) n) members of one with which its similarity is t, and a changed word takes at
    # most `width` runs away.
    lost = np.maximum(np.floor((1 - jaccard) * most + 1e-9).astype(np.int64), MOST_EDITS * family.width)
    needed = np.maximum(most - lost, 1)
    is_possible: Flags = found + np.minimum(common[left], common[right]) >= needed
    return np.stack([left[is_possible], right[is_possible]], axis=1)
