"""Keys are equal where a reader cannot tell two rows apart, and different where they teach or ask something else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.duplicates import NO_ANSWER, Placed, first_of, hex_of, keys_of, pairs_of
from luthier.records import Example, Message, Preference


def example(prompt="a", answer="b", weight=None, **rest):
    messages = [Message(role="user", content=prompt), Message(role="assistant", content=answer, weight=weight)]
    return Example.of(messages, **rest)


def preference(prompt="a", chosen="b", rejected="c"):
    return Preference.of([Message(role="user", content=prompt)], chosen=chosen, rejected=rejected)


SAME = [
    (example(), example()),
    (example("a \u200b"), example("a")),
    (example(answer="b\r\n"), example(answer="b")),
    (preference(), preference("a ", "b", "c ")),
    (example(weight=1.0), example()),
    (example(links=("x",)), example(links=("y",), source="other", task="t")),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_rows_that_say_the_same_have_one_key(left, right):
    assert keys_of(left) == keys_of(right)


DIFFERENT = [
    (example(), example(answer="c")),
    (example(), example(prompt="A")),
    (example(), example(weight=0.5)),
    (example(targets=["b"]), example(targets=["b", "c"])),
    (example(targets=["b", "x"]), example(targets=["b"], choices=["x"])),
    (example(choices=["b", "c"]), example(choices=["b", "d"])),
    (example(grading={"grader": "exact"}), example(grading={"grader": "choice"})),
    (example(tools=[{"function": {"name": "f"}}]), example()),
    (preference(), preference(rejected="d")),
    (preference("a", "b", "c"), preference("a", "c", "b")),
    (preference("a", "b", "cd"), preference("a", "bc", "d")),
    (example(), preference()),
]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_rows_that_differ_in_what_they_teach_have_different_keys(left, right):
    assert keys_of(left).exact != keys_of(right).exact


def test_the_keys_of_prompt_and_answer_are_their_own():
    assert keys_of(example()).prompt == keys_of(preference()).prompt == keys_of(example(answer="c")).prompt
    assert keys_of(example()).answer == keys_of(example("x", "b ")).answer != keys_of(example(answer="c")).answer
    assert keys_of(preference()).answer == keys_of(Example.of([Message(role="user", content="a")])).answer == NO_ANSWER


def test_prompts_of_earlier_turns_have_the_key_that_they_have_alone():
    turns = [Message(role=role, content=text) for role, text in zip(("user", "assistant") * 2, "abcd", strict=True)]
    placed = Placed.of("f:1", Example.of(turns))
    assert placed.earlier_keys == (Placed.of("f:2", example("a", "other")).prompt_key,)
    assert Placed.of("f:1", Preference.of(turns[:3], chosen="x", rejected="y")).earlier_keys == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30), st.sampled_from([None, 1, 4, 100]))
def test_the_first_of_equal_keys_is_found_however_many_are_sorted_at_a_time(keys, most):
    found = first_of(np.array(keys, np.uint64).reshape(-1, 2), most_rows=most)
    assert found.tolist() == [keys.index(key) for key in keys]


def test_keys_of_bytes_sort_as_numbers_and_read_back():
    digests = [bytes(range(16)), bytes(reversed(range(16))), b"\xff" * 16]
    pairs = pairs_of(digests)
    assert [hex_of(pair) for pair in pairs] == [digest.hex() for digest in digests]
    assert np.lexsort((pairs[:, 1], pairs[:, 0])).tolist() == [0, 1, 2]
    assert pairs_of([]).shape == (0, 2)
