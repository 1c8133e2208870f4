"""The same LoRA layers with fewer passes over memory: products are added in place, and each gradient has one buffer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Shape letters: N tokens (all leading dimensions), I inputs, O outputs, R rank.


class _LoraLinear(torch.autograd.Function):
    """y = x W' + b + s (x A') B', with gradients for x, A and B; W and b are frozen."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, a_RI: Tensor, b_OR: Tensor, scale: float
    ) -> Tensor:
        x_NI = x.reshape(-1, x.shape[-1])
        y_NO = nn.functional.linear(x_NI, weight_OI, bias_O)
        h_NR = x_NI.to(a_RI.dtype) @ a_RI.T
        # On a base in bfloat16 the sum is taken in the adapter's float32 and rounded once, as peft does.
        y_NO = y_NO.to(b_OR.dtype).addmm_(h_NR, b_OR.T, alpha=scale).to(y_NO.dtype)
        ctx.save_for_backward(x_NI, weight_OI, a_RI, b_OR, h_NR)
        ctx.scale = scale
        ctx.shape = x.shape
        return y_NO.view(*x.shape[:-1], weight_OI.shape[0])

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x_NI, weight_OI, a_RI, b_OR, h_NR = ctx.saved_tensors
        grad_NO = grad.reshape(-1, grad.shape[-1])
        wide_NO = grad_NO.to(b_OR.dtype)
        grad_h_NR = (wide_NO @ b_OR).mul_(ctx.scale)
        grad_b_OR = (wide_NO.T @ h_NR).mul_(ctx.scale)
        grad_a_RI = grad_h_NR.T @ x_NI.to(a_RI.dtype)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x_NI = grad_NO @ weight_OI
            grad_x = grad_x_NI.to(a_RI.dtype).addmm_(grad_h_NR, a_RI).to(grad_x_NI.dtype).view(ctx.shape)
        return grad_x, None, None, grad_a_RI, grad_b_OR, None


@contextmanager
def fast_lora(network: Any) -> Iterator[int]:
    """Inside, the network's plain LoRA layers compute y = x W' + b + s (x A') B' in place; yields how many there are.

    Values and gradients are peft's own (1e-10 in float64; in half precision a sum is rounded once, not twice). A layer
    is plain when one adapter without a bias of its own sits on an `nn.Linear`: DoRA, 4-bit and transposed layers keep
    peft's forward; so does every layer while its adapter is off or merged, dropout draws, or its base weight trains.
    """
    layers = [module for module in network.modules() if _is_plain(module)]
    # Another class, not a forward of each layer's own: a compiler would compile each of those apart, and give up at 8.
    fast = _fast_class()
    for layer in layers:
        layer.__class__ = fast
    try:
        yield len(layers)
    finally:
        for layer in layers:
            layer.__class__ = fast.__base__


@cache
def _fast_class() -> type:
    from peft.tuners.lora.layer import Linear

    return type("FastLinear", (Linear,), {"forward": _forward})


def _is_plain(module: Any) -> bool:
    from peft.tuners.lora.layer import Linear

    return (
        type(module) is Linear
        and type(module.base_layer) is nn.Linear
        and len(module.lora_A) == 1
        and not module.lora_variant
        and not any(module.lora_bias.values())
    )


def _forward(layer: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    base = layer.base_layer
    (name,) = layer.lora_A
    drops = layer.training and getattr(layer.lora_dropout[name], "p", 0.0) > 0
    trains = base.weight.requires_grad or (base.bias is not None and base.bias.requires_grad)
    is_off = layer.disable_adapters or layer.merged or list(layer.active_adapters) != [name]
    if args or kwargs or drops or trains or is_off:
        return super(type(layer), layer).forward(x, *args, **kwargs)  # type: ignore[no-any-return]
    tensors = [x, base.weight, base.bias, layer.lora_A[name].weight, layer.lora_B[name].weight]
    if torch.is_autocast_enabled(x.device.type):
        half = torch.get_autocast_dtype(x.device.type)
        tensors = [tensor if tensor is None else tensor.to(half) for tensor in tensors]
    with torch.autocast(x.device.type, enabled=False):
        return _LoraLinear.apply(*tensors, layer.scaling[name])  # type: ignore[no-any-return, no-untyped-call]
