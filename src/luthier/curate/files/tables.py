"""Text tables to raw rows: CSV, TSV and Markdown.

A text table of two columns is read as request and answer whatever its header says, and also without a header; with more
columns the header has to name what they hold (or `curate.columns` does).
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from luthier.curate.faults import BadRow
from luthier.curate.files.column_names import row_of_columns
from luthier.curate.files.json_texts import is_too_deep
from luthier.curate.files.raw import LONGEST_ROW, CutOff, RawLine, RawRow, cut_off, lines_of
from luthier.curate.names import (
    ANSWER_NAMES,
    CONVERSATION_NAMES,
    INPUT_NAMES,
    NESTED_NAMES,
    PREFERENCE_NAMES,
    PROMPT_NAMES,
)
from luthier.errors import DataError, Problem

MOST_STRAY_QUOTES = 100
"""So often in one CSV file a quote that is never closed costs its own line only; after that, all that it swallows."""
NAME_WORDS = 3
"""A header cell has at most so many words, one of which says what the column holds: "Desired output"."""
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)
# A backslash before anything but n, t or itself is LaTeX or a path: then none in the cell is an escape. Nor is one
# between a blank and a lower-case letter ("3 \times 4").
_FOREIGN_BACKSLASH = re.compile(r"\\(?:[^nt\\]|$)")
_ESCAPE = re.compile(r"(?<=[^\s\\])\\[nt]|(?<!\\)\\[nt](?![a-z])")


@dataclass(frozen=True, slots=True)
class Cells:
    """One row of a text table, before its columns have names."""

    lines: tuple[RawLine, ...]
    """The lines of the file that hold the row."""
    cells: tuple[str, ...] = ()
    bad: BadRow | None = None
    """What is wrong with the row."""
    is_header: bool | None = None
    """None where only the words can tell."""
    begins: bool = False
    """Whether a table begins here, after another in the same file."""

    @property
    def raw(self) -> bytes:
        """The row as it stands in the file."""
        return b"\n".join(line.data for line in self.lines)


def read_csv(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of a CSV file; comma, semicolon or tab parts the cells, whichever its first line holds most of."""
    return named(str(path), _csv_cells(path), columns)


