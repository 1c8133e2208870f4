"""Questions of evaluations: what a template says counts for nothing, what a question says by itself counts whole."""

import json

import pytest

from luthier.curate.questions import TEMPLATE_QUESTIONS, read_questions, without_templates
from luthier.errors import DataError
from luthier.similarity.containment import QuestionIndex

TEMPLATE = "You will be given a sentence about the weather and you must say what the mood of its writer is in one word"


def questions(count):
    return [
        (f"e:{k}", f"{TEMPLATE}: the storm number {k} came and took roof {k * 7} off the barn of uncle {k * 3}")
        for k in range(count)
    ]


def names(index, text):
    return [match.name for match in index.matches(text)]


def test_a_row_of_the_same_template_holds_no_question_and_one_with_the_same_slots_holds_it():
    every = questions(TEMPLATE_QUESTIONS + 1)
    plain = QuestionIndex.of(every)
    index = without_templates(plain)
    other = f"{TEMPLATE}: I saw nothing but clouds all day"
    assert len(names(plain, other)) == len(every)
    assert names(index, other) == []
    (match,) = index.matches(f"Please. {every[3][1]} Thanks.")
    assert (match.name, match.share) == ("e:3", 1.0)


def test_what_few_questions_share_counts():
    index = without_templates(QuestionIndex.of(questions(TEMPLATE_QUESTIONS)))
    assert len(names(index, f"{TEMPLATE}: I saw nothing but clouds all day")) == TEMPLATE_QUESTIONS


def test_short_questions_and_questions_without_words_are_left_as_they_are():
    index = without_templates(QuestionIndex.of([("a", "who is it?"), ("b", ""), *questions(30)]))
    assert names(index, "Who is it") == ["a"] and names(index, "") == []
    assert without_templates(QuestionIndex.of([])).names == ()


def test_a_question_that_stands_more_often_than_that_is_found_no_more_and_breaks_nothing():
    index = without_templates(QuestionIndex.of([(f"e:{k}", TEMPLATE) for k in range(TEMPLATE_QUESTIONS + 1)]))
    assert names(index, TEMPLATE) == []


def test_questions_are_read_from_any_shape_and_counted_by_file(tmp_path):
    pairs, talk = tmp_path / "pairs.csv", tmp_path / "talk.jsonl"
    pairs.write_text("question,answer\nHow many eggs does the farmer sell on both of the days in all?,120\n")
    turns = [
        {"role": "user", "content": "Tell me of the long river in the north"},
        {"role": "assistant", "content": "It is long."},
    ]
    talk.write_text(
        json.dumps({"messages": turns}) + "\n" + json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n"
    )
    found = read_questions([pairs, talk], columns={})
    assert found.counts == {str(pairs): 1, str(talk): 1}
    assert names(found.index, "So tell me of the long river in the north, please") == [f"{talk}:1"]
    (tmp_path / "none.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"none\.jsonl:1"):
        read_questions([tmp_path / "none.jsonl"], columns={})
