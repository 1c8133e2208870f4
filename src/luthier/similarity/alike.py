"""How alike the texts of pairs are: words to change, words that only one has, Jaccard similarity of their shingles.

Everything works on many pairs at once: pair p is row p of the left and row p of the right texts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.ragged import (
    Codes,
    Counts,
    Flags,
    Ragged,
    Unsigned,
    gram_hashes,
    offsets,
    owners,
    pick,
    places,
    runs,
    slices,
    spread,
)
from luthier.similarity.worth import loops

MOST_PAIRS = 1 << 20
"""Pairs in one call: a pair's number, a hash and a side fit into 64 bits."""
_PAIR_BITS = np.uint64(20)
_ONE = np.uint64(1)
_HASH_BITS = np.uint64(43)
_WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512)
_CHUNK_WORDS = 1 << 17
_LEFT_BLANK, _RIGHT_BLANK = np.uint32(1), np.uint32(2)


class Trimmed(NamedTuple):
    """The texts of pairs without what both begin with and what both end with."""

    left: Ragged
    right: Ragged
    before: Counts
    """[pairs]: words taken away at the beginning."""


class Surplus(NamedTuple):
    """Words that one text of a pair has more often than the other, sorted by pair and word."""

    pair: Counts
    word: Codes
    more: Counts
    """How often more."""

    def per_pair(self, num_pairs: int) -> Counts:
        """How many words of each pair."""
        return np.bincount(self.pair, weights=self.more, minlength=num_pairs).astype(np.int64)


def trimmed(left: Ragged, right: Ragged, *, margin: int = 0) -> Trimmed:
    """Both texts of each pair without their common beginning and end, but for `margin` words of each."""
    shorter = np.minimum(left.counts, right.counts)
    compiled = loops()
    if compiled is not None:
        before, behind = (np.maximum(common - margin, 0) for common in compiled.common_ends(left, right))
        return _cut(left, right, before, behind)
    first, _ = _differences(left, right, left.starts, right.starts, shorter)
    shift = left.starts + left.counts - shorter, right.starts + right.counts - shorter
    _, last = _differences(left, right, *shift, shorter)
    before = np.maximum(first - margin, 0)
    behind = np.maximum(np.minimum(shorter - 1 - last, shorter - first) - margin, 0)
    return _cut(left, right, before, behind)


def edits(left: Ragged, right: Ragged, most: int) -> NDArray[np.int64]:
    """Words to insert, delete or replace to make one text of a pair the other; most + 1 where it is more. [pairs]

    Texts of which more than 512 words lie between their first and last difference count as "more" without a look.
    Furthest-reaching points on the diagonals -most..most (Landau and Vishkin, J. Algorithms 10, 1989).
    """
    compiled = loops()
    if compiled is not None:
        every: NDArray[np.int64] = compiled.edits(left, right, most, _WIDTHS[-1])
        return every
    left, right, _ = trimmed(left, right)
    longer = np.maximum(left.counts, right.counts)
    found = np.where(longer <= most, longer, most + 1)
    # What is left of the texts differs in its first word and in its last: up to two words, all have to be replaced.
    is_open = (np.abs(left.counts - right.counts) <= most) & (longer > 2) & (np.minimum(left.counts, right.counts) > 0)
    shortest = 0
    for width in _WIDTHS:
        at = np.flatnonzero(is_open & (shortest < longer) & (longer <= width))
        for part in slices(np.full(len(at), width), _CHUNK_WORDS):
            some = at[part]
            found[some] = _edits(_matrix(left, some, width, _LEFT_BLANK, 0, most + 1),
                                 _matrix(right, some, width, _RIGHT_BLANK, most, most + 1),
                                 left.counts[some], right.counts[some], most)  # fmt: skip
        shortest = width
    return found


def surpluses(left: Ragged, right: Ragged) -> tuple[Surplus, Surplus]:
    """The words that the left text of each pair has more often, and those that the right one has more often."""
    left, right, _ = trimmed(left, right)
    keys = np.concatenate([_marked_words(left), _marked_words(right) | _ONE])
    keys.sort()
    starts, counts = runs(keys)
    keys = keys[starts]
    first, num = runs(keys >> _ONE)
    word, is_right = keys[first] >> _ONE, (keys[first] & _ONE).astype(np.bool_)
    num_left = np.where(is_right, 0, counts[first])
    num_right = np.where(is_right, counts[first], 0)
    num_right[num == 2] = counts[first[num == 2] + 1]
    return _surplus(word, num_left - num_right), _surplus(word, num_right - num_left)


def same_words(left: Ragged, right: Ragged) -> Flags:
    """Whether the texts of a pair have the same words, each as often, in whatever order. [pairs]"""
    is_same: Flags = left.counts == right.counts
    is_same[surpluses(left, right)[0].pair] = False
    return is_same


