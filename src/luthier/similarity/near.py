"""Near-duplicates and conflicts among any number of rows, each verified, and the groups that they form.

Two rows are near-duplicates if prompt and answer are both near, their numbers, negations, signs and options are the
same, and what differs is not what a template leaves open. They conflict if only the prompts are near, or if what must
be equal besides (tools, tests, roles) is not: rows that ask the same and must not become one.

A text is near another if at most three words were inserted, deleted or replaced, and these are few of its words; or if
it is long and the Jaccard similarity of their 5-word shingles is as high as asked for. In answers of a few words each
word may be the answer, so these may differ in function words alone. Where the answer is a label that many rows have,
prompts must be nearer, unless what differs is plainly an edit of their template's frame; where it is long and almost
nobody else's, they may be further apart. Where it is short, another content word in the question makes another
question; rows of the same words must then have the same case and punctuation too, or they conflict. Where a true
near-duplicate and another question look the same, the rows stay apart: precision goes before recall.

    words, ragged   texts -> codes of words; hashes of runs of them
    sketch          what is kept of a row
    sharing         candidates: rows that share rare runs of words
    frames, slots   templates, and whether two prompts differ in what theirs leaves open
    alike, judging  candidates -> verdicts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.frames import Frames
from luthier.similarity.judging import LABEL_ROWS, Facts, judge, similarity
from luthier.similarity.ragged import Counts, Flags, Unsigned, mixed, run_hashes, runs, slices, spread
from luthier.similarity.sharing import ANSWERS, PROMPTS, Shared, row_bits, shared
from luthier.similarity.sketch import NearText, Rows, Sketches, let_go
from luthier.similarity.slots import Asked, SlotFacts, differ_in_slots

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
    """[P]: "near", or "conflict" where prompts are near and the rows may not become one."""
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
    equal = _Equal.of(facts)
    live = np.flatnonzero(equal.words == np.arange(len(rows)))
    _label(facts, equal.words)
    found = [shared(rows, live, family, jaccard=jaccard) for family in PROMPTS]
    # A row whose prompt has led to all that may be near needs no second look by its answer.
    rest = live[~(found[0].is_complete | found[1].is_complete)[live]]
    found.extend([shared(rows, rest, family, jaccard=jaccard) for family in ANSWERS])
    candidates, is_rare = _candidates(found, equal.pairs(), row_bits(rows))
    again = np.flatnonzero(equal.form != np.arange(len(rows)))
    if say is not None:
        say(f"near-duplicates: {len(again):,} repeated rows, {len(candidates):,} pairs to compare")
    weights = facts.lengths[:, candidates].sum(axis=(0, 2))
    # An empty part too: without any candidate there are still the fields, without any row.
    some_of = [*slices(weights, _JUDGED_WORDS), slice(0, 0)]
    judged = [judge(rows, facts, candidates[some], is_rare[some], jaccard=jaccard) for some in some_of]
    fields = [np.concatenate(field) for field in zip(*judged, strict=True)]
    pairs, is_near, is_told, is_edited, is_weak, related = fields
    changed = np.flatnonzero(~is_told & (facts.texts[0, pairs[:, 0]] != facts.texts[0, pairs[:, 1]]))
    family = _groups(len(rows), related)
    frames = Frames(np.concatenate([some.frames for some in found]), row_bits(rows))
    stays = np.ones(len(pairs), dtype=np.bool_)
    asked = Asked(pairs[changed], is_edited[changed], is_weak[changed])
    stays[changed] = ~differ_in_slots(rows, live, frames, asked, SlotFacts(facts.is_labelled, family))
    pairs, is_near = pairs[stays], is_near[stays]
    alike = similarity(rows, facts, 0, pairs)
    alike[is_near] = np.minimum(alike[is_near], similarity(rows, facts, 1, pairs[is_near]))
    pairs = np.concatenate([np.stack([equal.form[again], again], axis=1), pairs])
    alike = np.concatenate([np.ones(len(again)), alike])
    is_near = np.concatenate([np.ones(len(again), dtype=np.bool_), is_near])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    group = _groups(len(rows), pairs[is_near])
    let_go()
    if say is not None:
        say(f"near-duplicates: {int(is_near.sum()):,} near pairs, {int((~is_near).sum()):,} conflicts")
    return NearFound(pairs[order], alike[order], np.where(is_near[order], "near", "conflict"), group)


class _Equal(NamedTuple):
    """For each row the first that is equal to it in some way. [rows]"""

    words: Counts
    """In the words of prompt and answer, and the options."""
    fixed: Counts
    """In what must be equal besides too."""
    form: Counts
    """In case, punctuation and indentation too, as far as these may matter: the two are one row."""

    @classmethod
    def of(cls, facts: Facts) -> _Equal:
        """By hashes of all of this."""
        words = mixed(mixed(facts.texts[0]) + mixed(mixed(facts.texts[1]) + facts.options))
        fixed = mixed(words + mixed(facts.fixed))
        return cls(*map(_first, (words, fixed, mixed(fixed + mixed(mixed(facts.forms[0]) + facts.forms[1])))))

    def pairs(self) -> Counts:
        """[P, 2]: rows of the same words that are not the same row, each with the first that is like it."""
        number = np.arange(len(self.form))
        alone = self.form == number
        first = np.where(self.fixed == number, self.words, self.fixed)
        rows = np.flatnonzero(alone & (first != number))
        return np.stack([first[rows], rows], axis=1)


def _first(keys: Unsigned) -> Counts:
    """For each key the place of the first that is equal."""
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    found: Counts = first[place]
    return found


def _candidates(found: Sequence[Shared], equal: Counts, bits: int) -> tuple[Counts, Flags]:
    """All candidates once, in order, and whether any family of runs says that they share something rare."""
    pairs, is_rare = (np.concatenate([some[field] for some in found]) for field in (0, 1))
    pairs, is_rare = np.concatenate([pairs, equal]), np.append(is_rare, np.ones(len(equal), dtype=np.bool_))
    packed = np.sort((pairs[:, 0] << bits | pairs[:, 1]) << 1 | is_rare)
    starts, counts = runs(packed >> 1)
    last = packed[starts + counts - 1]
    return np.stack([last >> (bits + 1), last >> 1 & ((1 << bits) - 1)], axis=1), (last & 1).astype(np.bool_)


def _facts(rows: Rows) -> Facts:
    lengths = np.zeros((2, len(rows)), dtype=np.int64)
    texts, strict, forms = (np.zeros((2, len(rows)), dtype=np.uint64) for _ in range(3))
    for number, part in enumerate(rows.parts):
        if not len(part):
            continue
        forms[:, int(rows.first[number]) : int(rows.first[number + 1])] = _by_side(part.forms)
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
    none = np.zeros(0, dtype=np.uint64)
    options = np.concatenate([none, *(part.options for part in rows.parts)])
    fixed = np.concatenate([none, *(part.fixed for part in rows.parts)])
    questions = np.concatenate([np.zeros((0, 2), dtype=np.int32), *(part.questions for part in rows.parts)])
    return Facts(lengths, texts, strict, options, fixed, forms, questions, np.zeros(len(rows), dtype=np.bool_))


def _by_side(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, 2).T


def _label(facts: Facts, first: Counts) -> None:
    """Mark the answers of many rows; rows of the same words count once."""
    live = np.flatnonzero(first == np.arange(len(first)))
    _, place, counts = np.unique(facts.texts[1, live], return_inverse=True, return_counts=True)
    # No answer at all is no label: prompts alone are compared then.
    facts.is_labelled[live] = (counts >= LABEL_ROWS)[place] & (facts.lengths[1, live] > 0)
    facts.is_labelled[:] = facts.is_labelled[first]


def _groups(num_rows: int, pairs: Counts) -> Counts:
    """The smallest row number that pairs link to each row."""
    group = np.arange(num_rows)
    left, right = pairs[:, 0], pairs[:, 1]
    while len(left):
        # Each entry names the smallest row of its group so far: of two groups, the greater number takes the smaller's.
        two = group[left], group[right]
        np.minimum.at(group, np.maximum(*two), np.minimum(*two))
        while not np.array_equal(group, further := group[group]):
            group = further
        apart: Flags = group[left] != group[right]
        left, right = left[apart], right[apart]
    return group
