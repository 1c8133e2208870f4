"""Rows on the data card, as cards of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from luthier.curate.gathered import Gathered
from luthier.curate.outputs import GOES_TO, PREFERENCES
from luthier.reports import Page, Sample
from luthier.reports.marks import matching, shortened
from luthier.reports.page import Marked

SHOWN_ROWS = 3
SHOWN_CHARACTERS = 600
READ_CHARACTERS = 2_000
"""Marks are looked for so far into a text."""
MARKED_CONTEXT = 70


def show_rows(page: Page, table: Gathered, goes_to: np.ndarray) -> None:
    """Some written rows, evenly over all of them, and some pairs of answers."""
    page.heading("Rows as they came out")
    preference = GOES_TO.index(PREFERENCES)
    for rows in (np.flatnonzero(goes_to < preference), np.flatnonzero(goes_to == preference)):
        step = max(1, len(rows) // SHOWN_ROWS)
        samples = [sample_of(table, int(row)) for row in rows[::step][:SHOWN_ROWS]]
        if samples:
            page.samples(samples)


def sample_of(
    table: Gathered, row: int, *, note: str = "", tone: str = "", pattern: re.Pattern[str] | None = None
) -> Sample:
    """A record as a card: its place and what it says, with all marked that `pattern` finds."""
    record = table.record(row)
    said = {"prompt": prompt_of(record)}
    if "chosen" in record:
        said |= {"chosen": record["chosen"], "rejected": record["rejected"]}
    else:
        said["answer"] = answer_of(record)
    parts: list[tuple[str, str | Marked]] = []
    for name, text in said.items():
        is_long = len(text) > SHOWN_CHARACTERS
        if pattern is None or not pattern.search(text):
            parts.append((name, cut(text)))
        else:
            marked = matching(text[:READ_CHARACTERS], pattern)
            parts.append((name, shortened(marked, context=MARKED_CONTEXT) if is_long else marked))
    return Sample(named(table.where(row)) + (f": {note}" if note else ""), tuple(parts), tone)


def prompt_of(record: Mapping[str, Any]) -> str:
    """All before the answer, with roles where more than one user turn stands there."""
    messages = record["prompt"] if "chosen" in record else record["messages"]
    if "chosen" not in record and messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    if len(messages) == 1 and messages[0]["role"] == "user":
        return str(messages[0]["content"])
    return "\n\n".join(f"{message['role']}: {_said(message)}" for message in messages)


def answer_of(record: Mapping[str, Any]) -> str:
    """What is learnt."""
    if "chosen" in record:
        return str(record["chosen"])
    last = record["messages"][-1] if record["messages"] else {"role": ""}
    return _said(last) if last["role"] == "assistant" else str((record.get("targets") or [""])[0])


def named(where: str) -> str:
    """The place of a row by the name of its file: the whole path stands in the table of files.

    >>> named("/data/raw/faq.jsonl:12#2")
    'faq.jsonl:12#2'
    """
    return Path(where).name


def cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """The beginning of a long text, and how long it is."""
    return text if len(text) <= most else f"{text[:most]} ... ({len(text):,} characters)"


def _said(message: Mapping[str, Any]) -> str:
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls", ())]
    return "\n".join(part for part in (str(message["content"]), *calls) if part)
