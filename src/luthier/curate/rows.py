"""Rows as they are: read and checked, never cleaned, merged or dropped. For training, `luthier show`, `luthier new`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.curate.faults import Fault
from luthier.curate.files.raw import RawRow
from luthier.curate.files.reading import check_files, data_files, no_rows, read_rows
from luthier.curate.ledger import write_quarantine
from luthier.curate.shapes.making import Record
from luthier.curate.shapes.recognising import Converted, convert
from luthier.errors import DataError, Problem
from luthier.records import Example, Message, Preference

_SPEC = re.compile(r"(?P<file>.+):(?P<line>\d+)(?:#(?P<number>\d+))?", re.ASCII | re.DOTALL)
UNUSABLE = "unusable"
"""Counted in place of a shape by `recognise`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What some files hold."""

    examples: tuple[Example, ...]
    preferences: tuple[Preference, ...]
    problems: tuple[Problem, ...]
    """One for each row that cannot be used and for each file without rows."""


def read_examples(
    files: Sequence[Path],
    *,
    quarantine: Path | None = None,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> Rows:
    """The usable rows of the files, in order and unchanged; the others go to the file `quarantine`.

    Rows that are marked as bad answers are among the others. `say` hears which files of a folder hold no rows.

    DataError when a file cannot be used, no row can, or, under `strict`, some row cannot.
    """
    records: list[Record] = []
    quarantined: list[tuple[RawRow, Fault]] = []
    problems: list[Problem] = []
    for path in data_files(files, say=say):
        is_empty = True
        for row, converted in converted_rows(path, columns=columns):
            is_empty = False
            fault = converted.fault or _left_out(row, converted)
            if fault is None:
                records += converted.records
            else:
                quarantined.append((row, fault))
                problems.append(fault.problem)
        if is_empty:
            problems.append(no_rows(path))
    if quarantine is not None:
        write_quarantine(quarantine, quarantined)
    if not records:
        raise no_usable_row(problems)
    if strict and problems:
        raise strict_error(problems)
    return Rows(
        examples=tuple(record for record in records if isinstance(record, Example)),
        preferences=tuple(record for record in records if isinstance(record, Preference)),
        problems=tuple(problems),
    )


def row_at(spec: str, *, columns: Mapping[str, str] | None = None) -> Example:
    """The row at FILE:LINE as an example; of a preference its prompt and the chosen answer.

    LINE may be any line that the row covers; in Parquet and in columns of JSON it is the row's number. Of a row that
    holds several conversations it is the first; FILE:LINE#2 is the second.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise DataError("a row cannot be shown", [
            Problem(where="command line", found=repr(spec), expected="FILE:LINE", fix="for example rows.jsonl:41"),
        ])  # fmt: skip
    path, line, number = Path(match["file"]), int(match["line"]), int(match["number"] or 1)
    check_files([path])
    last = 0
    for row, converted in converted_rows(path, columns=columns):
        last = row.line + row.num_lines - 1
        if row.line <= line <= last:
            return _shown_example(converted, spec, number)
    raise DataError("a row cannot be shown", [
        Problem(where=spec, found="no row on this line", expected=f"a line up to {last} that holds a row",
                fix="check the line number"),
    ])  # fmt: skip


def recognise(files: Sequence[Path], *, columns: Mapping[str, str] | None = None) -> dict[str, dict[str, int]]:
    """For each file how many rows of each shape it holds, how many are unusable, and how many a rule drops."""
    return {
        str(path): dict(Counter(
            converted.dropped or (converted.shape if converted.fault is None else UNUSABLE)
            for _, converted in converted_rows(path, columns=columns)
        ).most_common())
        for path in data_files(files)
    }  # fmt: skip


def converted_rows(
    path: Path, *, columns: Mapping[str, str] | None = None, licence: str | None = None
) -> Iterator[tuple[RawRow, Converted]]:
    """Each row of a file, and the records or the fault that it comes to."""
    for row in read_rows(path, columns):
        yield row, convert(row, licence=licence)


def no_usable_row(problems: Sequence[Problem]) -> DataError:
    """The error of data of which nothing can be used."""
    return DataError("no row of the data can be used", problems)


def strict_error(problems: Sequence[Problem]) -> DataError:
    """The error that `strict` makes of rows that cannot be used."""
    count = f"{len(problems):,} problem{'s' if len(problems) != 1 else ''}"
    return DataError(f"{count} in the data, and `strict` is set", problems)


def _left_out(row: RawRow, converted: Converted) -> Fault | None:
    """The fault that training makes of a row which curation would drop."""
    if converted.dropped is None:
        return None
    problem = Problem(where=row.where, found=f"a row {converted.dropped}", expected="an answer to learn from",
                      fix="leave the row out, or pair it with a better answer as chosen and rejected")  # fmt: skip
    return Fault(converted.dropped, problem)


def _shown_example(converted: Converted, spec: str, number: int) -> Example:
    if converted.fault is not None:
        raise DataError("this row cannot be used", [converted.fault.problem])
    if not 1 <= number <= len(converted.records):
        raise DataError("a row cannot be shown", [
            Problem(where=spec, found=f"{len(converted.records)} conversations in this row",
                    expected=f"{number} or more", fix="check the number after #"),
        ])  # fmt: skip
    record = converted.records[number - 1]
    if isinstance(record, Example):
        return record
    turns = (*record.prompt, Message(role="assistant", content=record.chosen))
    return Example.of(turns, source=record.source, task=record.task, licence=record.licence)
