"""Attention over packed rows against a masked softmax written plainly."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import tiny_network
from luthier.models.attention import NAME, NotIsolated, PackedRows, is_packed, packed, packed_attention

MODULE = SimpleNamespace(is_causal=True)
D = 4


def plain(query, key, value, lengths, *, window=None, scaling=None) -> torch.Tensor:
    """One mask over all pairs of the line: same row, not after, within the window. [1, T, H, D]."""
    heads, groups = query.shape[1], query.shape[1] // key.shape[1]
    owner = torch.cat([torch.full((n,), i) for i, n in enumerate(lengths)])
    place = torch.arange(len(owner))
    back = place[:, None] - place[None, :]
    allowed = (owner[:, None] == owner[None, :]) & (back >= 0) & (back < (window or len(owner) + 1))
    out = []
    for h in range(heads):
        scores = query[0, h] @ key[0, h // groups].T * (D**-0.5 if scaling is None else scaling)
        out.append(torch.softmax(scores.masked_fill(~allowed, float("-inf")), -1) @ value[0, h // groups])
    return torch.stack(out, 1)[None]


def drawn(lengths, *, heads=2, kv_heads=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [
        torch.randn(1, h, sum(lengths), D, generator=random, dtype=torch.float64, requires_grad=True)
        for h in (heads, kv_heads, kv_heads)
    ]


def call(tensors, lengths, module=MODULE, mask=None, **options):
    out, weights = packed_attention(module, *tensors, mask, packed_rows=PackedRows.of(lengths), **options)
    assert weights is None
    return out


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    heads=st.sampled_from([(1, 1), (2, 2), (2, 1), (6, 2), (4, 1)]),
    window=st.one_of(st.none(), st.integers(1, 10)),
    scaling=st.one_of(st.none(), st.floats(0.1, 3.0)),
    seed=st.integers(0, 1000),
)
def test_packed_rows_get_a_masked_softmax(lengths, heads, window, scaling, seed):
    """Any lengths in any order, grouped heads, any window: values and gradients in float64."""
    tensors = drawn(lengths, heads=heads[0], kv_heads=heads[1], seed=seed)
    found = call(tensors, lengths, sliding_window=window, scaling=scaling)
    expected = plain(*tensors, lengths, window=window, scaling=scaling)
    assert found.shape == expected.shape and torch.allclose(found, expected, rtol=0, atol=1e-12)
    pull = torch.randn_like(expected)
    grads = [torch.autograd.grad((out * pull).sum(), tensors) for out in (found, expected)]
    assert all(torch.allclose(a, b, rtol=0, atol=1e-11) for a, b in zip(*grads, strict=True))


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_positions_begin_at_0_in_every_row(lengths):
    """Positions not restarted."""
    rows = PackedRows.of(lengths)
    assert rows.lengths == tuple(lengths) and rows.positions_1T.shape == (1, sum(lengths))
    assert rows.bounds.dtype == torch.int32 and rows.bounds[0] == 0 and rows.bounds.diff().tolist() == lengths
    for i, n in enumerate(lengths):
        assert rows.positions_1T[0, rows.bounds[i] : rows.bounds[i + 1]].tolist() == [*range(n)]


def test_rows_move_to_a_device_with_their_tensors():
    rows = PackedRows.of([2, 3]).to(torch.device("meta"))
    assert rows.lengths == (2, 3) and rows.positions_1T.is_meta and rows.bounds.is_meta


@pytest.mark.parametrize("window", [None, 3])
def test_a_row_has_no_gradient_with_respect_to_its_neighbours(window):
    """Exactly 0, not nearly."""
    lengths = [5, 5, 2, 7, 5]
    tensors = drawn(lengths)
    bounds = PackedRows.of(lengths).bounds.tolist()
    for i in range(len(lengths)):
        own = slice(bounds[i], bounds[i + 1])
        out = call(tensors, lengths, sliding_window=window)
        for gradient in torch.autograd.grad(out[:, own].square().sum(), tensors):
            assert gradient[:, :, own].abs().sum() > 0
            gradient[:, :, own] = 0
            assert not gradient.any()


def test_the_order_of_the_rows_does_not_matter():
    lengths = [5, 2, 5, 7]
    tensors = drawn(lengths)
    parts = [torch.split(t, lengths, dim=2) for t in tensors]
    out = torch.split(call(tensors, lengths), lengths, dim=1)
    for order in ([3, 2, 1, 0], [0, 2, 1, 3]):
        moved = [torch.cat([p[i] for i in order], dim=2) for p in parts]
        again = torch.split(call(moved, [lengths[i] for i in order]), [lengths[i] for i in order], dim=1)
        for place, i in enumerate(order):
            assert torch.allclose(again[place], out[i], rtol=0, atol=1e-14)


def test_the_window_of_the_call_wins_over_the_modules():
    """A layer that sees everything may carry its model's window all the same (EXAONE 4), and say None in the call."""
    lengths = [9, 4]
    tensors = drawn(lengths)
    module = SimpleNamespace(is_causal=True, sliding_window=3)
    whole, cut = plain(*tensors, lengths), plain(*tensors, lengths, window=3)
    assert torch.allclose(call(tensors, lengths, module, sliding_window=None), whole, atol=1e-12)
    assert torch.allclose(call(tensors, lengths, module, sliding_window=5), plain(*tensors, lengths, window=5))
    assert torch.allclose(call(tensors, lengths, module), cut, atol=1e-12)  # Qwen2-MoE says nothing in the call
    assert float((whole - cut).detach().abs().max()) > 0.1


