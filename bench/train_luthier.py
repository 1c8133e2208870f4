"""One training run by Luthier, in a process of its own: `python -m bench.train_luthier JOB.json RESULT.json`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from bench.measuring import (
    cuda_facts,
    digest_of_targets,
    matrix_rates,
    peak_memory_mib,
    synchronise,
    versions,
)
from luthier.models.load import load_model
from luthier.records import Example, Message
from luthier.runs import Run
from luthier.train.config import TrainConfig
from luthier.train.loop import Place
from luthier.train.training import TrainingData, train


def config_of(job: dict[str, Any]) -> TrainConfig:
    """What the job asks for, and the defaults for everything else."""
    return TrainConfig.model_validate_json(json.dumps({
        "adapter": job["adapter"], "max_steps": job["steps"], "batch_rows": job["rows_a_step"],
        "max_length": job["max_length"], "autocast": job["precision"] == "bf16", "save_every": job["steps"],
        "seed": job["seed"], "optim": {"lr": job["lr"], "schedule": "constant"}, **job["options"],
    }))  # fmt: skip


def main() -> None:
    """Do the job and write what was measured."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rates = matrix_rates(device)
    rows = [json.loads(line) for line in Path(job["rows"]).read_text(encoding="utf-8").splitlines()]
    examples = [Example.of([Message(**m) for m in row["messages"]], source=row["source"]) for row in rows]
    idle = peak_memory_mib()
    config = config_of(job)
    ends: list[float] = []
    cpu_ends: list[float] = []
    peaks: list[float] = []

    def step_done(_line: str) -> None:
        synchronise(device)
        ends.append(time.perf_counter() - started)
        cpu_ends.append(time.process_time())
        peaks.append(peak_memory_mib())

    started = time.perf_counter()
    model = load_model(job["model"])
    folder = Path(job["folder"])
    run = Run.open(folder, config, step_echo=step_done)
    train(model, TrainingData(examples=examples), config, place=Place(run=run, folder=folder / "train", key="bench"))
    whole = time.perf_counter() - started
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [event for event in map(json.loads, lines) if event["kind"] == "train"]
    rendered = [row for example in examples for row in model.renderer.render(example.messages)]
    Path(sys.argv[2]).write_text(json.dumps({
        "losses": [event["train/loss"] for event in events], "tokens": [event["train/tokens"] for event in events],
        "ends": ends, "cpu_ends": cpu_ends, "seconds_whole": whole, "peak_mib": peaks[-1],
        "peak_with_saving_mib": peak_memory_mib(), "idle_mib": idle, "matrix_rates": rates,
        "threads": torch.get_num_threads(), **cuda_facts(device),
        "targets": digest_of_targets((row.token_ids, [w > 0 for w in row.weights]) for row in rendered),
        "versions": versions(["luthier", "torch", "transformers", "peft"]),
        "settings": json.loads(config.model_dump_json()), "says": (folder / "log.txt").read_text().splitlines()[:8],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
