"""What is wrong with a row, as the ledger counts it and as a person reads it."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.errors import Problem

SHOWN_CHARACTERS = 60
"""A finding quotes at most so much of a row."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row that cannot be used."""

    reason: str
    """A few words, the same for all rows with this fault: the ledger counts by them."""
    problem: Problem


class BadRow(Exception):
    """Ends the reading of one row. It never leaves the package: the row goes to quarantine with the fault it makes."""

    def __init__(self, reason: str, *, field: str, found: str, expected: str, fix: str) -> None:
        """`field` is the place within the row, "messages[2].role", or "" for the row itself."""
        super().__init__(reason)
        self.reason, self.field = reason, field
        self.found, self.expected, self.fix = found, expected, fix

    def fault(self, where: str) -> Fault:
        """The fault of the row at `where`."""
        place = f"{where}: {self.field}" if self.field else where
        problem = Problem(where=place, found=self.found, expected=self.expected, fix=self.fix)
        return Fault(self.reason, problem)


def shown(value: object) -> str:
    """A value as a finding quotes it: on one line, cut when it is long, and its type where that is the point.

    >>> shown("asistant"), shown(4), shown(None)
    ("'asistant'", '4 (int)', 'null')
    """
    if value is None:
        return "null"
    text = repr(value)
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
    return cut if isinstance(value, str) else f"{cut} ({type(value).__name__})"
