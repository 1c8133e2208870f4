"""What a person decided on flagged rows, done again at each curation.

    {"id": "6f1c...", "decision": "keep" | "drop" | "mend", "record": {...}, "reason": "..."}

One line a decision; of several about one row the last counts. A row is named by its id, so a decision holds for every
row with that content, and ends to hold when the content changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from luthier.curate.faults import shown
from luthier.curate.raw import RawRow
from luthier.curate.reading import check_files, read_rows
from luthier.curate.shapes import convert
from luthier.errors import DataError, Problem
from luthier.records import Example, Preference

DecisionKind = Literal["keep", "drop", "mend"]
KINDS: tuple[str, ...] = get_args(DecisionKind)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the row of an id."""

    id: str
    kind: DecisionKind
    reason: str = ""
    record: Example | Preference | None = None
    """What replaces the row, where it is mended."""


def read_decisions(path: Path) -> dict[str, Decision]:
    """The decisions in a file by the id that they are about. DataError names every line that is none."""
    check_files([path])
    found: dict[str, Decision] = {}
    problems: list[Problem] = []
    for row in read_rows(path):
        made = _decision(row)
        if isinstance(made, Decision):
            found[made.id] = made
        else:
            problems.append(made)
    if problems:
        raise DataError(f"{path} is not a file of decisions", problems)
    return found


def decided(identity: str, decisions: Mapping[str, Decision]) -> Iterator[Decision]:
    """The decisions on the row of an id, in order: one more about the row that a first one made of it, and so on."""
    met: set[str] = set()
    while identity in decisions and identity not in met:
        met.add(identity)
        decision = decisions[identity]
        yield decision
        if decision.record is None:
            return
        identity = decision.record.id


def _decision(row: RawRow) -> Decision | Problem:
    if row.data is None:
        assert row.fault is not None
        return row.fault.problem
    identity, kind, reason = (row.data.get(name) for name in ("id", "decision", "reason"))
    if not isinstance(identity, str) or not identity:
        return Problem(where=f"{row.where}: id", found=shown(identity), expected="the id of a row",
                       fix="copy it from flagged.jsonl")  # fmt: skip
    if kind not in KINDS:
        return Problem(where=f"{row.where}: decision", found=shown(kind), expected=f"one of {', '.join(KINDS)}",
                       fix="write one of these")  # fmt: skip
    said = reason if isinstance(reason, str) else ""
    if kind != "mend":
        return Decision(identity, kind, said)
    record = row.data.get("record")
    if not isinstance(record, Mapping):
        return Problem(where=f"{row.where}: record", found=shown(record), expected="the row as it should be",
                       fix='write {"messages": [...]}, or decide "drop"')  # fmt: skip
    converted = convert(RawRow(row.file, row.line, row.raw, data=record))
    if converted.fault is not None:
        return converted.fault.problem
    if len(converted.records) != 1:
        return Problem(where=f"{row.where}: record", found=f"{len(converted.records)} rows in one",
                       expected="one row", fix="write one conversation")  # fmt: skip
    return Decision(identity, kind, said, converted.records[0])
