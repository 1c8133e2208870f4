"""One whole run: what it leaves, what it says, and what it refuses."""

from __future__ import annotations

import json
import math

import pytest
import torch

from fakes import TinyRun, tiny_examples, tiny_preferences
from luthier.errors import DataError, LuthierError
from luthier.models import parity
from luthier.models.load import load_model
from luthier.records import Completion, Example, Grade, Message, read_records
from luthier.train import checkpoints
from luthier.train.config import GrpoSettings, LoraSettings, OptimConfig
from luthier.train.training import TrainingData, discard_checkpoints

LORA = {"adapter": "lora", "lora": LoraSettings(rank=4)}
QUICK = {"max_steps": 3, "batch_rows": 4, "optim": OptimConfig(lr=1e-2)}


@pytest.mark.parametrize(
    "options", [{}, LORA, {"method": "pretrain"}, {"method": "dpo"}, {"method": "dpo", **LORA}], ids=str
)
def test_a_run_leaves_a_model_that_serves_by_itself(load_tiny, tmp_path, shape, options):
    run = TinyRun(load_tiny(shape), tmp_path, **QUICK, **options)
    saved = load_model(run.trained.model)
    assert saved.folder == tmp_path / "train" / "model" and saved.notices == ()
    assert saved.digest == run.trained.digest != run.model.digest
    assert load_model(run.trained.model, device="cpu").renderer.template == run.model.renderer.template
    assert parity.verify(saved) == 16 + 8
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(saved.network(input_ids=ids).logits, run.model.network(input_ids=ids).logits)
    facts = json.loads((tmp_path / "train" / "trained.json").read_text())
    assert facts["digest"] == saved.digest and facts["base"] == run.model.digest and facts["rows"] == run.trained.rows
    assert (run.trained.num_steps, len(run.events())) == (3, 3)
    assert (run.trained.first_loss, run.trained.last_loss) == (
        run.column("train/loss")[0],
        run.column("train/loss")[-1],
    )
    assert {p.name for p in (tmp_path / "train").iterdir()} == {"model", "checkpoints", "trained.json"}
    discard_checkpoints(run.place)
    assert not (tmp_path / "train" / "checkpoints").exists()


def test_training_lowers_the_loss_it_measures(load_tiny, tmp_path):
    run = TinyRun(load_tiny("llama"), tmp_path, max_steps=30, batch_rows=8, eval_every=10, optim=OptimConfig(lr=1e-2))
    assert run.trained.last_loss < run.trained.first_loss / 2
    dev = run.events("train_dev")
    assert [event["step"] for event in dev] == [10, 20, 30]
    assert dev[-1]["train/dev_loss"] < dev[0]["train/dev_loss"]


