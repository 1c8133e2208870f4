"""The maths of every method: pure functions on tensors. Each loss is a sum; the loop divides once, over the whole step.

Shape letters: N trained tokens, P prompts, G completions per prompt, R rows (pairs or completions).
"""

from __future__ import annotations

import torch
from torch import Tensor


def sft_loss(logprobs_N: Tensor, weights_N: Tensor) -> Tensor:
    """-sum(w * log p): 0 when nothing is trained, never NaN. Divided by the step's sum of weights in the loop.

    >>> sft_loss(torch.tensor([-1., -3.]), torch.tensor([1., .5]))
    tensor(2.5000)
    """
    return -(logprobs_N * weights_N).sum()


def dpo_loss(
    chosen_R: Tensor, rejected_R: Tensor, reference_chosen_R: Tensor, reference_rejected_R: Tensor, *, beta: float
) -> Tensor:
    """-sum log sigmoid(beta * margin) over R pairs (arXiv:2305.18290, equation 7).

    The arguments are log-probabilities summed over the answer's tokens, never their mean, prompt and padding left out.
    margin = (chosen - reference_chosen) - (rejected - reference_rejected); at the start it is 0 and the loss ln 2.

    >>> dpo_loss(*(torch.zeros(1),) * 4, beta=0.1)
    tensor(0.6931)
    """
    margin_R = (chosen_R - reference_chosen_R) - (rejected_R - reference_rejected_R)
    return -torch.nn.functional.logsigmoid(beta * margin_R).sum()


def group_advantages(rewards_PG: Tensor, valid_PG: Tensor) -> Tensor:
    """Reward minus the mean of its group over the valid entries; 0 where not valid. Shape [P, G].

    GRPO's baseline (arXiv:2402.03300) without the division by the standard deviation, which favours prompts whose
    rewards barely vary (arXiv:2503.20783). A completion whose grader failed is not valid: it leaves the group.

    >>> group_advantages(torch.tensor([[1., 0., 0., 1.]]), torch.ones(1, 4, dtype=torch.bool))
    tensor([[ 0.5000, -0.5000, -0.5000,  0.5000]])
    """
    valid = valid_PG.to(rewards_PG.dtype)
    rewards = torch.where(valid_PG, rewards_PG, torch.zeros_like(rewards_PG))
    mean_P1 = rewards.sum(-1, keepdim=True) / valid.sum(-1, keepdim=True).clamp(min=1)
    return (rewards - mean_P1) * valid


def policy_gradient_loss(
    logprobs_N: Tensor, drawn_logprobs_N: Tensor, advantages_N: Tensor, weights_N: Tensor, *, clip: float = 0.2
) -> Tensor:
    """-sum w * min(r A, clip(r, 1 - c, 1 + c) A) with r = exp(log p - log p_drawn) (arXiv:1707.06347, equation 7).

    On policy, with one update for each draw, r is 1 and this is the plain policy gradient.
    """
    ratio_N = torch.exp(logprobs_N - drawn_logprobs_N)
    clipped_N = ratio_N.clamp(1 - clip, 1 + clip)
    return -(weights_N * torch.minimum(ratio_N * advantages_N, clipped_N * advantages_N)).sum()


def completion_weights(lengths: list[int], *, normalise: str, max_new_tokens: int) -> list[float]:
    """Weight of each token of each completion; their use sets the step's denominator to `completion_count`.

    "token": 1 (every token the same, so a long answer does not count less for each token). "sequence": 1 / length
    (GRPO's own). "constant": 1 / max_new_tokens (Dr. GRPO).
    """
    if normalise == "token":
        return [1.0] * len(lengths)
    if normalise == "sequence":
        return [1.0 / max(n, 1) for n in lengths]
    return [1.0 / max_new_tokens] * len(lengths)


def completion_count(lengths: list[int], *, normalise: str) -> float:
    """What the step's sum is divided by: its tokens ("token"), else its completions."""
    return float(sum(lengths) if normalise == "token" else len(lengths))


def learning_rate(step: int, *, peak: float, schedule: str, warmup_steps: int, num_steps: int) -> float:
    """The rate of optimiser step `step` (counted from 1), a function of the step alone.

    >>> [round(learning_rate(s, peak=1., schedule="linear", warmup_steps=2, num_steps=4), 2) for s in (1, 2, 3, 4)]
    [0.5, 1.0, 0.67, 0.33]
    """
    if step <= warmup_steps:
        return peak * step / warmup_steps
    if schedule == "constant":
        return peak
    share = (step - max(warmup_steps, 1)) / max(num_steps - max(warmup_steps, 1) + (schedule == "linear"), 1)
    if schedule == "linear":
        return peak * (1 - share)
    cosine = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * min(share, 1.0), dtype=torch.float64))))
    return peak * (0.1 + 0.9 * cosine)
