"""Texts as sparse vectors: hashed TF-IDF of words, pairs of words and character n-grams.

What a linear classifier or a search for unlike texts needs, for any language, without a vocabulary or a model.
Everything is counted by arrays: a text of 90 words costs about 0.1 ms.

Letters: N texts, D columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

BUCKET_BITS = 18
"""Features share 2^18 columns before unused ones are dropped: with 50,000 kinds, one in six shares its column."""
NGRAM_CHARACTERS = 4
"""Characters of an n-gram. It may begin before a word's first letter or end behind its last, and spans no two words."""
CHUNK_CHARACTERS = 2**19
"""Texts are counted in chunks of about this size; the arrays of a chunk take about 70 bytes for each character."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no two hashes become one: 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4)."""
_WORD_SALT, _PAIR_SALT, _NGRAM_SALT = (np.uint64(salt) for salt in (0x51ED2701, 0xA3B1955D, 0xC6EF3620))
_FIRST = np.uint64(0x2545F491)
"""Stands before the first word of a text, so that how a text begins is a pair of words."""
_POWERS_LENGTH = 64
_LETTER, _ALONE = 1, 2

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]

_LOG_TIMES = (1 + np.log(np.maximum(np.arange(1024), 1))).astype(np.float32)
"""1 + ln(times); a feature that stands in a text more often counts as if 1,023 times."""


def hashed_tfidf(texts: Sequence[str], *, min_texts: int = 2) -> Any:
    """Rows of length 1, shape [N, D], float32, as scipy CSR with sorted columns; a row without features is all 0.

    A feature counts 1 + ln(times in the text), times ln((1 + N) / (1 + texts with it)) + 1. Features of fewer than
    `min_texts` texts or of every text are dropped: the first cannot tell of another text, the second tell nothing.
    Case is ignored. Each ideogram is a word, since such scripts write no blanks.
    """
    columns, times, ends = _counts(texts)
    num_texts = len(texts)
    in_texts = np.bincount(columns, minlength=1 << BUCKET_BITS)
    is_kept = in_texts >= min_texts
    if num_texts > 1:
        is_kept &= in_texts < num_texts
    # Columns are renumbered without gaps: weights of a classifier then take no more memory than they need.
    column_of = np.cumsum(is_kept, dtype=np.int32) - np.int32(1)
    chosen = np.flatnonzero(is_kept[columns])
    columns, ends = columns[chosen], np.searchsorted(chosen, ends)
    rarity = (np.log((1 + num_texts) / (1 + in_texts)) + 1).astype(np.float32)
    values = _LOG_TIMES[np.minimum(times[chosen], len(_LOG_TIMES) - 1)] * rarity[columns]
    lengths_of = np.diff(ends)
    squares = np.add.reduceat(np.append(values * values, np.float32(0)), ends[:-1]) if num_texts else values
    lengths = np.sqrt(np.where(lengths_of > 0, squares, 1))
    values /= np.repeat(lengths, lengths_of)
    shape = (num_texts, int(is_kept.sum()))
    return scipy.sparse.csr_matrix((values, column_of[columns], ends), shape=shape)


def _counts(texts: Sequence[str]) -> tuple[Ints, Ints, Indices]:
    """Of all features of the texts, text by text: sorted columns, how often each stands there, and where texts end."""
    columns, times, ends = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int32)], [np.zeros(1, dtype=np.int64)]
    for chunk in _chunks(texts):
        keys = _feature_keys(chunk)
        keys.sort()
        is_first = np.ones(len(keys), dtype=bool)
        is_first[1:] = keys[1:] != keys[:-1]
        places = np.flatnonzero(is_first)
        times.append(np.diff(places, append=len(keys)).astype(np.int32))
        features = keys[places]
        columns.append((features & ((1 << BUCKET_BITS) - 1)).astype(np.int32))
        of_text = np.searchsorted(features, np.arange(1, len(chunk) + 1) << BUCKET_BITS)
        ends.append(ends[-1][-1] + of_text)
    return np.concatenate(columns), np.concatenate(times), np.concatenate(ends)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= CHUNK_CHARACTERS:
            yield texts[start : place + 1]
            start, size = place + 1, 0
    if start < len(texts):
        yield texts[start:]


def _feature_keys(texts: Sequence[str]) -> Indices:
    """For every feature that stands in a text, number of the text * 2^BUCKET_BITS + column; in no order."""
    folded = ["\n" + text.lower() for text in texts]  # the sign before the first word
    lengths = np.fromiter(map(len, folded), dtype=np.int64, count=len(folded))
    codes = np.frombuffer(("".join(folded) + "\n").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    text_of = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
    kinds = _kinds()[np.minimum(codes, len(_kinds()) - 1)]
    is_letter = kinds > 0
    words, word_places = _words(codes, is_letter, kinds == _ALONE)
    word_texts = text_of[word_places]
    before = np.concatenate([[_FIRST], words[:-1]])
    before[np.flatnonzero(np.diff(word_texts, prepend=-1))] = _FIRST
    grams, gram_places = _ngrams(codes, is_letter)
    hashes = np.concatenate([words + _WORD_SALT, before * _PAIR_SALT + words, grams + _NGRAM_SALT])
    owners = np.concatenate([word_texts, word_texts, text_of[gram_places]])
    buckets = (hashes * _MULTIPLIER) >> np.uint64(64 - BUCKET_BITS)
    return (owners << BUCKET_BITS) | buckets.astype(np.int64)


def _words(codes: Codes, is_letter: npt.NDArray[np.bool_], is_alone: npt.NDArray[np.bool_]) -> tuple[Hashes, Indices]:
    """A hash of every word, and where it begins."""
    begins = is_letter.copy()
    begins[1:] &= ~is_letter[:-1] | is_alone[1:] | is_alone[:-1]
    places = np.flatnonzero(begins)
    if not len(places):
        return np.zeros(0, dtype=np.uint64), places
    letters = np.flatnonzero(is_letter)
    word_of = np.cumsum(begins)[letters] - 1
    inside = (letters - places[word_of]) % _POWERS_LENGTH
    terms = (codes[letters] + np.uint64(1)) * _powers()[inside]
    return np.add.reduceat(terms, np.searchsorted(letters, places)) * _MULTIPLIER, places


def _ngrams(codes: Codes, is_letter: npt.NDArray[np.bool_]) -> tuple[Hashes, Indices]:
    """A hash of every n-gram within a word and the two signs around it, and where it begins."""
    length = NGRAM_CHARACTERS
    if len(codes) < length:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    count = len(codes) - length + 1
    inner = is_letter[1 : count + 1].copy()
    for shift in range(2, length - 1):
        inner &= is_letter[shift : count + shift]
    places = np.flatnonzero(inner)
    signs = np.where(is_letter, codes, np.uint32(0)).astype(np.uint64) + np.uint64(1)
    hashes = np.zeros(len(places), dtype=np.uint64)
    for shift in range(length):
        hashes += signs[places + shift] * _powers()[shift]
    return hashes * _MULTIPLIER, places


@cache
def _powers() -> Hashes:
    return np.cumprod(np.full(_POWERS_LENGTH, 0x100000001B3, dtype=np.uint64), dtype=np.uint64)


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """For every character below U+10000, the last for all others: none, a letter or digit, or a word of its own."""
    kinds = np.full(0x10000, _LETTER, dtype=np.uint8)
    for code in range(0xFFFF):
        letter = chr(code)
        if not letter.isalnum() and unicodedata.category(letter)[0] != "M":
            kinds[code] = 0
        elif 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF:
            kinds[code] = _ALONE
    return kinds
