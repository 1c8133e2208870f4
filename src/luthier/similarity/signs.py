"""Which signs of a text are words: those of arithmetic always, those of code only where they stand as code has them.

A bracket, an exclamation mark or a question mark is punctuation in prose and means nothing there. In code it changes
what is asked: `!ready`, `(2-3)*4`, `ready && done`, `C#`. What stands beside it tells which it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.ragged import Counts, Flags

SIGNS = "-+*/=<>%^"
"""Words wherever they stand."""
SIGNS_OF_CODE = "&|~@$#!?()[]{}"
"""Words where they stand as in code."""
BLANK, IN_WORD, ALONE, PERHAPS = 0, 1, 2, 4
"""What a character is to a word; `PERHAPS` are the signs of code until `settled` has looked beside them."""
_ALWAYS, _OPERATOR, _BRACKET, _OPENING, _CURLY = 1, 2, 4, 8, 16
_OPERATORS = "&& || != == <= >= => -> += *= /= %= ^= &= |= <> ~= =~ $( ${ #{ (! !( !! (~ )& &( )| |( )= =( )< <( )> >("
"""Two signs that mean one thing. Not those that markup is made of: "--", "**", "##"."""
_LINE_END, _SPACE = ord("\n"), ord(" ")
_MOST_BLANKS = 3


def settled(symbols: NDArray[Any], kinds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The kinds of the characters of texts that line ends part, with each sign of code a word or nothing."""
    at = np.flatnonzero(kinds == PERHAPS)
    if not len(at):
        return kinds
    own = symbols[at]
    before, behind = _beside(symbols, kinds, at, -1), _beside(symbols, kinds, at, 1)
    marks = sign_marks()
    of_own, of_before, of_behind = (marks[np.minimum(some, 255)] for some in (own, before.symbol, behind.symbol))
    is_word = (of_own & _ALWAYS) > 0
    is_word |= (own == ord("#")) & (before.in_word | behind.in_word)
    is_word |= (own == ord("!")) & (
        ~before.in_word & (behind.in_word | (behind.symbol == ord("(")))
        | (behind.symbol == ord("="))
        | before.is_digit
    )  # fmt: skip
    # Of "a ? b : c" and of "a?b".
    is_word |= (own == ord("?")) & (
        (before.symbol == _SPACE) & (behind.symbol == _SPACE) & _next(symbols, kinds, at, 1).in_word
        | before.in_word & behind.in_word
    )
    is_opening = (of_own & _OPENING) > 0
    touches = (of_before | of_behind) & (_OPERATOR | _BRACKET) > 0
    touches |= is_opening & (before.in_word | (before.symbol == ord("!")) | (behind.symbol == ord("!")))
    for step in (-1, 1):
        touches |= marks[np.minimum(_next(symbols, kinds, at, step).symbol, 255)] & _OPERATOR > 0
    is_word |= ((of_own & _BRACKET) > 0) & touches | (of_own & _CURLY > 0)
    found = kinds.copy()
    found[at] = np.where(is_word, ALONE, BLANK)
    return found


def operators(symbols: NDArray[Any], kinds: NDArray[np.uint8], starts: Counts) -> Flags:
    """Which of some signs, by their places, are part of an operator of two signs, or stand before a word as one does,
    or compare what stands on both sides of them."""
    own = np.minimum(symbols[starts], 127)
    before, behind = _beside(symbols, kinds, starts, -1), _beside(symbols, kinds, starts, 1)
    pairs = sign_pairs()
    found: Flags = pairs[own, np.minimum(behind.symbol, 127)] & (behind.kind == ALONE)
    found |= pairs[np.minimum(before.symbol, 127), own] & (before.kind == ALONE)
    found |= ((own == ord("!")) | (own == ord("~"))) & behind.in_word & ~before.in_word
    is_between = (before.symbol == _SPACE) & (behind.symbol == _SPACE)
    is_between &= _next(symbols, kinds, starts, -1).in_word & _next(symbols, kinds, starts, 1).in_word
    found |= is_between & ((own == ord("<")) | (own == ord(">")))
    return found


class _Beside(NamedTuple):
    """The characters some steps away; a line end beyond the ends."""

    symbol: NDArray[Any]
    kind: NDArray[np.uint8]

    @property
    def in_word(self) -> Flags:
        found: Flags = self.kind == IN_WORD
        return found

    @property
    def is_digit(self) -> Flags:
        found: Flags = (self.symbol >= ord("0")) & (self.symbol <= ord("9"))
        return found


def _beside(symbols: NDArray[Any], kinds: NDArray[np.uint8], at: Counts, step: int) -> _Beside:
    place = at + step
    is_there = (place >= 0) & (place < len(symbols))
    place = place.clip(0, len(symbols) - 1)
    return _Beside(np.where(is_there, symbols[place], _LINE_END), np.where(is_there, kinds[place], BLANK))


def _next(symbols: NDArray[Any], kinds: NDArray[np.uint8], at: Counts, step: int) -> _Beside:
    """The first characters in a direction that are no blank, if these are few."""
    place = at + step
    for _ in range(_MOST_BLANKS):
        place = place + step * (_beside(symbols, kinds, place, 0).symbol == _SPACE)
    return _beside(symbols, kinds, place, 0)


@cache
def sign_marks() -> NDArray[np.uint8]:
    """What each of the first 256 characters is among signs."""
    found = np.zeros(256, dtype=np.uint8)
    for signs, mark in (("&|~@$", _ALWAYS), ("-+*/=<>%^&|~", _OPERATOR), ("()[]{}", _BRACKET), ("([", _OPENING),
                        ("{}", _CURLY)):  # fmt: skip
        for sign in signs:
            found[ord(sign)] |= mark
    return found


@cache
def sign_pairs() -> Flags:
    """[128, 128]: whether two characters are an operator of two signs."""
    found = np.zeros((128, 128), dtype=np.bool_)
    for pair in _OPERATORS.split():
        found[ord(pair[0]), ord(pair[1])] = True
    return found
