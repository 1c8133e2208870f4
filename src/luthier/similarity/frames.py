"""Frames of templates and the slots in them, found from the rows alone.

A run of words that several rows share is a frame. What is left of a prompt between frames is a hole, known by the three
words before and behind it. A hole that several rows fill differently is a slot: what stands in it is what the row is
about, and rows that differ there differ by design. A hole that only two or three rows know is an edit. A prompt without
any frame is one slot from end to end.

Where slots stand so close that no frame fits between them, a single word is in a slot if several rows have another
between the same three words before and behind, or several rows of its family between the same two. A family is what
near prompts link together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from luthier.similarity.alike import lacking, lacking_runs, pair_words, surplus
from luthier.similarity.ragged import (
    Counts, Flags, Known, Ragged, Unsigned, gram_hashes, mixed, owners, places, run_hashes, runs, slices, spread,
)  # fmt: skip
from luthier.similarity.sharing import PROMPTS, with_borders
from luthier.similarity.sketch import Rows

SLOT_FILLERS = 4
"""A hole that is filled in so many ways is a slot."""
WORDS_PER_ALIKE_EDIT = 16
"""Words of a prompt for each that may differ, where more do than in an edit but shingles are alike."""
COMMONEST = 0.8
"""Where one filler stands in this share of all rows, it is no slot but a word of the frame that was edited in others."""
WORDS_PER_EDIT = 4
"""Words in the slots of a prompt for each that may differ in a near-duplicate."""
WORDS_PER_LABELLED_EDIT = 8
"""The same where the answer is a label, which says nothing about the row."""
SHORT_HOLE = 6
"""So many words between the same words before and behind are counted as its filler even where they are frame."""
CONTEXT = 3
FAMILY_CONTEXT = 2
_BLOCK_WORDS = 1 << 18


class Holes(NamedTuple):
    """The holes of some prompts, in order; `start` and `end` count from the first word of all prompts given."""

    row: Counts
    start: Counts
    end: Counts
    key: Unsigned
    """Equal for holes between the same words."""
    filler: Unsigned
    """Equal for the same words in the hole."""
    is_whole: Flags
    """Whether the hole is the whole prompt."""


class Frames:
    """The runs of words that are frames, as a table of bits of their hashes."""

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
        key = _context_keys(gram_hashes(values, CONTEXT, seed=1), start, end, CONTEXT)
        is_whole = end - start == words.counts[row]
        return Holes(row, start - shift, end - shift, key, run_hashes(values, start, end), is_whole)


def differ_in_slots(
    rows: Rows, live: Counts, frames: Frames, pairs: Counts, is_edited: Flags, facts: SlotFacts
) -> Flags:
    """Whether the prompts of each pair differ in a slot by more than an edit. [pairs]

    `live`: the rows that are looked at for what else stands in a slot; `is_edited`: whether the prompts differ in few
    words only. Where they do not, it may be their frame that makes them similar: then every hole counts as a slot.
    """
    found = np.zeros(len(pairs), dtype=np.bool_)
    if not len(pairs):
        return found
    lengths = rows.borders(0, pairs[:, 0])[2] + rows.borders(0, pairs[:, 1])[2]
    blocks = list(slices(lengths, _BLOCK_WORDS))
    wanted = [_wanted(rows, frames, pairs[block]) for block in blocks]
    slots = _slots(rows, live, frames, Known(np.concatenate(wanted)))
    family_slots = _family_slots(rows, facts.family, np.unique(pairs))
    for block in blocks:
        texts = [rows.take(0, numbers) for numbers in pairs[block].T]
        sides = [_Side.of(frames, slots, text, is_edited[block]) for text in texts]
        labelled = facts.is_labelled[pairs[block]].any(axis=1)
        per_edit = np.where(labelled, WORDS_PER_LABELLED_EDIT, WORDS_PER_EDIT)
        lacks = [_lacking_in_slots(*two, per_edit) for two in (sides, sides[::-1])]
        # Where only one text has something else in its slots, and the other has what is in its own, the other has it in
        # a frame that was edited in the first.
        found[block] = (lacks[0].is_over | lacks[0].is_silent) & (lacks[1].is_over | lacks[1].is_silent)
        found[block] &= lacks[0].is_over | lacks[1].is_over
        changed = [some.words for some in lacks]
        shorter = np.minimum(texts[0].counts, texts[1].counts)
        found[block] |= ~is_edited[block] & (np.maximum(*changed) > shorter // WORDS_PER_ALIKE_EDIT)
        known = []
        for side, other, some in ((*sides, lacks[0]), (*sides[::-1], lacks[1])):
            at = _changed(side.words, other.words)
            pair = np.searchsorted(side.words.starts + side.words.counts, at, side="right")
            # A prompt that is frame from end to end is put together from what others say too: any word may be a slot.
            is_slot = (side.is_open[at] | (some.slots == 0)[pair]) & slots.has(_word_keys(side.words, CONTEXT)[at])
            family = facts.family[pairs[block, 0]][pair]
            is_slot |= family_slots.has(_of_family(_word_keys(side.words, FAMILY_CONTEXT)[at], family))
            found[block.start + pair[is_slot]] = True
            known.append(np.bincount(pair[~side.is_open[at]], minlength=len(labelled)) > 0)
        # An edit makes words that no other row has. Where both words are in frames, both are usual there.
        found[block] |= known[0] & known[1]
    return found


class _Side(NamedTuple):
    """One of the two prompts of each pair."""

    words: Ragged
    is_open: Flags
    """[words]: whether the word is no frame."""
    is_slot: Flags
    """[words]: whether it is in a slot."""

    @classmethod
    def of(cls, frames: Frames, slots: Known, words: Ragged, is_edited: Flags) -> _Side:
        """`slots`: keys of holes that are slots; where not `is_edited`, every hole is one."""
        holes = frames.holes(words)
        lengths = holes.end - holes.start
        marks = np.zeros((2, len(words.values)), dtype=np.bool_)
        is_slot = holes.is_whole | slots.has(holes.key) | ~is_edited[holes.row]
        for mark, which in zip(marks, (np.ones_like(is_slot), is_slot), strict=True):
            mark[places(holes.start[which], lengths[which])] = True
        return cls(words, *marks)


class SlotFacts(NamedTuple):
    """What is known of the rows when their prompts are compared. [rows]"""

    is_labelled: Flags
    """Whether the answer is a label."""
    family: Counts
    """A number that rows share whose prompts near pairs link."""


class _Lacks(NamedTuple):
    """What the other text of each pair lacks of one text. [pairs]"""

    is_over: Flags
    """Whether it lacks more words of the slots than an edit takes."""
    words: Counts
    """The words that it lacks, in slots or not."""
    slots: Counts
    """The words of the text in slots, lacking or not."""

    @property
    def is_silent(self) -> Flags:
        """Whether the text has nothing in slots, or the other has all its words: then its slots prove nothing."""
        return (self.slots == 0) | (self.words == 0)


def _lacking_in_slots(side: _Side, other: _Side, per_edit: Counts) -> _Lacks:
    num_pairs = len(per_edit)
    of_word = owners(side.words.counts)[side.is_slot]
    inside = np.bincount(of_word, minlength=num_pairs)
    words, counts = np.unique(pair_words(of_word, side.words.values[side.is_slot]), return_counts=True)
    pair, word, more = surplus(side.words, other.words)
    lacking = pair_words(pair, word)
    at = np.flatnonzero(np.isin(lacking, words, assume_unique=True))
    missing = np.minimum(more[at], counts[np.searchsorted(words, lacking[at])])
    num_missing = np.bincount(pair[at], weights=missing, minlength=num_pairs)
    num_words = np.bincount(pair, weights=more, minlength=num_pairs).astype(np.int64)
    return _Lacks(num_missing > inside // per_edit, num_words, inside)


def _wanted(rows: Rows, frames: Frames, pairs: Counts) -> Unsigned:
    """Keys of all holes of these prompts, and of the words in which they differ."""
    texts = rows.take(0, pairs[:, 0]), rows.take(0, pairs[:, 1])
    holes = [frames.holes(text) for text in texts]
    words = [_word_keys(text, CONTEXT)[_changed(text, other)] for text, other in (texts, texts[::-1])]
    return np.unique(np.concatenate([*(some.key[~some.is_whole] for some in holes), *words]))


def _changed(left: Ragged, right: Ragged) -> Counts:
    """Places in the left texts of words that the right ones lack, there where also their neighbourhood is lacking."""
    around = with_borders(left, 1), with_borders(right, 1)
    new = lacking_runs(*around, CONTEXT)[places(around[0].starts, left.counts)]
    return np.flatnonzero(new & lacking(left, right))


def _slots(rows: Rows, live: Counts, frames: Frames, wanted: Known) -> Known:
    """Those of the wanted keys between whose words the live rows have several different things. Sorted."""
    found = []
    for block in slices(rows.borders(0, live)[2], _BLOCK_WORDS):
        words = rows.take(0, live[block])
        holes = frames.holes(words)
        is_long = (holes.end - holes.start > SHORT_HOLE) & ~holes.is_whole & wanted.has(holes.key)
        found.append((holes.key[is_long], holes.filler[is_long]))
        found.extend(_short_fillers(words, wanted))
    return _with_several(found)


def _short_fillers(words: Ragged, wanted: Known) -> Iterator[tuple[Unsigned, Unsigned]]:
    """What a few words stand between the words of a wanted key, whether it is a hole there or frame."""
    padded = with_borders(words, CONTEXT)
    values = spread(padded.values)
    around = gram_hashes(values, CONTEXT, seed=1)
    start = places(padded.starts + CONTEXT, words.counts)
    behind = np.repeat(padded.starts + padded.counts - CONTEXT, words.counts)
    for length in range(1, SHORT_HOLE + 1):
        at = start[start + length <= behind]
        keys = _context_keys(around, at, at + length, CONTEXT)
        is_wanted = wanted.has(keys)
        yield keys[is_wanted], run_hashes(values, at[is_wanted], at[is_wanted] + length)


def _family_slots(rows: Rows, family: Counts, members: Counts) -> Known:
    """Keys of words in whose place rows of one family have several others, for the families of these rows. Sorted."""
    relatives = np.flatnonzero(np.isin(family, family[members]))
    sizes = np.bincount(family[relatives], minlength=len(family))
    relatives = relatives[sizes[family[relatives]] >= SLOT_FILLERS]
    found = []
    for block in slices(rows.borders(0, relatives)[2], _BLOCK_WORDS):
        words = rows.take(0, relatives[block])
        of_word = np.repeat(family[relatives[block]], words.counts)
        keys = _of_family(_word_keys(words, FAMILY_CONTEXT), of_word)
        found.append((keys, spread(words.values)))
    return _with_several(found)


def _with_several(found: Sequence[tuple[Unsigned, Unsigned]]) -> Known:
    """Keys that have several different fillers, none of which is nearly all there is. Sorted."""
    if not found:
        return Known(np.zeros(0, dtype=np.uint64))
    keys, fillers = (np.concatenate(some) for some in zip(*found, strict=True))
    order = np.lexsort((fillers, keys))
    keys, fillers = keys[order], fillers[order]
    is_new = np.append(True, (keys[1:] != keys[:-1]) | (fillers[1:] != fillers[:-1]))[: len(keys)]
    starts = np.flatnonzero(is_new)
    counts = np.diff(starts, append=len(keys))
    first, num_fillers = runs(keys[starts])
    if not len(first):
        return Known(keys)
    commonest, total = np.maximum.reduceat(counts, first), np.add.reduceat(counts, first)
    return Known(keys[starts[first]][(num_fillers >= SLOT_FILLERS) & (commonest < COMMONEST * total)])


def _word_keys(words: Ragged, context: int) -> Unsigned:
    """For each word the key of a hole in its place, by so many words before and behind."""
    padded = with_borders(words, context)
    at = places(padded.starts + context, words.counts)
    return _context_keys(gram_hashes(spread(padded.values), context, seed=1), at, at + 1, context)


def _context_keys(around: Unsigned, start: Counts, end: Counts, context: int) -> Unsigned:
    return mixed(around[start - context] ^ mixed(around[end]))


def _of_family(keys: Unsigned, family: Counts) -> Unsigned:
    return mixed(keys ^ mixed(family.astype(np.uint64)))


def _of_row(holes: Holes) -> Unsigned:
    return _of_family(holes.key, holes.row)
