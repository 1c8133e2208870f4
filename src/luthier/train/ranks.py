"""Several processes that train one model as one: which of them this is, and numbers over all of them.

torchrun starts them, or recipes/launch.py does. Alone, each function here is the identity and asks nothing of anyone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from luthier.errors import ConfigError, Problem
from luthier.train.batch import Share
from luthier.train.config import TrainConfig

PATIENCE = timedelta(hours=2)
"""How long one process waits for another that reads, measures or saves, before it takes it for lost."""
STREAM = 15_485_863
"""Distance between the random streams of two processes, a prime. A CPU's generator reads only the lower 32 bits."""
T = TypeVar("T")


def share() -> Share:
    """This process's place among the processes that train together: (0, 1) alone."""
    return Share(dist.get_rank(), dist.get_world_size()) if _are_several() else Share(0, 1)


def leads() -> bool:
    """Whether this is the process that writes what all of them made."""
    return share().place == 0


def seed_of(seed: int, step: int) -> int:
    """The seed of a step's random numbers, another for each process."""
    return seed * 1_000_003 + step + share().place * STREAM


def total(values: Sequence[float]) -> list[float]:
    """Each number summed over the processes, in their order: the same bits on all of them."""
    if not _are_several():
        return list(values)
    mine = torch.tensor(values, dtype=torch.float64)
    every = [torch.empty_like(mine) for _ in range(share().number)]
    dist.all_gather(every, mine)
    return [float(sum(column)) for column in zip(*(t.tolist() for t in every), strict=True)]


def summed(tensor: Tensor) -> Tensor:
    """The tensor (in main memory) summed over the processes, in place."""
    if _are_several():
        dist.all_reduce(tensor)
    return tensor


def from_first(value: T) -> T:
    """What the first process has; the others' values are ignored."""
    if not _are_several():
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def together() -> None:
    """Wait until every process is here."""
    if _are_several():
        total([0.0])


@contextmanager
def joined() -> Iterator[None]:
    """Inside, this process is one of those that torchrun started, each with a GPU of its own where there are GPUs.

    After an error the others are not waited for: torchrun ends them.
    """
    kinds = "gloo"  # for tensors in main memory, and all that is said beside the training
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        kinds = "cpu:gloo,cuda:nccl"
    dist.init_process_group(kinds, timeout=PATIENCE)
    yield
    dist.destroy_process_group()


def number_of(config: TrainConfig) -> tuple[int, str]:
    """How many processes a run on this machine takes, and why not one for each GPU. ConfigError where it cannot."""
    gpus = torch.cuda.device_count()
    reason = why_alone(config)
    if config.processes is None:
        return (1, reason if gpus > 1 else "") if reason else (max(1, gpus), "")
    if config.processes > 1 and reason:
        raise _refused(f"{config.processes}, but {reason}", "one process", "leave the key out, or set it to 1")
    if gpus and config.processes > gpus:
        raise _refused(f"{config.processes} for {gpus} GPUs", "at most one process for each GPU",
                       f"set it to {gpus}, or leave it out")  # fmt: skip
    return config.processes, ""


def why_alone(config: TrainConfig) -> str:
    """Why such a run takes one process; empty where several can share it."""
    if config.method == "grpo":
        return 'method = "grpo" draws its answers in one process'
    if config.adapter == "qlora":
        return 'adapter = "qlora" holds the base in blocks of 4 bits, which cannot be parted'
    if config.optim.name != "adamw":
        return f'optim.name = "{config.optim.name}" looks at whole tensors, of which each process has a part'
    if config.keep_best not in (None, "loss"):
        return f'keep_best = "{config.keep_best}" answers prompts, which one process does'
    return ""


def refuse_what_needs_one(config: TrainConfig) -> None:
    """ConfigError where several processes run what only one can."""
    reason = why_alone(config)
    if reason and _are_several():
        raise _refused(f"{share().number} processes, but {reason}", "one process", "start it without torchrun")


def _are_several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _refused(found: str, expected: str, fix: str) -> ConfigError:
    return ConfigError(
        "this run cannot be shared by processes",
        [Problem(where="train.processes", found=found, expected=expected, fix=fix)],
    )
