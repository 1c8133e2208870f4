"""Cells of the tables on a study's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.recipes.study_report import words as study_words
from luthier.reports import Page

Json = Mapping[str, Any]

NO_BREAK = "\u00a0"


def figure(page: Page, drawn: Mapping[str, tuple[str, str]], name: str) -> None:
    """The figure, if it could be drawn."""
    if name in drawn:
        page.figure(*drawn[name])


def number(found: Json | None, *, is_signed: bool = False) -> str:
    """An estimate for a cell of a table, which must not break within it."""
    return study_words.number(found, is_signed=is_signed).replace(" ", NO_BREAK)


def rounded(value: float | None) -> float | None:
    """A score in as many digits as its items support; rounding errors are no scores."""
    return None if value is None else round(value, 3) + 0.0


def quartiles(found: Json) -> str:
    """The lower and the upper quartile over templates."""
    return "-" if found["q1"] is None else f"{found['q1']:.3f} to {found['q3']:.3f}".replace(" ", NO_BREAK)


def span(numbers: Sequence[int]) -> str:
    """The fewest and the most, once where they are equal."""
    low, high = numbers
    return str(low) if low == high else f"{low} to {high}"
