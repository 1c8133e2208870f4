"""Questions of evaluation files: read from any shape, counted, and known by what is their own."""

import json

import pytest

from luthier.curate.questions import read_questions
from luthier.errors import DataError

TEMPLATE = "You will be given a sentence about the weather and you must say what the mood of its writer is in one word"


def questions(count):
    return [
        (f"e:{k}", f"{TEMPLATE}: the storm number {k} came and took roof {k * 7} off the barn of uncle {k * 3}")
        for k in range(count)
    ]


def names(index, text):
    return [match.name for match in index.matches(text)]


def test_what_the_template_of_a_file_says_counts_for_nothing(tmp_path):
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(json.dumps({"prompt": text, "completion": "x"}) + "\n" for _, text in questions(11)))
    index = read_questions([path], columns={}).index
    assert names(index, f"{TEMPLATE}: I saw nothing but clouds all day") == []
    assert names(index, f"Please. {questions(11)[3][1]} Thanks.") == [f"{path}:4"]


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
