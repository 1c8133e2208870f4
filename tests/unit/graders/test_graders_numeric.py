import gzip
import itertools
import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from luthier.graders.numeric import last_number, numeric
from luthier.records import Completion, Example, Message


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", 18),
        ("She makes 9 * 2 = $18.", 18),
        ("9 + 9 = 18\n#### 18", 18),
        ("#### 18\nthat is 3 a day", 18),
        ("#### -1,234.50 dollars", Fraction("-1234.5")),
        ("it costs 1,234,567", 1234567),
        ("one of 3,4,5", 5),
        ("12,13", 13),
        ("-3,4,5", 5),
        ("3,4,-5", -5),
        ("1,234,56", 56),
        ("-1,234", -1234),
        ("1" + ",234" * 5000 + ",56", 56),
        ("50%", 50),
        ("about .5 of it", Fraction(1, 2)),
        ("3/4", Fraction(3, 4)),
        ("on 1/2/2020", 2020),
        ("3-4", 4),
        ("x = -4", -4),
        ("\u22127 degrees", -7),
        ("(5)-3", 3),
        ("1.5e3", 1500),
        ("version B2B and x2", None),
        ("1/0", None),
        ("none at all", None),
        ("9" * 5000, None),
        ("", None),
    ],
)
def test_the_last_number_of_a_text(text, number):
    assert last_number(text) == number


def graded(targets, text):
    example = Example.of([Message(role="user", content="?")], targets=targets)
    return numeric(example, Completion.of(example_id=example.id, model_id="m", text=text))


def test_numbers_are_compared_exactly_and_units_are_not_read():
    assert graded(["0.5"], "so 1/2").value == 1
    assert graded(["18 apples"], "18.00").value == 1
    assert graded(["1/3"], "0.33").value == 0
    assert graded(["0.5"], "50%").value == 0
    assert graded(["3", "four is 4"], "I get 4").value == 1


def test_no_number_in_the_answer_is_wrong_and_none_in_the_target_is_undecided():
    assert graded(["7"], "I do not know").value == 0
    grade = graded(["many"], "7")
    assert grade.value is None and grade.reason == "no accepted answer holds a number"


def test_every_gsm8k_solution_is_right_by_its_own_words():
    folder = os.environ.get("LUTHIER_TEST_DATA")
    if not folder:
        pytest.skip("LUTHIER_TEST_DATA is not set: no GSM8K to read")
    with gzip.open(Path(folder) / "gsm8k/test.jsonl.gz", "rt") as file:
        answers = [json.loads(line)["answer"] for line in file]
    values = [graded([answer], answer.rpartition("####")[2]).value for answer in answers]
    assert len(values) == 1319 and set(values) == {1.0}
    # The other way around: a target of the next item is right about as seldom as chance.
    assert sum(graded([a], b).value for a, b in itertools.pairwise(answers)) < 40
