import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.graders.instructions.asking import KINDS, BadInstruction, read_instructions

WORDS = {"id": "length_constraints:number_words", "relation": "at least", "num_words": 3}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("punctuation:no_comma", "instructions: found 'punctuation:no_comma', expected a list"),
        (["punctuation:no_comma"], r"instructions\[0\]: found 'punctuation:no_comma', expected an object with an \"id\""),
        ([{"id": "punctuation:no_coma"}], r"\[0\]\.id: found 'punctuation:no_coma', expected punctuation:no_comma"),
        ([{"id": "es:punctuation:question_marks"}], r"\[0\]\.id: found 'es:punctuation:question_marks', expected"),
        ([{"id": "zzz"}], r"\[0\]\.id: found 'zzz', expected one of keywords:existence, "),
        ([{"id": 7}], r"\[0\]\.id: found 7"),
        ([{"id": "punctuation:no_comma", "num_words": 3}],
         r"\[0\]\.num_words: found an argument that is not known, expected for punctuation:no_comma no arguments"),
        ([WORDS, {**WORDS, "num_word": 3}], r"\[1\]\.num_word: .* expected for .*number_words num_words, relation"),
        ([{**WORDS, "num_words": None}], r"\[0\]\.num_words: found nothing, expected a whole number, 0 or more, for"),
        ([{**WORDS, "num_words": -1}], r"\[0\]\.num_words: found -1, expected a whole number"),
        ([{**WORDS, "num_words": 2.5}], r"\[0\]\.num_words: found 2\.5"),
        ([{**WORDS, "num_words": True}], r"\[0\]\.num_words: found True"),
        ([{**WORDS, "num_words": "3"}], r"\[0\]\.num_words: found '3'"),
        ([{**WORDS, "relation": "at most"}], r"\[0\]\.relation: found 'at most', expected 'at least' or 'less than'"),
        ([{"id": "keywords:existence", "keywords": "fox"}], r"\[0\]\.keywords: found 'fox', expected a list of texts"),
        ([{"id": "language:response_language", "language": "German"}], r"\[0\]\.language: found 'German'"),
        ([{"id": "keywords:letter_frequency", "letter": "ab", "let_frequency": 1, "let_relation": "at least"}],
         r"\[0\]\.letter: found 'ab', expected one letter"),
        ([{"id": "detectable_format:multiple_sections", "section_spliter": " ", "num_sections": 1}],
         r"\[0\]\.section_spliter: found ' '"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_an_error_with_its_place(value, message):
    with pytest.raises(BadInstruction, match=message):
        read_instructions(value)


def test_zero_and_the_empty_text_are_arguments_and_null_is_none():
    (asked,) = read_instructions([{**WORDS, "num_words": 0, "keywords": None}])
    assert asked.arguments == {"relation": "at least", "num_words": 0}
    (asked,) = read_instructions([{"id": "en:startend:end_checker", "end_phrase": ""}])
    assert (asked.id, asked.arguments) == ("startend:end_checker", {"end_phrase": ""})
    (asked,) = read_instructions([{**WORDS, "num_words": 3.0}])
    assert asked.arguments["num_words"] == 3 and isinstance(asked.arguments["num_words"], int)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["id", "relation", "num_words", "keywords", "x"]), inner, max_size=4)),
       st.sampled_from(sorted(KINDS)))  # fmt: skip
def test_any_value_is_read_or_refused_in_words(value, name):
    for given_value in (value, [value], [{"id": name, "num_words": value, "relation": value}], [{"id": name, "keywords": value}]):
        try:
            for asked in read_instructions(given_value):
                asked.finding("one two")
        except BadInstruction as bad:
            assert "found" in str(bad) and "expected" in str(bad) and bad.field.startswith("instructions")
