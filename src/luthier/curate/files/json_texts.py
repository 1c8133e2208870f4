"""One JSON text to a row, and what is said of a text that is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import Row

NEAR_CHARACTERS = 20
"""A finding in broken JSON quotes so much around the place where reading stopped."""
_CONTAINERS = (dict, list)
_NOTHING: tuple[Any, ...] = (None, "", [], {})
DEEPEST = 200
"""Objects and lists within each other, in a row. Deeper ones are no data, and programs that read them break."""


def row_of(text: str) -> Row:
    """The JSON object that a text holds; BadRow says where it does not parse."""
    try:
        value = json.loads(text, object_pairs_hook=(pairs := Pairs()).as_object)
    except (ValueError, RecursionError) as error:
        raise not_json(text, error) from None
    if pairs.fault is not None:
        raise pairs.fault
    return as_row(value)


@dataclass(slots=True)
class Pairs:
    """Makes objects of their pairs for the parser of the standard library, and sees what stands twice in one."""

    fault: BadRow | None = None
    """Of the last object that names a key twice, both times with a value that holds something: one would be lost."""

    def as_object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        """The object; of a key that stands twice the value that holds something."""
        found = dict(pairs)
        if len(found) < len(pairs):
            found.clear()
            for key, value in pairs:
                if key not in found or found[key] in _NOTHING:
                    found[key] = value
                elif value not in _NOTHING:
                    self.fault = BadRow("two values of one name", field="",
                                        found=f"two values are {shown(key)}: {shown(found[key])} and {shown(value)}",
                                        expected="a name of its own for each value",
                                        fix="rename one of them, or delete it")  # fmt: skip
        return found


def may_name_a_key_twice(data: bytes, row: Row) -> bool:
    """Whether the JSON text of this row, of which a parser has kept one value a key, may name a key twice.

    It counts ends of strings before a colon, which is a microsecond a kilobyte: as many as keys, and there is none. Of
    rows with more, as objects within them or quotes within their texts make, the text is counted that is written anew.
    """
    num_colons = data.count(b'":') + data.count(b'" :')
    if b"\t" in data or b'"  ' in data or b"\\u0022" in data:  # written in a way that hides what is counted
        return True
    if num_colons == len(row):
        return False
    again = orjson.dumps(row)
    return num_colons != again.count(b'":') + again.count(b'" :')


def kept_apart(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, in which a key that stood there before has a number: none is lost.

    >>> kept_apart([("a", 1), ("b", 2), ("a", 3)])
    {'a': 1, 'b': 2, 'a (2)': 3}
    """
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    found.clear()
    for key, value in pairs:
        number, name = 1, key
        while name in found:
            number += 1
            name = f"{key} ({number})"
        found[name] = value
    return found


def as_row(value: Any) -> Row:
    """The value of a JSON text as a row; BadRow when it is no object, or one without end."""
    if not isinstance(value, dict):
        raise BadRow("not an object", field="", found=shown(value), expected="a JSON object, {...}",
                     fix="write the row as an object with named fields")  # fmt: skip
    inner = [item for item in value.values() if type(item) in _CONTAINERS]
    if inner and is_too_deep(inner):
        raise _too_deep()
    return value


def not_json(text: str, error: Exception, *, place: str = "") -> BadRow:
    """The fault of a text that could not be parsed; `place` says where, if the text begins within the row's file."""
    if not isinstance(error, json.JSONDecodeError):
        return _too_deep()
    near = text[error.pos : error.pos + NEAR_CHARACTERS].split("\n", 1)[0]
    if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
        return BadRow("cut off", field="", found="the end of the text within a row", expected="the rest of the row",
                      fix="the file or line was cut: copy it again, or delete this row")  # fmt: skip
    column = f"column {error.colno}"
    place = place or (column if "\n" not in text else f"line {error.lineno}, {column}")
    reason = (error.msg[0].lower() + error.msg[1:]).removesuffix(" at")
    return BadRow("not JSON", field="", found=f"{shown(near)} at {place} ({reason})", expected="one JSON object",
                  fix="repair or delete this row")  # fmt: skip


def _too_deep() -> BadRow:
    return BadRow("not JSON", field="", found="too deep a nesting or too long a number", expected="a JSON object",
                  fix="repair or delete this row")  # fmt: skip


def is_too_deep(level: list[Any]) -> bool:
    """Whether some of these lists and objects hold others more than DEEPEST deep. It must not recurse itself."""
    for _ in range(DEEPEST):
        level = [
            inner for outer in level for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]  # fmt: skip
        if not level:
            return False
    return True
