"""Noise on the embeddings: its bounds, whose length counts, and when there is none."""

from __future__ import annotations

import math

import pytest
import torch

from fakes import tiny_network
from luthier.train.neftune import embedding_noise, neftune

WIDTH = 32
ALPHA = 5.0


def bound(length, width=WIDTH, alpha=ALPHA):
    return alpha / math.sqrt(length * width)


def embedded(network, ids):
    return network.get_input_embeddings()(ids).detach()


def noise_of(network, ids, lengths, *, seed=0):
    """What the embeddings of one pass had on top."""
    clean = embedded(network, ids)
    with neftune(network, alpha=ALPHA, lengths_of=lambda: lengths):
        torch.manual_seed(seed)
        return embedded(network, ids) - clean


def test_the_noise_is_uniform_within_its_bounds():
    torch.manual_seed(0)
    noise = embedding_noise(torch.zeros(1, 4000, 64), [4000], alpha=ALPHA)
    scaled = (noise / bound(4000, 64)).flatten().double()
    assert 0.9999 < float(scaled.abs().max()) <= 1 + 1e-6
    number = scaled.numel()
    assert abs(float(scaled.mean())) < 4 / math.sqrt(3 * number)
    assert abs(float(scaled.square().mean()) - 1 / 3) < 4 * math.sqrt(4 / 45 / number)
    quarters = torch.histc(scaled, bins=8, min=-1, max=1) / number
    assert (quarters - 1 / 8).abs().max() < 5 * math.sqrt(1 / 8 * 7 / 8 / number)


def test_each_padded_row_has_the_bounds_of_its_own_length_and_none_on_padding(shape):
    network = tiny_network(shape).train()
    lengths = [200, 3, 50]
    noise = noise_of(network, torch.randint(300, (3, 200)), lengths)
    for row, length in zip(noise, lengths, strict=True):
        # The largest of many uniform numbers is close to the bound, so a bound of another length would be seen.
        assert 0.9 * bound(length) < float(row[:length].abs().max()) <= bound(length) * (1 + 1e-4)
        assert not row[length:].any()


def test_each_packed_row_has_the_bounds_of_its_own_length():
    network = tiny_network("llama").train()
    lengths = [120, 4, 60]
    noise = noise_of(network, torch.randint(300, (1, 184)), lengths)
    for row, length in zip(noise[0].split(lengths), lengths, strict=True):
        assert 0.9 * bound(length) < float(row.abs().max()) <= bound(length) * (1 + 1e-4)


def test_padded_and_packed_rows_get_the_same_noise():
    lengths = [7, 2, 5]
    torch.manual_seed(1)
    padded = embedding_noise(torch.zeros(3, 9, WIDTH), lengths, alpha=ALPHA)
    torch.manual_seed(1)
    packed = embedding_noise(torch.zeros(1, 14, WIDTH), lengths, alpha=ALPHA)
    assert torch.equal(torch.cat([row[:n] for row, n in zip(padded, lengths, strict=True)]), packed[0])


def test_a_line_of_one_row_may_be_padded_or_not():
    full = embedding_noise(torch.zeros(1, 6, WIDTH), [6], alpha=ALPHA)
    short = embedding_noise(torch.zeros(1, 6, WIDTH), [4], alpha=ALPHA)
    assert bool((full != 0).all()) and bool((short[0, :4] != 0).all()) and not short[0, 4:].any()


def test_evaluation_has_no_noise_and_draws_nothing():
    network = tiny_network("llama").eval()
    ids = torch.arange(20)[None]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    clean = embedded(network, ids)
    with neftune(network, alpha=ALPHA, lengths_of=lambda: pytest.fail("asked in evaluation")):
        assert torch.equal(embedded(network, ids), clean)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_noise_ends_with_the_context_even_after_an_error():
    network = tiny_network("llama").train()
    ids = torch.arange(20)[None]
    clean = embedded(network, ids)
    with pytest.raises(KeyError), neftune(network, alpha=ALPHA, lengths_of=lambda: [20]):
        assert not torch.equal(embedded(network, ids), clean)
        raise KeyError
    assert torch.equal(embedded(network, ids), clean)


def test_the_draw_follows_the_seed():
    network = tiny_network("llama").train()
    ids = torch.arange(20)[None]
    first, again, other = (noise_of(network, ids, [20], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_bfloat16_embeddings_stay_bfloat16_and_draw_as_float32_ones_do():
    torch.manual_seed(1)
    wide = embedding_noise(torch.zeros(2, 5, WIDTH), [5, 3], alpha=ALPHA)
    torch.manual_seed(1)
    narrow = embedding_noise(torch.zeros(2, 5, WIDTH, dtype=torch.bfloat16), [5, 3], alpha=ALPHA)
    assert narrow.dtype is torch.bfloat16 and torch.equal(narrow, wide.bfloat16())


def test_the_loss_reaches_the_embeddings_through_the_noise():
    network = tiny_network("llama").train()
    ids = torch.arange(20)[None]
    clean = float(network(input_ids=ids, labels=ids).loss.detach())
    with neftune(network, alpha=ALPHA, lengths_of=lambda: [20]):
        loss = network(input_ids=ids, labels=ids).loss
    loss.backward()
    assert float(loss.detach()) != clean
    assert network.get_input_embeddings().weight.grad[ids].any()


@pytest.mark.parametrize("lengths", [[5, 5], [5, 7, 1], [18]])
def test_lengths_of_another_batch_are_refused(lengths):
    with pytest.raises(AssertionError, match=r"do not make a batch of 3 x 6"):
        embedding_noise(torch.zeros(3, 6, WIDTH), lengths, alpha=ALPHA)
