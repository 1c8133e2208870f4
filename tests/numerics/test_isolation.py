"""Rows that share a micro-batch never influence one another."""

from __future__ import annotations

import pytest
import torch

from fakes import ALL_SHAPES, tiny_examples, tiny_network
from luthier.models.logprobs import selected_logits, target_logprobs
from luthier.models.passes import Pass
from luthier.train.batch import Row, collate, pack, rows_of
from luthier.train.sft import passed_batch


def logprobs_of(network, rows, wanted: int) -> torch.Tensor:
    """Log-probabilities of the trained tokens of one row of a batch."""
    batch = collate(rows, range(len(rows)))
    values = target_logprobs(selected_logits(network, batch.input_ids_BT, batch.positions_N), batch.target_ids_N)
    return values[batch.row_N == wanted].detach()


@pytest.fixture
def rows(tiny, shape):
    return rows_of(tiny_examples(6), tiny(shape).renderer, max_length=200, overlong="drop").rows


@pytest.mark.parametrize("changed", [0, 3])
def test_changing_one_row_leaves_the_others_bit_identical(tiny, shape, rows, changed):
    """Packing lets samples see each other: other tokens in row A, the same bits in row B."""
    network = tiny(shape).network
    other = list(rows)
    row = rows[changed]
    other[changed] = Row(row.example_id, tuple((t + 7) % 300 for t in row.token_ids), row.weights)
    for index in range(len(rows)):
        before, after = logprobs_of(network, rows, index), logprobs_of(network, other, index)
        assert torch.equal(before, after) == (index != changed)


def test_a_row_in_a_batch_is_the_row_alone(tiny, shape, rows):
    """Positions not restarted: learned (GPT-2) and rotary ones, after longer neighbours, with padding."""
    network = tiny(shape).network
    ordered = sorted(rows, key=lambda row: -len(row.token_ids))
    assert len(ordered[0].token_ids) > len(ordered[-1].token_ids) + 10
    for index, row in enumerate(ordered):
        together, alone = logprobs_of(network, ordered, index), logprobs_of(network, [row], 0)
        assert torch.allclose(together, alone, atol=1e-5)


def test_gradients_of_a_batch_are_the_sum_of_its_rows(tiny, shape, rows):
    """In float64, to rounding (Gemma's norms compute in float32 whatever the weights are)."""
    network = tiny(shape).network
    double = type(network)(network.config).double()
    double.load_state_dict(network.state_dict())

    def gradients(chosen):
        double.zero_grad()
        batch = collate(rows, chosen)
        values = target_logprobs(selected_logits(double, batch.input_ids_BT, batch.positions_N), batch.target_ids_N)
        values.sum().backward()
        return [p.grad.clone() for p in double.parameters()]

    together = gradients([0, 1, 2])
    apart = [sum(parts) for parts in zip(*(gradients([i]) for i in range(3)), strict=True)]
    for a, b in zip(together, apart, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=float(b.abs().max()) * (1e-5 if shape == "gemma3" else 1e-12))


def test_padding_is_known_by_position_and_may_be_any_token(tiny, shape, rows):
    """The stop token stands in for padding in many tokenizers; what fills the padding never matters."""
    network = tiny(shape).network
    batch = collate(rows, range(len(rows)))
    filled = batch.input_ids_BT.clone()
    for b, row in enumerate(rows):
        filled[b, len(row.token_ids) :] = 3
    one = selected_logits(network, batch.input_ids_BT, batch.positions_N).detach()
    two = selected_logits(network, filled, batch.positions_N).detach()
    assert torch.equal(one, two) and not torch.equal(filled, batch.input_ids_BT)


# Packed rows. The lengths repeat, so that attention takes some rows together, and cross the windows of 24 tokens.
LENGTHS = (30, 5, 30, 12, 5, 41)
V = 120
PACKED = {"fused": Pass(is_packed=True, is_fused=True), "whole logits": Pass(is_packed=True)}
DENSE = [shape for shape in ALL_SHAPES if shape not in ("qwen3_moe", "mixtral")]


