"""Checkpoints that survive kill -9: written whole under another name, then renamed; safetensors and JSON, no pickle.

    step-00000050/state.json                the step, the key of the run, the best so far
                  parameters.safetensors    written by one process, with optimiser.safetensors and average.safetensors
                  shard-00001-....          written by several, each the rows that it holds: safetensors again, in the
                                            format of torch.distributed.checkpoint

Either is read by any number of processes.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load as load_parts
from torch.distributed.checkpoint.state_dict_saver import save as save_parts
from torch.distributed.tensor import DTensor

from luthier.errors import LuthierError, Problem
from luthier.train import ranks
from luthier.train.averaging import Average
from luthier.train.optimisers import restore_tensors, state_tensors
from luthier.train.sharding import Held, held, room_for_mine, rows_of_mine

PARTS = ("parameters", "optimiser", "average")
"""What a checkpoint holds, the average where there is one."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after one optimiser step: everything that the next step depends on."""

    step: int
    parameters: dict[str, Tensor]
    """Trainable parameters by name."""
    optimiser: dict[str, Tensor]
    """"NAME/exp_avg" and its kind."""
    average: dict[str, Tensor]
    """"NAME/average", where the weights are averaged."""
    progress: dict[str, Any]
    """The best measurement so far."""


def write(
    folder: Path,
    *,
    step: int,
    network: Any,
    optimiser: torch.optim.Optimizer,
    key: str,
    average: Average | None = None,
    keep: int = 2,
    progress: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint of `step` for the run that `key` identifies, then drop all but the newest `keep`.

    Every process writes what it holds; it is a checkpoint once the first, after all of them, has renamed it.
    """
    mine = held(network)
    target = folder / f"step-{step:08d}"
    temporary = folder / f"partial-{step:08d}"
    files = {
        "parameters": {name: p.detach() for name, p in mine.named},
        "optimiser": state_tensors(optimiser, mine.named),
        **({} if average is None else {"average": average.tensors()}),
    }
    with room_for(target):
        try:
            _by_first(lambda: _empty(temporary))
            _save_files(temporary, files, mine)
            state = {"step": step, "key": key, "processes": ranks.share().number, "progress": progress or {}}
            _by_first(lambda: _finish(temporary, target, state))
        finally:
            if ranks.leads():
                shutil.rmtree(temporary, ignore_errors=True)
    if ranks.leads():
        for old in sorted(folder.glob("step-*"))[:-keep]:
            shutil.rmtree(old)


def _by_first(do: Callable[[], None]) -> None:
    """Done by the first process; the others wait until it is done."""
    if ranks.leads():
        do()
    ranks.together()


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _save_files(folder: Path, files: Mapping[str, Mapping[str, Tensor]], mine: Held) -> None:
    if ranks.share().number == 1:
        for name, tensors in files.items():
            save(tensors, folder / f"{name}.safetensors")
        return
    every = {
        f"{part}/{name}": mine.as_part(name if part == "parameters" else name.rpartition("/")[0], tensor)
        for part, tensors in files.items() for name, tensor in tensors.items()
    }  # fmt: skip
    try:
        save_parts(every, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))
    except CheckpointException as error:  # in every process, whichever of them failed
        raise OSError(str(error)) from error


def _finish(temporary: Path, target: Path, state: Mapping[str, Any]) -> None:
    _save_text(temporary / "state.json", json.dumps(state))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)


def write_weights(path: Path, network: Any) -> None:
    """Write the trainable parameters alone, whole or not at all."""
    write_tensors(path, held(network).gathered())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the first process's tensors whole or not at all; LuthierError on a full disk."""
    with room_for(path):
        _by_first(lambda: _write_file(path, tensors))


def _write_file(path: Path, tensors: Mapping[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    try:
        save(tensors, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def room_for(target: Path) -> Iterator[None]:
    """Inside, a full disk is an error that says what is safe and what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk and a torn file
        raise LuthierError(
            f"{target.name} could not be written; what was saved before is untouched",
            [Problem(where=str(target), found=str(error), expected="room on the disk",
                     fix="free some space and run the same command again: it continues from the last checkpoint")],
        ) from error  # fmt: skip


def newest(folder: Path, *, key: str) -> Checkpoint | None:
    """The newest whole checkpoint of the run that `key` identifies, or None. Others are left alone.

    Where processes share the network, each has the rows that it holds.
    """
    for path in ranks.from_first(sorted(folder.glob("step-*"), reverse=True)):
        found = _read(path, key=key)
        if ranks.total([float(found is not None)])[0] == ranks.share().number:
            return found
    return None


def _read(path: Path, *, key: str) -> Checkpoint | None:
    """The checkpoint, or None where it is another run's or torn."""
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        step, number, progress = (state[name] for name in ("step", "processes", "progress"))
        if state["key"] != key:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        files = _load_files(path) if number == 1 else _load_shards(path, number)
    except (OSError, SafetensorError, ValueError):
        return None
    return Checkpoint(step=step, progress=progress, **files)


def _load_files(path: Path) -> dict[str, dict[str, Tensor]]:
    """What one process wrote: of each tensor the rows that this process holds."""
    number = ranks.share().number
    files = {}
    for part in PARTS:
        file = path / f"{part}.safetensors"
        tensors = load_file(file) if part != "average" or file.is_file() else {}
        files[part] = tensors if number == 1 else {
            name: rows_of_mine(t).clone() if t.ndim else t for name, t in tensors.items()
        }  # fmt: skip
    return files


def _load_shards(path: Path, number: int) -> dict[str, dict[str, Tensor]]:
    """What so many processes wrote: of each tensor the rows that this process holds."""
    metadata = ranks.from_first(_metadata(path, number))
    if metadata is None:
        raise ValueError(f"{path} is torn")
    every = {name: room_for_mine(m.size, m.properties.dtype) for name, m in metadata.state_dict_metadata.items()}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process reads alone
            load_parts(every, storage_reader=HuggingFaceStorageReader(str(path)), no_dist=ranks.share().number == 1)
    except CheckpointException as error:  # in every process, whichever of them failed
        raise OSError(str(error)) from error
    files: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, tensor in every.items():
        part, _, rest = name.partition("/")
        files[part][rest] = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return files


def _metadata(path: Path, number: int) -> Any:
    """Sizes and formats of the tensors; None unless every process's file is there and whole."""
    if len(list(path.glob("shard-*.safetensors"))) != number:
        return None
    try:
        return HuggingFaceStorageReader(str(path)).read_metadata() if ranks.leads() else None
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


@torch.no_grad()
def restore(
    checkpoint: Checkpoint, *, network: Any, optimiser: torch.optim.Optimizer, average: Average | None = None
) -> None:
    """Put the checkpoint's state back, bit for bit."""
    named = held(network).named
    assert {name for name, _ in named} == checkpoint.parameters.keys()
    for name, parameter in named:
        parameter.copy_(checkpoint.parameters[name])
    restore_tensors(optimiser, named, checkpoint.optimiser)
    if average is not None:
        average.restore(checkpoint.average)


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write the tensors and see them onto the disk; OSError or SafetensorError where that fails."""
    save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, path)
    _sync(path)


def _save_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    """Onto the disk before the rename: a rename that overtakes its data would leave an empty newest checkpoint."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
