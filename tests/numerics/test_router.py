"""Mixtures of experts: the loss that spreads tokens over the experts, against the library's own."""

from __future__ import annotations

import pytest
import torch

from fakes import tiny_network
from luthier.models.passes import Pass, forward
from luthier.train.batch import Row, collate, micro_batches
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.machine import checkpointed_layers
from luthier.train.sft import sft

V = 120
LENGTHS = (30, 4, 9, 17)
WEIGHT = 0.5
WAYS = {
    "padded": Pass(with_router=True),
    "packed": Pass(is_packed=True, with_router=True),
    "packed, fused": Pass(is_packed=True, is_fused=True, with_router=True),
}


@pytest.fixture(params=["qwen3_moe", "mixtral"])
def network(request):
    network = tiny_network(request.param, vocabulary=V, seed=1).double()
    network.set_experts_implementation("eager")
    # Lopsided, so that the loss has something to spread.
    for name, parameter in network.named_parameters():
        if name.endswith("gate.weight"):
            parameter.data[0] += 0.3
    return network


@pytest.fixture
def rows():
    random = torch.Generator().manual_seed(5)
    return [Row(str(n), tuple(torch.randint(V, (n,), generator=random).tolist()), (1.0,) * n) for n in LENGTHS]


def one_step(network, rows, *, how, router_weight=WEIGHT, micro_batch_tokens=10_000):
    network.zero_grad()
    config = TrainConfig(batch_rows=len(rows), max_steps=1, micro_batch_tokens=micro_batch_tokens,
                         optim=OptimConfig(lr=1e-30, max_grad_norm=None))  # fmt: skip
    work = sft(network, rows, config, how=how, router_weight=router_weight)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-30)
    step = next(steps(network, work, optimiser=optimiser, config=config.optim, seed=0))
    return step, {name: p.grad.clone() for name, p in network.named_parameters()}


def librarys_own(network, rows, *, router_weight=WEIGHT):
    """Loss, load and gradients of the library's forward pass with labels, an attention mask and router logits."""
    network.zero_grad()
    batch = collate(rows, range(len(rows)))
    mask = torch.zeros_like(batch.input_ids_BT)
    for b, n in enumerate(batch.lengths):
        mask[b, :n] = 1
    network.router_aux_loss_coef = router_weight
    labels = batch.input_ids_BT.masked_fill(mask == 0, -100)
    out = network(input_ids=batch.input_ids_BT, attention_mask=mask, labels=labels, output_router_logits=True)
    out.loss.backward()
    grads = {name: p.grad.clone() for name, p in network.named_parameters()}
    return float(out.loss.detach()), float(out.aux_loss.detach()), grads


def distance(found, expected, only="") -> float:
    names = [name for name in expected if only in name]
    assert names
    return max(float((found[n] - expected[n]).norm() / expected[n].norm()) for n in names)


@pytest.mark.parametrize("way", WAYS)
def test_the_load_and_its_gradient_are_the_librarys(network, rows, way):
    """Auxiliary loss of experts without gradient: with one piece a step, every tensor's gradient is that of
    the library's loss; packed rows give the load of padded ones whose padding is masked."""
    loss, load, expected = librarys_own(network, rows)
    step, found = one_step(network, rows, how=WAYS[way])
    assert load > 1.01  # 1 is an even spread
    assert step.metrics["train/router_loss"] == pytest.approx(load, rel=1e-6)
    assert step.loss + WEIGHT * load == pytest.approx(loss, rel=1e-6)  # the logged loss is that of the tokens alone
    assert distance(found, expected) < 1e-5


