"""Preference tuning (DPO): raise the chosen answer over the rejected one, held to where the model started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from luthier.models.passes import Pass
from luthier.models.render import Renderer
from luthier.records import Preference
from luthier.train import ranks
from luthier.train.batch import Batch, Fit, Row, fit_rows, micro_batches, plan_steps
from luthier.train.config import TrainConfig
from luthier.train.engine import PieceLoss, StepWork, Work, on_device
from luthier.train.losses import dpo_loss
from luthier.train.sft import PADDED, passed_batch


class Pairs(NamedTuple):
    """Rows of chosen and rejected answers, alternating, and the account of what did not fit."""

    rows: tuple[Row, ...]
    ledger: dict[str, int]
    """Pairs by outcome; a pair whose one side was left out is left out whole."""


def pairs_of(preferences: Sequence[Preference], renderer: Renderer, *, max_length: int, overlong: str) -> Pairs:
    """Preferences rendered: only the answers and their stop tokens carry weight."""
    ledger: dict[str, int] = {}
    rows: list[Row] = []
    for preference in preferences:
        answers = (preference.chosen, preference.rejected)
        rendered = [renderer.render_answer(preference.prompt, text) for text in answers]
        excess = max(0, *(len(row.token_ids) - max_length for row in rendered))
        # As much off the one prompt as off the other, so that both answers follow the same one.
        limits = [len(row.token_ids) - excess if overlong == "cut_prompt" else max_length for row in rendered]
        both: list[Fit] = [
            fit_rows([(preference.id, row)], max_length=limit, overlong=overlong)
            for row, limit in zip(rendered, limits, strict=True)
        ]
        outcomes = [next(name for name, n in side.ledger.items() if n) for side in both]
        worst = next((o for o in ("dropped", "nothing trained", "answer cut", "prompt cut") if o in outcomes), "kept")
        ledger[worst] = ledger.get(worst, 0) + 1
        if all(side.rows for side in both):
            rows += [both[0].rows[0], both[1].rows[0]]
    return Pairs(tuple(rows), ledger)


def answer_logprobs(network: Any, batch: Batch, *, how: Pass = PADDED) -> Tensor:
    """Sum of log-probabilities of each row's answer tokens, shape [B]. Prompt and padding never enter."""
    values_N = passed_batch(network, batch, how=how).logprobs(batch.target_ids_N)
    sums = torch.zeros(len(batch.rows), device=values_N.device, dtype=values_N.dtype)
    return sums.index_add(0, batch.row_N, values_N)


@torch.no_grad()
def reference_logprobs(
    network: Any, rows: Sequence[Row], *, micro_batch_tokens: int, how: Pass = PADDED
) -> Tensor:
    """`answer_logprobs` of every row under the network as it is now, before the first step.

    This is the reference for full weights, adapters, and adapters on a tuned adapter alike: where the model started.
    """
    network.eval()
    device = next(network.parameters()).device
    sums = torch.zeros(len(rows))
    with how.mode(network):
        for batch in micro_batches(
            rows, micro_batch_tokens=micro_batch_tokens, keep_together=2,
            is_packed=how.is_packed, is_filled=how.is_filled, share=ranks.share()
        ):
            values = answer_logprobs(network, on_device(batch, device), how=how).float().cpu()
            if not batch.is_idle:
                sums[list(batch.rows)] = values
    return ranks.summed(sums)


def dpo(
    network: Any, rows: Sequence[Row], reference_R: Tensor, config: TrainConfig, *, how: Pass = PADDED
) -> Work:
    """The work of a DPO run over `rows` (chosen, rejected, chosen, ...) with their `reference_logprobs`."""
    plan = plan_steps(
        [len(rows[i].token_ids) + len(rows[i + 1].token_ids) for i in range(0, len(rows), 2)],
        batch_rows=config.batch_rows,
        batch_tokens=config.batch_tokens,
        max_steps=config.max_steps,
        epochs=config.epochs,
        seed=config.seed,
    )
    references: dict[int, Tensor] = {}

    def prepare(step: int) -> StepWork:
        chosen = [i for pair in plan[step - 1] for i in (2 * int(pair), 2 * int(pair) + 1)]
        batches = micro_batches(
            [rows[i] for i in chosen], micro_batch_tokens=config.micro_batch_tokens, keep_together=2,
            is_packed=how.is_packed, is_filled=how.is_filled, share=ranks.share(),
        )  # fmt: skip
        references.clear()
        references.update({id(b.rows): reference_R[[chosen[r] for r in b.rows]] for b in batches})
        return StepWork(batches, len(chosen) / 2)

    def loss(batch: Batch) -> PieceLoss:
        values_B = answer_logprobs(network, batch, how=how)
        reference_B = references[id(batch.rows)].to(values_B.device)
        total = dpo_loss(values_B[0::2], values_B[1::2], reference_B[0::2], reference_B[1::2], beta=config.dpo.beta)
        with torch.no_grad():
            gain_B = values_B - reference_B
            margin = gain_B[0::2] - gain_B[1::2]
        return PieceLoss(total, {
            "dpo/margin": float(margin.sum()),
            "dpo/accuracy": float((margin > 0).float().sum()),
            "dpo/chosen_gain": float(gain_B[0::2].sum()),
        })  # fmt: skip

    return Work(
        num_steps=len(plan), prepare=prepare, loss=loss, has_dropout=False, mode=lambda: how.mode(network)
    )
