"""How far apart two ways' gradients are: numbers by hand, and the proof that rows together get those of each alone."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model

from fakes import ALL_SHAPES, tiny_network
from luthier.errors import ConfigError
from luthier.models import attention, head, passes, short_rows
from luthier.models.gradients import FLOOR, gradient_gap
from luthier.models.passes import Pass, has_experts, settle, why_not

V = 120


class Three(torch.nn.Module):
    """Three vectors that train and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("first", "second", "third", "frozen"):
            self.register_parameter(name, torch.nn.Parameter(torch.ones(4), requires_grad=name != "frozen"))


def back(network, sign=1.0, **factors):
    """A backward pass whose gradient of each named vector is this factor, four times: a norm of twice the factor."""

    def take() -> None:
        loss = sum((getattr(network, name) * factor).sum() for name, factor in factors.items())
        (sign * (loss + network.frozen.sum())).backward()

    return take


def test_the_gap_is_the_largest_share_of_a_tensors_own_gradient():
    network = Three()
    gap = gradient_gap(
        network, add=back(network, first=4.0, second=1.0), take_away=back(network, -1.0, first=3.0, second=0.5)
    )
    assert gap.name == "second" and gap.size == pytest.approx(0.5)


def test_what_one_way_alone_gives_a_gradient_is_a_gap_of_its_size():
    network = Three()
    gap = gradient_gap(network, add=back(network, first=1.0), take_away=back(network, -1.0, first=1.0, third=1.0))
    assert gap.name == "third" and gap.size == pytest.approx(1 / FLOOR)
    gap = gradient_gap(network, add=back(network, first=1.0, third=1.0), take_away=back(network, -1.0, first=1.0))
    assert gap.name == "third" and gap.size == pytest.approx(1.0)


def test_a_gradient_that_is_next_to_nothing_is_measured_against_the_whole():
    network = Three()
    gap = gradient_gap(
        network, add=back(network, first=1.0, second=1e-7), take_away=back(network, -1.0, first=1.0, second=3e-7)
    )
    assert gap.name == "second" and gap.size == pytest.approx(2e-7 / FLOOR, rel=1e-3)


def test_several_backward_passes_are_summed():
    network = Three()

    def add():
        for _ in range(3):
            back(network, first=1.0)()

    assert gradient_gap(network, add=add, take_away=back(network, -1.0, first=3.0)).size == 0.0


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_the_largest_gap(broken):
    network = Three()
    gap = gradient_gap(
        network, add=back(network, first=1.0, second=broken), take_away=back(network, -1.0, first=5.0, second=broken)
    )
    assert gap.name == "second" and math.isnan(gap.size)


def test_without_any_gradient_there_is_no_gap():
    network = Three()
    assert gradient_gap(network, add=lambda: None, take_away=lambda: None).size == 0.0
    network.requires_grad_(False)
    assert gradient_gap(network, add=lambda: None, take_away=lambda: None) == ("", 0.0)


@pytest.mark.parametrize("fails", [False, True])
def test_gradients_that_were_there_are_there_again(fails):
    """The same tensors with the same numbers, and none where none was; a way that cannot be passed changes nothing."""
    network = Three()
    network.first.grad = torch.arange(4.0)
    kept = network.first.grad

    def take_away():
        assert torch.equal(network.first.grad, torch.ones(4))
        if fails:
            raise RuntimeError("no way back")
        back(network, -1.0, first=1.0)()

    with torch.no_grad():
        if fails:
            with pytest.raises(RuntimeError, match="no way back"):
                gradient_gap(network, add=back(network, first=1.0, second=1.0), take_away=take_away)
        else:
            assert gradient_gap(network, add=back(network, first=1.0, second=1.0), take_away=take_away).name == "second"
    assert network.first.grad is kept and torch.equal(kept, torch.arange(4.0))
    assert network.second.grad is None and network.third.grad is None and network.frozen.grad is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_narrow_and_wide_gradients_are_measured_too(dtype):
    network = Three().to(dtype)
    gap = gradient_gap(network, add=back(network, first=2.0), take_away=back(network, -1.0, first=1.0))
    assert gap == ("first", 0.5)


# The proof, on networks.


@pytest.fixture
def gaps(monkeypatch):
    """How far apart the gradients of each proof were."""
    seen = []

    def kept(*given, **named):
        seen.append(gap := gradient_gap(*given, **named))
        return gap

    monkeypatch.setattr(passes, "gradient_gap", kept)
    return seen


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("precision", ["float64", "float32", "autocast", "bfloat16"])
def test_the_gradients_of_right_networks_are_well_within_what_is_allowed(shape, precision, gaps):
    """Packed and padded, fused and not, with dropout in the network; weights drawn as models start."""
    network = tiny_network(shape, vocabulary=V, spread=0.02, dropout=0.5)
    if precision in ("float64", "bfloat16"):
        network.to(getattr(torch, precision))
    if precision == "float64" and has_experts(network):
        network.set_experts_implementation("eager")  # grouped products know no float64
    ways = [Pass(packed, fused, has_experts(network), precision == "autocast")
            for packed in (True, False) for fused in (True, False)]  # fmt: skip
    assert [why_not(network, way) for way in ways] == [""] * 4
    sliding = shape in ("mistral", "gemma3")  # a row that crosses the window is tried apart
    assert len(gaps) == 4 * (1 + sliding)
    assert 0.0 < max(gap.size for gap in gaps) <= passes._gradient_tolerance(network, ways[0]) / 5


