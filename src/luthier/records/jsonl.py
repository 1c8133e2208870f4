"""Records on disk: one JSON object per line, the version in a sidecar, so that FILE:LINE stays true."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from luthier.errors import DataError, Problem
from luthier.records.nouns import Message

RecordT = TypeVar("RecordT")

FORMAT_VERSION = 1
"""Goes into FILE.version.json; raised when a reader of today's files would misread yesterday's."""


def to_json(record: Any) -> dict[str, Any]:
    """The record as a JSON object; fields that hold their default are left out."""
    data: dict[str, Any] = {}
    for spec in dataclasses.fields(record):
        value = getattr(record, spec.name)
        default = spec.default_factory() if spec.default_factory is not dataclasses.MISSING else spec.default
        if value == default:
            continue
        data[spec.name] = _plain(value)
    return data


def from_json(kind: type[RecordT], data: dict[str, Any]) -> RecordT:
    """The record that `to_json` wrote. Raises TypeError or KeyError when `data` is not one."""
    values = dict(data)
    known = {spec.name for spec in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise KeyError(f"unknown field {unknown[0]!r}")
    for name in ("messages", "prompt"):
        if name in values:
            values[name] = tuple(Message(**turn) for turn in values[name])
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return kind(**values)


def write_records(path: Path, records: Iterable[Any]) -> int:
    """Write one record a line, whole or not at all (a temporary file is renamed); returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    count = 0
    kind = None
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            kind = kind or type(record).__name__
            file.write(json.dumps(to_json(record), ensure_ascii=False) + "\n")
            count += 1
    os.replace(temporary, path)
    sidecar = path.with_name(path.name + ".version.json")
    sidecar.write_text(json.dumps({"record": kind, "version": FORMAT_VERSION, "rows": count}) + "\n")
    return count


def read_records(path: Path, kind: type[RecordT]) -> Iterator[RecordT]:
    """The records of a file that `write_records` wrote; DataError names the line that is not one."""
    if not path.is_file():
        raise DataError(
            "a file is missing",
            [Problem(where=str(path), found="no such file", expected=f"a file of {kind.__name__} records",
                     fix="check the path, or run the stage that writes it")],
        )  # fmt: skip
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield from_json(kind, json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{path} is not a file of {kind.__name__} records",
                    [Problem(where=f"{path}:{number}", found=str(error), expected=f"one {kind.__name__} as JSON",
                             fix="repair the line, or run `luthier curate` on the file")],
                ) from error  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return to_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
