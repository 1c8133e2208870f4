"""Whether two ways of passing rows give the same gradients, tensor by tensor, in the precision of the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

FLOOR = 0.01
"""Share of the whole gradient's norm below which a tensor's gradient is measured against that: it may be nothing but
rounding (that of a key's bias is 0 where positions are not rotary)."""


class Gap(NamedTuple):
    """The tensor whose gradients differ most."""

    name: str
    size: float
    """Norm of the difference over the norm of the gradient; not a number where one of them is not finite."""


def gradient_gap(network: Any, *, add: Callable[[], None], take_away: Callable[[], None]) -> Gap:
    """How far apart the gradients of two ways are, over the parameters that train.

    `add` takes the backward passes of the one way, `take_away` those of the other with the sign of the loss turned.
    Both add to one buffer, as the micro-batches of a step do: what is left in it is the difference, and no more memory
    is used than by a step. Afterwards each parameter has the gradient that it had, the same tensor.
    """
    with _gradients_set_aside(network), torch.enable_grad():
        add()
        whole = _norms(network)
        take_away()
        left = _norms(network)
    floor = max(torch.finfo(torch.float32).tiny, FLOOR * math.hypot(*whole.values()))  # in this order never NaN
    gaps = [Gap(name, size / max(whole[name], floor)) for name, size in left.items()]
    return max(gaps, key=lambda gap: math.inf if math.isnan(gap.size) else gap.size, default=Gap("", 0.0))


@contextmanager
def _gradients_set_aside(network: Any) -> Iterator[None]:
    """Inside, no parameter has a gradient.

    `torch.autograd.grad` would leave them alone by itself, but knows nothing of parameters that processes share: their
    gradients come by `backward` only.
    """
    kept = [(parameter, parameter.grad) for _, parameter in _trainable(network)]
    for parameter, _ in kept:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in kept:
            parameter.grad = gradient
        if hasattr(network, "unshard"):  # as forward passes leave it
            network.unshard()


def _trainable(network: Any) -> list[tuple[str, Parameter]]:
    if hasattr(network, "reshard"):  # parted among processes: gradients are with the parts, not with the whole copies
        network.reshard()
    return [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]


def _norms(network: Any) -> dict[str, float]:
    """Norm of each gradient, 0 where there is none: over all processes, so that they come to one verdict."""
    return {name: 0.0 if p.grad is None else _norm(p.grad) for name, p in _trainable(network)}


def _norm(gradient: Any) -> float:
    norm = torch.linalg.vector_norm(gradient, dtype=torch.promote_types(gradient.dtype, torch.float32))
    whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return float(whole)
