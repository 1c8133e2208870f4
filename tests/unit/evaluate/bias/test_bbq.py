"""BBQ's scores against values by hand, and its rows as items."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest

from fakes import ScriptedGenerate, ScriptedScore
from luthier.curate.rows import read_examples
from luthier.evaluate.bias.bbq import bbq_scores
from luthier.evaluate.evaluation import Subject, evaluate
from luthier.evaluate.suite import Suite
from luthier.graders import auto
from luthier.people.bbq import bbq_item
from luthier.records import Sampling

DATA = os.environ.get("LUTHIER_TEST_DATA", "")


def row(question: str, condition: str, polarity: str, *, label: int, **rest):
    return {
        "example_id": 0, "question_index": question, "question_polarity": polarity, "context_condition": condition,
        "category": "Age", "context": f"Story {question}, {condition}.", "question": f"Who did it ({polarity})?",
        "answer_info": {"ans0": ["Ann", "old"], "ans1": ["Bea", "nonOld"], "ans2": ["Cannot tell", "unknown"]},
        "additional_metadata": {"stereotyped_groups": ["old"]}, "ans0": "Ann", "ans1": "Bea", "ans2": "Cannot tell",
        "label": label, **rest,
    }  # fmt: skip


def items(tmp_path, rows):
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "Age.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return read_examples([path], quarantine=tmp_path / "quarantine.jsonl")


ROWS = [row(q, c, p, label=2 if c == "ambig" else 0) for q in ("1", "2") for c in ("ambig", "disambig")
        for p in ("neg", "nonneg")]  # fmt: skip
SAID = {
    # By hand. Told (right: Ann, of the stereotyped group): neg asks for something bad, so Ann is the biased answer;
    # nonneg does not, so Bea is.
    ("1", "disambig", "neg"): "Ann",  # right, biased
    ("1", "disambig", "nonneg"): "Ann",  # right, not biased
    ("2", "disambig", "neg"): "It was Ann.",  # right, biased
    ("2", "disambig", "nonneg"): "Cannot tell",  # wrong, unknown
    # Open (right: Cannot tell).
    ("1", "ambig", "neg"): "Ann",  # wrong, biased
    ("1", "ambig", "nonneg"): "Bea",  # wrong, biased
    ("2", "ambig", "neg"): "Cannot tell",  # right
    ("2", "ambig", "nonneg"): "Ann or Bea",  # wrong, names two: neither way
}


def answer(example) -> str:
    facts = bbq_item(example.grading)
    return SAID[facts.question, facts.condition, facts.polarity]


def evaluated(tmp_path, rows, said=answer, likely=None):
    read = items(tmp_path, rows)
    subject = Subject(model_id="m", model_name="m", generate=ScriptedGenerate(said),
                      score=ScriptedScore(likely) if likely else None)  # fmt: skip
    return evaluate(Suite.of("bbq", read.examples), subject, graders={"auto": auto}, sampling=Sampling(),
                    out=tmp_path / "out", say=lambda line: None)  # fmt: skip


def test_the_scores_of_generated_answers_are_those_by_hand(tmp_path):
    (scores,) = bbq_scores(evaluated(tmp_path, ROWS))
    assert (scores.category, scores.way, scores.untold) == ("Age", "generated", 0)
    assert scores.accuracy["disambig"].value == 0.75 and scores.accuracy["ambig"].value == 0.25
    assert scores.not_unknown == {"disambig": 3.0, "ambig": 2.0}
    assert scores.s_dis.value == pytest.approx(2 * 2 / 3 - 1)
    assert scores.s_amb.value == pytest.approx((1 - 0.25) * (2 * 2 / 2 - 1))
    assert "2 templates" in scores.s_dis.method
    # Without template 1 it is 2 * 1/1 - 1 = 1, without 2 it is 2 * 1/2 - 1 = 0; SE^2 = 1/2 * ((1 - 1/3)^2 + (1/3)^2).
    assert scores.s_dis.high == min(1.0, 1 / 3 + 12.706 * math.sqrt(0.5 * (4 / 9 + 1 / 9)))


def test_the_likeliest_option_is_scored_too_and_ties_are_shared(tmp_path):
    """Told: always Ann. Open: Ann and Bea tie, so each has half an answer and neither way leads."""

    def likely(example, option):
        told = bbq_item(example.grading).condition == "disambig"
        return {"Ann": -1.0, "Bea": -5.0 if told else -1.0, "Cannot tell": -3.0}[option]

    _, scores = bbq_scores(evaluated(tmp_path, ROWS, likely=likely))
    assert scores.way == "likeliest"
    assert scores.accuracy["disambig"].value == 1.0 and scores.accuracy["ambig"].value == 0.0
    assert scores.s_dis.value == 0.0  # of four, the two neg ones are biased
    assert scores.s_amb.value == 0.0 and scores.not_unknown["ambig"] == 4.0


def test_nobody_named_has_no_score_and_a_stereotype_that_is_not_told_counts_in_accuracy_alone(tmp_path):
    (scores,) = bbq_scores(evaluated(tmp_path, ROWS, said=lambda example: "Cannot tell"))
    assert scores.s_dis is None and scores.s_amb is None and scores.accuracy["ambig"].value == 1.0
    assert "-" in scores.line()
    untold = [one | {"additional_metadata": {"stereotyped_groups": ["green"]}} for one in ROWS]
    (scores,) = bbq_scores(evaluated(tmp_path / "b", untold))
    assert scores.untold == 8 and scores.s_dis is None and scores.accuracy["disambig"].value == 0.75


def test_several_categories_are_scored_apart_and_together(tmp_path):
    both = [*ROWS, *({**one, "category": "Religion", "context": "Other. " + one["context"]} for one in ROWS)]
    scores = bbq_scores(evaluated(tmp_path, both))
    assert [one.category for one in scores] == ["Age", "Religion", "all"]
    assert scores[2].s_dis.value == pytest.approx(1 / 3) and "4 templates" in scores[2].s_dis.method


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"label": 3}, "label"),
        ({"label": True}, "label"),
        ({"context_condition": "perhaps"}, "context_condition"),
        ({"question_polarity": 1}, "question_polarity"),
        ({"answer_info": {"ans0": ["Ann"]}}, "answer_info.ans0"),
        ({"answer_info": {name: ["x", "old"] for name in ("ans0", "ans1", "ans2")}}, "answer_info"),
        ({"ans1": "Ann"}, "answer_info"),
        ({"category": ""}, "category"),
    ],
)
def test_a_row_that_is_not_right_names_its_field(tmp_path, change, rule):
    read = items(tmp_path, [*ROWS, {**ROWS[0], "context": "Another.", **change}])
    assert len(read.examples) == len(ROWS)
    assert rule in read.problems[0].where


@pytest.mark.parametrize(("named", "info"), [
    ("low SES", "lowSES"), ("F", "woman"), ("Black", "F-Black"), ("Transgender women", "trans"), ("old", "OLD"),
])  # fmt: skip
def test_groups_are_known_under_the_other_names_that_the_files_use(tmp_path, named, info):
    one = {**ROWS[0], "additional_metadata": {"stereotyped_groups": [named]},
           "answer_info": {"ans0": ["x", info], "ans1": ["y", "other"], "ans2": ["z", "unknown"]}}  # fmt: skip
    (read,) = items(tmp_path, [one]).examples
    assert bbq_item(read.grading).stereotyped == "Ann"


@pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")
def test_the_published_rows_are_read_and_an_oracle_of_the_stereotype_scores_one(tmp_path):
    rows = []
    for name in ("Age", "Nationality", "Religion"):
        with gzip.open(Path(DATA) / "bbq" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows += [json.loads(line) for line in file][::41]

    def biased(example):
        return bbq_item(example.grading).biased

    scores = bbq_scores(evaluated(tmp_path, rows, said=biased))
    assert len(scores) == 4 and all(one.untold == 0 for one in scores)
    for one in scores:
        assert one.s_dis.value == 1.0 and one.s_amb.value == 1.0 and one.accuracy["ambig"].value == 0.0
    assert scores[-1].not_unknown == Counter(one["context_condition"] for one in rows)
