"""A suite: the items that models are examined on, each once, with a digest that names exactly them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luthier.errors import DataError, Problem
from luthier.records import Example, content_id


@dataclass(frozen=True, slots=True)
class Suite:
    """Named items. Two evaluations are comparable item by item when their suites overlap."""

    name: str
    examples: tuple[Example, ...]
    digest: str
    """Changes with any item or its grading, not with their order."""
    num_repeats: int = 0
    """Items left out because the same item came before."""

    @classmethod
    def of(cls, name: str, examples: Iterable[Example]) -> Suite:
        """A suite of these items; one that comes twice is examined once, since items are paired by id."""
        given = list(examples)
        kept = {example.id: example for example in reversed(given)}
        unique = tuple(kept[item_id] for item_id in dict.fromkeys(e.id for e in given))
        if not unique:
            raise DataError(
                "there is nothing to evaluate on",
                [Problem(where=name, found="no items", expected="at least one", fix="check the files of the suite")],
            )
        parts = sorted(content_id(e.id, dict(e.grading), e.task, e.cluster) for e in unique)
        return cls(name, unique, content_id("suite", parts), len(given) - len(unique))
