"""Does a training run fit, how long will it take: the arithmetic over a few of its steps that were timed. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

GIB = 2**30
SPARE = 0.95
"""Share of a memory that a run may fill: the system, or the driver of a device, needs the rest."""


class Load(NamedTuple):
    """What passes through the network in some steps; also what one of each costs, in seconds."""

    positions: float
    """Computed positions: tokens, and padding where rows are padded. Prompts for grpo."""
    trained: float
    """Tokens with weight."""
    batches: float
    """Micro-batches."""
    steps: float

    def plus(self, other: Load) -> Load:
        """Both together."""
        return Load(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float) -> Load:
        """So many of it."""
        return Load(*(factor * a for a in self))


NOTHING = Load(0, 0, 0, 0)


class Timed(NamedTuple):
    """Steps that were done, and how long they took."""

    load: Load
    seconds: float


def fit_costs(timed: Sequence[Timed]) -> Load:
    """Seconds for each position, trained token, micro-batch and step: least squares of the relative errors, none < 0.

    >>> fit_costs([Timed(Load(100, 0, 1, 1), 3.0), Timed(Load(300, 0, 1, 1), 5.0)])[0]
    0.01
    """
    loads = np.array([t.load for t in timed], dtype=np.float64)
    seconds = np.array([t.seconds for t in timed], dtype=np.float64)
    scale = np.maximum(loads.max(axis=0), 1e-12)
    found, _ = nnls(loads / scale / seconds[:, None], np.ones(len(timed)))
    return Load(*(round(float(value), 12) for value in found / scale))


def seconds_for(costs: Load, load: Load) -> float:
    """How long the load takes at these costs."""
    return sum(cost * amount for cost, amount in zip(costs, load, strict=True))


def memory_at(points: Sequence[tuple[float, float]], size: float) -> float:
    """Peak memory at a micro-batch of `size`, given (size, peak) pairs with sizes that rise.

    What was measured up to `size` where that was reached, else on along the line through the last two sizes.

    >>> memory_at([(0, 1.0), (100, 2.0), (200, 4.0)], 300)
    6.0
    """
    reached = max(peak for _, peak in points)
    last, top = points[-1]
    if size <= last or len(points) < 2:
        return reached
    before, low = points[-2]
    return max(reached, top + (top - low) / (last - before) * (size - last))


def num_checkpoints(num_steps: int, *, save_every: int) -> int:
    """Checkpoints that a run writes: one every `save_every` steps, and one at the end."""
    return num_steps // save_every + (num_steps % save_every > 0)


def num_measurements(num_steps: int, *, eval_every: int | None) -> int:
    """Measurements on the dev rows: one every `eval_every` steps, and one at the end."""
    return 1 if eval_every is None else num_steps // eval_every + (num_steps % eval_every > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one training run will need."""

    num_steps: int
    tokens: int
    """Unpadded tokens that pass through the network in its steps."""
    tokens_per_s: float
    """While it steps."""
    seconds: Mapping[str, float]
    """By part: "start", "steps", "dev", "reference", "checkpoints", "model"."""
    peak_memory_gib: float
    disk_gib: float
    """Checkpoints and model, at the moment when most of them are there."""
    device_memory_gib: float | None = None
    """Memory of the device where it has its own."""
    notes: tuple[str, ...] = ()
    """What was not measured at full size."""
    num_processes: int = 1
    """Processes that will share the run; one alone was measured."""

    @property
    def total_seconds(self) -> float:
        """From loading the model to the saved one."""
        return sum(self.seconds.values())

    def line(self, memory_gib: float, disk_free_gib: float) -> str:
        """The prediction in one line, beside what the machine has."""
        memory = self.device_memory_gib or memory_gib
        return (
            f"about {duration(self.total_seconds)} (measured {self.tokens_per_s:,.0f} tokens/s), peak memory "
            f"{size(self.peak_memory_gib)} of {size(memory)}, disk {size(self.disk_gib)} of {size(disk_free_gib)}"
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prediction:
        """The prediction in a JSON object that `to_json` made."""
        known = {field.name: data[field.name] for field in fields(cls)}
        return cls(**{**known, "notes": tuple(data["notes"])})


def duration(seconds: float) -> str:
    """The time in words, three digits at most.

    >>> [duration(s) for s in (4.21, 40, 726, 9000)]
    ['4.2 s', '40 s', '12.1 min', '2.5 h']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def size(gib: float) -> str:
    """The memory in words.

    >>> size(0.4), size(3.14)
    ('410 MiB', '3.1 GiB')
    """
    return f"{gib * 1024:,.0f} MiB" if gib < 1 else f"{gib:,.1f} GiB"
