"""The account of every row: what was read is what was kept, merged, dropped and quarantined, or curation fails."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from luthier.curate.faults import Fault
from luthier.curate.files.raw import RawRow
from luthier.curate.gathered import Gathered
from luthier.curate.shards import DROPPED, FATES, KEPT, Shard
from luthier.records.whole_files import write_whole

NOT_STATED = "not stated"
"""Counted where a record says nothing of its licence or its language."""


class Ends(NamedTuple):
    """Where the rows of the files ended: each in one place, whatever it was made into."""

    read: int
    kept: int
    merged: Counter[str]
    dropped: Counter[str]
    quarantined: Counter[str]
    made: int
    """Records beyond one a row: a tree of replies gives several."""
    records: Counter[str]
    """Where the records ended, by FATES."""


def account(table: Gathered) -> Ends:
    """Where every row ended. Raises AssertionError when the books do not balance.

    A row of which some record is kept is kept; else it is merged if one is merged; else it is dropped. The rule is that
    of its first record with this end.
    """
    ends = Ends(
        read=sum(shard.notes.num_inputs for shard in table.shards), kept=0, merged=Counter(), dropped=Counter(),
        quarantined=table.counted("quarantined"), made=0, records=Counter(),
    )  # fmt: skip
    kept = made = 0
    for start, shard in zip(table.starts.tolist(), table.shards, strict=False):
        kept += _count(table, start, shard, ends)
        rows = set(shard.rows["input"].tolist())
        num_records = len(shard.rows)
        for number, entry in shard.lines("dropped"):
            num_records += 1
            ends.records[FATES[DROPPED]] += 1
            if number not in rows:
                ends.dropped[entry["rule"]] += 1
            rows.add(number)
        made += num_records - len(rows)
    ends = ends._replace(kept=kept, made=made)
    accounted = kept + ends.merged.total() + ends.dropped.total() + ends.quarantined.total()
    shapes = table.counted("shape").total()
    if not accounted == ends.read == shapes:  # not `assert`, which python -O takes away
        raise AssertionError(
            f"the ledger does not balance: read {ends.read} rows, recognised {shapes}, accounted for {accounted}"
        )
    if ends.records.total() != ends.read - ends.quarantined.total() + made:
        raise AssertionError(f"the ledger does not balance: {ends.records.total()} records of {ends.read} rows")
    return ends


def _count(table: Gathered, start: int, shard: Shard, ends: Ends) -> int:
    """Add the ends of one shard's records and of the rows that they were made of; returns how many rows are kept."""
    here = slice(start, start + len(shard.rows))
    fate, rule, inputs = table.fate[here], table.rule[here], shard.rows["input"]
    ends.records.update({FATES[number]: int(count) for number, count in enumerate(np.bincount(fate)) if count})
    order = np.lexsort((np.arange(len(fate)), fate, inputs))  # of each row its best fate first: KEPT < MERGED < DROPPED
    is_first = np.ones(len(order), bool)
    is_first[1:] = inputs[order[1:]] != inputs[order[:-1]]
    best = order[is_first]
    for number, count in enumerate(np.bincount(rule[best][fate[best] != KEPT], minlength=len(table.rules)).tolist()):
        if count:
            some = best[(fate[best] != KEPT) & (rule[best] == number)]
            ends_here = ends.dropped if fate[some[0]] == DROPPED else ends.merged
            ends_here[table.rules[number]] += count
    return int((fate[best] == KEPT).sum())


def write_quarantine(path: Path, quarantined: Iterable[tuple[RawRow, Fault]]) -> None:
    """One line a row: its place, what is wrong with it, and the row itself, so that it can be mended and fed back."""
    write_lines(path, (quarantine_entry(row, fault) for row, fault in quarantined))


def quarantine_entry(row: RawRow, fault: Fault) -> dict[str, Any]:
    """The line of one row; bytes that are no text are kept as base64."""
    problem = fault.problem
    entry = {"where": problem.where, "reason": fault.reason, "found": problem.found, "expected": problem.expected,
             "fix": problem.fix}  # fmt: skip
    if not row.raw and row.data is not None:
        return entry | {"raw": json.dumps(row.data, default=str)}
    try:
        return entry | {"raw": row.raw.decode("utf-8")}
    except UnicodeDecodeError:
        return entry | {"raw_base64": base64.b64encode(row.raw).decode("ascii")}


def write_lines(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, whole or not at all."""
    write_whole(path, (json.dumps(entry, ensure_ascii=False).encode() + b"\n" for entry in entries))


def write_object(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON object, laid out for people."""
    write_whole(path, [json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"])


def by_count(counts: Mapping[str, int]) -> dict[str, int]:
    """The largest first; equals by name, so that the file is the same each time."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