REFUSED = {
    "its own mask": ({"mask": torch.zeros(1, 1, 5, 5)}, "attention mask of its own"),
    "soft cap": ({"softcap": 50.0}, "softcap"),
    "attention sinks": ({"s_aux": torch.zeros(2)}, "s_aux"),
    "relative positions": ({"position_bias": torch.zeros(1, 2, 5, 5)}, "position_bias"),
    "not causal in the call": ({"is_causal": False}, "not causal"),
    "not causal as a module": ({"module": SimpleNamespace(is_causal=False)}, "not causal"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_attention_that_cannot_be_kept_apart_is_refused(what):
    """A backend that cannot isolate raises; nothing falls back to attention over the whole line."""
    options, reason = REFUSED[what]
    with pytest.raises(NotIsolated, match=reason):
        call(drawn([3, 2]), [3, 2], **options)


def test_attention_that_is_not_told_its_rows_is_refused():
    with pytest.raises(NotIsolated, match="does not hand them down"):
        packed_attention(MODULE, *drawn([3, 2]), None)


def test_dropout_is_drawn_from_the_seed():
    tensors = drawn([6, 6, 4])

    def out(seed, dropout=0.4):
        torch.manual_seed(seed)
        return call(tensors, [6, 6, 4], dropout=dropout).detach()

    assert torch.equal(out(1), out(1)) and not torch.equal(out(1), out(2))
    assert torch.equal(out(1, 0.0), out(2, 0.0))
    mean = torch.stack([out(seed) for seed in range(500)]).mean(0)
    assert float((mean - out(0, 0.0)).abs().max()) < 0.3  # what is kept is scaled up


def test_dropout_stays_within_the_row():
    """Whatever is dropped, a row's neighbours have no part in what is kept."""
    tensors = drawn([6, 6])
    torch.manual_seed(0)
    out = call(tensors, [6, 6], dropout=0.5)
    for gradient in torch.autograd.grad(out[:, :6].sum(), tensors):
        assert not gradient[:, :, 6:].any()


def test_the_network_takes_packed_rows_inside_only():
    network = tiny_network("llama")
    before = network.config._attn_implementation
    assert before not in (None, NAME) and not is_packed(network)
    with packed(network):
        assert is_packed(network)
        assert {m.config._attn_implementation for m in network.modules() if hasattr(m, "config")} == {NAME}
    assert network.config._attn_implementation == before
    with pytest.raises(KeyError), packed(network):
        raise KeyError
    assert network.config._attn_implementation == before


def test_what_has_no_config_is_not_packed():
    assert not is_packed(torch.nn.Linear(2, 2))
