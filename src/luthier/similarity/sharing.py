"""Which rows share runs of words so rare that they may be near-duplicates: no near pair is missed, few others come.

All runs of a few words of all rows are sorted by their hash, so that rows that share one stand beside each other; a
range of hashes at a time, so that memory does not grow with the rows. Where few rows share a run, each two of them are
a candidate. A run that more rows share is a phrase or the frame of a template, and says little: there only the first
row and the neighbour before are candidates, so that many near copies of one row still form one group.

A candidate stays if the runs that it shares, and those that are too common to have been looked at, could be as many as
a near pair must share: a set-similarity join (Chaudhuri, Ganti and Kaushik, ICDE 2006) with the rarest first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from luthier.similarity.ragged import (
    Counts,
    Flags,
    Ragged,
    Unsigned,
    gram_hashes,
    offsets,
    places,
    runs,
    slices,
    spread,
)
from luthier.similarity.sketch import Rows
from luthier.similarity.worth import loops

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
_SAVED_SECONDS = 1e-7
"""What the compiled way saves, for each word."""


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
    is_rare: Flags
    """[P]: whether they share a run that few others have."""
    frames: Unsigned
    """[F]: hashes of the runs that at least FRAME_ROWS rows share, without their last `row_bits` bits."""
    is_complete: Flags
    """[rows]: whether all rows that can be near on this side are among the candidates of the row."""


def row_bits(rows: Rows) -> int:
    """Bits of a row number: so many bits of a hash make room for it."""
    return max(len(rows) - 1, 1).bit_length()


def shared(rows: Rows, live: Counts, family: Family, *, jaccard: float) -> Shared:
    """The candidates among the `live` rows (their numbers, sorted) by what one family of runs says."""
    lengths = rows.borders(family.side, live)[2]
    which = (family.least <= lengths) & (lengths <= family.most)
    live, lengths = live[which], lengths[which]
    bits = np.uint64(row_bits(rows))
    num_grams = np.maximum(lengths + 2 * family.padded - family.width + 1, 0)
    num_passes = -(-int(num_grams.sum()) // _PASS_GRAMS)
    sizes, common = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    sizes[live] = num_grams
    counted, frames = _Counted(len(rows), bits), [np.zeros(0, dtype=np.uint64)]
    for number in range(num_passes):
        entries, starts, counts, repeated = _entries(rows, live, family, bits, (number, num_passes))
        sizes -= repeated
        counted.add_rare(entries, starts, counts)
        is_common = counts > RARE_ROWS
        common += _per_row(entries[places(starts[is_common], counts[is_common])], bits, len(rows))
        if family.side == 0:
            frames.append(entries[starts[counts >= FRAME_ROWS]] >> bits)
            # A long row has so many runs that an eighth of them leads to the same pairs.
            is_common &= family.padded | (entries[starts] >> bits & np.uint64(7) == 0)
            counted.add_common(entries, starts[is_common], counts[is_common])
    lost = _most_lost(sizes, family, jaccard)
    left, right, num_rare = counted.all()
    needed = np.maximum(np.maximum((sizes - lost)[left], (sizes - lost)[right]), 1)
    is_possible = num_rare + np.minimum(common[left], common[right]) >= needed
    pairs = np.stack([left, right], axis=1)[is_possible]
    is_complete = np.zeros(len(rows), dtype=np.bool_)
    is_complete[live] = (sizes - common > lost)[live]
    return Shared(pairs, num_rare[is_possible] > 0, np.concatenate(frames), is_complete)


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


class _Entries(NamedTuple):
    """Runs of words of one range of hashes that several rows share."""

    entries: Unsigned
    """Hash and row number of each, sorted, each once a row; perhaps others between them."""
    starts: Counts
    """Where each run of words begins among them."""
    counts: Counts
    """How many rows share it."""
    repeated: Counts
    """[rows]: how often each row has a run that it had before."""


def _entries(rows: Rows, live: Counts, family: Family, bits: np.uint64, part: tuple[int, int]) -> _Entries:
    """The entries of the range of hashes that is `part[0]` of `part[1]`."""
    lengths = rows.borders(family.side, live)[2]
    compiled = loops(int(lengths.sum()) * _SAVED_SECONDS)
    found = [np.zeros(0, dtype=np.uint64)]
    for block in slices(lengths, _BLOCK_WORDS):
        words = rows.take(family.side, live[block])
        if compiled is not None:
            found.append(compiled.packed_grams(words, live[block], family, int(bits), part))
            continue
        hashes, counts = grams(words, family.width, padded=family.padded, seed=family.side)
        packed = ((hashes >> bits) << bits) | np.repeat(live[block].astype(np.uint64), counts)
        if part[1] > 1:
            high = hashes >> np.uint64(32)
            packed = packed[(high * np.uint64(part[1])) >> np.uint64(32) == np.uint64(part[0])]
        found.append(packed)
    entries = np.concatenate(found)
    del found
    if compiled is not None:
        return _Entries(*compiled.shared_entries(entries, int(bits), len(rows)))
    entries.sort()
    is_repeated = np.append(False, entries[1:] == entries[:-1])[: len(entries)]
    repeated = _per_row(entries[is_repeated], bits, len(rows))
    entries = entries[~is_repeated]
    return _Entries(entries, *_shared_runs(entries, bits), repeated)


def _shared_runs(entries: Unsigned, bits: np.uint64) -> tuple[Counts, Counts]:
    """Start and length of the entries of each run of words that more than one row has."""
    # Most runs of words are in one row alone: they are passed over before anything is made of them.
    same = np.zeros(len(entries) + 1, dtype=np.bool_)
    np.equal(entries[1:] ^ entries[:-1] < np.uint64(1) << bits, True, out=same[1:-1] if len(entries) else same[:0])
    starts = np.flatnonzero(same[1:] & ~same[:-1])
    ends = np.flatnonzero(~same[1:] & same[:-1]) + 1
    return starts, ends - starts


class _Counted:
    """Pairs of rows with how many rare runs they share, merged from time to time so that they stay few."""

    def __init__(self, num_rows: int, bits: np.uint64) -> None:
        self.bits = bits
        self.row = (np.uint64(1) << bits) - np.uint64(1)
        # Smaller row, greater row and count in one number: it is the sorting that takes the time.
        self.count_bits = np.uint64(64) - np.uint64(2) * bits
        self.count = (np.uint64(1) << self.count_bits) - np.uint64(1)
        assert self.count_bits >= 8, f"{num_rows} rows are too many to be compared at once"
        self.packed = np.zeros(0, dtype=np.uint64)
        self.new: list[Unsigned] = []
        self.held = 0

    def add_rare(self, entries: Unsigned, starts: Counts, counts: Counts) -> None:
        """Each two rows of each run that 2 to RARE_ROWS rows share."""
        for size in range(2, RARE_ROWS + 1):
            first = starts[counts == size]
            left, right = np.triu_indices(size, 1)
            for part in slices(np.full(len(first), len(left)), _HELD_PAIRS):
                at = first[part][:, None]
                self._add(entries[at + left].ravel(), entries[at + right].ravel(), 1)

    def add_common(self, entries: Unsigned, starts: Counts, counts: Counts) -> None:
        """Each row of a common run with the first of them and with the one before."""
        for part in slices(counts, _HELD_PAIRS):
            first, sizes = starts[part], counts[part] - 1
            row = entries[places(first + 1, sizes)]
            self._add(entries[places(first, sizes)], row, 0)
            self._add(np.repeat(entries[first], sizes), row, 0)

    def all(self) -> tuple[Counts, Counts, Counts]:
        """Smaller row, greater row, shared rare runs of every pair."""
        self._merge()
        left, right = self.packed >> (self.count_bits + self.bits), self.packed >> self.count_bits & self.row
        return left.astype(np.int64), right.astype(np.int64), (self.packed & self.count).astype(np.int64)

    def _add(self, left: Unsigned, right: Unsigned, count: int) -> None:
        pairs = ((left & self.row) << self.bits) | (right & self.row)
        self.new.append((pairs << self.count_bits) | np.uint64(count))
        self.held += len(left)
        if self.held > _HELD_PAIRS:
            self._merge()

    def _merge(self) -> None:
        packed = np.concatenate([self.packed, *self.new])
        compiled = loops()
        if compiled is not None:
            compiled.sort(packed)
        else:
            packed.sort()
        starts, _ = runs(packed >> self.count_bits)
        if len(starts):
            counts = np.minimum(np.add.reduceat(packed & self.count, starts), self.count)
            packed = (packed[starts] & ~self.count) | counts
        self.packed, self.new, self.held = packed, [], 0


def _per_row(entries: Unsigned, bits: np.uint64, num_rows: int) -> Counts:
    return np.bincount((entries & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64), minlength=num_rows)


def _most_lost(sizes: Counts, family: Family, jaccard: float) -> Counts:
    """How many of its runs a row may have that a near one lacks.

    A set of n can lack floor((1 - t) n) members of one with which its similarity is t, and a changed word takes at most
    `width` runs away.
    """
    lost: Counts = np.floor((1 - jaccard) * sizes + 1e-9).astype(np.int64)
    return np.maximum(lost, MOST_EDITS * family.width)
