"""All records of all shards as one table, numbered in input order, and what becomes of each.

Texts stay in the shards. Held in memory are the columns that somebody asks for, and a few bytes a record of its fate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from luthier.curate.shards import DROPPED, EDGE, KEPT, MERGED, ROW, Shard


class SetFlag(NamedTuple):
    """A flag that comparing rows raised."""

    row: int
    step: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of records of which one says nearly what the other says, or asks it and has another answer."""

    rows: np.ndarray
    """[N, 2] int64, numbers of records."""
    similarity: np.ndarray
    """[N]"""
    is_conflict: np.ndarray
    """[N] bool: the prompts are near, the answers are not."""

    def chosen(self, mask: np.ndarray) -> NearPairs:
        """Some of the pairs."""
        return NearPairs(self.rows[mask], self.similarity[mask], self.is_conflict[mask])


NO_PAIRS = NearPairs(np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0, bool))


class Gathered:
    """The table. Fates are written to it by the steps that compare rows."""

    def __init__(self, files: Sequence[Path], num_learnt: int, shards: Sequence[Shard]) -> None:
        """Shards in input order; those of files from `num_learnt` on are evaluated on and not learnt."""
        self.files, self.num_learnt, self.shards = list(files), num_learnt, list(shards)
        sizes = [len(shard.rows) for shard in self.shards]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.file_of_shard = [int(shard.folder.name.partition("-")[0]) for shard in self.shards]
        learnt = [np.full(size, file < num_learnt) for size, file in zip(sizes, self.file_of_shard, strict=True)]
        self.is_learnt = np.concatenate([np.zeros(0, bool), *learnt])
        self.fate = np.full(len(self), KEPT, np.uint8)
        self.rule = np.full(len(self), -1, np.int16)
        self.rules: list[str] = []
        self.into = np.arange(len(self))
        """The record that a merged one went into; itself for others."""
        self.similarity = np.ones(len(self), np.float32)
        self.flags: list[SetFlag] = []
        self.near = NO_PAIRS

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def is_kept(self) -> np.ndarray:
        """[N] bool"""
        kept: np.ndarray = self.fate == KEPT
        return kept

    @property
    def is_held(self) -> np.ndarray:
        """[N] bool: kept, out of the held-out files, and evaluated on, as a preference among these is not."""
        held: np.ndarray = self.is_kept & ~self.is_learnt & ~self.column("is_preference")
        return held

    def column(self, name: str) -> np.ndarray:
        """One field of ROW, of every record."""
        return np.concatenate([np.zeros(0, ROW)[name], *(shard.rows[name] for shard in self.shards)])

    def edges(self) -> np.ndarray:
        """The EDGEs of every shard; `row` is widened to the number of the record."""
        wide = np.dtype([("row", "i8"), ("is_link", "?"), ("key", "u8", 2)])
        found = np.zeros(sum(len(shard.edges) for shard in self.shards), wide)
        end = 0
        for start, shard in zip(self.starts, self.shards, strict=False):
            begin, end = end, end + len(shard.edges)
            for name in EDGE.names or ():
                found[name][begin:end] = shard.edges[name]
            found["row"][begin:end] += start
        return found

    def merge(self, rows: np.ndarray, into: np.ndarray, rule: str, similarity: np.ndarray | float = 1.0) -> None:
        """Let records go into others."""
        self.fate[rows], self.into[rows], self.rule[rows] = MERGED, into, self._number(rule)
        self.similarity[rows] = similarity

    def drop(self, rows: np.ndarray, rule: str) -> None:
        """Leave records out."""
        self.fate[rows], self.rule[rows] = DROPPED, self._number(rule)

    def revive(self, rows: np.ndarray) -> None:
        """Keep records after all, whatever was to become of them."""
        self.fate[rows], self.rule[rows], self.into[rows], self.similarity[rows] = KEPT, -1, rows, 1.0

    def flag(self, row: int, step: str, reason: str, detail: str) -> None:
        """Let a person look at a record."""
        self.flags.append(SetFlag(int(row), step, reason, detail))

    def rule_of(self, row: int) -> str:
        """The rule that merged or dropped a record."""
        return self.rules[int(self.rule[row])]

    def end_of(self) -> np.ndarray:
        """For each record the one that it stands for in the end: where it was merged into, through however many."""
        end = self.into
        while (end[end] != end).any():
            end = end[end]
        return end

    def shard_of(self, row: int) -> tuple[int, int]:
        """The number of a record's shard, and its number within."""
        shard = int(np.searchsorted(self.starts, row, "right")) - 1
        return shard, int(row - self.starts[shard])

    def told(self, name: str) -> np.ndarray:
        """Of which records the workers wrote a line of the kind `name`; [N] bool."""
        found = np.zeros(len(self), bool)
        for start, shard in zip(self.starts.tolist(), self.shards, strict=False):
            found[[start + number for number, _ in shard.lines(name)]] = True
        return found

    def where(self, row: int) -> str:
        """The place of a record, "data/train.jsonl:41"."""
        shard, _ = self.shard_of(row)
        place = f"{self.files[self.file_of_shard[shard]]}:{self._lines[row]}"
        return place if self._parts[row] == 1 else f"{place}#{self._parts[row]}"

    def id(self, row: int) -> str:
        """The id of a record."""
        return f"{int(self._ids[row]):016x}"

    def record(self, row: int) -> dict[str, Any]:
        """A record as JSON, from its shard."""
        shard, number = self.shard_of(row)
        return self.shards[shard].record(number)

    def counted(self, what: str, *, file: int | None = None) -> Counter[str]:
        """What the workers counted, over all shards or those of one file."""
        total: Counter[str] = Counter()
        for number, shard in zip(self.file_of_shard, self.shards, strict=True):
            if file is None or number == file:
                total.update(shard.notes.counts.get(what, {}))
        return total

    def named(self, what: str, mask: np.ndarray, *, file: int | None = None) -> Counter[str]:
        """How often each name of a column of names ("licence", "language") stands in some records."""
        total: Counter[str] = Counter()
        for start, number, shard in zip(self.starts.tolist(), self.file_of_shard, self.shards, strict=False):
            if file is not None and number != file:
                continue
            counts = np.bincount(shard.rows[what][mask[start : start + len(shard.rows)]])
            total.update({shard.notes.names[what][name]: int(count) for name, count in enumerate(counts) if count})
        return total

    @cached_property
    def _lines(self) -> np.ndarray:
        return self.column("line")

    @cached_property
    def _parts(self) -> np.ndarray:
        return self.column("part")

    @cached_property
    def _ids(self) -> np.ndarray:
        return self.column("id")

    def _number(self, rule: str) -> int:
        if rule not in self.rules:
            self.rules.append(rule)
        return self.rules.index(rule)
