"""The gradient of the input embeddings, added where it belongs instead of spread over a matrix of zeros."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def sparse_embedding_gradient(network: Any) -> Iterator[bool]:
    """Inside, a pass over some tokens adds their rows to the gradient in place; yields whether that applies.

    By default each pass makes a dense [V, H] gradient, almost all zeros, and adds it to the one before: as much memory
    and traffic as the head itself. The first pass of a step still makes it, since there is nothing to add to. Applies
    on CPUs, where adding by index has one order; to plain embeddings that train in one piece.
    """
    layer = network.get_input_embeddings()
    weight = getattr(layer, "weight", None)
    applies = (
        type(layer) is nn.Embedding
        and type(weight) is nn.Parameter
        and weight.device.type == "cpu"
        and weight.requires_grad
        and weight.dtype in (torch.float32, torch.float64)
        and layer.max_norm is None
        and not layer.scale_grad_by_freq
        and layer.padding_idx is None
    )
    if not applies:
        yield False
        return
    layer.forward = partial(_forward, layer)
    try:
        yield True
    finally:
        del layer.forward


def _forward(layer: nn.Embedding, ids: Tensor) -> Tensor:
    rows: Tensor = _Rows.apply(ids, layer.weight)  # type: ignore[no-untyped-call]
    return rows


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.weight = weight
        return nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None]:  # type: ignore[override]
        (ids,) = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        kept = ctx.weight.grad
        if kept is None:
            return None, torch.zeros_like(ctx.weight).index_add_(0, ids.reshape(-1), rows)
        kept.index_add_(0, ids.reshape(-1), rows)
        return None, None
