"""The words of many texts as numbers, found by numpy in all texts at once instead of one Python object per word.

A word is a run of letters, digits and marks. A sign of arithmetic is a word, because it changes what is asked; so is
a bracket or another sign that stands as in code (see `signs`), each character of a script that writes no blanks between
words, and each symbol beyond ASCII (another sign, a currency, an emoji). Case is folded. All else only separates.

A word's code is 31 bits of its hash and, as the lowest bit, whether it is *strict*: a number, a negation, a letter that
stands alone (an option, a variable), a sign beside a number or such a letter, or an operator of code. Two texts that
differ in a strict word do not say the same, however alike they are otherwise. Two different words share a code once in
two thousand million.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.ragged import Codes, Counts, Flags, Unsigned, mixed, offsets, places, run_hashes, slices
from luthier.similarity.signs import (
    ALONE,
    IN_WORD,
    PERHAPS,
    SIGNS,
    SIGNS_OF_CODE,
    operators,
    settled,
    sign_marks,
    sign_pairs,
)
from luthier.similarity.telling import LETTERS, NEGATIONS, NUMBERS
from luthier.similarity.worth import loops

_SPACELESS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F), (0x20000, 0x3FFFF),
)  # fmt: skip
_OTHER_NUMBERS = ((0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE), (0x2070, 0x2089), (0x2150, 0x218B), (0x2460, 0x249B))
"""Superscripts, fractions, Roman and circled numbers."""
_LAST_LETTER, _LAST_SYMBOL = 0x3FFFF, 0x1FBFF
"""Beyond the planes of scripts there are only tags and private characters."""
_SELECTORS = range(0xFE00, 0xFE10)
_BATCH_SYMBOLS = 1 << 20
_WINDOW_SYMBOLS = 1 << 16
"""So many symbols are hashed at once that their powers and sums stay in the cache."""
_LOW = np.uint32(0xFFFF)
_STRICT, _SIGN, _OPERAND = 1, 2, 3
_DIGIT = 8
"""Added to the kind of a digit, where kinds and digits are one table."""
_SAVED_SECONDS = 8e-9
"""What the compiled way saves, for each symbol."""


class Words(NamedTuple):
    """The word codes of some texts laid end to end; those of text t are `codes[ends[t - 1] : ends[t]]`."""

    codes: Codes
    ends: Counts


def word_codes(texts: Sequence[str]) -> Words:
    """The codes of the words of each text. A text that shows something but no word counts as one word."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    loops(int(sizes.sum()) * _SAVED_SECONDS)
    found = [_batch(texts[part]) for part in slices(sizes, _BATCH_SYMBOLS)]
    if not found:
        return Words(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64))
    counts = np.concatenate([np.diff(words.ends, prepend=0) for words in found])
    return Words(np.concatenate([words.codes for words in found]), np.cumsum(counts))


def words_of(text: str) -> list[tuple[str, int, int]]:
    """Each word of a text as it counts, with its start and end: for the few texts that people are shown."""
    symbols = _symbols(text)
    starts, ends = _borders(settled(symbols, _Tables.of().kinds[symbols]))
    found = zip(starts.tolist(), ends.tolist(), strict=True)
    return [(text[start:end].casefold(), start, end) for start, end in found]


def codes_of(words: Iterable[str]) -> Codes:
    """The codes of some words, sorted; none of them strict by what stands beside it."""
    return np.unique(word_codes(list(words)).codes)


def is_in(codes: Codes, known: Codes) -> Flags:
    """Which codes are among the known ones, which are sorted. A table of 16 bits answers for most."""
    table = np.zeros(1 << 16, dtype=np.bool_)
    table[known & _LOW] = True
    found: Flags = table[codes & _LOW]
    at = np.flatnonzero(found)
    found[at] = known[np.minimum(np.searchsorted(known, codes[at]), len(known) - 1)] == codes[at]
    return found


def _batch(texts: Sequence[str]) -> Words:
    joined = "\n".join(texts)
    if joined.isascii():
        return _with_wordless(texts, _coded(joined, np.fromiter(map(len, texts), np.int64, len(texts))))
    # A text with one foreign character costs four bytes a character, so these go by themselves.
    plain = np.fromiter((text.isascii() for text in texts), np.bool_, len(texts))
    counts = np.zeros(len(texts), dtype=np.int64)
    parts = []
    for which in (np.flatnonzero(plain), np.flatnonzero(~plain)):
        own = [texts[i] if plain[i] else texts[i].casefold() for i in which.tolist()]
        words = _coded("\n".join(own), np.fromiter(map(len, own), np.int64, len(own)))
        counts[which] = np.diff(words.ends, prepend=0)
        parts.append((which, words.codes))
    codes = np.empty(int(counts.sum()), dtype=np.uint32)
    starts = offsets(counts)
    for which, own_codes in parts:
        codes[places(starts[which], counts[which])] = own_codes
    return _with_wordless(texts, Words(codes, np.cumsum(counts)))


