import json

import pytest
from planted_suite import answered, make_items

from luthier.curate.review.decisions import read_decisions
from luthier.curate.rows import read_examples
from luthier.evaluate.errors.analysis import FEWEST_ITEMS, analyse, candidate, write_analysis
from luthier.evaluate.errors.halves import half_of, halves
from luthier.evaluate.errors.section import add_errors
from luthier.records import Example, Message, read_records
from luthier.reports.page import Page

ITEMS = make_items(5, tasks=16, items_per_task=60)


def weak_in_spanish(item):
    return 0.05 if item.language == "es" else 0.92


def analysed(items=ITEMS, rate=weak_in_spanish, **rest):
    return analyse(answered(items, rate), kpi="auto", **rest)


def training(language, count=300):
    return [candidate(item) for item in make_items(77, tasks=16, items_per_task=60) if item.language == language][:count]


def test_a_weak_slice_comes_with_its_cause_and_its_fix():
    analysis = analysed(training=training("en"))
    (weak,) = analysis.confirmed
    assert weak.weakness.slice.name == "language = es"
    assert weak.training.diagnosis == ("no training rows of language = es",)
    assert weak.added and all(row.language == "es" for row in weak.added)
    assert weak.proposal.startswith(f"add {len(weak.added)} rows made of looked-at items")
    assert analysis.lines()[1].startswith("weak: language = es | ")


def test_rows_to_add_are_never_made_of_the_confirming_half():
    analysis = analysed()
    prompts = {item.prompt for item in halves(ITEMS).confirm}
    assert analysis.candidates and not {row.prompt for row in analysis.candidates} & prompts
    by_prompt = {item.prompt: item for item in ITEMS}
    for row in analysis.candidates:
        item = by_prompt[row.prompt]
        assert half_of(item) == "look" and row.messages[-1].content == item.targets[0] and row.source == item.source
    assert {item.id for item in analysis.confirming} == {item.id for item in halves(ITEMS).confirm}


def test_a_looked_at_item_that_shares_its_request_with_a_confirming_one_becomes_no_row():
    asked = next(item for item in halves(ITEMS).confirm if item.language == "es")
    twins = (Example.of(asked.messages, targets=[f"twin {k}"], task=asked.task, language="es") for k in range(50))
    twin = next(item for item in twins if half_of(item) == "look")
    rows = analysed([*ITEMS, twin]).candidates
    assert rows and twin.prompt not in {row.prompt for row in rows}


def test_an_item_without_an_accepted_answer_becomes_no_row():
    assert candidate(Example.of([Message(role="user", content="Write a poem")], grading={"grader": "constraints"})) is None


def test_the_files_are_what_curation_takes(tmp_path):
    spoilt = [Example.of([*row.messages[:-1], Message(role="assistant", content=row.target.upper())], task=row.task,
                         language="es", source=row.source) for row in training("es")]  # fmt: skip
    analysis = analysed(training=[*training("en"), *spoilt])
    write_analysis(analysis, tmp_path)
    assert read_examples([tmp_path / "candidates.jsonl"]).examples == analysis.candidates
    decisions = read_decisions(tmp_path / "decisions.jsonl")
    assert len(spoilt) == 300 and decisions.keys() == {row.id for row in spoilt}
    assert {one.kind for one in decisions.values()} == {"drop"}
    assert list(read_records(tmp_path / "confirming.jsonl", Example)) == list(analysis.confirming)
    written = json.loads((tmp_path / "errors.json").read_text())
    (weak,) = written["weak_slices"]
    assert weak["name"] == "language = es" and weak["confirming"]["p"] < 1e-6
    assert {bad["source"] for bad in weak["fix"]["mend_or_drop"]} == {row.source for row in spoilt}
    assert written["false_discovery_rate"] == 0.1 and sum(f["count"] for f in written["failures"].values()) == len(
        analysis.failed)  # fmt: skip


def test_a_sound_model_has_no_weak_slice_and_no_fix(tmp_path):
    analysis = analysed(rate=lambda item: 0.85)
    assert analysis.confirmed == () and analysis.candidates == () and analysis.dropped == ()
    assert "no weak slice at a false-discovery rate of 0.1" in analysis.lines()[1]
    write_analysis(analysis, tmp_path)
    assert (tmp_path / "candidates.jsonl").read_text() == (tmp_path / "decisions.jsonl").read_text() == ""


def test_too_few_items_are_not_split():
    assert analysed(ITEMS[: FEWEST_ITEMS - 1]) is None
    assert analysed(ITEMS[:FEWEST_ITEMS]) is not None


@pytest.mark.parametrize("rate", [weak_in_spanish, lambda item: 1.0])
def test_the_section_of_the_page(rate):
    analysis = analysed(rate=rate, training=training("en"))
    page = Page("t")
    add_errors(page, analysis)
    text = page.html()
    assert "Where it is weak, and what to do" in text and "<script" not in text
    assert ("no training rows of language = es" in text) == (rate is weak_in_spanish)
    assert ("Kinds of failures" in text) == (rate is weak_in_spanish)
    assert ("No slice is weak." in text) != (rate is weak_in_spanish)


def test_what_models_write_cannot_break_the_section():
    nasty = "<script>alert(1)</script>"
    page = Page("t")
    add_errors(page, analyse(answered(ITEMS, weak_in_spanish, wrong=nasty), kpi="auto"))
    assert nasty not in page.html() and "&lt;script&gt;" in page.html()
