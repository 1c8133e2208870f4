"""The loss of the first step against transformers alone, row by row."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fakes import SHAPES, tiny_examples
from luthier.models.load import load_model
from luthier.train.batch import rows_of, text_rows
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.optimisers import make_optimiser
from luthier.train.sft import mean_nll, sft


def first_loss(model, rows, **options) -> float:
    config = TrainConfig(batch_rows=len(rows), max_steps=1, optim=OptimConfig(lr=1e-9), **options)
    work = sft(model.network, rows, config)
    return next(
        steps(model.network, work, optimiser=make_optimiser([*model.network.named_parameters()], config.optim), config=config.optim, seed=0)
    ).loss


def plain_loss(folder, examples, template) -> float:
    """Ids and spans from transformers' own chat template method, loss from its own forward pass over each row alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    total = count = 0.0
    for example in examples:
        chat = [{"role": m.role, "content": m.content} for m in example.messages]
        ids = tokenizer.apply_chat_template(chat, return_dict=False)
        begin = len(tokenizer.apply_chat_template(chat[:-1], add_generation_prompt=True, return_dict=False))
        after = len(tokenizer.encode(chat[-1]["content"], add_special_tokens=False)) + 1
        labels = torch.full((1, len(ids)), -100)
        labels[0, begin : begin + after] = torch.tensor(ids[begin : begin + after])
        with torch.no_grad():
            loss = network(input_ids=torch.tensor([ids]), labels=labels).loss
        total += float(loss) * after
        count += after
    return total / count


def test_first_loss_is_that_of_plain_forward_passes(tiny_folder, load_tiny, shape):
    examples = tiny_examples(16)
    model = load_tiny(shape)
    rows = rows_of(examples, model.renderer, max_length=200, overlong="drop").rows
    expected = plain_loss(tiny_folder(shape), examples, model.renderer.template)
    assert first_loss(model, rows, micro_batch_tokens=300) == pytest.approx(expected, abs=1e-5)
    assert mean_nll(model.network, rows, micro_batch_tokens=100) == pytest.approx(expected, abs=1e-5)


def test_first_loss_on_stories260k(real_data):
    """A model that nobody here trained, its own tokenizer, and the plain template."""
    examples = tiny_examples(16)
    model = load_model(real_data / "stories260k", device="cpu")
    rows = rows_of(examples, model.renderer, max_length=400, overlong="drop").rows
    assert first_loss(model, rows) == pytest.approx(plain_loss_of_rows(real_data / "stories260k", rows), abs=1e-5)


def plain_loss_of_rows(folder, rows) -> float:
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    total = 0.0
    for row in rows:
        with torch.no_grad():
            logprobs = torch.log_softmax(network(input_ids=torch.tensor([row.token_ids])).logits[0], -1)
        total -= sum(w * float(logprobs[t - 1, row.token_ids[t]]) for t, w in enumerate(row.weights) if w > 0)
    return total / sum(sum(row.weights) for row in rows)


def test_pre_training_predicts_every_token_once(load_tiny):
    """Long documents become several rows that overlap by one token; the loss is that of all tokens but the first."""
    model = load_tiny("llama")
    documents = ["the shop opens at nine. " * 12, "x", "the blue lamp"]
    eos = model.tokenizer.eos_token_id
    fit = text_rows(documents, model.renderer.encode, eos_id=eos, bos_ids=[], max_length=40)
    whole = [[*model.renderer.encode(d), eos] for d in documents]
    assert sum(row.weight for row in fit.rows) == sum(len(ids) - 1 for ids in whole)
    assert max(len(row.token_ids) for row in fit.rows) == 40
    for number, ids in enumerate(whole):
        pieces = [row.token_ids for row in fit.rows if row.example_id == f"document {number}"]
        assert [*pieces[0], *(t for piece in pieces[1:] for t in piece[1:])] == ids
    assert first_loss(model, fit.rows) == pytest.approx(
        plain_loss_of_rows(model.folder, [_all_but_first(r) for r in fit.rows]), abs=1e-5
    )


def _all_but_first(row):
    return type(row)(row.example_id, row.token_ids, (0.0, *row.weights[1:]))


def test_every_shape_is_covered():
    assert set(SHAPES) == {"llama", "qwen3", "gemma3", "gpt2"}
