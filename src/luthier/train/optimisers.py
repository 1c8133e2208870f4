"""Optimisers of the trainable parameters, and bfloat16 weights that keep small updates.

A bfloat16 number has 8 significant bits: near 1 it changes in steps of 1/128, and an update below half of that is lost
each time. So the update is computed in float32, and the weight either keeps a float32 copy or is rounded at random.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from luthier.errors import ConfigError, Problem
from luthier.models.quantised import without_downloads
from luthier.train.config import OptimConfig
from luthier.train.muon import Combined, is_orthogonalised, make_muon, refuse_without_matrices

FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Kinds of device for which torch has AdamW in one kernel."""
BUCKET_NUMBERS = {"cpu": 1 << 22, "cuda": 1 << 26}
"""Weights widened to float32 at once, by kind of device. The scratch memory is 6 bytes for each (10 without masters),
or for each of the largest tensor; a GPU needs many at once to hide the calls."""
ALIGNMENT = 64
"""Numbers; fused kernels are fast only on tensors that begin at a multiple of 16 bytes."""

Make = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


def make_optimiser(named: Sequence[tuple[str, Parameter]], config: OptimConfig) -> torch.optim.Optimizer:
    """The optimiser of the parameters that require a gradient; weight decay on matrices only.

    bfloat16 parameters are stepped in float32 (`Widened`). Save and restore its state with `state_tensors` and
    `restore_tensors`, never with `state_dict`.
    """
    trainable = [p for _, p in named if p.requires_grad]
    inner = {p for name, p in named if config.name == "muon" and is_orthogonalised(name, p)}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if p in inner], "weight_decay": config.weight_decay, "by_muon": True},
        {"params": [p for p in trainable if p.ndim >= 2 and p not in inner], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    make: Make = partial(MAKERS[config.name], config=config)
    if any(p.dtype is torch.bfloat16 for p in trainable):
        return Widened(groups, make, lr=config.lr, masters=config.bf16_updates == "masters")
    return make(groups)


def changed_share(optimiser: torch.optim.Optimizer) -> float | None:
    """Share of the trainable bfloat16 tensors in which the last step changed a number; None where there are none.

    Below 1 for long, updates are being lost to rounding.
    """
    if not isinstance(optimiser, Widened) or not optimiser.num_narrow:
        return None
    return float(torch.stack(optimiser.changed).sum()) / optimiser.num_narrow if optimiser.changed else 0.0


def state_tensors(optimiser: torch.optim.Optimizer, named: Sequence[tuple[str, Parameter]]) -> dict[str, Tensor]:
    """The optimiser's state as "NAME/part" tensors: views of the living state, float32 masters included.

    A count that the library keeps as a Python int becomes an int64 tensor of no dimension.
    """
    found = {}
    for name, parameter in named:
        owner, state = _state(optimiser, parameter)
        for part, value in state.get(owner, {}).items():
            # bitsandbytes shares its code table among parameters; safetensors refuses tensors that share memory.
            value = value.detach().clone() if part.startswith("qmap") else value
            found[f"{name}/{part}"] = value.detach() if isinstance(value, Tensor) else torch.tensor(value)
        if isinstance(optimiser, Widened) and optimiser.keeps_master(parameter):
            found[f"{name}/master"] = owner.detach()
    return found


@torch.no_grad()
def restore_tensors(
    optimiser: torch.optim.Optimizer, named: Sequence[tuple[str, Parameter]], tensors: dict[str, Tensor]
) -> None:
    """Put what `state_tensors` gave back, bit for bit, in a copy; the optimiser then goes on as the saved one would."""
    parameters = dict(named)
    for parameter in parameters.values():
        owner, state = _state(optimiser, parameter)
        state.pop(owner, None)
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        owner, state = _state(optimiser, parameters[name])
        if part == "master":
            owner.copy_(value)
        elif value.dtype is torch.int64 and value.ndim == 0:
            state[owner][part] = int(value)
        else:
            state[owner][part] = value.to(owner.device, copy=True)


def stochastic_round_(wide: Tensor, random_bits: Tensor) -> Tensor:
    """Round float32 numbers in place to neighbouring bfloat16 numbers, so that the mean over the random bits is exact.

    `wide` is flat, `random_bits` int16 of the same length, uniform over all 65,536 values. bfloat16 is the upper half
    of a float32: a uniform number below 65,536 is added to the lower half, whose carry reaches the upper half with
    exactly the probability of its fraction, and the lower half is cut off (arXiv:2010.06192). Infinities stay.
    """
    bits = wide.view(torch.int32)
    # Widened first: adding int16 to int32 directly is several times slower on a CPU.
    bits.add_(random_bits.to(torch.int32)).add_(1 << 15).bitwise_and_(-1 << 16)
    return wide


class Widened(torch.optim.Optimizer):
    """An optimiser that steps bfloat16 weights in float32, through stand-ins that any other optimiser can step.

    With `masters` a stand-in is a float32 copy that lives on (4 bytes a weight); without, it is filled from the weight
    at each step, and the result is rounded at random. Weights that are float32 already are stepped as they are. The
    masters, not the weights, are the truth: whoever changes weights from outside must change both.
    """

    def __init__(self, groups: list[dict[str, Any]], make: Make, *, lr: float, masters: bool) -> None:
        """`make` makes the inner optimiser from groups of stand-ins; `lr` is the rate until a group's is set."""
        super().__init__([dict(group) for group in groups], {"lr": lr})
        trainable = [p for group in groups for p in group["params"]]
        narrow = [p for p in trainable if p.dtype is torch.bfloat16]
        self.masters = masters
        self.num_narrow = len(narrow)
        self.changed: list[Tensor] = []
        """For each bfloat16 weight of the last step that had a gradient: whether a number of it changed."""
        self._same = [(p, Parameter(p.data)) for p in trainable if p.dtype is not torch.bfloat16]
        self._buckets = _buckets(narrow, masters=masters)
        places = [place for bucket in self._buckets for place in bucket.places]
        self.wide = dict(self._same) | {place.weight: place.wide for place in places}
        """The stand-in of each parameter, under which the inner optimiser keeps its state."""
        self.inner = make([{**group, "params": [self.wide[p] for p in group["params"]]} for group in groups])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients and what is known of the last step: one without a trained token changes nothing."""
        super().zero_grad(set_to_none)
        self.changed = []

    def keeps_master(self, parameter: Parameter) -> bool:
        """Whether the parameter has a float32 copy, which a checkpoint must hold."""
        return self.masters and parameter.dtype is torch.bfloat16 and parameter in self.wide

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update each weight that has a gradient; random rounding draws from torch's default generator."""
        assert closure is None
        for outer, inner in zip(self.param_groups, self.inner.param_groups, strict=True):
            inner["lr"] = outer["lr"]
        for weight, wide in self._same:
            wide.data, wide.grad = weight.data, weight.grad
        if self._same:
            self.inner.step()
        for _, wide in self._same:
            wide.grad = None  # or each bucket would step it again
        self.changed = []
        for bucket in self._buckets:
            live = [place for place in bucket.places if place.weight.grad is not None]
            if live:
                bucket.widen(live, masters=self.masters)
                self.inner.step()
                self.changed += bucket.narrow(live, masters=self.masters)


class _Place(NamedTuple):
    """A bfloat16 weight and where it is float32."""

    weight: Parameter
    wide: Parameter
    """The master, or a piece of the scratch memory."""
    grad: Tensor
    """float32, scratch."""
    rounded: Tensor
    """bfloat16, scratch: the new weight, to be compared with the old one before it takes its place."""


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Weights that are widened together, in scratch memory that each bucket uses in turn."""

    places: Sequence[_Place]
    wide: Tensor
    """float32, flat, scratch: the stand-ins where there are no masters."""

    def widen(self, live: Sequence[_Place], *, masters: bool) -> None:
        if not masters:
            torch._foreach_copy_([place.wide.data for place in live], [place.weight.data for place in live])
        for place in live:
            place.wide.grad = place.grad
        torch._foreach_copy_([place.grad for place in live], [_grad(place.weight) for place in live])

    def narrow(self, live: Sequence[_Place], *, masters: bool) -> list[Tensor]:
        """Write the weights back; returns whether each has changed."""
        if not masters:
            # Four draws of 16 bits from each of 64: half the time of one draw for each weight on a CPU.
            drawn = torch.empty(self.wide.numel() // 4, dtype=torch.int64, device=self.wide.device)
            stochastic_round_(self.wide, drawn.random_(-(1 << 63), None).view(torch.int16))
        weights, rounded = [place.weight.data for place in live], [place.rounded for place in live]
        torch._foreach_copy_(rounded, [place.wide.data for place in live])
        changed = [_differ(*pair) for pair in zip(weights, rounded, strict=True)]
        torch._foreach_copy_(weights, rounded)
        for place in live:
            place.wide.grad = None
        return changed


def _buckets(narrow: Sequence[Parameter], *, masters: bool) -> list[_Bucket]:
    """Consecutive weights in buckets of about `BUCKET_NUMBERS`, all in the same scratch memory."""
    if not narrow:
        return []
    device = narrow[0].device
    limit = BUCKET_NUMBERS.get(device.type, BUCKET_NUMBERS["cuda"])
    groups: list[list[Parameter]] = []
    for p in narrow:
        if not groups or _extent([*groups[-1], p]) > limit:
            groups.append([])
        groups[-1].append(p)
    extent = max(_extent(group) for group in groups)
    # Zeros: the gaps between weights are rounded too, and random bits there may be slow or invalid numbers.
    grads, wide = (torch.zeros(n, device=device) for n in (extent, 0 if masters else extent))
    rounded = torch.zeros(extent, dtype=torch.bfloat16, device=device)
    buckets = []
    for group in groups:
        places, start = [], 0
        for p in group:
            grad, scratch, narrowed = (flat[start : start + p.numel()] for flat in (grads, wide, rounded))
            stand_in = p.detach().to(torch.float32, memory_format=torch.contiguous_format) if masters else scratch
            places.append(
                _Place(p, Parameter(stand_in.view(p.shape)), grad.view(p.shape), narrowed.view(p.shape))
            )  # fmt: skip
            start += _extent([p])
        buckets.append(_Bucket(places, wide[:start]))
    return buckets


def _extent(weights: Sequence[Parameter]) -> int:
    """Numbers that the weights take in the scratch memory."""
    return sum(math.ceil(p.numel() / ALIGNMENT) * ALIGNMENT for p in weights)


def _differ(weight: Tensor, rounded: Tensor) -> Tensor:
    if weight.device.type == "cpu":
        return torch.tensor(not torch.equal(weight, rounded))  # ends at the first difference
    return (weight != rounded).any()  # waits for nothing; `changed_share` reads it


def _grad(weight: Parameter) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def _state(optimiser: torch.optim.Optimizer, parameter: Parameter) -> tuple[Parameter, Any]:
    """Under which parameter which mapping holds the state of `parameter`."""
    if isinstance(optimiser, Widened):
        return optimiser.wide.get(parameter, parameter), optimiser.inner.state
    return parameter, optimiser.state


def _adamw(groups: list[dict[str, Any]], *, config: OptimConfig) -> torch.optim.Optimizer:
    """AdamW (arXiv:1711.05101)."""
    kinds = {p.device.type for group in groups for p in group["params"]}
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=kinds <= set(FUSED_DEVICES)
    )


def _adamw_8bit(groups: list[dict[str, Any]], *, config: OptimConfig) -> torch.optim.Optimizer:
    """AdamW with 8-bit state in blocks of 256 (arXiv:2110.02861); tensors under 4,096 numbers keep 32 bits."""
    log = logging.getLogger("bitsandbytes")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of absent kernels for 4-bit products, which no optimiser needs
    try:
        with without_downloads():
            from bitsandbytes.optim import AdamW8bit  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, OSError, RuntimeError) as error:  # absent, or its compiled part does not load
        raise ConfigError(
            "the optimiser cannot be made",
            [Problem(where="train.optim.name", found='"adamw_8bit", which needs the package bitsandbytes',
                     expected=f"the package to work here ({str(error)[:200]})",
                     fix='.venv/bin/pip install -e ".[qlora]", which brings it, or set train.optim.name = "adamw"')],
        ) from error  # fmt: skip
    finally:
        log.setLevel(level)
    made: torch.optim.Optimizer = AdamW8bit(groups, lr=config.lr, betas=(config.beta1, config.beta2))
    return made


def _adafactor(groups: list[dict[str, Any]], *, config: OptimConfig) -> torch.optim.Optimizer:
    """Adafactor (arXiv:1804.04235) with the rate given, no first moment, and the update clipped to an RMS of 1.

    transformers' and not torch's: there `lr` is the size of an update as it is for AdamW, so the same rates do. In
    torch's it is multiplied by the RMS of the tensor (about 0.02), and capped by 1 / sqrt(step).
    """
    from transformers.optimization import Adafactor

    made: torch.optim.Optimizer = Adafactor(groups, lr=config.lr, scale_parameter=False, relative_step=False)
    return made


def _muon(groups: list[dict[str, Any]], *, config: OptimConfig) -> torch.optim.Optimizer:
    """Muon for the groups marked for it, AdamW for the others, where there are any."""
    refuse_without_matrices(groups)
    rest = [group for group in groups if not group.get("by_muon")]
    muon = make_muon([group for group in groups if group.get("by_muon")], lr=config.lr)
    return Combined([muon, *([_adamw(rest, config=config)] if rest else [])])


MAKERS = {"adamw": _adamw, "adamw_8bit": _adamw_8bit, "adafactor": _adafactor, "muon": _muon}
