"""Whether two prompts that are near differ in what their template leaves open: then they are different by design."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from luthier.similarity.alike import Surplus, pair_words, surpluses, trimmed
from luthier.similarity.frames import (
    BLOCK_WORDS,
    CONTEXT,
    FAMILY_CONTEXT,
    Frames,
    Holes,
    Wanted,
    contexts,
    family_slots,
    keys_of,
    of_family,
    slots,
)
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
    slices,
    spread,
)
from luthier.similarity.sharing import with_borders
from luthier.similarity.sketch import Rows

WORDS_PER_EDIT = 4
"""Words in the slots of a prompt for each that may differ in a near-duplicate."""
WORDS_PER_LABELLED_EDIT = 10
"""The same where the answer is a label, which says nothing about the row."""


class SlotFacts(NamedTuple):
    """What is known of the rows when their prompts are compared. [rows]"""

    is_labelled: Flags
    """Whether the answer is a label."""
    family: Counts
    """A number that rows share whose prompts near pairs link."""


class Asked(NamedTuple):
    """Pairs whose prompts may differ in a slot. [pairs]"""

    pairs: Counts
    is_edited: Flags
    """Whether they differ in few words only. Where not, it may be their frame that makes them similar: then every hole
    counts as a slot."""
    is_weak: Flags
    """Whether they differ in so many words, for answers that say so little, that it must be shown where: each in a
    frame, there where many rows have the same."""


def differ_in_slots(rows: Rows, live: Counts, frames: Frames, asked: Asked, facts: SlotFacts) -> Flags:
    """Whether the prompts of each pair differ in a slot by more than an edit. [pairs]

    `live`: the rows that are looked at for what else stands in a slot.
    """
    pairs = asked.pairs
    found = np.zeros(len(pairs), dtype=np.bool_)
    if not len(pairs):
        return found
    lengths = rows.borders(0, pairs[:, 0])[2] + rows.borders(0, pairs[:, 1])[2]
    blocks = list(slices(lengths, BLOCK_WORDS))
    sides = [_sides(rows, frames, pairs[block]) for block in blocks]
    left, right = (np.concatenate([asked for two in sides for side in two for asked in side.asked(of_left)])
                   for of_left in (True, False))  # fmt: skip
    known = _Slots(*slots(rows, live, Wanted.of(left, right)), family_slots(rows, facts.family, pairs.ravel()))
    for block, two in zip(blocks, sides, strict=True):
        labelled = facts.is_labelled[pairs[block]].any(axis=1)
        per_edit = np.where(labelled, WORDS_PER_LABELLED_EDIT, WORDS_PER_EDIT)
        family = facts.family[pairs[block, 0]]
        one, other = (known.of(side, per_edit, asked.is_edited[block], family) for side in two)
        # Where only one text has something else in its slots, and the other has what is in its own, the other has it in
        # a frame that was edited in the first.
        found[block] = (one.is_over | one.is_silent) & (other.is_over | other.is_silent) & (one.is_over | other.is_over)
        # An edit makes words that no other row has. Where both words are in frames, both are usual there.
        found[block] |= one.has_slot_word | other.has_slot_word | (one.has_frame_word & other.has_frame_word)
        found[block] |= asked.is_weak[block] & ~(one.is_settled & other.is_settled)
    return found


class _Side(NamedTuple):
    """What is to be known of one of the two prompts of each pair, without its words."""

    num_pairs: int
    holes: Holes
    in_holes: Unsigned
    """Pair and word of each word in a hole, hole by hole."""
    surplus: Surplus
    changed: _Changed

    def asked(self, of_left: bool) -> tuple[Unsigned, Unsigned]:
        """Hashes of the words before (or behind) all holes and changed words."""
        kept = ~self.holes.is_long
        return ((self.holes.left if of_left else self.holes.right)[kept],
                self.changed.left if of_left else self.changed.right)  # fmt: skip


class _Changed(NamedTuple):
    """Words of the prompts that the others lack, there where their neighbourhood is lacking too."""

    pair: Counts
    left: Unsigned
    right: Unsigned
    """Hashes of the three words before and behind."""
    near_left: Unsigned
    near_right: Unsigned
    """The same of two words."""
    is_open: Flags
    """Whether the word is no frame."""


class _Found(NamedTuple):
    """What the slots of one prompt of each pair say. [pairs]"""

    is_over: Flags
    """Whether the other lacks more words of its slots than an edit takes."""
    is_silent: Flags
    """Whether it has nothing in slots, or the other has all its words: then its slots prove nothing."""
    has_slot_word: Flags
    """Whether a word that the other lacks is in a slot by itself."""
    has_frame_word: Flags
    """Whether a word that the other lacks is part of a frame."""
    is_settled: Flags
    """Whether each word that the other lacks is in a frame, or where nearly all rows of the frame have another."""


class _Slots(NamedTuple):
    """The keys of slots and of settled places, of all rows and within families."""

    keys: Known
    settled: Known
    in_family: Known

    def of(self, side: _Side, per_edit: Counts, is_edited: Flags, family: Counts) -> _Found:
        """What the slots of one prompt of each pair say. `per_edit`, `is_edited`, `family`: of each pair."""
        holes, changed = side.holes, side.changed
        is_slot = holes.is_long | self.keys.has(holes.key) | ~is_edited[holes.row]
        lengths = (holes.end - holes.start)[is_slot]
        inside = np.bincount(holes.row[is_slot], weights=lengths, minlength=side.num_pairs).astype(np.int64)
        words = side.in_holes[np.repeat(is_slot, holes.end - holes.start)]
        missing = _common(side.surplus, words, side.num_pairs)
        is_open = np.repeat(~self.settled.has(holes.key), holes.end - holes.start)
        # A prompt that is frame from end to end is put together from what others say too: any word may be a slot.
        of_all = (changed.is_open | (inside == 0)[changed.pair]) & self.keys.has(keys_of(changed.left, changed.right))
        near = of_family(keys_of(changed.near_left, changed.near_right), family[changed.pair])
        return _Found(
            missing > inside // per_edit,
            (inside == 0) | (side.surplus.per_pair(side.num_pairs) == 0),
            _any(changed.pair[of_all | self.in_family.has(near)], side.num_pairs),
            _any(changed.pair[~changed.is_open], side.num_pairs),
            _common(side.surplus, side.in_holes[is_open], side.num_pairs) == 0,
        )


def _sides(rows: Rows, frames: Frames, pairs: Counts) -> tuple[_Side, _Side]:
    texts = [rows.take(0, numbers) for numbers in pairs.T]
    cut = trimmed(*texts, margin=1)
    parts = (cut.left, cut.right)
    found = []
    for text, part, other, surplus in zip(texts, parts, parts[::-1], surpluses(*texts), strict=True):
        holes = frames.holes(text)
        lengths = holes.end - holes.start
        inside = pair_words(np.repeat(holes.row, lengths), text.values[places(holes.start, lengths)])
        at = np.flatnonzero(_is_new(part, other) & _is_among(part, surplus))
        pair = np.searchsorted(part.starts + part.counts, at, side="right")
        # The place in the whole text, which the part is cut from.
        at += (text.starts + cut.before - part.starts)[pair]
        hole = np.searchsorted(holes.start, at, side="right") - 1
        is_open = (hole >= 0) & (at < np.append(holes.end, 0)[hole])
        left, right = contexts(text, CONTEXT)
        near_left, near_right = contexts(text, FAMILY_CONTEXT)
        changed = _Changed(pair, left[at], right[at], near_left[at], near_right[at], is_open)
        found.append(_Side(len(pairs), holes, inside, surplus, changed))
    return found[0], found[1]


def _is_new(left: Ragged, right: Ragged) -> Flags:
    """For each word of the left texts, whether the right text of the pair lacks it with the words beside it."""
    found = []
    for words in (left, right):
        padded = with_borders(words, 1)
        hashes = gram_hashes(spread(padded.values), CONTEXT, seed=0)[places(padded.starts, words.counts)]
        found.append(mixed(hashes ^ mixed(owners(words.counts).astype(np.uint64))))
    return ~Known(found[1]).has(found[0])


def _is_among(words: Ragged, surplus: Surplus) -> Flags:
    known = Known(mixed(pair_words(surplus.pair, surplus.word)))
    return known.has(mixed(pair_words(owners(words.counts), words.values)))


def _common(surplus: Surplus, words: Unsigned, num_pairs: int) -> Counts:
    """How many of the surplus words of each pair are among some words, counted as often as in both. [pairs]"""
    lacking = pair_words(surplus.pair, surplus.word)
    place = np.minimum(np.searchsorted(lacking, words), max(len(lacking) - 1, 0))
    is_lacking = lacking[place] == words if len(lacking) else np.zeros(len(words), dtype=np.bool_)
    counts = np.bincount(place[is_lacking], minlength=len(lacking))
    return np.bincount(surplus.pair, weights=np.minimum(counts, surplus.more), minlength=num_pairs).astype(np.int64)


def _any(pair: Counts, num_pairs: int) -> Flags:
    found = np.zeros(num_pairs, dtype=np.bool_)
    found[pair] = True
    return found
