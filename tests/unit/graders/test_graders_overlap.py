import gzip
import itertools
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import sentence_bleu, sentence_chrf
from sacrebleu.metrics import BLEU, CHRF

from luthier.graders.overlap import bleu, chrf, common_subsequence_length, rouge_l, signature
from luthier.records import Completion, Example, Message

ORACLE = RougeScorer(["rougeL"], use_stemmer=False)


def value(grader, targets, text):
    example = Example.of([Message(role="user", content="?")], targets=targets)
    return grader(example, Completion.of(example_id=example.id, model_id="m", text=text)).value


def plain_lcs(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(st.text("abc", max_size=80), st.text("abcd", max_size=80))
@settings(max_examples=100, deadline=None)
def test_the_subsequence_length_is_that_of_the_textbook_table(a, b):
    assert common_subsequence_length(a, b) == plain_lcs(a, b)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_rouge_l_is_rouge_scores_for_any_text(target, answer):
    ours = value(rouge_l, [target], answer)
    theirs = ORACLE.score(target, answer)["rougeL"].fmeasure
    assert theirs == 0 if ours is None else ours == pytest.approx(theirs, abs=1e-12)


def test_rouge_l_chrf_and_bleu_are_the_oracles_on_real_answers():
    folder = os.environ.get("LUTHIER_TEST_DATA")
    if not folder:
        pytest.skip("LUTHIER_TEST_DATA is not set: no Super-NaturalInstructions to read")
    with gzip.open(Path(folder) / "superni/instances.jsonl.gz", "rt") as file:
        rows = random.Random(0).sample([json.loads(line) for line in file], 300)
    for row, other in itertools.pairwise(rows):
        targets, answer = row["output"], other["output"][0] + " " + row["output"][0][::2]
        best = max(ORACLE.score(t, answer)["rougeL"].fmeasure for t in targets)
        assert (value(rouge_l, targets, answer) or 0) == pytest.approx(best, abs=1e-12)
        if any(t.strip() for t in targets):
            assert value(chrf, targets, answer) == pytest.approx(sentence_chrf(answer, targets).score / 100)
            theirs = max(sentence_bleu(answer, [t], use_effective_order=True).score for t in targets) / 100
            assert value(bleu, targets, answer) == pytest.approx(theirs)


def test_overlap_takes_the_best_accepted_answer_and_stays_within_zero_and_one():
    targets = ["the cat sat on the mat", "a dog"]
    for grader in (rouge_l, chrf, bleu):
        assert value(grader, targets, "A dog" if grader is rouge_l else "a dog") == pytest.approx(1)
        assert value(grader, targets, "") == 0
        assert 0 < value(grader, targets, "the cat") < 1


def test_rouge_l_cannot_tell_where_it_sees_no_word_and_chrf_can():
    target = "\u4f60\u597d\u4e16\u754c"
    assert value(rouge_l, [target], target) is None
    assert value(chrf, [target], target) == 1
    assert value(chrf, [], "x") is None
    assert value(bleu, [], "x") is None and value(bleu, [" "], "x") is None


def test_bleu_of_a_few_words_is_that_of_the_formula():
    # Of five words and no longer than the reference: 4/5 words, 2/4 pairs, 1/3 triples, and half a match of 2 fours.
    expected = (4 / 5 * 2 / 4 * 1 / 3 * (1 / 2) / 2) ** 0.25
    assert value(bleu, ["the cat sat on it"], "the cat sat in it") == pytest.approx(expected)
    # The brevity penalty: e to the 1 - 5/3.
    assert value(bleu, ["the cat sat on it"], "the cat sat") == pytest.approx(2.718281828459045 ** (1 - 5 / 3))


def test_the_signatures_are_those_of_sacrebleu_and_name_its_version():
    for name, metric, count in (("chrf", CHRF(), -1), ("bleu", BLEU(effective_order=True), 1)):
        metric.num_refs = count
        assert signature(name) == str(metric.get_signature())
        assert "version:" in signature(name)
    assert "nrefs:var" in signature("chrf") and "nrefs:1" in signature("bleu")
    with pytest.raises(ValueError, match="found 'rouge_l', expected 'chrf' or 'bleu'"):
        signature("rouge_l")
