"""Does it fit, how long will it take: some seconds of the recipe's own training, in a process of its own.

The prediction stays in RUN/fit.json. A training run of the same rows, options, base and machine says afterwards how far
off it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from luthier.errors import LuthierError
from luthier.models.folders import digest
from luthier.recipes import stages
from luthier.runs import Run, Stage, library_versions, machine, read_json, sha256, source_digest, write_json
from luthier.train.config import ModelConfig, TrainConfig
from luthier.train.fit import GIB, SPARE, Prediction, duration, size

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.train.training import Trained, TrainingData

FILE = "fit.json"
ORDER, ANSWER = "order.json", "answer.json"
TEXT = ("documents.jsonl", "dev_documents.jsonl")
"""In the folder of a run's rows: plain text, one document an object."""
ANSWERED = 8
"""Dev prompts that are answered to time the measurement of `train.keep_best`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is to fit into."""

    memory_gib: float
    disk_free_gib: float

    @classmethod
    def here(cls, folder: Path) -> Machine:
        """This machine, or the share of it that the control group of this process allows; the disk under `folder`."""
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
        for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
            try:
                limits.append(int(Path(path).read_text(encoding="ascii")))
            except (OSError, ValueError):  # another system, or "max"
                continue
        place = next(p for p in (folder.resolve(), *folder.resolve().parents) if p.is_dir())
        return cls(memory_gib=min(limits) / GIB, disk_free_gib=shutil.disk_usage(place).free / GIB)

    def holds_in_memory(self, prediction: Prediction) -> bool:
        """Whether the peak leaves the system its part."""
        return prediction.peak_memory_gib <= SPARE * (prediction.device_memory_gib or self.memory_gib)

    def hold(self, prediction: Prediction) -> bool:
        """Whether the training fits; each of several processes holds only a part of what was measured."""
        in_memory = prediction.num_processes > 1 or self.holds_in_memory(prediction)
        return in_memory and prediction.disk_gib <= self.disk_free_gib


class Tried(NamedTuple):
    """What came of the probe."""

    predictions: Sequence[Prediction]
    """One for each folder of rows; empty where the probe failed."""
    failure: str = ""
    fix: str = ""
    is_memory: bool = False
    """The system ended it for want of memory."""


