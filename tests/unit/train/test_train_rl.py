"""Rollouts on real (tiny) models: the sampler's log-probabilities are the trainer's."""

from __future__ import annotations

import pytest
import torch

from fakes import tiny_examples
from luthier.graders import grade_all
from luthier.models.generate import generator
from luthier.records import Completion, Example, Grade, Message, Sampling
from luthier.train.batch import micro_batches
from luthier.train.config import GrpoSettings, OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.optimisers import make_optimiser
from luthier.train.rl import assemble, drawn_token_logprobs, grpo


def graded(completions, values):
    return [
        Grade(completion_id=c.id, example_id=c.example_id, grader="g", value=v, is_error=v is None)
        for c, v in zip(completions, values, strict=True)
    ]


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
def test_on_policy_the_ratio_is_1(tiny, shape, temperature, top_p):
    """Sampler and trainer disagree on log-probabilities."""
    model = tiny(shape)
    settings = GrpoSettings(group_size=2, max_new_tokens=16, temperature=temperature, top_p=top_p)
    examples = tiny_examples(4)
    sampling = Sampling(max_new_tokens=16, temperature=temperature, top_p=top_p, num_samples=2, seed=5)
    completions = generator(model)(examples, sampling)
    rollout = assemble(
        [model.renderer.prompt(e.prompt) for e in examples], completions, graded(completions, [1.0, 0.0] * 4), settings,
        max_length=model.max_length,
    )  # fmt: skip
    assert len(rollout.rows) == 8
    worst = 0.0
    for batch in micro_batches(rollout.rows, micro_batch_tokens=300):
        with torch.no_grad():
            now = drawn_token_logprobs(model.network, batch, settings)
        drawn = torch.tensor([lp for r in batch.rows for lp in rollout.drawn_logprobs[r]])
        worst = max(worst, float((torch.exp(now - drawn) - 1).abs().max()))
    assert worst < 1e-5


def test_the_rows_of_a_rollout_are_prompts_and_drawn_tokens(tiny_model):
    completions = [
        Completion.of(example_id="e", model_id="m", text=str(n), token_ids=(50 + n, 51), logprobs=(-1.0, -2.0))
        for n in range(4)
    ]
    settings = GrpoSettings(group_size=4, normalise="sequence")
    rollout = assemble([[7, 8, 9]], completions, graded(completions, [1.0, None, 0.0, 0.5]), settings, max_length=100)
    assert [r.token_ids for r in rollout.rows] == [(7, 8, 9, 50, 51), (7, 8, 9, 52, 51)]
    assert {r.weights for r in rollout.rows} == {(0.0, 0.0, 0.0, 0.5, 0.5)}
    assert rollout.advantages == pytest.approx([0.5, -0.5])  # the third valid one is the mean itself: no gradient
    assert rollout.lengths == [2, 2, 2] and rollout.drawn_logprobs == [(-1.0, -2.0)] * 2


def test_a_prompt_too_long_is_cut_as_the_sampler_cuts_it(load_tiny):
    """The trainer sees the tokens that the sampler saw."""
    model = load_tiny("llama")
    example = Example.of([Message(role="user", content="7" * 400)])
    completions = generator(model)([example], Sampling(max_new_tokens=5, temperature=1.0, num_samples=2))
    settings = GrpoSettings(group_size=2)
    rollout = assemble(
        [model.renderer.prompt(example.prompt)],
        completions,
        graded(completions, [1.0, 0.0]),
        settings,
        max_length=model.max_length,
    )
    assert {len(r.token_ids) for r in rollout.rows} == {model.max_length}
    batch = micro_batches(rollout.rows, micro_batch_tokens=10_000)[0]
    with torch.no_grad():
        now = drawn_token_logprobs(model.network, batch, settings)
    assert now.tolist() == pytest.approx([lp for r in batch.rows for lp in rollout.drawn_logprobs[r]], abs=1e-5)


def test_a_graders_exception_is_counted_and_never_a_zero(load_tiny):
    """A verifier's exception becomes a reward: through the grading that recipes pass in."""
    model = load_tiny("llama")
    seen = []

    def grader(example, completion):
        if len(seen) % 3 == 0:
            seen.append(completion)
            raise ZeroDivisionError("the verifier broke")
        seen.append(completion)
        return Grade(completion_id=completion.id, example_id=example.id, grader="mine", value=float(len(seen) % 2))

    kept = {}
    config = TrainConfig(method="grpo", batch_rows=2, max_steps=1, grpo=GrpoSettings(group_size=6, max_new_tokens=4))
    work = grpo(
        model,
        tiny_examples(2),
        lambda e, c: grade_all(grader, e, c),
        config,
        on_rollout=lambda s, c, g: kept.update({s: (c, g)}),
    )
    step = next(
        steps(model.network, work, optimiser=make_optimiser([*model.network.named_parameters()], config.optim), config=config.optim, seed=0)
    )
    completions, grades = kept[1]
    assert len(completions) == len(grades) == 12
    assert sum(g.is_error for g in grades) == step.metrics["rl/errors"] == 4
    values = [g.value for g in grades if not g.is_error]
    assert step.metrics["rl/reward"] == pytest.approx(sum(values) / 8)
    assert step.trained_tokens > 0


def test_reinforcement_raises_the_reward(load_tiny):
    """It learns: the reward is a first token out of a quarter of the vocabulary, 25 steps."""
    model = load_tiny("llama")

    def grade(examples, completions):
        return graded(completions, [float(c.token_ids[0] % 4 == 0) for c in completions])

    config = TrainConfig(
        method="grpo", batch_rows=4, max_steps=25, optim=OptimConfig(lr=1e-2, schedule="constant"),
        grpo=GrpoSettings(group_size=8, max_new_tokens=1),
    )  # fmt: skip
    work = grpo(model, tiny_examples(4), grade, config, on_rollout=lambda *_: None)
    done = list(
        steps(model.network, work, optimiser=make_optimiser([*model.network.named_parameters()], config.optim), config=config.optim, seed=0)
    )
    rewards = [s.metrics["rl/reward"] for s in done]
    assert sum(rewards[:3]) / 3 < 0.5 and sum(rewards[-3:]) / 3 > 0.9
