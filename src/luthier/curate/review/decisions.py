"""What a person decided on flagged rows, done again at each curation.

    {"id": "6f1c...", "decision": "keep" | "drop" | "mend" | "undo", "record": {...}, "reason": "..."}

One line a decision; of several about one row the last counts, and "undo" takes the last one back: the one before it
counts again. A row is named by its id, so a decision holds for every row with that content, and ends to hold when the
content changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from luthier.curate.faults import shown
from luthier.curate.files.raw import RawRow
from luthier.curate.files.reading import can_be_cut, check_files, read_rows
from luthier.curate.shapes.making import Record
from luthier.curate.shapes.recognising import convert
from luthier.errors import DataError, Problem

DecisionKind = Literal["keep", "drop", "mend", "undo"]
KINDS: tuple[str, ...] = get_args(DecisionKind)
UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the row of an id."""

    id: str
    kind: DecisionKind
    reason: str = ""
    record: Record | None = None
    """What replaces the row, where it is mended."""


def read_decisions(path: Path, *, say: Callable[[str], None] | None = None) -> dict[str, Decision]:
    """The decisions in a file by the id that they are about. DataError names every line that is none.

    A last line that a crash has torn was never answered: it is passed over, and `say` hears of it.
    """
    check_files([path])
    found: dict[str, list[Decision]] = {}
    problems: list[Problem] = []
    row = None
    for row in read_rows(path):
        made = decision_of(row)
        if isinstance(made, Problem):
            problems.append(made)
        elif made.kind != UNDO:
            found.setdefault(made.id, []).append(made)
        elif found.get(made.id):
            found[made.id].pop()
    if row is not None and row.data is None and _is_torn(path, row):
        problems.pop()
        if say is not None:
            begin = row.raw[:200].decode("utf-8", "replace")
            say(f"curate | warning: {row.where}: the last line is torn, and was passed over: {begin}")
    if problems:
        raise DataError(f"{path} is not a file of decisions", problems)
    return {identity: some[-1] for identity, some in found.items() if some}


def _is_torn(path: Path, row: RawRow) -> bool:
    """Whether the last row of a file of JSON lines, which cannot be read, lacks the end of its line."""
    if not row.raw or not can_be_cut(path):
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def decision_of(row: RawRow) -> Decision | Problem:
    """The decision that a line states, or what is wrong with the line."""
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
    record = mended(row.data.get("record"), file=row.file, line=row.line, raw=row.raw)
    return record if isinstance(record, Problem) else Decision(identity, kind, said, record)


def mended(data: Any, *, file: str, line: int, raw: bytes = b"") -> Record | Problem:
    """The one record that takes the place of a row, in any shape that curation reads; or what is wrong with it."""
    if not isinstance(data, Mapping):
        return Problem(where=f"{file}:{line}: record", found=shown(data), expected="the row as it should be",
                       fix='write {"messages": [...]}, or decide "drop"')  # fmt: skip
    converted = convert(RawRow(file, line, raw, data=data))
    if converted.fault is not None:
        return converted.fault.problem
    if len(converted.records) != 1:
        return Problem(where=f"{file}:{line}: record", found=f"{len(converted.records)} rows in one",
                       expected="one row", fix="write one conversation")  # fmt: skip
    return converted.records[0]
