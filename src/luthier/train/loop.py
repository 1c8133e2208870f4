"""The steps of one run and what happens between them: log, measure, keep the best, stop early, save, take up again."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from luthier.errors import DataError, LuthierError, Problem
from luthier.runs import Run
from luthier.train import checkpoints, ranks
from luthier.train.averaging import Average
from luthier.train.config import TrainConfig
from luthier.train.engine import Work, peak_memory_gib, steps
from luthier.train.optimisers import make_optimiser
from luthier.train.sharding import fold, held

CHECKPOINTS_A_RUN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run writes, and under which key its checkpoints may be taken up again."""

    run: Run
    folder: Path
    key: str
    kind: str = "train"
    """The kind of its events in metrics.jsonl."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The best measurement so far; part of a checkpoint, so that a resumed run stops where the straight one does."""

    best_step: int = 0
    """0: nothing has been measured."""
    best: float = 0.0
    misses: int = 0
    """Measurements since the best."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the steps ended."""

    num_steps: int
    """Steps done; fewer than planned when the run stopped early."""
    best_step: int | None
    """The step whose weights the network holds, where the best are kept."""


Measure = Callable[[], Mapping[str, float]]
"""Numbers of the network as it is, by name ("dev_loss", or a grader's); it leaves the network as it found it."""


def run_steps(network: Any, work: Work, config: TrainConfig, place: Place, *, measure: Measure | None) -> Ended:
    """Do the steps that are left; afterwards the network holds what is to be saved: last, average or best weights."""
    fold(network)
    named = held(network).named
    optimiser = make_optimiser(named, config.optim)
    average = Average.start(named, config.optim.ema_decay) if config.optim.ema_decay else None
    folder = place.folder / "checkpoints"
    found = checkpoints.newest(folder, key=place.key)
    progress = Progress()
    if found is not None:
        checkpoints.restore(found, network=network, optimiser=optimiser, average=average)
        progress = Progress(**found.progress)
        place.run.say(f"{place.kind} | continues after step {found.step} of {work.num_steps}")
    first = found.step + 1 if found else 1
    found = None  # its tensors have been copied: a resumed run must not need more memory than a straight one
    if ranks.leads():
        # Of another key, or torn: it must not be taken for one of this run's when old ones are dropped.
        for stale in folder.glob("step-*"):
            if first == 1 or int(stale.name.removeprefix("step-")) >= first:
                shutil.rmtree(stale)
        for stale in folder.glob("best-*") if first == 1 else ():
            stale.unlink()
    place.run.forget_after(first - 1, kind=place.kind)
    place.run.forget_after(first - 1, kind=f"{place.kind}_dev")
    save_every = config.save_every or max(1, work.num_steps // CHECKPOINTS_A_RUN)
    index = first - 1
    to_come = steps(
        network, work, optimiser=optimiser, config=config.optim, seed=config.seed, first=first,
        after_update=average.update if average else lambda: None,
    )  # fmt: skip
    for step in () if _is_enough(progress, config) else to_come:  # killed after it had stopped, before it was saved
        index = step.index
        is_last = index == work.num_steps
        memory = peak_memory_gib(next(network.parameters()).device)
        event = {**step.event(), "train/memory_gib": round(memory, 3)}
        place.run.log(event, kind=place.kind, line=f"{step.line()} | memory {memory:.1f} GiB")
        if measure is not None and (is_last or (config.eval_every and index % config.eval_every == 0)):
            with average.swapped() if average else nullcontext():
                values = measure()
                fold(network)
                progress = _judged(network, values, progress, config, place, step=index)
            _report(values, progress, place, step=index)
        stops = _is_enough(progress, config)
        if is_last or stops or index % save_every == 0:
            checkpoints.write(
                folder, step=index, network=network, optimiser=optimiser, key=place.key, average=average,
                keep=config.keep_checkpoints, progress=asdict(progress),
            )  # fmt: skip
            _drop_old_best(folder)
        if stops and not is_last:
            place.run.say(f"{place.kind} | stopped after step {index}: no better {config.keep_best} since "
                          f"step {progress.best_step}")  # fmt: skip
            break
    return _settled(network, average, progress, folder, num_steps=index)


def _is_enough(progress: Progress, config: TrainConfig) -> bool:
    return config.stop_after is not None and progress.misses >= config.stop_after


def _judged(
    network: Any, values: Mapping[str, float], progress: Progress, config: TrainConfig, place: Place, *, step: int
) -> Progress:
    """The progress with this measurement; the weights are kept when it is the best."""
    if config.keep_best is None:
        return progress
    name = "train/dev_loss" if config.keep_best == "loss" else f"train/dev_{config.keep_best}"
    value = -values[name] if config.keep_best == "loss" else values[name]
    if not math.isfinite(value):
        raise LuthierError(
            "training has diverged",
            [Problem(where=f"step {step}: {name}", found=str(values[name]), expected="a finite number",
                     fix="lower optim.lr, or raise optim.warmup_steps")],
        )  # fmt: skip
    if progress.best_step and value <= progress.best:
        return replace(progress, misses=progress.misses + 1)
    checkpoints.write_weights(place.folder / "checkpoints" / f"best-{step:08d}.safetensors", network)
    return Progress(best_step=step, best=value, misses=0)


def _report(values: Mapping[str, float], progress: Progress, place: Place, *, step: int) -> None:
    names = {name: name.removeprefix("train/").replace("_", " ", 1) for name in values}
    shown = " | ".join(f"{names[name]} {value:.4f}" for name, value in values.items())
    best = " | best so far" if progress.best_step == step else ""
    place.run.log({"step": step, **values}, kind=f"{place.kind}_dev", line=f"step {step:5d} | {shown}{best}")


def _drop_old_best(folder: Path) -> None:
    """Remove kept weights that no checkpoint refers to any more."""
    if not ranks.leads():
        return
    wanted = set()
    for path in folder.glob("step-*/state.json"):
        wanted.add(json.loads(path.read_text(encoding="utf-8"))["progress"]["best_step"])
    for path in folder.glob("best-*.safetensors"):
        if int(path.stem.removeprefix("best-")) not in wanted:
            path.unlink()


@torch.no_grad()
def _settled(network: Any, average: Average | None, progress: Progress, folder: Path, *, num_steps: int) -> Ended:
    """Put the weights to be saved into the network."""
    if progress.best_step:
        tensors = load_file(folder / f"best-{progress.best_step:08d}.safetensors")
    elif average is not None:
        ending = "/average"
        tensors = {n.removesuffix(ending): t for n, t in average.tensors().items() if n.endswith(ending)}
    else:
        return Ended(num_steps, None)
    mine = held(network)
    for name, tensor in tensors.items():
        mine.set(name, tensor)
    return Ended(num_steps, progress.best_step or None)


def logged_losses(place: Place) -> tuple[float, float]:
    """First and last loss of this run's steps, as metrics.jsonl holds them (a resumed run logged only its own part)."""
    losses = []
    path = place.run.folder / "metrics.jsonl"
    with path.open(encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event["kind"] == place.kind:
                losses.append(event["train/loss"])
    if not losses:
        raise DataError(
            "the record of a run is lost",
            [Problem(where=str(path), found=f"no event of kind {place.kind!r}", expected="the steps of the run",
                     fix=f"remove {place.folder} and run again")],
        )  # fmt: skip
    return losses[0], losses[-1]
