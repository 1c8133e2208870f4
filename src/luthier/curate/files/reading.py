"""Files to raw rows, whatever their format: the one door through which data comes in.

A row that cannot be read is a fault, never an exception: the rows around it go on. To read another format, write a
function from a path to raw rows and give its suffix a line in READERS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from luthier.curate.faults import BadRow
from luthier.curate.files.column_names import renamed
from luthier.curate.files.columnar import read_arrow, read_parquet
from luthier.curate.files.html_tables import read_html
from luthier.curate.files.hub import HUB, hub_files, hub_problem, is_hub_name
from luthier.curate.files.json_rows import bare_name, holds_lines, read_json, read_json_lines
from luthier.curate.files.json_texts import row_of
from luthier.curate.files.raw import RawRow
from luthier.curate.files.tables import read_csv, read_markdown, read_tsv
from luthier.curate.files.unpacking import PACKED, is_wide
from luthier.errors import DataError, Problem

SIDE_NAMES = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""Files beside data that describe it."""
SIDE_SUFFIX = ".version.json"
PROSE = frozenset({"readme", "licence", "license", "changelog"})
"""Files about data. A table in one of them is no data."""
SHOWN_NAMES = 5
QUARANTINE_KEYS = ("raw", "reason", "where")
"""A line of quarantine.jsonl has these; the row that it keeps in "raw" is read in its place."""

Reader = Callable[[Path, Mapping[str, str]], Iterator[RawRow]]
"""A file and the user's column names to raw rows."""


