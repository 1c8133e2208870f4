"""When a method stops before it has its rows: what the last rounds brought, and what most answers lacked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from luthier.curate.synthesis.rounds import Book

MOST_OF_A_ROUND = 32
"""Requests of a round; the first rounds are smaller, so that few rows cost few requests."""
DRY_ROUNDS = 3
"""After so many rounds without a new request there is no more to be had; nor after so many with MOST_OF_A_ROUND new
requests together, none of which became a row."""


@dataclass(slots=True, kw_only=True)
class Yield:
    """The rounds of one method."""

    book: Book
    of_requests: tuple[str, ...]
    """Kinds of request that ask for new requests."""
    of_rows: tuple[str, ...]
    """Kinds of request that make a row of a new request."""
    fix: str
    """What may bring new requests again."""
    _dry: int = 0
    """Rounds in a row without a new request."""
    _idle: int = 0
    """Rounds that had new requests since the last row."""
    _tried: int = 0
    """New requests in these."""
    _rows: int = 0

    def end_round(self, num_new: int) -> None:
        """Count a round that is through with all its new requests."""
        self._dry = 0 if num_new else self._dry + 1
        if len(self.book.rows) > self._rows:
            self._idle = self._tried = 0
        elif num_new:
            self._idle, self._tried = self._idle + 1, self._tried + num_new
        self._rows = len(self.book.rows)

    def is_over(self) -> bool:
        """Whether to stop; a note in the book then says why."""
        if self._dry >= DRY_ROUNDS:
            rules = Counter({rule: n for rule, n in self.book.proposals.items() if rule != "new"}).most_common(1)
            most = f"rejected: {rules[0][0]} ({rules[0][1]:,})" if rules else self.book.commonest(*self.of_requests)
            self.book.notes.append(f"{DRY_ROUNDS} rounds brought no new request, most often: {most}; {self.fix}")
        elif self._idle >= DRY_ROUNDS and self._tried >= MOST_OF_A_ROUND:
            most = self.book.commonest(*self.of_rows)
            self.book.notes.append(
                f"{self._tried:,} new requests in a row gave no row, most often: {most}; look at rejected.jsonl, "
                "another writer may do better"
            )
        else:
            return False
        return True
