"""Every formula against itself written plainly."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.train.losses import (
    completion_count,
    completion_weights,
    dpo_loss,
    group_advantages,
    learning_rate,
    policy_gradient_loss,
    sft_loss,
)

numbers = st.floats(-20, 0)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(rows=st.lists(st.tuples(numbers, st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=8))
def test_sft_loss_is_the_weighted_sum_and_never_nan(rows):
    """0 when nothing is trained."""
    loss = sft_loss(tensor(*(lp for lp, _ in rows)), tensor(*(w for _, w in rows)))
    assert float(loss) == pytest.approx(-sum(lp * w for lp, w in rows), abs=1e-12)


@given(pairs=st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=6), beta=st.floats(0.01, 2))
def test_dpo_loss_is_its_closed_form(pairs, beta):
    """Sum over pairs of -ln sigmoid(beta ((c - rc) - (r - rr))), in float64, with its gradient."""
    columns = [tensor(*column).requires_grad_(i < 2) for i, column in enumerate(zip(*pairs, strict=True))]
    loss = dpo_loss(*columns, beta=beta)
    margins = [(c - rc) - (r - rr) for c, r, rc, rr in pairs]
    assert float(loss.detach()) == pytest.approx(
        sum(math.log1p(math.exp(-beta * m)) for m in margins), rel=1e-9, abs=1e-12
    )
    loss.backward()
    slopes = [-beta / (1 + math.exp(beta * m)) for m in margins]
    assert columns[0].grad.tolist() == pytest.approx(slopes, rel=1e-9)
    assert columns[1].grad.tolist() == pytest.approx([-s for s in slopes], rel=1e-9)


def test_dpo_loss_is_ln_2_where_the_model_is_its_reference():
    """Whatever the answers' likelihoods."""
    chosen, rejected = tensor(-3.0, -40.0), tensor(-9.0, -2.0)
    assert float(dpo_loss(chosen, rejected, chosen, rejected, beta=0.7)) == pytest.approx(2 * math.log(2), abs=1e-12)


def test_group_advantages_leave_out_what_is_not_valid():
    """A verifier's exception becomes a reward: the others' mean does not know of it."""
    rewards = tensor([1.0, 0.0, 0.0, 0.0], [0.5, 0.7, 0.2, 0.9])
    valid = torch.tensor([[True, False, True, True], [False, False, False, True]])
    expected = [[2 / 3, 0, -1 / 3, -1 / 3], [0, 0, 0, 0]]
    assert group_advantages(rewards, valid).tolist() == [pytest.approx(row, abs=1e-12) for row in expected]
    rewards[0, 1] = float("nan")
    assert torch.isfinite(group_advantages(rewards, valid)).all()


def test_group_advantages_of_equal_rewards_are_zero():
    rewards = tensor([0.25] * 4, [1.0] * 4)
    assert not group_advantages(rewards, torch.ones(2, 4, dtype=torch.bool)).any()


@given(
    rows=st.lists(
        st.tuples(st.floats(-6, 0), st.floats(-6, 0), st.floats(-1, 1), st.floats(0.1, 1)), min_size=1, max_size=6
    )
)
def test_policy_gradient_loss_is_the_clipped_surrogate(rows):
    """arXiv:1707.06347, equation 7, token by token."""
    loss = policy_gradient_loss(*(tensor(*column) for column in zip(*rows, strict=True)), clip=0.2)
    plain = 0.0
    for lp, drawn, advantage, weight in rows:
        ratio = math.exp(lp - drawn)
        plain -= weight * min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage)
    assert float(loss) == pytest.approx(plain, rel=1e-9, abs=1e-9)


def test_on_policy_the_gradient_is_the_plain_policy_gradient():
    logprobs = tensor(-1.0, -2.0, -0.5).requires_grad_()
    advantages, weights = tensor(0.5, -0.25, 1.0), tensor(1.0, 1.0, 0.5)
    policy_gradient_loss(logprobs, logprobs.detach(), advantages, weights).backward()
    assert logprobs.grad.tolist() == pytest.approx((-advantages * weights).tolist())


def test_a_token_outside_the_trainers_nucleus_gives_no_nan():
    """A token on the edge of top-p may have log-probability -inf when it is recomputed."""
    logprobs = tensor(-torch.inf, -1.0).requires_grad_()
    loss = policy_gradient_loss(logprobs, tensor(-1.0, -1.0), tensor(1.0, 1.0), tensor(1.0, 1.0))
    loss.backward()
    assert math.isfinite(float(loss.detach())) and torch.isfinite(logprobs.grad).all()


@pytest.mark.parametrize(
    ("normalise", "weights", "count"),
    [("token", [1, 1, 1], 8), ("sequence", [1 / 5, 1, 1 / 2], 3), ("constant", [1 / 16] * 3, 3)],
)
def test_completion_weights_and_their_count(normalise, weights, count):
    """The three normalisations, by name."""
    lengths = [5, 1, 2]
    assert completion_weights(lengths, normalise=normalise, max_new_tokens=16) == pytest.approx(weights)
    assert completion_count(lengths, normalise=normalise) == count


def rates(schedule, *, warmup, steps):
    return [
        learning_rate(s, peak=2.0, schedule=schedule, warmup_steps=warmup, num_steps=steps) for s in range(1, steps + 1)
    ]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize(("warmup", "steps"), [(0, 10), (1, 10), (4, 10), (10, 10), (20, 10), (0, 1), (3, 4)])
def test_rates_rise_to_the_peak_and_never_again(schedule, warmup, steps):
    got = rates(schedule, warmup=warmup, steps=steps)
    rise = got[: min(warmup, steps)]
    assert rise == pytest.approx([2.0 * (i + 1) / warmup for i in range(len(rise))])
    rest = got[max(warmup - 1, 0) :]
    assert rest == sorted(rest, reverse=True)
    assert all(0 < rate <= 2.0 for rate in got)
    if warmup < steps:
        assert rest[0] == pytest.approx(2.0)


def test_schedules_end_where_they_say():
    assert rates("cosine", warmup=2, steps=11)[-1] == pytest.approx(0.2)  # a tenth
    assert rates("cosine", warmup=1, steps=11)[5] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))  # half way
    linear = rates("linear", warmup=2, steps=11)
    falls = [a - b for a, b in itertools.pairwise(linear[1:])]
    assert falls == pytest.approx([falls[0]] * len(falls)) and linear[-1] == pytest.approx(
        falls[0]
    )  # the next would be 0
    assert set(rates("constant", warmup=0, steps=5)) == {2.0}
