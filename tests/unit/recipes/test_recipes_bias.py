"""`luthier evaluate` with swaps, BBQ and CrowS-Pairs on a tiny real model."""

from __future__ import annotations

import json

import pytest

from fakes import write_tiny_model
from luthier.errors import ConfigError, DataError
from luthier.recipes.evaluate import main

BBQ = {
    "question_index": "1", "question_polarity": "neg", "context_condition": "ambig", "category": "Age",
    "answer_info": {"ans0": ["Ann", "old"], "ans1": ["Bea", "nonOld"], "ans2": ["Nobody", "unknown"]},
    "additional_metadata": {"stereotyped_groups": ["old"]}, "context": "Ann met Bea.", "question": "Who fell?",
    "ans0": "Ann", "ans1": "Bea", "ans2": "Nobody", "label": 2,
}  # fmt: skip
OVERRIDES = ("evaluate.max_new_tokens=2", 'evaluate.bias.swaps=["town"]',
             'evaluate.bias.own={town=[["Oakford", "Lindale"]]}')  # fmt: skip


def items(tmp_path):
    rows = [{"prompt": f"Is {('Oakford', 'Lindale')[k % 2]} town {k} north?", "completion": "yes"} for k in range(4)]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (*rows, BBQ)), encoding="utf-8")
    return path


def test_the_command_swaps_scores_bbq_and_reads_pairs_into_summary_and_page(tmp_path):
    model = write_tiny_model(tmp_path / "model")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("sent_more,sent_less,bias_type\nthe lamp,the blue lamp costs,age\n", encoding="utf-8")
    lines: list[str] = []
    out = tmp_path / "out"
    overrides = (*OVERRIDES, f"evaluate.bias.crows_pairs={json.dumps(str(pairs))}")
    summary = main(model, files=[items(tmp_path)], out=out, overrides=overrides, say=lines.append)
    held = summary["bias"]
    assert held["swaps"]["town"]["n"] == 4 and held["swaps"]["town"]["answer"] == "not enough evidence"
    assert [(one["way"], one["category"]) for one in held["bbq"]] == [("generated", "Age"), ("likeliest", "Age")]
    # Of two sentences that begin alike, the shorter one is the likelier.
    assert held["crows_pairs"][0]["value"] == 1.0
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["bias"] == held
    assert "Are people served alike?" in (out / "report.html").read_text(encoding="utf-8")
    assert any(line.startswith("bias | swap town") for line in lines)


def test_a_wrong_table_of_pairs_is_told_before_the_model_is_loaded(tmp_path):
    with pytest.raises(DataError, match="CrowS-Pairs cannot be read"):
        main(tmp_path / "no model", files=[items(tmp_path)], out=tmp_path / "out", say=print,
             overrides=('evaluate.bias.crows_pairs="none.csv"',))  # fmt: skip


def test_a_suite_is_not_swapped(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    items(folder)
    (folder / "suite.toml").write_text('name = "s"\nversion = "1"\nitems = ["items.jsonl"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="a suite is not swapped"):
        main(tmp_path / "no model", files=[], suite=folder, out=tmp_path / "out", overrides=OVERRIDES, say=print)
