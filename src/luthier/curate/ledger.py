"""The account of every row: what was read is what was kept, merged, dropped and quarantined, or curation fails."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.curate.duplicates import Placed
from luthier.curate.faults import Fault
from luthier.curate.raw import RawRow
from luthier.errors import Problem

DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Books:
    """Where each row went, written down as it goes there."""

    files: dict[str, Counter[str]] = field(default_factory=dict)
    """Rows read, by file and shape."""
    quarantined: list[tuple[RawRow, Fault]] = field(default_factory=list)
    merged: list[tuple[Placed, Placed]] = field(default_factory=list)
    """(the duplicate, the row that stays)."""
    dropped: list[tuple[Placed, str]] = field(default_factory=list)
    """(the row, the rule)."""
    repaired: Counter[str] = field(default_factory=Counter)
    lost_characters: Counter[str] = field(default_factory=Counter)
    """Rows with U+FFFD, by file."""
    empty_files: list[Problem] = field(default_factory=list)

    @property
    def num_read(self) -> int:
        """All rows read."""
        return sum(shapes.total() for shapes in self.files.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that the user may want to mend."""
        return (*self.empty_files, *(fault.problem for _, fault in self.quarantined))

    def ledger(self, *, parts: Mapping[str, int], preferences: int) -> dict[str, Any]:
        """The counts, in input rows. Raises AssertionError when they do not balance."""
        kept = sum(parts.values()) + preferences
        counts = {
            "read": self.num_read,
            "kept": kept,
            "merged": {DUPLICATE: len(self.merged)} if self.merged else {},
            "dropped": _sorted(Counter(rule for _, rule in self.dropped)),
            "quarantined": _sorted(Counter(fault.reason for _, fault in self.quarantined)),
            "made": 0,
            "files": {file: _sorted(shapes) for file, shapes in self.files.items()},
            "splits": dict(parts),
            "preferences": preferences,
            "repaired": _sorted(self.repaired),
            "lost_characters": dict(self.lost_characters),
        }
        accounted = kept + len(self.merged) + len(self.dropped) + len(self.quarantined)
        if accounted != self.num_read:  # not `assert`, which python -O takes away
            raise AssertionError(f"the ledger does not balance: read {self.num_read} rows, accounted for {accounted}")
        return counts


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
    _write(path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries))


def write_object(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON object, laid out for people."""
    _write(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    """The largest first; equals by name, so that the file is the same each time."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
