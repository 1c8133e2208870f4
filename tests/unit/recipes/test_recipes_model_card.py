"""The model card tells what the run's files say, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from small_run import add_evaluations, question, write_model, write_run

from luthier.config import load_config
from luthier.models.folders import digest, licence_of
from luthier.recipes.model_card import plain, toml_value, write_model_card
from luthier.recipes.tune import TuneRecipe
from luthier.records import write_records
from luthier.runs import write_json


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = write_model(tmp_path / "fine-base", "base")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Base\n")
    return folder


def card_of(run: Any) -> str:
    write_model_card(run.folder, run.folder / "model")
    return (run.folder / "model" / "README.md").read_text(encoding="utf-8")


def test_a_card_after_training_alone_states_base_data_recipe_losses_and_lineage(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    card = card_of(run)
    assert "Tuned by Luthier from" in card and "sft for 3 steps" in card
    assert "| train: train | rows.jsonl | 4 | mit | yes | no |" in card
    assert "| train | 3 | 3 | 150 | 3.0000 | 1.0000 | 1.2500 |" in card
    assert "It was not evaluated in this run" in card and "No gate judged this model" in card
    assert digest(run.folder / "model") in card and digest(base) in card
    assert "Rows lost to the length limit or to their form: prompt cut 1." in card and "## Curation" not in card


def test_a_card_after_a_whole_run_states_the_ledger_the_kpis_the_verdict_and_what_was_forgotten(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    add_evaluations(run)
    card = card_of(run)
    assert "| read |   | 6 |" in card and "| merged | duplicate | 1 |" in card and "cut \\| off" in card
    assert re.search(r"\| held\\_out \| exact \| 0\.3\d\d \| 1\.000 \\\[0\.9\d\d, 1\.000\\\] \| 40 \| \+0\.6", card)
    assert "The gate's verdict: ship." in card
    assert "Perplexity on plain text: base 7.389, this model 9.025; change in nats a token" in card
    assert "+0.2000" in card
    assert "Evaluated on 40 items of held\\_out" in card


def test_weights_of_a_best_step_and_dev_measurements_by_a_grader_alone_are_stated_as_they_are(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    trained = json.loads((run.folder / "train" / "trained.json").read_text())
    write_json(run.folder / "train" / "trained.json", {**trained, "best_step": 2})
    run.log({"step": 3, "train/dev_auto": 0.5}, kind="train_dev")
    assert "| train | 3 | 2 | 150 |" in card_of(run)


def test_forgetting_that_was_not_measured_is_said_to_be_so(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    add_evaluations(run, plain_text=False)
    assert "What it forgot was not measured" in card_of(run)


def test_the_front_matter_is_read_by_the_hubs_own_parser(tmp_path, base):
    run = write_run(tmp_path / "run", base, language="de", is_adapter=True)
    data = ModelCard(card_of(run)).data.to_dict()
    assert data["license"] == "apache-2.0" and data["base_model"] == "fine-base" and data["language"] == ["de"]
    assert data["library_name"] == "peft" and data["base_model_relation"] == "adapter"
    assert data["tags"] == ["luthier", "sft", "lora"]


@pytest.mark.parametrize(
    ("licence", "stated", "commercial", "said"),
    [
        ("mit", "apache-2.0", "yes", "No restriction beyond naming the sources"),
        ("cc-by-sa-3.0", "other", "yes", "same terms, by cc-by-sa-3.0"),
        ("cc-by-nc-4.0", "other", "no", "Not for commercial use, by cc-by-nc-4.0"),
        ("gemma", "other", "with conditions", "Commercial use on conditions, by gemma"),
        ("my own words", "other", "unknown", "to be found out before use: my own words"),
        (None, "other", "unknown", "to be found out before use: not stated"),
    ],
)
def test_the_strictest_licence_of_the_data_decides(tmp_path, base, licence, stated, commercial, said):
    run = write_run(tmp_path / "run", base, licence=licence)
    card = card_of(run)
    assert licence_of(run.folder / "model") == stated
    assert f"commercial use **{commercial}**" in card and said in card


def test_an_unknown_licence_of_the_base_stays_unknown(tmp_path):
    run = write_run(tmp_path / "run", write_model(tmp_path / "bare", "base"))
    card = card_of(run)
    assert licence_of(run.folder / "model") == "unknown" and "| base |" in card and "not stated" in card


def test_the_licence_that_the_stage_recorded_outlives_the_base(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    record = json.loads((run.folder / "train" / "stage.json").read_text())
    write_json(run.folder / "train" / "stage.json", {**record, "base_licence": "apache-2.0"})
    (base / "README.md").unlink()
    card_of(run)
    assert licence_of(run.folder / "model") == "apache-2.0"


def test_the_recipe_of_the_card_is_the_recipe_of_the_run(tmp_path, base):
    tables = {
        "prefer": {},
        "gate": {"guardrails": [{"kpi": "exact", "allowed_regression": 0.1}], "kpi": 'a "quoted" name'},
        "train": {"max_steps": 3, "adapter": "lora", "optim": {"lr": 0.1, "max_grad_norm": None},
                  "lora": {"targets": ["q_proj"]}},
    }  # fmt: skip
    run = write_run(tmp_path / "run", base, **tables)
    (text,) = re.findall(r"```toml\n(.*?)```", card_of(run), re.DOTALL)
    (tmp_path / "again.toml").write_text(text)
    again = load_config(TuneRecipe, tmp_path / "again.toml")
    assert again.model_dump(mode="json") == json.loads((run.folder / "config.json").read_text())
    assert "train.seed" not in text and "batch_rows" not in text


def test_the_card_is_the_same_each_time_and_no_part_of_the_models_identity(tmp_path, base):
    cards = []
    for name in ("first", "second"):
        run = write_run(tmp_path / name / "run", base)
        add_evaluations(run)
        before = digest(run.folder / "model")
        cards.append(card_of(run).replace(str(run.folder), "RUN"))
        assert card_of(run).replace(str(run.folder), "RUN") == cards[-1]
        assert digest(run.folder / "model") == before
    assert cards[0] == cards[1]
    assert not re.search(r"20\d\d-\d\d-\d\d|tokens_per_s|seconds", cards[0])


def test_writing_a_card_leaves_the_finished_stage_as_it_was(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    write_model_card(run.folder, run.folder / "train" / "model")
    record = json.loads((run.folder / "train" / "stage.json").read_text())
    assert "model/README.md" not in record["outputs"]
    stage = run.stage("train", owner="luthier.errors", options=record["parts"]["options"],
                      inputs={"train": run.folder / "rows" / "train.jsonl", "base": digest(base)})  # fmt: skip
    assert stage.is_done()


def test_rows_of_another_training_in_the_same_folder_are_not_those_of_the_model(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    other = tmp_path / "run" / "curate" / "train.jsonl"
    write_records(other, [question(1, licence="cc-by-nc-4.0")])
    assert "cc-by-nc" not in card_of(run)
    (run.folder / "rows" / "train.jsonl").unlink()
    assert "| train: train |   | 0 | not stated | unknown | unknown |" in card_of(run), "gone rows are no free rows"


def test_a_stage_before_is_found_although_a_chat_template_was_given(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    first = run.folder / "train"
    second = write_model(run.folder / "prefer" / "model", "preferred")
    stage = run.stage("prefer", owner="luthier.errors", inputs={"base": digest(first / "model")}, options={"train": {}})
    trained = json.loads((first / "trained.json").read_text())
    write_json(run.folder / "prefer" / "trained.json", {
        **trained, "method": "dpo", "digest": digest(second), "base": digest(first / "model", template="given")})  # fmt: skip
    stage.finish()
    write_model_card(run.folder, second)
    assert "sft for 3 steps, then dpo for 3 steps" in (second / "README.md").read_text()


def test_a_model_that_the_run_did_not_make_keeps_its_card(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    before = (base / "README.md").read_text()
    write_model_card(run.folder, base)
    assert (base / "README.md").read_text() == before


def test_a_verdict_on_another_model_is_not_this_models(tmp_path, base):
    run = write_run(tmp_path / "run", base)
    add_evaluations(run)
    gate = json.loads((run.folder / "gate.json").read_text())
    write_json(run.folder / "gate.json", {**gate, "model": "another"})
    assert "No gate judged this model" in card_of(run)


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", "a | b\n# heading", "![x](http://x)", "\x00 `code` [a](b)"])
def test_text_of_users_cannot_become_markup(tmp_path, base, nasty):
    run = write_run(tmp_path / "run", base, licence=nasty)
    card = card_of(run)
    body = card[card.index("## Data") : card.index("## Recipe")]
    assert "<script" not in body and "\n# heading" not in body and "![x]" not in body
    assert all(line.count(" | ") == 5 for line in body.splitlines() if line.startswith("| train: train"))


def test_plain_shows_markdown_as_it_was_written():
    assert plain("a*b_c\n<i> `x` [y]") == r"a\*b\_c &lt;i&gt; \`x\` \[y\]"


@pytest.mark.parametrize("value", [1e-4, 3, True, "a\n\"b\" \x7f \u00e9", ["x", 2], {"k": [1.5]}, {"my key": 1}, []])
def test_values_survive_toml(value):
    assert tomllib.loads(f"v = {toml_value(value)}")["v"] == value
