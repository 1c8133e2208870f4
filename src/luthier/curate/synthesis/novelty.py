"""Is this instruction new? ROUGE-L against every older one, exactly, without comparing most of them.

ROUGE-L is the F1 of the longest common subsequence over the words of both (Lin 2004). A subsequence is at most as long
as the words in common, and these are counted for all older texts at once, from lists of the texts that hold each word.
The few that share enough words to come above the limit are compared exactly.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from luthier.graders.overlap import rouge_l_f1, words
from luthier.similarity.words import words_of

SLACK = 1e-9


class Nearest(NamedTuple):
    """The older text that rules a new one out."""

    text: str
    rouge_l: float


class Novelty:
    """Texts seen so far, and whether another is near one of them."""

    def __init__(self, limit: float) -> None:
        """A text whose ROUGE-L with an older one is above the limit, in 0..1, is not new."""
        self.limit = limit
        self.texts: list[str] = []
        self._words: list[list[str]] = []
        self._sizes = array("i")
        self._held: dict[tuple[str, int], array[int]] = {}

    def nearest(self, text: str) -> Nearest | None:
        """The first older text whose ROUGE-L with this one is above the limit; None where it is new."""
        new = rouge_words(text)
        if not new:
            return None
        for number in self._candidates(new):
            value = rouge_l_f1(new, self._words[number])
            if value > self.limit + SLACK:
                return Nearest(self.texts[number], value)
        return None

    def add(self, text: str) -> None:
        """The text is one of the older ones from now on."""
        number = len(self.texts)
        self.texts.append(text)
        self._words.append(rouge_words(text))
        self._sizes.append(len(self._words[-1]))
        for token in _numbered(self._words[-1]):
            self._held.setdefault(token, array("i")).append(number)

    def _candidates(self, new: Sequence[str]) -> list[int]:
        """Older texts that share enough words to come above the limit, in their order."""
        held = [np.frombuffer(self._held[token], np.intc) for token in _numbered(new) if token in self._held]
        if not held:
            return []
        shared = np.bincount(np.concatenate(held), minlength=len(self.texts))
        bound = 2 * shared / (len(new) + np.frombuffer(self._sizes, np.intc))
        found: list[int] = np.flatnonzero(bound > self.limit + SLACK).tolist()
        return found


def rouge_words(text: str) -> list[str]:
    """The words of rouge-score; of a text beyond ASCII, which it would tear apart or lose, words of any script."""
    return words(text) if text.isascii() else [word for word, _, _ in words_of(text)]


def _numbered(tokens: Sequence[str]) -> list[tuple[str, int]]:
    """Each word with how often it came before, so that words shared are elements shared."""
    seen: Counter[str] = Counter()
    found = []
    for token in tokens:
        found.append((token, seen[token]))
        seen[token] += 1
    return found
