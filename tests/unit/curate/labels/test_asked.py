import json

import pytest

from luthier.curate.labels.asked import (
    instruction_of,
    listed_options,
    wanted_case,
    wanted_count,
    wants_json,
    wants_one_word,
    wants_yes_or_no,
    without_options,
)


@pytest.mark.parametrize("request_text", [
    "Rank these countries. Respond in JSON.", "Wrap your entire answer in JSON format.", "Return a valid JSON object.",
    "Extract the names and output only JSON:\nAnn met Ben", "Give the result as a JSON list.",
])  # fmt: skip
def test_json_is_asked_for(request_text):
    assert wants_json(instruction_of(request_text))


@pytest.mark.parametrize("request_text", [
    "What is JSON?", "Write a Python function that returns a JSON object.", "Do not answer in JSON.", "Who is Jason?",
    "How to read a JSON file with pandas?", "Explain how to parse this in JavaScript: it comes in JSON format",
])  # fmt: skip
def test_json_is_only_mentioned(request_text):
    assert not wants_json(instruction_of(request_text))


@pytest.mark.parametrize(("request_text", "is_asked"), [
    ("Answer in one word: what is it?", True), ("Describe it with a single word.", True),
    ("In one word, how was it?", True), ("Opinion in one word: dreadful\nReview:", False),
    ("Respond with just one word.", True), ("Give a one-word answer.", True),
    ("Describe each of them in one word.", False), ("Change one word to make it true.", False),
    ("Answer with one word or more.", False), ("Give one word for each of them.", False), ("Which word is it?", False),
])  # fmt: skip
def test_one_word_is_asked_for(request_text, is_asked):
    assert wants_one_word(instruction_of(request_text)) is is_asked


@pytest.mark.parametrize(("request_text", "is_asked"), [
    ("Answer yes or no: is it blue?", True), ('Respond with "yes" or "no".', True), ("Is it blue? Yes or no?", True),
    ("Answer yes, no or maybe.", False), ("Answer with yes or no or unknown.", False),
    ("Do not say yes or no.", False), ("Did she say yes or no to him yesterday?", False), ("Is it blue?", False),
])  # fmt: skip
def test_yes_or_no_is_asked_for(request_text, is_asked):
    assert wants_yes_or_no(instruction_of(request_text)) is is_asked


@pytest.mark.parametrize(("request_text", "case"), [
    ("Answer in all capital letters.", "upper"), ("Write a letter in English and in all caps.", "upper"),
    ("Your answer should be in all lowercase letters.", "lower"), ("Use only lower case.", "lower"),
    ("Use at least two words in all caps.", None), ("Write the title in capital letters.", None),
    ("Answer without using capital letters.", None), ("Time (stylized in all caps) is a magazine.", None),
    ("Make the first letter upper case.", None), ("In which case would you go?", None),
])  # fmt: skip
def test_a_case_is_asked_for(request_text, case):
    assert wanted_case(instruction_of(request_text)) == case


@pytest.mark.parametrize(("request_text", "count"), [
    ("Give me three ideas for a party.", 3), ("List the top 10 causes of stress.", 10), ("Name 4 fruits", 4),
    ("Your answer must contain exactly 6 bullet points.", 6), ("Write exactly 2 bulleted points.", 2),
    ("Write 200 words on it.", None), ("List 3 fruits and 4 vegetables.", None), ("Write two sentences.", None),
    ("Give me at least 3 ideas.", None), ("Name three facts about each of them.", None),
    ("Give two different responses.", None), ("I have 3 cats.", None),
])  # fmt: skip
def test_a_number_of_items_is_asked_for(request_text, count):
    assert wanted_count(instruction_of(request_text)) == count


def test_a_form_in_the_middle_of_a_long_request_is_what_the_request_is_about():
    request_text = (
        "Summarise this. " + "One thing after another. " * 40 + "Respond in JSON. " + "And so on it went. " * 40
    )
    assert not wants_json(instruction_of(request_text))
    assert wants_json(instruction_of(request_text + "Respond in JSON."))


@pytest.mark.parametrize(
    "block", ["OPTIONS:\n- a thing\n- b", "Options:\n\n(A) a thing\n(B) b", "Choices:\n1. a thing\n2. b"]
)
def test_options_are_listed_under_a_heading(block):
    request_text = f"Which is it?\n{block}\n\nThink."
    assert listed_options(request_text) == ("a thing", "b")
    assert without_options(request_text).split() == ["Which", "is", "it?", "Think."]


@pytest.mark.parametrize(
    "request_text", ["What are my options: to stay", "OPTIONS:\n- only one\n", "- a\n- b", "Options:\na\nb"]
)
def test_what_is_no_list_of_options_stays(request_text):
    assert listed_options(request_text) == () and without_options(request_text) == request_text


def test_forms_of_real_requests_are_found_without_false_alarms(real_data):
    """IFEval says of each of its prompts which forms it asks for."""
    lines = (real_data / "ifeval" / "en_input_data.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]

    def found(form, kind):
        said = {row["key"] for row in rows if form(instruction_of(row["prompt"]))}
        true = {row["key"] for row in rows if any(name.endswith(kind) for name in row["instruction_id_list"])}
        return len(said & true), len(said - true), len(true)

    hits, alarms, total = found(wants_json, ":json_format")
    assert hits >= 0.85 * total and alarms == 0
    hits, alarms, total = found(lambda text: wanted_case(text) == "upper", ":english_capital")
    assert hits >= 0.8 * total and alarms <= 1
    hits, alarms, total = found(lambda text: wanted_case(text) == "lower", ":english_lowercase")
    assert hits >= 0.6 * total and alarms <= 3
    hits, _, total = found(wanted_count, ":number_bullet_lists")
    assert hits >= 0.85 * total


def test_a_row_full_of_blanks_costs_time_in_proportion():
    """A search for blanks at the end of a line, begun at each of them, would take hours for this."""
    blanks = " " * 1_000_000
    assert listed_options(f"Options:\n- a{blanks}b\n-{blanks}c{blanks}\n") == (f"a{blanks}b", "c")
