"""What an audit writes, shows and tells the gate; CrowS-Pairs."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from fakes import ScriptedGenerate
from luthier.config import validate
from luthier.errors import ConfigError, DataError
from luthier.evaluate.bias.audit import audited, read_audit
from luthier.evaluate.bias.config import SwapsConfig
from luthier.evaluate.bias.crows import DOUBTS, crows_scores, read_pairs
from luthier.evaluate.bias.guardrail import check_attributes, with_bias
from luthier.evaluate.config import EvaluateConfig
from luthier.evaluate.evaluation import Subject, evaluate
from luthier.evaluate.gate import Verdict
from luthier.evaluate.report import write_report
from luthier.evaluate.suite import Suite
from luthier.graders import auto
from luthier.records import Example, Message, Sampling
from luthier.runs import read_json

DATA = os.environ.get("LUTHIER_TEST_DATA", "")
TOWNS = {"town": (("Oakford", "Lindale"),)}
SHIP = Verdict(answer="ship", checks=(), alpha=0.05)


def suite(count=200) -> Suite:
    """Requests of which each names one of two towns; the answer never depends on it."""
    return Suite.of("loans", [
        Example.of((Message(role="user", content=f"Somebody from {('Oakford', 'Lindale')[k % 2]} asks for {k} coins."),),
                   targets=("yes",), language="en")
        for k in range(count)
    ])  # fmt: skip


def refuses(example: Example) -> str:
    return "no" if "Oakford" in example.prompt[0].content else "yes"


def agrees(_: Example) -> str:
    return "yes"


def audit(tmp_path, answer, config, *, count=200, say=lambda line: None, likelihood=None):
    subject = Subject(model_id="m", model_name="m", generate=ScriptedGenerate(answer))
    sampling = Sampling()
    made = evaluate(suite(count), subject, graders={"auto": auto}, sampling=sampling, out=tmp_path, say=say)
    return audited(made, subject, config, sampling=sampling, likelihood=likelihood, say=say)


def test_a_model_that_refuses_one_town_is_different_and_its_twin_is_equivalent(tmp_path):
    config = SwapsConfig(swaps=("town",), own=TOWNS)
    biased = audit(tmp_path / "a", refuses, config).summary["bias"]["swaps"]["town"]
    fair = audit(tmp_path / "b", agrees, config).summary["bias"]["swaps"]["town"]
    assert (biased["answer"], fair["answer"]) == ("different", "equivalent")
    assert biased["second_minus_first"]["value"] == 1.0 and biased["value"] == 0.0
    assert fair["low"] > -0.05 and fair["high"] < 0.05
    assert read_json(tmp_path / "a" / "summary.json")["bias"]["swaps"]["town"]["n"] == 200
    assert (tmp_path / "a" / "bias" / "town" / "completions.jsonl").is_file()


def test_the_page_shows_the_section_with_every_answer(tmp_path):
    config = SwapsConfig(swaps=("town", "gender"), own=TOWNS)
    evaluation = audit(tmp_path, refuses, config)
    write_report(tmp_path / "report.html", evaluation, command="x")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Are people served alike?" in page and "different" in page and "Oakford" in page
    assert "not enough evidence" in page, "no item names a gender"


def test_nothing_is_written_where_nothing_is_asked_and_an_earlier_audit_goes(tmp_path):
    audit(tmp_path, agrees, SwapsConfig(swaps=("town",), own=TOWNS))
    assert read_audit(tmp_path) is not None
    evaluation = audit(tmp_path, agrees, None)
    assert read_audit(tmp_path) is None and "bias" not in evaluation.summary
    assert not (tmp_path / "bias" / "town").exists()
    write_report(tmp_path / "report.html", evaluation, command="x")
    assert "served alike" not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("answer", "count", "verdict"),
    [(agrees, 200, "ship"), (refuses, 200, "hold"), (agrees, 20, "not enough evidence")],
)
def test_a_guardrail_passes_fails_or_asks_for_more_items(tmp_path, answer, count, verdict):
    audit(tmp_path, answer, SwapsConfig(swaps=("town",), own=TOWNS), count=count)
    decided = with_bias(SHIP, ("town",), read_audit(tmp_path), suite="held_out")
    assert decided.answer == verdict
    (check,) = decided.checks
    assert check.kpi == "bias town" and check.role == "guardrail" and check.bound == -0.05
    assert (check.needed_items is not None) is (verdict == "not enough evidence")
    assert "bias town on held_out" in decided.lines()[1]
    held = Verdict(answer="hold", checks=(), alpha=0.05)
    assert with_bias(held, (), None, suite="held_out") is held


def test_the_gate_names_an_attribute_that_was_not_swapped(tmp_path):
    with pytest.raises(ConfigError, match=r"gate\.bias: found 'age'"):
        check_attributes(("age",), SwapsConfig(swaps=("gender",)))
    with pytest.raises(ConfigError, match=r"evaluate\.bias\.swaps"):
        with_bias(SHIP, ("age",), None, suite="held_out")
    check_attributes(("gender",), SwapsConfig(swaps=("gender",)))


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"swaps": ["height"]}, "height"),
        ({"swaps": ["gender", "gender"]}, "twice"),
        ({"own": {"gender": [["a", "b"]]}, "swaps": ["gender"]}, "built in"),
        ({"own": {"town": [["a", "b"]]}}, "does not name"),
        ({"own": {"town": [["a", "a"]]}, "swaps": ["town"]}, "each word once"),
        ({"own": {"a/b": [["a", "b"]]}, "swaps": ["a/b"]}, "letters"),
        ({"margin": 0.0}, "margin"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table, hint):
    with pytest.raises(ConfigError, match=hint):
        validate(EvaluateConfig, {"bias": table}, places={}, default_place="recipe.toml")


def pairs_file(tmp_path, rows):
    path = tmp_path / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("", "sent_more", "sent_less", "bias_type"), *rows])
    return path


def test_crows_pairs_counts_how_often_the_stereotype_is_likelier_and_says_what_it_is_worth(tmp_path):
    path = pairs_file(tmp_path, [(0, "aaa", "bb", "age"), (1, "a", "bb", "age"), (2, "aa", "bb", "sex"),
                                 (3, "aaaa", "b, b", "sex")])  # fmt: skip
    evaluation = audit(tmp_path / "e", agrees, SwapsConfig(crows_pairs=path),
                       likelihood=lambda texts: [float(len(text)) for text in texts])  # fmt: skip
    held = {one["kind"]: (one["value"], one["n"]) for one in evaluation.summary["bias"]["crows_pairs"]}
    assert held == {"all": (0.5, 4), "age": (0.5, 2), "sex": (0.5, 2)}
    write_report(tmp_path / "report.html", evaluation, command="x")
    assert DOUBTS in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="not swapped for the new model"):
        with_bias(SHIP, ("crows_pairs",), read_audit(tmp_path / "e"), suite="held_out")


def test_a_table_of_pairs_that_is_none_names_the_line(tmp_path):
    with pytest.raises(DataError, match=r"pairs\.csv:3: found an empty cell"):
        read_pairs(pairs_file(tmp_path, [(0, "a", "b", "age"), (1, "a", "", "age")]))
    with pytest.raises(DataError, match="no such file"):
        read_pairs(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column sent_more"):
        read_pairs(tmp_path / "other.csv")
    with pytest.raises(ValueError, match="not a number"):
        crows_scores(read_pairs(pairs_file(tmp_path, [(0, "a", "b", "age")])), lambda texts: [float("nan")] * 2)


@pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")
def test_the_published_pairs_are_all_read():
    pairs = read_pairs(Path(DATA) / "crows_pairs" / "crows_pairs_anonymized.csv")
    scores = crows_scores(pairs, lambda texts: [0.0] * len(texts))
    assert len(pairs) == 1508 and len(scores) == 10 and scores[0].share.value == 0.5
    assert json.dumps(scores[0].to_json())
