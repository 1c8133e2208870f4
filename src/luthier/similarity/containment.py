"""Evaluation questions that stand in training rows.

The rule of Tulu 3 (arXiv:2411.15124, section 3.2): a word of a question is matched if it lies in a run of eight words
that the row has too; a row holds the question if more than half of its words are matched. A question of fewer words
counts only whole: as a run of the row's words or, below four words, as all of them.

Where questions are made from a template, its words show nothing: `without_templates` takes away the runs that many
different questions have, and a question is then known by the words that lie in runs of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from luthier.similarity.ragged import (
    Counts,
    Known,
    Unsigned,
    gram_hashes,
    mixed,
    offsets,
    owners,
    places,
    run_hashes,
    runs,
    slices,
    spread,
)
from luthier.similarity.words import word_codes, words_of

GRAM_WORDS = 8
"""Words of a run that question and row must share."""
ENOUGH = 0.5
"""A question is held by a row that matches more than this share of its words."""
RUN_WORDS = 4
"""A shorter question counts only where it is all that a row asks: as a part it is too common to tell a leak."""
TEMPLATE_QUESTIONS = 10
"""A run of words that more questions have is the text of a template: that a row has it too shows nothing."""
_BATCH_WORDS = 1 << 20
_SEED = 11


class Match(NamedTuple):
    """A question that a text holds."""

    name: str
    """The question's, "gsm8k/test.jsonl:12": of several of the same words in one file, the first's."""
    share: float
    """Of the question's words, how many are matched: above `ENOUGH`, at most 1."""
    text: str
    """The longest run of matched words, as it stands in the text."""
    copies: int = 1
    """How many questions of the file have these words."""


class _Found(NamedTuple):
    """A run of a text's words that a question has too: number of the text, of the question, and where it starts."""

    text: Counts
    question: Counts
    at_text: Counts
    at_question: Counts


