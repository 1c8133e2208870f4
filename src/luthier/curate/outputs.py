"""The last pass: from shards to the files of a curated folder, in input order, the records' bytes copied."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from luthier.curate.comparing import Comparison
from luthier.curate.gathered import Gathered
from luthier.curate.shards import DROPPED, MERGED, Shard
from luthier.curate.split import PARTS
from luthier.records import Example, Preference
from luthier.records.jsonl import FORMAT_VERSION, from_json, parse_json, to_bytes
from luthier.records.whole_files import write_whole

PREFERENCES = "preferences"
GOES_TO = (*PARTS, PREFERENCES)
NOWHERE = len(GOES_TO)
"""Of records that no file of records takes."""
NAMES = (*PARTS, "examples", PREFERENCES, "quarantine", "merged", "dropped", "flagged", "conflicts", "leaks")
"""The JSONL files of a curated folder."""


def write_outputs(out: Path, table: Gathered, goes_to: np.ndarray, work: Comparison) -> Counter[str]:
    """Write all JSONL files; `goes_to` [N] is a number in GOES_TO of each record. Returns flags by step.

    Each file is written whole under another name and renamed when all are there.
    """
    flags: Counter[str] = Counter()
    links = _links_of_merged(table)
    for number, name in enumerate(GOES_TO):
        pieces = (
            piece
            for start, shard in zip(table.starts.tolist(), table.shards, strict=False)
            for piece in _records(shard, start, goes_to == number, links)
        )
        write_whole(out / f"{name}.jsonl", pieces)
        kind = "Preference" if name == PREFERENCES else "Example"
        write_sidecar(out / f"{name}.jsonl", kind, int((goes_to == number).sum()))
    with (out / "examples.jsonl.partial").open("wb") as whole:
        for part in PARTS:
            with (out / f"{part}.jsonl").open("rb") as file:
                shutil.copyfileobj(file, whole, 1 << 20)
    (out / "examples.jsonl.partial").replace(out / "examples.jsonl")
    write_sidecar(out / "examples.jsonl", "Example", int((goes_to < len(PARTS)).sum()))
    write_whole(out / "quarantine.jsonl", _quarantine(table))
    write_whole(out / "merged.jsonl", (_line(found.line) for found in merged_rows(table)))
    write_whole(out / "dropped.jsonl", map(_line, _dropped(table)))
    write_whole(out / "flagged.jsonl", map(_line, _flagged(table, flags)))
    write_whole(out / "conflicts.jsonl", map(_line, work.conflicts))
    write_whole(out / "leaks.jsonl", map(_line, work.leaks))
    return flags


def write_examples(path: Path, table: Gathered, mask: np.ndarray) -> None:
    """Write some records [N] bool, which are examples, to a file of their own, in input order."""
    links = _links_of_merged(table)
    starts = zip(table.starts.tolist(), table.shards, strict=False)
    write_whole(path, (piece for start, shard in starts for piece in _records(shard, start, mask, links)))
    write_sidecar(path, "Example", int(mask.sum()))


def write_sidecar(path: Path, kind: str, rows: int) -> None:
    """The version beside a file of records, as `write_records` writes it."""
    content = {"record": kind if rows else None, "version": FORMAT_VERSION, "rows": rows}
    write_whole(path.with_name(path.name + ".version.json"), [json.dumps(content).encode() + b"\n"])


def _records(shard: Shard, start: int, mask: np.ndarray, links: Mapping[int, list[str]]) -> Iterator[bytes]:
    """The bytes of some records of a shard."""
    rows = np.flatnonzero(mask[start : start + len(shard.rows)])
    if not len(rows):
        return
    starts = shard.rows["start"][rows]
    ends = starts + shard.rows["size"][rows]
    for row, begin, end in zip((rows + start).tolist(), starts.tolist(), ends.tolist(), strict=True):
        piece = bytes(shard.records[begin:end])
        kind = Preference if shard.rows["is_preference"][row - start] else Example
        yield _with_links(piece, kind, links[row]) if row in links else piece


def _links_of_merged(table: Gathered) -> dict[int, list[str]]:
    """For each record that stays the links of those that went into it."""
    found: dict[int, list[str]] = {}
    end = table.end_of()
    for row in np.flatnonzero((table.fate == MERGED) & table.column("has_links")):
        found.setdefault(int(end[row]), []).extend(table.record(int(row))["links"])
    return found


def _with_links(record: bytes, kind: type[Example | Preference], links: Iterable[str]) -> bytes:
    """The record with further links, by the reader and the writer of all records: numbers stay what they are."""
    own = from_json(kind, parse_json(record))
    more = tuple(dict.fromkeys((*own.links, *links)))
    return to_bytes(replace(own, links=more)) if more != own.links else record


def _quarantine(table: Gathered) -> Iterator[bytes]:
    for shard in table.shards:
        for _, entry in shard.lines("quarantine"):
            yield _line(entry)


class MergedRow(NamedTuple):
    """A record that went into another, and its line in merged.jsonl."""

    row: int
    line: dict[str, Any]


def merged_rows(table: Gathered) -> Iterator[MergedRow]:
    """Each record that went into another: the last of the chain, and the least similarity on the way."""
    end = table.end_of()
    for row in np.flatnonzero(table.fate == MERGED).tolist():
        similarity, step = 1.0, row
        while table.into[step] != step:
            similarity = min(similarity, float(table.similarity[step]))
            step = int(table.into[step])
        into = int(end[row])
        yield MergedRow(row, {
            "where": table.where(row), "id": table.id(row), "into": table.id(into), "into_where": table.where(into),
            "rule": table.rule_of(row), "similarity": round(similarity, 4),
        })  # fmt: skip


def _dropped(table: Gathered) -> Iterator[dict[str, Any]]:
    """What the row steps dropped and what the comparison of rows dropped, in input order."""
    for start, shard in zip(table.starts.tolist(), table.shards, strict=False):
        found = [(number, entry) for number, entry in shard.lines("dropped")]
        here = np.flatnonzero(table.fate[start : start + len(shard.rows)] == DROPPED)
        for number in here.tolist():
            row = start + number
            found.append((int(shard.rows["input"][number]),
                          {"where": table.where(row), "id": table.id(row), "rule": table.rule_of(row)}))  # fmt: skip
        yield from (entry for _, entry in sorted(found, key=lambda item: item[0]))


def _flagged(table: Gathered, flags: Counter[str]) -> Iterator[dict[str, Any]]:
    """The flags of records that are kept, but for those that a person has settled; counted by step."""
    by_row: dict[int, list[dict[str, Any]]] = {}
    settled: set[int] = set()
    for start, shard in zip(table.starts.tolist(), table.shards, strict=False):
        for number, flag in shard.lines("flagged"):
            by_row.setdefault(start + number, []).append(flag)
        settled.update(start + number for number, _ in shard.lines("settled"))
    for row, step, reason, detail in table.flags:
        by_row.setdefault(row, []).append(
            {"where": table.where(row), "id": table.id(row), "step": step, "reason": reason, "detail": detail}
        )
    for row in sorted(by_row):
        if not table.is_kept[row] or row in settled:
            continue
        for flag in by_row[row]:
            flags[flag["step"]] += 1
            yield flag


def _line(entry: Mapping[str, Any]) -> bytes:
    return orjson.dumps(entry) + b"\n"
