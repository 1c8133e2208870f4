"""The embedding's gradient added in place is the library's own, over any number of passes."""

from __future__ import annotations

import pytest
import torch

from fakes import ALL_SHAPES, tiny_network
from luthier.models.embedding import sparse_embedding_gradient


def gradients(network, passes):
    network.zero_grad(set_to_none=True)
    for ids in passes:
        network(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_gradients_over_several_passes_are_the_librarys(shape):
    network = tiny_network(shape).eval()
    random = torch.Generator().manual_seed(1)
    passes = [torch.randint(400, (2, 9), generator=random) for _ in range(3)]
    expected = gradients(network, passes)
    with sparse_embedding_gradient(network) as applies:
        found = gradients(network, passes)
    assert applies == (shape != "gemma3")  # whose embeddings are scaled by a layer of its own
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-5, atol=1e-6), name


def test_no_dense_gradient_is_made_after_the_first_pass(monkeypatch):
    network = tiny_network().eval()
    made = []
    zeros = torch.zeros_like
    monkeypatch.setattr(torch, "zeros_like", lambda like, **kw: made.append(like.shape) or zeros(like, **kw))
    with sparse_embedding_gradient(network):
        gradients(network, [torch.tensor([[1, 2, 3]])] * 3)
    assert made.count(network.get_input_embeddings().weight.shape) == 1


def test_it_leaves_the_network_as_it_was_and_frozen_embeddings_alone():
    network = tiny_network()
    layer = network.get_input_embeddings()
    with sparse_embedding_gradient(network):
        assert "forward" in vars(layer)
    assert "forward" not in vars(layer)
    layer.weight.requires_grad_(False)
    with sparse_embedding_gradient(network) as applies:
        assert not applies
