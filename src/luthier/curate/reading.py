"""Files to raw rows, whatever their format: the one door through which data comes in.

A row that cannot be read is a fault, never an exception: the rows around it go on. To read another format, write a
function from a path to raw rows and give its suffix a line in READERS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from luthier.curate.faults import BadRow
from luthier.curate.json_rows import read_json, row_of
from luthier.curate.raw import RawRow
from luthier.curate.tables import read_csv, read_markdown, read_parquet, read_tsv
from luthier.errors import DataError, Problem

QUARANTINE_KEYS = {"where", "reason", "raw"}
"""A line of quarantine.jsonl has these; the row that it keeps in "raw" is read in its place."""

Reader = Callable[[Path, Mapping[str, str]], Iterator[RawRow]]
"""A file and the user's column names to raw rows."""


def _read_json(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    for row in read_json(path):
        row = _unwrapped(row)
        if columns and row.data is not None:
            row = replace(row, data={columns.get(name, name): value for name, value in row.data.items()})
        yield row


READERS: Mapping[str, Reader] = {
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".json": _read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".parquet": read_parquet,
}


def read_rows(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[RawRow]:
    """The rows of one file, in order. Call `check_files` first: this expects a file that exists and has a reader."""
    return READERS[_suffix(path)](path, columns or {})


def check_files(paths: Sequence[Path]) -> None:
    """DataError that names every path that is missing, a folder, not readable, of unknown format, or given twice."""
    problems = [problem for path in paths if (problem := _path_problem(path)) is not None]
    for path in sorted({path for path in paths if paths.count(path) > 1}):
        problems.append(Problem(where=str(path), found=f"the file {paths.count(path)} times", expected="each file once",
                                fix="name it once"))  # fmt: skip
    if problems:
        raise DataError("a data file cannot be used", problems)


def no_rows(path: Path) -> Problem:
    """What is said of a file in which no row was found."""
    is_empty = not path.stat().st_size
    is_table = _suffix(path) in (".md", ".markdown")
    expected = "a table: a header, a line |---|---|, and rows" if is_table and not is_empty else "at least one row"
    return Problem(where=str(path), found="an empty file" if is_empty else "no rows", expected=expected,
                   fix="leave the file out, or check that it was written to its end")  # fmt: skip


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _path_problem(path: Path) -> Problem | None:
    if path.is_dir():
        return Problem(where=str(path), found="a folder", expected="a file", fix="name the files in it")
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        return Problem(where=str(path), found=found, expected="a file that can be read", fix="check the path")
    if _suffix(path) not in READERS or path.name.lower().endswith(".parquet.gz"):
        return Problem(where=str(path), found=f"the suffix {''.join(path.suffixes[-2:])!r}",
                       expected=f"one of {', '.join(READERS)}; all but .parquet also with .gz",
                       fix="rename the file to say what it holds, or convert it")  # fmt: skip
    if path.name.lower().endswith(".gz") and not is_packed and path.stat().st_size:
        return Problem(where=str(path), found="a file that is not compressed", expected="a gzip file",
                       fix="remove .gz from its name")  # fmt: skip
    return None


def _unwrapped(row: RawRow) -> RawRow:
    """A line of quarantine.jsonl as the row that it keeps, so that mended rows can be fed back."""
    if row.data is None or not row.data.keys() >= QUARANTINE_KEYS or not isinstance(row.data["raw"], str):
        return row
    try:
        return replace(row, data=row_of(row.data["raw"]))
    except BadRow as bad:
        return replace(row, data=None, fault=bad.fault(f"{row.where}: raw"))
