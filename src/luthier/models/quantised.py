"""The base of QLoRA (arXiv:2305.14314): linear layers held in 4 bits, computed in the chosen format.

The kernels are those of bitsandbytes (extra "qlora"): CUDA, and a slower one for CPUs. Whether they work on this
machine is not looked up but tried.
"""

from __future__ import annotations

import importlib
import logging
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from luthier.errors import ConfigError, Problem

BLOCK = 64
"""Weights that share a scale."""
TOLERANCE = 0.02
FOREIGN = (AttributeError, OSError, RuntimeError, ValueError)
"""What bitsandbytes raises where a kernel is not in the library that it loads, or was not compiled for this machine."""


def quantisation(*, dtype: str, device: str) -> Any:
    """What transformers needs to hold a base in 4 bits on `device`: NF4, doubly quantised, computing in `dtype`.

    Raises ConfigError naming train.adapter when no kernel of this machine gives the right product and gradient.
    """
    _prove(width=BLOCK, dtype=dtype, device=device)
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )  # fmt: skip


def keep_exact(network: Any, *, dtype: str, device: str) -> None:
    """Let 4-bit layers compute alike in training and evaluation; prove the kernel for each width that they have.

    On CPUs with bfloat16 instructions the library would repack a layer when it first evaluates, with its scales rounded
    to bfloat16: the reference of a preference loss would then be another function than the policy at its first step.
    Raises ConfigError for a width at which the kernel is wrong (bitsandbytes 0.50 on CPUs: no multiple of 64).
    """
    held = [module for module in network.modules() if getattr(getattr(module, "weight", None), "quant_state", None)]
    for module in held:
        module.support_avx512bf16_for_cpu = False
    for width in sorted({module.in_features for module in held}):
        _prove(width=width, dtype=dtype, device=device)


def _prove(*, width: int, dtype: str, device: str) -> None:
    library, number, place = _library(device), getattr(torch, dtype), torch.device(device)
    try:
        gap = _gap(library, width, number, place)
    except FOREIGN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _unsupported(device, f"a kernel that fails ({reason[:200]})") from error
    if not gap < TOLERANCE:
        raise _unsupported(device, f"a kernel that is off by {gap:.1e} of a weight for layers {width} wide")


def _library(device: str) -> Any:
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with without_downloads():
            return importlib.import_module("bitsandbytes")
    except (ImportError, OSError, RuntimeError) as error:  # absent, or its library cannot be loaded
        raise _unsupported(device, f"no usable package bitsandbytes ({str(error)[:200]})") from error


@contextmanager
def without_downloads() -> Iterator[None]:
    """Inside, importing bitsandbytes fetches no code from a hub to run, as it does where `kernels` is installed."""
    name = "kernels"
    was_there = name in sys.modules
    if not was_there:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not was_there:
            del sys.modules[name]


@torch.no_grad()
def _gap(library: Any, width: int, dtype: torch.dtype, device: torch.device) -> float:
    """Largest error of a small 4-bit layer: product and gradient against its own weights, these against the true ones.

    In units of the largest weight of a block. NF4 itself is off by half its widest step, 0.152, at most.
    """
    with torch.random.fork_rng(devices=[]):
        layer = library.nn.Linear4bit(width, BLOCK, bias=False, compute_dtype=dtype, quant_type="nf4")
    blocks = torch.randn(width, BLOCK, generator=torch.Generator().manual_seed(0))
    blocks *= 1 + torch.arange(width)[:, None] % 3  # a block under its neighbour's scale would be off by half
    values = blocks.view(BLOCK, width).to(dtype)
    layer.weight = library.nn.Params4bit(values, requires_grad=False, quant_type="nf4", module=layer)
    layer = layer.to(device)
    layer.support_avx512bf16_for_cpu = False
    x = torch.eye(width, dtype=dtype, device=device, requires_grad=True)
    chosen = torch.eye(BLOCK, dtype=dtype, device=device).repeat(-(-width // BLOCK), 1)[:width]
    with torch.enable_grad():
        y = layer(x)
    y.backward(chosen)
    held = library.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    assert x.grad is not None
    differences = [y.detach().T - held, held - values.to(device)]
    largest = blocks.abs().amax(dim=1, keepdim=True)
    product, weight = [(d.reshape(-1, BLOCK).float().cpu() / largest).abs().max() for d in differences]
    gradient = (x.grad - chosen @ held).float().abs().max().cpu() / largest.min()
    return float(torch.stack([product, weight - 0.152, gradient]).max())


def _unsupported(device: str, found: str) -> ConfigError:
    machine = f"{platform.system()} {platform.machine()}, {device}"
    return ConfigError(
        "the base cannot be held in 4 bits on this machine",
        [Problem(where='train.adapter = "qlora"', found=f"{found} on {machine}",
                 expected="bitsandbytes with a working 4-bit kernel",
                 fix='.venv/bin/pip install -e ".[qlora]"; if it is installed, train with adapter = "lora" here')],
    )  # fmt: skip