@dataclass(frozen=True, slots=True)
class QuestionIndex:
    """The words of evaluation questions, by the runs that they are found by. Made by `of`; can be pickled."""

    names: tuple[str, ...]
    """Of each question; those of the same words in one file are one question."""
    copies: Counts
    """Of each question: how many there were."""
    num_words: Counts
    """Of each question: how many of its words are looked for."""
    same_as: Counts
    """For each question a number that is equal for those of the same words."""
    keys: Unsigned
    """Hashes of the runs, sorted, each once."""
    starts: Counts
    """Where the places of each key begin in the two arrays after this one."""
    counts: Counts
    questions: Counts
    positions: Counts
    """The word of the question at which the run begins."""
    widths: tuple[int, ...]
    """The lengths in words of the short questions that are looked for as a run."""

    @classmethod
    def of(cls, questions: Sequence[tuple[str, str]]) -> QuestionIndex:
        """The index of questions, each with its name, "FILE:LINE". One without words is never found."""
        values, num_words = _words([text for _, text in questions])
        first, copies = _distinct([name.rpartition(":")[0] for name, _ in questions], values, num_words)
        values = values[places(offsets(num_words)[first], num_words[first])]
        num_words = num_words[first]
        keys, owner, position = [], [], []
        for width in (GRAM_WORDS, *range(1, GRAM_WORDS)):
            hashes, number, place = _grams(values, num_words, width)
            wanted = num_words[number] >= GRAM_WORDS if width == GRAM_WORDS else num_words[number] == width
            keys.append(hashes[wanted])
            owner.append(number[wanted])
            position.append(place[wanted])
        every = np.concatenate(keys)
        order = np.argsort(every, kind="stable")
        starts, counts = runs(every[order])
        ends = np.cumsum(num_words)
        _, same_as = np.unique(run_hashes(values, ends - num_words, ends), return_inverse=True)
        short = num_words[(num_words < GRAM_WORDS) & (num_words > 0)]
        return cls(
            names=tuple(questions[i][0] for i in first), copies=copies, num_words=num_words, same_as=same_as,
            keys=every[order][starts], starts=starts, counts=counts, questions=np.concatenate(owner)[order],
            positions=np.concatenate(position)[order], widths=tuple(np.unique(short).tolist()),
        )  # fmt: skip

    def without_templates(self, *, most: int = TEMPLATE_QUESTIONS) -> QuestionIndex:
        """The index without the runs of words that more than `most` questions have; a repeated question counts once.

        The words of a question are then those that lie in a run of its own, so a row of the same template holds none of
        it, and a row with the same slots all of it. A question of template text alone is found no more.
        """
        is_own = self._different_questions() <= most
        is_long = self.num_words[self.questions] >= GRAM_WORDS
        at = np.flatnonzero(np.repeat(is_own, self.counts) & is_long)
        starts = offsets(self.num_words)
        own = _in_runs(starts[self.questions[at]] + self.positions[at], self.num_words)
        # A question without a run of its own keeps its length: it has no run left to be found by.
        num_words = np.where((self.num_words >= GRAM_WORDS) & (own > 0), own, self.num_words)
        return replace(
            self, num_words=num_words, keys=self.keys[is_own], starts=self.starts[is_own], counts=self.counts[is_own]
        )  # fmt: skip

    def matches(self, text: str) -> list[Match]:
        """The questions that a text holds, the best matched first."""
        return self.matches_of([text])[0]

    def matches_of(self, texts: Sequence[str]) -> list[list[Match]]:
        """The questions that each text holds, the best matched first; those matched equally in their own order."""
        found: list[list[Match]] = [[] for _ in texts]
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        known = Known(self.keys)  # a table that takes long to fill: once for all texts
        for part in slices(sizes, 8 * _BATCH_WORDS):
            for number, match in self._batch(texts[part], known):
                found[part.start + number].append(match)
        return [sorted(matches, key=lambda match: -match.share) for matches in found]

    def _different_questions(self) -> Counts:
        """How many questions have each run, those of the same words counted once. [keys]"""
        key = np.repeat(np.arange(len(self.keys)), self.counts)
        num = max(len(self.names), 1)
        pairs = np.unique(key * num + self.same_as[self.questions])
        return np.bincount(pairs // num, minlength=len(self.keys))

    def _batch(self, texts: Sequence[str], known: Known) -> Iterator[tuple[int, Match]]:
        values, num_words = _words(texts)
        width = np.where(self.num_words < GRAM_WORDS, self.num_words, GRAM_WORDS)
        for hit in self._pairs(values, num_words, known):
            text, question = int(hit.text[0]), int(hit.question[0])
            size = int(self.num_words[question])
            share = _covered(hit.at_question, int(width[question])) / size
            if share > ENOUGH:
                begin, end = _longest(hit.at_text, int(width[question]))
                words = words_of(texts[text])
                # As many words as codes, but for a text of nothing but signs, which is one word as it stands.
                shown = texts[text][words[begin][1] : words[end - 1][2]] if words else texts[text]
                yield text, Match(self.names[question], share, shown, int(self.copies[question]))

    def _pairs(self, values: Unsigned, num_words: Counts, known: Known) -> Iterator[_Found]:
        """For each pair of a text and a question all runs that they share."""
        parts = [self._hits(values, num_words, width, known) for width in (GRAM_WORDS, *self.widths)]
        every = _Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        order = np.lexsort((every.at_text, every.question, every.text))
        every = _Found(*(column[order] for column in every))
        for start, count in zip(*runs(every.text * max(len(self.names), 1) + every.question), strict=True):
            yield _Found(*(column[start : start + count] for column in every))

    def _hits(self, values: Unsigned, num_words: Counts, width: int, known: Known) -> _Found:
        hashes, text, place = _grams(values, num_words, width)
        here = np.flatnonzero(known.has(hashes))
        if width < RUN_WORDS:
            here = here[num_words[text[here]] == width]
        key = np.searchsorted(self.keys, hashes[here])
        at = places(self.starts[key], self.counts[key])
        repeated = np.repeat(here, self.counts[key])
        return _Found(text[repeated], self.questions[at], place[repeated], self.positions[at])


def _words(texts: Sequence[str]) -> tuple[Unsigned, Counts]:
    """The words of all texts as numbers, end to end, and how many each has; how strict a word is makes no odds."""
    words = word_codes(texts)
    return spread(words.codes >> 1), np.diff(words.ends, prepend=0)


def _distinct(files: Sequence[str], values: Unsigned, num_words: Counts) -> tuple[Counts, Counts]:
    """Of questions of the same words in one file the first, in their order, and how many each stands for."""
    ends = np.cumsum(num_words)
    number = {file: place for place, file in enumerate(dict.fromkeys(files))}
    hashes = run_hashes(values, ends - num_words, ends)
    keys = mixed(hashes) + np.array([number[file] for file in files], dtype=np.uint64)
    _, first, copies = np.unique(mixed(keys), return_index=True, return_counts=True)
    order = np.argsort(first)
    return first[order], copies[order]


def _grams(values: Unsigned, num_words: Counts, width: int) -> tuple[Unsigned, Counts, Counts]:
    """Hash, text and place within the text of each run of `width` words; hashes of different widths differ."""
    hashes = gram_hashes(values, width, seed=_SEED + width)
    text = owners(num_words)
    place = np.arange(len(values)) - offsets(num_words)[text]
    inside = np.flatnonzero(place[: len(hashes)] + width <= num_words[text[: len(hashes)]])
    return hashes[inside], text[inside], place[inside]


def _in_runs(at: Counts, num_words: Counts) -> Counts:
    """How many words of each question lie in the runs of eight that begin at these words of all questions together."""
    depth = np.zeros(int(num_words.sum()) + GRAM_WORDS + 1, dtype=np.int64)
    np.add.at(depth, at, 1)
    np.add.at(depth, at + GRAM_WORDS, -1)
    covered = np.concatenate(([0], np.cumsum(np.cumsum(depth) > 0)))
    ends = np.cumsum(num_words)
    found: Counts = covered[ends] - covered[ends - num_words]
    return found


def _covered(starts: Counts, width: int) -> int:
    """How many words lie in at least one of the runs."""
    ordered = np.unique(starts)
    return int(np.minimum(np.diff(ordered), width).sum()) + width


def _longest(starts: Counts, width: int) -> tuple[int, int]:
    """The longest stretch that the runs cover without a gap: its first word, and the one after its last."""
    ordered = np.unique(starts)
    breaks = np.flatnonzero(np.diff(ordered) > width)
    firsts = ordered[np.concatenate(([0], breaks + 1))]
    lasts = ordered[np.concatenate((breaks, [len(ordered) - 1]))] + width
    best = int(np.argmax(lasts - firsts))
    return int(firsts[best]), int(lasts[best])
