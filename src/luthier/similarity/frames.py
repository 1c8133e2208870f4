"""Frames of templates and the slots in them, found from the rows alone.

A run of words that several rows share is a frame. What is left of a prompt between frames is a hole, known by the three
words before and behind it. A hole that several rows fill differently is a slot: what stands in it is what the row is
about. A hole that only two or three rows know is an edit, and so is one that nearly all rows fill with the same words,
or leave empty. A prompt without any frame is one hole from end to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from luthier.similarity.ragged import (
    Counts,
    Flags,
    Known,
    Ragged,
    Unsigned,
    gram_hashes,
    mixed,
    owners,
    places,
    run_hashes,
    runs,
    slices,
    spread,
)
from luthier.similarity.sharing import PROMPTS, with_borders
from luthier.similarity.sketch import Rows

SLOT_FILLERS = 4
"""A hole that is filled in so many ways is a slot."""
COMMONEST = 0.8
"""Where one filler stands in this share of rows, it is no slot but a word of the frame that was edited in others."""
SETTLED_ROWS = 8
"""So many rows must be known before what nearly all of them have counts as settled."""
CONTEXT = 3
FAMILY_CONTEXT = 2
SHORT_HOLE = 6
"""A hole of more words is a slot without a look at other rows."""
BLOCK_WORDS = 1 << 18


class Holes(NamedTuple):
    """The holes of some prompts, in order; `start` and `end` count from the first word of all prompts given."""

    row: Counts
    start: Counts
    end: Counts
    left: Unsigned
    """A hash of the words before."""
    right: Unsigned
    """A hash of the words behind."""
    is_whole: Flags
    """Whether the hole is the whole prompt."""

    @property
    def is_long(self) -> Flags:
        """Whether it is a slot without a look at other rows."""
        return self.is_whole | (self.end - self.start > SHORT_HOLE)

    @property
    def key(self) -> Unsigned:
        """Equal for holes between the same words."""
        return keys_of(self.left, self.right)


class Wanted(NamedTuple):
    """Holes to be asked for what else stands in them: their keys, and what is before them."""

    keys: Known
    left: Known

    @classmethod
    def of(cls, left: Unsigned, right: Unsigned) -> Wanted:
        """Holes by the hashes of the words before and behind each."""
        return cls(*(Known(_distinct(hashes)) for hashes in (keys_of(left, right), left)))


class Frames:
    """The runs of words that are frames, by their hashes."""

    def __init__(self, hashes: Unsigned, bits: int) -> None:
        """`hashes` as `sharing.shared` found them, their last `bits` bits taken away."""
        self.bits = np.uint64(bits)
        self.known = Known(hashes << self.bits)

    def holes(self, words: Ragged) -> Holes:
        """What is no frame in some prompts."""
        padded = with_borders(words, CONTEXT)
        values = spread(padded.values)
        covered = np.ones(len(values), dtype=np.bool_)
        covered[places(padded.starts + CONTEXT, words.counts)] = False
        for _, width, with_border, least, most in PROMPTS:
            rows = np.flatnonzero((least <= words.counts) & (words.counts <= most))
            extra = int(with_border)
            counts = np.maximum(words.counts[rows] + 2 * extra - width + 1, 0)
            starts = places(padded.starts[rows] + CONTEXT - extra, counts)
            hashes = gram_hashes(values, width, seed=0)[starts]
            starts = starts[self.known.has((hashes >> self.bits) << self.bits)]
            for place in range(width):
                covered[starts + place] = True
        start = np.flatnonzero(~covered[1:] & covered[:-1]) + 1
        end = np.flatnonzero(covered[1:] & ~covered[:-1]) + 1
        row = np.searchsorted(padded.starts, start, side="right") - 1
        shift = CONTEXT * (2 * row + 1)
        around = gram_hashes(values, CONTEXT, seed=1)
        is_whole = end - start == words.counts[row]
        return Holes(row, start - shift, end - shift, around[start - CONTEXT], around[end], is_whole)


class Fillings(NamedTuple):
    """What rows have between the same words: keys of holes."""

    slots: Known
    """Several different things."""
    settled: Known
    """The same in nearly all of many rows: who has something else was edited."""


def slots(rows: Rows, live: Counts, wanted: Wanted) -> Fillings:
    """What the live rows have between the words of the wanted keys."""
    found: list[tuple[Unsigned, Unsigned]] = []
    for block in slices(rows.borders(0, live)[2], BLOCK_WORDS):
        found.extend(_fillers(rows.take(0, live[block]), wanted))
    return _with_several(found)


def family_slots(rows: Rows, family: Counts, members: Counts) -> Known:
    """Keys of words in whose place rows of one family have several others, for the families of these rows."""
    is_wanted = np.zeros(len(family), dtype=np.bool_)
    is_wanted[family[members]] = np.bincount(family, minlength=len(family))[family[members]] >= SLOT_FILLERS
    relatives = np.flatnonzero(is_wanted[family])
    found = []
    for block in slices(rows.borders(0, relatives)[2], BLOCK_WORDS):
        words = rows.take(0, relatives[block])
        of_word = np.repeat(family[relatives[block]], words.counts)
        found.append((of_family(keys_of(*contexts(words, FAMILY_CONTEXT)), of_word), spread(words.values)))
        # Rows that have nothing in its place tell that a word was put in.
        of_gap = np.repeat(family[relatives[block]], words.counts + 1)
        gaps = of_family(keys_of(*_gaps(words, FAMILY_CONTEXT)), of_gap)
        found.append((gaps, np.zeros(len(gaps), dtype=np.uint64)))
    return _with_several(found).slots


def contexts(words: Ragged, num: int) -> tuple[Unsigned, Unsigned]:
    """For each word hashes of so many words before it and behind it."""
    padded = with_borders(words, num)
    around = gram_hashes(spread(padded.values), num, seed=1)
    at = places(padded.starts + num, words.counts)
    return around[at - num], around[at + 1]


def _gaps(words: Ragged, num: int) -> tuple[Unsigned, Unsigned]:
    """The same for each place between two words, before the first and behind the last."""
    padded = with_borders(words, num)
    around = gram_hashes(spread(padded.values), num, seed=1)
    at = places(padded.starts + num, words.counts + 1)
    return around[at - num], around[at]


def keys_of(left: Unsigned, right: Unsigned) -> Unsigned:
    """The keys of holes by the hashes of the words before and behind."""
    return mixed(left ^ mixed(right))


def of_family(keys: Unsigned, family: Counts) -> Unsigned:
    """The keys of holes within one family of rows."""
    return mixed(keys ^ mixed(family.astype(np.uint64)))


def _fillers(words: Ragged, wanted: Wanted) -> Iterator[tuple[Unsigned, Unsigned]]:
    """Keys and fillers of the wanted holes, also where the filler is frame and where it is nothing at all."""
    padded = with_borders(words, CONTEXT)
    values = spread(padded.values)
    around = gram_hashes(values, CONTEXT, seed=1)
    # A hole may be behind the last word too.
    start = places(padded.starts + CONTEXT, words.counts + 1)
    which = np.flatnonzero(wanted.left.has(around[start - CONTEXT]))
    start, behind = start[which], (padded.starts + padded.counts - CONTEXT)[owners(words.counts + 1)[which]]
    for length in range(SHORT_HOLE + 1):
        at = start[start + length <= behind]
        keys = keys_of(around[at - CONTEXT], around[at + length])
        is_wanted = wanted.keys.has(keys)
        yield keys[is_wanted], run_hashes(values, at[is_wanted], at[is_wanted] + length)


def _with_several(found: Sequence[tuple[Unsigned, Unsigned]]) -> Fillings:
    """Keys that have several different fillers, none of which is nearly all there is; and keys where one is."""
    empty = np.zeros(0, dtype=np.uint64)
    keys, fillers = (np.concatenate(some) for some in zip((empty, empty), *found, strict=True))
    order = np.lexsort((fillers, keys))
    keys, fillers = keys[order], fillers[order]
    is_new = np.append(True, (keys[1:] != keys[:-1]) | (fillers[1:] != fillers[:-1]))[: len(keys)]
    starts = np.flatnonzero(is_new)
    counts = np.diff(starts, append=len(keys))
    first, num_fillers = runs(keys[starts])
    if not len(first):
        return Fillings(Known(keys), Known(keys))
    commonest, total = np.maximum.reduceat(counts, first), np.add.reduceat(counts, first)
    of_key, is_one = keys[starts[first]], commonest >= COMMONEST * total
    return Fillings(
        Known(of_key[(num_fillers >= SLOT_FILLERS) & ~is_one]), Known(of_key[is_one & (total >= SETTLED_ROWS)])
    )


def _distinct(hashes: Unsigned) -> Unsigned:
    ordered = np.sort(hashes)
    return ordered[runs(ordered)[0]]
