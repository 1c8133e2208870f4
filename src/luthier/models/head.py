"""The output head and its loss in one: logits exist only where a token trains, and only a piece of them at a time.

The head is the costliest layer of a small model and its logits the largest tensor of any: N * V floats, several times
over in a plain backward pass. Here they are computed for some rows, turned into the loss and the gradient, and dropped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

PIECE_BYTES = 64 << 20
"""Size of the piece of the logits that exists at a time: large enough for the matrix product to run at full rate."""

# Shape letters: N trained positions, H width, V vocabulary, n rows of a piece.


class Head(NamedTuple):
    """What turns hidden states into logits: cap * tanh(scale * (h W^T + b) / cap), the cap only where there is one."""

    weight: Tensor
    bias: Tensor | None
    scale: float = 1.0
    cap: float | None = None


def head_of(network: Any) -> Head | None:
    """The network's output head, or None where it is more than a linear layer (an adapter on it, say)."""
    layer = network.get_output_embeddings()
    if type(layer) is not torch.nn.Linear:
        return None
    config = network.config.get_text_config() if hasattr(network.config, "get_text_config") else network.config
    factor, divisor = getattr(config, "logit_scale", None) or 1.0, getattr(config, "logits_scaling", None) or 1.0
    if isinstance(factor, str):
        return None  # the name of a rule
    scale = float(factor) / float(divisor)
    cap = getattr(config, "final_logit_softcapping", None)
    return Head(layer.weight, layer.bias, scale, None if cap is None else float(cap))


def head_nll(hidden_NH: Tensor, head: Head, targets_N: Tensor, weights_N: Tensor) -> Tensor:
    """sum_n w_n * -log softmax(logits_n)[target_n], a scalar in float32 (float64 stays).

    The gradient is computed beside the loss, while the piece of the logits is there: with P = softmax(logits) and the
    one-hot targets Y, d hidden = w (P - Y) W and d W = (P - Y)^T (w hidden). Weights take no gradient. The gradients
    are scaled in place by what comes from above, so a second backward pass over the same graph is an error.
    """
    if not torch.is_grad_enabled():  # the function below is not told, and would compute a gradient for nobody
        values = head_logprobs(hidden_NH, head, targets_N)
        return -torch.dot(values, weights_N.to(values.dtype))
    total: Tensor = _HeadNll.apply(hidden_NH, head.weight, head.bias, targets_N, weights_N, head)  # type: ignore[no-untyped-call]
    return total


def head_logprobs(hidden_NH: Tensor, head: Head, targets_N: Tensor) -> Tensor:
    """log softmax(logits_n)[target_n], shape [N]; for losses that are not a weighted sum of these.

    Their gradient is known only in the backward pass, which computes each piece of the logits a second time.
    """
    values: Tensor = _HeadLogprobs.apply(hidden_NH, head.weight, head.bias, targets_N, head)  # type: ignore[no-untyped-call]
    return values


