"""Whichever way rows go through a network, a step is the one of the library's own forward pass over each row alone."""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

from fakes import ALL_SHAPES, tiny_network
from luthier.models import head
from luthier.models.passes import Pass
from luthier.train.batch import Row, micro_batches
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.sft import mean_nll, sft

V = 120
LENGTHS = (40, 7, 31, 7, 2, 26, 40, 3)
WINDOW = 24
WAYS = {
    f"{'packed' if is_packed else 'padded'}, {'fused' if is_fused else 'whole logits'}": Pass(is_packed, is_fused)
    for is_packed in (True, False)
    for is_fused in (True, False)
}
SPLITS = {"one piece": 10_000, "pieces": 90, "a row a piece": 1}
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


@pytest.fixture(autouse=True)
def norms_in_the_weights_precision(monkeypatch):
    """Gemma's norms compute, and sum their weights' gradient, in float32 whatever the weights are."""

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return (self._norm(wide) * (1.0 + self.weight.to(wide.dtype))).type_as(x)

    monkeypatch.setattr(Gemma3RMSNorm, "forward", forward)


def some_rows() -> list[Row]:
    """Rows with a prompt; every other row weighs half, and one of them does not train at all but for its last token."""
    random = torch.Generator().manual_seed(5)
    rows = []
    for i, n in enumerate(LENGTHS):
        ids = torch.randint(V, (n,), generator=random).tolist()
        prompt = n - 1 if i == 5 else n // 3
        rows.append(Row(str(i), tuple(ids), (0.0,) * prompt + (1.0 / (1 + i % 2),) * (n - prompt)))
    return rows


def precise(shape: str, dtype: torch.dtype, **options):
    network = tiny_network(shape, vocabulary=V, seed=1, **options).to(dtype)
    if shape in ("qwen3_moe", "mixtral"):
        network.set_experts_implementation("eager")  # grouped products know no float64
    return network


def alone(network, row: Row) -> torch.Tensor:
    """sum of w * nll from the library's forward pass over the row alone."""
    ids = torch.tensor([row.token_ids])
    logprobs = torch.log_softmax(network(input_ids=ids).logits[0, :-1], -1)
    picked = logprobs.gather(-1, ids[0, 1:, None]).squeeze(-1)
    return -(picked * torch.tensor(row.weights[1:], dtype=picked.dtype)).sum()


@cache
def reference(shape: str, dtype: torch.dtype):
    """The network, the rows, and the loss and gradients of a step over them."""
    network, rows = precise(shape, dtype), some_rows()
    loss = sum(alone(network, row) for row in rows) / sum(row.weight for row in rows)
    loss.backward()
    grads = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    return SimpleNamespace(network=network, rows=rows, loss=float(loss.detach()), grads=grads)


