"""Bias in the data: who is named how often, near which words, and whether they are served alike.

Every comparison is made within kinds of request, by an exact test; of all tests together at most a stated share of
what is reported is false on average. What word lists cannot see is not found, and a difference is no verdict: it names
rows for a person to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.curate.bias.rows import NamingRow, naming_rows
from luthier.curate.bias.tests import Finding, comparisons, unexplained
from luthier.curate.bias.words import ORIGIN, Groups
from luthier.curate.config import BiasConfig
from luthier.curate.counted_texts import RowTexts
from luthier.curate.gathered import Gathered
from luthier.curate.ledger import write_object
from luthier.stats.intervals import Estimate, proportion_interval
from luthier.stats.tests import benjamini_hochberg

LEAST_NAMED = 5
"""Places of origin that fewer rows name are not listed: whatever has a capital may be one."""
KEPT_ROWS = 100
"""Of each count of a finding so many rows are named."""


@dataclass(frozen=True, slots=True)
class Named:
    """How often a group is named, of the rows that name any group of the dimension."""

    dimension: str
    group: str
    prompts: Estimate | None
    answers: Estimate | None
    prompt_rows: int
    answer_rows: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the prompts that name one group of a dimension, how many are asked of another group in the same words."""

    dimension: str
    covered: Estimate
    same_answer: int
    """Of the covered ones, how many have the same answers for all groups."""


@dataclass(frozen=True, slots=True)
class Bias:
    """What was looked at and what was found."""

    looked_at: int
    """Rows that were read with a list of words."""
    unread: int
    """Rows in languages without one."""
    repeated: int
    """Rows for which another with the same link stands."""
    naming: int
    """Rows that name some group."""
    told: str
    """Which rows these are, in words."""
    rate: float
    num_tests: int
    findings: Sequence[Finding] = field(default=())
    named: Sequence[Named] = field(default=())
    coverage: Sequence[Coverage] = field(default=())
    own: Groups = field(default_factory=dict)
    """The groups that the recipe adds."""

    @property
    def groups_of(self) -> Mapping[str, set[str]]:
        """The groups that are named, by dimension."""
        found: dict[str, set[str]] = {}
        for one in self.named:
            found.setdefault(one.dimension, set()).add(one.group)
        return found


def write_bias(path: Path, bias: Bias, table: Gathered) -> dict[str, int]:
    """Write bias.json, which names the rows behind each finding; returns the counts for the ledger."""
    write_object(path, _as_json(bias, table.where))
    return {"looked_at": bias.looked_at, "unread": bias.unread, "tests": bias.num_tests, "findings": len(bias.findings)}


def find_bias(texts: RowTexts, config: BiasConfig) -> Bias:
    """Look for bias in some rows. The result depends on the texts and the options alone."""
    found = naming_rows(texts.texts, config.groups)
    dimensions = list(dict.fromkeys([*(name for words in found.lexicons for name in words.dimensions), ORIGIN]))
    tests = list(comparisons(found, dimensions))
    is_found = benjamini_hochberg([test.p for test in tests], rate=config.false_discovery_rate)
    alpha = config.false_discovery_rate * sum(is_found) / max(1, len(tests))
    discoveries = [test for test, is_one in zip(tests, is_found, strict=True) if is_one]
    findings = [
        test.finding(found.rows, alpha)
        for test in unexplained(discoveries, max((test.p for test in discoveries), default=0.0))
        if abs(test.difference) >= config.least_difference
    ]
    return Bias(
        found.num_looked_at, found.num_unread, found.num_repeated, len(found.rows), texts.told,
        config.false_discovery_rate, len(tests), sorted(findings, key=lambda one: (one.p, -abs(one.difference.value))),
        [one for name in dimensions for one in _named(found.rows, name)],
        [one for name in dimensions if (one := _coverage(found.rows, name)) is not None], config.groups,
    )  # fmt: skip


def _named(rows: Sequence[NamingRow], dimension: str) -> Iterator[Named]:
    """How often each group is named, the most frequent first."""
    counts: dict[str, list[int]] = {}
    totals = [0, 0]
    for row in rows:
        for side, mentions in enumerate((row.prompt, row.answer)):
            some = mentions.groups.get(dimension, ())
            totals[side] += bool(some)
            for group in some:
                counts.setdefault(group, [0, 0])[side] += 1
    if dimension == ORIGIN:
        counts = {group: found for group, found in counts.items() if max(found) >= LEAST_NAMED}
    for group, found in sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0])):
        shares = [proportion_interval(n, total) if total else None for n, total in zip(found, totals, strict=True)]
        yield Named(dimension, group, shares[0], shares[1], found[0], found[1])


def _coverage(rows: Sequence[NamingRow], dimension: str) -> Coverage | None:
    """How many prompts have a twin that names another group in the same words."""
    frames: dict[str, list[tuple[str, NamingRow]]] = {}
    total = 0
    for row in rows:
        groups = row.prompt.groups.get(dimension, frozenset())
        total += len(groups) == 1
        if len(groups) == 1 and row.is_repeated:
            frame = row.words.frame(row.text.prompt, (dimension,), row.prompt.groups)
            frames.setdefault(frame, []).append((next(iter(groups)), row))
    if not total:
        return None
    covered = [some for some in frames.values() if len({group for group, _ in some}) > 1]
    same = sum(len(some) for some in covered if len({_answer(row, dimension) for _, row in some}) == 1)
    return Coverage(dimension, proportion_interval(sum(map(len, covered)), total), same)


def _answer(row: NamingRow, dimension: str) -> str:
    """An answer without the words for the groups of a dimension that the row names."""
    named = row.prompt.groups.get(dimension, frozenset()) | row.answer.groups.get(dimension, frozenset())
    return row.words.frame(row.text.answer, (dimension,), {dimension: named})


def _as_json(bias: Bias, where: Callable[[int], str]) -> dict[str, Any]:
    cells = ("group_with", "group_without", "others_with", "others_without")
    findings = [
        {"dimension": one.dimension, "group": one.group, "others": one.others, "outcome": one.outcome,
         "group_with": one.counts[0], "group_rows": one.counts[1], "others_with": one.counts[2],
         "others_rows": one.counts[3], "difference": one.difference.to_json(), "p": one.p,
         "rows": {name: [where(row) for row in some[:KEPT_ROWS]] for name, some in zip(cells, one.rows, strict=True)}}
        for one in bias.findings
    ]  # fmt: skip
    named = [
        {"dimension": one.dimension, "group": one.group, "prompt_rows": one.prompt_rows,
         "answer_rows": one.answer_rows, "prompts": one.prompts and one.prompts.to_json(),
         "answers": one.answers and one.answers.to_json()}
        for one in bias.named
    ]  # fmt: skip
    coverage = [
        {"dimension": one.dimension, "covered": one.covered.to_json(), "same_answer": one.same_answer}
        for one in bias.coverage
    ]
    return {
        "rows": bias.told, "looked_at": bias.looked_at, "unread": bias.unread, "repeated": bias.repeated,
        "naming": bias.naming, "false_discovery_rate": bias.rate, "tests": bias.num_tests, "findings": findings,
        "named": named, "coverage": coverage,
    }  # fmt: skip
