"""The normal form forgets what nobody sees and keeps what changes the meaning."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.similarity import is_plain, normal_form

SAME = [
    ("caf\u00e9", "cafe\u0301"),
    ("one two", "one   two"),
    ("one  two\n```\nx  =  1  \n```\na  b", "one two\n```\nx  =  1\n```\na b"),
    ("a\tb  \t  \nc", "a\tb \t\nc"),
    ("\t\na\tb\t\n", "a\tb"),
    ("one\u00a0two", "one two"),
    ("a\r\nb", "a\nb"),
    ("a\rb", "a\nb"),
    ("a\u2028b", "a\nb"),
    ("a \nb  ", "a\nb"),
    ("a\n   \nb", "a\n\nb"),
    ("\n  \n", ""),
    ("zero\u200bwidth", "zerowidth"),
    ("\ufeffmark", "mark"),
    ("soft\u00adhyphen", "softhyphen"),
    (" padded ", "padded"),
    ("line\n \n", "line"),
]

DIFFERENT = [
    ("US", "us"),
    ("if x:\n  a\nb", "if x:\n  a\n  b"),
    ("one two", "onetwo"),
    ("a\nb", "a b"),
    ("a\t\tb", "a\tb"),
    ("a\tb", "a b"),
    ("if x:\n\ta\nb", "if x:\n\ta\n\tb"),
    ("so:\n```\nx  = 1\n```", "so:\n```\nx = 1\n```"),
    ("so:\n```\nx  = 1", "so:\n```\nx = 1"),
    ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u0937"),
    ("\u0e01\u200b\u0e02", "\u0e01\u0e02"),
    ("7 + 1", "7 + 2"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_texts_that_look_the_same_have_one_normal_form(left, right):
    assert normal_form(left) == normal_form(right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_texts_that_mean_different_things_keep_different_forms(left, right):
    assert normal_form(left) != normal_form(right)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab` e\u0301 \n\r\t\u200b\u00a0\u2028\ufeff\x00\x85")))
def test_the_normal_form_of_a_normal_form_is_itself(text):
    assert normal_form(normal_form(text)) == normal_form(text)


def test_a_text_is_plain_when_there_is_nothing_in_it_but_ascii_tabs_and_line_feeds():
    assert is_plain("def f():\n\treturn 1")
    assert not any(is_plain(text) for text in ("\r\n", "\x00", "\x7f", "\u00e9", "\u200b", "\x0b"))


def test_the_normal_form_takes_time_in_proportion_to_the_text():
    text = "a" + " " * 200_000 + "b\n" + " " * 200_000 + "\n" + "\t" * 200_000 + "c"
    assert normal_form(text) == "a b\n\n" + "\t" * 200_000 + "c"
