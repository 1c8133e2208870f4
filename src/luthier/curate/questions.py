"""The questions of evaluation files, for the search of rows that hold one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.curate.mapping import asked
from luthier.curate.rows import converted_rows, no_usable_row
from luthier.records import Example
from luthier.similarity.containment import QuestionIndex


@dataclass(frozen=True, slots=True)
class Questions:
    """What some evaluation files ask."""

    index: QuestionIndex
    counts: Mapping[str, int]
    """How many questions each file has."""


def read_questions(files: Sequence[Path], *, columns: Mapping[str, str]) -> Questions:
    """The questions of files of any recognised shape: what their users say. DataError when no row can be used.

    Take files from `data_files`. A question has the name of its place; the second of a row is "file:line#2".
    """
    found: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    for path in files:
        problems = []
        for row, converted in converted_rows(path, columns=columns):
            if converted.fault is not None:
                problems.append(converted.fault.problem)
            for part, record in enumerate(converted.records, start=1):
                if isinstance(record, Example):
                    found.append((row.where if part == 1 else f"{row.where}#{part}", asked(record)))
                    counts[str(path)] += 1
        if not counts[str(path)]:
            raise no_usable_row(problems)
    return Questions(QuestionIndex.of(found).without_templates(), dict(counts))
