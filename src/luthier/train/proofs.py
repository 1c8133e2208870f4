"""The numbers behind `luthier check`: losses and gradients of the user's own rows, against what they must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from luthier.train.batch import Row, collate, micro_batches
from luthier.train.preference import answer_logprobs
from luthier.train.sft import batch_nll


@torch.no_grad()
def plain_loss(network: Any, rows: Sequence[Row]) -> float:
    """Loss over `rows` from the network's own forward pass over each row alone, without a batch or a selected head."""
    total = 0.0
    for row in rows:
        ids = torch.tensor([row.token_ids])
        logits = network(input_ids=ids).logits[0, :-1].double()
        nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
        total += float((nll * torch.tensor(row.weights[1:], dtype=torch.float64)).sum())
    return total / sum(row.weight for row in rows)


def split_gap(network: Any, rows: Sequence[Row]) -> float:
    """Relative difference between the gradient of all rows at once and that of one row at a time."""
    whole, single = (_gradient(network, rows, micro_batch_tokens=size) for size in (1 << 20, 1))
    return float((whole - single).norm() / whole.norm().clamp(min=1e-12))


@torch.no_grad()
def beside_a_neighbour(network: Any, row: Row, neighbour: Row, *, vocabulary: int) -> tuple[float, float]:
    """Log-probability of the row's answer beside its neighbour, and beside the same with every token changed."""
    network.eval()
    changed = replace(neighbour, token_ids=tuple((t + 1) % vocabulary for t in neighbour.token_ids))
    before, after = (
        float(answer_logprobs(network, collate([row, other], [0, 1]))[0]) for other in (neighbour, changed)
    )
    return before, after


def _gradient(network: Any, rows: Sequence[Row], *, micro_batch_tokens: int) -> Tensor:
    parameters = [p for p in network.parameters() if p.is_floating_point()]
    for p in parameters:
        p.requires_grad_(True)
        p.grad = None
    count = sum(row.weight for row in rows)
    for batch in micro_batches(rows, micro_batch_tokens=micro_batch_tokens):
        (batch_nll(network, batch) / count).backward()  # type: ignore[no-untyped-call]
    gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    network.zero_grad(set_to_none=True)
    return gradient
