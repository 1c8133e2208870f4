"""How many words two parts share: for the certificate of a split, over all rows at once.

A row counts if more than half of the words of its prompt lie in runs of eight words that prompts of the other part
have, in whichever rows. That is wider than the rule for leaks, which asks for one row: what a template or a passage
puts into both parts counts here, so this is a number to know, not one that must be zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from luthier.curate.gathered import Gathered
from luthier.curate.split import APART
from luthier.similarity.near import Sketches
from luthier.similarity.ragged import Known, gram_hashes, owners, places, spread

GRAM_WORDS = 8
ENOUGH = 0.5
_SEED = 29


class _Grams(NamedTuple):
    """The runs of eight words in the prompts of some records of one shard."""

    hashes: np.ndarray
    at: np.ndarray
    """The word that each begins at, all prompts end to end."""
    num_words: np.ndarray
    """Of each prompt."""


def shared_words(table: Gathered, goes_to: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """For each two parts that must be apart, how many rows of the second share most of their words with the first.

    `goes_to` [N] is a number in `names` of each record, or a larger one for those that go nowhere.
    """
    targets = {b: list(_grams(table, goes_to == names.index(b))) for b in dict.fromkeys(b for _, b in APART)}
    asked = [grams.hashes for own in targets.values() for grams in own]
    known = Known(np.unique(np.concatenate([np.zeros(0, np.uint64), *asked])))
    found: dict[str, int] = {}
    for source in dict.fromkeys(a for a, _ in APART):  # each part's runs are made once, whatever it is held against
        is_shared = _among(known, _grams(table, goes_to == names.index(source)))
        found |= {
            f"{a}/{b}": sum(_count(grams, known, is_shared) for grams in targets[b]) for a, b in APART if a == source
        }
    return {f"{a}/{b}": found[f"{a}/{b}"] for a, b in APART}


def _grams(table: Gathered, mask: np.ndarray) -> Iterator[_Grams]:
    for start, shard in zip(table.starts.tolist(), table.shards, strict=False):
        rows = np.flatnonzero(mask[start : start + len(shard.rows)])
        sketches = Sketches.open(shard.folder / "near")
        starts = np.where(rows > 0, sketches.ends[np.maximum(2 * rows - 1, 0)], 0)
        counts = sketches.ends[2 * rows] - starts
        # The lowest bit of a word says how it may differ, which makes no odds here.
        hashes = gram_hashes(spread(sketches.words[places(starts, counts)] >> 1), GRAM_WORDS, seed=_SEED)
        owner = owners(counts)
        at = np.flatnonzero(owner[: len(hashes)] == owner[GRAM_WORDS - 1 :])  # within one prompt
        yield _Grams(hashes[at], at, counts)


def _among(known: Known, others: Iterator[_Grams]) -> np.ndarray:
    """Which of the known runs the others have, [len(known.hashes)] bool."""
    found = np.zeros(len(known.hashes), bool)
    for grams in others:
        found[known.found(grams.hashes)[1]] = True
    return found


def _count(grams: _Grams, known: Known, is_shared: np.ndarray) -> int:
    """How many prompts, whose runs are all known, have more than half of their words in shared runs."""
    at = grams.at[is_shared[known.found(grams.hashes)[1]]]
    depth = np.zeros(int(grams.num_words.sum()) + GRAM_WORDS + 1, np.int64)
    np.add.at(depth, at, 1)
    np.add.at(depth, at + GRAM_WORDS, -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(depth) > 0)])
    ends = np.cumsum(grams.num_words)
    return int((covered[ends] - covered[ends - grams.num_words] > ENOUGH * grams.num_words).sum())
