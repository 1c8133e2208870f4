"""Checkpoints that survive kill -9: written whole under another name, then renamed; safetensors and JSON, no pickle."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from luthier.errors import LuthierError, Problem

KEPT = 2
"""The newest, and the one before it in case the disk lied about the newest."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after one optimiser step: everything that the next step depends on."""

    step: int
    parameters: dict[str, Tensor]
    """Trainable parameters by name."""
    optimiser: dict[str, Tensor]
    """"NAME/exp_avg" and its kind."""


def write(folder: Path, *, step: int, network: Any, optimiser: torch.optim.Optimizer, key: str) -> None:
    """Write the checkpoint of `step` for the run that `key` identifies, then drop all but the newest two."""
    parameters = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    state = {
        f"{name}/{part}": value.detach()
        for name, p in network.named_parameters()
        if p.requires_grad
        for part, value in optimiser.state.get(p, {}).items()
    }
    target = folder / f"step-{step:08d}"
    temporary = folder / f"partial-{step:08d}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        _save(parameters, temporary / "parameters.safetensors")
        _save(state, temporary / "optimiser.safetensors")
        _save_text(temporary / "state.json", json.dumps({"step": step, "key": key}))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk and a torn file
        shutil.rmtree(temporary, ignore_errors=True)
        raise LuthierError(
            "a checkpoint could not be written; the one before it is untouched",
            [Problem(where=str(target), found=str(error), expected="room for the checkpoint",
                     fix="free some space and run the same command again: it continues from the last checkpoint")],
        ) from error  # fmt: skip
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)


def newest(folder: Path, *, key: str) -> Checkpoint | None:
    """The newest whole checkpoint of the run that `key` identifies, or None. Others are left alone."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            if state["key"] != key:
                continue
            return Checkpoint(
                step=state["step"],
                parameters=load_file(path / "parameters.safetensors"),
                optimiser=load_file(path / "optimiser.safetensors"),
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            continue
    return None


@torch.no_grad()
def restore(checkpoint: Checkpoint, *, network: Any, optimiser: torch.optim.Optimizer) -> None:
    """Put the checkpoint's state back, bit for bit."""
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert named.keys() == checkpoint.parameters.keys()
    for name, parameter in named.items():
        parameter.copy_(checkpoint.parameters[name])
    for name, value in checkpoint.optimiser.items():
        owner, _, part = name.rpartition("/")
        # Fused AdamW counts its steps on the device, in a float32 tensor.
        optimiser.state[named[owner]][part] = value.to(named[owner].device)


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, path)
    _sync(path)


def _save_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    """Onto the disk before the rename: a rename that overtakes its data would leave an empty newest checkpoint."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
