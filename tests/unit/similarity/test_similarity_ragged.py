"""What is done to rows of unequal length at once is what a loop over them would do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.similarity.ragged import (
    Known,
    Ragged,
    gram_hashes,
    mixed,
    offsets,
    owners,
    pick,
    places,
    run_hashes,
    runs,
    slices,
    spread,
)

ROWS = st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=8)


def ragged(rows: list[list[int]]) -> Ragged:
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    return Ragged(np.array([value for row in rows for value in row], dtype=np.uint32), offsets(counts), counts)


@given(ROWS)
def test_runs_have_one_hash_exactly_if_they_are_the_same(rows):
    words = ragged(rows)
    hashes = run_hashes(spread(words.values), words.starts, words.starts + words.counts).tolist()
    assert [[hashes[i] == hashes[j] for j in range(len(rows))] for i in range(len(rows))] == [
        [one == other for other in rows] for one in rows
    ]


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(1, 5))
def test_runs_of_one_width_have_one_hash_exactly_if_they_are_the_same(values, width):
    hashes = gram_hashes(spread(np.array(values, dtype=np.uint32)), width, seed=1)
    grams = [tuple(values[i : i + width]) for i in range(len(values) - width + 1)]
    assert len(hashes) == len(grams)
    assert len(set(zip(grams, hashes.tolist(), strict=True))) == len(set(grams)) == len(set(hashes.tolist()))


def test_another_seed_makes_other_hashes():
    values = spread(np.arange(5))
    assert not np.isin(gram_hashes(values, 3, seed=0), gram_hashes(values, 3, seed=1)).any()


@given(ROWS)
def test_places_and_owners_name_each_value_of_each_row(rows):
    words = ragged(rows)
    assert places(words.starts, words.counts).tolist() == list(range(len(words.values)))
    assert owners(words.counts).tolist() == [number for number, row in enumerate(rows) for _ in row]
    reverse = np.arange(len(rows))[::-1]
    assert pick(words, reverse).values.tolist() == [value for row in rows[::-1] for value in row]
    assert pick(words, words.counts > 2).counts.tolist() == [len(row) for row in rows if len(row) > 2]


@given(st.lists(st.integers(0, 2), max_size=20))
def test_runs_are_those_of_equal_neighbours(keys):
    starts, counts = runs(np.array(keys))
    assert [keys[start : start + count] for start, count in zip(starts, counts, strict=True)] == [
        list(group) for group in groups_of(keys)
    ]


def groups_of(keys: list[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for key in keys:
        if found and found[-1][0] == key:
            found[-1].append(key)
        else:
            found.append([key])
    return found


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 12))
def test_slices_cover_all_and_are_no_heavier_than_asked_for_unless_they_are_single(weights, most):
    found = list(slices(np.array(weights, dtype=np.int64), most))
    assert [number for part in found for number in range(part.start, part.stop)] == list(range(len(weights)))
    assert all(sum(weights[part]) <= most or part.stop - part.start == 1 for part in found)


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_known_hashes_are_told_from_others(known, asked):
    found = Known(mixed(np.array(known, dtype=np.uint64))).has(mixed(np.array(asked, dtype=np.uint64)))
    assert found.tolist() == [value in known for value in asked]


@pytest.mark.parametrize("size", [0, 1, 100])
def test_mixing_keeps_different_numbers_different(size):
    assert len(np.unique(mixed(np.arange(size, dtype=np.uint64)))) == size