def key_of(config: TrainConfig, model: ModelConfig | Path | None, inputs: Mapping[str, Path | str]) -> str:
    """Everything that time and memory depend on: rows, options, base, code, libraries, machine.

    `model`: what `[model]` says, or the folder that pre-training goes on from, if any.
    """
    start = stages.start_of(model) if isinstance(model, ModelConfig) else model
    options = model.model_dump(mode="json", exclude={"base"}) if isinstance(model, ModelConfig) else {}
    parts = {
        "train": config.model_dump(mode="json", exclude={"processes"}), "model": options,
        "base": digest(start) if start else None,
        "inputs": sorted(sha256(v) if isinstance(v, Path) else v for v in inputs.values()),
        "source": source_digest("luthier.train.training"), "libraries": library_versions(), "machine": machine(),
        "environment": [os.environ.get(name) for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def predict(
    config: TrainConfig, model: ModelConfig, folders: Sequence[Path], *, run_folder: Path, limits: Machine
) -> Tried:
    """What training will need on the rows of each folder; the steps of the first are timed, in a fresh process.

    Folders are as `stages.curated_material` reads them, or hold documents.jsonl. It works on the disk of the run, in
    RUN/fit.partial, which does not stay.
    """
    scratch = run_folder / "fit.partial"
    order = {
        "train": config.model_dump(mode="json"), "model": model.model_dump(mode="json"),
        "folders": [str(folder) for folder in folders], "memory_gib": SPARE * limits.memory_gib,
    }  # fmt: skip
    try:
        write_json(scratch / ORDER, order)
        done = subprocess.run(
            [sys.executable, "-m", "luthier.recipes.fit", str(scratch)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            answer = json.loads((scratch / ANSWER).read_text(encoding="utf-8"))
            return Tried([Prediction.from_json(row) for row in answer])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            run_folder.rmdir()  # only where nothing else is in it
    if done.returncode == -signal.SIGKILL or "out of memory" in done.stderr.lower():
        return Tried((), "the system ended it for want of memory", MEMORY_FIX, is_memory=True)
    words = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    return Tried((), words, "mend what it says; `luthier train` would stop there")


MEMORY_FIX = (
    "lower train.micro_batch_tokens, set train.checkpoint_activations = true, or train less of the model: "
    'train.adapter = "lora", train.optim.name = "adamw_8bit" or "adafactor", model.dtype = "bfloat16"'
)
DISK_FIX = "free some space, lower train.keep_checkpoints (1 is enough to continue), or put run.dir on another disk"


def keep(run_folder: Path, found: Mapping[str, Prediction]) -> None:
    """Write the predictions, by key, to RUN/fit.json, in place of older ones."""
    write_json(run_folder / FILE, {key: prediction.to_json() for key, prediction in found.items()})


def kept(run_folder: Path, key: str) -> Prediction | None:
    """The prediction of exactly this training; None when there is none."""
    found = read_json(run_folder / FILE).get(key)
    return None if found is None else Prediction.from_json(found)


def watch(
    run: Run, config: TrainConfig, model: ModelConfig | Path | None, inputs: Mapping[str, Path | str], *, stage: Stage
) -> Callable[[Trained], dict[str, Any]]:
    """Called before a stage trains: the clock starts. Called with what came of it, the returned function compares."""
    prediction = kept(run.folder, key_of(config, model, inputs)) if (run.folder / FILE).is_file() else None
    continues, started = is_resumed(stage.folder, stage.key), time.perf_counter()

    def ended(trained: Trained) -> dict[str, Any]:
        if prediction is None or int(os.environ.get("WORLD_SIZE", "1")) > 1:
            return {}
        seconds = time.perf_counter() - started
        why = "it was continued" if continues else ""
        if trained.num_steps != prediction.num_steps:
            why = f"it stopped after {trained.num_steps} of {prediction.num_steps} steps"
        facts = {} if why else compared(prediction, seconds=seconds, memory_gib=trained.peak_memory_gib)
        run.say(comparison_line(prediction, facts, why))
        return {"fit": facts} if facts else {}

    return ended


def compared(prediction: Prediction, *, seconds: float, memory_gib: float) -> dict[str, float]:
    """How far off a prediction was; errors are relative to what was foretold."""
    return {
        "predicted_seconds": round(prediction.total_seconds, 2), "seconds": round(seconds, 2),
        "time_error": round(seconds / prediction.total_seconds - 1, 4),
        "predicted_memory_gib": round(prediction.peak_memory_gib, 3), "memory_gib": round(memory_gib, 3),
        "memory_error": round(memory_gib / prediction.peak_memory_gib - 1, 4),
    }  # fmt: skip


def comparison_line(prediction: Prediction, facts: Mapping[str, float], why: str = "") -> str:
    """The comparison in words, or why there is none."""
    before = f"fit | predicted {duration(prediction.total_seconds)} and {size(prediction.peak_memory_gib)}"
    if not facts:
        return f"{before}; not compared with this run: {why}"
    return (
        f"{before}; took {duration(facts['seconds'])} ({100 * facts['time_error']:+.0f} %) and "
        f"{size(facts['memory_gib'])} ({100 * facts['memory_error']:+.0f} %)"
    )


def is_resumed(folder: Path, key: str) -> bool:
    """Whether checkpoints of this very training lie in the stage's folder."""
    return any(read_json(path).get("key") == key for path in (folder / "checkpoints").glob("step-*/state.json"))


def _material(folder: Path, config: TrainConfig) -> TrainingData:
    from luthier.train.documents import read_documents
    from luthier.train.training import TrainingData

    if config.method != "pretrain":
        return stages.curated_material(folder, config).read()
    texts = [read_documents([folder / name]) if (folder / name).is_file() else [] for name in TEXT]
    return TrainingData(documents=texts[0], dev_documents=texts[1])


def _load(config: TrainConfig, settings: ModelConfig) -> Model:
    from luthier.models.load import load_model
    from luthier.models.tokens import add_tokens

    model = load_model(
        stages.start_of(settings), dtype=settings.dtype, chat_template=settings.chat_template,
        quantised=config.adapter == "qlora",
    )  # fmt: skip
    return add_tokens(model, settings.new_tokens)


def _answer(scratch: Path) -> list[dict[str, Any]]:
    """The work of the process: load as the recipe does, and probe."""
    import luthier.recipes.train  # noqa: F401  the libraries of the command take memory too
    from luthier.train.loop import Place
    from luthier.train.probe import Budget, DevGrade, probe

    started = time.perf_counter()
    order = json.loads((scratch / ORDER).read_text(encoding="utf-8"))
    config = TrainConfig.model_validate_json(json.dumps(order["train"]))
    settings = ModelConfig.model_validate_json(json.dumps(order["model"]))
    model = _load(config, settings)
    runs = [_material(Path(folder), config) for folder in order["folders"]]
    answered = [e for e in runs[0].dev if e.targets][: stages.MOST_DEV_PROMPTS]
    measure = stages.dev_grade(config, replace(runs[0], dev=answered[:ANSWERED]))
    found = probe(
        model, runs, config,
        place=Place(run=Run(folder=scratch), folder=scratch, key="", kind="fit"),
        budget=Budget(memory_gib=order["memory_gib"]), loaded_in=time.perf_counter() - started,
        grade_all=stages.rewards(config.grpo.grader) if config.method == "grpo" else None,
        grade_dev=None if measure is None else DevGrade(measure, len(answered) / min(ANSWERED, len(answered))),
    )  # fmt: skip
    return [prediction.to_json() for prediction in found]


def main(scratch: Path) -> int:
    """Do what the folder's order says; what goes wrong is the last line of stderr."""
    with suppress(OSError):  # if the memory does not suffice, this process is the one to go
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        write_json(scratch / ANSWER, _answer(scratch))
    except LuthierError as error:
        sys.stderr.write(" ".join(error.text().split()) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