def one_step(network, rows, how: Pass, *, micro_batch_tokens: int, max_grad_norm=None, **options):
    """The step as logged, and the gradients as the optimiser saw them."""
    optim = OptimConfig(lr=1e-30, schedule="constant", max_grad_norm=max_grad_norm)
    config = TrainConfig(batch_rows=len(rows), max_steps=1, micro_batch_tokens=micro_batch_tokens, optim=optim)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-30)
    work = sft(network, rows, config, how=how, **options)
    step = next(steps(network, work, optimiser=optimiser, config=optim, seed=0))
    return step, {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def assert_close(found, expected, tolerance):
    """Each tensor to its own size, but those whose gradient is nothing but rounding (a key's bias)."""
    assert found.keys() == expected.keys()
    total = math.sqrt(sum(float(g.norm()) ** 2 for g in expected.values()))
    for name, gradient in expected.items():
        size = max(float(gradient.norm()), 1e-4 * total)
        assert float((found[name] - gradient).norm()) <= tolerance * size, name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_loss_and_gradients_are_those_of_each_row_alone(monkeypatch, shape, way, dtype):
    """4 and 32 at once: packed or padded, fused or not, in pieces or not, windows crossed."""
    plain = reference(shape, dtype)
    assert sum(n > WINDOW for n in LENGTHS) == 4
    assert [len(micro_batches(plain.rows, micro_batch_tokens=t, is_packed=True)) for t in SPLITS.values()] == [1, 2, 8]
    monkeypatch.setattr(head, "PIECE_BYTES", 20 * V * 8)  # several pieces of the logits too
    for tokens in SPLITS.values():
        step, grads = one_step(plain.network, plain.rows, WAYS[way], micro_batch_tokens=tokens)
        assert step.loss == pytest.approx(plain.loss, rel=TOLERANCE[dtype])
        assert_close(grads, plain.grads, TOLERANCE[dtype])
        assert (step.tokens, step.trained_tokens) == (
            sum(LENGTHS),
            sum(w > 0 for r in plain.rows for w in r.weights[1:]),
        )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_the_measured_loss_is_the_librarys_own(shape, way):
    """Every token trains; the number is the one that the library gives for labels, row by row."""
    network = precise(shape, torch.float32).eval()
    rows = [Row(row.example_id, row.token_ids, (1.0,) * len(row.token_ids)) for row in some_rows()]
    total = 0.0
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row.token_ids])
            total += float(network(input_ids=ids, labels=ids).loss) * (len(row.token_ids) - 1)
    expected = total / (sum(LENGTHS) - len(LENGTHS))
    for tokens in SPLITS.values():
        found = mean_nll(network, rows, micro_batch_tokens=tokens, how=WAYS[way])
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", ["llama", "gpt2", "mistral", "qwen3_moe"])
def test_clipping_is_the_same_whichever_the_way(shape, way):
    """After clipping: the norm is of the whole step, however it was cut."""
    plain = reference(shape, torch.float64)
    norm = math.sqrt(sum(float(g.norm()) ** 2 for g in plain.grads.values()))
    for tokens in SPLITS.values():
        step, grads = one_step(plain.network, plain.rows, WAYS[way], micro_batch_tokens=tokens, max_grad_norm=norm / 7)
        assert step.grad_norm == pytest.approx(norm, rel=1e-9)
        # torch adds 1e-6 to the norm before it divides
        assert_close(grads, {name: g / 7 for name, g in plain.grads.items()}, 1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_frozen_parts_get_no_gradient_and_the_rest_keeps_its_own(way):
    """The fused head is told by its frozen weight; the layers below still learn through it."""
    plain = reference("mistral", torch.float64)
    network = precise("mistral", torch.float64)
    frozen = {"lm_head.weight", "model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
    _, grads = one_step(network, plain.rows, WAYS[way], micro_batch_tokens=90)
    assert_close(grads, {name: g for name, g in plain.grads.items() if name not in frozen}, 1e-9)


@pytest.mark.parametrize("shape", ["gpt2", "gpt_neox", "mistral"])
def test_dropout_in_packed_rows_is_drawn_from_the_seed(shape):
    """Attention dropout included: packing takes nothing from it, and a run draws the same again."""
    network = precise(shape, torch.float32, dropout=0.3)
    rows, packed, calm = some_rows(), WAYS["packed, fused"], reference(shape, torch.float32)

    def loss(seed):
        config = TrainConfig(batch_rows=len(rows), max_steps=1, optim=OptimConfig(lr=1e-30))
        work = sft(network, rows, config, how=packed)
        optimiser = torch.optim.SGD(network.parameters(), lr=1e-30)
        return next(steps(network, work, optimiser=optimiser, config=config.optim, seed=seed)).loss

    losses = [loss(seed) for seed in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]
    assert all(abs(value - calm.loss) > 1e-3 for value in losses)
    assert mean_nll(network, rows, micro_batch_tokens=90, how=packed) == pytest.approx(calm.loss, rel=1e-5)


@pytest.mark.parametrize("shape", ["llama", "gpt2", "mixtral"])
def test_autocast_is_near_and_the_same_in_any_pieces(shape):
    """Products in bfloat16, sums and gradients in float32: as far from float32 as bfloat16 is, whatever the way."""
    plain = reference(shape, torch.float32)
    for is_packed in (True, False):
        for is_fused in (True, False):
            how = Pass(is_packed, is_fused, autocast=True)
            step, grads = one_step(plain.network, plain.rows, how, micro_batch_tokens=90)
            assert step.loss == pytest.approx(plain.loss, rel=0.02) and step.loss != plain.loss
            assert {g.dtype for g in grads.values()} == {torch.float32}
            assert_close(grads, plain.grads, 0.25)
