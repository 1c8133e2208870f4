"""What happens between the steps: measuring, keeping the best, stopping early, averaging, mixing, taking up again."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file

from fakes import TINY_TEXT, TinyRun, tiny_examples, tiny_network
from luthier.errors import ConfigError
from luthier.models.load import load_model
from luthier.train import checkpoints, training
from luthier.train.batch import Row
from luthier.train.config import OptimConfig, TextSettings, TrainConfig
from luthier.train.engine import steps
from luthier.train.optimisers import make_optimiser
from luthier.train.sft import sft
from luthier.train.training import TrainingData

# A constant rate, so that a run of 3 steps is the beginning of one of 10.
QUICK = {"batch_rows": 4, "max_steps": 10, "eval_every": 1, "optim": OptimConfig(lr=1e-2, schedule="constant")}


def best_at(step: int):
    """A grade that rises up to a step and falls after it."""
    asked = []

    def grade(_model) -> float:
        asked.append(1)
        return 1.0 - abs(len(asked) - step) / 20

    return grade


def wobble(model) -> float:
    """A grade that is a function of the weights alone, and neither rises nor falls."""
    return math.sin(1e3 * float(model.network.get_input_embeddings().weight.detach().double().sum()))


def best_files(folder):
    return sorted(path.name for path in (folder / "train" / "checkpoints").glob("best-*"))


def test_a_run_stops_after_so_many_measurements_without_a_new_best_and_saves_the_best_weights(load_tiny, tmp_path):
    run = TinyRun(load_tiny("llama"), tmp_path / "a", **QUICK, keep_best="kpi", stop_after=3, grade_dev=best_at(4))
    assert (run.trained.num_steps, run.trained.best_step) == (7, 4)
    assert [e["step"] for e in run.events()] == [e["step"] for e in run.events("train_dev")] == [1, 2, 3, 4, 5, 6, 7]
    assert "train | stopped after step 7: no better kpi since step 4" in run.lines
    to_best = TinyRun(load_tiny("llama"), tmp_path / "b", **{**QUICK, "max_steps": 4})
    assert run.trained.digest == to_best.trained.digest
    assert best_files(tmp_path / "a") == ["best-00000004.safetensors"]


def test_a_run_whose_last_measurement_is_its_best_goes_to_the_end(load_tiny, tmp_path):
    run = TinyRun(load_tiny("llama"), tmp_path, **QUICK, keep_best="kpi", stop_after=1, grade_dev=best_at(10))
    assert (run.trained.num_steps, run.trained.best_step) == (10, 10)
    assert not any("stopped" in line for line in run.lines)


def test_an_equal_measurement_is_no_new_best(load_tiny, tmp_path):
    run = TinyRun(load_tiny("llama"), tmp_path, **QUICK, keep_best="kpi", stop_after=2, grade_dev=lambda _: 0.5)
    assert (run.trained.num_steps, run.trained.best_step) == (3, 1)


def test_a_kpi_picks_another_checkpoint_than_the_loss(load_tiny, tmp_path):
    by_loss = TinyRun(load_tiny("llama"), tmp_path / "loss", **QUICK, keep_best="loss")
    by_kpi = TinyRun(load_tiny("llama"), tmp_path / "kpi", **QUICK, keep_best="kpi", grade_dev=best_at(2))
    losses = [e["train/dev_loss"] for e in by_loss.events("train_dev")]
    assert by_loss.trained.best_step == 1 + losses.index(min(losses)) > 2 == by_kpi.trained.best_step
    assert by_loss.trained.digest != by_kpi.trained.digest
    assert losses == [e["train/dev_loss"] for e in by_kpi.events("train_dev")]
    assert [e["train/dev_kpi"] for e in by_kpi.events("train_dev")][:3] == [0.95, 1.0, 0.95]
    assert by_kpi.column("train/loss") == by_loss.column("train/loss")


@pytest.mark.parametrize("torn", [1, 2, 3, 4, 5])
def test_a_run_ended_between_its_best_and_the_checkpoint_keeps_the_same_best(load_tiny, tmp_path, monkeypatch, torn):
    """Weights kept after the last checkpoint are forgotten, and found again."""
    options = {**QUICK, "save_every": 2, "keep_best": "kpi", "grade_dev": wobble}
    straight = TinyRun(load_tiny("llama"), tmp_path / "straight", **options)
    write, calls = checkpoints.write, []

    def end_at(*args, **named):
        calls.append(named["step"])
        if len(calls) == torn:
            raise KeyboardInterrupt
        write(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", end_at)
        with pytest.raises(KeyboardInterrupt):
            TinyRun(load_tiny("llama"), tmp_path / "torn", **options)
    again = TinyRun(load_tiny("llama"), tmp_path / "torn", **options)
    assert again.events("train_dev") == straight.events("train_dev") and again.events() == straight.events()
    assert (again.trained.best_step, again.trained.digest) == (straight.trained.best_step, straight.trained.digest)
    assert best_files(tmp_path / "torn") == best_files(tmp_path / "straight")


def test_a_run_that_had_stopped_when_it_was_killed_does_not_train_on(load_tiny, tmp_path, monkeypatch):
    """Killed after its last checkpoint and before its model was saved."""
    options = {**QUICK, "keep_best": "kpi", "stop_after": 2}
    straight = TinyRun(load_tiny("llama"), tmp_path / "straight", **options, grade_dev=best_at(3))

    def end(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "_save", end)
        with pytest.raises(KeyboardInterrupt):
            TinyRun(load_tiny("llama"), tmp_path / "torn", **options, grade_dev=best_at(3))
    again = TinyRun(load_tiny("llama"), tmp_path / "torn", **options, grade_dev=best_at(3))
    assert again.num_forwards == 0
    assert (again.trained.num_steps, again.trained.best_step) == (5, 3)
    assert again.trained.digest == straight.trained.digest and again.events() == straight.events()


def test_the_average_of_the_weights_is_what_is_measured_and_saved(load_tiny, tmp_path):
    """Against the sum over the raw weights of each step, written plainly: step k of T weighs d^(T-k)."""
    decay, seen = 0.5, []

    def look(model) -> float:
        seen.append(model.network.get_input_embeddings().weight.detach().clone())
        return 0.0

    options = {**QUICK, "max_steps": 4, "save_every": 1, "keep_checkpoints": 9, "optim": OptimConfig(lr=1e-2, schedule="constant", ema_decay=decay)}  # fmt: skip
    run = TinyRun(load_tiny("llama"), tmp_path, **options, grade_dev=look)
    raw = [
        load_file(path / "parameters.safetensors") for path in sorted((tmp_path / "train" / "checkpoints").glob("step-*"))
    ]
    assert len(raw) == len(seen) == 4
    for last in range(1, 5):
        shares = [decay ** (last - k) for k in range(1, last + 1)]
        mean = sum(s * p["model.embed_tokens.weight"].double() for s, p in zip(shares, raw, strict=False)) / sum(shares)
        assert torch.allclose(seen[last - 1].double(), mean, atol=1e-6)
        assert last == 1 or not torch.allclose(seen[last - 1], raw[last - 1]["model.embed_tokens.weight"], atol=1e-4)
    saved = load_model(run.trained.model, device="cpu").network.get_input_embeddings().weight
    assert torch.equal(saved, seen[-1])


def test_with_averages_the_best_average_is_saved(load_tiny, tmp_path):
    seen = []

    def look(model) -> float:
        seen.append(model.network.get_input_embeddings().weight.detach().clone())
        return [0.1, 0.9, 0.3, 0.2][len(seen) - 1]

    options = {**QUICK, "max_steps": 4, "optim": OptimConfig(lr=1e-2, ema_decay=0.7)}
    run = TinyRun(load_tiny("llama"), tmp_path, **options, keep_best="kpi", grade_dev=look)
    assert run.trained.best_step == 2
    assert torch.equal(load_model(run.trained.model, device="cpu").network.get_input_embeddings().weight, seen[1])


@pytest.mark.parametrize("keep", [1, 3])
def test_the_newest_checkpoints_are_kept_and_the_best_that_they_refer_to(load_tiny, tmp_path, keep):
    run = TinyRun(load_tiny("llama"), tmp_path, **QUICK, save_every=2, keep_checkpoints=keep, keep_best="kpi", grade_dev=best_at(5))
    kept = sorted(path.name for path in (run.place.folder / "checkpoints").glob("step-*"))
    assert kept == [f"step-{n:08d}" for n in (2, 4, 6, 8, 10)][-keep:]
    assert best_files(tmp_path) == ["best-00000005.safetensors"]


def test_no_dev_row_is_said_and_the_best_loss_is_refused(load_tiny, tmp_path):
    """A measurement that cannot be made is not passed over in silence."""
    data = TrainingData(examples=tiny_examples(8))
    options = {**QUICK, "max_steps": 2}
    run = TinyRun(load_tiny("llama"), tmp_path / "a", data=data, **options)
    assert "train | no dev rows: train.eval_every measures nothing" in run.lines and run.events("train_dev") == []
    with pytest.raises(ConfigError, match="no dev rows"):
        TinyRun(load_tiny("llama"), tmp_path / "b", data=data, **options, keep_best="loss")


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_text_takes_its_share_of_the_trained_weight_and_each_step_logs_it(load_tiny, tmp_path, share):
    data = TrainingData(examples=tiny_examples(16), text=[line for text in TINY_TEXT for line in text.split(". ")])
    options = {"batch_rows": 4, "epochs": 10.0, "optim": OptimConfig(lr=1e-3), "text": TextSettings(share=share)}
    options["text"] = options["text"].model_copy(update={"files": ("given",)})  # the rows come with the data
    run = TinyRun(load_tiny("llama"), tmp_path / "mixed", data=data, **options)
    plain = TinyRun(load_tiny("llama"), tmp_path / "plain", data=TrainingData(examples=tiny_examples(16)),
                    **{name: value for name, value in options.items() if name != "text"})  # fmt: skip
    total = sum(run.column("train/trained_tokens"))
    of_text = sum(s * n for s, n in zip(run.column("train/text_share"), run.column("train/trained_tokens"), strict=True))
    assert of_text / total == pytest.approx(share, abs=0.02)
    assert total - of_text == pytest.approx(sum(plain.column("train/trained_tokens")))  # no row made way for it
    assert run.trained.rows["pieces of text"] >= 6 and run.trained.num_steps == plain.trained.num_steps
    assert "train/text_share" not in plain.events()[0]


def test_a_packed_run_computes_no_padding_and_logs_it(load_tiny, tmp_path):
    """Utilisation is logged."""
    options = {"batch_rows": 8, "max_steps": 2, "micro_batch_tokens": 100}
    packed = TinyRun(load_tiny("llama"), tmp_path / "packed", **options, packing="packed")
    padded = TinyRun(load_tiny("llama"), tmp_path / "padded", **options, packing="padded")
    assert packed.column("train/utilisation") == [1.0, 1.0]
    assert all(0.3 < use < 1.0 for use in padded.column("train/utilisation"))
    assert any("rows packed, each sees itself alone" in line for line in packed.lines)
    assert any("rows padded" in line for line in padded.lines)


@pytest.mark.parametrize("with_text", [False, True])
def test_batches_without_a_trained_token_are_counted_and_left_out(with_text):
    """Never NaN, not even in a step that trains nothing at all."""
    network = tiny_network("llama")
    silent = Row("silent", tuple(range(5, 25)), (0.0,) * 20)
    spoken = Row("spoken", tuple(range(5, 17)), (0.0,) * 4 + (1.0,) * 8)
    config = TrainConfig(batch_rows=2, epochs=3.0, micro_batch_tokens=20, optim=OptimConfig(lr=1e-2))
    text = [Row("text", (5, 6, 7), (1.0,) * 3)] if with_text else ()
    work = sft(network, [silent, spoken, silent, silent], config, text=text)
    optimiser = make_optimiser([*network.named_parameters()], config.optim)
    weights = {}
    for step in steps(network, work, optimiser=optimiser, config=config.optim, seed=0):
        silent_rows = 2 if step.trained_tokens < 8 else 1
        assert step.metrics["train/skipped_batches"] == silent_rows
        assert math.isfinite(step.loss) and math.isfinite(step.grad_norm)
        moved = any(not torch.equal(p, weights[n]) for n, p in network.named_parameters()) if weights else True
        weights = {n: p.detach().clone() for n, p in network.named_parameters()}
        if not step.trained_tokens:
            assert (step.loss, step.grad_norm, moved) == (0.0, 0.0, step.index == 1)
        else:
            assert step.loss > 0 and moved
    assert work.num_steps == 6
