"""What a training run asks of the machine: memory kept or saved, and compiled layers."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from luthier.models.reshape import layers_of

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next tensor of that size; elsewhere nothing is changed.

    By default each tensor above 128 KiB is mapped anew, and the kernel fills its pages with zeros: on a CPU that takes
    about a tenth of a training step.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST)
    mallopt(M_TRIM_THRESHOLD, LARGEST)


@contextmanager
def compiled_layers(network: Any) -> Iterator[None]:
    """Inside, each layer runs compiled (torch.compile): one compilation serves all, whatever the number of tokens.

    Attention stays outside of the compiled code: it depends on the lengths of the rows.
    """
    _, layers = layers_of(network)
    for layer in layers:
        # The forward method and not the module: what is computed again (`checkpointed_layers`) wraps the compiled code,
        # since a compiler that meets it inside gives up the whole layer.
        layer.forward = partial(_compiled, torch.compile(layer.forward, dynamic=True), layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
        torch.compiler.reset()


def _compiled(compiled: Callable[..., Any], plain: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Answers are drawn by the plain layer: their cache is another for each, and a compiler that met them first would
    use up its allowance of variants and leave training uncompiled, silently."""
    draws = any(isinstance(value, Cache) for value in (*args, *kwargs.values()))
    return (plain if draws else compiled)(*args, **kwargs)


@contextmanager
def checkpointed_layers(network: Any) -> Iterator[None]:
    """Inside, each layer keeps its inputs alone for the backward pass, which computes the rest again.

    It works in evaluation mode too, where transformers' own switch does nothing: preference and reinforcement train
    there. Enter it inside `compiled_layers`, never around it.
    """
    _, layers = layers_of(network)
    before: list[Any] = []
    for layer in layers:
        before.append(vars(layer).get("forward"))
        layer.forward = partial(_again, layer.forward)
    try:
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            del layer.forward
            if forward is not None:
                layer.forward = forward


def _again(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
