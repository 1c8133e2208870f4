"""Reinforcement from a grader (GRPO): draw groups, grade them, push towards what beat the mean of its group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from luthier.models.generate import generator, next_token_logprobs
from luthier.models.load import Model
from luthier.models.passes import Pass
from luthier.records import Completion, Example, Grade, Sampling, content_id
from luthier.train.batch import Batch, Row, micro_batches, plan_steps
from luthier.train.config import GrpoSettings, TrainConfig
from luthier.train.engine import PieceLoss, StepWork, Work
from luthier.train.losses import completion_count, completion_weights, group_advantages, policy_gradient_loss
from luthier.train.sft import PADDED, passed_batch

GradeAll = Callable[[Sequence[Example], Sequence[Completion]], list[Grade]]
"""Grades in the order of the completions; a grader's exception is a grade with `is_error`, never a zero."""
OnRollout = Callable[[int, Sequence[Completion], Sequence[Grade]], None]
"""Told of every step's completions and grades, to keep them as evidence."""

# Shape letters: P prompts, G completions per prompt, N trained tokens.


class Rollout(NamedTuple):
    """What one step learns from: rows with a gradient, and the account of all that were drawn."""

    rows: list[Row]
    advantages: list[float]
    drawn_logprobs: list[tuple[float, ...]]
    lengths: list[int]
    """Tokens of every valid completion, those without advantage included: they count in the denominator."""
    metrics: dict[str, float]


def grpo(
    model: Model, examples: Sequence[Example], grade_all: GradeAll, config: TrainConfig, *, on_rollout: OnRollout,
    how: Pass = PADDED,
) -> Work:  # fmt: skip
    """The work of a GRPO run: on policy, one update for each draw, the mean of the group as the baseline."""
    settings = config.grpo
    plan = plan_steps(
        [1] * len(examples), batch_rows=config.batch_rows, batch_tokens=None, max_steps=config.max_steps,
        epochs=config.epochs, seed=config.seed,
    )  # fmt: skip
    generate = generator(model)
    state: dict[int, tuple[torch.Tensor, ...]] = {}

    def prepare(step: int) -> StepWork:
        chosen = [examples[i] for i in plan[step - 1]]
        sampling = Sampling(
            max_new_tokens=settings.max_new_tokens, temperature=settings.temperature, top_p=settings.top_p,
            num_samples=settings.group_size, seed=int(content_id("grpo", config.seed, step)[:12], 16),
        )  # fmt: skip
        completions = generate(chosen, sampling)
        grades = grade_all([e for e in chosen for _ in range(settings.group_size)], completions)
        on_rollout(step, completions, grades)
        prompts = [model.renderer.prompt(e.prompt, tools=e.tools) for e in chosen]
        rollout = assemble(prompts, completions, grades, settings, max_length=model.max_length)
        batches = micro_batches(
            rollout.rows, micro_batch_tokens=config.micro_batch_tokens, is_packed=how.is_packed
        )
        state.clear()
        for batch in batches:
            drawn = torch.tensor([lp for r in batch.rows for lp in rollout.drawn_logprobs[r]])
            advantages = torch.tensor([a for r in batch.rows for a in [rollout.advantages[r]] * _drawn(rollout, r)])
            state[id(batch.rows)] = (drawn, advantages)
        count = completion_count(rollout.lengths, normalise=settings.normalise)
        return StepWork(batches, count if rollout.rows else 0.0, rollout.metrics)

    def loss(batch: Batch) -> PieceLoss:
        drawn_N, advantages_N = (t.to(batch.weights_N.device) for t in state[id(batch.rows)])
        logprobs_N = drawn_token_logprobs(model.network, batch, settings, how=how)
        total = policy_gradient_loss(logprobs_N, drawn_N, advantages_N, batch.weights_N)
        return PieceLoss(total)

    return Work(
        num_steps=len(plan), prepare=prepare, loss=loss, has_dropout=False, mode=lambda: how.mode(model.network)
    )


def drawn_token_logprobs(
    network: Any, batch: Batch, settings: GrpoSettings, *, how: Pass = PADDED
) -> torch.Tensor:
    """Log-probabilities [N] of the drawn tokens under the distribution they were drawn from, with gradient."""
    if settings.temperature == 1.0 and settings.top_p == 1.0:
        return passed_batch(network, batch, how=how).logprobs(batch.target_ids_N)
    logits = passed_batch(network, batch, how=replace(how, is_fused=False)).logits_NV  # a nucleus needs them all
    assert logits is not None
    logprobs_NV = next_token_logprobs(logits, temperature=settings.temperature, top_p=settings.top_p)
    return logprobs_NV.gather(-1, batch.target_ids_N.unsqueeze(-1)).squeeze(-1)


def assemble(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Completion],
    grades: Sequence[Grade],
    settings: GrpoSettings,
    *,
    max_length: int,
) -> Rollout:
    """Rows, advantages and account of one step's draws. `completions` and `grades` come group by group.

    A completion whose grade is an error or undecided leaves its group and is counted; a group whose rewards are all
    equal has no gradient, yet its tokens stay in the denominator.
    """
    size = settings.group_size
    values = torch.tensor([0.0 if g.value is None else g.value for g in grades]).reshape(len(prompts), size)
    valid = torch.tensor([g.value is not None for g in grades]).reshape(len(prompts), size)
    advantages = group_advantages(values, valid).flatten().tolist()
    counted = [i for i, g in enumerate(grades) if g.value is not None]
    lengths = [len(completions[i].token_ids) for i in counted]
    weights = completion_weights(lengths, normalise=settings.normalise, max_new_tokens=settings.max_new_tokens)
    rollout = Rollout([], [], [], lengths, _account(values, valid, grades, completions))
    for i, weight in zip(counted, weights, strict=True):
        if advantages[i] == 0 or not completions[i].token_ids:
            continue
        prompt = list(prompts[i // size])[-(max_length - 1) :]
        drawn = completions[i].token_ids
        rollout.rows.append(
            Row(completions[i].example_id, (*prompt, *drawn), (0.0,) * len(prompt) + (weight,) * len(drawn))
        )
        rollout.advantages.append(advantages[i])
        rollout.drawn_logprobs.append(completions[i].logprobs)
    return rollout


def _account(
    values_PG: torch.Tensor, valid_PG: torch.Tensor, grades: Sequence[Grade], completions: Sequence[Completion]
) -> dict[str, float]:
    kept = valid_PG.sum().clamp(min=1)
    flat = sum(1 for v, ok in zip(values_PG, valid_PG, strict=True) if ok.any() and v[ok].max() == v[ok].min())
    return {
        "rl/reward": float((values_PG * valid_PG).sum() / kept),
        "rl/errors": float(sum(g.is_error for g in grades)),
        "rl/undecided": float(sum(g.value is None and not g.is_error for g in grades)),
        "rl/groups_without_gradient": float(flat),
        "rl/length_tokens": sum(len(c.token_ids) for c in completions) / max(len(completions), 1),
    }


def _drawn(rollout: Rollout, row: int) -> int:
    return len(rollout.drawn_logprobs[row])
