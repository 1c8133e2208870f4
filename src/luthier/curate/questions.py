"""The questions of evaluation files, for the search of rows that hold one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from luthier.curate.mapping import asked
from luthier.curate.rows import converted_rows, no_usable_row
from luthier.records import Example
from luthier.similarity.containment import GRAM_WORDS, QuestionIndex

TEMPLATE_QUESTIONS = 10
"""A run of words that more questions have is the text of a template: that a row has it too shows nothing."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What some evaluation files ask."""

    index: QuestionIndex
    counts: Mapping[str, int]
    """How many questions each file has."""


def read_questions(files: Sequence[Path], *, columns: Mapping[str, str]) -> Questions:
    """The questions of files of any recognised shape: what their users say. DataError when no row can be used."""
    found: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    for path in files:
        problems = []
        for row, converted in converted_rows(path, columns=columns):
            if converted.fault is not None:
                problems.append(converted.fault.problem)
            records = [record for record in converted.records if isinstance(record, Example)]
            found += [(row.where, asked(record)) for record in records]
            counts[str(path)] += len(records)
        if not counts[str(path)]:
            raise no_usable_row(problems)
    return Questions(without_templates(QuestionIndex.of(found)), dict(counts))


def without_templates(index: QuestionIndex, *, most: int = TEMPLATE_QUESTIONS) -> QuestionIndex:
    """The index without the runs of words that more than `most` questions have.

    The words of a question are then those that lie in a run of its own, so a row of the same template holds none of it,
    and a row with the same slots all of it.
    """
    is_own = index.counts <= most
    own = np.repeat(is_own, index.counts)
    is_long = index.num_words[index.questions] >= GRAM_WORDS
    at = np.flatnonzero(own & is_long)
    ends = np.cumsum(index.num_words)
    starts = ends - index.num_words
    depth = np.zeros(int(ends[-1]) + GRAM_WORDS + 1 if len(ends) else 1, np.int64)
    first = starts[index.questions[at]] + index.positions[at]
    np.add.at(depth, first, 1)
    np.add.at(depth, first + GRAM_WORDS, -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(depth) > 0)])
    num_words = np.where(index.num_words >= GRAM_WORDS, covered[ends] - covered[starts], index.num_words)
    # A question of template text alone keeps its length: it has no run left to be found by.
    num_words = np.where(num_words > 0, num_words, index.num_words)
    return replace(
        index, num_words=num_words, keys=index.keys[is_own], starts=index.starts[is_own], counts=index.counts[is_own]
    )  # fmt: skip
