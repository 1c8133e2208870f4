"""Metrics passed on to a tracking service while a run goes on: TensorBoard, MLflow, Weights & Biases.

RUN/metrics.jsonl stays the truth. A service gets copies, from a thread of its own: one that fails, or that is slower
than the training, is reported once and left out, and the training neither stops nor waits for it.

    tensorboard   RUN/tensorboard, one series folder a training stage
    mlflow        where MLFLOW_TRACKING_URI says, else RUN/mlflow.db; experiment MLFLOW_EXPERIMENT_NAME, else "luthier"
    wandb         the project WANDB_PROJECT, else "luthier"; with WANDB_MODE=offline only RUN/wandb
"""

from __future__ import annotations

import atexit
import importlib
import json
import logging
import math
import os
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from luthier.errors import ConfigError, Problem
from luthier.records.whole_files import write_text_whole

PROJECT = "luthier"
MOST_WAITING = 10_000
"""Events that may wait for a service; one that falls further behind is left out."""
CLOSE_S = 20.0
"""How long the end of a run waits for what is still to be sent."""
SECRET = re.compile(r"(^|_)(password|passwd|secret|token|api_key|key|credentials)$")
"""Keys of a config whose values stay here, whatever they hold."""
PASSWORD = re.compile(r"(\w+://[^:/@\s\"]*):[^\s\"]*@")
"""A password within an address, with or without a name before it; one that holds an @ is covered to its end."""
QUERY = re.compile(r"([?&;][\w-]*(?:password|passwd|pwd|secret|token|key)=)[^&;\s\"]+", re.IGNORECASE)
"""The same among the options of an address."""


class Measured(NamedTuple):
    """The numbers of one event."""

    stage: str
    """The training stage: "train", "prefer"."""
    step: int
    values: dict[str, float]
    """By name, without the stage: "loss", "dev_loss", "dpo/margin"."""


class Sink(Protocol):
    """A service, as the thread that feeds it sees it."""

    def put(self, measured: Measured) -> None:
        """Send one event; may take its time, may raise."""

    def close(self, is_finished: bool) -> None:
        """Send what is left and say how the run ended."""


def tracker(
    name: str, run_folder: Path, config: Mapping[str, Any], *, say: Callable[[str], None] | None = None
) -> Tracker:
    """A callable that takes every event of the run; `say` gets the one line about a service that fails.

    ConfigError when the package is missing, or when the service needs a key and has none.
    """
    opened: dict[str, Callable[[Any, Path, Mapping[str, Any]], Sink]]
    opened = {"tensorboard": _TensorBoard, "mlflow": _Mlflow, "wandb": _Wandb}
    if name not in opened:
        raise ConfigError(
            "the run cannot be tracked",
            [Problem(where="run.track", found=repr(name), expected=f"one of {', '.join(opened)}", fix="correct it")],
        )
    package = _package(name)
    if name == "wandb":
        _need_key(package)
    shown = sendable(config)
    return Tracker(name, lambda: opened[name](package, run_folder, shown), say=say)


