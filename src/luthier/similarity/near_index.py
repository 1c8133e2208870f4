"""Which of some texts another one is nearly the same as, asked one text at a time.

The rule is that of a certificate (docs/tasks.md), not that of `near`, which judges rows with their answers: two texts
are near if they share 0.7 of all their runs of five words. Its words are its own, too: those of `words` count
brackets of code, emoji and each letter of Thai, which would make other prompts near.

Near texts are found as a set-similarity join with prefix filtering (Chaudhuri, Ganti and Kaushik, ICDE 2006): two sets
as alike as asked for must share one of their rarest members, so only texts that do are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

from luthier.similarity.normal import normal_form

SHINGLE_WORDS = 5
NEAR_JACCARD = 0.7
"""Shared shingles over all shingles of two prompts, from which they are near-duplicates."""
SHORT_WORDS = 8
"""A prompt of fewer words is near to one with the same normal form but for case; its shingles are too few to say."""

# Scripts without blanks between words count by the character. Signs of arithmetic are words: they change what is asked.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[-+*/=<>%^]")

Shingles = frozenset[tuple[str, ...]]


class Near(NamedTuple):
    """A text that another is near to."""

    text: str
    similarity: float
    """Jaccard similarity of the shingles of both; 1 for short texts."""


class NearIndex:
    """Texts, ready to be asked which of them another one is near to."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Index the texts, equal ones once."""
        self.texts = tuple(dict.fromkeys(texts))
        self.by_form: dict[str, list[int]] = {}
        self.sets: list[Shingles] = []
        for number, text in enumerate(self.texts):
            words = _words(text)
            self.by_form.setdefault(normal_form(text).casefold(), []).append(number)
            self.sets.append(_shingles(words) if len(words) >= SHORT_WORDS else frozenset())
        self.counts = Counter(shingle for shingles in self.sets for shingle in shingles)
        self.postings: dict[tuple[str, ...], list[int]] = {}
        for number, shingles in enumerate(self.sets):
            for shingle in self._prefix(shingles):
                self.postings.setdefault(shingle, []).append(number)

    def near_to(self, text: str) -> Iterator[Near]:
        """The texts that this one is near to, in their order; itself too, if it is among them."""
        words = _words(text)
        if len(words) < SHORT_WORDS:
            for number in self.by_form.get(normal_form(text).casefold(), ()):
                yield Near(self.texts[number], 1.0)
            return
        shingles = _shingles(words)
        numbers = {number for shingle in self._prefix(shingles) for number in self.postings.get(shingle, ())}
        size = len(shingles)
        for number in sorted(numbers):
            other = self.sets[number]
            if min(size, len(other)) < NEAR_JACCARD * max(size, len(other)):
                continue
            shared = len(shingles & other)
            similarity = shared / (size + len(other) - shared)
            if similarity >= NEAR_JACCARD:
                yield Near(self.texts[number], similarity)

    def _prefix(self, shingles: Shingles) -> list[tuple[str, ...]]:
        """As many of the rarest as a near set cannot all lack; ties in the order of the alphabet, the same for both."""
        kept = len(shingles) - ceil(NEAR_JACCARD * len(shingles) - 1e-9) + 1
        return sorted(shingles, key=lambda shingle: (self.counts[shingle], shingle))[:kept]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _shingles(words: Sequence[str]) -> Shingles:
    return frozenset(tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1))
