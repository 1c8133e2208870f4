"""Shards: what a worker made of one piece of a file, on disk, and all of them seen as one table of rows.

    SHARD/rows.npy        one entry a record: hashes, lengths, where its bytes stand
    SHARD/edges.npy       what else ties a record to others: prompts of earlier turns, links
    SHARD/records.jsonl   the records as the outputs will hold them
    SHARD/quarantine.jsonl dropped.jsonl flagged.jsonl settled.jsonl leaks.jsonl answers.jsonl
    SHARD/near/           for the search of near-duplicates, where that is wanted
    SHARD/labels.npy options.npy    for the search of tasks with options, where labels are judged
    SHARD/notes.json      the key under which the shard may be used again, and every count

A shard appears whole or not at all: its folder is written under another name and renamed.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from luthier.records.jsonl import parse_json

ROW = np.dtype([
    ("exact", "u8", 2), ("prompt", "u8", 2), ("answer", "u8"), ("id", "u8"), ("start", "i8"), ("size", "i4"),
    ("line", "i8"), ("part", "i4"), ("input", "i4"), ("answer_chars", "i4"),
    ("language", "i4"), ("licence", "i4"), ("is_preference", "?"), ("is_cut", "?"), ("has_links", "?"),
])  # fmt: skip
"""One record. `exact`: equal where two rows say the same. `prompt`: of what it asks. `answer`: of the first accepted
answer, 0 where there is none. `id`: its id as a number. `start`, `size`: its bytes in records.jsonl. `line`, `part`:
its place, "file:line" and, from the second record of a row on, "#part". `input`: the row of the piece that it was made
of. `language`, `licence`: numbers of names in the notes. `is_cut`: the answer ends in the middle of a sentence."""
EDGE = np.dtype([("row", "i4"), ("is_link", "?"), ("key", "u8", 2)])
"""One more tie of a record: a prompt of an earlier turn, or a link."""
FATES = ("kept", "merged", "dropped")
KEPT, MERGED, DROPPED = range(3)
TEXTS = ("quarantine", "dropped", "flagged", "settled", "leaks", "answers")
"""The JSONL files of a shard beside its records. Each line is about a row: by its number among the rows of the piece in
the first two, by that among the records in the others. `settled` names records that a person wants kept as they are."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What a shard says of itself."""

    key: str
    num_inputs: int = 0
    """Rows of the files that were read."""
    names: dict[str, list[str]] = field(default_factory=dict)
    """The names behind the numbers of `language` and `licence`."""
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By what is counted ("shape", "quarantined", "repaired" ...) and by name."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of each step."""


class Writer:
    """Writes one shard, in a `with` block; `finish` makes it appear."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the shard's; nothing appears there before `finish`."""
        self.folder = folder
        self.partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self._records = (self.partial / "records.jsonl").open("wb")
        self._texts: dict[str, list[bytes]] = {name: [] for name in TEXTS}
        self._entries: list[np.ndarray] = [np.zeros(0, ROW)]
        self._edges: list[np.ndarray] = [np.zeros(0, EDGE)]
        self._num_rows = self._num_bytes = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._records.close()

    def add(self, records: Sequence[bytes], entries: np.ndarray, edges: np.ndarray) -> int:
        """Write some records, each a line of JSON, with an entry each; returns the number of the first.

        `start` and `size` of the entries are filled in here. `row` of the edges counts from the first of `records`.
        """
        first = self._num_rows
        sizes = np.array([len(record) for record in records], np.int64)
        entries["size"] = sizes
        entries["start"] = self._num_bytes + np.cumsum(sizes) - sizes
        edges["row"] += first
        self._entries.append(entries)
        self._edges.append(edges)
        self._records.write(b"".join(records))
        self._num_rows, self._num_bytes = first + len(records), self._num_bytes + int(sizes.sum())
        return first

    def tell(self, name: str, row: int, entry: Mapping[str, Any]) -> None:
        """Keep a line for one of TEXTS, about an input row or a record."""
        self._texts[name].append(orjson.dumps([row, entry]) + b"\n")

    def finish(self, notes: Notes) -> None:
        """Everything to disk, then the folder gets its name."""
        self._records.close()
        np.save(self.partial / "rows.npy", np.concatenate(self._entries))
        np.save(self.partial / "edges.npy", np.concatenate(self._edges))
        for name, lines in self._texts.items():
            (self.partial / f"{name}.jsonl").write_bytes(b"".join(lines))
        content = {"key": notes.key, "num_inputs": notes.num_inputs, "names": notes.names, "counts": notes.counts,
                   "seconds": notes.seconds}  # fmt: skip
        (self.partial / "notes.json").write_text(json.dumps(content), encoding="utf-8")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.replace(self.partial, self.folder)


class Shard:
    """One shard, read."""

    def __init__(self, folder: Path) -> None:
        """Open the shard in `folder`; its arrays stay on disk."""
        self.folder = folder
        self.notes = read_notes(folder)

    @cached_property
    def rows(self) -> np.ndarray:
        """One ROW a record."""
        return _array(self.folder / "rows.npy")

    @cached_property
    def edges(self) -> np.ndarray:
        """One EDGE a tie."""
        return _array(self.folder / "edges.npy")

    def lines(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines of one of TEXTS: the row that each is about, and what it says."""
        with (self.folder / f"{name}.jsonl").open("rb") as file:
            for line in file:
                row, entry = orjson.loads(line)
                yield row, entry

    @cached_property
    def records(self) -> memoryview:
        """The bytes of all records, mapped."""
        path = self.folder / "records.jsonl"
        if not path.stat().st_size:  # an empty file cannot be mapped
            return memoryview(b"")
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def record(self, number: int) -> dict[str, Any]:
        """One record as JSON."""
        start, size = int(self.rows["start"][number]), int(self.rows["size"][number])
        found: dict[str, Any] = parse_json(bytes(self.records[start : start + size]))
        return found


def read_notes(folder: Path) -> Notes:
    """What the shard in a folder says of itself; an empty key where there is none."""
    path = folder / "notes.json"
    if not path.is_file():
        return Notes(key="")
    data = json.loads(path.read_text(encoding="utf-8"))
    counts = {what: Counter(count) for what, count in data["counts"].items()}
    return Notes(data["key"], data["num_inputs"], data["names"], counts, data["seconds"])


def _array(path: Path) -> np.ndarray:
    # An empty file cannot be mapped.
    array: np.ndarray = np.load(path, mmap_mode="r" if path.stat().st_size > 1 << 12 else None)
    return array
