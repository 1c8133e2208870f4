"""Supervised tuning and pre-training: negative log-likelihood of the weighted tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.models.passes import Pass, Passed, forward
from luthier.train import ranks
from luthier.train.batch import Batch, Row, micro_batches, mix_text, plan_steps
from luthier.train.config import TrainConfig
from luthier.train.engine import PieceLoss, StepWork, Work, on_device
from luthier.train.neftune import neftune

PADDED = Pass()
"""What every causal model can do."""


def sft(
    network: Any,
    rows: Sequence[Row],
    config: TrainConfig,
    *,
    how: Pass = PADDED,
    text: Sequence[Row] = (),
    router_weight: float = 0.0,
    plan: Sequence[NDArray[np.int64]] | None = None,
) -> Work:
    """The work of a supervised run over `rows`, with rows of plain `text` among them (`config.text.share`).

    `plan` holds the indices of the rows of each step, where a mixture decides them.
    """
    chosen_of, num_steps = _plan(rows, text, config, plan)
    state = {"count": 1.0, "tokens": 1.0}

    def prepare(step: int) -> StepWork:
        own, mixed = chosen_of(step)
        chosen = [*own, *mixed]
        batches = micro_batches(
            chosen, micro_batch_tokens=config.micro_batch_tokens,
            is_packed=how.is_packed, is_filled=how.is_filled, share=ranks.share()
        )
        state["count"] = sum(row.weight for row in chosen)
        state["tokens"] = float(sum(len(row.token_ids) for row in chosen))
        of_text = sum(row.weight for row in mixed)
        share = {"train/text_share": of_text / state["count"] if of_text else 0.0} if text else {}
        return StepWork(batches, state["count"], share)

    def loss(batch: Batch) -> PieceLoss:
        with _noise(network, batch, config):
            passed = passed_batch(network, batch, how=how)
        total = passed.nll(batch.target_ids_N, batch.weights_N)
        if passed.router_loss is None or not router_weight:
            return PieceLoss(total)
        # A mean over the tokens of this piece: it enters the step by its share of the step's tokens.
        spread = passed.router_loss * (batch.num_tokens / state["tokens"] * state["count"])
        return PieceLoss(total, {"train/router_loss": float(spread.detach())}, extra=router_weight * spread)

    return Work(num_steps=num_steps, prepare=prepare, loss=loss, mode=lambda: how.mode(network))


def _noise(network: Any, batch: Batch, config: TrainConfig) -> AbstractContextManager[None]:
    if config.neftune_alpha is None:
        return nullcontext()
    return neftune(network, alpha=config.neftune_alpha, lengths_of=lambda: batch.lengths)


def _plan(
    rows: Sequence[Row], text: Sequence[Row], config: TrainConfig, given: Sequence[NDArray[np.int64]] | None
) -> tuple[Callable[[int], tuple[list[Row], list[Row]]], int]:
    """The rows and the pieces of text of each step (from 1), and the number of steps."""
    plan = given or plan_steps(
        [len(row.token_ids) for row in rows],
        batch_rows=config.batch_rows,
        batch_tokens=config.batch_tokens,
        max_steps=config.max_steps,
        epochs=config.epochs,
        seed=config.seed,
    )
    mixed: list[list[int]] = [[]] * len(plan)
    if text:
        mixed = mix_text(
            plan, weights=[row.weight for row in rows], text_weights=[row.weight for row in text],
            share=config.text.share, seed=config.seed,
        )  # fmt: skip
    return lambda step: ([rows[i] for i in plan[step - 1]], [text[i] for i in mixed[step - 1]]), len(plan)


def passed_batch(network: Any, batch: Batch, *, how: Pass) -> Passed:
    """The batch's trained positions, passed through the network up to their loss."""
    return forward(network, batch.input_ids_BT, batch.positions_N, how=how, lengths=batch.lengths, rows=batch.packed)


def batch_nll(network: Any, batch: Batch, *, how: Pass = PADDED) -> Tensor:
    """Weighted negative log-likelihood, summed over the batch's trained tokens."""
    return passed_batch(network, batch, how=how).nll(batch.target_ids_N, batch.weights_N)


@torch.no_grad()
def mean_nll(network: Any, rows: Sequence[Row], *, micro_batch_tokens: int, how: Pass = PADDED) -> float:
    """Loss over `rows` as training defines it: sum of weighted nll over all, divided once."""
    if not rows:
        return float("nan")
    network.eval()
    device = next(network.parameters()).device
    total = 0.0
    with how.mode(network):
        for batch in micro_batches(
            rows, micro_batch_tokens=micro_batch_tokens,
            is_packed=how.is_packed, is_filled=how.is_filled, share=ranks.share()
        ):
            value = float(batch_nll(network, on_device(batch, device), how=how))
            total += 0.0 if batch.is_idle else value
    return ranks.total([total])[0] / sum(row.weight for row in rows)
