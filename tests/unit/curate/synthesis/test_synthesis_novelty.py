"""The novelty filter says what a plain comparison with every older text says, without making it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from luthier.curate.synthesis import novelty as synthesis_novelty
from luthier.curate.synthesis.novelty import Novelty, rouge_words
from luthier.graders.overlap import rouge_l_f1

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "the", "cat", "sat", "on", "mat", "12"]), max_size=9).map(" ".join),
    max_size=12,
)


def plain_f1(a: Sequence[str], b: Sequence[str]) -> float:
    """ROUGE-L by the table of its definition."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    return 2 * table[-1][-1] / (len(a) + len(b)) if table[-1][-1] else 0.0


@given(TEXTS, st.sampled_from([0.3, 0.5, 0.7, 0.75, 0.9, 1.0]))
def test_the_filter_agrees_with_a_comparison_with_every_older_text(texts, limit):
    novelty, older = Novelty(limit), []
    for text in texts:
        near = [other for other in older if plain_f1(rouge_words(text), rouge_words(other)) > limit + 1e-9]
        found = novelty.nearest(text)
        assert (found.text if found else None) == (near[0] if near else None)
        novelty.add(text)
        older.append(text)


@given(TEXTS)
def test_the_measure_is_that_of_rouge_score(texts):
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    for a, b in pairwise(texts):
        assert abs(rouge_l_f1(rouge_words(a), rouge_words(b)) - scorer.score(a, b)["rougeL"].fmeasure) < 1e-12


def test_a_text_at_the_limit_is_new_and_one_above_it_is_not():
    novelty = Novelty(0.7)
    novelty.add("one two three four five six seven eight nine ten")
    assert novelty.nearest("one two three four five six seven x y z") is None
    assert novelty.nearest("one two three four five six seven eight y z").rouge_l == 0.8


def test_words_of_other_scripts_count_too():
    novelty = Novelty(0.7)
    novelty.add("写一首关于春天的诗")
    assert novelty.nearest("写一首关于春天的诗歌") is not None
    assert novelty.nearest("把这句话翻译成英语") is None


def test_few_of_many_older_texts_are_compared(monkeypatch):
    """Of 4,000 older texts, a handful for each new one; the count does not depend on the machine."""
    rng = random.Random(0)
    words = [f"w{n}" for n in range(2000)]
    frames = [
        "Write a {} about {} and {} for {}.",
        "Explain how {} and {} differ when {} is {}.",
        "List five {} that {} can {} with {}.",
    ]
    texts = [rng.choice(frames).format(*rng.choices(words, k=4)) for _ in range(4000)]
    novelty, calls = Novelty(0.7), []
    measure = synthesis_novelty.rouge_l_f1
    monkeypatch.setattr(synthesis_novelty, "rouge_l_f1", lambda a, b: calls.append(None) or measure(a, b))
    for text in texts:
        novelty.nearest(text)
        novelty.add(text)
    assert len(calls) < 10 * len(texts)
