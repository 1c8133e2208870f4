"""Preference pairs: one prompt for both answers, and no dropout between the model and its reference."""

from __future__ import annotations

from fakes import tiny_preferences
from luthier.models.adapters import add_adapter
from luthier.records import Message, Preference
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.optimisers import make_optimiser
from luthier.train.preference import dpo, pairs_of, reference_logprobs


def test_both_answers_of_an_overlong_pair_follow_the_same_prompt(tiny_model) -> None:
    prompt = [Message(role="user", content="the blue lamp costs twelve coins " * 6)]
    pair = Preference.of(prompt, chosen="yes", rejected="no, the lamp left the house on monday and it was green")
    pairs = pairs_of([pair], tiny_model.renderer, max_length=60, overlong="cut_prompt")
    chosen, rejected = ([t for t, w in zip(r.token_ids, r.weights, strict=True) if w == 0] for r in pairs.rows)
    assert pairs.ledger == {"prompt cut": 1} and chosen == rejected
    assert len(pairs.rows[1].token_ids) == 60 > len(pairs.rows[0].token_ids)


def test_dropout_does_not_stand_between_the_model_and_its_reference(load_tiny) -> None:
    """The margin at step 0 is 0, with an adapter that has dropout too."""
    model = add_adapter(load_tiny("llama"), rank=4, alpha=8, dropout=0.5, targets="all-linear")
    for name, parameter in model.network.named_parameters():
        if "lora_B" in name:  # an adapter that does something, so that its dropout would show
            parameter.data.fill_(0.05)
    rows = pairs_of(tiny_preferences(4), model.renderer, max_length=200, overlong="cut_prompt").rows
    config = TrainConfig(method="dpo", max_steps=1, batch_rows=4, optim=OptimConfig(lr=1e-3))
    work = dpo(model.network, rows, reference_logprobs(model.network, rows, micro_batch_tokens=512), config)
    optimiser = make_optimiser([*model.network.named_parameters()], config.optim)
    (step,) = steps(model.network, work, optimiser=optimiser, config=config.optim, seed=0)
    assert abs(step.metrics["dpo/margin"]) < 1e-4
