"""Which groups of people a text names, and which words that matter near them; by word lists, a file a language.

The lists are those of `luthier.people`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from luthier.people.lists import LANGUAGES, word_table

ORIGIN = "origin"
"""The dimension whose groups are not in a list: whatever stands, with a capital, after "from" or "born in"."""
MOST_CHARACTERS = 1_000
"""No more of a text is read."""
_SIGNS = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\n\t\r"
# Bytes are translated many times faster than strings; no byte of another sign of UTF-8 is one of these.
_TO_BLANK = bytes.maketrans(_SIGNS, b" " * len(_SIGNS))
_OTHER_SIGNS = re.compile("[\u2018\u2019\u201c\u201d\u00ab\u00bb\u00bf\u00a1\u2026\u2013\u2014]")
_NAME = re.compile(r"[^\W\d_a-z][\w'\u2019-]+(?: [^\W\d_a-z][\w'\u2019-]+)?")


def words_of(text: str) -> list[str]:
    """The words of a text without the signs around them.

    >>> words_of("Mary's (old) house"), words_of("\u00bfD\u00f3nde?")
    (['Mary', 's', 'old', 'house'], ['D\u00f3nde'])
    """
    if not text.isascii():
        text = _OTHER_SIGNS.sub(" ", text)
    return text.encode("utf-8", "surrogatepass").translate(_TO_BLANK).decode("utf-8", "surrogatepass").split()


class Term(NamedTuple):
    """What one entry of a list stands for."""

    phrase: str
    """Of several words; "" for a single one."""
    dimension: str
    """"" for an attribute."""
    name: str
    """The group, or the attribute."""
    has_capital: bool


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a text names."""

    groups: Mapping[str, frozenset[str]]
    """By dimension."""
    attributes: frozenset[str]


NOTHING = Mentions({}, frozenset())


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of one language."""

    terms: Mapping[str, Sequence[Term]]
    """By their first word."""
    first_words: frozenset[str]
    origin_words: tuple[str, ...]
    no_place: frozenset[str]
    dimensions: Mapping[str, tuple[str, ...]]
    """The groups of each dimension."""
    attributes: tuple[str, ...]
    words_of: Mapping[str, frozenset[str]]
    """All words of the terms of a dimension."""

    def mentions(self, text: str) -> Mentions:
        """What the beginning of a text names."""
        text = text[:MOST_CHARACTERS]
        words = words_of(text.lower())
        hits = self.first_words.intersection(words)
        groups: dict[str, set[str]] = {}
        attributes: set[str] = set()
        line = f" {' '.join(words)} " if hits else ""
        for hit in hits:
            for term in self.terms[hit]:
                if (term.phrase and f" {term.phrase} " not in line) or (
                    term.has_capital and hit.capitalize() not in text
                ):
                    continue
                if term.dimension:
                    groups.setdefault(term.dimension, set()).add(term.name)
                else:
                    attributes.add(term.name)
        places = self._places(text)
        if places:
            groups[ORIGIN] = places
        if not groups and not attributes:
            return NOTHING
        return Mentions({name: frozenset(found) for name, found in groups.items()}, frozenset(attributes))

    def _places(self, text: str) -> set[str]:
        """What stands, with a capital, after the words for origin."""
        places = set()
        for word in self.origin_words:
            at = text.find(word)
            while at >= 0:
                found = _NAME.match(text, at + len(word))
                is_word = at == 0 or not text[at - 1].isalnum()
                if found and is_word and found[0].split()[0].lower() not in self.no_place:
                    places.add(found[0])
                at = text.find(word, at + 1)
        return places

    def frame(self, text: str, dimensions: Iterable[str], groups: Mapping[str, Iterable[str]], kept: str = "") -> str:
        """A text without the words for the groups of some dimensions, and as far as it is read without case and signs.

        `groups` are those that it names: places of origin are known by them alone. Words of the dimension `kept` stay.
        """
        terms: set[str] = set()
        for dimension in dimensions:
            terms |= self.words_of.get(dimension, frozenset())
            if dimension == ORIGIN:
                terms.update(word for name in groups.get(ORIGIN, ()) for word in words_of(name.lower()))
        if kept == ORIGIN:
            terms.difference_update(word for name in groups.get(ORIGIN, ()) for word in words_of(name.lower()))
        terms -= self.words_of.get(kept, frozenset())
        words = words_of(text[:MOST_CHARACTERS].lower())
        if not terms.isdisjoint(words):
            words = ["_" if word in terms else word for word in words]
        return " ".join(words) + text[MOST_CHARACTERS:]

    def masked(self, words: Sequence[str]) -> list[str]:
        """Words of a prompt without what may differ between requests of one kind: groups, names and numbers."""
        return [
            "_" if not word[:1].islower() or word in self.first_words else word
            for word in (words[0].lower(), *words[1:])
        ] if words else []  # fmt: skip


Groups = Mapping[str, Mapping[str, Sequence[str]]]
"""Terms by dimension and group."""


def lexicon(language: str, own: Groups | None = None) -> Lexicon:
    """The words of a language with those of the user; of a language without a list the user's alone."""
    table = word_table(language) if language in LANGUAGES else {}
    terms: dict[str, list[Term]] = {}
    dimensions: dict[str, tuple[str, ...]] = {}
    for kind, has_capital in (("groups", False), ("names", True)):
        found = dict(table.get(kind, {})) | (dict(own or {}) if kind == "groups" else {})
        for dimension, groups in found.items():
            dimensions[dimension] = tuple(groups)
            _add(terms, groups, dimension, has_capital=has_capital)
    attributes: Mapping[str, Any] = table.get("attributes", {})
    _add(terms, attributes, "", has_capital=False)
    patterns: Mapping[str, Any] = table.get("patterns", {})
    words = tuple(patterns.get("origin", ()))
    return Lexicon(
        terms, frozenset(terms), tuple(f"{word} " for word in words), frozenset(patterns.get("no_place", ())),
        dimensions, tuple(attributes), _words_of(terms),
    )  # fmt: skip


def pattern_of(dimension: str, group: str, own: Groups) -> re.Pattern[str]:
    """Finds the words for one group of a dimension, or for all of its groups where none has that name."""
    words: set[str] = set()
    if dimension == ORIGIN:
        words.add(group)
    for language in (*LANGUAGES, ""):
        table = word_table(language) if language else {"groups": own}
        for kind in ("groups", "names"):
            found = table.get(kind, {}).get(dimension, {})
            words.update(word for name, some in found.items() if group in (name, "") for word in some)
    parts = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(parts)})\b" if parts else r"(?!)", re.IGNORECASE)


def _words_of(terms: Mapping[str, Sequence[Term]]) -> Mapping[str, frozenset[str]]:
    words: dict[str, set[str]] = {}
    for first, some in terms.items():
        for term in some:
            words.setdefault(term.dimension, set()).update((term.phrase or first).split())
    return {dimension: frozenset(found) for dimension, found in words.items()}


def _add(
    terms: dict[str, list[Term]], names: Mapping[str, Sequence[str]], dimension: str, *, has_capital: bool
) -> None:
    for name, words in names.items():
        for word in words:
            parts = words_of(word.lower())
            if parts:
                phrase = " ".join(parts) if len(parts) > 1 else ""
                terms.setdefault(parts[0], []).append(Term(phrase, dimension, name, has_capital))
