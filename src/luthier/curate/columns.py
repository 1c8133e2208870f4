"""The user's names for columns, `curate.columns`, and which of them no file has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Columns(Mapping[str, str]):
    """What the user's columns are here, by their names; it remembers which of them were met.

    A name that no file has is a slip of the pen that would otherwise show only as rows without a request.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` as the recipe has them: {"Frage": "prompt"}."""
        self._names = dict(names)
        self.met: set[str] = set()

    def __getitem__(self, name: str) -> str:
        meaning = self._names[name]
        self.met.add(name)
        return meaning

    def get(self, name: str, default: Any = None, /) -> Any:
        """As of any mapping; asked for every field of every row, so a name that is none of these costs little."""
        if name not in self._names:
            return default
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
