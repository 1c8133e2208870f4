"""How alike the texts of pairs are: Jaccard similarity of their shingles, words that differ, words changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.ragged import Codes, Counts, Flags, Ragged, Unsigned, gram_hashes, mixed, owners, places, runs, slices, spread

_WIDTHS = (16, 32, 64, 128, 256, 512)
_NONE = np.uint32(1)


def shingle_similarity(left: Ragged, right: Ragged, width: int) -> NDArray[np.float64]:
    """Jaccard similarity of the sets of runs of `width` words of each pair of rows; 0 where there are none. [pairs]"""
    num_pairs = len(left.counts)
    packed = np.concatenate([_runs_of_pairs(left, width), _runs_of_pairs(right, width) | np.uint64(1)])
    packed.sort()
    packed = packed[np.append(True, packed[1:] != packed[:-1])[: len(packed)]]
    keys = packed >> np.uint64(1)
    starts, counts = runs(keys)
    pair = (keys[starts] >> _HASH_BITS).astype(np.int64)
    union = np.bincount(pair, minlength=num_pairs)
    both = np.bincount(pair[counts == 2], minlength=num_pairs)
    return both / np.maximum(union, 1)


_HASH_BITS = np.uint64(43)
_PAIR_BITS = np.uint64(20)
MOST_PAIRS = 1 << 20
"""Pairs in one call: a pair's number, a hash and a side fit into 64 bits."""


def _runs_of_pairs(words: Ragged, width: int) -> Unsigned:
    """Number of the pair, hash, and a lowest bit that is 0, for each run of words."""
    counts = np.maximum(words.counts - width + 1, 0)
    hashes = gram_hashes(spread(words.values), width, seed=0)[places(words.starts, counts)]
    pair = owners(counts).astype(np.uint64)
    return (pair << (_HASH_BITS + np.uint64(1))) | ((hashes >> (_PAIR_BITS + np.uint64(1))) << np.uint64(1))


def edits(left: Ragged, right: Ragged, most: int) -> NDArray[np.int64]:
    """Words to insert, delete or replace to make one text of a pair the other; most + 1 where it is more. [pairs]

    Texts of more than 512 words count as "more" without a look: there so few edits leave Jaccard similarity high.
    Furthest-reaching points on the diagonals -most..most (Landau and Vishkin, J. Algorithms 10, 1989), for all pairs
    at once.
    """
    found = np.full(len(left.counts), most + 1)
    longer = np.maximum(left.counts, right.counts)
    is_possible = np.abs(left.counts - right.counts) <= most
    shortest = -1
    for width in _WIDTHS:
        at = np.flatnonzero(is_possible & (shortest < longer) & (longer <= width))
        for part in slices(np.full(len(at), width), _CHUNK_WORDS):
            some = at[part]
            found[some] = _edits(_matrix(left, some, width, _NONE, 0, most + 1),
                                 _matrix(right, some, width, _NONE + np.uint32(1), most, most + 1),
                                 left.counts[some], right.counts[some], most)  # fmt: skip
        shortest = width
    return found


_CHUNK_WORDS = 1 << 17


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


def surplus(left: Ragged, right: Ragged) -> tuple[Counts, NDArray[np.uint32], Counts]:
    """Words that the left text of a pair has more often than the right: pair, word, and how often more; sorted."""
    keys = np.concatenate([_words_of_pairs(left), _words_of_pairs(right) | np.uint64(1)])
    keys.sort()
    starts, counts = runs(keys)
    keys = keys[starts]
    word = keys >> np.uint64(1)
    also_right = np.append(word[1:] == word[:-1], False)[: len(word)]
    more = counts - np.where(also_right, np.append(counts[1:], 0)[: len(counts)], 0)
    at = np.flatnonzero(((keys & np.uint64(1)) == 0) & (more > 0))
    found = word[at]
    return (found >> np.uint64(32)).astype(np.int64), (found & np.uint64(0xFFFFFFFF)).astype(np.uint32), more[at]


def _words_of_pairs(words: Ragged) -> Unsigned:
    pair = owners(words.counts).astype(np.uint64)
    return (pair << np.uint64(33)) | (words.values.astype(np.uint64) << np.uint64(1))


def same_words(left: Ragged, right: Ragged) -> Flags:
    """Whether the texts of a pair have the same words, each as often, in whatever order. [pairs]"""
    is_same = left.counts == right.counts
    is_same[surplus(left, right)[0]] = False
    return is_same


def lacking(left: Ragged, right: Ragged) -> Flags:
    """For each word of the left texts, whether its text has it more often than the right text of the pair."""
    pair, word, _ = surplus(left, right)
    return np.isin(pair_words(owners(left.counts), left.values), pair_words(pair, word))


def pair_words(pair: Counts, words: Codes) -> Unsigned:
    """The number of a pair and a word's code in one number."""
    return (pair.astype(np.uint64) << np.uint64(32)) | words


def lacking_runs(left: Ragged, right: Ragged, width: int) -> Flags:
    """For each place of the left texts, whether the run of words that begins there is not in the right text.

    The texts lie end to end; the last places, where no run of this width begins, say nothing of worth.
    """
    found = []
    for words in (left, right):
        pair = mixed(owners(words.counts).astype(np.uint64))
        hashes = gram_hashes(spread(words.values), width, seed=0)
        found.append(hashes ^ pair[: len(hashes)])
    is_new = np.ones(len(left.values), dtype=np.bool_)
    is_new[: len(found[0])] = ~np.isin(found[0], found[1])
    return is_new
