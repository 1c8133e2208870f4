"""The texts that the card counts words in and looks for bias in: all written rows, or as many as are enough."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from luthier.curate.gathered import Gathered
from luthier.curate.outputs import GOES_TO

MOST_ROWS = 5_000
"""Of more rows those with the smallest ids are read. An id is a hash of what the row says, so this is a random choice
that is the same at every run, and that hardly changes when rows are added."""


SIGNS = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
"""Of Chinese and Japanese."""


class RowText(NamedTuple):
    """What one written row says."""

    row: int
    """The number of its record."""
    prompt: str
    """What system and users say."""
    answer: str
    """The final answer: the first accepted one, or the preferred one."""
    language: str
    """Its code, "" where none is stated."""
    document: str
    """Its first link, "" where it has none: rows with one link are about one thing."""
    prompt_words: int
    answer_words: int


@dataclass(frozen=True, slots=True)
class RowTexts:
    """The rows that were read, in input order."""

    texts: Sequence[RowText]
    num_rows: int
    """How many rows are written in all."""

    @property
    def told(self) -> str:
        """Which rows these are, in words."""
        read = len(self.texts)
        if read == self.num_rows:
            return f"all {read:,} written rows"
        return f"{read:,} of {self.num_rows:,} written rows, chosen by a hash of what they say"


def read_texts(table: Gathered, goes_to: np.ndarray, *, most: int = MOST_ROWS) -> RowTexts:
    """The texts of the records that `goes_to` [N] sends to a file, at most so many."""
    rows = np.flatnonzero(goes_to < len(GOES_TO))
    chosen = rows
    if len(rows) > most:
        ids = table.column("id")[rows]
        chosen = np.sort(rows[np.lexsort((rows, ids))[:most]])
    return RowTexts([_text(int(row), table.record(int(row))) for row in chosen], len(rows))


def words_in(text: str) -> list[str]:
    """The words that `num_words` counts, in no order."""
    if text.isascii():
        return text.split()
    return [*SIGNS.findall(text), *SIGNS.sub(" ", text).split()]


def num_words(text: str) -> int:
    """Words between blanks; of scripts that write none, such as Chinese, each sign counts.

    >>> num_words("When do you open?"), num_words("\u4f60\u597d"), num_words("")
    (4, 2, 0)
    """
    if text.isascii():
        return len(text.split())
    found, signs = SIGNS.subn(" ", text)
    return signs + len(found.split())


def _text(row: int, record: Mapping[str, Any]) -> RowText:
    messages = record.get("prompt") or record.get("messages", [])
    asked = "\n".join([message["content"] for message in messages if message["role"] in ("user", "system")])
    answer = record["chosen"] if "chosen" in record else (record.get("targets") or [""])[0]
    link = (record.get("links") or [""])[0]
    return RowText(row, asked, answer, record.get("language") or "", link, num_words(asked), num_words(answer))
