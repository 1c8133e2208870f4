"""Rows that cost a model's time, kept on disk so that no later run pays for them again.

They are reused while the key is the same; a grader may change, and the suite may grow, without generating again. Rows
are appended as they are made, so a run that is killed goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from luthier.records import Example, write_records
from luthier.records.jsonl import from_json, to_json
from luthier.runs import write_json

CHUNK_EXAMPLES = 256
"""Examples handed to the model, and lost at most when a run is killed, at a time."""


class Row(Protocol):
    """A record about one example."""

    @property
    def example_id(self) -> str:
        """The example that it is about."""
        ...


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Kept(Generic[RowT]):
    """Rows in the order of the examples, and what making them cost now."""

    rows: list[RowT]
    made: list[RowT]
    """Those that were not on disk."""
    seconds: float
    """Wall time of making them."""


@dataclass(frozen=True, slots=True)
class Shelf(Generic[RowT]):
    """One file of rows, valid for one key."""

    path: Path
    kind: type[RowT]
    key: str
    """Digest of everything but the example that decides a row: model, prompting, sampling."""
    rows_each: int = 1
    """Rows per example."""

    def fill(
        self,
        examples: Sequence[Example],
        make: Callable[[Sequence[Example]], list[RowT]],
        *,
        say: Callable[[str], None],
    ) -> Kept[RowT]:
        """A complete set of rows for the examples; `make` is called only for those that the file lacks."""
        known = self._known()
        missing = [e for e in examples if len(known.get(e.id, [])) != self.rows_each]
        if len(missing) < len(examples):
            say(f"{self.path.stem} | {len(examples) - len(missing)} of {len(examples)} items reused")
        made: list[RowT] = []
        started = time.monotonic()
        for first in range(0, len(missing), CHUNK_EXAMPLES):
            chunk = missing[first : first + CHUNK_EXAMPLES]
            rows = make(chunk)
            expected = [e.id for e in chunk for _ in range(self.rows_each)]
            assert [row.example_id for row in rows] == expected, "rows must follow the order of the examples"
            self._append(rows)
            made += rows
            say(f"{self.path.stem} | {first + len(chunk)} of {len(missing)} items")
        seconds = time.monotonic() - started
        for example in missing:
            known[example.id] = []
        for row in made:
            known[row.example_id].append(row)
        kept = [row for example in examples for row in known[example.id]]
        write_records(self.path, kept)
        return Kept(kept, made, seconds)

    def _known(self) -> dict[str, list[RowT]]:
        """Rows of this key by example. A line that a killed run left half written is made again."""
        if not self.path.is_file() or _read_keys(self.path.parent).get(self.path.name) != self.key:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("")
            write_json(_keys_path(self.path.parent), {**_read_keys(self.path.parent), self.path.name: self.key})
            return {}
        known: dict[str, list[RowT]] = {}
        for line in self.path.read_text(encoding="utf-8").split("\n"):
            try:
                row = from_json(self.kind, json.loads(line))
            except (ValueError, TypeError, KeyError):
                continue
            known.setdefault(row.example_id, []).append(row)
        return known

    def _append(self, rows: Sequence[RowT]) -> None:
        text = "".join(json.dumps(to_json(row), ensure_ascii=False) + "\n" for row in rows)
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            # A line that was cut short would swallow the first of these.
            file.write("\n" + text)


def _keys_path(folder: Path) -> Path:
    return folder / "keys.json"


def _read_keys(folder: Path) -> dict[str, Any]:
    path = _keys_path(folder)
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return data
