"""JSON files to raw rows: objects line by line, a list of objects, an object of columns, or one object.

Which of these a file holds is seen from its content, since all of them are found under .json and under .jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from luthier.curate.faults import BadRow
from luthier.curate.files.json_texts import Pairs, as_row, may_name_a_key_twice, not_json, row_of
from luthier.curate.files.json_values import value_rows
from luthier.curate.files.raw import (
    KEPT_OF_LONG,
    LONGEST_ROW,
    CutOff,
    RawLine,
    RawRow,
    Row,
    bytes_of,
    cut_off,
    first_bytes,
    lines_of,
    lines_within,
    not_utf8,
    text_of,
)
from luthier.curate.files.unpacking import PACKED
from luthier.curate.names import DEFINITION_NAMES, PROMPT_NAMES, ROW_LIST_NAMES
from luthier.records.jsonl import has_long_number, parse_json


def read_json(path: Path) -> Iterator[RawRow]:
    """The rows of a JSON file, of any of the four kinds."""
    if holds_lines(path):
        return _line_rows(path)
    return value_rows(path, is_list=True) if first_bytes(path).startswith(b"[") else _object_rows(path)


def holds_lines(path: Path) -> bool:
    """Whether a JSON file holds one row a line."""
    head, is_json = first_bytes(path), Path(bare_name(path)).suffix == ".json"
    if head.startswith(b"{" if is_json else b"["):
        return _is_cut_by_lines(path)
    return not head.startswith(b"[")


def bare_name(path: Path) -> str:
    """The name of a file in small letters, without the suffix of its compression."""
    name = path.name.lower()
    return next((name.removesuffix(suffix) for suffix in PACKED if name.endswith(suffix)), name)


def read_json_lines(path: Path, *, start: int, end: int, first_line: int) -> Iterator[RawRow]:
    """The rows in a range of bytes of an uncompressed file of JSON lines; it begins and ends between two lines."""
    return _line_rows(path, lines_within(path, start=start, end=end, first_line=first_line))


def _line_rows(path: Path, lines: Iterator[RawLine] | None = None) -> Iterator[RawRow]:
    file = str(path)
    try:
        for line in lines_of(path) if lines is None else lines:
            # What orjson reads differs from json in long numbers alone, and holds no half of a surrogate pair.
            try:
                row = orjson.loads(line.data)
                if type(row) is not dict or [value for value in row.values() if type(value) is not str]:
                    row = as_row(row)
                    if has_long_number(line.data):
                        raise ValueError
                if line.num_bytes or may_name_a_key_twice(line.data, row):
                    raise ValueError
            except (ValueError, BadRow):
                if line.data.strip():
                    yield _read_slowly(file, line)
            else:
                yield RawRow(file, line.number, line.data, row, None, 1, True)
    except CutOff as cut:
        yield cut_off(file, cut.rest.number, cut.rest.data)


def _read_slowly(file: str, line: RawLine) -> RawRow:
    """A line with a long number or a key that may stand twice, or a broken one: read by the parser that says so."""
    try:
        return RawRow(file, line.number, line.data, row_of(line.text()))
    except BadRow as bad:
        return RawRow(file, line.number, line.data, fault=bad.fault(f"{file}:{line.number}"))


def _object_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a .json file that begins with an object and does not hold one a line."""
    text = text_of(path)
    start = text.index("{")
    pairs = Pairs()
    try:
        value, end = json.JSONDecoder(object_pairs_hook=pairs.as_object).raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return iter([_whole_row(path, text, start, not_json(text, error))])
    if text[end:].strip():
        return value_rows(path, is_list=False)
    if pairs.fault is not None:
        return iter([_whole_row(path, text, start, pairs.fault)])
    rows = _rows_within(path, value)
    return rows if rows is not None else iter([_whole_row(path, text, start, value)])


def _is_cut_by_lines(path: Path) -> bool:
    """Whether the first line that is not blank is a whole value, and not the last such line."""
    try:
        lines = (line for line in lines_of(path) if line.data.strip())
        first, second = next(lines), next(lines, None)
    except CutOff:
        return False
    try:
        return second is not None and parse_json(first.data) is not None
    except (ValueError, RecursionError):
        return False


def _whole_row(path: Path, text: str, start: int, found: Any) -> RawRow:
    """The one row of a file: its value, or the BadRow that is wrong with it."""
    file, line, data = str(path), 1 + text.count("\n", 0, start), bytes_of(text[start:])
    num_lines = 1 + text.count("\n", start)
    try:
        if isinstance(found, BadRow):
            raise found
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(data, error.start, len(bytes_of(text[:start]))) from None
        return RawRow(file, line, data, as_row(found), num_lines=num_lines)
    except BadRow as bad:
        kept = data if len(data) <= LONGEST_ROW else data[:KEPT_OF_LONG]
        return RawRow(file, line, kept, fault=bad.fault(f"{file}:{line}"), num_lines=num_lines)


def _rows_within(path: Path, value: Mapping[str, Any]) -> Iterator[RawRow] | None:
    """The rows that one object holds, by number: of columns, or of a list beside facts about it; None when it is a row.

    A file of Super-NaturalInstructions holds one task: its definition goes into each row.
    """
    if _is_columns(value):
        cells = zip(*value.values(), strict=True)
        return _numbered(path, (dict(zip(value, row, strict=True)) for row in cells))
    name = next((name for name in ROW_LIST_NAMES if _is_objects(value.get(name))), None)
    definition = next((value[name] for name in DEFINITION_NAMES if value.get(name)), None)
    if name is None or (definition is None and any(other in value for other in PROMPT_NAMES)):
        return None
    if definition is None:
        return _numbered(path, iter(value[name]))
    task = {"definition": definition, "task": Path(bare_name(path)).stem}
    categories = value.get("Categories")
    if isinstance(categories, list) and categories:
        task["cluster"] = categories[0]
    return _numbered(path, ({**task, **instance} for instance in value[name]))


def _numbered(path: Path, rows: Iterator[Row]) -> Iterator[RawRow]:
    for number, row in enumerate(rows, start=1):
        yield RawRow(str(path), number, b"", row)


def _is_columns(value: Mapping[str, Any]) -> bool:
    """Whether an object holds columns: lists of one length. The turns of a single conversation are no column."""
    if not value or not all(isinstance(column, list) for column in value.values()):
        return False
    turns = [column[0] for column in value.values() if column and isinstance(column[0], dict)]
    is_conversation = any("role" in turn or "from" in turn for turn in turns)
    is_list_of_rows = len(value) == 1 and any(name in value for name in ROW_LIST_NAMES) and bool(turns)
    return len({len(column) for column in value.values()}) == 1 and not is_conversation and not is_list_of_rows


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
