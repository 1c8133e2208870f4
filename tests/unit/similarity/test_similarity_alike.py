"""Words changed, surplus words and Jaccard similarity of many pairs at once are those of a slow reading of each."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.similarity.alike import edits, same_words, shingle_similarity, surpluses, trimmed
from luthier.similarity.ragged import Ragged, offsets

TEXT = st.lists(st.integers(10, 14), max_size=14)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=6)


def ragged(rows: list[list[int]]) -> Ragged:
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    return Ragged(np.array([value for row in rows for value in row], dtype=np.uint32), offsets(counts), counts)


def sides(pairs: list[tuple[list[int], list[int]]]) -> tuple[Ragged, Ragged]:
    return ragged([left for left, _ in pairs]), ragged([right for _, right in pairs])


def slow_edits(left: list[int], right: list[int]) -> int:
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        last, row = row, [i]
        for j, other in enumerate(right, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (one != other)))
    return row[-1]


@settings(max_examples=60)
@given(PAIRS, st.integers(1, 3))
def test_words_changed_are_those_of_the_table_of_levenshtein(pairs, most):
    assert edits(*sides(pairs), most).tolist() == [min(slow_edits(*pair), most + 1) for pair in pairs]


@settings(max_examples=20)
@given(st.lists(st.integers(10, 30), min_size=20, max_size=140), st.data())
def test_words_changed_of_long_texts_that_are_nearly_the_same(text, data):
    pairs = []
    for _ in range(5):
        copy = list(text)
        for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
            copy[place : place + 1] = data.draw(st.lists(st.integers(10, 30), max_size=2))
        pairs.append((text, copy))
    assert edits(*sides(pairs), 3).tolist() == [min(slow_edits(*pair), 4) for pair in pairs]


@settings(max_examples=60)
@given(PAIRS)
def test_surplus_words_are_those_of_counters(pairs):
    for surplus, ordered in zip(surpluses(*sides(pairs)), (pairs, [(b, a) for a, b in pairs]), strict=True):
        expected = [Counter(left) - Counter(right) for left, right in ordered]
        found = list(zip(surplus.pair.tolist(), surplus.word.tolist(), surplus.more.tolist(), strict=True))
        assert found == [
            (pair, word, more) for pair, words in enumerate(expected) for word, more in sorted(words.items())
        ]
        assert surplus.per_pair(len(pairs)).tolist() == [words.total() for words in expected]
    assert same_words(*sides(pairs)).tolist() == [Counter(left) == Counter(right) for left, right in pairs]


@settings(max_examples=40)
@given(PAIRS, st.integers(1, 4))
def test_jaccard_similarity_is_that_of_sets_of_shingles(pairs, width):
    sets = [[{tuple(text[i : i + width]) for i in range(len(text) - width + 1)} for text in pair] for pair in pairs]
    expected = [len(left & right) / max(len(left | right), 1) for left, right in sets]
    assert shingle_similarity(*sides(pairs), width).tolist() == pytest.approx(expected)


@settings(max_examples=40)
@given(PAIRS, st.integers(0, 2))
def test_trimming_takes_away_what_both_begin_and_end_with_but_for_the_margin(pairs, margin):
    cut = trimmed(*sides(pairs), margin=margin)
    for number, (left, right) in enumerate(pairs):
        shorter = min(len(left), len(right))
        before = next((i for i in range(shorter) if left[i] != right[i]), shorter)
        behind = next((i for i in range(shorter - before) if left[-1 - i] != right[-1 - i]), shorter - before)
        before, behind = max(before - margin, 0), max(behind - margin, 0)
        assert cut.before[number] == before
        for text, part in ((left, cut.left), (right, cut.right)):
            start = part.starts[number]
            assert part.values[start : start + part.counts[number]].tolist() == text[before : len(text) - behind]
