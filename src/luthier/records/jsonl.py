"""Records on disk: one JSON object per line, the version in a sidecar, so that FILE:LINE stays true."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson

from luthier.errors import DataError, Problem
from luthier.records.nouns import Message
from luthier.records.whole_files import write_text_whole, write_whole

RecordT = TypeVar("RecordT")

FORMAT_VERSION = 1
"""Goes into FILE.version.json; raised when a reader of today's files would misread yesterday's."""
FREE_FIELDS = frozenset({"grading", "tools", "logprobs", "value"})
"""Fields in which NaN, infinity and numbers beyond 64 bits may stand, which orjson does not write."""
# A search for one string in bytes in which all digits are alike is ten times faster than a regular expression.
_DIGITS_ALIKE = bytes(0x30 if 0x30 <= code <= 0x39 else 0x20 for code in range(256))
_LONG_NUMBER = b"0" * 19


def parse_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8 as `json.loads` has it: NaN, lone surrogates, numbers of any size.

    Raises ValueError, or RecursionError when it is nested too deep. orjson is three times faster than the standard
    library and reads the same, but for numbers beyond 64 bits, of which it makes floats, and what it refuses.
    """
    try:
        value = orjson.loads(data)
    except ValueError:
        return json.loads(data.decode("utf-8"))
    return json.loads(data) if has_long_number(data) else value


def has_long_number(data: bytes) -> bool:
    """Whether a JSON text holds so many digits on end that orjson may make a float of a whole number."""
    return _LONG_NUMBER in data.translate(_DIGITS_ALIKE)


def to_json(record: Any) -> dict[str, Any]:
    """The record as a JSON object; fields that hold their default are left out."""
    data: dict[str, Any] = {}
    for name, default in _defaults(record.__class__).items():
        value = getattr(record, name)
        if value != default:
            data[name] = _plain(value)
    return data


def to_bytes(record: Any) -> bytes:
    """The record as a line of a file, its end included."""
    data = to_json(record)
    if data.keys().isdisjoint(FREE_FIELDS):
        return orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)
    return (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8")


def from_json(kind: type[RecordT], data: dict[str, Any]) -> RecordT:
    """The record that `to_json` wrote. Raises TypeError or KeyError when `data` is not one."""
    values = dict(data)
    unknown = values.keys() - _defaults(cast(Any, kind)).keys()
    if unknown:
        raise KeyError(f"unknown field {min(unknown)!r}")
    for name in ("messages", "prompt"):
        if name in values:
            values[name] = tuple([_message(turn) for turn in values[name]])
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return kind(**values)


def write_records(path: Path, records: Iterable[Any]) -> int:
    """Write one record a line, whole or not at all; returns how many."""
    count = 0
    kind = None

    def lines() -> Iterator[bytes]:
        nonlocal count, kind
        for record in records:
            kind = kind or type(record).__name__
            count += 1
            yield to_bytes(record)

    write_whole(path, lines())
    said = json.dumps({"record": kind, "version": FORMAT_VERSION, "rows": count})
    write_text_whole(path.with_name(path.name + ".version.json"), said + "\n")
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
                yield from_json(kind, parse_json(line))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise DataError(
                    f"{path} is not a file of {kind.__name__} records",
                    [Problem(where=f"{path}:{number}", found=str(error), expected=f"one {kind.__name__} as JSON",
                             fix="repair the line, or run `luthier curate` on the file")],
                ) from error  # fmt: skip


@cache
def _defaults(kind: Any) -> Mapping[str, Any]:
    """The fields of a record type and their defaults; an object that nothing equals where there is none."""
    return {
        spec.name: spec.default_factory() if spec.default_factory is not dataclasses.MISSING else spec.default
        for spec in dataclasses.fields(kind)
    }


def _message(turn: Mapping[str, Any]) -> Message:
    if "tool_calls" in turn:
        turn = {**turn, "tool_calls": tuple(turn["tool_calls"])}
    return Message(**turn)


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return to_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