def _read_json(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    return _named(read_json(path), columns)


def _named(rows: Iterator[RawRow], columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows with the user's names for their fields; the lines of a quarantine as the rows that they keep."""
    for row in rows:
        if row.data is not None and "raw" in row.data:
            row = _unwrapped(row)
        if columns and row.data is not None:
            row = renamed(row, columns)
        yield row


READERS: Mapping[str, Reader] = {
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".json": _read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
}
WHOLE = (".parquet", ".arrow")
"""Formats that are never compressed as a whole."""


def read_rows(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[RawRow]:
    """The rows of one file, in order. Take files from `data_files`: this expects one that exists and has a reader."""
    return READERS[_suffix(path)](path, columns or {})


def can_be_cut(path: Path) -> bool:
    """Whether ranges of a file's bytes can be read by themselves: it is of JSON lines, in UTF-8 and not compressed."""
    if path.suffix.lower() in PACKED or READERS.get(_suffix(path)) is not _read_json or is_wide(path):
        return False
    return holds_lines(path)


def read_part(path: Path, columns: Mapping[str, str], *, start: int, end: int, first_line: int) -> Iterator[RawRow]:
    """The rows in a range of bytes of a file that `can_be_cut`.

    The range begins with line `first_line` and ends between two lines, or where the file ends.
    """
    return _named(read_json_lines(path, start=start, end=end, first_line=first_line), columns)


def is_readable(path: Path) -> bool:
    """Whether the name of a file says that it holds rows."""
    return _suffix(path) in READERS and not (_suffix(path) in WHOLE and path.suffix.lower() in PACKED)


def _path_problem(path: Path) -> Problem | None:
    """What is wrong with a path that should be a file of rows, seen from its name and its first bytes."""
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        return Problem(where=str(path), found=found, expected="a file that can be read", fix="check the path")
    if not is_readable(path):
        return Problem(where=str(path), found=f"the suffix {''.join(path.suffixes[-2:])!r}",
                       expected=f"one of {', '.join(READERS)}; text also with {' or '.join(PACKED)}",
                       fix="rename the file to say what it holds, or convert it")  # fmt: skip
    suffix = path.suffix.lower()
    if suffix in PACKED and first and not first.startswith(PACKED[suffix]):
        return Problem(where=str(path), found="a file that is not compressed", expected=f"a file packed as {suffix}",
                       fix=f"remove {suffix} from its name")  # fmt: skip
    return None


def data_files(
    paths: Sequence[Path],
    *,
    say: Callable[[str], None] | None = None,
    without: Path | None = None,
    key: str = "",
) -> list[Path]:
    """The files that the paths name, those of a folder in the order of their names; `say` hears what was passed over.

    What lies in the folder `without` is left out of a folder that holds it. DataError that names every path which
    cannot be used, and every file that is named twice; the `key` of the recipe that names them stands before it.
    """
    check_files(paths, without=without, key=key)
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside, others = _inside(path, without)
            files += inside
            if say is not None:
                left_out = f"; left out {without}, where outputs go" if _holds(path, without) else ""
                passed = f"{_passed_over(path, others)}{left_out}"
                say(f"data | {path} | {len(inside):,} file{'s' * (len(inside) != 1)}{passed}")
        elif _is_hub_name(path):
            files += hub_files(path)
        else:
            files.append(path)
    _raise(_named_twice(files), key)
    return files


def check_files(paths: Sequence[Path], *, without: Path | None = None, key: str = "") -> None:
    """DataError that names every path that is missing, not readable, of unknown format, or given twice.

    `without` and `key` as in `data_files`. Needs no network: whether a dataset of the hub exists is seen when it is
    read.
    """
    problems = [problem for path in paths if (problem := _problem(path, without)) is not None]
    _raise([*problems, *_named_twice(paths)], key)


def no_rows(path: Path) -> Problem:
    """What is said of a file in which no row was found."""
    is_empty = not path.stat().st_size
    is_table = _suffix(path) in (".md", ".markdown", ".html", ".htm")
    expected = "a table: a header, a line |---|---|, and rows" if is_table and not is_empty else "at least one row"
    return Problem(where=str(path), found="an empty file" if is_empty else "no rows", expected=expected,
                   fix="leave the file out, or check that it was written to its end")  # fmt: skip


def _raise(problems: Sequence[Problem], key: str = "") -> None:
    if problems:
        named = [replace(one, where=f"{key}: {one.where}") for one in problems] if key else problems
        raise DataError("a data file cannot be used", named)


def _named_twice(paths: Sequence[Path]) -> list[Problem]:
    """Of each file that is named more than once, however its path is written."""
    named: dict[Path, list[Path]] = {}
    for path in paths:
        named.setdefault(path if is_hub_name(path) else Path(os.path.realpath(path)), []).append(path)
    problems = []
    for some in sorted(some for some in named.values() if len(some) > 1):
        others = ", ".join(str(path) for path in dict.fromkeys(some[1:]) if path != some[0])
        found = f"the file {len(some)} times" + (f", also as {others}" if others else "")
        problems.append(Problem(where=str(some[0]), found=found, expected="each file once", fix="name it once"))
    return problems


def _problem(path: Path, without: Path | None = None) -> Problem | None:
    if _is_hub_name(path):
        return hub_problem(path)
    if not path.is_dir():
        return _path_problem(path)
    inside, _ = _inside(path, without)
    if not inside:
        return Problem(where=str(path), found="a folder without files of rows", expected=f"files: {', '.join(READERS)}",
                       fix="name another folder, or the files themselves")  # fmt: skip
    return next((problem for file in inside if (problem := _path_problem(file)) is not None), None)


def _inside(folder: Path, without: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The files of rows in a folder and below it, and the other files; hidden ones, and those of the folder `without`,
    are in neither."""
    apart = without.resolve() if without is not None and _holds(folder, without) else None
    found = sorted(
        path for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not (apart is not None and path.resolve().is_relative_to(apart))
    )  # fmt: skip
    holds_rows = [is_readable(path) and not _is_beside(path) for path in found]
    return [path for path, holds in zip(found, holds_rows, strict=True) if holds], [
        path for path, holds in zip(found, holds_rows, strict=True) if not holds
    ]


def _holds(folder: Path, other: Path | None) -> bool:
    """Whether another folder lies within a folder."""
    return other is not None and other.is_dir() and folder.resolve() in other.resolve().parents


def _is_beside(path: Path) -> bool:
    name = path.name.lower()
    return name in SIDE_NAMES or name.endswith(SIDE_SUFFIX) or name.partition(".")[0] in PROSE


def _passed_over(folder: Path, others: Sequence[Path]) -> str:
    if not others:
        return ""
    names = ", ".join(str(path.relative_to(folder)) for path in others[:SHOWN_NAMES])
    more = f" and {len(others) - SHOWN_NAMES:,} more" if len(others) > SHOWN_NAMES else ""
    return f"; passed over {names}{more}"


def _is_hub_name(path: Path) -> bool:
    return is_hub_name(path) and (str(path).startswith(HUB) or not is_readable(path))


def _suffix(path: Path) -> str:
    return Path(bare_name(path)).suffix


def _unwrapped(row: RawRow) -> RawRow:
    """A line of quarantine.jsonl as the row that it keeps, so that mended rows can be fed back."""
    data = row.data
    assert data is not None
    if not all(key in data for key in QUARANTINE_KEYS) or not isinstance(data["raw"], str):
        return row
    try:
        return row._replace(data=row_of(data["raw"]))
    except BadRow as bad:
        return row._replace(data=None, fault=bad.fault(f"{row.where}: raw"))
