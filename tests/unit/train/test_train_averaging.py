"""The moving average of the weights: its numbers, and weights that come back untouched."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from luthier.train.averaging import Average

FORMATS = (torch.float32, torch.bfloat16)


@pytest.fixture(params=FORMATS, ids=str)
def dtype(request):
    return request.param


def walk(dtype, *, steps, decay=0.9, scale=1.0):
    """An average over weights that wander, and the weights of each step in float64."""
    torch.manual_seed(0)
    named = [("matrix", Parameter(torch.randn(5, 3).to(dtype))), ("vector", Parameter(torch.randn(7).to(dtype)))]
    average = Average.start(named, decay)
    seen = []
    for _ in range(steps):
        for _, p in named:
            p.data = (p.data.float() + scale * torch.randn(p.shape)).to(dtype)
        average.update()
        seen.append({name: p.detach().double() for name, p in named})
    return named, average, seen


@pytest.mark.parametrize(("decay", "steps"), [(0.9, 1), (0.9, 20), (0.999, 5), (0.5, 60)])
def test_the_average_weighs_each_step_by_its_age_and_the_start_not_at_all(dtype, decay, steps):
    _, average, seen = walk(dtype, steps=steps, decay=decay)
    weights = [decay ** (steps - k) for k in range(1, steps + 1)]
    for name in ("matrix", "vector"):
        wanted = sum(w * step[name] for w, step in zip(weights, seen, strict=True)) / sum(weights)
        assert (average.tensors()[f"{name}/average"].double() - wanted).abs().max() < 2e-6 * steps**0.5


def test_the_average_of_bfloat16_weights_keeps_small_differences():
    weight = Parameter(torch.ones(4, dtype=torch.bfloat16))
    average = Average.start([("weight", weight)], 0.99)
    for _ in range(50):
        average.update()
    with torch.no_grad():
        weight.add_(1 / 128)
    average.update()
    share = (1 - 0.99) / (1 - 0.99**51)
    assert average.tensors()["weight/average"][0].item() == pytest.approx(1 + share / 128, abs=1e-7)


def test_inside_the_network_holds_the_average_and_afterwards_its_own_weights(dtype):
    named, average, seen = walk(dtype, steps=6)
    storages = [p.data_ptr() for _, p in named]
    with average.swapped():
        for name, p in named:
            assert torch.equal(p.detach(), average.tensors()[f"{name}/average"].to(dtype))
            assert not torch.equal(p.detach().double(), seen[-1][name])
    assert all(torch.equal(p.detach().double(), seen[-1][name]) for name, p in named)
    assert [p.data_ptr() for _, p in named] == storages


def test_the_weights_come_back_after_an_error_too(dtype):
    named, average, seen = walk(dtype, steps=3)
    with pytest.raises(KeyError), average.swapped():
        raise KeyError
    assert all(torch.equal(p.detach().double(), seen[-1][name]) for name, p in named)


def test_averaged_weights_are_never_taken_into_the_average():
    _, average, _ = walk(torch.float32, steps=3)
    with average.swapped(), pytest.raises(AssertionError):
        average.update()
    average.update()


def test_only_what_trains_is_averaged():
    trains, frozen = Parameter(torch.zeros(2)), Parameter(torch.zeros(2), requires_grad=False)
    average = Average.start([("trains", trains), ("frozen", frozen)], 0.9)
    assert set(average.tensors()) == {"trains/average", "average/updates"}


def test_an_average_over_no_step_is_the_network_itself(dtype):
    named, average, _ = walk(dtype, steps=0)
    before = [p.detach().clone() for _, p in named]
    with average.swapped():
        assert all(torch.equal(p, old) for (_, p), old in zip(named, before, strict=True))


def test_a_restored_average_goes_on_as_the_saved_one_bit_for_bit(dtype):
    named, average, _ = walk(dtype, steps=4)
    other = Average.start([(name, Parameter(torch.zeros_like(p))) for name, p in named], 0.9)
    saved = {name: t.clone() for name, t in average.tensors().items()}
    other.restore(saved)
    other._weights = [p for _, p in named]
    for moving in (average, other):
        moving.update()
    left, right = average.tensors(), other.tensors()
    assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
    assert not torch.equal(saved["matrix/average"], right["matrix/average"])
