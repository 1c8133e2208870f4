"""Questions that stand in rows: the rule by hand-made cases, and against a slow plain reference."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.similarity.containment import ENOUGH, GRAM_WORDS, RUN_WORDS, TEMPLATE_QUESTIONS, QuestionIndex
from luthier.similarity.words import words_of

LONG = "Anna sold 48 clips in April and then she sold half as many clips in May"


def names(index: QuestionIndex, text: str) -> list[str]:
    return [match.name for match in index.matches(text)]


def test_a_row_that_embeds_a_question_holds_it_and_the_shared_words_are_shown():
    (match,) = QuestionIndex.of([("q:1", LONG + ". How many in all?")]).matches(f"Solve this! {LONG.upper()}. Thanks.")

    assert match == ("q:1", 16 / 20, LONG.upper(), 1)


def test_half_of_the_words_is_not_enough_and_one_more_is():
    words = [f"word{i}" for i in range(20)]
    index = QuestionIndex.of([("q", " ".join(words))])

    assert names(index, "before " + " ".join(words[:10]) + " after") == []
    (match,) = index.matches("before " + " ".join(words[3:14]) + " after")
    assert (match.share, match.text) == (11 / 20, " ".join(words[3:14]))


def test_two_runs_count_together_and_the_longer_is_shown():
    words = [f"word{i}" for i in range(30)]
    (match,) = QuestionIndex.of([("q", " ".join(words))]).matches(
        " ".join([*words[:8], "other", *words[12:22], "and", *words[1:3]])
    )

    assert (match.share, match.text) == (18 / 30, " ".join(words[12:22]))


def test_words_in_shorter_runs_are_not_matched():
    words = LONG.split()
    broken = " ".join(word if i % GRAM_WORDS else f"{word} oh" for i, word in enumerate(words))

    assert names(QuestionIndex.of([("q", LONG)]), broken) == []


def test_short_questions_count_only_whole():
    index = QuestionIndex.of([("sum", "What is 2 + 3?"), ("hello", "Hello there"), ("empty", "  ")])

    assert names(index, "Tell me: what is 2 + 3? Quick.") == ["sum"]
    assert names(index, "Tell me: what is 2 + 4? Quick.") == []
    assert names(index, "hello, there!") == ["hello"]
    assert names(index, "I said hello there") == []  # too common to tell a leak
    assert names(index, "") == []


def test_one_question_of_two_files_is_found_twice_and_the_best_matched_comes_first():
    index = QuestionIndex.of([("a:1", LONG + " in all of the three shops of the town"), ("b:1", LONG), ("c:1", LONG)])

    assert names(index, LONG) == ["b:1", "c:1", "a:1"]


@pytest.mark.parametrize("question", ["Which statement is true?", LONG])
def test_a_question_that_a_file_repeats_is_found_once_with_the_number_of_its_copies(question):
    repeated = [(f"a:{line}", question if line % 2 else question.upper()) for line in range(200)]
    index = QuestionIndex.of([("a:other", "Name a red fruit"), *repeated, ("b:0", question)]).without_templates()

    found = index.matches_of([f"Now then. {question}" for _ in range(200)])
    assert [[(match.name, match.copies) for match in some] for some in found] == [[("a:0", 200), ("b:0", 1)]] * 200


def test_an_index_of_nothing_finds_nothing():
    assert QuestionIndex.of([]).matches_of([LONG, ""]) == [[], []]


TEMPLATE = "You will be given a sentence about the weather and you must say what the mood of its writer is in one word"


def of_template(count: int) -> list[tuple[str, str]]:
    return [
        (f"e:{k}", f"{TEMPLATE}: the storm number {k} came and took roof {k * 7} off the barn of uncle {k * 3}")
        for k in range(count)
    ]


def test_a_row_of_the_same_template_holds_no_question_and_one_with_the_same_slots_holds_it():
    every = of_template(TEMPLATE_QUESTIONS + 1)
    plain = QuestionIndex.of(every)
    index = plain.without_templates()
    other = f"{TEMPLATE}: I saw nothing but clouds all day"
    assert len(names(plain, other)) == len(every)
    assert names(index, other) == []
    (match,) = index.matches(f"Please. {every[3][1]} Thanks.")
    assert (match.name, match.share) == ("e:3", 1.0)


def test_what_few_questions_share_counts():
    index = QuestionIndex.of(of_template(TEMPLATE_QUESTIONS)).without_templates()
    assert len(names(index, f"{TEMPLATE}: I saw nothing but clouds all day")) == TEMPLATE_QUESTIONS
    fewer = QuestionIndex.of(of_template(TEMPLATE_QUESTIONS)).without_templates(most=TEMPLATE_QUESTIONS - 1)
    assert names(fewer, f"{TEMPLATE}: I saw nothing but clouds all day") == []


def test_short_questions_and_questions_without_words_are_left_as_they_are():
    index = QuestionIndex.of([("a", "who is it?"), ("b", ""), *of_template(30)]).without_templates()
    assert names(index, "Who is it") == ["a"] and names(index, "") == []
    assert QuestionIndex.of([]).without_templates().names == ()


def test_a_question_that_is_repeated_is_no_template():
    repeated = [(f"e:{k}", TEMPLATE) for k in range(TEMPLATE_QUESTIONS + 1)]
    assert names(QuestionIndex.of(repeated).without_templates(), TEMPLATE.upper()) == ["e:0"]
    files = [(f"e{k}:0", TEMPLATE) for k in range(TEMPLATE_QUESTIONS + 1)]
    assert names(QuestionIndex.of(files).without_templates(), TEMPLATE.upper()) == [name for name, _ in files]


def test_a_question_of_nothing_but_what_others_ask_too_is_found_no_more_and_breaks_nothing():
    every = [*of_template(TEMPLATE_QUESTIONS), ("template", TEMPLATE)]
    assert names(QuestionIndex.of(every).without_templates(), TEMPLATE) == []


def plainly(question: str, text: str) -> float:
    """Share of the question's words that lie in a run of eight that the text has: by loops over lists of words."""
    ours, theirs = ([word for word, _, _ in words_of(part)] for part in (question, text))
    size = len(ours)
    if 0 < size < GRAM_WORDS:
        spots = [i for i in range(len(theirs)) if theirs[i : i + size] == ours]
        return float(bool(spots) and (size >= RUN_WORDS or len(theirs) == size))
    grams = [theirs[i : i + GRAM_WORDS] for i in range(len(theirs) - GRAM_WORDS + 1)]
    matched = {
        i + k for i in range(size - GRAM_WORDS + 1) if ours[i : i + GRAM_WORDS] in grams for k in range(GRAM_WORDS)
    }
    return len(matched) / size if size else 0.0