@pytest.mark.parametrize("way", WAYS)
def test_the_routers_gradient_has_a_part_of_the_load(network, rows, way):
    """Non-zero on every router, and proportional to its weight."""
    none, half, whole = (one_step(network, rows, how=WAYS[way], router_weight=w)[1] for w in (0.0, 0.5, 1.0))
    gates = [name for name in none if name.endswith("gate.weight")]
    assert len(gates) == 2
    for name in gates:
        part = half[name] - none[name]
        assert float(part.norm()) > 1e-3 * float(none[name].norm()) > 0
        assert torch.allclose(whole[name] - none[name], 2 * part, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_of_0_leaves_the_load_out(network, rows, way):
    """Also where the model's own config asks for router logits."""
    _, _, expected = librarys_own(network, rows, router_weight=0.0)
    network.config.output_router_logits = True
    step, found = one_step(network, rows, how=Pass(WAYS[way].is_packed, WAYS[way].is_fused), router_weight=0.0)
    assert distance(found, expected) < 1e-5
    assert "train/router_loss" not in step.metrics


@pytest.mark.parametrize("way", WAYS)
def test_the_load_is_computed_again_with_checkpointed_activations(network, rows, way):
    """The router's logits of a checkpointed layer carry a gradient all the same."""
    _, expected = one_step(network, rows, how=WAYS[way])
    calls = []
    network.model.layers[0].mlp.gate.register_forward_hook(lambda *_: calls.append(1))
    with checkpointed_layers(network):
        step, found = one_step(network, rows, how=WAYS[way])
    assert len(calls) == 2 and step.metrics["train/router_loss"] > 1
    assert distance(found, expected) < 1e-9


def test_padding_does_not_count_in_the_load(network, rows):
    """One long row and three short ones: two thirds of the positions are padding, and say nothing of the experts."""
    batch = collate(rows, range(len(rows)))
    assert batch.input_ids_BT.numel() == 2 * batch.num_tokens
    loads = []
    for filled in (0, 3):
        ids = batch.input_ids_BT.clone()
        for b, n in enumerate(batch.lengths):
            ids[b, n:] = filled
        with torch.no_grad():
            passed = forward(network, ids, batch.positions_N, how=WAYS["padded"], lengths=batch.lengths)
        loads.append(float(passed.router_loss))
    assert loads[0] == loads[1]
    blind = network(input_ids=batch.input_ids_BT, output_router_logits=True).aux_loss
    assert abs(float(blind.detach()) - loads[0]) > 1e-3  # had it counted, the load would be another


@pytest.mark.parametrize("way", WAYS)
def test_pieces_enter_the_load_by_their_share_of_the_tokens(network, rows, way):
    """The load is a product of means, so that of a step is the mean over its pieces; no piece weighs by its number."""
    how = WAYS[way]
    step, found = one_step(network, rows, how=how, micro_batch_tokens=30)
    batches = micro_batches(rows, micro_batch_tokens=30, is_packed=how.is_packed)
    assert len({b.num_tokens for b in batches}) > 1 or how.is_packed
    loads, expected = [], {name: torch.zeros_like(g) for name, g in found.items()}
    for batch in batches:
        chosen = [rows[i] for i in batch.rows]
        _, load, _ = librarys_own(network, chosen)
        share = batch.num_tokens / sum(LENGTHS)
        loads.append(load * share)
        # The piece's tokens by their share of the trained tokens, its load by its share of the tokens.
        _, _, tokens_only = librarys_own(network, chosen, router_weight=0.0)
        _, _, both = librarys_own(network, chosen)
        trained = (batch.num_tokens - len(chosen)) / (sum(LENGTHS) - len(LENGTHS))
        for name in expected:
            expected[name] += tokens_only[name] * trained + (both[name] - tokens_only[name]) * share
    assert step.metrics["train/router_loss"] == pytest.approx(sum(loads), rel=1e-6)
    assert distance(found, expected) < 1e-5


def test_experts_in_any_pieces_learn_the_same_without_the_load(network, rows):
    """What is not a product of means does not depend on the split."""
    ends = [
        one_step(network, rows, how=Pass(is_packed=True), router_weight=0.0, micro_batch_tokens=t) for t in (1, 9999)
    ]
    assert distance(ends[0][1], ends[1][1]) < 1e-6
