"""Rows that share a micro-batch never influence one another."""

from __future__ import annotations

import pytest
import torch

from fakes import tiny_examples
from luthier.models.logprobs import selected_logits, target_logprobs
from luthier.train.batch import Row, collate, rows_of


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
    """PITFALL 3, packing lets samples see each other: other tokens in row A, the same bits in row B."""
    network = tiny(shape).network
    other = list(rows)
    row = rows[changed]
    other[changed] = Row(row.example_id, tuple((t + 7) % 300 for t in row.token_ids), row.weights)
    for index in range(len(rows)):
        before, after = logprobs_of(network, rows, index), logprobs_of(network, other, index)
        assert torch.equal(before, after) == (index != changed)


def test_a_row_in_a_batch_is_the_row_alone(tiny, shape, rows):
    """PITFALL 4, positions not restarted: learned (GPT-2) and rotary ones, after longer neighbours, with padding."""
    network = tiny(shape).network
    ordered = sorted(rows, key=lambda row: -len(row.token_ids))
    assert len(ordered[0].token_ids) > len(ordered[-1].token_ids) + 10
    for index, row in enumerate(ordered):
        together, alone = logprobs_of(network, ordered, index), logprobs_of(network, [row], 0)
        assert torch.allclose(together, alone, atol=1e-5)


def test_gradients_of_a_batch_are_the_sum_of_its_rows(tiny, shape, rows):
    """PITFALL 3: in float64, to rounding (Gemma's norms compute in float32 whatever the weights are)."""
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
    """PITFALL 6: the stop token stands in for padding in many tokenizers; what fills the padding never matters."""
    network = tiny(shape).network
    batch = collate(rows, range(len(rows)))
    filled = batch.input_ids_BT.clone()
    for b, row in enumerate(rows):
        filled[b, len(row.token_ids) :] = 3
    one = selected_logits(network, batch.input_ids_BT, batch.positions_N).detach()
    two = selected_logits(network, filled, batch.positions_N).detach()
    assert torch.equal(one, two) and not torch.equal(filled, batch.input_ids_BT)
