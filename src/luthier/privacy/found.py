"""What a detector finds, and the plain form of a text in which it looks."""

from __future__ import annotations

import re
from typing import NamedTuple


class Found(NamedTuple):
    """One piece of personal data in a text."""

    kind: str
    """What it is: "email", "phone", ...; lower case letters and underscores."""
    start: int
    """Where it begins, in characters."""
    end: int
    """Where it ends: `text[start:end]` is the piece."""
    text: str
    """The piece as it stands there."""
    value: str = ""
    """One form for all spellings of the same thing (a phone number with and without blanks); empty: the text itself."""


class Run(NamedTuple):
    """Digits in a row, with at most three blanks, points, hyphens, slashes or brackets between two of them."""

    start: int
    end: int
    num_digits: int


def digit_runs(text: str) -> list[Run]:
    """The runs of at least seven digits, which is where numbers of telephones, cards and persons can stand."""
    return [Run(*match.span(), sum(map(str.isdigit, match[0]))) for match in _RUN.finditer(text)]


def plain_form(text: str) -> str:
    """The text with digits, blanks, hyphens and signs of every script as their ASCII cousins, one for one.

    Offsets stay true. Most texts come back as they are, after a test that costs little.
    """
    return text if text.isascii() else _ODD.sub(_plain_sign, text)


def _plain_sign(match: re.Match[str]) -> str:
    return chr(_PLAIN[ord(match[0])])


def compact(text: str) -> str:
    """The letters and digits alone, in capitals: what spellings of one number have in common."""
    return "".join(sign for sign in text if sign.isalnum()).upper()


def words_nearby(text: str, start: int, end: int, words: re.Pattern[str]) -> bool:
    """Whether one of the words stands shortly before a piece, or right after it."""
    before, after = text[max(0, start - _BEFORE) : start], text[end : end + _AFTER]
    return words.search(before) is not None or words.search(after) is not None


def has_mixed_signs(text: str) -> bool:
    """Whether letters and digits are mixed, as in what a machine made and no word of a language."""
    return any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)


WORD = "A-Za-z0-9_\u00c0-\u0dff"
"""Inside of brackets: letters of scripts that put blanks between words. Han or Thai may touch a number."""

_RUN = re.compile(r"[0-9](?:[ .\-/()]{0,3}[0-9]){6,}")
_BEFORE = 40
_AFTER = 16

_ZEROS = (0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50,
          0x0ED0, 0x0F20, 0x1040, 0x17E0)  # fmt: skip
"""The zero of each script that has digits of its own; the other nine follow it."""
_PLAIN = {zero + digit: ord("0") + digit for zero in _ZEROS for digit in range(10)}
_PLAIN |= {0xFEE0 + code: code for code in range(0x21, 0x7F)}  # full-width forms
_PLAIN |= dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x3000), ord(" "))
_PLAIN |= dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63), ord("-"))
_ODD = re.compile(f"[{''.join(map(chr, sorted(_PLAIN)))}]")
