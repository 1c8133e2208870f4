"""Supervised tuning and pre-training: negative log-likelihood of the weighted tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from luthier.models.logprobs import selected_logits, target_logprobs
from luthier.train.batch import Batch, Row, micro_batches, plan_steps
from luthier.train.config import TrainConfig
from luthier.train.engine import PieceLoss, StepWork, Work, on_device
from luthier.train.losses import sft_loss


def sft(network: Any, rows: Sequence[Row], config: TrainConfig) -> Work:
    """The work of a supervised run over `rows`."""
    plan = plan_steps(
        [len(row.token_ids) for row in rows],
        batch_rows=config.batch_rows,
        batch_tokens=config.batch_tokens,
        max_steps=config.max_steps,
        epochs=config.epochs,
        seed=config.seed,
    )

    def prepare(step: int) -> StepWork:
        chosen = [rows[i] for i in plan[step - 1]]
        batches = micro_batches(chosen, micro_batch_tokens=config.micro_batch_tokens)
        return StepWork(batches, sum(row.weight for row in chosen))

    return Work(num_steps=len(plan), prepare=prepare, loss=lambda batch: PieceLoss(batch_nll(network, batch)))


def batch_nll(network: Any, batch: Batch) -> torch.Tensor:
    """Weighted negative log-likelihood, summed over the batch's trained tokens."""
    logits = selected_logits(network, batch.input_ids_BT, batch.positions_N)
    return sft_loss(target_logprobs(logits, batch.target_ids_N), batch.weights_N)


@torch.no_grad()
def mean_nll(network: Any, rows: Sequence[Row], *, micro_batch_tokens: int) -> float:
    """Loss over `rows` as training defines it: sum of weighted nll over all, divided once."""
    if not rows:
        return float("nan")
    network.eval()
    device = next(network.parameters()).device
    total = 0.0
    for batch in micro_batches(rows, micro_batch_tokens=micro_batch_tokens):
        total += float(batch_nll(network, on_device(batch, device)))
    return total / sum(row.weight for row in rows)
