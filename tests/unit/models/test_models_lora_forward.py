"""The LoRA forward that works in place, against peft's own."""

from __future__ import annotations

import copy

import pytest
import torch

from luthier.models.adapters import add_adapter
from luthier.models.load import load_model
from luthier.models.lora_forward import fast_lora

IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])


def adapted(model, *, dtype=torch.float64, **options):
    """The model's network with an adapter of some size."""
    network = add_adapter(model, rank=4, alpha=8.0, **{"dropout": 0.0, "targets": "all-linear", **options}).network
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.3
    return network.to(dtype) if dtype else network


def value_and_gradients(network):
    network.zero_grad(set_to_none=True)
    logits = network(input_ids=IDS).logits
    weights = torch.linspace(-1, 1, logits.numel()).view_as(logits).to(logits.dtype)
    (logits * weights).sum().backward()
    return logits.detach(), {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3"])
def test_fast_lora_has_the_values_and_gradients_of_peft(load_tiny, name):
    network = adapted(load_tiny(name))
    theirs, their_gradients = value_and_gradients(network)
    with fast_lora(network) as count:
        ours, our_gradients = value_and_gradients(network)
    assert count == 14
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
    assert our_gradients.keys() == their_gradients.keys() and len(our_gradients) == 28
    for key, gradient in our_gradients.items():
        torch.testing.assert_close(gradient, their_gradients[key], atol=1e-10, rtol=1e-10)


def test_fast_lora_makes_no_other_product_than_its_own(load_tiny, monkeypatch):
    """The patched layers are the ones that run, and peft's forward is back afterwards."""
    from peft.tuners.lora.layer import Linear

    network = adapted(load_tiny("llama"))
    calls = []
    theirs = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda layer, x: (calls.append(1), theirs(layer, x))[1])
    with fast_lora(network):
        network(input_ids=IDS)
        assert not calls
    network(input_ids=IDS)
    assert len(calls) == 14


def test_a_base_with_bias_keeps_it(load_tiny):
    model = load_tiny("llama")
    linear = model.network.model.layers[0].self_attn.q_proj
    linear.bias = torch.nn.Parameter(torch.linspace(-1, 1, linear.out_features))
    network = adapted(model)
    theirs, _ = value_and_gradients(network)
    with fast_lora(network):
        ours, _ = value_and_gradients(network)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_on_a_bfloat16_base_the_values_are_those_of_peft(tiny_model_folder):
    network = adapted(load_model(tiny_model_folder, dtype="bfloat16", device="cpu"), dtype=None)
    theirs, their_gradients = value_and_gradients(network)
    with fast_lora(network):
        ours, our_gradients = value_and_gradients(network)
    assert torch.equal(ours, theirs) or (ours - theirs).float().norm() < 1e-2 * theirs.float().norm()
    for key, gradient in our_gradients.items():
        assert gradient.dtype == torch.float32
        assert (gradient - their_gradients[key]).norm() < 0.1 * their_gradients[key].norm()


def test_a_layer_that_is_not_plain_keeps_the_forward_of_peft(load_tiny, tiny_model_folder):
    for model, options in ((load_tiny("gpt2"), {}), (load_tiny("llama"), {"dora": True})):
        with fast_lora(adapted(model, **options)) as count:
            assert count == 0


def test_dropout_draws_and_adapters_turn_off_inside(load_tiny):
    network = adapted(load_tiny("llama"), dropout=0.5)
    with torch.no_grad():
        plain = network(input_ids=IDS).logits
        with network.disable_adapter():
            base = network(input_ids=IDS).logits
        network.train()
        torch.manual_seed(3)
        dropped = network(input_ids=IDS).logits
        with fast_lora(network):
            torch.manual_seed(3)
            assert torch.equal(network(input_ids=IDS).logits, dropped)
            network.eval()
            torch.testing.assert_close(network(input_ids=IDS).logits, plain, atol=1e-10, rtol=1e-10)
            with network.disable_adapter():
                assert torch.equal(network(input_ids=IDS).logits, base)
            network.merge_adapter()
            torch.testing.assert_close(network(input_ids=IDS).logits, plain, atol=1e-10, rtol=1e-10)
            network.unmerge_adapter()
    assert not torch.equal(dropped, plain) and not torch.equal(plain, base)


def test_under_autocast_the_products_are_in_half_precision_as_with_peft(load_tiny):
    network = adapted(load_tiny("llama"), dtype=torch.float32)
    exact, _ = value_and_gradients(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs, their_gradients = value_and_gradients(network)
        with fast_lora(network):
            ours, our_gradients = value_and_gradients(network)
    assert ours.dtype == theirs.dtype == torch.bfloat16 and {g.dtype for g in our_gradients.values()} == {torch.float32}
    assert 0 < (ours - exact).norm() < 1.3 * (theirs - exact).norm()
    for key, gradient in our_gradients.items():
        assert (gradient - their_gradients[key]).norm() < 0.2 * their_gradients[key].norm()


def test_a_base_weight_that_trains_gets_its_gradient(load_tiny):
    network = adapted(load_tiny("llama"))
    weight = network.base_model.model.model.layers[0].mlp.up_proj.base_layer.weight.requires_grad_(True)
    with fast_lora(network):
        value_and_gradients(network)
    assert weight.grad is not None and weight.grad.abs().sum() > 0


def test_fast_lora_is_gone_when_the_block_fails(load_tiny):
    network = adapted(load_tiny("llama"))
    before = copy.copy(network.base_model.model.model.layers[0].mlp.up_proj.__dict__)
    with pytest.raises(KeyError), fast_lora(network):
        raise KeyError
    assert network.base_model.model.model.layers[0].mlp.up_proj.__dict__.keys() == before.keys()
