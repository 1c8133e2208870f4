"""The compiled loops have the results of the numpy ways beside them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.similarity import alike, sharing, sketch, worth
from luthier.similarity.near import NearText, Sketches, near_duplicates
from luthier.similarity.ragged import Ragged, offsets
from luthier.similarity.words import word_codes

pytest.importorskip("numba")
compiled = importlib.import_module("luthier.similarity.compiled")

SIGNS = "-+*/=<>%^&|~@$#!?()[]{}.,:;'\""
PIECES = [*SIGNS, *"abxtz 01", "  ", "\n", "\t", "\r", "\x0b", "\x00", "not ", " is ", "e.g. ", "a.", "==", " < ", "f(x", "?b",
          "É", "ß", "İ", "中", "ไ", "ก", "١", "²", "Ⅳ", "€", "😀", "️", "́", "​", " ", "\ud800"]  # fmt: skip
ODD = st.one_of(st.lists(st.sampled_from(PIECES), max_size=24).map("".join), st.text(max_size=20))
ROWS = st.lists(st.lists(st.integers(1, 5), max_size=14), max_size=8)
EXAMPLES = settings(max_examples=150, deadline=None)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    before = worth._work[0]
    yield
    worth._work[0] = before


def both_ways(call: Callable[[], Any]) -> tuple[Any, Any]:
    """The result of the numpy way, and of the compiled one."""
    worth._work[0] = 0.0
    assert worth.loops() is None
    plain = call()
    worth._work[0] = worth.ENOUGH_SECONDS
    assert worth.loops() is compiled
    return plain, call()


def assert_same(plain: Any, fast: Any) -> None:
    assert len(plain) == len(fast)
    for one, other in zip(plain, fast, strict=True):
        np.testing.assert_array_equal(one, other)


def ragged(rows: list[list[int]]) -> Ragged:
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    return Ragged(np.array([word for row in rows for word in row], dtype=np.uint32), offsets(counts), counts)


@EXAMPLES
@given(st.lists(ODD, max_size=6))
def test_words(texts):
    assert_same(*both_ways(lambda: word_codes(texts)))


def test_words_of_more_symbols_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(compiled, "_USUAL_SYMBOLS", 8)
    compiled._room.cache_clear()
    assert_same(*both_ways(lambda: word_codes(["a - b", "not 3 of (x, y) but f(x) in 2 != 3, e.g. here", ""])))
    compiled._room.cache_clear()


@EXAMPLES
@given(st.lists(ODD, max_size=6))
def test_forms(texts):
    plain, fast = both_ways(lambda: sketch._form_hashes(texts))
    np.testing.assert_array_equal(plain, fast)
    hashes = plain.tolist()
    forms = [sketch._form(text) for text in texts]
    assert [hashes[0] == value for value in hashes] == [forms[0] == form for form in forms] if texts else not hashes


@EXAMPLES
@given(ROWS, st.data(), st.integers(1, 3))
def test_edits_and_common_ends(rows, data, most):
    others = [data.draw(st.one_of(st.just(row), st.just(row[1:]), st.just([*row[:2], 9, *row[2:]]), st.permutations(row),
                                  st.lists(st.integers(1, 5), max_size=14))) for row in rows]  # fmt: skip
    left, right = ragged(rows), ragged(others)
    np.testing.assert_array_equal(*both_ways(lambda: alike.edits(left, right, most)))
    for margin in (0, 2):
        plain, fast = both_ways(lambda margin=margin: alike.trimmed(left, right, margin=margin))
        assert_same((*plain.left, *plain.right, plain.before), (*fast.left, *fast.right, fast.before))


def test_edits_of_the_longest_texts():
    text = list(range(2, 700))
    texts = [([3, *text], [4, *text, 5]), ([1, *text[:500], 1], [2, *text[:500], 2]), ([1, *text, 1], [2, *text, 2])]
    left, right = (ragged([two[side] for two in texts]) for side in (0, 1))
    plain, fast = both_ways(lambda: alike.edits(left, right, 3))
    assert plain.tolist() == fast.tolist() == [4, 2, 4]


@pytest.mark.parametrize("low", [0, 17])
@pytest.mark.parametrize("size", [0, 1, 2, 500, 60_000])
@pytest.mark.parametrize("most_bits", [20, 47])
def test_sorting(low, size, most_bits):
    draw = np.random.default_rng(size)
    values = draw.integers(0, 1 << most_bits, size).astype(np.uint64) << np.uint64(64 - most_bits)
    values[: size // 3] = values[size - size // 3 :]
    if low:
        values = values >> np.uint64(low) << np.uint64(low) | np.arange(size, dtype=np.uint64) // np.uint64(3)
    found = values.copy()
    compiled.sort(found, low)
    np.testing.assert_array_equal(found, np.sort(values))


def test_runs_that_rows_share(monkeypatch):
    draw = np.random.default_rng(3)
    texts = [" ".join(draw.choice(["w1", "ba", "cu", "di"], draw.integers(0, 40))) for _ in range(90)]
    texts += [text + more for text in texts[:30] for more in (" ba", " now")]
    parts = [Sketches.of([NearText(text, text[::-1]) for text in texts[some::2]]) for some in (0, 1)]
    rows = sketch.Rows.of([*parts, Sketches.of([])])
    live = np.flatnonzero(np.arange(len(rows)) % 7 > 0)
    for most in (sharing._PASS_GRAMS, 300):
        monkeypatch.setattr(sharing, "_PASS_GRAMS", most)
        for family in (*sharing.PROMPTS, *sharing.ANSWERS):
            plain, fast = both_ways(lambda family=family: sharing.shared(rows, live, family, jaccard=0.7))
            assert_same(plain, fast)
            assert len(plain.frames) or family.side == 1
            assert len(plain.pairs) or family.side == 1


WORDS = st.sampled_from([*"2-+()", "the", "cat", "sat", "on", "a", "red", "mat", "by", "dogs", "not", "we", "saw", "it", "noon"])
TEXTS = st.lists(st.lists(WORDS, max_size=34).map(" ".join), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.data())
def test_near_duplicates(texts, data):
    prompts = data.draw(st.lists(st.sampled_from(texts), min_size=2, max_size=12))
    prompts = [prompt + data.draw(st.sampled_from(["", "?", " now", " 3", " Ärger"])) for prompt in prompts]
    rows = [NearText(prompt, data.draw(st.sampled_from(["yes", *texts]))) for prompt in prompts]

    def found() -> tuple[Any, ...]:
        sketches = Sketches.of(rows)
        pairs = near_duplicates([sketches])
        return (sketches.words, sketches.ends, sketches.forms, sketches.questions,
                pairs.pairs, pairs.similarity, pairs.verdict, pairs.group)  # fmt: skip

    assert_same(*both_ways(found))


def test_rows_that_are_opened_from_files(tmp_path):
    rows = [NearText(f"What is the name of the {number % 9} rivers that we saw on day {number}?", "The Elbe")
            for number in range(40)]  # fmt: skip
    Sketches.of(rows).save(tmp_path)
    plain, fast = both_ways(lambda: near_duplicates([Sketches.open(tmp_path)]))
    np.testing.assert_array_equal(plain.pairs, fast.pairs)
    np.testing.assert_array_equal(plain.group, fast.group)


def test_loops_are_loaded_when_there_was_enough_work():
    worth._work[0] = 0.0
    assert worth.loops(worth.ENOUGH_SECONDS / 2) is None
    assert worth.loops(worth.ENOUGH_SECONDS / 2) is compiled
    assert worth.loops() is compiled


def test_without_a_compiler_the_numpy_way_stays(monkeypatch):
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(worth.importlib, "import_module", missing)
    worth._compiled.cache_clear()
    assert worth.loops(9.0) is None
    worth._compiled.cache_clear()
