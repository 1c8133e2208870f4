"""What the columns of a row are called: in their file, and by the user's names. None is lost to another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow
from luthier.curate.files.raw import RawRow


def renamed(row: RawRow, columns: Mapping[str, str], *, heads: Sequence[str] | None = None) -> RawRow:
    """The row with the user's names for its columns; a fault where two of them would have one name.

    `heads` are the columns' names in the file, where these are not the keys of the row's data.
    """
    assert row.data is not None
    heads = list(row.data) if heads is None else heads
    try:
        data = row_of_columns(heads, [columns.get(head, head) for head in heads], list(row.data.values()))
    except BadRow as bad:
        raw = row.raw or json.dumps(row.data, default=str).encode()
        return row._replace(raw=raw, data=None, fault=bad.fault(row.where))
    return row._replace(data=data)


def row_of_columns(heads: Sequence[str], names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The values of a row by the names of their columns; `heads` are the names in the file.

    BadRow where two columns of one name hold something. One that holds nothing gives way, and columns without a name
    are read by nobody.
    """
    if len(set(names)) == len(names):
        return dict(zip(names, values, strict=True))
    row: dict[str, Any] = {}
    held_by: dict[str, str] = {}
    for head, name, value in zip(heads, names, values, strict=True):
        if not name or value is None or value == "":
            row.setdefault(name, value)
        elif name in held_by:
            raise _two_columns(name, held_by[name], head)
        else:
            row[name], held_by[name] = value, head
    return row


def names_apart(heads: Sequence[str]) -> list[str]:
    """Names that differ, for columns of which some have one name in the file.

    >>> names_apart(["prompt", "completion", "completion"])
    ['prompt', 'completion', 'completion (2)']
    """
    names: list[str] = []
    for head in heads:
        count, name = 1, head
        while name in names:
            count += 1
            name = f"{head} ({count})"
        names.append(name)
    return names


def _two_columns(name: str, first: str, second: str) -> BadRow:
    return BadRow("two columns of one name", field="", found=f"two columns are {name}: {first!r} and {second!r}",
                  expected="a name of its own for each column",
                  fix="rename one of the two in the file, or give it another name in curate.columns")  # fmt: skip
