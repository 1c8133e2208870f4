"""Answers as models write them, made by hand to mislead: each is right for its number and wrong for the number beside."""

import gzip
import itertools
import json
import os
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.graders.numeric import last_number, numeric
from luthier.records import Completion, Example, Message

ANSWERS = [
    # text, the number that it states, a number that a careless reader would find
    ("The answer is not 5 but 6.", 6, 5),
    ("It is 6, not 5.", 6, 5),
    ("The answer is not 5. It is 6.", 6, 5),
    ("The answer is (7), not 5.", 7, 5),
    ("The total isn't 12; it is 15.", 15, 12),
    ("She needs 7 rather than 8.", 7, 8),
    ("Take 7 instead of the 8.", 7, 8),
    ("The answer is 18. There are 3 steps above.", 18, 3),
    ("**Answer:** 18 (see step 3)", 18, 3),
    ("Answer:\n\n42\n\nI checked it 2 times.", 42, 2),
    ("The final answer is: $1,234.50.", Fraction("1234.5"), 50),
    ("First answer: 5. Second answer: 7.", 7, 5),
    ("The answer is 3 * 4 = 12.", 12, 3),
    ("The answer is (7).", 7, 0),
    ("So \\boxed{42}, as step 3 showed.", 42, 3),
    ("$\\boxed{1{,}234}$", 1234, 234),
    ("\\boxed{\\frac{3}{4}}", Fraction(3, 4), 4),
    ("\\boxed{-\\frac{3}{4}}", Fraction(-3, 4), Fraction(3, 4)),
    ("\\boxed{x = 5\\text{ of }9}", 9, 5),
    ("\\boxed{\\$1\\,250}", 1250, 250),
    ("\\boxed{5} or rather \\boxed{6}", 6, 5),
    ("It is $\\tfrac12$.", Fraction(1, 2), 12),
    ("It is 2\\frac{1}{2} hours.", Fraction(5, 2), Fraction(1, 2)),
    ("1,234,567 people", 1234567, 567),
    ("1\u202f234\u202f567 people", 1234567, 567),
    ("1 000 people", 1000, 0),
    ("12 345 678", 12345678, 678),
    ("1'250 francs", 1250, 250),
    ("1.234.567 Euro", 1234567, 567),
    ("1.234,56 Euro", Fraction("1234.56"), 56),
    ("\u20b91,50,000", 150000, 0),
    ("1_000_000 rows", 1000000, 1),
    ("-$5", -5, 5),
    ("$-5.25", Fraction("-5.25"), Fraction("5.25")),
    ("\u22127 degrees", -7, 7),
    ("\u20137 degrees", -7, 7),
    ("x=-7", -7, 7),
    ("pages 3\u20135", 5, -5),
    ("10 - 7", 7, -7),
    ("10-7=3", 3, -3),
    ("50%", 50, Fraction(1, 2)),
    ("It rose by 12.5 percent.", Fraction("12.5"), 5),
    ("3/4 of a cup", Fraction(3, 4), 4),
    ("5 1/2 cups", Fraction(11, 2), Fraction(1, 2)),
    ("-2 1/2", Fraction(-5, 2), Fraction(-3, 2)),
    ("2\u00bd cups", Fraction(5, 2), 2),
    ("\u00be", Fraction(3, 4), 0),
    ("1.5e3 volts", 1500, 3),
    ("6.02 x 10^23", 602 * 10**21, 23),
    ("1.5 \\times 10^{-3}", Fraction("0.0015"), 3),
    ("3 \u00d7 10\u2078 m/s", 3 * 10**8, 10),
    ("2^10 bytes", 1024, 10),
    ("9 m^2", 9, 2),
    ("9 cm\u00b2 and nothing of x_{2}", 9, 2),
    ("15 km/h", 15, 0),
    ("7th place", 7, 0),
    ("She had 5 on 2020-05-17.", 5, 17),
    ("She had 5 at 12:30.", 5, 30),
    ("There were 5 of them on May 17, 2020.", 5, 2020),
    ("In 2020 (on 1/2/2020) there were 5 left, on 17.05.2021 too.", 5, 2021),
    ("One of 3, 4, 5", 5, 345),
    ("3.14159...", Fraction("3.14159"), 14159),
    ("#### 18\nQuestion 2: what is 3 + 4?", 18, 4),
    ("#### 1,000 dollars (10% off)", 1000, 10),
    ("18<|im_end|>", 18, 0),
    ("Only a number: 42!!", 42, 2),
    ("\uff14\uff12", 42, 2),
]


def value(target, text):
    example = Example.of([Message(role="user", content="?")], targets=[str(target)])
    return numeric(example, Completion.of(example_id=example.id, model_id="m", text=text)).value


@pytest.mark.parametrize(("text", "number", "near"), ANSWERS)
def test_the_number_that_is_meant_is_right_and_the_one_beside_it_wrong(text, number, near):
    assert last_number(text) == number
    assert value(number, text) == 1
    assert value(near, text) == 0


def test_there_are_fifty_and_more_of_them():
    assert len({text for text, _, _ in ANSWERS}) >= 50


@pytest.mark.parametrize("text", ["The answer is not 5.", "no number", "x^2", "B2B", "", "2^9999", "\\boxed{}", "1/0"])
def test_what_states_no_number_is_wrong_for_every_number(text):
    assert last_number(text) is None
    assert value(5, text) == 0


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{:,}", "{}", "{:_}", "${:,}", "{:,} apples", "**{:,}**"]))
def test_any_whole_number_is_read_in_any_usual_form(number, form):
    said = form.format(number)
    for text in (said, f"\\boxed{{{said}}} as step 3 shows", f"The answer is {said}. I took 2 steps.", f"#### {said}\n3"):
        assert last_number(text) == number


@given(st.fractions(max_denominator=10**6))
def test_any_fraction_is_read_plain_and_in_latex(number):
    over, under = abs(number.numerator), number.denominator
    sign = "-" if number < 0 else ""
    assert last_number(f"It is {sign}{over}/{under}.") == number
    assert last_number(f"It is ${sign}\\frac{{{over}}}{{{under}}}$.") == number


@given(st.text("0123456789.,/^-+ eE%$x\\{}()'#:\n\u2212\u00bd\u00b2answeri", max_size=60))
def test_any_text_is_read_without_a_failure(text):
    found = last_number(text)
    assert found is None or isinstance(found, Fraction)


@pytest.mark.parametrize("piece", ["1,", "1 234 ", "1.234", "9", "\\boxed{", "answer is ", "(", "not ", "\\frac{1", "5 1/2 ", "2^"])
def test_no_answer_however_odd_takes_long(piece):
    started = time.process_time()
    last_number(piece * 20_000)
    assert time.process_time() - started < 3


def test_every_gsm8k_solution_is_right_whole_alone_and_in_a_sentence():
    folder = os.environ.get("LUTHIER_TEST_DATA")
    if not folder:
        pytest.skip("LUTHIER_TEST_DATA is not set: no GSM8K to read")
    answers = []
    for part in ("train", "test"):
        with gzip.open(Path(folder) / f"gsm8k/{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            answers += [json.loads(line)["answer"] for line in file]
    ends = [text.rpartition("####")[2].strip() for text in answers]
    assert len(answers) == 8792
    for text, end in zip(answers, ends, strict=True):
        number = last_number(end)
        assert number == Fraction(end.replace(",", ""))
        assert number == last_number(text) == last_number(f"So the answer is ${end}. That took 99 steps.")
    assert sum(last_number(a) == last_number(b) for a, b in itertools.pairwise(ends)) < 0.02 * len(ends)
