"""Whether two files are a split without leaks: nothing of the one stands, or nearly stands, in the other.

The files are read as they are, not cleaned. Wherever the split came from, this looks at the rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.comparing import CONTAMINATED
from luthier.curate.duplicates import keys_of
from luthier.curate.files.reading import data_files
from luthier.curate.mapping import answer_of, asked, near_text
from luthier.curate.rows import converted_rows, no_usable_row
from luthier.curate.shapes.making import Record
from luthier.curate.split import connected
from luthier.errors import Problem
from luthier.similarity.containment import QuestionIndex
from luthier.similarity.near import Sketches, near_duplicates

SAME_PROMPT = "the same prompt"
NEAR = "near-duplicate"
NEAR_PROMPT = "near prompt, another answer"
SAME_LINK = "the same link"
HOLDS = "holds the question"
REFUSED_BY = (SAME_PROMPT, NEAR, NEAR_PROMPT, SAME_LINK)
"""One row of the test file for which one of these is found is enough. HOLDS is told and no reason by itself: rows about
one passage hold the most of each other's words, and ask different things."""
SIDES = ("train", "test")
_UNUSABLE = "unusable {}"
SHOWN = 5
SHOWN_CHARACTERS = 160


class Evidence(NamedTuple):
    """A row of the test file that training on a row of the train file would give away."""

    kind: str
    train: str
    test: str
    similarity: float | None
    """As measured between the two; None where it was not: they are near each other through other rows."""
    train_text: str
    test_text: str
    copies: int = 1
    """Rows of the test file that ask this."""


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """What was found between two files."""

    rows: Mapping[str, int]
    """Of train and of test; those that cannot be used, which nobody compared, under "unusable train" and "unusable
    test"."""
    test_rows: Mapping[str, int]
    """How many rows of the test file are given away, by how."""
    largest_similarity: float | None
    """Of those measured between a row of train and one of test, where one was near another."""
    evidence: tuple[Evidence, ...]
    """The first of each kind, the most similar first."""
    problems: tuple[Problem, ...] = ()
    """Of the first unusable rows of each file."""
    is_strict: bool = False
    """Whether one unusable row is enough to refuse the split."""

    @property
    def is_apart(self) -> bool:
        """Whether the split can be trusted."""
        return not self._has_leak and not (self.is_strict and self.num_unusable)

    @property
    def num_unusable(self) -> int:
        """Rows of either file that were not compared."""
        return sum(self.rows[_UNUSABLE.format(name)] for name in SIDES)

    @property
    def _has_leak(self) -> bool:
        return any(self.test_rows[kind] for kind in REFUSED_BY)

    @property
    def is_contaminated(self) -> bool:
        """Whether train holds so many questions of test that a benchmark would count as contaminated."""
        return self.test_rows[HOLDS] > CONTAMINATED * self.rows["test"]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "is_apart": self.is_apart, "is_contaminated": self.is_contaminated, "rows": dict(self.rows),
            "test_rows": dict(self.test_rows), "largest_similarity": self.largest_similarity,
            "evidence": [found._asdict() for found in self.evidence],
            "problems": [asdict(problem) for problem in self.problems],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"train {self.rows['train']:,} rows | test {self.rows['test']:,} rows", *self._unusable_lines()]
        for kind, count in self.test_rows.items():
            lines.append(f"{kind}: {count:,} rows of test ({count / max(1, self.rows['test']):.1%})")
            for found in self.evidence:
                if found.kind == kind:
                    value = "through other rows" if found.similarity is None else f"{found.similarity:.2f}"
                    lines += [f"  {found.train} and {found.test}, {value}",
                              f"    train: {found.train_text}", f"    test:  {found.test_text}"]  # fmt: skip
        if self.is_contaminated:
            lines.append(f"contaminated: train holds more than {CONTAMINATED:.0%} of the questions of test; see if "
                         "it holds their answers too, and give rows about one document a link")  # fmt: skip
        if self._has_leak:
            lines += ["refused: training on the first file gives rows of the second away",
                      "  Fix: let `luthier curate` split the rows, or give it the files as data.files and "
                      "data.held_out"]  # fmt: skip
        elif not self.is_apart:
            lines += ["refused: rows that cannot be used were compared with nothing, and --strict is set",
                      "  Fix: mend these rows, or leave --strict out"]  # fmt: skip
        else:
            among = " among the rows that can be used" if self.num_unusable else ""
            lines.append(f"apart: no prompt, near-duplicate or link is in both{among}")
        return lines

    def _unusable_lines(self) -> list[str]:
        told = [f"{name} {self.rows[_UNUSABLE.format(name)]:,}" for name in SIDES if self.rows[_UNUSABLE.format(name)]]
        if not told:
            return []
        shown = [f"  {problem.where}: found {problem.found}, expected {problem.expected}" for problem in self.problems]
        return [f"unusable rows, compared with nothing: {' | '.join(told)}", *shown]


