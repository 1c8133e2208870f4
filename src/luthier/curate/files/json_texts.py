"""One JSON text to a row, and what is said of a text that is none."""

from __future__ import annotations

import json
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import Row

NEAR_CHARACTERS = 20
"""A finding in broken JSON quotes so much around the place where reading stopped."""
_CONTAINERS = (dict, list)
DEEPEST = 200
"""Objects and lists within each other, in a row. Deeper ones are no data, and programs that read them break."""


def row_of(text: str) -> Row:
    """The JSON object that a text holds; BadRow says where it does not parse."""
    try:
        return as_row(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise not_json(text, error) from None


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
    return BadRow("not JSON", field="", found=f"{shown(near)} at {place}",
                  expected=error.msg[0].lower() + error.msg[1:], fix="repair or delete this row")  # fmt: skip


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
