"""Words are found and hashed in whole chunks as a regular expression would find them one by one."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.similarity.words import SIGNS, codes_of, is_in, word_codes, words_of

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[-+*/=<>%^]")
"""The definition of a word for texts without marks and without signs beyond ASCII."""
CHARACTERS = st.sampled_from(
    "aAbZ09_ -+*/=<>%^.,'!?$&|~#@(){}[]\n\t\u00e9\u00df\u0130\u0416\u4e2d\u6587\u304b\u3000\u2026\u00a0"
)


def code_of(word: str) -> int:
    (code,) = word_codes([word]).codes.tolist()
    return int(code)


def codes(*texts: str) -> list[list[int]]:
    found = word_codes(texts)
    return [part.tolist() for part in np.split(found.codes, found.ends[:-1])] if texts else []


def strict(text: str) -> list[str]:
    """The strict words of a text."""
    return [word for (word, _, _), code in zip(words_of(text), codes(text)[0], strict=True) if code & 1]


PLAIN = st.text(
    st.sampled_from("aAbZ09_ -+*/=<>%^.,'\n\t\u00e9\u00df\u0130\u0416\u4e2d\u6587\u304b\u3000\u2026\u00a0"), max_size=60
)


@settings(max_examples=60)
@given(PLAIN)
def test_words_are_those_of_the_regular_expression(text):
    expected = [match[0].casefold() for match in WORD.finditer(text)]
    assert [word for word, _, _ in words_of(text)] == expected
    assert [text[start:end].casefold() for _, start, end in words_of(text)] == expected


@settings(max_examples=40)
@given(st.lists(st.text(CHARACTERS, max_size=30), max_size=8))
def test_a_text_has_the_same_codes_alone_and_in_any_company(texts):
    assert codes(*texts) == [codes(text)[0] for text in texts]


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["one", "Two", "THREE", "\u00e9t\u00e9", "\u4e2d", "4", "x2"]), min_size=1, max_size=12)
)
def test_two_words_have_one_code_exactly_if_they_are_the_same(words):
    found = codes(" ".join(words))[0]
    assert len(found) == len(words)
    for i, left in enumerate(words):
        for j, right in enumerate(words):
            assert (found[i] >> 1 == found[j] >> 1) == (left.casefold() == right.casefold())


def test_a_word_has_the_same_code_in_plain_and_in_foreign_texts():
    plain, foreign = codes("a garden", "a garden \u00fcber")
    assert foreign[:2] == plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u0e01\u0e34\u0e19", ["\u0e01", "\u0e34", "\u0e19"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u092d\u093e\u0937\u093e"],
        ),
        ("3 \u00d7 4 \u2264 \u20ac13", ["3", "\u00d7", "4", "\u2264", "\u20ac", "13"]),
        ("well \U0001f600\U0001f622", ["well", "\U0001f600", "\U0001f622"]),
        ("don't", ["don", "t"]),
        ("\ufe0f\u200d", []),
    ],
)
def test_marks_belong_to_words_and_symbols_are_words(text, words):
    assert [word for word, _, _ in words_of(text)] == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the garden of the house", []),
        ("12 apples, 3rd of May, x\u00b2", ["12", "3rd", "x\u00b2"]),
        ("not now, never; don't", ["not", "never", "t"]),
        ("two or three, one or the first", ["two", "three"]),
        ("3 - 4 and x + y and a + b", ["3", "-", "4", "x", "+", "y", "+", "b"]),
        ("well-known and/or -- but = so", []),
        ("a word - another", []),
        ("5% of it", ["5", "%"]),
        ("is it (A) or (B)?", ["b"]),
        ("e.g. the U.S. and J. K. Rowling", ["j", "k"]),
        ("it's I'd I'm", []),
        ("\u4e09\u53ea\u732b \u4e0d", ["\u4e09", "\u4e0d"]),
        ("no\u00e9l and \u0661\u0662", ["\u0661\u0662"]),
        ("nicht kein", ["nicht", "kein"]),
    ],
)
def test_numbers_negations_single_letters_and_signs_beside_them_are_strict(text, expected):
    assert strict(text) == expected


def test_a_sign_is_not_strict_by_what_stands_in_the_text_beside():
    assert [[code & 1 for code in found] for found in codes("5", "- so", "so -", "5")] == [[1], [0, 0], [0, 0], [1]]


def test_a_text_that_shows_no_word_is_one_word():
    found = codes("???", "", "!?", " ??? ", "  \n", "a")
    assert [len(words) for words in found] == [1, 0, 1, 1, 0, 1]
    assert found[0] == found[3] != found[2]


def test_texts_longer_than_a_batch_and_words_longer_than_a_window_are_whole():
    word = "ab" * 50_000
    texts = [f"{word} c", "d " * 700_000, f"\u00e9 {word}"]
    found = codes(*texts)
    assert [len(words) for words in found] == [2, 700_000, 2]
    assert found[0][0] == found[2][1]
    assert set(found[1]) == {code_of("d")}


def test_lone_surrogates_are_no_trouble():
    assert len(codes("a \ud83d b")[0]) == 2


def test_no_text_has_no_words():
    assert word_codes([]).codes.tolist() == word_codes([]).ends.tolist() == []


def test_codes_are_found_among_known_ones():
    known = codes_of(["fig", "oak", "fig"])
    assert known.tolist() == sorted({code_of("fig"), code_of("oak")})
    assert is_in(np.array([code_of("oak"), code_of("elm"), code_of("fig") ^ 1], dtype=np.uint32), known).tolist() == [
        True,
        False,
        False,
    ]


def test_signs_are_words():
    assert [word for word, _, _ in words_of(SIGNS)] == list(SIGNS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello (there)! Why? [note] see.", "hello there why note see"),
        ("!ready", "! ready"),
        ("wait! ready", "wait ready"),
        ("a != b", "a ! = b"),
        ("5! is", "5 ! is"),
        ("x ? y : z", "x ? y z"),
        ("Really ?\nYes", "really yes"),
        ("C# or F#, # title", "c # or f # title"),
        ("(2-3)*4", "2 - 3 ) * 4"),
        ("2-(3*4)", "2 - ( 3 * 4"),
        ("f(x) of name", "f ( x of name"),
        ("ready && done", "ready & & done"),
    ],
)
def test_signs_of_code_are_words_where_they_stand_as_in_code(text, words):
    assert [word for word, _, _ in words_of(text)] == words.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ready && !done || late", "& & ! | |"),
        ("salt & pepper ** so ** -- (and so on)!", ""),
        ("count < limit", "<"),
        ("<p>bold</p> text", "< p > / p >"),
        ("a = (2 - 3) * 4", "( 2 - 3 ) * 4"),
        ("zwei Hunde ohne F\u00fcnf, dreizehn", "zwei ohne f\u00fcnf dreizehn"),
        ("deux ou trois, jamais sans elle", "deux trois jamais sans"),
        ("dos y tres, nunca nadie", "dos y tres nunca nadie"),
        ("quattro di cinque, senza nessuno", "quattro cinque senza nessuno"),
        ("duas, n\u00e3o tr\u00eas", "duas n\u00e3o tr\u00eas"),
        ("twee honden, geen vijf", "twee geen vijf"),
        ("\u0928\u0939\u0940\u0902 \u0939\u0948 \u0924\u0940\u0928", "\u0928\u0939\u0940\u0902 \u0924\u0940\u0928"),
        (
            "\u0644\u064a\u0633\u062a \u0643\u0627\u0646\u062a \u0623\u0631\u0628\u0639\u0629",
            "\u0644\u064a\u0633\u062a \u0623\u0631\u0628\u0639\u0629",
        ),
    ],
)
def test_operators_and_the_negations_and_numbers_of_many_languages_are_strict(text, expected):
    assert strict(text) == expected.split()
