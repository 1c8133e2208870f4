"""The record of a row: what every shape ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from luthier.curate.files.raw import Row
from luthier.curate.shapes.fields import rest_of
from luthier.records import Example, Message, Preference

Record = Example | Preference

EXAMPLE_REST = (
    "choices", "grading", "task", "cluster", "template", "language", "links", "license", "licence", "generator"
)  # fmt: skip
PREFERENCE_REST = ("task", "cluster", "template", "language", "links", "license", "licence", "generator")


class Given(NamedTuple):
    """What a record gets that its row does not say."""

    where: str
    """The row's place; the source of its record."""
    licence: str | None

    def part(self, index: int) -> Given:
        """The same for record `index` of a row that gives several: "rows.jsonl:12", then "rows.jsonl:12#2"."""
        return self if index == 0 else Given(f"{self.where}#{index + 1}", self.licence)


def example(
    row: Row,
    messages: Sequence[Message],
    given: Given,
    *,
    targets: Sequence[str] = (),
    tools: Sequence[Mapping[str, Any]] = (),
    source: str = "",
) -> Example:
    """The example of these messages, with all else that the row says."""
    rest = rest_of(row, EXAMPLE_REST)
    if given.licence is not None and "licence" not in rest:
        rest["licence"] = given.licence
    return Example.of(messages, targets=targets, tools=tools, source=source or given.where, **rest)


def preference(
    row: Row, prompt: Sequence[Message], given: Given, *, chosen: str, rejected: str, origin: str, source: str
) -> Preference:
    """The preference between these answers, with all else that the row says."""
    rest = rest_of(row, PREFERENCE_REST)
    if given.licence is not None and "licence" not in rest:
        rest["licence"] = given.licence
    return Preference.of(prompt, chosen=chosen, rejected=rejected, origin=origin, source=source or given.where, **rest)


def source_of(row: Row) -> str:
    """The source that a record of ours states."""
    source = row.get("source")
    return source if isinstance(source, str) else ""
