"""Every architecture that the tests know is a real one: transformers writes it, reads it back, and answers the same."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from fakes import ALL_SHAPES, SHAPES, tiny_network, write_tiny_model
from luthier.models.load import load_model

KINDS = {
    "llama": "llama", "qwen3": "qwen3", "gemma3": "gemma3_text", "gpt2": "gpt2", "mistral": "mistral", "phi3": "phi3",
    "olmo2": "olmo2", "gpt_neox": "gpt_neox", "qwen3_moe": "qwen3_moe", "mixtral": "mixtral",
}  # fmt: skip
IDS = torch.arange(80).view(2, 40)


@torch.no_grad()
def logits(network, ids=IDS):
    return network(input_ids=ids).logits


def test_all_shapes_are_ten_and_begin_with_the_four_that_most_tests_use():
    assert list(KINDS) == list(ALL_SHAPES) and ALL_SHAPES[:4] == SHAPES


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_saved_model_answers_as_the_network_that_was_saved(shape, tmp_path):
    network = tiny_network(shape, seed=5)
    network.eval().save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert AutoConfig.from_pretrained(tmp_path).model_type == KINDS[shape]
    assert torch.equal(logits(again), logits(network))


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_luthier_loads_it_with_its_tokenizer_and_it_answers_the_same(shape, tmp_path):
    model = load_model(write_tiny_model(tmp_path / "m", shape, seed=5), device="cpu")
    written = tiny_network(shape, seed=5, vocabulary=len(model.tokenizer)).eval()
    assert torch.equal(logits(model.network), logits(written))
    assert model.max_length == 256 and model.renderer.stop_ids


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_every_weight_gets_a_gradient(shape):
    network = tiny_network(shape)
    network(input_ids=IDS, labels=IDS).loss.backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_context_matters_and_later_tokens_do_not(shape):
    network, other = tiny_network(shape), IDS.clone()
    other[:, 20] += 100
    a, b = logits(network), logits(network, other)
    assert torch.allclose(a[:, :20], b[:, :20], atol=1e-5)  # experts sort their tokens, so sums may change their order
    assert (a[:, 21] - b[:, 21]).abs().max() > 1e-3


def test_the_window_of_mistral_is_smaller_than_the_rows():
    network, other = tiny_network("mistral", layers=1), IDS.clone()
    other[:, 0] += 100
    a, b = logits(network), logits(network, other)
    assert torch.equal(a[:, 24:], b[:, 24:]) and not torch.allclose(a[:, 23], b[:, 23], atol=1e-4)


def test_the_network_has_as_many_layers_as_asked():
    assert [tiny_network(shape, layers=3).config.num_hidden_layers for shape in ALL_SHAPES] == [3] * 10
