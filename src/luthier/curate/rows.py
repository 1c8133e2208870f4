"""Rows as they are: read and checked, never cleaned, merged or dropped. For training, `luthier show`, `luthier new`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.curate.faults import Fault
from luthier.curate.ledger import write_quarantine
from luthier.curate.raw import RawRow
from luthier.curate.reading import check_files, no_rows, read_rows
from luthier.curate.shapes import Converted, convert
from luthier.errors import DataError, Problem
from luthier.records import Example, Message, Preference

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
) -> Rows:
    """The usable rows of the files, in order and unchanged; the others go to the file `quarantine`.

    DataError when a file cannot be used, no row can, or, under `strict`, some row cannot.
    """
    check_files(files)
    records: list[Example | Preference] = []
    quarantined: list[tuple[RawRow, Fault]] = []
    problems: list[Problem] = []
    for path in files:
        is_empty = True
        for row, converted in converted_rows(path, columns=columns):
            is_empty = False
            if converted.record is not None:
                records.append(converted.record)
            elif converted.fault is not None:
                quarantined.append((row, converted.fault))
                problems.append(converted.fault.problem)
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

    LINE may be any line that the row covers. In Parquet and in columns of JSON it is the row's number.
    """
    file, _, number = spec.rpartition(":")
    if not file or not number.isdecimal():
        raise DataError("a row cannot be shown", [
            Problem(where="command line", found=repr(spec), expected="FILE:LINE", fix="for example rows.jsonl:41"),
        ])  # fmt: skip
    path, line = Path(file), int(number)
    check_files([path])
    last = 0
    for row, converted in converted_rows(path, columns=columns):
        last = row.line + row.num_lines - 1
        if row.line <= line <= last:
            return _shown_example(converted)
    raise DataError("a row cannot be shown", [
        Problem(where=spec, found="no row on this line", expected=f"a line up to {last} that holds a row",
                fix="check the line number"),
    ])  # fmt: skip


def recognise(files: Sequence[Path], *, columns: Mapping[str, str] | None = None) -> dict[str, dict[str, int]]:
    """For each file how many rows of each shape it holds, and how many that cannot be used."""
    check_files(files)
    return {
        str(path): dict(Counter(
            converted.shape if converted.fault is None else UNUSABLE
            for _, converted in converted_rows(path, columns=columns)
        ).most_common())
        for path in files
    }  # fmt: skip


def converted_rows(
    path: Path, *, columns: Mapping[str, str] | None = None, licence: str | None = None
) -> Iterator[tuple[RawRow, Converted]]:
    """Each row of a file, and the record or fault that it comes to."""
    for row in read_rows(path, columns):
        yield row, convert(row, licence=licence)


def no_usable_row(problems: Sequence[Problem]) -> DataError:
    """The error of data of which nothing can be used."""
    return DataError("no row of the data can be used", problems)


def strict_error(problems: Sequence[Problem]) -> DataError:
    """The error that `strict` makes of rows that cannot be used."""
    count = f"{len(problems):,} problem{'s' if len(problems) != 1 else ''}"
    return DataError(f"{count} in the data, and `strict` is set", problems)


def _shown_example(converted: Converted) -> Example:
    record = converted.record
    if record is None:
        assert converted.fault is not None
        raise DataError("this row cannot be used", [converted.fault.problem])
    if isinstance(record, Example):
        return record
    turns = (*record.prompt, Message(role="assistant", content=record.chosen))
    return Example.of(turns, source=record.source, task=record.task, licence=record.licence)
