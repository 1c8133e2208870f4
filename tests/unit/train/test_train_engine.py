"""The loop: what it logs, what it decays, and where its random numbers come from."""

from __future__ import annotations

import math

import pytest
import torch

from fakes import tiny_examples, tiny_network
from luthier.train.batch import rows_of
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import PieceLoss, Step, StepWork, Work, steps
from luthier.train.optimisers import make_optimiser
from luthier.train.sft import sft


@pytest.fixture
def rows(tiny_model):
    return rows_of(tiny_examples(8), tiny_model.renderer, max_length=200, overlong="drop").rows


def run(rows, *, network=None, first=1, **options):
    config = TrainConfig(**{"batch_rows": 3, "max_steps": 4, "optim": OptimConfig(lr=1e-3), **options})
    network = network if network is not None else tiny_network("llama")
    optimiser = make_optimiser([*network.named_parameters()], config.optim)
    return list(
        steps(
            network, sft(network, rows, config), optimiser=optimiser, config=config.optim, seed=config.seed, first=first
        )
    )


def test_each_step_is_logged_with_what_it_consumed(rows):
    done = run(rows, epochs=1.0)
    assert [s.index for s in done] == [1, 2, 3] and {s.num_steps for s in done} == {3}
    assert sum(s.tokens for s in done) == sum(len(r.token_ids) for r in rows)
    assert sum(s.trained_tokens for s in done) == sum(sum(w > 0 for w in r.weights) for r in rows)
    event = done[0].event()
    assert list(event) == [
        "step",
        "num_steps",
        "train/loss",
        "train/tokens",
        "train/trained_tokens",
        "train/tokens_per_s",
        "train/lr",
        "train/grad_norm",
        "train/utilisation",
    ]
    assert event["train/loss"] == done[0].loss and math.isfinite(event["train/loss"])


def test_the_line_of_a_step_reads_at_a_glance():
    step = Step(index=120, num_steps=800, loss=1.482, tokens=41200, trained_tokens=9, seconds=2.0, lr=9.1e-5, grad_norm=0.84,
                metrics={"dpo/margin": 0.25})  # fmt: skip
    assert (
        step.line()
        == "step   120/800 | loss 1.4820 | margin 0.25 | lr 9.1e-05 | grad 0.84 | tokens/s 20,600 | left 00:22:40"
    )


def test_decay_is_for_matrices_only():
    network = tiny_network("gpt2")
    groups = make_optimiser([*network.named_parameters()], OptimConfig(weight_decay=0.1)).param_groups
    assert {(p.ndim >= 2, g["weight_decay"]) for g in groups for p in g["params"]} == {(True, 0.1), (False, 0.0)}
    assert sum(p.numel() for g in groups for p in g["params"]) == sum(p.numel() for p in network.parameters())


def test_updates_are_those_of_adamw_written_plainly(rows):
    """Three steps against arXiv:1711.05101 in a few lines, clipping and schedule included."""
    optim = OptimConfig(
        lr=1e-2, beta1=0.8, beta2=0.95, weight_decay=0.1, schedule="linear", warmup_steps=1, max_grad_norm=0.5
    )
    network, plain = tiny_network("llama"), tiny_network("llama")
    config = TrainConfig(batch_rows=3, max_steps=3, optim=optim)
    done = list(
        steps(network, sft(network, rows, config), optimiser=make_optimiser([*network.named_parameters()], optim), config=optim, seed=0)
    )
    work = sft(plain, rows, config)
    m, v = ({n: torch.zeros_like(p) for n, p in plain.named_parameters()} for _ in range(2))
    for index in (1, 2, 3):
        todo = work.prepare(index)
        plain.zero_grad()
        sum(work.loss(b).total for b in todo.batches).div(todo.count).backward()
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in plain.parameters()))
        assert done[index - 1].grad_norm == pytest.approx(norm, rel=1e-5)
        assert norm > 0.5
        with torch.no_grad():
            for name, p in plain.named_parameters():
                g = p.grad * 0.5 / norm
                m[name] = 0.8 * m[name] + 0.2 * g
                v[name] = 0.95 * v[name] + 0.05 * g * g
                p *= 1 - done[index - 1].lr * (0.1 if p.ndim >= 2 else 0)
                p -= done[index - 1].lr * (m[name] / (1 - 0.8**index)) / ((v[name] / (1 - 0.95**index)).sqrt() + 1e-8)
    for a, b in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-5)


def test_the_gradient_norm_is_logged_before_it_is_scaled(rows):
    free = run(rows, optim=OptimConfig(max_grad_norm=None), max_steps=1)[0]
    cut = run(rows, optim=OptimConfig(max_grad_norm=1e-3), max_steps=1)[0]
    assert cut.grad_norm == pytest.approx(free.grad_norm) and free.grad_norm > 0.1


def test_dropout_is_a_function_of_seed_and_step(rows):
    """The random numbers of a step do not depend on the steps before it, nor on who drew since."""
    network = tiny_network("gpt2", dropout=0.3)
    state = {k: v.clone() for k, v in network.state_dict().items()}

    def last_loss(first, seed=0):
        network.load_state_dict(state)
        torch.rand(first)
        done = run(rows, network=network, first=first, optim=OptimConfig(lr=1e-12), seed=seed)
        return done[-1].loss

    assert last_loss(1) == pytest.approx(last_loss(4), rel=1e-6)
    # The data order depends on the seed too, so dropout is seen by itself where there is no order.
    one_row = [rows[0]]
    losses = {
        run(one_row, network=network, batch_rows=1, max_steps=1, seed=seed, optim=OptimConfig(lr=1e-12))[0].loss
        for seed in (0, 1)
    }
    assert len(losses) == 2


def test_measured_sums_are_divided_by_the_steps_count(rows):
    network = tiny_network("llama")
    inner = sft(network, rows, TrainConfig(batch_rows=4, max_steps=1, micro_batch_tokens=1))
    todo = inner.prepare(1)
    assert len(todo.batches) == 4

    def loss(batch):
        return PieceLoss(inner.loss(batch).total, {"x/sum": 2.0})

    work = Work(1, lambda _: StepWork(todo.batches, todo.count, {"x/seen": 7.0}), loss)
    optimiser = make_optimiser([*network.named_parameters()], OptimConfig())
    done = next(steps(network, work, optimiser=optimiser, config=OptimConfig(), seed=0))
    assert done.metrics == {"x/sum": pytest.approx(8.0 / todo.count), "x/seen": 7.0, "train/utilisation": 1.0}