def takes_in_what_is_behind(line, shelf):
    """The gradient as it was once laid on a shelf: what fills it behind a row took part in that of keys and values."""
    return short_rows._on_shelf(line.index_select(0, shelf.tokens), shelf)


@pytest.mark.parametrize("shape", ["llama", "qwen3", "gpt2", "phi3", "mistral", "mixtral", "qwen3_moe"])
@pytest.mark.parametrize("precision", ["autocast", "bfloat16"])
def test_wrong_gradients_of_keys_and_values_are_found_out(shape, precision, monkeypatch):
    """In the precision of the run, where alone it was: the forward pass and float32 are right."""
    network, autocast = tiny_network(shape, vocabulary=V, spread=0.05), precision == "autocast"
    way = Pass(is_packed=True, with_router=has_experts(network), autocast=autocast)
    network.to(torch.float32 if autocast else torch.bfloat16)
    monkeypatch.setattr(short_rows, "_laid_gradient", takes_in_what_is_behind)
    with torch.no_grad():
        assert passes._why_not(network, way, 512) == ""
    how, reason = settle(network, with_router=way.with_router, autocast=autocast)
    assert how == replace(way, is_packed=False, is_fused=True)
    found = re.fullmatch(r"its rows get other gradients together than alone \((\S+): off by \S+ of its size\)", reason)
    assert found and found[1] in dict(network.named_parameters())
    with pytest.raises(ConfigError, match="other gradients together than alone"):
        settle(network, packing="packed", with_router=way.with_router, autocast=autocast)
    assert settle(network.float(), with_router=way.with_router)[0].is_packed


def doubled_back(tensor):
    """The same numbers, with twice the gradient."""
    return 2 * tensor - tensor.detach()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_wrong_gradients_are_found_out_in_every_precision(dtype, monkeypatch):
    """Lengths that are a multiple of 16 come out right, as they did in a fault of old."""
    network, by_length = tiny_network("llama", vocabulary=V).to(dtype), attention._by_length

    def wrong(query, key, value, lengths, **options):
        if any(n % 16 for n in lengths):
            key, value = doubled_back(key), doubled_back(value)
        return by_length(query, key, value, lengths, **options)

    monkeypatch.setattr(attention, "_by_length", wrong)
    assert "other gradients" in why_not(network, Pass(is_packed=True))
    monkeypatch.setattr(passes, "GRADIENT_LENGTHS", (16, 32))
    assert why_not(network, Pass(is_packed=True)) == ""


@pytest.mark.parametrize(("longest", "is_packed"), [(25, False), (24, True)])
def test_wrong_gradients_beyond_a_window_are_found_out_when_the_rows_will_cross_it(longest, is_packed, monkeypatch):
    network, by_length = tiny_network("gemma3", vocabulary=V), attention._by_length

    def wrong(query, key, value, lengths, *, window, **options):
        if window is not None and max(lengths) > window:
            value = doubled_back(value)
        return by_length(query, key, value, lengths, window=window, **options)

    monkeypatch.setattr(attention, "_by_length", wrong)
    how, reason = settle(network, longest=longest)
    assert how.is_packed == is_packed and ("other gradients" in reason) != is_packed


@pytest.mark.parametrize("function", ["_HeadNll", "_HeadLogprobs"])
def test_a_fused_head_with_wrong_gradients_is_taken_apart_and_the_reason_said(function, monkeypatch):
    """Either of its functions: one is the loss of sft and pretrain, the other that of dpo and grpo."""
    network, kind = tiny_network("llama", vocabulary=V), getattr(head, function)
    back = kind.backward

    def wrong(ctx, grad):
        d_hidden, *others = back(ctx, grad)
        return (2 * d_hidden, *others)

    monkeypatch.setattr(kind, "backward", staticmethod(wrong))
    how, reason = settle(network)
    assert how == Pass(is_packed=True) and reason.startswith("logits made whole, since its rows get other gradients")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks under an old name
@pytest.mark.parametrize("kind", ["values", "lora", "nothing"])
def test_only_what_trains_is_proven(kind, monkeypatch):
    """Frozen weights get no gradient; a fault in theirs shows in what trains below them, or harms nothing."""
    monkeypatch.setattr(short_rows, "_laid_gradient", takes_in_what_is_behind)
    network = tiny_network("llama", vocabulary=V)
    if kind == "lora":
        network = get_peft_model(network, LoraConfig(r=2, target_modules=["k_proj", "v_proj"]))
    for name, parameter in network.named_parameters():
        if kind == "values":
            parameter.requires_grad_("layers.0.mlp" in name)
        elif kind == "nothing":
            parameter.requires_grad_(False)
    reason = why_not(network, Pass(is_packed=True, autocast=True))
    expected = {"values": "layers.0.mlp", "lora": "lora_B", "nothing": ""}[kind]
    assert expected in reason and bool(reason) == bool(expected)
    assert all(p.grad is None for p in network.parameters())
    monkeypatch.undo()
    assert why_not(network, Pass(is_packed=True, autocast=True)) == ""
