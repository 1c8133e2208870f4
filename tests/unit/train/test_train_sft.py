"""Supervised tuning teaches the answer and where it ends."""

from __future__ import annotations

import math

from fakes import tiny_examples, tiny_network
from luthier.models.generate import generator
from luthier.records import Sampling
from luthier.train.batch import rows_of
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.optimisers import make_optimiser
from luthier.train.sft import mean_nll, sft


def test_a_model_overfit_on_20_rows_stops_by_itself_on_20_of_20(load_tiny):
    """The stop token is never learned: it says each answer word for word, and then stops."""
    model = load_tiny("llama")
    examples = tiny_examples(20)
    rows = rows_of(examples, model.renderer, max_length=200, overlong="drop").rows
    model.network.load_state_dict(tiny_network("llama", vocabulary=len(model.tokenizer), spread=0.05).state_dict())
    config = TrainConfig(batch_rows=20, max_steps=150, optim=OptimConfig(lr=2e-2, schedule="linear", warmup_steps=5))
    done = list(steps(model.network, sft(model.network, rows, config), optimiser=make_optimiser([*model.network.named_parameters()], config.optim),
                      config=config.optim, seed=0))  # fmt: skip
    assert done[-1].loss < 0.05 < done[0].loss
    completions = generator(model)(examples, Sampling(max_new_tokens=80))
    assert [c.finish_reason for c in completions] == ["stop"] * 20
    assert [c.text for c in completions] == [e.targets[0] for e in examples]


def test_batch_tokens_take_the_place_of_batch_rows(tiny_model):
    rows = rows_of(tiny_examples(16), tiny_model.renderer, max_length=200, overlong="drop").rows
    work = sft(tiny_model.network, rows, TrainConfig(batch_tokens=100, batch_rows=1, epochs=1.0))
    todos = [work.prepare(step) for step in range(1, work.num_steps + 1)]
    assert all(sum(b.num_tokens for b in todo.batches) >= 100 for todo in todos[:-1])
    assert sum(todo.count for todo in todos) == sum(row.weight for row in rows)
    assert work.prepare(2).batches[0].rows == todos[1].batches[0].rows  # a step's work is a function of the step


def test_mean_nll_is_not_a_number_without_rows(tiny_model):
    assert math.isnan(mean_nll(tiny_model.network, [], micro_batch_tokens=10))
