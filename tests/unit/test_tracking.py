"""Tracking services get copies of what is measured; whatever they do, the training goes on."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from luthier import tracking
from luthier.errors import ConfigError
from luthier.tracking import Measured, Tracker, measured_of, sendable, tracker

STEPS = [{"kind": "train", "step": n, "train/loss": 2.0 / n, "train/tokens": 10 * n} for n in range(1, 4)]
DEV = {"kind": "train_dev", "step": 3, "train/dev_loss": 0.75}
PREFER = {"kind": "prefer", "step": 1, "train/loss": 0.69, "dpo/margin": 0.5}
CONFIG = {"train": {"optim": {"lr": 0.1}, "seed": 7}, "improve": {"store": "postgresql://me:hunter2@host/traces"}}


class Sink:
    """A service that keeps what it is sent; `fails_at` and `waits` make it a bad one."""

    def __init__(self, *, fails_at: int | None = None, waits: threading.Event | None = None) -> None:
        self.sent: list[Measured] = []
        self.ended: list[bool] = []
        self.fails_at, self.waits = fails_at, waits

    def put(self, measured: Measured) -> None:
        if self.waits is not None:
            self.waits.wait(30)
        if measured.step == self.fails_at:
            raise OSError("no route to the service")
        self.sent.append(measured)

    def close(self, is_finished: bool) -> None:
        self.ended.append(is_finished)


def test_every_number_of_an_event_is_passed_on_under_its_stage():
    sink = Sink()
    track = Tracker("service", lambda: sink)
    for event in [*STEPS, DEV, PREFER]:
        track(event)
    track.close()
    assert sink.sent[0] == Measured("train", 1, {"loss": 2.0, "tokens": 10.0})
    assert sink.sent[3:] == [
        Measured("train", 3, {"dev_loss": 0.75}),
        Measured("prefer", 1, {"loss": 0.69, "dpo/margin": 0.5}),
    ]
    assert sink.ended == [True]


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "note", "text": "no step"},
        {"kind": "train", "step": 1, "note": "no number", "is_last": True},
        {"kind": "train", "step": 1, "train/loss": float("nan")},
    ],
)
def test_an_event_without_a_step_or_a_number_is_not_passed_on(event):
    assert measured_of(event) is None


def test_a_service_that_fails_is_reported_once_and_left_out():
    sink, said = Sink(fails_at=2), []
    track = Tracker("service", lambda: sink, say=said.append)
    for event in STEPS:
        track(event)
    track._thread.join(30)
    for event in STEPS:
        track(event)
    track.close()
    assert len(said) == 1 and "service is left out" in said[0] and "OSError: no route to the service" in said[0]
    assert [m.step for m in sink.sent] == [1] and sink.ended == []


def test_a_run_that_measures_nothing_opens_no_service():
    def never() -> Any:
        raise AssertionError

    said = []
    track = Tracker("service", never, say=said.append)
    track({"kind": "note"})
    track.close()
    assert said == []


def test_a_service_that_cannot_be_opened_is_reported_once_and_left_out():
    def refuse() -> Any:
        raise ConnectionError("refused")

    said = []
    track = Tracker("service", refuse, say=said.append)
    track(STEPS[0])
    track._thread.join(30)
    track(STEPS[1])
    track(STEPS[2])
    assert said == ["track | service is left out from here on: ConnectionError: refused; metrics.jsonl has it all"]


def test_a_service_that_hangs_neither_stops_the_training_nor_its_end():
    free = threading.Event()
    said, sink = [], Sink(waits=free)
    track = Tracker("service", lambda: sink, say=said.append)
    for event in STEPS:
        track(event)  # comes back although nothing is sent
    assert sink.sent == []
    track.close(timeout_s=0.05)
    assert len(said) == 1 and "not everything was sent" in said[0]
    free.set()
    track._thread.join(30)


def test_a_service_that_falls_too_far_behind_is_left_out(monkeypatch):
    monkeypatch.setattr(tracking, "MOST_WAITING", 2)
    free = threading.Event()
    said = []
    track = Tracker("service", lambda: Sink(waits=free), say=said.append)
    for event in STEPS * 3:
        track(event)
    assert len(said) == 1 and "slower than the training" in said[0]
    free.set()
    track.close()
    assert len(said) == 1


def test_no_secret_and_no_password_is_sent():
    config = {**CONFIG, "judge": {"api_key": "sk-1", "token": "t", "key_env": "JUDGE_KEY"}, "new_tokens": ["<a>"]}
    shown = sendable(config)
    assert shown["train.optim.lr"] == 0.1 and shown["judge.key_env"] == "JUDGE_KEY" and shown["new_tokens"] == ["<a>"]
    assert shown["improve.store"] == "postgresql://me:***@host/traces"
    for address in ("redis://:hunter2@host/0", "postgresql://me:hun@ter2@host/t", "postgresql://h/t?password=hunter2&a=1"):
        assert "ter2" not in json.dumps(sendable({"store": address}))
    assert "sk-1" not in json.dumps(shown) and "hunter2" not in json.dumps(shown) and shown["judge.token"] == "***"


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_an_error_that_says_how_to_get_it(name, tmp_path, monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"run\.track: found \"" + name) as raised:
        tracker(name, tmp_path, {})
    assert '.venv/bin/pip install -e ".[track]"' in str(raised.value)


def test_an_unknown_service_is_an_error_that_lists_the_known(tmp_path):
    with pytest.raises(ConfigError, match="tensorboard, mlflow, wandb"):
        tracker("comet", tmp_path, {})


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(e.step, round(e.value, 6)) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_tensorboard_reads_back_what_was_measured(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    track = tracker("tensorboard", tmp_path, CONFIG)
    for event in [*STEPS, DEV, PREFER]:
        track(event)
    track.close()
    train = scalars(tmp_path / "tensorboard" / "train")
    assert train["loss"] == [(1, 2.0), (2, 1.0), (3, 0.666667)] and train["dev_loss"] == [(3, 0.75)]
    assert scalars(tmp_path / "tensorboard" / "prefer")["dpo/margin"] == [(1, 0.5)]
    written = b"".join(p.read_bytes() for p in (tmp_path / "tensorboard").rglob("*tfevents*"))
    assert b"train.optim.lr = 0.1" in written and b"hunter2" not in written


def test_tensorboard_shows_a_continued_runs_steps_once(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    for events in (STEPS, [{**STEPS[1], "train/loss": 1.5}, {**STEPS[2], "train/loss": 1.25}]):
        track = tracker("tensorboard", tmp_path, CONFIG)
        for event in events:
            track(event)
        track.close()
    assert scalars(tmp_path / "tensorboard" / "train")["loss"] == [(1, 2.0), (2, 1.5), (3, 1.25)]


@pytest.mark.filterwarnings("ignore")  # those of MLflow's own libraries
def test_mlflow_reads_back_what_was_measured_and_a_continued_run_goes_on_under_its_id(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed", exc_type=ImportError)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said: list[str] = []
    for events in (STEPS[:2], [STEPS[2], DEV, PREFER]):
        track = tracker("mlflow", tmp_path, CONFIG, say=said.append)
        for event in events:
            track(event)
        track.close(timeout_s=120)
    assert said == []
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "luthier"]
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]
    assert run.data.metrics["train/dev_loss"] == 0.75 and run.data.metrics["prefer/dpo/margin"] == 0.5
    assert run.info.status == "FINISHED" and run.data.params["train.optim.lr"] == "0.1"
    assert "hunter2" not in json.dumps(run.data.params)


def test_wandb_keeps_what_was_measured_in_the_run_folder_when_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed", exc_type=ImportError)
    monkeypatch.setenv("WANDB_MODE", "offline")
    said: list[str] = []
    track = tracker("wandb", tmp_path, CONFIG, say=said.append)
    for event in [*STEPS, DEV, PREFER]:
        track(event)
    track.close(timeout_s=120)
    assert said == []
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = kept.read_bytes()
    assert b"dpo/margin" in content and b"train.optim.lr" in content
    assert b"hunter2" not in content and sys.argv[0].encode() not in content


def test_wandb_without_a_key_is_an_error_before_the_run_and_not_a_question_during_it(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed", exc_type=ImportError)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_MODE", "WANDB_API_KEY", "NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="no key for it"):
        tracker("wandb", tmp_path, CONFIG)
