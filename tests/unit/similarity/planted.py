"""Rows made by rule: texts of rare and common words, near-duplicates planted in them, and templates of many kinds."""

from __future__ import annotations

import itertools
import random
from typing import NamedTuple

from bench import near_planting

from luthier.similarity.near import NearText

SYLLABLES = (
    "ba", "ke", "lo", "mi", "nu", "pa", "re", "so", "ti", "vu", "da", "fe", "go", "hi", "ju", "ka", "zu", "sha",
)  # fmt: skip


class Plant(NamedTuple):
    """A row and the near-duplicate made of it, by their numbers."""

    original: int
    copy: int


def vocabulary(rng: random.Random, size: int) -> list[str]:
    """Words that no language has, the first of which are short."""
    words = ["".join(rng.choices(SYLLABLES, k=1 + min(3, number // 40))) for number in range(size * 2)]
    return [word for word in dict.fromkeys(words) if len(word) > 1][:size]


def texts(rng: random.Random, num: int, *, words: list[str], least: int, most: int) -> list[str]:
    """Texts of words that are as unequally frequent as those of a language."""
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    return [" ".join(rng.choices(words, cum_weights=weights, k=rng.randint(least, most))) for _ in range(num)]


def edited(rng: random.Random, text: str, num: int, *, words: list[str]) -> str:
    """The text with `num` words replaced by others, left out, or with one more behind."""
    found = text.split()
    for place in rng.sample(range(len(found)), num):
        found[place] = rng.choice((rng.choice(words), rng.choice(words), "", f"{found[place]} {rng.choice(words)}"))
    return " ".join(" ".join(found).split())


def rows(rng: random.Random, num: int, *, least: int = 30, most: int = 80) -> list[NearText]:
    """Rows that have nothing to do with each other."""
    words = vocabulary(rng, 3_000)
    prompts = texts(rng, num, words=words, least=least, most=most)
    answers = texts(rng, num, words=words, least=least, most=most)
    return [NearText(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]


def with_plants(rng: random.Random, found: list[NearText], num: int) -> tuple[list[NearText], list[Plant]]:
    """The rows and `num` near-duplicates of some of them behind, with 1 to 3 words changed in prompt or answer."""
    words = vocabulary(rng, 3_000)
    plants, more = [], []
    for original in rng.sample(range(len(found)), num):
        row, changed = found[original], rng.randint(1, 3)
        if rng.random() < 0.5:
            copy = NearText(edited(rng, row.prompt, changed, words=words), row.answer)
        else:
            copy = NearText(row.prompt, edited(rng, row.answer, changed, words=words))
        plants.append(Plant(original, len(found) + len(more)))
        more.append(copy)
    return found + more, plants


TEMPLATES: dict[str, list[NearText]] = {
    name: [NearText(row.prompt, row.answer) for row in family] for name, family in near_planting.TEMPLATES.items()
}
"""Rows that differ by design. None of them is a duplicate of another."""
