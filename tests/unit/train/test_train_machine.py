"""Memory that is kept, layers that are compiled or computed again: the numbers stay what they were."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from fakes import tiny_network
from luthier.models.reshape import layers_of
from luthier.train import machine
from luthier.train.machine import checkpointed_layers, compiled_layers, freed_memory_kept


def gradients(network, *, training: bool):
    network.train(training)
    network.zero_grad()
    torch.manual_seed(1)
    ids = torch.arange(24).view(2, 12) + 5
    loss = network(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in network.parameters()]


def kept_bytes(network) -> int:
    """What the forward pass keeps for the backward pass, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept = {}

    def keep(tensor):
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            kept[place] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = network(input_ids=torch.arange(200).view(1, 200), use_cache=False).logits
    assert held.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation mode, as preferences train"])
@pytest.mark.parametrize("shape", ["llama", "gpt2", "qwen3_moe"])
def test_layers_computed_again_have_the_same_gradients_to_the_bit(shape, training):
    """With dropout, which draws the same the second time."""
    network = tiny_network(shape, dropout=0.2 if shape == "gpt2" else 0.0)
    loss, expected = gradients(network, training=training)
    with checkpointed_layers(network):
        again, found = gradients(network, training=training)
    assert torch.equal(loss, again) and all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_layers_computed_again_keep_less(training):
    network = tiny_network("llama", layers=4).train(training)
    plain = kept_bytes(network)
    with checkpointed_layers(network):
        assert kept_bytes(network) < plain / 3
    assert kept_bytes(network) == plain


def test_nothing_is_computed_again_where_no_gradient_is_taken(monkeypatch):
    network = tiny_network("llama")
    monkeypatch.setattr(machine, "checkpoint", lambda *_, **__: pytest.fail("computed again"))
    with checkpointed_layers(network), torch.no_grad():
        network(input_ids=torch.tensor([[5, 6]]), use_cache=False)
    with checkpointed_layers(network), pytest.raises(pytest.fail.Exception):
        network(input_ids=torch.tensor([[5, 6]]), use_cache=False)


@pytest.mark.filterwarnings("ignore")  # torch's own, of itself
def test_layers_are_compiled_once_for_all_and_for_any_length(monkeypatch):
    """With a compiler that writes no code; what it is given to compile is the same."""
    from torch._dynamo.utils import counters

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda forward, **options: real(forward, backend="eager", **options))
    counts = []
    for layers in (1, 2):
        network = tiny_network("llama", layers=layers)
        loss, expected = gradients(network, training=True)
        counters.clear()
        with compiled_layers(network):
            again, found = gradients(network, training=True)
            for length in (7, 30, 55):
                network(input_ids=torch.arange(length).view(1, length), use_cache=False).logits.sum().backward()
            counts.append(counters["stats"]["unique_graphs"])
        assert torch.allclose(loss, again, rtol=1e-6)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, found, strict=True))
        assert not any("forward" in vars(layer) for layer in layers_of(network)[1])
    assert counts[0] == counts[1] > 0


@pytest.mark.filterwarnings("ignore")  # torch's own, of itself
def test_what_is_computed_again_is_compiled_too(monkeypatch):
    """A compiler that met the recomputation inside of what it compiles would give up the layer, silently."""
    from torch._dynamo.utils import counters

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda forward, **options: real(forward, backend="eager", **options))
    network = tiny_network("llama")
    _, expected = gradients(network, training=True)
    counts = []
    for again in (False, True):
        counters.clear()
        with compiled_layers(network):
            if again:
                with checkpointed_layers(network):
                    _, found = gradients(network, training=True)
                assert all("forward" in vars(layer) for layer in layers_of(network)[1])  # still compiled
            else:
                _, found = gradients(network, training=True)
        counts.append(counters["stats"]["unique_graphs"])
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, found, strict=True))
    assert counts[0] == counts[1] > 0


def test_freed_memory_is_kept_inside_and_given_back_afterwards(monkeypatch):
    calls = []

    class Library:
        mallopt = staticmethod(lambda what, value: calls.append((what, value)))
        malloc_trim = staticmethod(lambda pad: calls.append(("trim", pad)))

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library)
    monkeypatch.setattr(sys, "platform", "linux")
    thresholds = [machine.M_MMAP_THRESHOLD, machine.M_TRIM_THRESHOLD]
    with freed_memory_kept():
        assert [what for what, _ in calls] == thresholds
        assert all(value >= 2**30 for _, value in calls)
        calls.clear()
    assert calls == [*((what, machine.USUAL) for what in thresholds), ("trim", 0)]


@pytest.mark.parametrize(("platform", "library"), [("darwin", None), ("linux", object())])
def test_another_system_or_c_library_is_left_alone(monkeypatch, platform, library):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library if platform == "linux" else pytest.fail("asked"))
    with freed_memory_kept():
        pass
