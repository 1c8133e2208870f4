"""Attention over short rows on shelves against a plain softmax of each row alone, in float64."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import tiny_network
from luthier.models import attention
from luthier.models.attention import PackedRows, packed, packed_attention
from luthier.models.short_rows import LONGEST, Shelves, short_rows_attention

D = 8
SCALE = D**-0.5
EDGES = [1, 15, 16, 17, 384]
"""One token, one less than a shelf, a shelf, one more, and the longest row."""
HEADS = [(1, 1), (2, 2), (4, 2), (6, 1)]
"""Query heads and key heads."""
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 0.03}
"""Largest error over the largest number, or over 1; torch's own kernel comes to 0.011 in bfloat16."""


def drawn(lengths, heads=(4, 2), dtype=torch.float64, seed=0):
    """Query, key, value, and what pulls at the output: numbers that the dtype holds exactly."""
    random = torch.Generator().manual_seed(seed)
    shapes = [(1, h, sum(lengths), D) for h in (heads[0], heads[1], heads[1])] + [(1, sum(lengths), heads[0], D)]
    return [torch.randn(shape, generator=random, dtype=torch.float64).to(dtype) for shape in shapes]


def alone(query, key, value):
    """softmax(scale q k') v of one row, [1, L, H, D]."""
    groups = query.shape[1] // key.shape[1]
    length = query.shape[2]
    after = torch.ones(length, length, dtype=torch.bool).triu(1)
    out = []
    for h in range(query.shape[1]):
        scores = SCALE * query[0, h] @ key[0, h // groups].T
        out.append(torch.softmax(scores.masked_fill(after, float("-inf")), -1) @ value[0, h // groups])
    return torch.stack(out, 1)[None]


def passed(tensors, lengths):
    """Output, and gradients of query, key and value."""
    *inputs, pull = tensors
    leaves = [t.clone().requires_grad_() for t in inputs]
    out = short_rows_attention(*leaves, Shelves.of(lengths), scale=SCALE)
    return [out.detach(), *torch.autograd.grad(out, leaves, pull)]


def expected(tensors, lengths):
    """The same by `alone`, row by row, in float64."""
    *inputs, pull = [t.double() for t in tensors]
    parts = zip(*(torch.split(t, lengths, dim=2) for t in inputs), torch.split(pull, lengths, dim=1), strict=True)
    rows = []
    for *row, own_pull in parts:
        leaves = [t.clone().requires_grad_() for t in row]
        out = alone(*leaves)
        rows.append([out.detach(), *torch.autograd.grad(out, leaves, own_pull)])
    return [torch.cat(of_all, dim=dim) for of_all, dim in zip(zip(*rows, strict=True), (1, 2, 2, 2), strict=True)]


def assert_close(found, wanted, dtype):
    for what, a, b in zip(("output", "query", "key", "value"), found, wanted, strict=True):
        assert a.dtype is dtype and a.shape == b.shape
        error = float((a.double() - b).abs().max() / b.abs().max().clamp_min(1.0))
        assert error <= TOLERANCE[dtype], f"{what} is off by {error:.2g}"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("heads", HEADS, ids=str)
@pytest.mark.parametrize("lengths", [*([n] for n in EDGES), [17, 17, 17], [16, 1, 17, 40, 15, 1], EDGES[::-1]], ids=str)
def test_each_row_gets_the_values_and_gradients_that_it_gets_alone(lengths, heads, dtype):
    tensors = drawn(lengths, heads, dtype)
    assert_close(passed(tensors, lengths), expected(tensors, lengths), dtype)


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=9), heads=st.sampled_from(HEADS),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_any_rows_in_any_order_get_what_they_get_alone(lengths, heads, seed):
    tensors = drawn(lengths, heads, seed=seed)
    assert_close(passed(tensors, lengths), expected(tensors, lengths), torch.float64)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("changed", [0, 2, 4])
def test_another_row_changes_no_bit_of_its_neighbours(changed, dtype):
    lengths = [17, 30, 5, 30, 1]
    tensors = drawn(lengths, dtype=dtype)
    others = drawn(lengths, dtype=dtype, seed=1)
    start = sum(lengths[:changed])
    own = slice(start, start + lengths[changed])
    mixed = [t.clone() for t in tensors]
    for t, other, dim in zip(mixed, others, (2, 2, 2, 1), strict=True):
        t.movedim(dim, 0)[own] = other.movedim(dim, 0)[own]
    for a, b, dim in zip(passed(tensors, lengths), passed(mixed, lengths), (1, 2, 2, 2), strict=True):
        a, b = a.movedim(dim, 0), b.movedim(dim, 0)
        apart = torch.ones(sum(lengths), dtype=torch.bool)
        apart[own] = False
        assert torch.equal(a[apart], b[apart])
        # What a row of one token gives does not depend on its query and key; these have no gradient.
        assert not torch.equal(a[own], b[own]) or lengths[changed] == 1


@pytest.mark.parametrize("lengths", [[5, 5], [17, 2, 40]], ids=str)
def test_a_number_that_is_none_stays_in_its_row(lengths):
    tensors = drawn(lengths)
    for t, dim in zip(tensors, (2, 2, 2, 1), strict=True):
        t.movedim(dim, 0)[: lengths[0]] = float("nan")
    for a, dim in zip(passed(tensors, lengths), (1, 2, 2, 2), strict=True):
        line = a.movedim(dim, 0)
        assert line[: lengths[0]].isnan().any() and line[lengths[0] :].isfinite().all()


@pytest.mark.parametrize("lengths", [[], [LONGEST + 1], [3, LONGEST + 1, 5]], ids=str)
def test_rows_that_are_too_long_have_no_shelves(lengths):
    assert Shelves.of(lengths) is None


@given(lengths=st.lists(st.integers(1, LONGEST), min_size=1, max_size=30))
def test_every_token_has_one_place_and_the_rest_of_a_shelf_lies_behind_its_rows(lengths):
    shelves = Shelves.of(lengths)
    assert shelves is not None
    laid = torch.cat([shelf.tokens for shelf in shelves.shelves])
    assert laid[shelves.places].tolist() == [*range(sum(lengths))]
    assert sum(shelf.rows for shelf in shelves.shelves) == len(lengths)
    assert sum(len(shelf.behind) for shelf in shelves.shelves) == len(laid) - sum(lengths)
    assert len(laid) - sum(lengths) < 16 * len(lengths)


MODULE = SimpleNamespace(is_causal=True)


@pytest.fixture
def calls(monkeypatch):
    """How often short rows were taken."""
    seen = []

    def counted(*given, **options):
        seen.append(options["scale"])
        return short_rows_attention(*given, **options)

    monkeypatch.setattr(attention, "short_rows_attention", counted)
    return seen


@pytest.mark.parametrize(
    ("dtype", "lengths", "options", "is_taken"),
    [
        (torch.bfloat16, [5, 20], {}, True),
        (torch.bfloat16, [5, 20], {"sliding_window": 20}, True),
        (torch.bfloat16, [5, 20], {"sliding_window": 19}, False),
        (torch.bfloat16, [5, 20], {"dropout": 0.1}, False),
        (torch.bfloat16, [5, LONGEST + 1], {}, False),
        (torch.float32, [5, 20], {}, False),
        (torch.float64, [5, 20], {}, False),
    ],
)
def test_they_are_for_bfloat16_and_for_rows_that_see_all_before_them(dtype, lengths, options, is_taken, calls):
    packed_attention(MODULE, *drawn(lengths, dtype=dtype)[:3], None, packed_rows=PackedRows.of(lengths), **options)
    assert bool(calls) is is_taken


def test_what_the_call_says_of_the_scale_wins(calls):
    lengths = [5, 20]
    tensors = drawn(lengths, dtype=torch.bfloat16)[:3]
    for scaling in (None, 0.5):
        packed_attention(MODULE, *tensors, None, packed_rows=PackedRows.of(lengths), scaling=scaling)
    assert calls == [SCALE, 0.5]


@pytest.mark.parametrize("way", ["weights", "autocast"])
def test_a_packed_llama_in_bfloat16_gives_each_row_what_it_gets_alone(way, calls):
    """Logits and the gradient of every weight, against float32 rows one by one; lengths on both sides of a shelf's."""
    lengths = [33, 16, 5, 47, 1]
    network = tiny_network("llama", spread=0.1)
    random = torch.Generator().manual_seed(0)
    lines = [torch.randint(400, (n,), generator=random) for n in lengths]
    pulls = [torch.randn(n, 400, generator=random) for n in lengths]
    for line, pull in zip(lines, pulls, strict=True):
        (network(line[None], use_cache=False).logits[0] * pull).sum().backward()
    wanted = {name: p.grad.clone() for name, p in network.named_parameters()}
    with torch.no_grad():
        logits = torch.cat([network(line[None], use_cache=False).logits[0] for line in lines])
    assert not calls
    network.zero_grad(set_to_none=True)
    if way == "weights":
        network.to(torch.bfloat16)
    rows = PackedRows.of(lengths)
    with packed(network), torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        out = network(torch.cat(lines)[None], position_ids=rows.positions_1T, packed_rows=rows, use_cache=False).logits
        (out[0].float() * torch.cat(pulls)).sum().backward()
    out = out.detach()
    assert len(calls) == 2, "one for each layer"
    assert float((out[0].float() - logits).norm() / logits.norm()) < 0.02
    for name, p in network.named_parameters():
        assert float((p.grad.float() - wanted[name]).norm() / wanted[name].norm()) < 0.04, name
