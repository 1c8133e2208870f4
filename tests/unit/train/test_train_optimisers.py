"""Optimisers: the numbers of each, what bfloat16 weights keep, and state that comes back bit for bit."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import Parameter

from luthier.errors import ConfigError
from luthier.train import optimisers
from luthier.train.averaging import Average
from luthier.train.config import OptimConfig
from luthier.train.optimisers import (
    changed_share,
    make_optimiser,
    restore_tensors,
    state_tensors,
    stochastic_round_,
)

NAMES = ("adamw", "adafactor", "adamw_8bit", "muon")
FORMATS = ("float32", "masters", "stochastic")
SHAPES = {"embed.weight": (33, 7), "layers.0.weight": (96, 64), "norm.weight": (100,)}


@pytest.fixture(params=NAMES)
def name(request):
    """Each optimiser; the 8-bit one where its library is installed."""
    if request.param == "adamw_8bit":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    return request.param


@pytest.fixture(params=FORMATS)
def form(request):
    return request.param


def parameters(form="float32", shapes=SHAPES):
    dtype = torch.float32 if form == "float32" else torch.bfloat16
    generator = torch.Generator().manual_seed(0)
    # Rounded to bfloat16 in any case, so that runs of both formats start at the same point.
    drawn = {name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()}
    return [(name, Parameter(value.to(dtype))) for name, value in drawn.items()]


def options(form="float32", **more):
    return OptimConfig(**{"lr": 1e-2, **more}, **({} if form == "float32" else {"bf16_updates": form}))


def set_gradients(named, step):
    """Gradients that depend on the step alone, numbers of bfloat16."""
    generator = torch.Generator().manual_seed(step)
    for _, p in named:
        p.grad = torch.randn(p.shape, generator=generator).bfloat16().to(p.dtype)


def advance(optimiser, named, steps, average=None):
    for step in steps:
        torch.manual_seed(step)
        set_gradients(named, step)
        optimiser.step()
        if average is not None:
            average.update()


def values(named):
    return {name: p.detach().clone() for name, p in named}


def same_bits(left, right):
    assert left.keys() == right.keys()
    return all(left[key].dtype is right[key].dtype and torch.equal(left[key], right[key]) for key in left)


# The numbers of each optimiser, against float64 in plain lines


def test_float32_adamw_is_torchs_fused_one_bit_for_bit():
    ours, plain = parameters(), parameters()
    config = options(weight_decay=0.1, beta1=0.8, beta2=0.95)
    matrices, vectors = ([p for _, p in plain if (p.ndim >= 2) is big] for big in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=1e-2, betas=(0.8, 0.95), fused=True)
    advance(make_optimiser(ours, config), ours, range(5))
    advance(reference, plain, range(5))
    assert same_bits(values(ours), values(plain))


def plain_adamw(value, gradients, *, lr, decay, b1=0.8, b2=0.95, m=0.0, v=0.0, first=1):
    for t, g in enumerate(gradients, start=first):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        value = value - lr * decay * value - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    return value, m, v


def plain_adafactor(value, gradients, *, lr, decay):
    """arXiv:1804.04235, algorithms 4 and 5, with the rate given and no scale."""
    row = column = v = 0.0
    for t, g in enumerate(gradients, start=1):
        b2, square = 1 - t**-0.8, g * g + 1e-30
        if value.ndim == 2:
            row, column = b2 * row + (1 - b2) * square.mean(1), b2 * column + (1 - b2) * square.mean(0)
            update = g / np.sqrt(np.outer(row, column) / row.mean())
        else:
            v = b2 * v + (1 - b2) * square
            update = g / np.sqrt(v)
        update = update / max(1.0, np.sqrt((update**2).mean()))
        value = value - lr * decay * value - lr * update
    return value


@pytest.mark.parametrize(
    ("kind", "plain"), [("adamw", lambda *a, **k: plain_adamw(*a, **k)[0]), ("adafactor", plain_adafactor)]
)
def test_updates_are_those_of_the_paper_in_float64(kind, plain):
    named = parameters()
    before = {name: value.double().numpy() for name, value in values(named).items()}
    gradients = {name: [] for name, _ in named}
    optimiser = make_optimiser(named, options(name=kind, weight_decay=0.1, beta1=0.8, beta2=0.95))
    for step in range(6):
        advance(optimiser, named, [step])
        for name, p in named:
            gradients[name].append(p.grad.double().numpy())
    for name, p in named:
        wanted = plain(before[name], gradients[name], lr=1e-2, decay=0.1 if p.ndim == 2 else 0.0)
        assert np.abs(p.detach().numpy() - wanted).max() < 2e-6


def dequantised(state, part):
    """A state of 8 bits as numbers, block by block, written plainly; and the numbers that it could have held."""
    codes = state[f"layers.0.weight/state{part}"].flatten().numpy()
    table = state[f"layers.0.weight/qmap{part}"].double().numpy()
    scale = state[f"layers.0.weight/absmax{part}"].double().numpy()
    number = np.array([table[code] * scale[i // 256] for i, code in enumerate(codes)])
    return number.reshape(SHAPES["layers.0.weight"]), np.sort(table), scale


def test_8_bit_adamw_is_adamw_from_its_8_bit_state():
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    named = parameters()
    optimiser = make_optimiser(named, options(name="adamw_8bit", weight_decay=0.1, beta1=0.8, beta2=0.95))
    advance(optimiser, named, range(3))
    weight = dict(named)["layers.0.weight"]
    before, state = weight.detach().double().numpy(), state_tensors(optimiser, named)
    assert state["layers.0.weight/state1"].dtype is torch.uint8
    m, v = (dequantised({k: t.clone() for k, t in state.items()}, part)[0] for part in (1, 2))
    advance(optimiser, named, [3])
    wanted, *moments = plain_adamw(
        before, [weight.grad.double().numpy()], lr=1e-2, decay=0.1, m=m, v=v, first=4
    )  # fmt: skip
    assert np.abs(weight.detach().numpy() - wanted).max() < 1e-6
    for part, moment in zip((1, 2), moments, strict=True):
        number, table, scale = dequantised(state_tensors(optimiser, named), part)
        spacing = np.diff(table).max() * scale.repeat(256).reshape(number.shape)
        assert (np.abs(number - moment) <= 0.55 * spacing).all()  # the library's search is off by a hair at half way


def test_an_update_of_adafactor_is_as_large_as_the_rate_says_and_its_state_is_small():
    shape = {"layers.0.weight": (512, 512)}
    named = parameters(shapes=shape)
    optimiser = make_optimiser(named, options(name="adafactor", lr=1e-3))
    before = values(named)["layers.0.weight"]
    advance(optimiser, named, [0])
    assert float((named[0][1].detach() - before).square().mean().sqrt()) == pytest.approx(1e-3, rel=0.02)
    state = sum(t.numel() for t in state_tensors(optimiser, named).values())
    assert state < 512 * 512 * 2 / 400


def test_decay_is_for_matrices_only(name, form):
    named = parameters(form)
    optimiser = make_optimiser(named, options(form, name=name, weight_decay=0.5, lr=0.1))
    before = values(named)
    for _, p in named:
        p.grad = torch.zeros_like(p)
    optimiser.step()
    for key, p in named:
        ratio = float(p.detach().norm() / before[key].norm())
        assert ratio == pytest.approx(0.95 if p.ndim == 2 else 1.0, abs=2e-3)


def test_the_rate_of_a_group_is_the_one_that_counts(name, form):
    named = parameters(form)
    optimiser = make_optimiser(named, options(form, name=name))
    before = values(named)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    advance(optimiser, named, [0])
    assert same_bits(values(named), before)
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    advance(optimiser, named, [1])
    assert not any(torch.equal(p, before[key]) for key, p in named)


def test_what_is_frozen_or_has_no_gradient_stays(name, form):
    named = parameters(form)
    named[0][1].requires_grad_(False)
    optimiser = make_optimiser(named, options(form, name=name))
    before = values(named)
    set_gradients(named[1:], 0)
    named[2][1].grad = None
    optimiser.step()
    assert [torch.equal(p, before[key]) for key, p in named] == [True, False, True]
    assert {key.rpartition("/")[0] for key in state_tensors(optimiser, named) if not key.endswith("/master")} == {
        "layers.0.weight"
    }


# bfloat16 weights


def test_masters_follow_float32_bit_for_bit_and_weights_are_their_nearest_numbers(name):
    wide, narrow = parameters(), parameters("masters")
    reference = make_optimiser(wide, options(name=name, weight_decay=0.1))
    optimiser = make_optimiser(narrow, options("masters", name=name, weight_decay=0.1))
    advance(reference, wide, range(7))
    advance(optimiser, narrow, range(7))
    masters = {key: state_tensors(optimiser, narrow)[f"{key}/master"] for key, _ in narrow}
    assert same_bits(masters, values(wide))
    assert same_bits(values(narrow), {key: master.bfloat16() for key, master in masters.items()})


def test_buckets_change_no_number(monkeypatch, name):
    runs = []
    for size in (1 << 22, 128):
        monkeypatch.setitem(optimisers.BUCKET_NUMBERS, "cpu", size)
        named = parameters("masters")
        optimiser = make_optimiser(named, options("masters", name=name))
        assert len(optimiser._buckets) == (1 if size > 128 else len(SHAPES))
        advance(optimiser, named, range(4))
        runs.append(state_tensors(optimiser, named) | values(named))
    assert same_bits(*runs)


@pytest.mark.parametrize("updates", ["masters", "stochastic"])
def test_float32_weights_beside_bfloat16_ones_are_stepped_once_and_exactly(name, updates):
    wide, mixed = parameters(), parameters()
    mixed[0] = (mixed[0][0], Parameter(mixed[0][1].detach().bfloat16()))
    advance(make_optimiser(wide, options(name=name)), wide, range(4))
    advance(make_optimiser(mixed, options(updates, name=name)), mixed, range(4))
    left, right = values(wide), values(mixed)
    assert right.pop("embed.weight").dtype is torch.bfloat16 and left.pop("embed.weight").dtype is torch.float32
    assert same_bits(left, right)


def test_gradients_summed_in_float32_are_not_rounded_on_their_way():
    weight = Parameter(torch.ones(100, dtype=torch.bfloat16))
    weight.grad_dtype = torch.float32
    weight.grad = torch.full((100,), 1 + 2**-12)
    optimiser = make_optimiser([("weight", weight)], options("masters", beta1=0.5))
    optimiser.step()
    assert state_tensors(optimiser, [("weight", weight)])["weight/exp_avg"].unique().tolist() == [0.5 + 2**-13]


ALL_BITS = torch.arange(-(1 << 15), 1 << 15).to(torch.int16)


@pytest.mark.parametrize("number", [1.0, 1.001, -1.001, 3.14159, -2.7e-5, 1e-39, -0.0, 255.99999, 6.1e37])
def test_random_rounding_is_exact_in_the_mean_over_all_bits_and_never_passes_a_neighbour(number):
    exact = torch.tensor(number)
    rounded = stochastic_round_(exact.repeat(1 << 16), ALL_BITS)
    assert float(rounded.double().mean()) == float(exact)
    assert torch.equal(rounded.bfloat16().float(), rounded)
    below = (exact.view(torch.int32) & -(1 << 16)).view(torch.float32)
    above = ((exact.view(torch.int32) & -(1 << 16)) + (1 << 16)).view(torch.float32)
    assert set(rounded.tolist()) <= {float(below), float(above)}


def test_random_rounding_keeps_infinities_and_what_is_no_number():
    special = torch.tensor([float("inf"), float("-inf"), float("nan")])
    for bits in ALL_BITS[::4097]:
        rounded = stochastic_round_(special.clone(), bits.repeat(3))
        assert rounded[:2].tolist() == special[:2].tolist() and bool(rounded[2].isnan())


def test_random_rounding_of_a_step_is_right_in_the_mean():
    """Steps of a tenth of the distance between neighbours: one weight in ten moves, by the whole distance."""
    number = 1 << 16
    named = [("weight", Parameter(torch.ones(number, dtype=torch.bfloat16)))]
    optimiser = make_optimiser(named, options("stochastic", lr=0.1 / 256))  # below 1 numbers are 1/256 apart
    named[0][1].grad = torch.ones_like(named[0][1])
    torch.manual_seed(0)
    optimiser.step()
    moved = 1 - named[0][1].detach().double()
    assert set(moved.tolist()) == {0.0, 1 / 256}
    assert abs(float((moved > 0).double().mean()) - 0.1) < 4 * (0.09 / number) ** 0.5


def test_random_rounding_draws_from_the_default_generator():
    runs = []
    for seed in (1, 1, 2):
        named = parameters("stochastic")
        optimiser = make_optimiser(named, options("stochastic", lr=1e-4))
        set_gradients(named, 0)
        torch.manual_seed(seed)
        optimiser.step()
        runs.append(values(named))
    assert same_bits(runs[0], runs[1]) and not same_bits(runs[0], runs[2])


def tiny_moves(form, kind, *, plain=False):
    """Mean movement against the gradient's sign after 1,000 steps of 1e-4 on weights of about 1."""
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(128, 128, generator=generator).bfloat16()
    start = start + start.sign()
    sign = torch.randn(128, 128, generator=generator).sign()
    dtype = torch.float32 if form == "float32" else torch.bfloat16
    weight = Parameter(start.to(dtype, copy=True))
    config = options(form, name=kind, lr=1e-4)
    optimiser = torch.optim.AdamW([weight], lr=1e-4) if plain else make_optimiser([("layers.0.weight", weight)], config)
    torch.manual_seed(0)
    for _ in range(1000):
        weight.grad = sign.to(dtype)
        optimiser.step()
    return float(((start.double() - weight.detach().double()) * sign).mean())