def _with_wordless(texts: Sequence[str], words: Words) -> Words:
    """A text of nothing but "???" or ";-)" is not the same as any other of its kind: it is one word as it stands."""
    counts = np.diff(words.ends, prepend=0)
    shown = [i for i in np.flatnonzero(counts == 0).tolist() if texts[i].strip()]
    if not shown:
        return words
    whole = [np.frombuffer(texts[i].strip().encode("utf-32-le", "surrogatepass"), dtype=np.uint32) for i in shown]
    lengths = np.array([len(symbols) for symbols in whole])
    starts = offsets(lengths)
    codes = _finished(run_hashes(np.concatenate(whole).astype(np.uint64), starts, starts + lengths))
    counts[shown] = 1
    ends = np.cumsum(counts)
    return Words(np.insert(words.codes, words.ends[shown], codes).astype(np.uint32), ends)


def _coded(joined: str, lengths: Counts) -> Words:
    """Codes of texts of these lengths, joined by one separator."""
    if not len(lengths):
        return Words(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64))
    tables = _Tables.of()
    compiled = loops()
    if compiled is not None:
        return Words(*compiled.coded(_folded(joined), lengths, Coding.of()))
    if joined.isascii():
        raw = joined.encode("ascii")
        symbols: NDArray[Any] = np.frombuffer(raw.translate(tables.lower), dtype=np.uint8)
        kinds = np.frombuffer(raw.translate(tables.plain_kinds), dtype=np.uint8)
        digits = np.flatnonzero((symbols - np.uint8(ord("0"))) < 10)
    else:
        symbols = _symbols(joined)
        kinds = tables.kinds[symbols]
        digits = np.flatnonzero(tables.digits[symbols])
    kinds = settled(symbols, kinds)
    starts, ends = _borders(kinds)
    codes = np.empty(len(starts), dtype=np.uint32)
    for part in slices(np.diff(starts, append=len(symbols)), _WINDOW_SYMBOLS):
        if part.stop > part.start:
            low, high = int(starts[part.start]), int(ends[part.stop - 1])
            values = symbols[low:high].astype(np.uint64)
            codes[part] = _finished(run_hashes(values, starts[part] - low, ends[part] - low))
    text_ends = np.searchsorted(starts, np.cumsum(lengths + 1) - 1)
    has_digit = np.zeros(len(codes) + 1, dtype=np.bool_)
    has_digit[np.searchsorted(starts, digits, side="right") - 1] = True
    is_number = has_digit[:-1]
    abbreviated = _abbreviated(symbols, kinds, starts, ends)
    is_strict, signs = _strict(codes, is_number, abbreviated, text_ends)
    is_strict[signs] |= operators(symbols, kinds, starts[signs])
    codes[is_strict] |= np.uint32(1)
    return Words(codes, text_ends)


def _abbreviated(symbols: NDArray[Any], kinds: NDArray[np.uint8], starts: Counts, ends: Counts) -> Counts:
    """Single letters with a point between them and another word, as in "e.g.": these are no options, no variables."""
    at = np.flatnonzero(ends - starts == 1)
    last = len(symbols) - 1
    found = np.zeros(len(at), dtype=np.bool_)
    for beside, beyond in ((ends[at], ends[at] + 1), (starts[at] - 1, starts[at] - 2)):
        is_there = (beyond >= 0) & (beyond <= last)
        beside, beyond = beside.clip(0, last), beyond.clip(0, last)
        found |= is_there & (symbols[beside] == ord(".")) & (kinds[beyond] == IN_WORD)
    return at[found]


def _finished(hashes: Unsigned) -> Codes:
    return ((mixed(hashes) >> np.uint64(33)) << np.uint64(1)).astype(np.uint32)


def _borders(kinds: NDArray[np.uint8]) -> tuple[Counts, Counts]:
    """Start and end of each word. In a run of letters only the first starts and only the last ends a word."""
    in_word = np.zeros(len(kinds) + 2, dtype=np.uint8)
    np.bitwise_and(kinds, IN_WORD, out=in_word[1:-1])
    return np.flatnonzero(kinds > in_word[:-2]), np.flatnonzero(kinds > in_word[2:]) + 1