class Tracker:
    """Takes events without waiting, and sends them from a thread of its own."""

    def __init__(self, name: str, open_sink: Callable[[], Sink], *, say: Callable[[str], None] | None = None) -> None:
        """The service is opened in the background, at the first event."""
        self._name, self._open, self._say = name, open_sink, say
        self._waiting: queue.Queue[Measured | None] = queue.Queue(MOST_WAITING)
        self._problem: str | None = None
        self._is_dropped = self._is_finished = self._is_closed = False
        self._thread = threading.Thread(target=self._send, name=f"luthier-track-{name}", daemon=True)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Pass the numbers of one event on; returns at once, and never raises."""
        if self._is_dropped or self._is_closed:
            return
        measured = measured_of(event)
        try:
            if measured is not None and self._problem is None:
                self._waiting.put_nowait(measured)
                self._start()
        except queue.Full:
            self._problem = f"it is slower than the training: {MOST_WAITING:,} events wait"
        self._report()

    def close(self, *, is_finished: bool = True, timeout_s: float = CLOSE_S) -> None:
        """Wait, at most `timeout_s`, until everything is sent. A second call does nothing."""
        if self._is_closed or not self._thread.ident:
            return
        self._is_closed, self._is_finished = True, is_finished
        atexit.unregister(self.close)
        until = time.monotonic() + timeout_s
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            self._problem = self._problem or "it takes no more events"
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive() and self._problem is None:
            self._problem = f"not everything was sent within {timeout_s:.0f} s"
        self._report()

    def _start(self) -> None:
        if not self._thread.ident:
            atexit.register(self.close, is_finished=False)  # a run that ends by an error keeps what it had measured
            self._thread.start()

    def _report(self) -> None:
        if self._problem is not None and not self._is_dropped:
            self._is_dropped = True
            if self._say is not None:
                self._say(f"track | {self._name} is left out from here on: {self._problem}; metrics.jsonl has it all")

    def _send(self) -> None:
        # A service's client may raise anything, and none of it is a reason to lose hours of training.
        try:
            sink = self._open()
            while (measured := self._waiting.get()) is not None:
                if self._problem is not None:
                    return
                sink.put(measured)
            sink.close(self._is_finished)
        except Exception as error:
            self._problem = self._problem or f"{type(error).__name__}: {str(error)[:300] or 'no message'}"


def measured_of(event: Mapping[str, Any]) -> Measured | None:
    """The numbers of an event of metrics.jsonl; None for one without a step or without a number.

    >>> measured_of({"kind": "prefer_dev", "step": 3, "train/dev_loss": 0.5})
    Measured(stage='prefer', step=3, values={'dev_loss': 0.5})
    """
    step = event.get("step")
    if not isinstance(step, int):
        return None
    values = {
        name.removeprefix("train/"): float(value)
        for name, value in event.items()
        if name not in ("step", "num_steps") and isinstance(value, int | float) and not isinstance(value, bool)
        and math.isfinite(value)
    }  # fmt: skip
    return Measured(str(event.get("kind", "train")).removesuffix("_dev"), step, values) if values else None


def sendable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config by full dotted keys, without secrets and without passwords in addresses."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif isinstance(value, str) and SECRET.search(prefix.rpartition(".")[2].lower()):
            flat[prefix] = "***"
        elif value is not None:
            flat[prefix] = json.loads(_bare(json.dumps(value, ensure_ascii=False, default=str)))

    walk("", config)
    return flat


def _bare(text: str) -> str:
    return QUERY.sub(r"\1***", PASSWORD.sub(r"\1:***@", text))


def _package(name: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow would send word of its use to its makers
    try:
        if name == "tensorboard":
            importlib.import_module("tensorboard.summary.writer.event_file_writer")
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            "the run cannot be tracked",
            [Problem(where="run.track", found=f'"{name}", and no usable package of that name ({error})',
                     expected=f"{name} installed",
                     fix='.venv/bin/pip install -e ".[track]", or take it out of run.track')],
        ) from None  # fmt: skip


def _need_key(wandb: Any) -> None:
    """A question for a key in the middle of a run would wait for ever, so it is looked for at the start."""
    if os.environ.get("WANDB_MODE", "online") != "online" or wandb.login(prompt=False, verify=False):
        return
    raise ConfigError(
        "the run cannot be tracked",
        [Problem(where="run.track", found='"wandb", and no key for it', expected="a login",
                 fix="run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline to keep it in the run folder")],
    )  # fmt: skip


def _run_id(run_folder: Path, service: str, make: Callable[[], str]) -> str:
    """The service's id of this run, kept in RUN/tracking.json so that a continued run goes on under it."""
    path = run_folder / "tracking.json"
    known: dict[str, str] = {}
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # torn by a crash: the run goes on under a new id
            known = {}
    if service not in known:
        known[service] = make()
        write_text_whole(path, json.dumps(known, indent=2) + "\n")
    return known[service]


