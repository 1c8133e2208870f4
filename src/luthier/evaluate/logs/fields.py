"""What the readers of logs share: a line or a file as JSON, a field of the right kind, a score as a number.

Whatever does not fit is a DataError that names file, line and field; `gather` collects those of many rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from luthier.errors import DataError, Problem
from luthier.records import Example, Message, content_id
from luthier.records.jsonl import parse_json

Json = dict[str, Any]
RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")

MOST_SHOWN = 60
"""Characters of a found value in an error."""


def fault(where: str, found: str, expected: str, fix: str) -> DataError:
    """One problem of a log, to be raised."""
    return DataError("the log cannot be read", [Problem(where=where, found=found, expected=expected, fix=fix)])


def shown(value: Any) -> str:
    """A found value in an error: its beginning and its kind."""
    text = repr(value)
    return f"{text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + '...'} ({type(value).__name__})"


def parsed(data: bytes, *, where: str, expected: str) -> Json:
    """The JSON object in `data`; a text that breaks off is called that."""
    try:
        value = parse_json(data)
    except (ValueError, RecursionError) as error:
        whole = data.rstrip().endswith(b"}")
        found = f"no JSON ({error})" if whole else "JSON that breaks off"
        raise fault(where, found, expected, "copy the file again, whole, or write the log again") from None
    if not isinstance(value, dict):
        raise fault(where, shown(value), expected, "name a log, or write it again with a supported version")
    return value


def read_object(path: Path, *, expected: str) -> Json:
    """The JSON object in a file."""
    return parsed(path.read_bytes(), where=str(path), expected=expected)


def lines_of(path: Path, *, expected: str) -> Iterator[tuple[str, Callable[[], Json]]]:
    """The place of each line that is not empty, and what reads it."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, lambda line=line, where=where: parsed(line, where=where, expected=expected)  # type: ignore[misc]


def field(data: Mapping[str, Any], name: str, kind: type[RowT] | tuple[type, ...], *, where: str, fix: str) -> RowT:
    """The field of an object, which must be of the kind; True is no number here."""
    found = data.get(name)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    words = " or ".join(_KINDS.get(k, k.__name__) for k in kinds)
    if name not in data:
        raise fault(f"{where}: {name}", "no such field", words, fix)
    if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
        raise fault(f"{where}: {name}", shown(found), words, fix)
    return found  # type: ignore[return-value]


def inner(data: Any, *names: str) -> Json:
    """The object at a path of fields; empty where there is none, for what a log need not hold."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


_KINDS = {str: "a text", int: "a whole number", float: "a number", dict: "an object", list: "a list", bool: "a yes/no"}


def gather(rows: Iterable[RowT], read: Callable[[RowT], ResultT], *, summary: str) -> list[ResultT]:
    """What `read` makes of each row; DataError with the problems of all rows that it cannot read."""
    done: list[ResultT] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            done.append(read(row))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(summary, problems)
    return done


def unit_value(value: Any) -> float | None:
    """A score in 0..1, or None for one that is not a number. ValueError, saying why, for what a KPI cannot hold."""
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        raise ValueError(f"a value per item is {_KINDS.get(type(value), 'no value')}, not a number")
    if not math.isfinite(value):
        return None
    if not 0 <= value <= 1:
        raise ValueError("a value per item lies outside 0..1")
    return float(value)


def chat_of(content: Any) -> tuple[Message, ...] | None:
    """The turns of a list of {"role", "content"} objects; None when it is no such list."""
    if not isinstance(content, list) or not content:
        return None
    turns = []
    for turn in content:
        if not isinstance(turn, dict) or turn.get("role") not in ("system", "user", "assistant", "tool"):
            return None
        turns.append(Message(role=turn["role"], content=text_of(turn.get("content", ""))))
    return tuple(turns)


def text_of(content: Any) -> str:
    """The text of a turn: itself, or its parts one below the other, those that are no text as JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part["text"]) if isinstance(part, dict) and "text" in part else json.dumps(part)
                         for part in content)  # fmt: skip
    return json.dumps(content)


def suite_facts(items: Mapping[str, Example], name: str, repeats: int) -> Json:
    """What an evaluation's summary says of its suite."""
    return {"name": name, "digest": content_id("log", sorted(items)), "items": len(items), "repeats": repeats}
