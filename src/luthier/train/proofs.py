"""The numbers behind `luthier check`: the user's rows, passed as training passes them, against what must come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from luthier.models.logprobs import target_logprobs
from luthier.models.passes import Pass
from luthier.train.batch import Batch, Row, collate, micro_batches, pack
from luthier.train.config import TrainConfig
from luthier.train.engine import PieceLoss, StepWork, Work, on_device
from luthier.train.losses import dpo_loss, policy_gradient_loss
from luthier.train.preference import dpo
from luthier.train.sft import PADDED, passed_batch, sft

WHOLE = 1 << 30
"""Micro-batch tokens that hold every row at once."""

# Every function leaves the network without gradients and without dropout. Rows of preferences come in pairs.


def plain_logprobs(network: Any, row: Row) -> Tensor:
    """Log-probability of each trained token, from the network's own forward pass over this row alone."""
    ids = torch.tensor([row.token_ids], device=next(network.parameters()).device)
    logits = network(input_ids=ids, use_cache=False).logits[0, :-1]
    values = target_logprobs(logits.to(torch.promote_types(logits.dtype, torch.float32)), ids[0, 1:])
    return values[torch.tensor(row.weights[1:]) > 0]


@torch.no_grad()
def plain_loss(network: Any, rows: Sequence[Row]) -> float:
    """Loss over `rows` from the network's own forward pass over each row alone, without a batch or a selected head."""
    network.eval()
    total = 0.0
    for row in rows:
        weights = torch.tensor([w for w in row.weights[1:] if w > 0], dtype=torch.float64)
        total -= float((plain_logprobs(network, row).double().cpu() * weights).sum())
    return total / sum(row.weight for row in rows)


@torch.no_grad()
def together_gap(network: Any, rows: Sequence[Row], *, how: Pass = PADDED) -> float:
    """Largest difference of a trained token's log-probability between all rows in one micro-batch and each alone."""
    found = _together(network, rows, how)
    return max(float((ours - plain_logprobs(network, row)).abs().max()) for ours, row in zip(found, rows, strict=True))


@torch.no_grad()
def neighbour_gap(network: Any, rows: Sequence[Row], *, how: Pass = PADDED, vocabulary: int) -> float:
    """Largest difference in the other rows' log-probabilities when every token of one changes.

    In turn the first, the middle and the last row.
    """
    before = _together(network, rows, how)
    gap = 0.0
    for changed in {0, len(rows) // 2, len(rows) - 1}:
        other = replace(rows[changed], token_ids=tuple((t + 1) % vocabulary for t in rows[changed].token_ids))
        after = _together(network, [*rows[:changed], other, *rows[changed + 1 :]], how)
        gap = max(gap, *(float((after[i] - before[i]).abs().max()) for i in range(len(rows)) if i != changed))
    return gap


def split_gap(network: Any, rows: Sequence[Row], config: TrainConfig, *, how: Pass = PADDED) -> float:
    """Relative difference between the step's gradient in one micro-batch and in one micro-batch a row (or pair)."""
    return _gap(*(_gradient(network, one_step(network, rows, config, how=how, size=size)) for size in (WHOLE, 1)))


def sum_gap(network: Any, rows: Sequence[Row], config: TrainConfig, *, how: Pass = PADDED) -> float:
    """Relative difference between the gradient of one micro-batch and the sum over the rows, each passed alone.

    The sum is taken with the network's own forward pass and the loss written out.
    """
    network.eval()
    together = _gradient(network, one_step(network, rows, config, how=how, size=WHOLE))
    starts = _starts(network, rows)
    if config.method == "dpo":
        for i in range(0, len(rows), 2):
            now = [plain_logprobs(network, row).sum().unsqueeze(0) for row in rows[i : i + 2]]
            loss = dpo_loss(*now, *(s.sum().unsqueeze(0) for s in starts[i : i + 2]), beta=config.dpo.beta)
            (loss / (len(rows) / 2)).backward()  # type: ignore[no-untyped-call]
    else:
        count = sum(row.weight for row in rows)
        for index, row in enumerate(rows):
            weights = torch.tensor([w for w in row.weights[1:] if w > 0])
            values = plain_logprobs(network, row)
            loss = -(values * weights.to(values)).sum()
            if config.method == "grpo":
                loss = loss * _advantage(index)
            (loss / count).backward()  # type: ignore[no-untyped-call]
    return _gap(_taken(network), together)


def one_step(network: Any, rows: Sequence[Row], config: TrainConfig, *, how: Pass, size: int) -> Work:
    """The method's own work: one step over all the rows, in micro-batches of `size` tokens, without noise."""
    units = len(rows) // (2 if config.method == "dpo" else 1)
    one = config.model_copy(update={
        "max_steps": 1, "epochs": None, "batch_rows": units, "batch_tokens": None, "micro_batch_tokens": size,
        "neftune_alpha": None,
    })  # fmt: skip
    if config.method == "dpo":
        starts = torch.tensor([float(s.sum()) for s in _starts(network, rows)])
        return dpo(network, rows, starts, one, how=how)
    return _drawn(network, rows, how, size) if config.method == "grpo" else sft(network, rows, one, how=how)


def _drawn(network: Any, rows: Sequence[Row], how: Pass, size: int) -> Work:
    """A step of grpo over answers that are there already; every other one was better than the mean of its group."""
    batches = micro_batches(rows, micro_batch_tokens=size, is_packed=how.is_packed, is_filled=how.is_filled)

    def loss(batch: Batch) -> PieceLoss:
        values = passed_batch(network, batch, how=how).logprobs(batch.target_ids_N)
        owners = torch.tensor(batch.rows, device=values.device)[batch.row_N]
        advantages = torch.where(owners % 2 == 0, 1.0, -1.0)
        return PieceLoss(policy_gradient_loss(values, values.detach(), advantages, batch.weights_N))

    work = StepWork(batches, sum(row.weight for row in rows))
    return Work(num_steps=1, prepare=lambda _: work, loss=loss, has_dropout=False, mode=lambda: how.mode(network))


def _advantage(index: int) -> float:
    return 1.0 if index % 2 == 0 else -1.0


@torch.no_grad()
def _starts(network: Any, rows: Sequence[Row]) -> list[Tensor]:
    network.eval()
    return [plain_logprobs(network, row) for row in rows]


def _together(network: Any, rows: Sequence[Row], how: Pass) -> list[Tensor]:
    """Log-probabilities of each row's trained tokens, all rows in one micro-batch."""
    network.eval()
    batch = (pack if how.is_packed else collate)(rows, range(len(rows)))
    with how.mode(network):
        passed = passed_batch(network, on_device(batch, next(network.parameters()).device), how=how)
        values = passed.logprobs(batch.target_ids_N.to(next(network.parameters()).device))
    return list(torch.split(values, [sum(w > 0 for w in row.weights[1:]) for row in rows]))


def _gradient(network: Any, work: Work) -> Tensor:
    """The gradient of one step, as the training loop accumulates it."""
    network.eval()
    network.zero_grad(set_to_none=True)
    todo = work.prepare(1)
    for batch in todo.batches:
        with work.mode():
            piece = work.loss(on_device(batch, next(network.parameters()).device))
            (piece.total / todo.count).backward()  # type: ignore[no-untyped-call]
    return _taken(network)


def _taken(network: Any) -> Tensor:
    parameters = [p for p in network.parameters() if p.requires_grad]
    gradient = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in parameters])
    network.zero_grad(set_to_none=True)
    return gradient


def _gap(first: Tensor, second: Tensor) -> float:
    return float((first - second).norm() / first.norm().clamp(min=1e-12))