class _TensorBoard:
    """Event files, written as torch's own writer does."""

    def __init__(self, package: Any, run_folder: Path, config: Mapping[str, Any]) -> None:
        del package  # its parts are modules of their own
        self._folder, self._config = run_folder / "tensorboard", config
        self._writers: dict[str, Any] = {}
        proto = "tensorboard.compat.proto."
        self._events = importlib.import_module(proto + "event_pb2")
        self._summaries = importlib.import_module(proto + "summary_pb2")
        self._tensors = importlib.import_module(proto + "tensor_pb2")
        self._types = importlib.import_module(proto + "types_pb2")

    def put(self, measured: Measured) -> None:
        writer = self._writers.get(measured.stage) or self._opened(measured)
        values = [self._summaries.Summary.Value(tag=k, simple_value=v) for k, v in measured.values.items()]
        writer.add_event(self._event(measured.step, summary=self._summaries.Summary(value=values)))

    def close(self, is_finished: bool) -> None:
        for writer in self._writers.values():
            writer.close()

    def _opened(self, measured: Measured) -> Any:
        writers = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        writer = writers.EventFileWriter(str(self._folder / measured.stage), flush_secs=10)
        self._writers[measured.stage] = writer
        # A continued run logs anew what came after its checkpoint: the older copies of those steps are to be dropped.
        log = self._events.SessionLog
        writer.add_event(self._event(measured.step, session_log=log(status=log.START)))
        writer.add_event(self._event(measured.step, summary=self._config_text()))
        return writer

    def _config_text(self) -> Any:
        text = importlib.import_module("tensorboard.plugins.text.metadata")
        lines = "".join(f"    {key} = {json.dumps(value)}\n" for key, value in self._config.items())
        metadata = text.create_summary_metadata(display_name="config", description="")
        tensor = self._tensors.TensorProto(dtype=self._types.DT_STRING, string_val=[lines.encode()])
        return self._summaries.Summary(
            value=[self._summaries.Summary.Value(tag="config", metadata=metadata, tensor=tensor)]
        )

    def _event(self, step: int, **parts: Any) -> Any:
        return self._events.Event(wall_time=time.time(), step=step, **parts)


class _Mlflow:
    """A run of an MLflow experiment, by its client alone: no global state, no tags about machine or user."""

    def __init__(self, package: Any, run_folder: Path, config: Mapping[str, Any]) -> None:
        self._package = package
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
        given = os.environ.get("MLFLOW_TRACKING_URI")
        own = f"sqlite:///{(run_folder / 'mlflow.db').resolve()}"  # it moves with the run, and so does its id
        self._client = package.MlflowClient(tracking_uri=given or own)
        self._id = _run_id(run_folder, f"mlflow {_bare(given or 'mlflow.db')}", lambda: self._new(run_folder))
        # Parameters of a run are written once: a continued run with another config keeps those it began with.
        known = self._client.get_run(self._id).data.params
        new = [(k, json.dumps(v) if not isinstance(v, str) else v) for k, v in config.items() if k not in known]
        for start in range(0, len(new), 100):
            params = [package.entities.Param(key, value[:5000]) for key, value in new[start : start + 100]]
            self._client.log_batch(self._id, params=params)

    def put(self, measured: Measured) -> None:
        moment = int(time.time() * 1000)
        metrics = [
            self._package.entities.Metric(f"{measured.stage}/{name}", value, moment, measured.step)
            for name, value in measured.values.items()
        ]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self, is_finished: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if is_finished else "KILLED")

    def _new(self, run_folder: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        return str(self._client.create_run(experiment, run_name=run_folder.resolve().name).info.run_id)


class _Wandb:
    """A run of a W&B project; nothing about the machine, the code or the command goes with it."""

    def __init__(self, package: Any, run_folder: Path, config: Mapping[str, Any]) -> None:
        run_id = _run_id(run_folder, "wandb", lambda: uuid.uuid4().hex[:16])
        settings = package.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, save_code=False,
            disable_job_creation=True, x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True,
        )  # fmt: skip
        self._run = package.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), id=run_id, name=run_folder.resolve().name, resume="allow",
            dir=str(run_folder), config=dict(config), settings=settings,
        )  # fmt: skip
        self._stages: set[str] = set()

    def put(self, measured: Measured) -> None:
        if measured.stage not in self._stages:  # each stage counts its own steps
            self._stages.add(measured.stage)
            self._run.define_metric(f"{measured.stage}/*", step_metric=f"{measured.stage}/step")
        values = {f"{measured.stage}/{name}": value for name, value in measured.values.items()}
        self._run.log({f"{measured.stage}/step": measured.step, **values})

    def close(self, is_finished: bool) -> None:
        self._run.finish(exit_code=0 if is_finished else 1)
