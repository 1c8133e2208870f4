"""Loops over the symbols of texts: `words`, `signs` and `sketch` in one pass."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from luthier.similarity.compiling import (
    BASE,
    FLAGS,
    HALF,
    I32,
    I64,
    NOTHING,
    ONE,
    R8,
    R32,
    RI32,
    RI64,
    TABLE,
    U8,
    U32,
    U64,
    WHOLE,
    loop,
    mixed,
)

_IN_WORD, _PERHAPS, _DIGIT = 1, 4, 8
"""Bits of a character's kind, as in `signs`; and whether it is a digit."""
_ALWAYS, _OPERATOR, _BRACKET, _OPENING, _CURLY = 1, 2, 4, 8, 16
_LINE_END, _SPACE, _POINT = np.uint32(ord("\n")), np.uint32(ord(" ")), np.uint32(ord("."))
_EXCLAMATION, _HASH_SIGN, _QUESTION, _TILDE = ord("!"), ord("#"), ord("?"), ord("~")
_OPEN, _EQUAL, _LESS, _MORE, _ZERO, _NINE = ord("("), ord("="), ord("<"), ord(">"), ord("0"), ord("9")
_STRICT, _SIGN, _OPERAND = 1, 2, 3
_LOW = np.uint32(0xFFFF)
_NUMBER = np.uint32(1)


@loop()
def _symbol(symbols: Any, at: Any) -> Any:
    return symbols[at] if 0 <= at < len(symbols) else _LINE_END


@loop()
def _beyond(symbols: Any, at: Any, step: Any) -> Any:
    """The first character beside a place that is no blank, if these are few."""
    at += step
    for _ in range(3):
        if _symbol(symbols, at) == _SPACE:
            at += step
    return _symbol(symbols, at)


@loop()
def _stands_as_code(symbols: Any, kinds: Any, marks: Any, at: Any) -> Any:
    """Whether a sign of code is a word there: what `signs.settled` says of it."""
    own, before, behind = symbols[at], _symbol(symbols, at - 1), _symbol(symbols, at + 1)
    is_behind, is_ahead = kinds[before] & _IN_WORD != 0, kinds[behind] & _IN_WORD != 0
    mark = marks[own]
    if mark & (_ALWAYS | _CURLY) != 0:
        return True
    if own == _HASH_SIGN:
        return is_behind or is_ahead
    if own == _EXCLAMATION:
        if not is_behind and (is_ahead or behind == _OPEN):
            return True
        return behind == _EQUAL or (before >= _ZERO and before <= _NINE)
    if own == _QUESTION:
        if before == _SPACE and behind == _SPACE:
            return kinds[_beyond(symbols, at, 1)] & _IN_WORD != 0
        return is_behind and is_ahead
    if mark & _BRACKET == 0:
        return False
    if (marks[min(before, 255)] | marks[min(behind, 255)]) & (_OPERATOR | _BRACKET) != 0:
        return True
    if mark & _OPENING != 0 and (is_behind or before == _EXCLAMATION or behind == _EXCLAMATION):
        return True
    if marks[min(_beyond(symbols, at, -1), 255)] & _OPERATOR != 0:
        return True
    return marks[min(_beyond(symbols, at, 1), 255)] & _OPERATOR != 0


@loop(WHOLE(R32, R8, R8, RI64, U32, I32, I32, I64))
def split(
    symbols: Any, kinds: Any, marks: Any, lengths: Any, codes: Any, starts: Any, ends: Any, text_ends: Any
) -> Any:
    """Code, start and end of each word, and where the words of each text end; returns how many words there are.

    The lowest bit of a code says here whether the word is a number.
    """
    num, total, at = 0, len(symbols), 0
    for text in range(len(lengths)):
        stop = min(at + lengths[text], total)
        while at < stop:
            kind = kinds[symbols[at]]
            if kind & _IN_WORD != 0:
                starts[num] = at
                value, power, seen = NOTHING, ONE, kind
                while kind & _IN_WORD != 0:
                    seen |= kind
                    value += np.uint64(symbols[at]) * power
                    power *= BASE
                    at += 1
                    kind = kinds[symbols[at]] if at < stop else np.uint8(0)
                codes[num] = (mixed(value) >> HALF) << ONE | (ONE if seen & _DIGIT != 0 else NOTHING)
                ends[num] = at
                num += 1
                continue
            if kind != 0 and (kind & _PERHAPS == 0 or _stands_as_code(symbols, kinds, marks, at)):
                starts[num], ends[num] = at, at + 1
                codes[num] = (mixed(np.uint64(symbols[at])) >> HALF) << ONE
                num += 1
            at += 1
        at += 1
        text_ends[text] = num
    return num