@pytest.mark.parametrize("start", ["full", "adapter", "adapter on a tuned adapter"])
def test_dpo_begins_at_ln_2_with_margin_0(load_tiny, tmp_path, shape, start):
    """Wrong reference policy: the reference is the model as given, a tuned adapter included."""
    model = load_tiny(shape)
    options = {} if start == "full" else LORA
    if start == "adapter on a tuned adapter":
        tuned = TinyRun(model, tmp_path / "sft", **QUICK, **LORA)
        model = load_model(tuned.trained.model)
    run = TinyRun(model, tmp_path / "dpo", method="dpo", **QUICK, **options)
    first, *rest = run.events()
    assert first["train/loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert first["dpo/margin"] == pytest.approx(0, abs=2e-5)
    assert all(abs(event["dpo/margin"]) > 1e-3 for event in rest)
    assert any("trains on, whatever" in line for line in run.lines) == (start == "adapter on a tuned adapter")
    if start == "adapter on a tuned adapter":
        config = json.loads((run.trained.model / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(load_tiny(shape).folder)
        assert load_model(run.trained.model).digest == run.trained.digest


def test_preference_tuning_learns_the_preference(load_tiny, tmp_path):
    run = TinyRun(load_tiny("llama"), tmp_path, method="dpo", max_steps=20, batch_rows=8, optim=OptimConfig(lr=3e-3))
    assert run.column("dpo/accuracy")[-1] == 1.0 and run.column("dpo/margin")[-1] > 1
    assert run.trained.last_loss < 0.5


def test_only_the_adapter_moves(load_tiny, tmp_path):
    """Each trainable tensor moves, each frozen one stays."""
    before = {name: p.clone() for name, p in load_tiny("llama").network.named_parameters()}
    run = TinyRun(load_tiny("llama"), tmp_path, **QUICK, **LORA)
    frozen = {
        n.replace("base_model.model.", "").replace(".base_layer", ""): p
        for n, p in run.model.network.named_parameters()
    }
    assert all(torch.equal(frozen[name], value) for name, value in before.items())
    fresh = load_model(run.trained.model)
    moved = {n: p for n, p in fresh.network.named_parameters() if "lora_B" in n}
    assert moved and all(p.abs().sum() > 0 for p in moved.values())


def test_every_trainable_weight_has_moved_after_full_tuning(load_tiny, tmp_path, shape):
    before = {name: p.clone() for name, p in load_tiny(shape).network.named_parameters()}
    model = load_tiny(shape)
    TinyRun(model, tmp_path, **QUICK)
    assert [n for n, p in model.network.named_parameters() if torch.equal(p, before[n])] == []


def test_grpo_keeps_its_completions_and_grades_as_evidence(load_tiny, tmp_path):
    def grade_all(examples, completions):
        return [
            Grade(completion_id=c.id, example_id=e.id, grader="g", value=float(len(c.text) % 2))
            for e, c in zip(examples, completions, strict=True)
        ]

    settings = GrpoSettings(group_size=3, max_new_tokens=4)
    run = TinyRun(load_tiny("llama"), tmp_path, method="grpo", grade_all=grade_all, grpo=settings, **QUICK)
    for step in (1, 2, 3):
        completions = list(read_records(tmp_path / "train" / "rollouts" / f"completions-{step:06d}.jsonl", Completion))
        grades = list(read_records(tmp_path / "train" / "rollouts" / f"grades-{step:06d}.jsonl", Grade))
        assert len(completions) == len(grades) == 12
        assert [g.completion_id for g in grades] == [c.id for c in completions]
    assert run.trained.rows == {"prompts": 16}


def test_max_length_is_cut_to_the_models_positions_with_a_notice(load_tiny, tmp_path):
    run = TinyRun(load_tiny("llama"), tmp_path, **QUICK)
    assert "train | max_length 1024 cut to the model's 256 positions" in run.lines
    assert any("trains 31,392 of 31,392 parameters" in line for line in run.lines)
    assert "train | rows: kept 16" in run.lines


@pytest.mark.parametrize(("options", "found"), [({"max_length": 2}, "no rows"), ({"method": "dpo", "max_length": 2}, "no preference pairs"),
                                               ({"method": "pretrain"}, "no rows")])  # fmt: skip
def test_nothing_to_train_on_is_an_error_before_the_first_step(load_tiny, tmp_path, options, found):
    """An empty mask is an error before training."""
    data = (
        TrainingData(examples=tiny_examples(2), preferences=tiny_preferences(2))
        if "max_length" in options
        else TrainingData()
    )
    with pytest.raises(DataError, match=found):
        TinyRun(load_tiny("llama"), tmp_path, data=data, **QUICK, **options)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_rows_without_an_answer_train_nothing_and_are_counted(load_tiny, tmp_path):
    """The account sums to what was given."""
    examples = [*tiny_examples(4), Example.of([Message(role="user", content="?")])]
    run = TinyRun(load_tiny("llama"), tmp_path, data=TrainingData(examples=examples), **QUICK)
    assert sum(run.trained.rows.values()) == 5 and run.trained.rows["nothing trained"] == 1


def test_a_run_that_stopped_on_a_full_disk_goes_on_from_its_last_checkpoint(load_tiny, tmp_path, monkeypatch):
    """The same call, when there is room again, ends where the uninterrupted run ends."""
    straight = TinyRun(load_tiny("llama"), tmp_path / "straight", **{**QUICK, "max_steps": 6}, save_every=2)
    real, calls = checkpoints.save_file, []

    def sometimes(tensors, path):
        calls.append(path)
        if len(calls) == 4:  # the optimiser of the second checkpoint
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", sometimes)
    with pytest.raises(LuthierError, match="could not be written"):
        TinyRun(load_tiny("llama"), tmp_path / "torn", **{**QUICK, "max_steps": 6}, save_every=2)
    again = TinyRun(load_tiny("llama"), tmp_path / "torn", **{**QUICK, "max_steps": 6}, save_every=2)
    assert "train | continues after step 2 of 6" in again.lines
    assert again.events() == straight.events() and again.events("train_dev") == straight.events("train_dev")
    assert again.trained.digest == straight.trained.digest


def test_a_run_killed_after_its_last_step_only_saves(load_tiny, tmp_path):
    """Nothing is trained twice."""
    first = TinyRun(load_tiny("llama"), tmp_path, **QUICK)
    again = TinyRun(load_tiny("llama"), tmp_path, **QUICK)
    assert "train | continues after step 3 of 3" in again.lines
    assert again.events() == first.events() and again.trained.digest == first.trained.digest
    assert again.num_forwards == 0


def test_another_runs_checkpoints_are_not_taken_up(load_tiny, tmp_path):
    first = TinyRun(load_tiny("llama"), tmp_path, **QUICK)
    for state in (tmp_path / "train" / "checkpoints").glob("*/state.json"):
        state.write_text(state.read_text().replace(first.place.key, "key of another run"))
    again = TinyRun(load_tiny("llama"), tmp_path, **QUICK)
    assert not any("continues" in line for line in again.lines)
    assert again.events() == first.events() and again.trained.digest == first.trained.digest