def _strict(codes: Codes, is_number: Flags, abbreviated: Counts, text_ends: Counts) -> tuple[Flags, Counts]:
    """Which words are numbers, negations, single letters, or signs beside a number or a single letter; all signs."""
    known, kinds = _special()
    at = np.flatnonzero(is_in(codes, known))
    kind = kinds[np.searchsorted(known, codes[at])]
    operand = is_number.copy()
    operand[at[kind == _OPERAND]] = True
    operand[abbreviated] = is_number[abbreviated]
    found: Flags = operand.copy()
    found[at[kind == _STRICT]] = True
    signs = at[kind == _SIGN]
    first = np.zeros(len(codes) + 1, dtype=np.bool_)
    first[0] = True
    first[text_ends] = True
    beside = np.zeros(len(codes) + 2, dtype=np.bool_)
    beside[1:-1] = operand
    found[signs] = (beside[signs] & ~first[signs]) | (beside[signs + 2] & ~first[signs + 1])
    return found, signs


@cache
def _special() -> tuple[Codes, NDArray[np.uint8]]:
    """Words that may be strict, by code without the lowest bit, and which kind each is."""
    kind_of = dict.fromkeys((*NEGATIONS, *NUMBERS), _STRICT) | dict.fromkeys(SIGNS + SIGNS_OF_CODE, _SIGN)
    kind_of |= dict.fromkeys(LETTERS, _OPERAND)
    texts = [np.frombuffer(word.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64) for word in kind_of]
    codes = np.array([
        _finished(run_hashes(text, np.array([0]), np.array([len(text)])))[0] for text in texts
    ])  # fmt: skip
    order = np.argsort(codes)
    return codes[order], np.array(list(kind_of.values()), dtype=np.uint8)[order]


def _symbols(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _folded(joined: str) -> NDArray[np.uint32]:
    """The symbols of a text in lower case, if it is ASCII; as they are otherwise."""
    if not joined.isascii():
        return _symbols(joined)
    return np.frombuffer(joined.encode("ascii").translate(_Tables.of().lower), dtype=np.uint8).astype(np.uint32)


class Coding(NamedTuple):
    """The tables that the compiled way reads."""

    kinds: NDArray[np.uint8]
    """[characters]: what each is to a word, and whether it is a digit."""
    marks: NDArray[np.uint8]
    pairs: Flags
    """What signs are, and which two are one operator; see `signs`."""
    known: Codes
    known_kinds: NDArray[np.uint8]
    """Words that may be strict, and which kind each is."""
    low_bits: Flags
    """[2^16]: whether one of these words has a code with these last bits."""

    @staticmethod
    @cache
    def of() -> Coding:
        """Made once."""
        tables, (known, known_kinds) = _Tables.of(), _special()
        low_bits = np.zeros(1 << 16, dtype=np.bool_)
        low_bits[known & _LOW] = True
        kinds = tables.kinds | (tables.digits * np.uint8(_DIGIT))
        return Coding(kinds, sign_marks(), sign_pairs(), known, known_kinds, low_bits)


class _Tables(NamedTuple):
    """What each character is to a word."""

    kinds: NDArray[np.uint8]
    digits: Flags
    lower: bytes
    plain_kinds: bytes

    @staticmethod
    @cache
    def of() -> _Tables:
        """Made once, for programs that compare texts."""
        everything = "".join(map(chr, range(_LAST_LETTER + 1)))
        kinds = np.zeros(0x110000, dtype=np.uint8)
        digits = np.zeros(0x110000, dtype=np.bool_)
        for match in re.finditer(r"\w+", everything):
            kinds[match.start() : match.end()] = IN_WORD
        for match in re.finditer(r"\d+", everything):
            digits[match.start() : match.end()] = True
        for first, last in _OTHER_NUMBERS:
            digits[first : last + 1] = kinds[first : last + 1] == IN_WORD
        for match in re.finditer(r"[^\w\x00-\x7f]", everything[: _LAST_SYMBOL + 1]):
            category = unicodedata.category(match[0])
            if category[0] == "M" and match.start() not in _SELECTORS:
                kinds[match.start()] = IN_WORD
            elif category in ("Sm", "Sc", "So"):
                kinds[match.start()] = ALONE
        for first, last in _SPACELESS:
            letters = (kinds[first : last + 1] == IN_WORD) & ~digits[first : last + 1]
            kinds[first : last + 1][letters] = ALONE
        kinds[[ord(sign) for sign in SIGNS]] = ALONE
        kinds[[ord(sign) for sign in SIGNS_OF_CODE]] = PERHAPS
        lower = bytes(range(256)).lower()
        return _Tables(kinds, digits, lower, kinds[:256].tobytes())
