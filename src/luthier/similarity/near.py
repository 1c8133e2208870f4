"""Near-duplicates and conflicts among any number of rows, each verified, and the groups that they form.

Two rows are near-duplicates if prompt and answer are both near, their numbers, negations, signs and options are the
same, and what differs is not what a template leaves open. They conflict if only the prompts are near.

A text is near another if at most three words were inserted, deleted or replaced (one in four of a prompt's words, one in
eight of an answer's at most), or if the Jaccard similarity of their 5-word shingles is as high as asked for. Shorter
answers may differ in function words alone.

    words, ragged   texts -> codes of words; hashes of runs of them
    sketch          what is kept of a row
    sharing         candidates: rows that share rare runs of words
    frames          templates and their slots
    alike, judging  candidates -> verdicts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.frames import Frames, SlotFacts, differ_in_slots
from luthier.similarity.judging import LABEL_ROWS, Facts, judge, similarity
from luthier.similarity.ragged import Counts, Flags, Unsigned, mixed, run_hashes, runs, slices, spread
from luthier.similarity.sharing import ANSWERS, PROMPTS, row_bits, shared
from luthier.similarity.sketch import NearText, Rows, Sketches

__all__ = ["NearFound", "NearText", "Sketches", "Verdict", "near_duplicates"]

Verdict = Literal["near", "conflict"]
_BLOCK_WORDS = 1 << 16
_JUDGED_WORDS = 1 << 20


@dataclass(frozen=True, slots=True)
class NearFound:
    """What `near_duplicates` found among N rows. Row numbers run over all parts."""

    pairs: NDArray[np.int64]
    """[P, 2]: two rows, the smaller number first, sorted. Of rows with the same words, each with the first of them."""
    similarity: NDArray[np.float64]
    """[P]: of prompts, and of near-duplicates also of answers, the lower: Jaccard similarity of 5-word shingles, or of
    texts under 25 words the share of words that stay."""
    verdict: NDArray[np.str_]
    """[P]: "near", or "conflict" where prompts are near and answers are not."""
    group: NDArray[np.int64]
    """[N]: the smallest row number among all rows that near pairs link to this one; its own, if there are none."""


def near_duplicates(
    parts: Sequence[Sketches], *, jaccard: float = 0.7, say: Callable[[str], None] | None = None
) -> NearFound:
    """Near-duplicates and conflicts among the rows of all parts; the same however the rows are parted.

    `jaccard`: from what similarity long texts are near, above 0 and at most 1.
    """
    assert 0 < jaccard <= 1, jaccard
    rows = Rows.of(parts)
    facts = _facts(rows)
    first = _first_equal(facts, len(rows))
    live = np.flatnonzero(first == np.arange(len(rows)))
    _label(facts, live)
    found = [shared(rows, live, family, jaccard=jaccard) for family in (*PROMPTS, *ANSWERS)]
    candidates = _distinct(np.concatenate([some.pairs for some in found]), row_bits(rows))
    if say is not None:
        say(f"near-duplicates: {len(rows) - len(live):,} repeated rows, {len(candidates):,} pairs to compare")
    weights = facts.lengths[:, candidates].sum(axis=(0, 2))
    judged = [judge(rows, facts, candidates[some], jaccard=jaccard) for some in slices(weights, _JUDGED_WORDS)]
    pairs = np.concatenate([candidates[:0], *(some.pairs for some in judged)])
    is_near = np.concatenate([np.zeros(0, dtype=np.bool_), *(some.is_near for some in judged)])
    is_told = np.concatenate([np.zeros(0, dtype=np.bool_), *(some.is_told for some in judged)])
    is_edited = np.concatenate([np.zeros(0, dtype=np.bool_), *(some.is_edited for some in judged)])
    changed = np.flatnonzero(~is_told & (facts.texts[0, pairs[:, 0]] != facts.texts[0, pairs[:, 1]]))
    family = _groups(len(rows), np.concatenate([candidates[:0], *(some.related for some in judged)]))
    frames = Frames(np.concatenate([some.frames for some in found]), row_bits(rows))
    stays = np.ones(len(pairs), dtype=np.bool_)
    stays[changed] = ~differ_in_slots(rows, live, frames, pairs[changed], is_edited[changed], SlotFacts(facts.is_labelled, family))
    pairs, is_near = pairs[stays], is_near[stays]
    alike = similarity(rows, facts, 0, pairs)
    alike[is_near] = np.minimum(alike[is_near], similarity(rows, facts, 1, pairs[is_near]))
    again = np.flatnonzero(first != np.arange(len(rows)))
    pairs = np.concatenate([np.stack([first[again], again], axis=1), pairs])
    alike = np.concatenate([np.ones(len(again)), alike])
    is_near = np.concatenate([np.ones(len(again), dtype=np.bool_), is_near])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    group = _groups(len(rows), pairs[is_near])
    if say is not None:
        say(f"near-duplicates: {int(is_near.sum()):,} near pairs, {int((~is_near).sum()):,} conflicts")
    return NearFound(pairs[order], alike[order], np.where(is_near[order], "near", "conflict"), group)


def _distinct(pairs: Counts, bits: int) -> Counts:
    packed = np.sort(pairs[:, 0] << bits | pairs[:, 1])
    packed = packed[runs(packed)[0]]
    return np.stack([packed >> bits, packed & ((1 << bits) - 1)], axis=1)


def _facts(rows: Rows) -> Facts:
    lengths = np.zeros((2, len(rows)), dtype=np.int64)
    texts, strict = np.zeros((2, len(rows)), dtype=np.uint64), np.zeros((2, len(rows)), dtype=np.uint64)
    for number, part in enumerate(rows.parts):
        if not len(part):
            continue
        starts = np.concatenate(([0], part.ends[:-1]))
        counts = part.ends - starts
        for block in slices(counts[::2] + counts[1::2], _BLOCK_WORDS):
            sides = slice(2 * block.start, 2 * block.stop)
            low, high = int(starts[sides.start]), int(part.ends[sides.stop - 1])
            codes = part.words[low:high]
            start, end = starts[sides] - low, part.ends[sides] - low
            is_strict = (codes & np.uint32(1)).astype(np.bool_)
            kept = np.concatenate(([0], np.cumsum(is_strict)))
            at = slice(int(rows.first[number]) + block.start, int(rows.first[number]) + block.stop)
            lengths[:, at] = _by_side(counts[sides])
            texts[:, at] = _by_side(run_hashes(spread(codes), start, end))
            strict[:, at] = _by_side(run_hashes(spread(codes[is_strict]), kept[start], kept[end]))
    options = np.concatenate([np.zeros(0, dtype=np.uint64), *(part.options for part in rows.parts)])
    return Facts(lengths, texts, strict, options, np.zeros(len(rows), dtype=np.bool_))


def _by_side(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, 2).T


def _first_equal(facts: Facts, num_rows: int) -> Counts:
    """For each row the first with the same words in prompt, answer and options."""
    keys = mixed(facts.texts[0]) + mixed(mixed(facts.texts[1]) + facts.options)
    _, first, place = np.unique(mixed(keys), return_index=True, return_inverse=True)
    return first[place] if num_rows else np.zeros(0, dtype=np.int64)


def _label(facts: Facts, live: Counts) -> None:
    answers, place, counts = np.unique(facts.texts[1, live], return_inverse=True, return_counts=True)
    facts.is_labelled[live] = (counts >= LABEL_ROWS)[place] if len(answers) else False


def _groups(num_rows: int, pairs: Counts) -> Counts:
    """The smallest row number that pairs link to each row: each takes over the smaller number until none changes."""
    group = np.arange(num_rows)
    left, right = pairs[:, 0], pairs[:, 1]
    while len(left):
        low = np.minimum(group[left], group[right])
        for side in (left, right):
            np.minimum.at(group, group[side], low)
            np.minimum.at(group, side, low)
        group = group[group]
        apart: Flags = group[left] != group[right]
        left, right = left[apart], right[apart]
    while not np.array_equal(group, group[group]):
        group = group[group]
    return group
