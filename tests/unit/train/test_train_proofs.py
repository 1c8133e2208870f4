"""The proofs of `luthier check` hold for what ships, and fail where the fault is put in."""

from __future__ import annotations

import pytest

from fakes import tiny_examples
from luthier.train import proofs
from luthier.train.batch import rows_of
from luthier.train.proofs import beside_a_neighbour, plain_loss, split_gap
from luthier.train.sft import batch_nll, mean_nll


@pytest.fixture
def rows(tiny, shape):
    return rows_of(tiny_examples(8), tiny(shape).renderer, max_length=200, overlong="drop").rows


def test_what_ships_passes(load_tiny, shape, rows):
    model = load_tiny(shape)
    assert mean_nll(model.network, rows, micro_batch_tokens=100) == pytest.approx(
        plain_loss(model.network, rows), abs=1e-5
    )
    assert split_gap(model.network, rows) < 1e-5
    before, after = beside_a_neighbour(model.network, rows[0], rows[-1], vocabulary=len(model.tokenizer))
    assert before == after < 0


def test_the_mean_of_means_shows(load_tiny, shape, rows, monkeypatch):
    """PITFALL 1: a loss divided per micro-batch is found by the gap."""
    monkeypatch.setattr(proofs, "batch_nll", lambda network, batch: batch_nll(network, batch) / batch.weights_N.sum())
    assert split_gap(load_tiny(shape).network, rows) > 0.01


def test_a_neighbour_that_is_seen_shows(load_tiny, rows, shape):
    """PITFALL 3: a network in which rows meet is found."""
    model = load_tiny(shape)
    body = model.network.get_input_embeddings()
    body.register_forward_hook(lambda _, inputs, output: output + 0.1 * output.mean(0, keepdim=True))
    before, after = beside_a_neighbour(model.network, rows[0], rows[-1], vocabulary=len(model.tokenizer))
    assert before != after


def test_the_proofs_leave_no_gradient_behind(load_tiny, shape, rows):
    network = load_tiny(shape).network
    split_gap(network, rows)
    assert all(p.grad is None for p in network.parameters())