@pytest.mark.parametrize("updates", ["masters", "stochastic"])
def test_a_thousand_tiny_steps_move_bfloat16_weights_as_float32_does_within_one_percent(name, updates):
    assert tiny_moves(updates, name) == pytest.approx(tiny_moves("float32", name), rel=0.01)


def test_a_thousand_tiny_steps_are_lost_by_bfloat16_weights_alone():
    moved = tiny_moves("masters", "adamw", plain=True)
    assert moved < 0.1 * tiny_moves("float32", "adamw")


def test_the_share_of_changed_tensors_tells_lost_updates():
    named = parameters("masters")
    for _, p in named:
        p.data = p.data.sign()  # neighbours of 1 are 1/256 and 1/128 away
    optimiser = make_optimiser(named, options("masters", lr=1e-6))
    assert changed_share(optimiser) == 0.0
    advance(optimiser, named, [0])
    assert changed_share(optimiser) == 0.0
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    advance(optimiser, named, [1])
    assert changed_share(optimiser) == 1.0
    set_gradients(named, 2)
    named[0][1].grad = None
    optimiser.step()
    assert changed_share(optimiser) == pytest.approx(2 / 3)


def test_float32_weights_have_no_share_of_changed_tensors():
    named = parameters()
    optimiser = make_optimiser(named, options())
    advance(optimiser, named, [0])
    assert changed_share(optimiser) is None


