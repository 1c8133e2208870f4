"""No pair that may be near is missed among the candidates, and what is common does not bring all pairs of its rows."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import edited, rows, vocabulary

from luthier.similarity import sharing
from luthier.similarity.near import NearText, Sketches
from luthier.similarity.sharing import ANSWERS, MOST_EDITS, PROMPTS, RARE_ROWS, Rows, Shared, shared

LONG, SHORT = PROMPTS
WORDS = ("oak", "elm", "ash", "fir", "yew", "bay", "fig", "nut")


def candidates(texts: list[str], family: sharing.Family = LONG, jaccard: float = 0.7) -> Shared:
    sketches = Sketches.of([NearText(text, "") if family.side == 0 else NearText("", text) for text in texts])
    return shared(Rows.of([sketches]), np.arange(len(texts)), family, jaccard=jaccard)


def pairs(found: Shared) -> set[tuple[int, ...]]:
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()
    return {tuple(pair) for pair in found.pairs.tolist()}


def grams(text: str, family: sharing.Family) -> set[tuple[str, ...]]:
    words = text.split()
    words = ["|", *words, "|"] if family.padded else words
    return {tuple(words[i : i + family.width]) for i in range(len(words) - family.width + 1)}


@settings(max_examples=12)
@given(st.sampled_from([*PROMPTS, *ANSWERS]), st.sampled_from([0.5, 0.7, 0.9]), st.data())
def test_all_pairs_are_candidates_that_share_as_much_as_a_near_pair_must(family, jaccard, data):
    least, most = (22, 60) if family.width == 5 else (1, 27)
    first = data.draw(st.lists(st.sampled_from(WORDS), min_size=least, max_size=most))
    texts = [first]
    for _ in range(data.draw(st.integers(1, 6))):
        copy = list(data.draw(st.sampled_from(texts)))
        for place in data.draw(st.lists(st.integers(0, len(copy) - 1), max_size=4)):
            copy[place] = data.draw(st.sampled_from(WORDS))
        texts.append(copy)
    lines = [" ".join(text) for text in texts]
    found = pairs(candidates(lines, family, jaccard))
    for j, right in enumerate(lines):
        for i, left in enumerate(lines[:j]):
            one, other = grams(left, family), grams(right, family)
            most_grams = max(len(one), len(other))
            needed = most_grams - max(int((1 - jaccard) * most_grams + 1e-9), MOST_EDITS * family.width)
            assert ((i, j) in found) == (len(one & other) >= max(needed, 1))


@pytest.mark.parametrize("per_pass", [1, 1_000, 1 << 23])
def test_the_number_of_passes_over_the_rows_changes_nothing(monkeypatch, per_pass):
    rng = random.Random(1)
    texts = [row.prompt for row in rows(rng, 60)]
    texts += [edited(rng, text, 2, words=vocabulary(rng, 3_000)) for text in texts[:20]]
    whole = candidates(texts)
    monkeypatch.setattr(sharing, "_PASS_GRAMS", max(per_pass, 200))
    monkeypatch.setattr(sharing, "_HELD_PAIRS", per_pass)
    found = candidates(texts)
    assert pairs(found) == pairs(whole) >= {(i, 60 + i) for i in range(20)}
    assert sorted(found.frames.tolist()) == sorted(whole.frames.tolist())
    assert found.is_complete.tolist() == whole.is_complete.tolist()


def test_rows_that_share_a_common_text_are_paired_with_the_first_and_the_one_before():
    rng = random.Random(2)
    frame = rows(rng, 1, least=40, most=40)[0].prompt
    num = RARE_ROWS + 8
    found = candidates([f"{frame} {word}" for word in vocabulary(rng, 400)[-num:]])
    assert pairs(found) == {(0, i) for i in range(1, num)} | {(i - 1, i) for i in range(1, num)}
    assert not found.is_rare.any()
    assert not found.is_complete.any()
    few = candidates([f"{frame} {word}" for word in vocabulary(rng, 400)[-RARE_ROWS:]])
    assert len(few.pairs) == RARE_ROWS * (RARE_ROWS - 1) // 2
    assert few.is_rare.all() and few.is_complete.all()


def test_frames_are_what_four_rows_share():
    rng = random.Random(3)
    frame = " ".join(vocabulary(rng, 50)[:30])
    assert len(candidates([f"{frame} {word}" for word in ("a", "b", "c")]).frames) == 0
    assert len(candidates([f"{frame} {word}" for word in ("a", "b", "c", "d")]).frames) == 26
    assert len(candidates([f"{frame} {word}" for word in ("a", "b", "c", "d")], ANSWERS[0]).frames) == 0


def test_texts_of_other_lengths_are_left_to_the_other_family():
    texts = ["oak elm ash fir yew"] * 2
    assert pairs(candidates(texts, LONG)) == set()
    assert pairs(candidates(texts, SHORT)) == {(0, 1)}
    across = [" ".join(WORDS * 3), " ".join(WORDS * 3) + " oak"]
    assert [len(text.split()) for text in across] == [24, 25]
    assert pairs(candidates(across, LONG)) == pairs(candidates(across, SHORT)) == {(0, 1)}
