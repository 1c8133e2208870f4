"""Answers made by hand that follow, and do not follow, an instruction of each kind. The values do not come from code."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.graders.instructions.asking import KINDS, read_instructions

LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
GERMAN = "Heute ist das Wetter sehr schön und wir gehen im Garten spazieren."
HINDI = "आज मौसम बहुत अच्छा है और हम बगीचे में टहल रहे हैं।"
MARATHI = "आज हवामान खूप छान आहे आणि आम्ही बागेत फिरत आहोत."
NEPALI = "आज मौसम धेरै राम्रो छ र हामी बगैंचामा घुमिरहेका छौं।"
ENGLISH = "The weather is very nice today and we are walking in the garden."

CASES = [
    ("keywords:existence", {"keywords": ["fox", "red"]},
     ["A red fox.", "RED FOXES"], ["A red box.", "", "f ox red"]),
    ("keywords:existence", {"keywords": ["a.c", "stra\u00dfe"]}, ["A.C in der STRASSE"], ["abc Strasse"]),
    ("keywords:existence", {"keywords": []}, ["anything"], [""]),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, **LEAST},
     ["War and war.", "toward war"], ["war", "peace"]),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, **LESS}, ["war", "peace"], ["war war"]),
    ("keywords:frequency", {"keyword": "war", "frequency": 0, **LEAST}, ["peace"], [""]),
    ("keywords:frequency", {"keyword": "war", "frequency": 0, **LESS}, [], ["war", "peace"]),
    ("keywords:frequency", {"keyword": "", "frequency": 1, **LESS}, ["anything"], [""]),
    ("keywords:frequency", {"keyword": "?", "frequency": 2, **LEAST}, ["so? what?"], ["so?"]),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "C++"]},
     ["A rocket.", "rocks", "C+"], ["Rock!", "a (rock)", "punk-rock", "I write C++."]),
    ("keywords:forbidden_words", {"forbidden_words": ["हम"]}, ["हमें"], ["हम हैं"]),
    ("keywords:forbidden_words", {"forbidden_words": []}, ["rock"], [""]),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 3, "let_relation": "at least"},
     ["Eel, be"], ["eel"]),
    ("keywords:letter_frequency", {"letter": "Q", "let_frequency": 1, "let_relation": "less than"}, ["eel"], ["quit"]),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, ["## a"], ["# a"]),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 0, "let_relation": "at least"}, ["a"], [""]),
    ("language:response_language", {"language": "de"}, [GERMAN, f"[Name] {GERMAN} [Ort]"], [ENGLISH, "42", "..."]),
    ("language:response_language", {"language": "hi"}, [HINDI], [MARATHI, NEPALI, GERMAN]),
    ("language:response_language", {"language": "mr"}, [MARATHI], [HINDI, NEPALI]),
    ("language:response_language", {"language": "ne"}, [NEPALI], [HINDI, MARATHI]),
    ("language:response_language", {"language": "EN-us"}, [ENGLISH], [GERMAN, GERMAN * 20 + ENGLISH]),
    ("length_constraints:number_sentences", {"num_sentences": 2, **LEAST}, ["One. Two."], ["One", "Dr. Who ran."]),
    ("length_constraints:number_sentences", {"num_sentences": 2, **LESS}, ["One, e.g. this."], ["One! Two?"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2},
     ["a\n***\nb", "a\n\n***\n\nb", "***\na\n***\nb\n***", "a *** b", "***a*** and\n***\nb"],
     ["a\n\nb", "a\n***\n***\nb", "a\n***\nb\n***\nc", "a ****** b", "a***b"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 1}, ["a\n\nb", "***\na"], ["a *** b"]),
    ("length_constraints:number_words", {"num_words": 3, **LEAST}, ["one two three", "don't go"], ["one two", "- - -"]),
    ("length_constraints:number_words", {"num_words": 3, **LESS}, ["हिन्दी में"], ["हिन्दी में है"]),
    ("length_constraints:number_words", {"num_words": 0, **LESS}, [], ["...", "one"]),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Elm"},
     ["One.\n\nElm, two.", "One.\r\n\r\nelm", 'One.\n\n"Elm" two', "One.\n \n\n**Elm** two", "\n\nOne.\n\n\n\nelm"],
     ["Elm", "One.\n\nThe elm", "One.\n\nElms", "One.\n\nElm\n\nThree", "One.\n\nElm's", "One.\nElm"]),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": ""},
     ["One."], ["One.\n\nTwo."]),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"},
     [], ["a", "a\n\na"]),
    ("detectable_content:number_placeholders", {"num_placeholders": 2},
     ["[name] [a b]", "[[x]] [y]"], ["[name] []", "[name] [ ]", "[name] [x](https://a.b)", "[name] [a\nb]"]),
    ("detectable_content:number_placeholders", {"num_placeholders": 0}, ["none"], [""]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."},
     ["Bye.\nP.S. Call.", "Bye. p. s. call", "**P.S.** Call."],
     ["PS Call.", "P.P.S. Call.", "P. P.S. Call.", "Bye. P.S.", "stamp.s. x"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"},
     ["P.P.S Call.", "P.P.S. Call.", "p. p. s: call"], ["P.S. Call.", "P.P.Stop it"]),
    ("detectable_content:postscript", {"postscript_marker": "Note (*)"}, ["note (*) x", "Note(*): x"], ["Note x"]),
    ("detectable_content:postscript", {"postscript_marker": ""}, ["x"], [""]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2},
     ["* a\n* b", "x\n- a\n  + b\n---", "* *a* x\n\n- b\n* * *"],
     ["* a", "* a\n*b", "* a\n-5 degrees", "* a\n* b\n* c", "**a** x\n**b** x", "* a\n*\nb", "* a * b"]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 0}, ["a", "---"], ["- a"]),
    ("detectable_format:constrained_response", {},
     ["My answer is yes.", "Well. My answer is maybe. Why not."],
     ["my answer is yes.", "My answer is yes", "Yes.", "My answer is yes. My answer is no."]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     ["*a* **b c**", "* item *a*\n* item *b*", "***a*** *b*"],
     ["***a***", "*a* ** **", "2 * 3 * 4 * 5", "*a* * b *", "*a* *b\nc*", r"*a* \*b\*", "**a**"]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 0}, ["none"], [""]),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     ["Section 1\na\nSection 2\nb", "**Section 1:** a **Section2**"],
     ["Section 1 a\n(see Section 1)", "SECTION 1 SECTION 2", "Subsection 1 Subsection 2", "Section A Section B"]),
    ("detectable_format:multiple_sections", {"section_spliter": "(*)", "num_sections": 0}, ["none"], [""]),
    ("detectable_format:json_format", {},
     ['{"a": [1, null]}', ' ["a"]\n', '```json\n{"a": 1}\n```', '```\n{}```', "42"],
     ["{'a': 1}", '{"a": NaN}', '```json\n{"a": 1}', 'Here: {"a": 1}', '{"a": 1} {}', "[" * 100_000, "9" * 5000,
      '```python\n{"a": 1}\n```']),
    ("detectable_format:title", {},
     ["<<Joy>>\nx", "# << Joy of >> x", "<<<Joy>>>"], ["<Joy>", "<<>>", "<< >>", "<<Jo\ny>>", "<<Joy> >", "Joy"]),
    ("combination:two_responses", {},
     ["a\n******\nb", "a******b", "******\na\n******\nb\n******"],
     ["a", "a\n******\na", "a\n******\nA ", "a\n***\nb", "a\n******\nb\n******\nc", "a\n*******\nb",
      "a\n******\n******\nb"]),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem. "},
     ["Write a poem.\nRoses", " WRITE A POEM. Roses"],
     ["Write a poem.", "Sure! Write a poem. Roses", "Write the poem. Roses", '"Write a poem." Roses']),
    ("combination:repeat_prompt", {"prompt_to_repeat": ""}, ["Roses"], ["..."]),
    ("startend:end_checker", {"end_phrase": "Any other questions?"},
     ["Yes. Any other questions?", '"Yes. any other QUESTIONS?"\n', "Any other questions?"],
     ["Any other questions? Bye", "Any other questions", "*Any other questions?*", "Many other questions?"]),
    ("startend:end_checker", {"end_phrase": ""}, ["x"], [""]),
    ("startend:quotation", {},
     ['"a"', ' "a b."\n', "\u201ca\u201d"], ["a", '"a', "'a'", '"a" b', '""', '" "', '"']),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"},
     ["NASA and I", "WELL-KNOWN NASA"], ["WELL-KNOWN", "DON'T", "NaSA iPad X", "1 2 3"]),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}, ["a b"], ["A b"]),
    ("change_case:english_capital", {}, [ENGLISH.upper(), "YES.", "A1"], [ENGLISH, GERMAN.upper(), "12", "YEs"]),
    ("change_case:english_lowercase", {}, [ENGLISH.lower(), "ok."], [ENGLISH, GERMAN.lower(), "12", "oK"]),
    ("punctuation:no_comma", {}, ["a; b. c", "1.5"], ["a, b", "1,000", "\u4f60\uff0c\u597d", "a\u060c b"]),
]  # fmt: skip


def follows(name, arguments, text):
    (asked,) = read_instructions([{"id": name, **arguments}])
    return asked.finding(text).follows


@pytest.mark.parametrize(("name", "arguments", "right", "wrong"), CASES, ids=lambda value: str(value)[:50])
def test_right_answers_follow_and_wrong_ones_do_not(name, arguments, right, wrong):
    assert [text[:200] for text in right if not follows(name, arguments, text)] == []
    assert [text[:200] for text in wrong if follows(name, arguments, text)] == []


def test_every_kind_has_an_answer_that_follows_and_one_that_does_not():
    assert {name for name, _, right, _ in CASES if right} == set(KINDS)
    assert {name for name, _, _, wrong in CASES if any(text.strip() for text in wrong)} == set(KINDS)
    assert len(KINDS) == 25


@pytest.mark.parametrize(("name", "arguments"), [(name, arguments) for name, arguments, _, _ in CASES])
def test_an_empty_answer_follows_nothing(name, arguments):
    assert not follows(name, arguments, "") and not follows(name, arguments, " \n\t")


@given(st.text(max_size=120), st.sampled_from([(name, arguments) for name, arguments, _, _ in CASES]))
def test_any_text_is_judged_and_line_ends_do_not_matter(text, case):
    (asked,) = read_instructions([{"id": case[0], **case[1]}])
    finding = asked.finding(text)
    assert ";" not in finding.found
    if "\r" not in text:
        assert asked.finding(text.replace("\n", "\r\n")) == finding


@given(st.lists(st.sampled_from(["one", "Two,", "don't", "x-y", "7", "\n", "..."]), max_size=12), st.integers(0, 15))
def test_at_least_and_less_than_are_each_others_opposite(pieces, bound):
    text = " ".join(["word", *pieces])
    for name, count in (("number_words", "num_words"), ("number_sentences", "num_sentences")):
        both = [follows(f"length_constraints:{name}", {count: bound, **relation}, text) for relation in (LEAST, LESS)]
        assert sorted(both) == [False, True]


@given(st.lists(st.text("abc xyz", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=6), st.integers(0, 7))
def test_bullets_paragraphs_and_placeholders_are_as_many_as_were_written(parts, asked):
    bullets, paragraphs = "\n".join(f"* {part}" for part in parts), "\n***\n".join(parts)
    is_right = len(parts) == asked
    assert follows("detectable_format:number_bullet_lists", {"num_bullets": asked}, bullets) == is_right
    assert follows("length_constraints:number_paragraphs", {"num_paragraphs": asked}, paragraphs) == is_right
    placeholders = " ".join(f"[{part}]" for part in parts)
    assert follows("detectable_content:number_placeholders", {"num_placeholders": asked}, placeholders) == (
        len(parts) >= asked
    )


@pytest.mark.parametrize("piece", [".", "[a", "*a", "<<", "<<a", "- ", "p.s.", "***", "\n ", "'a", ")", '"', "```", "a.b"])
def test_no_answer_however_odd_takes_long(piece):
    text = piece * 20_000
    started = time.process_time()
    for name, arguments in {name: arguments for name, arguments, _, _ in CASES}.items():
        follows(name, arguments, text)
    # Reading it over and over from each sign would take minutes.
    assert time.process_time() - started < 5