@loop()
def _place(ordered: Any, value: Any) -> Any:
    """Where a value stands among ordered ones, or would."""
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@loop()
def _is_abbreviated(symbols: Any, kinds: Any, start: Any, end: Any) -> Any:
    """Whether a point stands between a single letter and another word."""
    if _symbol(symbols, end) == _POINT and kinds[_symbol(symbols, end + 1)] & _IN_WORD != 0:
        return True
    return _symbol(symbols, start - 1) == _POINT and kinds[_symbol(symbols, start - 2)] & _IN_WORD != 0


@loop()
def _is_operator(symbols: Any, kinds: Any, pairs: Any, at: Any, is_alone_before: Any, is_alone_behind: Any) -> Any:
    """Whether a sign is part of an operator: what `signs.operators` says of it."""
    own, before, behind = symbols[at], _symbol(symbols, at - 1), _symbol(symbols, at + 1)
    if is_alone_behind and pairs[min(own, 127), min(behind, 127)]:
        return True
    if is_alone_before and pairs[min(before, 127), min(own, 127)]:
        return True
    if own in (_EXCLAMATION, _TILDE):
        return kinds[behind] & _IN_WORD != 0 and kinds[before] & _IN_WORD == 0
    if own in (_LESS, _MORE) and before == _SPACE and behind == _SPACE:
        if kinds[_beyond(symbols, at, -1)] & _IN_WORD == 0:
            return False
        return kinds[_beyond(symbols, at, 1)] & _IN_WORD != 0
    return False


@loop(numba.void(R32, R8, U32, RI32, RI32, RI64, WHOLE, R32, R8, FLAGS, TABLE, U8))
def mark_strict(
    symbols: Any, kinds: Any, codes: Any, starts: Any, ends: Any, text_ends: Any, num: Any,
    known: Any, known_kinds: Any, table: Any, pairs: Any, found: Any,
) -> None:  # fmt: skip
    """Set the lowest bit of the codes of strict words, and clear it in others. `found`: room for a number a word."""
    for word in range(num):
        is_number = codes[word] & _NUMBER != 0
        codes[word] &= ~_NUMBER
        kind = np.int64(0)
        if table[codes[word] & _LOW]:
            place = _place(known, codes[word])
            if place < len(known) and known[place] == codes[word]:
                kind = np.int64(known_kinds[place])
        if kind == _OPERAND and not is_number and ends[word] - starts[word] == 1:
            kind = np.int64(0) if _is_abbreviated(symbols, kinds, starts[word], ends[word]) else kind
        found[word] = _OPERAND if is_number and kind != _SIGN else kind
    text, first = 0, True
    for word in range(num):
        while text < len(text_ends) and text_ends[text] <= word:
            text, first = text + 1, True
        if found[word] == _SIGN:
            is_last = word + 1 >= num or (text < len(text_ends) and text_ends[text] <= word + 1)
            is_strict = not first and found[word - 1] == _OPERAND
            is_strict = is_strict or (not is_last and found[word + 1] == _OPERAND)
            at = starts[word]
            is_strict = is_strict or _is_operator(
                symbols, kinds, pairs, at,
                word > 0 and ends[word - 1] == at and kinds[symbols[at - 1]] & _IN_WORD == 0,
                word + 1 < num and starts[word + 1] == at + 1 and kinds[symbols[at + 1]] & _IN_WORD == 0,
            )  # fmt: skip
            codes[word] |= _NUMBER if is_strict else np.uint32(0)
        elif found[word] != 0:
            codes[word] |= _NUMBER
        first = False


@loop()
def _is_blank(sign: Any) -> Any:
    return sign == 32 or 9 <= sign <= 13 or 28 <= sign <= 31


@loop(numba.void(R8, RI64, FLAGS, FLAGS, FLAGS, U64))
def hash_forms(data: Any, ends: Any, is_form: Any, is_mark: Any, is_dropped: Any, found: Any) -> None:
    """A hash of each text, as `sketch._form` would have it, or as it stands where it is a form already."""
    begin = 0
    for text in range(len(ends)):
        at, end = begin, ends[text]
        begin = end
        if not is_form[text]:
            while at < end and _is_blank(data[at]):
                at += 1
            while at < end and _is_blank(data[end - 1]):
                end -= 1
            while at < end and is_mark[data[end - 1]]:
                end -= 1
        value, power, first = NOTHING, ONE, at
        while at < end:
            sign = np.uint64(data[at])
            if not is_form[text] and at == first and 65 <= sign <= 90:
                sign += np.uint64(32)
            if is_form[text] or not is_dropped[data[at]]:
                value += (sign + ONE) * power
                power *= BASE
            at += 1
        found[text] = mixed(value)
