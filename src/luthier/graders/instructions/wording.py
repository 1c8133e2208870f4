"""Language, case and commas."""

from __future__ import annotations

import re
from collections import Counter

from luthier.graders.instructions.findings import Finding, compared, plain
from luthier.languages import UNDETERMINED, identify

COMMAS = ",\uff0c\u060c\u3001\ufe50\ufe51\uff64"
"""The comma, and those of Chinese, Japanese and Arabic writing."""

_CAPITAL_WORD = re.compile(r"\w+(?:[-'\u2019./&]\w+)*")

_MARKUP = re.compile(r"\[[^\[\]\n]*\]|[*#<>\[\]{}|_]+")
_PIECE = re.compile(r"\S.{0,400}\S*", re.DOTALL)


def response_language(text: str, *, language: str) -> Finding:
    """Most of the answer is in this language (ISO 639-1), as `luthier.languages` tells it piece by piece.

    One whose language nobody could tell ("42") does not follow: nothing shows that it does.
    """
    code = main_language(text)
    return Finding(code == language.strip().lower().partition("-")[0], f"language {code}")


def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: str) -> Finding:
    """So many words in capital letters, "A" and "I" among them; inner hyphens, apostrophes, dots and slashes join."""
    count = sum(word.isupper() for word in _CAPITAL_WORD.findall(plain(text)))
    return compared(count, capital_relation, capital_frequency, "words in capitals")


def english_capital(text: str) -> Finding:
    """No small letter, at least one capital, and no other language than English."""
    return _english(text, has_case=plain(text).isupper(), case="capitals")


def english_lowercase(text: str) -> Finding:
    """No capital letter, at least one small one, and no other language than English."""
    return _english(text, has_case=plain(text).islower(), case="small letters")


def no_comma(text: str) -> Finding:
    """No comma, of any script; the comma of 1,000 is one."""
    count = sum(text.count(comma) for comma in COMMAS)
    return Finding(not count, f"{count} commas")


def main_language(text: str) -> str:
    """The language of the most letters, found in pieces of a few hundred characters; "und" where none could be told.

    [Placeholders] and signs of markup say nothing of the language, and are passed over.
    """
    shares: Counter[str] = Counter()
    for piece in _PIECE.findall(_MARKUP.sub(" ", plain(text))):
        shares[identify(piece).code] += sum(map(str.isalpha, piece))
    del shares[UNDETERMINED]
    return max(shares, key=lambda code: shares[code], default=UNDETERMINED)


def _english(text: str, *, has_case: bool, case: str) -> Finding:
    if not has_case:
        return Finding(False, f"not all {case}")
    code = main_language(text.lower())
    # A word or two ("ok.") are of no language that could be told; here that is no fault, since English is what all
    # requests are in and the case is what is asked for.
    return Finding(code in ("en", UNDETERMINED), f"all {case}, language {code}")
