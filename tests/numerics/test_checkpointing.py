"""Activations computed again in the backward pass: every trainable tensor learns what it learns without."""

from __future__ import annotations

import pytest
import torch

from fakes import ALL_SHAPES
from luthier.models.adapters import add_adapter
from luthier.models.passes import Pass, settle
from luthier.train.batch import Row
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.freezing import freeze
from luthier.train.machine import checkpointed_layers
from luthier.train.optimisers import make_optimiser
from luthier.train.sft import sft

V = 120
LENGTHS = (30, 6, 6, 13)
WAYS = {"padded": Pass(is_fused=True), "packed": Pass(is_packed=True, is_fused=True)}


@pytest.fixture(scope="module")
def rows():
    random = torch.Generator().manual_seed(5)
    return [Row(str(n), tuple(torch.randint(V, (n,), generator=random).tolist()), (1.0,) * n) for n in LENGTHS]


def with_adapter(model):
    """Low-rank adapters on all linear layers; the second factor is drawn too, else the first would have no gradient."""
    network = add_adapter(model, rank=4, alpha=8.0, dropout=0.0, targets="all-linear", rank_stabilised=False, dora=False,
                          also_train=()).network  # fmt: skip
    torch.manual_seed(3)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def with_frozen_embeddings(model):
    for parameter in model.network.parameters():
        parameter.requires_grad_(True)
    assert freeze(model.network, ["embeddings"])
    return model.network


KINDS = {"adapter": with_adapter, "frozen embeddings": with_frozen_embeddings}


def one_step(network, rows, how):
    """Gradients of the trainable tensors, and by how much a step with AdamW has moved each."""
    optim = OptimConfig(lr=1e-3, warmup_steps=0, schedule="constant", max_grad_norm=None)
    trainable = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    config = TrainConfig(batch_rows=len(rows), max_steps=1, micro_batch_tokens=40, optim=optim)
    work = sft(network, rows, config, how=how)
    next(steps(network, work, optimiser=make_optimiser(trainable, optim), config=optim, seed=0))
    grads = {n: None if p.grad is None else p.grad.clone() for n, p in trainable}
    moved = {n: float((p.detach() - before[n]).abs().max()) for n, p in network.named_parameters()}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(before[name])
    network.zero_grad(set_to_none=True)
    return grads, moved


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_checkpointing_with_frozen_embeddings_changes_no_gradient(load_tiny, rows, shape, kind):
    """Checkpointing with frozen embeddings gives zero gradients: also where the second pass through a layer
    needs the rows of a pack, and for each architecture."""
    network = KINDS[kind](load_tiny(shape))
    assert not network.get_input_embeddings().weight.requires_grad
    plain = {way: one_step(network, rows, how) for way, how in WAYS.items()}
    calls = []
    layer = next(m for m in network.modules() if isinstance(m, torch.nn.ModuleList))[-1]
    layer.register_forward_hook(lambda *_: calls.append("pass"))
    inner = next(m for m in layer.modules() if isinstance(m, torch.nn.Linear) or type(m).__name__ == "Conv1D")
    inner.register_forward_hook(lambda *_: calls.append("inner"))
    for way, how in WAYS.items():
        calls.clear()
        with checkpointed_layers(network):
            grads, moved = one_step(network, rows, how)
        assert calls.count("inner") == 2 * calls.count("pass") > 0  # each layer is indeed passed twice
        for name, gradient in grads.items():
            assert gradient is not None and gradient.any(), name
            assert moved[name] > 0, name
            assert torch.allclose(
                gradient, plain[way][0][name], rtol=1e-5, atol=1e-7 + 1e-6 * float(gradient.abs().max())
            )
        assert {name for name, by in moved.items() if by} == set(grads)


@pytest.mark.parametrize("shape", ["llama", "gpt2", "mixtral"])
def test_packed_and_padded_rows_teach_an_adapter_the_same(load_tiny, rows, shape):
    """With an adapter between the network and its rows."""
    network = with_adapter(load_tiny(shape))
    assert settle(network)[0] == WAYS["packed"]
    (padded, _), (packed, _) = (one_step(network, rows, how) for how in WAYS.values())
    for name, gradient in padded.items():
        assert torch.allclose(packed[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max())), name
