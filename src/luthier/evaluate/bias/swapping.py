"""Texts with the words for one group of people replaced by those for another.

Whole words alone are replaced, their case is kept, and nothing else changes but the English articles before them. Where
every word has one partner, swapping twice gives the text that was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from luthier.people.lists import swap_table, word_table

Pairs = Sequence[tuple[str, str]]
FIRST, SECOND = 0, 1
"""The side of a pair that a word stands on."""

_ARTICLE = re.compile(r"\b(an?)([ ]+)$", re.IGNORECASE)
_NEXT_WORD = re.compile(r"[ \t]+([^\W\d_]+)")
_FURTHER_NAME = re.compile(r"[ ]+([^\W\d_])[^\W\d_]+")
_CAPITALISED = re.compile(r"(?<![^\W_])[A-Z][^\W\d_]*[a-z][^\W\d_]*")
_BEGINS = re.compile(
    r"(?:[.!?:;\u2026]['\")\]\u201d\u2019]*\s+|\n\s*|[-*\u2022\u2013\u2014]\s*|['\"(\[\u201c\u2018\u00bf\u00a1]+)$"
)
"""What stands before the first word of a sentence, a line or a quotation, in the last characters before it."""
_BEFORE_CHARACTERS = 12
_NOT_BEFORE, _NOT_AFTER = r"(?<![\w@/-])", r"(?![\w@/-])"
_YOU = ("uk", "eu", "uni", "use")
"""Words that begin so begin with a consonant to the ear."""


class CannotSwap(Exception):
    """A text that is not swapped, with the reason."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """A text after the swap."""

    text: str
    sides: frozenset[int]
    """The sides of what was replaced; empty where nothing was."""


@dataclass(frozen=True, slots=True)
class Partners:
    """What is swapped for what in one language."""

    attribute: str
    sides: tuple[str, str]
    """The groups of the first and of the second words, in words."""
    partner: Mapping[str, tuple[str, int]]
    """By word in lower case: its partner, and its own side."""
    names: frozenset[str]
    """Those of the words that are given names: they need a capital."""
    drawn: Mapping[str, tuple[tuple[str, ...], int]]
    """Names without a partner of their own: those that may take their place, and the side of the name."""
    blocked: re.Pattern[str]
    """Words with which a text is left as it is."""
    has_pronouns: bool
    """Whether English pronouns are swapped with the words."""
    is_english: bool
    spelled: Mapping[str, str]
    """The user's own words as they are written, by their partner as it is written."""
    listed: re.Pattern[str] = field(repr=False)
    """Every word that is replaced, as a whole."""
    loose: re.Pattern[str] = field(repr=False)
    """The same inside other things: addresses, compounds."""


@lru_cache(maxsize=32)
def partners(attribute: str, language: str) -> Partners | None:
    """The list of an attribute that is built in; None where the language has none."""
    table = swap_table(language).get(attribute)
    if table is None:
        return None
    names = [(one, other) for one, other in table.get("names", ())]
    drawn: dict[str, tuple[tuple[str, ...], int]] = {}
    first_names = {sex: list(some) for sex, some in word_table(language)["names"].get("first_name", {}).items()}
    if attribute == "gender":
        named = {name for pair in names for name in pair}
        women, men = ([n for n in first_names[sex] if n not in named] for sex in ("women", "men"))
        names += list(zip(women, men, strict=False))
        count = min(len(women), len(men))
        drawn |= {name: (tuple(men), FIRST) for name in women[count:]}
        drawn |= {name: (tuple(women), SECOND) for name in men[count:]}
    elif attribute == "names":
        for sex, some in first_names.items():
            drawn |= {name: (_names_of_sex(names, sex, first_names), FIRST) for name in some}
    return _made(
        attribute, table["sides"], [*map(tuple, table.get("pairs", ()))], names, drawn,
        one_way=[*map(tuple, table.get("one_way", ()))], blocked=table.get("blocked", ()),
        has_pronouns=attribute == "gender", is_english=language == "en",
    )  # fmt: skip