class _HeadNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor,
                head: Head) -> Tensor:  # fmt: skip
        wants = ctx.needs_input_grad[:3]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        row_weights = weights.to(wide)
        nll = torch.empty(len(hidden), dtype=wide, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if wants[0] else None
        grads = _Grads(bias, wide, wants=wants)
        matrix = _compute(weight, hidden.dtype)
        for piece, buffer in _pieces(hidden, weight, wide):
            states = hidden[piece]
            logits, slope = _logits(states, matrix, bias, head, buffer)
            nll[piece] = -_to_softmax(logits, targets[piece])
            if not any(wants):
                continue
            logits[torch.arange(len(logits), device=logits.device), targets[piece]] -= 1
            d_logits = _through(logits, slope, head).to(matrix.dtype)
            scaled = row_weights[piece].unsqueeze(1).to(matrix.dtype)
            if d_hidden is not None:
                d_hidden[piece] = (d_logits @ matrix).mul_(scaled)
            grads.add(d_logits, states.to(matrix.dtype) * scaled, scaled)
        ctx.save_for_backward(*(t for t in (d_hidden, grads.weight, grads.bias) if t is not None))
        ctx.has = (d_hidden is not None, grads.weight is not None, grads.bias is not None)
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        return torch.dot(nll, row_weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        saved = iter(ctx.saved_tensors)
        # In place: nothing else holds them, and the largest is as big as the head.
        grads = [
            next(saved).mul_(grad).to(dtype) if has else None for has, dtype in zip(ctx.has, ctx.dtypes, strict=True)
        ]
        return (*grads, None, None, None)


class _HeadLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, head: Head) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        values = torch.empty(len(hidden), dtype=wide, device=hidden.device)
        matrix = _compute(weight, hidden.dtype)
        for piece, buffer in _pieces(hidden, weight, wide):
            logits, _ = _logits(hidden[piece], matrix, bias, head, buffer)
            values[piece] = _to_softmax(logits, targets[piece])
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.head, ctx.dtype = head, matrix.dtype
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        hidden, weight, bias, targets = ctx.saved_tensors
        wide = grad.dtype
        grads = _Grads(bias, wide, wants=ctx.needs_input_grad[:3])
        d_hidden = torch.empty_like(hidden)
        # In the number format of the forward pass: autocast may be off by now, or be another one in autograd's thread.
        matrix = weight.detach().to(ctx.dtype)
        with torch.autocast(hidden.device.type, enabled=False):
            for piece, buffer in _pieces(hidden, weight, wide):
                states = hidden[piece]
                logits, slope = _logits(states, matrix, bias, ctx.head, buffer)
                _to_softmax(logits, targets[piece])
                logits[torch.arange(len(logits), device=logits.device), targets[piece]] -= 1
                d_logits = _through(logits, slope, ctx.head).to(matrix.dtype)
                scaled = -grad[piece].unsqueeze(1).to(matrix.dtype)
                d_hidden[piece] = (d_logits @ matrix).mul_(scaled)
                grads.add(d_logits, states.to(matrix.dtype) * scaled, scaled)
        d_weight = None if grads.weight is None else grads.weight.to(weight.dtype)
        return d_hidden, d_weight, None if grads.bias is None else grads.bias.to(bias.dtype), None, None


class _Grads:
    """Gradients of the head, summed over the pieces: in float32 also for a bfloat16 head, whose sum would lose them."""

    def __init__(self, bias: Tensor | None, wide: torch.dtype, *, wants: tuple[bool, ...]) -> None:
        self.wide = wide
        self.wants_weight = wants[1]
        self.weight: Tensor | None = None
        self.bias = torch.zeros_like(bias, dtype=wide) if bias is not None and wants[2] else None

    def add(self, d_logits: Tensor, scaled_states: Tensor, scale: Tensor) -> None:
        if self.wants_weight:
            if self.weight is None:  # the first piece is written, not added to zeros: the matrix is large
                self.weight = (d_logits.t() @ scaled_states).to(self.wide)
            elif d_logits.dtype == self.wide:
                self.weight.addmm_(d_logits.t(), scaled_states)
            else:
                self.weight.add_(d_logits.t() @ scaled_states)
        if self.bias is not None:
            self.bias.add_((d_logits * scale).sum(0))


def _compute(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The head's matrix in the number format of the products: under autocast, that of autocast."""
    if torch.is_autocast_enabled(weight.device.type):
        return weight.detach().to(torch.get_autocast_dtype(weight.device.type))
    return weight.detach().to(dtype)


def _pieces(hidden: Tensor, weight: Tensor, wide: torch.dtype) -> Any:
    """(slice, buffer for its logits), pieces of like size; one empty piece where there are no rows."""
    rows = max(1, PIECE_BYTES // (len(weight) * wide.itemsize))
    number = max(1, -(-len(hidden) // rows))
    rows = max(1, -(-len(hidden) // number))
    buffer = torch.empty(min(rows, len(hidden)), len(weight), dtype=wide, device=hidden.device)
    for start in range(0, max(1, len(hidden)), rows):
        yield slice(start, start + rows), buffer[: min(rows, len(hidden) - start)]


def _logits(
    states: Tensor, matrix: Tensor, bias: Tensor | None, head: Head, buffer: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Logits [n, V] in the buffer, and the derivative of the cap where there is one."""
    with torch.autocast(states.device.type, enabled=False):
        states = states.to(matrix.dtype)
        if matrix.dtype == buffer.dtype:
            torch.mm(states, matrix.t(), out=buffer)
        else:
            buffer.copy_(states @ matrix.t())
    if bias is not None:
        buffer.add_(bias)
    if head.scale != 1.0:
        buffer.mul_(head.scale)
    if head.cap is None:
        return buffer, None
    buffer.div_(head.cap).tanh_()
    slope = 1 - buffer * buffer
    return buffer.mul_(head.cap), slope


def _to_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    """Turn the logits into their softmax in place; returns log softmax at the targets.

    log sum exp = max - log of the largest probability, which is never small: exact where log(p_target) would underflow.
    """
    largest, where = logits.max(dim=-1)
    picked = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    torch.softmax(logits, dim=-1, out=logits)
    return picked - (largest - logits.gather(-1, where.unsqueeze(-1)).squeeze(-1).log())


def _through(d_logits: Tensor, slope: Tensor | None, head: Head) -> Tensor:
    """The gradient back through cap and scale."""
    if slope is not None:
        d_logits.mul_(slope)
    return d_logits.mul_(head.scale) if head.scale != 1.0 else d_logits
