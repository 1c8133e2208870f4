"""The exponential moving average of the weights over a run's steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Parameter

UPDATES = "average/updates"
"""Under this name a checkpoint keeps how many steps the average is over."""


class Average:
    """The average over steps 1..t of the trainable weights p_k, step k weighing d^(t-k), for a decay d.

    The weights are divided by their sum (1 - d^t) / (1 - d), so that a short run is the average of its own steps and
    not mostly of where it began. Kept in float32 also for bfloat16 weights, which would lose each small difference.
    """

    def __init__(self, named: Sequence[tuple[str, Parameter]], decay: float) -> None:
        """Use `Average.start`."""
        assert 0 < decay < 1
        self.decay = decay
        self.updates = 0
        self._names = [name for name, p in named if p.requires_grad]
        self._weights = [p for _, p in named if p.requires_grad]
        self._averages = [p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True) for p in self._weights]
        self._holds_average = False

    @classmethod
    def start(cls, named: Sequence[tuple[str, Parameter]], decay: float) -> Average:
        """An average over no steps yet, of the parameters that require a gradient."""
        return cls(named, decay)

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights in, once after each optimiser step: a += (p - a) (1 - d) / (1 - d^t)."""
        assert not self._holds_average
        self.updates += 1
        weight = (1 - self.decay) / (1 - self.decay**self.updates)
        pairs = list(zip(self._averages, self._weights, strict=True))
        same = [(a, p.data) for a, p in pairs if a.dtype is p.dtype]
        if same:
            torch._foreach_lerp_([a for a, _ in same], [p for _, p in same], weight)
        for a, p in pairs:
            if a.dtype is not p.dtype:  # one at a time: only one is ever widened
                a.lerp_(p.to(a.dtype), weight)

    def tensors(self) -> dict[str, Tensor]:
        """The state for a checkpoint: views of the living averages by name, and the number of updates."""
        averages = zip(self._names, self._averages, strict=True)
        return {f"{name}/average": a for name, a in averages} | {UPDATES: torch.tensor(self.updates)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put what `tensors` gave back, bit for bit, in a copy."""
        self.updates = int(tensors[UPDATES])
        for name, average in zip(self._names, self._averages, strict=True):
            average.copy_(tensors[f"{name}/average"])

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Inside, the network holds the averaged weights; afterwards its own again, bit for bit."""
        assert not self._holds_average
        own = [p.detach().clone() for p in self._weights]
        self._set(self._averages)
        self._holds_average = True
        try:
            yield
        finally:
            self._holds_average = False
            self._set(own)

    @torch.no_grad()
    def _set(self, values: Sequence[Tensor]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.copy_(value)