def check_split(
    train: Path, test: Path, *, say: Callable[[str], None], jaccard: float = 0.7, strict: bool = False
) -> SplitCheck:
    """Compare two files of rows; under `strict` an unusable row refuses them. DataError when one cannot be used."""
    sides = [_Side.read(path) for path in (train, test)]
    for name, side in zip(SIDES, sides, strict=True):
        say(f"check | {name} {len(side.records):,} rows")
    found = [*_same(*sides), *_near(*sides, jaccard=jaccard), *_holding(*sides)]
    rows: dict[str, dict[str, int]] = {kind: {} for kind in (*REFUSED_BY, HOLDS)}
    for each in found:
        rows[each.kind][each.test] = each.copies
    near = [f.similarity for f in found if f.kind in (NEAR, NEAR_PROMPT) and f.similarity is not None]
    shown = [
        each for kind in rows
        for each in sorted((f for f in found if f.kind == kind), key=lambda f: -(f.similarity or 0.0))[:SHOWN]
    ]  # fmt: skip
    return SplitCheck(
        rows={name: len(side.records) for name, side in zip(SIDES, sides, strict=True)}
        | {_UNUSABLE.format(name): len(side.problems) for name, side in zip(SIDES, sides, strict=True)},
        test_rows={kind: sum(places.values()) for kind, places in rows.items()},
        largest_similarity=max(near, default=None), evidence=tuple(shown),
        problems=tuple(problem for side in sides for problem in side.problems[:SHOWN]), is_strict=strict,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one file and where they stand."""

    wheres: list[str]
    records: list[Record]
    problems: list[Problem]
    """One for each unusable row."""

    @classmethod
    def read(cls, path: Path) -> _Side:
        """Every usable row; DataError when there is none."""
        side = cls([], [], [])
        for file in data_files([path]):
            for row, converted in converted_rows(file):
                if converted.fault is not None:
                    side.problems.append(converted.fault.problem)
                for part, record in enumerate(converted.records, start=1):
                    side.wheres.append(row.where if part == 1 else f"{row.where}#{part}")
                    side.records.append(record)
        if not side.records:
            raise no_usable_row(side.problems)
        return side


def _same(train: _Side, test: _Side) -> list[Evidence]:
    """Prompts of test that train asks, in an earlier turn too, and links that both have."""
    asked_by: dict[bytes, int] = {}
    linked_by: dict[str, int] = {}
    for number, record in enumerate(train.records):
        keys = keys_of(record)
        for key in (keys.prompt, *keys.earlier):
            asked_by.setdefault(key, number)
        for link in record.links:
            linked_by.setdefault(link, number)
    found = []
    for number, record in enumerate(test.records):
        key = keys_of(record).prompt
        if key in asked_by:
            found.append(_evidence(SAME_PROMPT, train, asked_by[key], test, number, 1.0))
        shared = next((link for link in record.links if link in linked_by), None)
        if shared is not None:
            found.append(_evidence(SAME_LINK, train, linked_by[shared], test, number, 1.0))
    return found


def _near(train: _Side, test: _Side, *, jaccard: float) -> list[Evidence]:
    """Rows of test that a row of train nearly is, or nearly asks, through rows that say the same too."""
    texts = [[near_text(record) for record in side.records] for side in (train, test)]
    pairs = near_duplicates([Sketches.of(some) for some in texts], jaccard=jaccard)
    first_of: dict[object, int] = {}
    first = [first_of.setdefault(text, row) for row, text in enumerate([*texts[0], *texts[1]])]
    num, total = len(train.records), len(train.records) + len(test.records)
    group = connected(total, pairs.pairs[pairs.verdict == "near"])
    of_train: dict[int, int] = {}
    for row in range(num):
        of_train.setdefault(int(group[row]), row)
    found: list[Evidence] = []
    closest: dict[int, tuple[float, int]] = {}  # by the first row of the same words: of those, one alone is compared
    values = zip(pairs.pairs.tolist(), pairs.similarity.tolist(), pairs.verdict.tolist(), strict=True)
    for (left, right), value, verdict in values:
        if verdict == "near" and left < num <= right and value > closest.get(first[right], (-1.0, 0))[0]:
            closest[first[right]] = (value, left)
        if verdict == "conflict":
            for one, other in ((left, right), (right, left)):
                if other >= num and int(group[one]) in of_train and int(group[other]) not in of_train:
                    is_direct = one < num
                    twin = one if is_direct else of_train[int(group[one])]
                    found.append(_evidence(NEAR_PROMPT, train, twin, test, other - num, value if is_direct else None))
    for row in range(num, total):
        if int(group[row]) in of_train:
            near = (1.0, first[row]) if first[row] < num else closest.get(first[row])
            twin = of_train[int(group[row])] if near is None else near[1]
            found.append(_evidence(NEAR, train, twin, test, row - num, None if near is None else near[0]))
    return found


def _holding(train: _Side, test: _Side) -> list[Evidence]:
    """Questions of test that stand in a row of train, word for word for the most part."""
    places = {where: number for number, where in enumerate(test.wheres)}
    questions = [(where, asked(record)) for where, record in zip(test.wheres, test.records, strict=True)]
    index = QuestionIndex.of(questions).without_templates()
    matches = index.matches_of([asked(record) for record in train.records])
    return [
        _evidence(HOLDS, train, number, test, places[match.name], match.share)._replace(
            test_text=_cut(match.text), copies=match.copies)
        for number, some in enumerate(matches) for match in some
    ]  # fmt: skip


def _evidence(kind: str, train: _Side, one: int, test: _Side, other: int, similarity: float | None) -> Evidence:
    ours, theirs = (
        _cut(f"{asked(record)} -> {answer_of(record)}") for record in (train.records[one], test.records[other])
    )
    rounded = None if similarity is None else round(similarity, 4)
    return Evidence(kind, train.wheres[one], test.wheres[other], rounded, ours, theirs)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]} ..."
