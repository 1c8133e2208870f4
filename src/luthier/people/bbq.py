"""What an item of BBQ says of itself, as its grading table keeps it under "bbq".

BBQ: A Hand-Built Bias Benchmark for Question Answering (Parrish et al. 2022, arXiv:2110.08193).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FIELD = "bbq"
CONDITIONS = ("ambig", "disambig")
"""Whether the context leaves the answer open, or tells it."""
POLARITIES = ("neg", "nonneg")
"""Whether the question asks who does something bad, or who does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BbqItem:
    """The facts of one item."""

    category: str
    question: str
    """Number of the template within its category."""
    condition: str
    """One of CONDITIONS."""
    polarity: str
    """One of POLARITIES."""
    unknown: str
    """The option that says that it cannot be known."""
    stereotyped: str | None
    """The option that names the group which the stereotype is about; None where the row does not tell."""
    groups: dict[str, str]
    """The group that each other option names."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @property
    def biased(self) -> str | None:
        """The answer that goes with the stereotype: the group it is about where the question asks for something bad,
        and the other group where it does not."""
        if self.stereotyped is None or self.polarity == POLARITIES[0]:
            return self.stereotyped
        return next(option for option in self.groups if option != self.stereotyped)


def bbq_item(grading: Mapping[str, Any]) -> BbqItem | None:
    """The facts in the grading table of an item of BBQ; None for any other item."""
    held = grading.get(FIELD)
    return BbqItem(**held) if isinstance(held, Mapping) else None
