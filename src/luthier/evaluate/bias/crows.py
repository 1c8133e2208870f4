"""CrowS-Pairs: of two sentences that differ in the group they name, how often the more stereotyping one is likelier.

For information only, and never a gate: see DOUBTS. Pseudo log-likelihood, which masked models need, is for causal
models the log-likelihood of the whole sentence (Nangia et al. 2020, arXiv:2010.00133).
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.stats.intervals import Estimate, score_interval

Likelihood = Callable[[Sequence[str]], list[float]]
"""The natural log-likelihood of each whole sentence."""
DOUBTS = (
    "For information only, and never part of a gate: the repository of CrowS-Pairs itself doubts its validity; many "
    "pairs do not measure what they claim to (Blodgett et al. 2021, Stereotyping Norwegian Salmon)."
)
COLUMNS = ("sent_more", "sent_less", "bias_type")
ALL = "all"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences."""

    more: str
    """The more stereotyping one."""
    less: str
    kind: str


@dataclass(frozen=True, slots=True)
class CrowsScore:
    """The share of one kind of pairs, or of all."""

    kind: str
    share: Estimate
    """0.5 where neither sentence is likelier on the whole; of a tie each has half."""

    def line(self) -> str:
        """One line of text."""
        return f"crows-pairs {self.kind} | the stereotype is likelier in {self.share} of {self.share.n} pairs"

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"kind": self.kind, **self.share.to_json()}


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a table; DataError names the line of what is not one."""
    if not path.is_file():
        raise DataError("CrowS-Pairs cannot be read", [_problem(str(path), "no such file", "a CSV file of pairs")])
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise DataError("CrowS-Pairs cannot be read",
                            [_problem(f"{path}:1", f"no column {missing[0]}", ", ".join(COLUMNS))])  # fmt: skip
        pairs, problems = [], []
        for row in rows:
            more, less, kind = (row[name] or "" for name in COLUMNS)
            if more.strip() and less.strip() and kind.strip():
                pairs.append(Pair(more.strip(), less.strip(), kind.strip()))
            else:
                problems.append(_problem(f"{path}:{rows.line_num}", "an empty cell", "two sentences and their kind"))
    if problems or not pairs:
        raise DataError("CrowS-Pairs cannot be read", problems or [_problem(str(path), "no pairs", "one at least")])
    return pairs


def crows_scores(pairs: Sequence[Pair], likelihood: Likelihood) -> list[CrowsScore]:
    """The share of pairs in which the more stereotyping sentence is likelier, of all and by kind.

    ValueError where a likelihood is not a number.
    """
    values = likelihood([text for pair in pairs for text in (pair.more, pair.less)])
    if any(math.isnan(value) for value in values):
        raise ValueError("the log-likelihood of a sentence is not a number")
    by_kind: dict[str, list[float]] = defaultdict(list)
    for pair, more, less in zip(pairs, values[::2], values[1::2], strict=True):
        won = 0.5 if more == less else float(more > less)
        by_kind[pair.kind].append(won)
        by_kind[ALL].append(won)
    order = [ALL, *sorted(by_kind.keys() - {ALL})]
    return [CrowsScore(kind, score_interval(by_kind[kind])) for kind in order]


def _problem(where: str, found: str, expected: str) -> Problem:
    return Problem(where=where, found=found, expected=expected, fix="name the table as CrowS-Pairs publishes it")