# Checkpoints


@pytest.mark.parametrize("decay", [None, 0.9])
def test_seven_steps_saved_restored_in_new_objects_and_thirteen_more_are_twenty(tmp_path, name, form, decay):
    config = options(form, name=name, weight_decay=0.01)

    def begin():
        named = parameters(form)
        return named, make_optimiser(named, config), Average.start(named, decay) if decay else None

    def everything(named, optimiser, average):
        return values(named) | state_tensors(optimiser, named) | (average.tensors() if average else {})

    straight = begin()
    advance(straight[1], straight[0], range(20), straight[2])
    named, optimiser, average = begin()
    advance(optimiser, named, range(7), average)
    parts = {
        "weights": values(named),
        "state": state_tensors(optimiser, named),
        "average": average.tensors() if average else {},
    }
    for part, tensors in parts.items():
        save_file({key: t.contiguous() for key, t in tensors.items()}, tmp_path / part)
    named, optimiser, average = begin()
    advance(optimiser, named, [99], average)  # what it did before is forgotten
    loaded = {part: load_file(tmp_path / part) for part in parts}
    for key, p in named:
        p.data.copy_(loaded["weights"][key])
    restore_tensors(optimiser, named, loaded["state"])
    if average:
        average.restore(loaded["average"])
    assert same_bits(everything(named, optimiser, average), loaded["weights"] | loaded["state"] | loaded["average"])
    advance(optimiser, named, range(7, 20), average)
    assert same_bits(everything(named, optimiser, average), everything(*straight))


def test_restored_state_is_a_copy(name):
    named = parameters("masters")
    optimiser = make_optimiser(named, options("masters", name=name))
    advance(optimiser, named, range(2))
    saved = {key: t.clone() for key, t in state_tensors(optimiser, named).items()}
    kept = {key: t.clone() for key, t in saved.items()}
    restore_tensors(optimiser, named, saved)
    advance(optimiser, named, [2])
    assert same_bits(saved, kept)


def test_8_bit_state_without_its_library_says_what_to_install(monkeypatch):
    for module in ("bitsandbytes", "bitsandbytes.optim"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"train\.optim\.name: found \"adamw_8bit\".*\n.*\.venv/bin/pip install -e \"\.\[qlora\]"):
        make_optimiser(parameters(), options(name="adamw_8bit"))
