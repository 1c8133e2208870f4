"""Tables to raw rows: CSV, TSV, Markdown and Parquet.

A text table of two columns is read as request and answer whatever its header says, and also without a header; with more
columns the header has to name what they hold (or `curate.columns` does).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from luthier.curate.faults import BadRow
from luthier.curate.names import ANSWER_NAMES, CONVERSATION_NAMES, INPUT_NAMES, NESTED_NAMES, PREFERENCE_NAMES, PROMPT_NAMES
from luthier.curate.raw import CutOff, RawLine, RawRow, cut_off, lines_of
from luthier.errors import DataError, Problem

LONGEST_CELL = 2**31 - 1
PARQUET_BATCH_ROWS = 1024
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
class _Cells:
    """One row of a text table, before its columns have names."""

    line: int
    raw: bytes
    cells: tuple[str, ...] = ()
    bad: BadRow | None = None
    num_lines: int = 1


def read_csv(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of a CSV file; comma, semicolon or tab parts the cells, whichever its first line holds most of."""
    return _named(str(path), _csv_cells(path), columns)


def read_tsv(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of a TSV file: one a line; a line break or a tab within a cell is written \\n or \\t."""
    return _named(str(path), _tsv_cells(path), columns)


def read_markdown(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of every table of a Markdown file; `\\|` is a bar and `<br>` a line break."""
    above: RawLine | None = None
    table: list[_Cells] = []
    for line in _uncut(path, table_ends := [False]):
        ...