def packed_rows() -> list[Row]:
    random = torch.Generator().manual_seed(4)
    return [
        Row(str(i), tuple(torch.randint(V, (n,), generator=random).tolist()), (1.0,) * n) for i, n in enumerate(LENGTHS)
    ]


def packed_logprobs(network, rows, how=PACKED["fused"], order=None) -> list[torch.Tensor]:
    """Log-probabilities of each row's tokens, the rows end to end in this order."""
    batch = pack(rows, order or range(len(rows)))
    with how.mode(network):
        values = passed_batch(network, batch, how=how).logprobs(batch.target_ids_N)
    by_row = [values[batch.row_N == b] for b in range(len(rows))]
    return [by_row[batch.rows.index(i)] for i in range(len(rows))]


@pytest.mark.parametrize("way", PACKED)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_changing_one_packed_row_leaves_the_others_bit_identical(shape, way):
    """Every token of row A is another one, and not a bit of row B moves. Experts may round otherwise, since
    each multiplies the tokens that it is sent as one matrix."""
    network, rows = tiny_network(shape, vocabulary=V), packed_rows()
    with torch.no_grad():
        before = packed_logprobs(network, rows, PACKED[way])
        for changed in (0, 2, 5):
            other = list(rows)
            other[changed] = Row("x", tuple((t + 7) % V for t in rows[changed].token_ids), rows[changed].weights)
            after = packed_logprobs(network, other, PACKED[way])
            for i, (a, b) in enumerate(zip(before, after, strict=True)):
                if i == changed:
                    assert float((a - b).abs().min()) > 0
                else:
                    assert torch.equal(a, b) if shape in DENSE else torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_packed_rows_loss_has_no_gradient_with_respect_to_its_neighbours(shape):
    """Exactly 0 for every embedding of another row, in front and behind."""
    network, rows = tiny_network(shape, vocabulary=V), packed_rows()
    kept = []
    network.get_input_embeddings().register_forward_hook(lambda module, inputs, out: kept.append(out))
    starts = [sum(LENGTHS[:i]) for i in range(len(LENGTHS))]
    values = packed_logprobs(network, rows)
    for i, (start, n) in enumerate(zip(starts, LENGTHS, strict=True)):
        (gradient,) = torch.autograd.grad(values[i].sum(), kept[0], retain_graph=True)
        assert (gradient[0, start : start + n - 1].abs().sum(-1) > 0).all()
        gradient[:, start : start + n - 1] = 0  # the last token predicts nothing, its own row's neither
        assert not gradient.any()


@pytest.mark.parametrize("shape", ["gpt2", "llama", "gpt_neox", "mixtral"])
def test_the_order_of_the_rows_in_a_pack_does_not_matter(shape):
    """Positions not restarted: learned, rotary on all of a head, rotary on a part of it."""
    network, rows = tiny_network(shape, vocabulary=V).double(), packed_rows()
    if shape == "mixtral":
        network.set_experts_implementation("eager")
    with torch.no_grad():
        expected = packed_logprobs(network, rows)
        for order in ([5, 4, 3, 2, 1, 0], [2, 0, 5, 1, 3, 4]):
            found = packed_logprobs(network, rows, order=order)
            assert all(torch.allclose(a, b, rtol=0, atol=1e-7) for a, b in zip(found, expected, strict=True))
    spread = torch.cat(expected)
    assert float(spread.std()) > 0.3


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_pack_of_one_row_is_the_row(shape):
    network, rows = tiny_network(shape, vocabulary=V), packed_rows()
    with torch.no_grad():
        together = packed_logprobs(network, rows)
        for i, row in enumerate(rows):
            assert torch.allclose(packed_logprobs(network, [row])[0], together[i], atol=1e-5)
