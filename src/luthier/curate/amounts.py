"""Counts as people say them: one row is, two rows are."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """The count and its noun; `many` where the plural is not `one` with an s.

    >>> counted(1, "row"), counted(12_000, "row"), counted(0, "row")
    ('1 row', '12,000 rows', '0 rows')
    """
    return f"{count:,} {word(count, one, many)}"


def word(count: int, one: str, many: str = "") -> str:
    """The noun or verb that goes with a count.

    >>> word(1, "has", "have"), word(2, "has", "have")
    ('has', 'have')
    """
    return one if count == 1 else many or f"{one}s"
