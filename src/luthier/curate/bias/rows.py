"""Rows that name groups of people: what they name, what kind of request they are, and what became of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from luthier.curate.bias.words import NOTHING, Groups, Lexicon, Mentions, lexicon, words_of
from luthier.curate.counted_texts import RowText
from luthier.curate.labels.endings import breaks_off
from luthier.people.lists import LANGUAGES, UNSTATED
from luthier.refusals import begins_with_refusal

LAST_WORDS = (16, 10, 7, 5, 3)
FIRST_WORDS = (8, 5, 3)
"""Requests are of one kind if they end, or begin, with so many words in common; the longest run that enough share."""
LEAST_OF_A_KIND = 10
"""Rows that make a kind."""
SHORT_WORDS = 4
"""An answer of no more words is a choice: yes, no, a label."""
CHOICE_SHARE = 0.8
"""A kind of request is answered by choices if so many of its answers are short and no more than half differ."""
TAIL_CHARACTERS = 300
"""The last words of a prompt stand in so many characters."""


@dataclass(slots=True)
class NamingRow:
    """A row that names some group in its prompt or its answer."""

    text: RowText
    words: Lexicon
    """Of its language."""
    prompt: Mentions
    answer: Mentions
    choice: str
    """A short answer, without case and signs; "" for a longer one."""
    is_refusal: bool
    is_cut: bool
    answer_words: int
    prompt_words: int
    keys: tuple[str, ...]
    """The runs of words that its kind of request may be told by, the longest first."""
    frame: str
    """The prompt without the words for any group that it names."""
    kind: str = ""
    is_repeated: bool = False
    """Another row has the same frame: the two may be twins."""


@dataclass(frozen=True, slots=True)
class NamingRows:
    """All rows that name a group, each with its kind, and what was not looked at."""

    rows: Sequence[NamingRow]
    kinds: np.ndarray
    """[N] numbers of kinds."""
    is_choice: np.ndarray
    """[N] bool: the kind is answered by choices."""
    is_short: np.ndarray
    """[N] bool: of its kind, the answer has fewer words than half of the others."""
    lexicons: Sequence[Lexicon]
    num_looked_at: int
    num_unread: int
    """Rows in a language without a list of words."""
    num_repeated: int
    """Rows left out because another with the same link, a document or a user, stands for them."""


def naming_rows(texts: Sequence[RowText], own: Groups) -> NamingRows:
    """Those of the rows that name a group of people. Of rows with one link the first counts: they are about one thing,
    and tests need rows that do not depend on each other."""
    lexicons: dict[str, Lexicon] = {}
    rows: list[NamingRow] = []
    seen: set[str] = set()
    unread = repeated = 0
    for text in texts:
        language = text.language or UNSTATED
        if language not in LANGUAGES and not own:
            unread += 1
            continue
        if text.document in seen:
            repeated += 1
            continue
        if text.document:
            seen.add(text.document)
        if language not in lexicons:
            lexicons[language] = lexicon(language, own)
        row = _naming(text, lexicons[language])
        if row is not None:
            rows.append(row)
    tell_kinds(rows)
    frames = Counter(row.frame for row in rows)
    for row in rows:
        row.is_repeated = frames[row.frame] > 1
    names = {kind: number for number, kind in enumerate(dict.fromkeys(row.kind for row in rows))}
    kinds = np.array([names[row.kind] for row in rows], np.int64)
    return NamingRows(
        rows, kinds, _answered_by_choice(rows, kinds), _shorter(rows, kinds), list(lexicons.values()),
        len(texts) - unread - repeated, unread, repeated,
    )  # fmt: skip


def tell_kinds(rows: Sequence[NamingRow]) -> None:
    """Fill in the kind of each row: the longest run of words that enough rows have, else its language and length."""
    counts = Counter(key for row in rows for key in row.keys)
    for row in rows:
        shared = (key for key in row.keys if counts[key] >= LEAST_OF_A_KIND)
        size = round(math.log2(1 + row.prompt_words))
        row.kind = next(shared, f"{row.text.language} {size}")


def _naming(text: RowText, words: Lexicon) -> NamingRow | None:
    prompt, answer = words.mentions(text.prompt), words.mentions(text.answer) if text.answer else NOTHING
    if not prompt.groups and not answer.groups:
        return None
    length = text.answer_words
    choice = " ".join(words_of(text.answer.lower())) if 0 < length <= SHORT_WORDS else ""
    return NamingRow(
        text, words, prompt, answer, choice, begins_with_refusal(text.answer), breaks_off(text.prompt, text.answer),
        length, text.prompt_words, _keys(text.prompt, words),
        words.frame(text.prompt, prompt.groups, prompt.groups) if prompt.groups else text.prompt,
    )  # fmt: skip


def _keys(prompt: str, words: Lexicon) -> tuple[str, ...]:
    head = words.masked(words_of(prompt[:TAIL_CHARACTERS])[: max(FIRST_WORDS)])
    tail = words.masked(["_", *words_of(prompt[-TAIL_CHARACTERS:])[-max(LAST_WORDS) :]])[1:]
    runs = [(size, "ends", tail[-size:]) for size in LAST_WORDS]
    runs += [(size, "begins", head[:size]) for size in FIRST_WORDS]
    found = sorted(((size, side, run) for size, side, run in runs if len(run) == size), key=lambda run: -run[0])
    return tuple(f"{side} {' '.join(run)}" for _, side, run in found if any(word != "_" for word in run))


def _answered_by_choice(rows: Sequence[NamingRow], kinds: np.ndarray) -> np.ndarray:
    answers: dict[int, list[str]] = {}
    for row, kind in zip(rows, kinds.tolist(), strict=True):
        answers.setdefault(kind, []).append(row.choice)
    is_choice = {
        kind: len(said) > 1 and sum(map(bool, said)) >= CHOICE_SHARE * len(said) and len(set(said)) <= len(said) / 2
        for kind, said in answers.items()
    }
    return np.array([is_choice[kind] for kind in kinds.tolist()], bool)


def _shorter(rows: Sequence[NamingRow], kinds: np.ndarray) -> np.ndarray:
    lengths = np.array([row.answer_words for row in rows], np.int64)
    is_short = np.zeros(len(rows), bool)
    order = np.argsort(kinds, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
        if len(some):
            is_short[some] = lengths[some] < np.median(lengths[some])
    return is_short
