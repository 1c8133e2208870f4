"""Two halves of the items: one to look at, and one that nobody looks at until it confirms what was found.

A hash decides: of the item's id, or of its first link, where it has one (a row that it was made of, a document, a
conversation), so that what belongs together stands on one side. An item stays on its side whatever else is evaluated
with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, NamedTuple

from luthier.records import Example
from luthier.tasks.task import SOURCE_LINK

Half = Literal["look", "confirm"]
SALT = "luthier error analysis"


class Halves(NamedTuple):
    """The items of either side, each in the order given."""

    look: tuple[Example, ...]
    """Weaknesses are sought here, and proposed rows are made of these alone."""
    confirm: tuple[Example, ...]
    """Read once, to confirm; no proposed row is made of these."""


def half_of(item: Example) -> Half:
    """The side of an item: the first bit of sha256(salt, what it belongs to)."""
    key = next(iter(own_links(item)), item.id)
    return "look" if hashlib.sha256(f"{SALT} {key}".encode()).digest()[0] & 1 else "confirm"


def own_links(item: Example) -> list[str]:
    """Its links in order, but for the source that a whole task was made of: that is no reason to part items."""
    return sorted(link for link in item.links if not link.startswith(SOURCE_LINK))


def halves(items: Iterable[Example]) -> Halves:
    """Every item on its side."""
    sides: dict[Half, list[Example]] = {"look": [], "confirm": []}
    for item in items:
        sides[half_of(item)].append(item)
    return Halves(tuple(sides["look"]), tuple(sides["confirm"]))