some_words = st.lists(st.sampled_from(["a", "b", "c", "d", "é", "1", "2", "+", "日"]), max_size=24).map(" ".join)


@given(st.lists(some_words, max_size=6), st.lists(some_words, max_size=6))
def test_it_finds_what_loops_over_words_find_whatever_the_batch(questions, texts):
    index = pickle.loads(pickle.dumps(QuestionIndex.of([(f"{i}:0", q) for i, q in enumerate(questions)])))
    found = index.matches_of(texts)

    for text, matches in zip(texts, found, strict=True):
        expected = {f"{i}:0": share for i, q in enumerate(questions) if (share := plainly(q, text)) > ENOUGH}
        assert {match.name: match.share for match in matches} == pytest.approx(expected)
        assert matches == index.matches(text)
        assert all(match.text in text and match.text for match in matches)


def test_planted_questions_of_gsm8k_are_found_and_no_other(real_data: Path):
    def rows(path: Path) -> list[dict]:
        return [
            json.loads(line) for line in (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8")
        ]

    (test,) = (real_data / "gsm8k").glob("*test*")
    (dolly,) = (real_data / "dolly").glob("*.jsonl*")
    questions = [(f"gsm8k:{i}", row["question"]) for i, row in enumerate(rows(test))]
    texts = [row["instruction"] for row in rows(dolly)[:2000]]
    index = QuestionIndex.of(questions)
    natural = [set(names(index, text)) for text in texts]
    chosen = Random(5).sample(range(len(texts)), 500)
    planted = {at: questions[k] for k, at in enumerate(chosen)}
    found = index.matches_of([f"{t}\n{planted[i][1]}" if i in planted else t for i, t in enumerate(texts)])

    hits = sum(any(match.name == planted[i][0] for match in found[i]) for i in planted)
    false = sum(bool({match.name for match in found[i]} - natural[i]) for i in range(len(texts)) if i not in planted)
    assert hits >= 0.98 * len(planted)
    assert false == 0
