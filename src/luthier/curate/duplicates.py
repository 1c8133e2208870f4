"""Rows that say the same, and rows that contradict each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from luthier.records import Example, Preference
from luthier.similarity import exact_key, prefix_keys


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the place of the row that it was made of."""

    where: str
    record: Example | Preference
    prompt_key: str
    """Equal for two prompts that a reader cannot tell apart."""
    earlier_keys: tuple[str, ...]
    """Of the prompts of earlier answers in the conversation, which are trained on too."""

    @classmethod
    def of(cls, where: str, record: Example | Preference) -> Placed:
        """The record at `where`, with the keys of its prompts."""
        prompt = record.prompt
        keys = prefix_keys(text for message in prompt for text in (message.role, message.content))[::2]
        is_trained = isinstance(record, Example)
        earlier = (key for key, message in zip(keys, prompt, strict=False) if message.role == "assistant")
        return cls(where, record, keys[-1], tuple(earlier) if is_trained else ())


class Merged(NamedTuple):
    """Rows without duplicates, and which row went into which."""

    kept: list[Placed]
    merged: list[tuple[Placed, Placed]]
    """(the duplicate, the row that it is a duplicate of)."""


def merge_duplicates(rows: Sequence[Placed]) -> Merged:
    """The first of all rows that say the same stays, with the links of all of them."""
    first: dict[str, int] = {}
    kept: list[Placed] = []
    pairs: list[tuple[Placed, int]] = []
    for row in rows:
        index = first.setdefault(_row_key(row), len(kept))
        if index == len(kept):
            kept.append(row)
            continue
        pairs.append((row, index))
        links = tuple(dict.fromkeys((*kept[index].record.links, *row.record.links)))
        if links != kept[index].record.links:
            kept[index] = replace(kept[index], record=replace(kept[index].record, links=links))
    return Merged(kept, [(row, kept[index]) for row, index in pairs])


def conflicts(rows: Iterable[Placed]) -> list[tuple[Placed, ...]]:
    """For each prompt with different answers one row of each. They may be right: they are reported, never dropped."""
    by_prompt: dict[str, list[Placed]] = {}
    for row in rows:
        by_prompt.setdefault(row.prompt_key, []).append(row)
    found = [_by_answer(same) for same in by_prompt.values() if len(same) > 1]
    return [answers for answers in found if len(answers) > 1]


def _by_answer(rows: Sequence[Placed]) -> tuple[Placed, ...]:
    """The first row of each answer."""
    answers: dict[str, Placed] = {}
    for row in rows:
        if isinstance(row.record, Example) and row.record.target is not None:
            answers.setdefault(exact_key([row.record.target]), row)
    return tuple(answers.values())


def _row_key(row: Placed) -> str:
    """Equal for two rows that say and ask the same: prompt, answers, weights, choices and grading."""
    record = row.record
    if isinstance(record, Preference):
        return exact_key(("preference", row.prompt_key, record.chosen, record.rejected))
    weights = " ".join(str(message.loss_weight) for message in record.messages)
    grading = json.dumps(record.grading, sort_keys=True, default=str) if record.grading else ""
    answers = (str(len(record.targets)), *record.targets, *record.choices)
    said = (message.content for message in record.messages[len(record.prompt) :])
    return exact_key(("example", row.prompt_key, weights, grading, *said, *answers))