def own_partners(attribute: str, pairs: Pairs) -> Partners:
    """A list of the user's own, for texts in any language."""
    sides = tuple(", ".join(pair[side] for pair in pairs[:4]) + (" ..." if len(pairs) > 4 else "")
                  for side in (FIRST, SECOND))  # fmt: skip
    spelled = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    # Words that are written with a capital keep it, and are not meant without.
    names = [(one.lower(), other.lower()) for one, other in pairs if one[:1].isupper() and other[:1].isupper()]
    lowered = [(one.lower(), other.lower()) for one, other in pairs]
    others = [pair for pair in lowered if pair not in names]
    return _made(attribute, sides, others, names, {}, is_english=True, spelled=spelled)


def swap_texts(texts: Sequence[str], lists: Partners) -> tuple[list[str], frozenset[int]]:
    """The texts of one item swapped together, and the sides of what was replaced.

    CannotSwap with the reason where the swap is not clear or would change what is asked.
    """
    whole = "\n".join(texts)
    if not lists.listed.search(whole):
        if lists.loose.search(whole):
            raise CannotSwap("a listed word stands inside another one")
        return list(texts), frozenset()
    if lists.blocked.search(whole):
        raise CannotSwap("asks about the words, or about facts of one group")
    chosen = _drawn(whole, lists)
    done = [_swapped(text, lists, chosen) for text in texts]
    sides = frozenset(side for one in done for side in one.sides)
    for text in texts:
        matched = {match.span() for match in _matches(text, lists)}
        others = (match for match in lists.loose.finditer(text) if not _is_lower_name(match[0], lists))
        if any(match.span() not in matched for match in others):
            raise CannotSwap("a listed word stands inside another one")
    if sides and lists.has_pronouns and any(_names_others(text, lists) for text in texts):
        raise CannotSwap("names somebody who is not in the lists")
    return [one.text for one in done], sides


def _made(
    attribute: str, sides: Sequence[str], pairs: Pairs, names: Pairs,
    drawn: Mapping[str, tuple[tuple[str, ...], int]], *, one_way: Pairs = (), blocked: Sequence[str] = (),
    has_pronouns: bool = False, is_english: bool = False, spelled: Mapping[str, str] | None = None,
) -> Partners:  # fmt: skip
    partner = {one: (other, FIRST) for one, other in one_way}
    for one, other in (*pairs, *names):
        partner |= {one: (other, FIRST), other: (one, SECOND)}
    drawn = {name: rest for name, rest in drawn.items() if name not in partner}
    if has_pronouns:
        partner |= {"her": ("", FIRST), "hers": ("his", FIRST), "him": ("her", SECOND), "his": ("", SECOND)}
    words = "|".join(map(re.escape, sorted({*partner, *drawn}, key=lambda word: (-len(word), word))))
    kept = {name for pair in names for name in pair} | drawn.keys()
    stop = "|".join(map(re.escape, blocked))
    return Partners(
        attribute, (sides[FIRST], sides[SECOND]), partner, frozenset(kept), drawn,
        re.compile(rf"\b(?:{stop})\b" if stop else r"(?!)", re.IGNORECASE), has_pronouns, is_english,
        spelled or {},
        listed=re.compile(f"{_NOT_BEFORE}(?:{words}){_NOT_AFTER}", re.IGNORECASE),
        loose=re.compile(rf"(?<![^\W\d_])(?:{words})(?![^\W\d_])", re.IGNORECASE),
    )  # fmt: skip


