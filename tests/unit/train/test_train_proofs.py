"""The proofs of `luthier check` hold for what ships, and fail where the fault is put in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fakes import tiny_examples, tiny_preferences
from luthier.models.passes import Pass, settle
from luthier.train import proofs
from luthier.train.batch import rows_of
from luthier.train.config import TrainConfig
from luthier.train.engine import PieceLoss
from luthier.train.preference import pairs_of
from luthier.train.proofs import neighbour_gap, plain_loss, split_gap, sum_gap, together_gap
from luthier.train.sft import mean_nll

WAYS = [Pass(is_packed=packed, is_fused=fused) for packed in (True, False) for fused in (True, False)]
SFT = TrainConfig()


@pytest.fixture
def rows(tiny, shape):
    return rows_of(tiny_examples(8), tiny(shape).renderer, max_length=200, overlong="drop").rows


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_what_ships_passes_packed_and_padded_fused_and_not(how, load_tiny, shape, rows):
    model = load_tiny(shape)
    ours = mean_nll(model.network, rows, micro_batch_tokens=100, how=how)
    assert ours == pytest.approx(plain_loss(model.network, rows), abs=1e-5)
    assert together_gap(model.network, rows, how=how) < 1e-4
    assert neighbour_gap(model.network, rows, how=how, vocabulary=len(model.tokenizer)) == 0.0
    assert split_gap(model.network, rows, SFT, how=how) < 1e-5
    assert sum_gap(model.network, rows, SFT, how=how) < 1e-5


def test_the_gradient_of_preferences_is_that_of_its_pairs_one_by_one(load_tiny, shape):
    model = load_tiny(shape)
    config = TrainConfig(method="dpo")
    rows = pairs_of(tiny_preferences(6), model.renderer, max_length=200, overlong="drop").rows
    how, _ = settle(model.network)
    assert split_gap(model.network, rows, config, how=how) < 1e-5
    assert sum_gap(model.network, rows, config, how=how) < 1e-5
    swapped = rows[1::2] + rows[0::2]
    assert sum_gap(model.network, swapped, config, how=how) < 1e-5


def test_the_gradient_of_drawn_answers_is_that_of_its_rows_one_by_one(load_tiny, shape, rows):
    model = load_tiny(shape)
    config = TrainConfig(method="grpo")
    how, _ = settle(model.network)
    assert split_gap(model.network, rows, config, how=how) < 1e-5
    assert sum_gap(model.network, rows, config, how=how) < 1e-5


def per_micro_batch(work):
    """The mean of means: each micro-batch divided by its own count."""

    def loss(batch):
        return PieceLoss(work.loss(batch).total / batch.weights_N.sum())

    return replace(work, loss=loss)


def test_the_mean_of_means_shows(load_tiny, rows, monkeypatch, shape):
    """A loss divided per micro-batch is found by the gap between one micro-batch and many."""
    real = proofs.sft
    monkeypatch.setattr(proofs, "sft", lambda *given, **named: per_micro_batch(real(*given, **named)))
    assert split_gap(load_tiny(shape).network, rows, SFT) > 0.01


def test_a_loss_that_is_always_off_by_a_factor_shows_against_the_rows_alone(load_tiny, rows, monkeypatch, shape):
    """One and the same wrong factor in every split hides from the split, and not from the plain sum."""
    real = proofs.sft
    monkeypatch.setattr(
        proofs, "sft",
        lambda *given, **named: replace(
            work := real(*given, **named), loss=lambda batch: PieceLoss(2 * work.loss(batch).total)
        ),
    )  # fmt: skip
    network = load_tiny(shape).network
    assert split_gap(network, rows, SFT) < 1e-5
    assert sum_gap(network, rows, SFT) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("how", WAYS[::2], ids=str)
def test_a_neighbour_that_is_seen_shows(how, load_tiny, rows, shape):
    """A network in which rows meet is found."""
    model = load_tiny(shape)
    body = model.network.get_input_embeddings()
    body.register_forward_hook(lambda _, inputs, output: output + 0.1 * output.mean((0, 1), keepdim=True))
    assert neighbour_gap(model.network, rows, how=how, vocabulary=len(model.tokenizer)) > 0
    assert together_gap(model.network, rows, how=how) > 1e-3


def test_positions_that_run_on_in_a_pack_show(load_tiny, rows, shape, monkeypatch):
    """Rows whose positions are not counted from 0 get other log-probabilities than alone."""
    real = proofs.pack

    def runs_on(some, chosen):
        batch = real(some, chosen)
        place = torch.arange(batch.input_ids_BT.shape[1]).unsqueeze(0)
        return replace(batch, packed=replace(batch.packed, positions_1T=place * 2 % 256))

    monkeypatch.setattr(proofs, "pack", runs_on)
    assert together_gap(load_tiny(shape).network, rows, how=Pass(is_packed=True)) > 1e-3


def test_the_proofs_leave_no_gradient_behind(load_tiny, shape, rows):
    network = load_tiny(shape).network
    split_gap(network, rows, SFT)
    sum_gap(network, rows, SFT)
    assert all(p.grad is None for p in network.parameters())