def shingle_similarity(left: Ragged, right: Ragged, width: int) -> NDArray[np.float64]:
    """Jaccard similarity of the sets of runs of `width` words of each pair of rows; 0 where there are none. [pairs]"""
    num_pairs = len(left.counts)
    packed = np.concatenate([_runs_of_pairs(left, width), _runs_of_pairs(right, width) | _ONE])
    packed.sort()
    packed = packed[np.append(True, packed[1:] != packed[:-1])[: len(packed)]]
    keys = packed >> _ONE
    starts, counts = runs(keys)
    pair = (keys[starts] >> _HASH_BITS).astype(np.int64)
    union = np.bincount(pair, minlength=num_pairs)
    both = np.bincount(pair[counts == 2], minlength=num_pairs)
    similarity: NDArray[np.float64] = both / np.maximum(union, 1)
    return similarity


def pair_words(pair: Counts, words: Codes) -> Unsigned:
    """The number of a pair and a word's code in one number."""
    found: Unsigned = (pair.astype(np.uint64) << np.uint64(32)) | words
    return found


def _cut(left: Ragged, right: Ragged, before: Counts, behind: Counts) -> Trimmed:
    cut = [Ragged(text.values, text.starts + before, text.counts - before - behind) for text in (left, right)]
    return Trimmed(pick(cut[0], slice(None)), pick(cut[1], slice(None)), before)


def _differences(
    left: Ragged, right: Ragged, left_starts: Counts, right_starts: Counts, counts: Counts
) -> tuple[Counts, Counts]:
    """Of the `counts` words from these starts on, the first place that differs (or counts) and the last (or -1)."""
    differ = left.values[places(left_starts, counts)] != right.values[places(right_starts, counts)]
    at = np.flatnonzero(differ)
    row = owners(counts)[at]
    starts, lengths = runs(row)
    first, last = counts.copy(), np.full(len(counts), -1)
    begin = offsets(counts)[row[starts]]
    first[row[starts]] = at[starts] - begin
    last[row[starts]] = at[starts + lengths - 1] - begin
    return first, last


def _surplus(words: Unsigned, more: Counts) -> Surplus:
    at = np.flatnonzero(more > 0)
    found = words[at]
    return Surplus((found >> np.uint64(32)).astype(np.int64), found.astype(np.uint32), more[at])


def _marked_words(words: Ragged) -> Unsigned:
    """Number of the pair, word, and a lowest bit that is 0."""
    return pair_words(owners(words.counts), words.values) << _ONE


def _runs_of_pairs(words: Ragged, width: int) -> Unsigned:
    """Number of the pair, hash, and a lowest bit that is 0, for each run of words."""
    assert len(words.counts) <= MOST_PAIRS
    counts = np.maximum(words.counts - width + 1, 0)
    hashes = gram_hashes(spread(words.values), width, seed=0)[places(words.starts, counts)]
    pair = owners(counts).astype(np.uint64)
    found: Unsigned = (pair << (_HASH_BITS + _ONE)) | ((hashes >> (_PAIR_BITS + _ONE)) << _ONE)
    return found


def _matrix(words: Ragged, rows: Counts, width: int, blank: np.uint32, before: int, behind: int) -> NDArray[np.uint32]:
    """Some rows in a rectangle, `before` blanks before each and at least `behind` behind."""
    across = before + width + behind
    matrix = np.full(len(rows) * across, blank, dtype=np.uint32)
    counts = words.counts[rows]
    matrix[places(np.arange(len(rows)) * across + before, counts)] = words.values[places(words.starts[rows], counts)]
    return matrix.reshape(len(rows), across)


def _edits(left: NDArray[np.uint32], right: NDArray[np.uint32], num_left: Counts, num_right: Counts, most: int) -> Any:
    width = left.shape[1] - most
    column = np.arange(width, dtype=np.int16)
    row = np.arange(len(left))
    next_difference = []
    for diagonal in range(2 * most + 1):
        differs = left[:, :width] != right[:, diagonal : diagonal + width]
        place = np.where(differs, column, np.int16(width))
        next_difference.append(np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1])
    # reached[d]: how far into the left text, on the diagonal where the right text is at that place + d - most.
    nowhere = np.full(len(left), -1)
    reached = [nowhere] * (2 * most + 1)
    reached[most] = next_difference[most][:, 0].astype(np.int64)
    goal = num_right - num_left + most
    found = np.where((goal == most) & (reached[most] >= num_left), 0, most + 1)
    for count in range(1, most + 1):
        before = [nowhere, *reached, nowhere]
        for diagonal in range(2 * most + 1):
            replaced, deleted, inserted = before[diagonal + 1] + 1, before[diagonal + 2] + 1, before[diagonal]
            replaced[before[diagonal + 1] < 0] = -1
            deleted[before[diagonal + 2] < 0] = -1
            place = np.maximum(np.maximum(replaced, deleted), inserted)
            is_there = (place >= 0) & (place <= num_left) & (place + diagonal - most <= num_right)
            further = next_difference[diagonal][row, np.where(is_there, place, 0)].astype(np.int64)
            reached[diagonal] = np.where(is_there, further, -1)
            arrived = (goal == diagonal) & (reached[diagonal] >= num_left)
            found[arrived & (found > count)] = count
    return found