def read_tsv(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of a TSV file: one a line; a line break or a tab within a cell is written \\n or \\t."""
    return named(str(path), _tsv_cells(path), columns)


def read_markdown(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of every table of a Markdown file; `\\|` is a bar and `<br>` a line break."""
    return named(str(path), _markdown_cells(path), columns)


def read_columns(path: Path, *, is_tsv: bool) -> Iterator[RawRow]:
    """The rows of a CSV or TSV file by the names that its header has, whatever they say; every cell is text.

    DataError where the header is broken, or does not give each column a name of its own.
    """
    rows = _tsv_cells(path) if is_tsv else _csv_cells(path)
    try:
        first = next(rows, None)
    except CutOff as cut:
        yield cut_off(str(path), cut.rest.number, cut.rest.data)
        return
    if first is None:
        return
    where = f"{path}:{first.lines[0].number}"
    if first.bad is not None:
        raise DataError("a table has no header", [first.bad.fault(where).problem])
    header = [cell.strip() for cell in first.cells]
    repeated = sorted(name for name, count in Counter(header).items() if count > 1 or not name)
    if repeated:
        found = f"the column {repeated[0]!r} twice" if repeated[0] else "a column without a name"
        raise DataError("a table has no header", [
            Problem(where=where, found=found, expected="a name of its own for each column", fix="write a header line"),
        ])  # fmt: skip
    yield from _rows(str(path), chain([first], rows), lambda cells: (header, True), lambda _, cell: cell)


def named(file: str, rows: Iterator[Cells], columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows with their columns named by the header, or by position."""
    return _rows(file, rows, lambda cells: _header(cells, columns), _value)


def _rows(
    file: str, rows: Iterator[Cells], header_of: Callable[[Sequence[str]], tuple[Sequence[str], bool]],
    value_of: Callable[[str, str], Any],
) -> Iterator[RawRow]:  # fmt: skip
    """The rows; `header_of` some cells says how the columns are named, and whether these cells are a header at all,
    `value_of` a column's name and a cell what the cell holds."""
    names: Sequence[str] = ()
    heads: Sequence[str] = ()
    try:
        for row in rows:
            bad = row.bad
            names = () if row.begins else names
            if bad is None and (row.is_header or not names):
                names, is_header = header_of(row.cells)
                heads = names
                if is_header or row.is_header:
                    heads = row.cells
                    continue
            if bad is None and len(row.cells) != len(names):
                bad = _wrong_count(len(row.cells), len(names))
            line, count = row.lines[0].number, len(row.lines)
            try:
                if bad is not None:
                    raise bad
                data = row_of_columns(heads, names, [value_of(*pair) for pair in zip(names, row.cells, strict=True)])
            except BadRow as found:
                yield RawRow(file, line, row.raw, fault=found.fault(f"{file}:{line}"), num_lines=count)
            else:
                yield RawRow(file, line, b"", data=data, num_lines=count)
    except CutOff as cut:
        yield cut_off(file, cut.rest.number, cut.rest.data)


def _header(cells: Sequence[str], columns: Mapping[str, str]) -> tuple[Sequence[str], bool]:
    """The names of the columns, and whether these cells are a header at all."""
    names = [columns.get(cell.strip()) or "_".join(cell.casefold().split()) for cell in cells]
    held = set(names)
    is_pair = bool(held & {*PROMPT_NAMES, *INPUT_NAMES}) and bool(held & set(ANSWER_NAMES))
    if is_pair or held & {*CONVERSATION_NAMES, *PREFERENCE_NAMES} or len(cells) != 2:
        return names, True
    first, second = (_meaning(cell, columns) for cell in cells)
    is_reversed = (first == "completion" != second) or (second == "prompt" != first)
    return ("completion", "prompt") if is_reversed else ("prompt", "completion"), bool(first or second)


def _meaning(cell: str, columns: Mapping[str, str]) -> str | None:
    """What a column holds by the words of its header: "prompt", "completion", or None when they do not tell."""
    words = re.findall(r"\w+", columns.get(cell.strip(), cell).casefold())
    if len(words) > NAME_WORDS:
        return None
    if any(word in ANSWER_NAMES for word in words):
        return "completion"
    return "prompt" if any(word in (*PROMPT_NAMES, *INPUT_NAMES) for word in words) else None


def _value(name: str, cell: str) -> Any:
    if name in NESTED_NAMES and cell.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        return cell if is_too_deep([value]) else value
    return cell


def _wrong_count(found: int, expected: int) -> BadRow:
    return BadRow("wrong number of cells", field="", found=f"{found} cell{'s' if found != 1 else ''}",
                  expected=f"{expected}, as in the header or the first row",
                  fix='put a cell that holds the separator or a line break in quotes, "..." '
                      "(Markdown: write \\| and <br>; TSV: \\t and \\n)")  # fmt: skip


class _Feed:
    """Lines for csv.reader, which remembers those that the current row took and takes some back."""

    def __init__(self, lines: Iterator[RawLine]) -> None:
        self._lines, self._returned = lines, deque[RawLine]()
        self.taken: list[RawLine] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        return line.data.decode("utf-8", "surrogateescape") + "\n"

    def take_back(self, lines: Sequence[RawLine]) -> None:
        """Give these lines again, before all others."""
        self._returned.extendleft(reversed(lines))


def _csv_cells(path: Path) -> Iterator[Cells]:
    csv.field_size_limit(LONGEST_ROW)
    feed = _Feed(lines_of(path))
    first = next(feed, "")
    feed.take_back(feed.taken)
    reader = csv.reader(feed, delimiter=max(",;\t", key=first.count), strict=True)
    stray_quotes = 0
    while True:
        feed.taken = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if stray_quotes < MOST_STRAY_QUOTES:
                stray_quotes += 1
                feed.take_back(feed.taken[1:])
                del feed.taken[1:]
            yield Cells(tuple(feed.taken), bad=_bad_quotes(error))
        else:
            if cells:
                yield checked(Cells(tuple(feed.taken), tuple(cells)))


def _bad_quotes(error: csv.Error) -> BadRow:
    return BadRow("broken quotes", field="", found=str(error), expected='quoted cells that end with a quote, "..."',
                  fix='write a quote within a quoted cell twice, ""')  # fmt: skip


def _tsv_cells(path: Path) -> Iterator[Cells]:
    for line in lines_of(path):
        if line.data.strip():
            text = line.data.decode("utf-8", "surrogateescape")
            yield checked(Cells((line,), tuple(_tsv_cell(cell) for cell in text.split("\t"))))


def _tsv_cell(cell: str) -> str:
    inner = cell[1:-1]
    if len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        cell = inner.replace('""', '"')
    if _FOREIGN_BACKSLASH.search(cell.replace("\\\\", "")):
        return cell
    return _ESCAPE.sub(lambda found: "\n" if found[0].endswith("n") else "\t", cell)


def _markdown_cells(path: Path) -> Iterator[Cells]:
    above: Cells | None = None
    is_inside = False
    for line in lines_of(path):
        text = line.data.decode("utf-8", "surrogateescape")
        if "|" not in text:
            above, is_inside = None, False
            continue
        row = checked(Cells((line,), _markdown_cells_of(text)))
        if not is_inside and above is not None and _RULE.fullmatch(text) and len(row.cells) == len(above.cells):
            is_inside = True
            yield replace(above, is_header=True)
        elif is_inside:
            yield row
        above = row


def _markdown_cells_of(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    cells = re.split(r"(?<!\\)\|", inner)
    return tuple(_BREAK.sub("\n", cell.strip()).replace("\\|", "|") for cell in cells)


def checked(row: Cells) -> Cells:
    """The row; where its bytes are not UTF-8, with that as what is wrong with it."""
    try:
        for line in row.lines:
            line.text()
    except BadRow as bad:
        return replace(row, bad=bad)
    return row
