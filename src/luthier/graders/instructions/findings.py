"""What a check of one instruction says, and the form in which every check sees an answer."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

WORD = re.compile(r"\w+")
INNER = r"\w+(?:[-'\u2019]\w+)*"
"""A word with its inner hyphens and apostrophes."""


class Finding(NamedTuple):
    """Whether an answer follows one instruction, and what was found in it."""

    follows: bool
    found: str
    """A few words for people: counts, never text of the answer, and no semicolon (it parts the findings of a grade)."""


def plain(text: str) -> str:
    """The form that is checked: Unicode NFC, line ends as \\n."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def folded(text: str) -> str:
    """The form in which texts are compared where case does not count: `plain`, case folded, NFC again.

    >>> folded("STRASSE") == folded("stra\u00dfe")
    True
    """
    return unicodedata.normalize("NFC", plain(text).casefold())


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores. An apostrophe or hyphen parts words; a sign above or below a letter,
    as Indic vowels are, does not.

    >>> words("Don't re-use it.")
    ['Don', 't', 're', 'use', 'it']
    """
    if not text.isascii():
        text = "".join(sign for sign in text if not unicodedata.category(sign).startswith("M"))
    return WORD.findall(text)


def compared(count: int, relation: str, bound: int, what: str) -> Finding:
    """The finding for a count that must be "at least", or "less than", a bound.

    >>> compared(3, "less than", 3, "words").follows
    False
    """
    assert relation in ("at least", "less than")  # arguments are validated before any check
    return Finding(count >= bound if relation == "at least" else count < bound, f"{count} {what}")


def is_word_at(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is cut out at the ends of words: no word goes on beyond either end of it."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    goes_on_before = _in_word(text[start : start + 1]) and _in_word(before)
    return not goes_on_before and not (_in_word(text[end - 1 : end]) and _in_word(after))


def _in_word(sign: str) -> bool:
    # A vowel sign of Hindi is no \w, yet it belongs to its word.
    return bool(sign) and (sign == "_" or sign.isalnum() or unicodedata.category(sign).startswith("M"))
