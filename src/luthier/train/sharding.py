"""One network in parts: each process holds some rows of every tensor, and of its gradient and optimiser state (FSDP2).

A tensor is whole only where it is used: a layer's while the layer computes, embeddings' and head's for a whole pass.
Optimisers, averages and checkpoints see plain tensors, the rows that this process holds.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Shard
from torch.nn import Module, Parameter

from luthier.models.reshape import layers_of
from luthier.train import ranks


class Held:
    """The trainable parameters of a network as this process holds them: all of each, or some rows of each."""

    def __init__(self, network: Any) -> None:
        """Use `held`."""
        self.named: list[tuple[str, Parameter]] = []
        """Names in the network's order; plain parameters, which an optimiser steps."""
        self._parts: list[tuple[Parameter, Parameter]] = []
        self._sizes: dict[str, torch.Size] = {}
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad:
                continue
            mine = parameter
            if isinstance(parameter.data, DTensor):
                mine = Parameter(parameter.data.to_local())  # the same memory
                self._parts.append((parameter, mine))
            self.named.append((name, mine))
            self._sizes[name] = parameter.shape

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters without their names."""
        return [p for _, p in self.named]

    def forget_gradients(self) -> None:
        """Drop what the last step left."""
        for whole, mine in self._parts:
            whole.grad = mine.grad = None

    def take_gradients(self) -> None:
        """Let each parameter have the gradient of its rows, summed over the processes by the backward passes."""
        for whole, mine in self._parts:
            mine.grad = whole.grad.to_local() if isinstance(whole.grad, DTensor) else None

    def as_part(self, name: str, rows: Tensor) -> Tensor:
        """A tensor of the rows held here (of the parameter or of its state), as PyTorch's checkpoints know parts."""
        if not self._parts or not rows.ndim:  # a count of steps is the same everywhere
            return rows.cpu()
        return _as_part(rows.cpu(), self._sizes[name])

    def gathered(self) -> dict[str, Tensor]:
        """Every parameter whole, in main memory, in the first process; empty in the others."""
        found = {}
        wholes = [whole for whole, _ in self._parts] or self.parameters
        for (name, _), whole in zip(self.named, wholes, strict=True):
            tensor = whole.detach()
            if isinstance(tensor, DTensor):
                tensor = tensor.full_tensor().cpu() if ranks.leads() else tensor.full_tensor()[:0]
            if ranks.leads():
                found[name] = tensor
        return found

    @torch.no_grad()
    def set(self, name: str, tensor: Tensor) -> None:
        """Give a parameter a value: whole, or the rows held here."""
        mine = dict(self.named)[name]
        mine.copy_(rows_of_mine(tensor) if tensor.shape != mine.shape else tensor)


_HELD: WeakKeyDictionary[Module, Held] = WeakKeyDictionary()


def held(network: Any) -> Held:
    """The network's trainable parameters as this process holds them; the same ones each time."""
    return _HELD.get(network) or Held(network)


def shard(network: Any) -> None:
    """Part the network among the processes; alone, nothing is done.

    The gradient of each tensor is the sum over the processes: the step's loss is divided by its count over all of them.
    """
    number = ranks.share().number
    if number == 1:
        return
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    is_narrow = any(p.dtype is torch.bfloat16 for p in network.parameters())  # its sums lose digits with each process
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32 if is_narrow else None)
    options: dict[str, Any] = {"mesh": _mesh(kind), "mp_policy": policy}
    _, layers = layers_of(network)
    for layer in layers:
        fully_shard(layer, **options)
    fully_shard(network, **options)
    for module in network.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # the default divides by a kind of sum that only NCCL has
    _HELD[network] = Held(network)
    # Until the first pass, as after any: peft adds up rows of new tokens whenever it is asked for them.
    network.unshard()


def fold(network: Any) -> None:
    """Drop the whole copy of embeddings and head that a forward pass without a backward pass leaves behind.

    While it is there, a change of the weights is not seen, and `parameters()` gives the copy.
    """
    if isinstance(network, FSDPModule):
        network.reshard()


@torch.no_grad()
def gather(network: Module) -> None:
    """Undo `shard` for good: in the first process the network is an ordinary one in main memory, to be saved.

    In the others it has lost its weights and is of no further use.
    """
    if not isinstance(network, FSDPModule):
        return
    fold(network)
    made: dict[Tensor, Parameter] = {}  # a tensor with two names stays one
    modules: list[Any] = list(network.modules())
    for module in modules:
        for name, parameter in list(module.named_parameters(recurse=False)):
            if isinstance(parameter, DTensor):
                if parameter not in made:
                    whole = parameter.full_tensor()
                    value = whole.cpu() if ranks.leads() else torch.empty(0)
                    made[parameter] = Parameter(value, requires_grad=parameter.requires_grad)
                setattr(module, name, made[parameter])
        if isinstance(module, FSDPModule):
            module.__class__ = type(module).__mro__[2]  # fully_shard puts a class of its own before the module's
    _HELD.pop(network, None)


def rows_of_mine(tensor: Tensor) -> Tensor:
    """The rows of a whole tensor that this process holds: as many for each as for the first, the last ones fewer."""
    place, number = ranks.share()
    each = -(-len(tensor) // number)
    return tensor[place * each : (place + 1) * each]


def room_for_mine(size: torch.Size, dtype: torch.dtype) -> Tensor:
    """Room for the rows that this process holds of a tensor of that size, to be filled from a checkpoint."""
    if ranks.share().number == 1 or not size:
        return torch.empty(size, dtype=dtype)
    mine = len(rows_of_mine(torch.empty(size[0], device="meta")))
    return _as_part(torch.empty((mine, *size[1:]), dtype=dtype), size)


def _as_part(rows: Tensor, size: torch.Size) -> DTensor:
    stride = torch.empty(size, device="meta").stride()
    return DTensor.from_local(rows, _mesh("cpu"), (Shard(0),), run_check=False, shape=size, stride=stride)


_MESHES: dict[tuple[str, int], DeviceMesh] = {}


def _mesh(kind: str) -> DeviceMesh:
    """The processes in a line; made once for each kind of device."""
    key = (kind, ranks.share().number)
    if key not in _MESHES:
        _MESHES[key] = init_device_mesh(kind, (key[1],))
    return _MESHES[key]
