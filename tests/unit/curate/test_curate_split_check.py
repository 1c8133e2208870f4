"""Two files are apart, or the rows that give the test away are shown."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luthier.cli import app
from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.curate.split_check import HOLDS, NEAR, NEAR_PROMPT, SAME_LINK, SAME_PROMPT, check_split
from luthier.errors import ConfigError, DataError

DATA = os.environ.get("LUTHIER_TEST_DATA", "")
NOTE = "Write a short note about the benefits of solar power for a small town in the mountains with long and sunny days"
ANSWER = (
    "Solar panels on the roofs of the school and the town hall would pay for themselves within eight years, keep the "
    "lights on when a storm cuts the line to the valley, and leave money in the town that now goes to the utility."
)


def silent(line):
    pass


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pair(prompt, answer="b", **rest):
    return {"prompt": prompt, "completion": answer, **rest}


def checked(tmp_path, train, test):
    files = write(tmp_path / "train.jsonl", train), write(tmp_path / "test.jsonl", test)
    return check_split(*files, say=silent)


TRAIN = [pair(f"How tall is mountain {k}?", f"{k} metres") for k in range(40)]
TEST = [pair(f"How long is river {k}?", f"{k} miles") for k in range(40)]


def test_files_that_share_nothing_are_apart(tmp_path):
    check = checked(tmp_path, TRAIN, TEST)
    assert check.is_apart and not any(check.test_rows.values()) and check.evidence == ()
    assert check.largest_similarity is None
    assert check.lines()[-1] == "apart: no prompt, near-duplicate or link is in both"


def test_a_near_duplicate_across_two_files_is_refused_with_both_rows(tmp_path):
    check = checked(tmp_path, [*TRAIN, pair(NOTE, ANSWER)], [*TEST, pair(f"Please {NOTE}", ANSWER)])
    assert not check.is_apart
    assert check.test_rows[NEAR] == 1
    (found,) = [each for each in check.evidence if each.kind == NEAR]
    assert (found.train, found.test) == (f"{tmp_path}/train.jsonl:41", f"{tmp_path}/test.jsonl:41")
    assert 0.7 <= found.similarity < 1 and found.similarity == check.largest_similarity
    text = "\n".join(check.lines())
    assert "train.jsonl:41 and" in text and "Please Write a short note" in text and "Fix:" in text


def test_each_instance_of_a_test_row_is_counted(tmp_path):
    asked = [
        f"How long is the river number {k} that runs through the valley behind the town of the mill" for k in (1, 2)
    ]
    test = [{"instruction": "Say.", "instances": [{"input": text, "output": "4"} for text in asked]}]
    train = [pair(f"Say.\n\n{text}", "9") for text in asked]
    check = checked(tmp_path, [*TRAIN, *train], test)
    assert check.rows["test"] == 2 and check.test_rows[HOLDS] == 2
    assert {each.test.rpartition(":")[2] for each in check.evidence if each.kind == HOLDS} == {"1", "1#2"}


OTHERS = [
    (pair("How tall is it?", "9 metres"), pair("How  tall is it? ", "no idea"), SAME_PROMPT),
    (pair(NOTE, ANSWER), pair(f"Please {NOTE}", "No."), NEAR_PROMPT),
    (pair("one", "two", links=["doc 7"]), pair("three", "four", links=["doc 1", "doc 7"]), SAME_LINK),
]


@pytest.mark.parametrize(("one", "other", "kind"), OTHERS)
def test_one_prompt_one_near_prompt_or_one_link_in_both_is_refused(tmp_path, one, other, kind):
    check = checked(tmp_path, [*TRAIN, one], [*TEST, other])
    assert check.test_rows[kind] == 1 and not check.is_apart
    assert [each.test for each in check.evidence if each.kind == kind] == [f"{tmp_path}/test.jsonl:41"]


def test_a_prompt_of_an_earlier_turn_is_a_leak(tmp_path):
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, "abcd", strict=True)]
    assert checked(tmp_path, [*TRAIN, {"messages": turns}], [*TEST, pair("a", "x")]).test_rows[SAME_PROMPT] == 1
    assert checked(tmp_path, [*TRAIN, pair("a", "x")], [*TEST, {"messages": turns}]).test_rows[SAME_PROMPT] == 0


QUESTION = (
    "A farmer sells forty eggs on Monday and twice as many on Tuesday, how many eggs does the farmer sell in all?"
)


def test_questions_within_longer_rows_count_by_their_share_of_the_test(tmp_path):
    train = [
        *TRAIN,
        pair(f"Here is a riddle that my uncle told me at dinner last week. {QUESTION} Think about it.", "120"),
    ]
    many = [*TEST, *(pair(f"Who wrote book {k}?", f"writer {k}") for k in range(60)), pair(QUESTION, "120 eggs")]
    check = checked(tmp_path, train, many)
    assert check.test_rows[HOLDS] == 1 and not check.is_contaminated
    few = checked(tmp_path, train, [*TEST[:5], pair(QUESTION, "120 eggs")])
    assert few.test_rows[HOLDS] == 1 and few.is_contaminated
    (found,) = few.evidence
    assert "forty eggs" in found.test_text and "contaminated: " in "\n".join(few.lines())


def test_a_file_without_usable_rows_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no row of the data can be used"):
        checked(tmp_path, TRAIN, [{"text": "x"}])


def test_rows_that_cannot_be_used_are_counted_and_named_and_under_strict_they_refuse(tmp_path):
    files = write(tmp_path / "train.jsonl", TRAIN), write(tmp_path / "test.jsonl", [TEST[0], *[{"text": "x"}] * 20])
    check = check_split(*files, say=silent)
    assert check.is_apart and check.rows == {"train": 40, "test": 1, "unusable train": 0, "unusable test": 20}
    text = "\n".join(check.lines())
    assert "unusable rows, compared with nothing: test 20" in text and f"{files[1]}:2" in text
    assert check.lines()[-1].endswith("among the rows that can be used")
    assert [problem["where"] for problem in check.to_json()["problems"]] == [f"{files[1]}:{k}" for k in range(2, 7)]
    strict = check_split(*files, say=silent, strict=True)
    assert not strict.is_apart and "--strict is set" in strict.lines()[-2]
    assert check_split(files[0], write(tmp_path / "fine.jsonl", TEST), say=silent, strict=True).is_apart


def test_what_is_found_can_be_read_by_programs(tmp_path):
    data = checked(tmp_path, [*TRAIN, pair("x", "y")], [*TEST, pair("x", "z")]).to_json()
    assert json.loads(json.dumps(data))["is_apart"] is False
    assert data["rows"] == {"train": 41, "test": 41, "unusable train": 0, "unusable test": 0} and data["evidence"][0]["kind"] == SAME_PROMPT


@pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")
def test_a_random_split_of_real_rows_is_refused_and_ours_is_not(tmp_path):
    with gzip.open(Path(DATA) / "dolly" / "dolly_15k.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][:4000]
    data = write(tmp_path / "rows.jsonl", rows)
    random.Random(1).shuffle(rows)
    at_random = checked(tmp_path, rows[800:], rows[:800])
    assert not at_random.is_apart and at_random.evidence
    config = CurateConfig(held_out_share=0.2, dev_share=0.0)
    ours = curate([data], out=tmp_path / "out", config=config, say=silent)
    check = check_split(ours.paths["train"], ours.paths["held_out"], say=silent)
    assert check.is_apart, check.lines()


CHAIN = [ANSWER, ANSWER.replace("the roofs of the school and", "top of the old school and"),
         ANSWER.replace("the roofs of the school and", "top of the old school and").replace("leave money", "keep more money")]  # fmt: skip


def near_ones(check):
    return [(Path(f.train).name, Path(f.test).name, f.similarity) for f in check.evidence if f.kind == NEAR]


def test_the_twin_of_a_row_is_the_nearest_of_train_and_its_similarity_is_measured(tmp_path):
    far, near, asked_too = (pair("Item", text) for text in CHAIN)
    alone = near_ones(checked(tmp_path, [near], [asked_too]))
    check = checked(tmp_path, [far, near], [asked_too])
    assert near_ones(check) == [("train.jsonl:2", "test.jsonl:1", alone[0][2])]
    assert check.largest_similarity == alone[0][2] > 0.7


def test_a_repeated_row_of_test_has_the_similarity_of_the_first(tmp_path):
    near, asked_too = pair("Item", CHAIN[1]), pair("Item", CHAIN[2])
    ((_, _, first), (_, _, again)) = near_ones(checked(tmp_path, [near], [asked_too, asked_too]))
    assert first == again > 0.7


def test_rows_that_are_near_through_others_alone_have_no_similarity(tmp_path):
    check = checked(tmp_path, [pair("Item", CHAIN[0])], [pair("Item", CHAIN[1]), pair("Item", CHAIN[2])])
    found = {test: similarity for _, test, similarity in near_ones(check)}
    assert found["test.jsonl:2"] is None and check.largest_similarity == found["test.jsonl:1"] > 0.7
    assert any(line.endswith("test.jsonl:2, through other rows") for line in check.lines())


@pytest.mark.parametrize(("more", "name"), [(["--data", "x.jsonl"], "--data"), (["--out", "o"], "--out"),
                                            (["curate.near.jaccard=0.5"], "recipe or key=value")])  # fmt: skip
def test_the_command_refuses_what_it_would_not_read(tmp_path, more, name):
    files = write(tmp_path / "train.jsonl", TRAIN), write(tmp_path / "test.jsonl", TEST)
    done = CliRunner().invoke(app, ["curate", "--check-split", *map(str, files), *more])
    assert isinstance(done.exception, ConfigError) and f"command line: {name}" in done.exception.text()