def _names_of_sex(pairs: Pairs, sex: str, first_names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The second names of a sex: pairs stand in two halves, women first."""
    half = len(pairs) // 2
    some = pairs[:half] if sex == next(iter(first_names)) else pairs[half:]
    return tuple(other for _, other in some)


def _drawn(whole: str, lists: Partners) -> dict[str, str]:
    """For each name without a partner, one that neither stands in the item nor takes another's place."""
    there = list(dict.fromkeys(match[0].lower() for match in lists.listed.finditer(whole) if match[0][0].isupper()))
    taken = {*there, *(lists.partner[word][0] for word in there if word in lists.partner)}
    chosen: dict[str, str] = {}
    for name in there:
        if name not in lists.drawn:
            continue
        pool = lists.drawn[name][0]
        start = sorted(lists.drawn).index(name) % len(pool)
        free = [other for other in (*pool[start:], *pool[:start]) if other not in taken]
        if not free:
            raise CannotSwap("more names than there are to take their place")
        chosen[name] = free[0]
        taken.add(free[0])
    return chosen


def _matches(text: str, lists: Partners) -> Iterable[re.Match[str]]:
    """The words of a text that are replaced."""
    return (match for match in lists.listed.finditer(text) if not _is_lower_name(match[0], lists))


def _is_lower_name(word: str, lists: Partners) -> bool:
    return word.lower() in lists.names and not word[0].isupper()


def _swapped(text: str, lists: Partners, chosen: Mapping[str, str]) -> Swapped:
    parts: list[str] = []
    sides = set()
    end = 0
    for match in _matches(text, lists):
        word = match[0].lower()
        before = text[end : match.start()]
        if word in lists.names and _is_full_name(text, match, lists):
            raise CannotSwap("a full name may be of a known person")
        if word in chosen:
            other, side = chosen[word], lists.drawn[word][1]
        else:
            other, side = lists.partner[word]
            other = other or _possessive(word, text, match)
        other = lists.spelled.get(match[0]) or _in_case_of(match[0], other, is_name=word in lists.names)
        parts += [_with_article(before, match[0], other) if lists.is_english else before, other]
        sides.add(side)
        end = match.end()
    return Swapped("".join([*parts, text[end:]]), frozenset(sides))


@lru_cache(maxsize=1)
def _pronoun_words() -> Mapping[str, frozenset[str]]:
    return {name: frozenset(words) for name, words in swap_table("en")["pronouns"].items()}


def _is_full_name(text: str, match: re.Match[str], lists: Partners) -> bool:
    following = _FURTHER_NAME.match(text, match.end())
    return lists.attribute in ("names", "gender") and following is not None and following[1].isupper()


def _possessive(word: str, text: str, match: re.Match[str]) -> str:
    """The partner of her and of his, which depends on the next word."""
    following = _NEXT_WORD.match(text, match.end())
    has_noun = following is not None and following[1].lower() not in _pronoun_words()["no_noun"]
    if word == "his":
        return "her" if has_noun else "hers"
    previous = re.search(r"([^\W\d_]+)[ \t]+$", text[: match.start()])
    if has_noun and previous is not None and previous[1].lower() in _pronoun_words()["giving"]:
        raise CannotSwap("her could be him or his")
    return "his" if has_noun else "him"


def _in_case_of(word: str, other: str, *, is_name: bool) -> str:
    """`other` in the case of `word`: all capitals, a first capital for each word or for the first, or none."""
    if word.isupper() and len(word) > 1:
        return other.upper()
    words = word.split()
    if is_name or (len(words) > 1 and all(part[0].isupper() for part in words)):
        return " ".join(part[:1].upper() + part[1:] for part in other.split(" "))
    return other[:1].upper() + other[1:] if word[0].isupper() else other


def _with_article(before: str, word: str, other: str) -> str:
    """What stands before a word, with "a" or "an" as its partner wants it; a wrong article stays."""
    found = _ARTICLE.search(before)
    if found is None or _has_vowel(word) is _has_vowel(other) or (found[1].lower() == "an") is not _has_vowel(word):
        return before
    article = found[1][0] + ("" if _has_vowel(word) else "N" if found[1].isupper() and other.isupper() else "n")
    return before[: found.start()] + article + found[2]


def _has_vowel(word: str) -> bool:
    return word[0].lower() in "aeiou" and not word.lower().startswith(_YOU)


def _names_others(text: str, lists: Partners) -> bool:
    """Whether a text names, within a sentence and with a capital, what is in no list: it may be a person, and a pronoun
    may be theirs."""
    for found in _CAPITALISED.finditer(text):
        word = found[0].lower()
        is_known = word in lists.partner or word in lists.drawn or word in _pronoun_words()["nobody"]
        before = text[max(0, found.start() - _BEFORE_CHARACTERS) : found.start()]
        if not is_known and before.strip() and not _BEGINS.search(before):
            return True
    return False
