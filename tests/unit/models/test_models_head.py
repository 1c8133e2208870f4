"""The output head fused with its loss against the same written plainly with all logits."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fakes import ALL_SHAPES, tiny_network
from luthier.models import head as module
from luthier.models.head import Head, head_logprobs, head_nll, head_of

N, H, V = 13, 6, 29
CAP, SCALE = 1.5, 0.7


def plain_logits(hidden, head: Head) -> torch.Tensor:
    """cap * tanh(scale * (h W^T + b) / cap), as the libraries' models compute it."""
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias) * head.scale
    return logits if head.cap is None else head.cap * torch.tanh(logits / head.cap)


def plain_logprobs(hidden, head: Head, targets) -> torch.Tensor:
    return torch.log_softmax(plain_logits(hidden, head), -1)[torch.arange(len(targets)), targets]


def case(*, bias=True, scale=SCALE, cap=CAP, dtype=torch.float64, rows=N):
    """Hidden states, head, targets and weights, the same each time."""
    torch.manual_seed(3)
    hidden = torch.randn(rows, H, dtype=dtype, requires_grad=True)
    weight = torch.randn(V, H, dtype=dtype, requires_grad=True)
    shift = torch.randn(V, dtype=dtype, requires_grad=True) if bias else None
    return hidden, Head(weight, shift, scale, cap), torch.randint(V, (rows,)), torch.rand(rows)


def leaves(hidden, head: Head) -> list[torch.Tensor]:
    return [t for t in (hidden, head.weight, head.bias) if t is not None and t.requires_grad]


def number(value) -> float:
    return float(value.detach())


def relative(a, b) -> float:
    return number((a.double() - b.double()).abs().max() / b.double().abs().max())


@pytest.fixture(params=[1, 2, 5, N, 1000], ids=lambda n: f"{n} rows a piece")
def pieces(request, monkeypatch):
    """Rows of logits that exist at a time: from one to all."""
    monkeypatch.setattr(module, "PIECE_BYTES", request.param * V * 8)


KINDS = {
    "plain": {"bias": False, "scale": 1.0, "cap": None},
    "bias": {"bias": True, "scale": 1.0, "cap": None},
    "scale, as Cohere and Granite": {"bias": False, "scale": SCALE, "cap": None},
    "soft cap, as Gemma 2": {"bias": False, "scale": 1.0, "cap": CAP},
    "all of them": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradients_are_the_plain_ones_whatever_the_pieces(pieces, kind):
    """Fused loss with wrong reduction: in float64, with weights, and an upstream gradient other than 1."""
    hidden, head, targets, weights = case(**KINDS[kind])
    expected = -(plain_logprobs(hidden, head, targets) * weights.double()).sum()
    wanted = torch.autograd.grad(-2.5 * expected / 7, leaves(hidden, head))
    for fused in (
        head_nll(hidden, head, targets, weights),
        -(head_logprobs(hidden, head, targets) * weights.double()).sum(),
    ):
        assert number(fused) == pytest.approx(number(expected), rel=1e-12)
        found = torch.autograd.grad(-2.5 * fused / 7, leaves(hidden, head))
        assert len(found) == (3 if head.bias is not None else 2)
        for a, b in zip(found, wanted, strict=True):
            assert relative(a, b) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_log_probabilities_are_finite_differences(pieces, kind):
    hidden, head, targets, _ = case(**KINDS[kind], rows=4)
    inputs = leaves(hidden, head)

    def values(hidden, weight, bias=None):
        return head_logprobs(hidden, Head(weight, bias, head.scale, head.cap), targets)

    assert torch.autograd.gradcheck(values, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_loss_are_finite_differences(kind):
    """By hand: torch's own check passes backward twice through one graph, which this loss refuses (see below)."""
    hidden, head, targets, weights = case(**KINDS[kind], rows=4)
    inputs = leaves(hidden, head)
    found = torch.autograd.grad(head_nll(hidden, head, targets, weights), inputs)
    for tensor, gradient in zip(inputs, found, strict=True):
        for place in range(0, tensor.numel(), 7):
            flat, ends = tensor.detach().view(-1), []
            for shift in (1e-5, -2e-5, 1e-5):  # up, down, back
                flat[place] += shift
                ends.append(number(head_nll(hidden, head, targets, weights)))
            assert float(gradient.flatten()[place]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)


def test_a_loss_that_is_no_weighted_sum_has_the_plain_gradient(pieces):
    """Preference losses bend the log-probabilities, so each token's upstream gradient is its own."""
    hidden, head, targets, _ = case()
    wanted = torch.autograd.grad((plain_logprobs(hidden, head, targets).exp() ** 2).sum(), leaves(hidden, head))
    found = torch.autograd.grad((head_logprobs(hidden, head, targets).exp() ** 2).sum(), leaves(hidden, head))
    assert all(relative(a, b) < 1e-12 for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("frozen", ["weight", "hidden", "bias"])
def test_a_frozen_tensor_gets_no_gradient_and_the_others_keep_theirs(frozen):
    hidden, head, targets, weights = case()
    named = {"hidden": hidden, "weight": head.weight, "bias": head.bias}
    wanted = torch.autograd.grad(head_nll(hidden, head, targets, weights), [*named.values()])
    named[frozen].requires_grad_(False)
    for loss in (
        head_nll(hidden, head, targets, weights),
        -torch.dot(head_logprobs(hidden, head, targets), weights.double()),
    ):
        for tensor in named.values():
            tensor.grad = None
        loss.backward()
        assert named[frozen].grad is None
        for (name, tensor), expected in zip(named.items(), wanted, strict=True):
            assert name == frozen or relative(tensor.grad, expected) < 1e-12


class Sizes(TorchDispatchMode):
    """Counts the elements of the largest tensor that any operation gives back, and the matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.products += func.overloadpacket.__name__ in ("mm", "addmm", "addmm_")
        self.largest = max([self.largest, *(t.numel() for t in tree_leaves(out) if isinstance(t, torch.Tensor))])
        return out


def measured(function) -> Sizes:
    with Sizes() as sizes:
        function()
    return sizes


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_logits_never_exist(monkeypatch, kind):
    """The largest tensor of forward and backward is a piece, the hidden states or the head; a plain loss makes N * V."""
    rows = 64
    hidden, head, targets, weights = case(**KINDS[kind], rows=rows)
    monkeypatch.setattr(module, "PIECE_BYTES", 10 * V * 8)
    bound = max(10 * V, rows * H, V * H)
    assert bound < rows * V / 4
    nll = measured(lambda: head_nll(hidden, head, targets, weights).backward())
    logprobs = measured(lambda: head_logprobs(hidden, head, targets).exp().sum().backward())
    plain = measured(lambda: plain_logprobs(hidden, head, targets).sum().backward())
    assert nll.largest <= bound and logprobs.largest <= bound
    assert plain.largest == rows * V  # so the measure does see logits


@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_head_costs_no_product_for_its_gradient(monkeypatch, frozen):
    hidden, head, targets, weights = case(bias=False)
    monkeypatch.setattr(module, "PIECE_BYTES", 5 * V * 8)  # three pieces: logits, d hidden and d W for each
    head.weight.requires_grad_(not frozen)
    assert measured(lambda: head_nll(hidden, head, targets, weights).backward()).products == (6 if frozen else 9)


def test_a_measurement_costs_no_gradient(monkeypatch):
    """Without grad the weight still says requires_grad; the loss of the dev rows computes the logits and no more."""
    hidden, head, targets, weights = case()
    monkeypatch.setattr(module, "PIECE_BYTES", 5 * V * 8)
    with torch.no_grad():
        found = []
        assert measured(lambda: found.append(head_nll(hidden, head, targets, weights))).products == 3
    assert not found[0].requires_grad
    assert number(found[0]) == pytest.approx(number(head_nll(hidden, head, targets, weights)), rel=1e-12)


def test_a_second_backward_pass_is_refused_rather_than_wrong():
    hidden, head, targets, weights = case()
    loss = head_nll(hidden, head, targets, weights)
    loss.backward(gradient=torch.tensor(0.5, dtype=torch.float64), retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("bias", [False, True])
def test_without_trained_rows_the_loss_is_0_and_so_are_the_gradients(bias):
    """Never NaN."""
    hidden, head, targets, weights = case(bias=bias, rows=0)
    loss = head_nll(hidden, head, targets, weights)
    (loss / 3).backward()
    assert number(loss) == 0.0
    logprobs = head_logprobs(hidden, head, targets)
    assert logprobs.shape == (0,)
    logprobs.sum().backward()
    assert hidden.grad.shape == (0, H)
    for tensor in leaves(hidden, head)[1:]:
        assert tensor.grad is not None and not tensor.grad.any() and tensor.grad.shape == tensor.shape


def test_rows_that_weigh_nothing_get_no_gradient():
    hidden, head, targets, weights = case()
    weights[::2] = 0
    head_nll(hidden, head, targets, weights).backward()
    assert not hidden.grad[::2].any() and hidden.grad[1::2].abs().sum(-1).min() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_very_confident_wrong_prediction_is_exact(dtype):
    """log p = -200: exp(-200) is 0 in float32, so a logarithm of the probability would be minus infinity."""
    weight = torch.tensor([[0.0], [200.0], [-300.0]], dtype=dtype, requires_grad=True)
    hidden = torch.ones(3, 1, dtype=dtype, requires_grad=True)
    head, targets = Head(weight, None), torch.tensor([0, 1, 2])
    assert head_logprobs(hidden, head, targets).tolist() == [-200.0, 0.0, -500.0]
    loss = head_nll(hidden, head, targets, torch.ones(3))
    loss.backward()
    assert number(loss) == 700.0
    assert hidden.grad.flatten().tolist() == pytest.approx([200.0, 0.0, 500.0])  # W[argmax] - W[target]
    assert weight.grad.flatten().tolist() == pytest.approx([-1.0, 2.0, -1.0])


def test_a_bfloat16_head_is_close_to_float32_and_its_gradient_is_summed_in_float32(monkeypatch):
    """Many pieces: a sum in bfloat16 would lose all but the first of them."""
    rows = 2048
    hidden, head, targets, weights = case(**KINDS["plain"], rows=rows, dtype=torch.float32)
    exact = torch.autograd.grad(head_nll(hidden, head, targets, weights), [hidden, head.weight])
    monkeypatch.setattr(module, "PIECE_BYTES", 8 * V * 4)
    narrow, matrix = (t.detach().to(torch.bfloat16).requires_grad_() for t in (hidden, head.weight))
    value = head_nll(narrow, Head(matrix, None), targets, weights)
    assert value.dtype == torch.float32
    assert number(value) == pytest.approx(number(head_nll(hidden, head, targets, weights)), rel=1e-3)
    found = torch.autograd.grad(value, [narrow, matrix])
    assert [g.dtype for g in found] == [torch.bfloat16, torch.bfloat16]
    assert [relative(a, b) < bound for a, b, bound in zip(found, exact, (0.05, 0.01), strict=True)] == [True, True]
    logprobs = head_logprobs(narrow, Head(matrix, None), targets)
    assert logprobs.dtype == torch.float32
    assert relative(logprobs, head_logprobs(hidden, head, targets)) < 0.02
    again = torch.autograd.grad(-torch.dot(logprobs, weights), [narrow, matrix])
    assert [relative(a, b) < bound for a, b, bound in zip(again, exact, (0.05, 0.01), strict=True)] == [True, True]


def test_under_autocast_products_are_narrow_and_gradients_are_close_and_wide():
    hidden, head, targets, weights = case(dtype=torch.float32, rows=200)
    inputs = leaves(hidden, head)
    exact = torch.autograd.grad(head_nll(hidden, head, targets, weights), inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = -torch.dot(plain_logprobs(hidden, head, targets).float(), weights)
        wanted = torch.autograd.grad(plain, inputs)
        fused = head_nll(hidden, head, targets, weights)
        found = torch.autograd.grad(fused, inputs)
    assert fused.dtype == torch.float32 and {g.dtype for g in found} == {torch.float32}
    assert number(fused) == pytest.approx(number(plain), rel=2e-3)
    for a, b, e in zip(found, wanted, exact, strict=True):
        assert 0 < relative(a, e) < 0.03  # narrow, and no worse than autocast's own
        assert relative(a, b) < 0.05


def test_a_backward_pass_outside_autocast_computes_as_the_forward_pass_did():
    """Autograd's threads know of another autocast: the logits made anew are those of the forward pass all the same."""
    hidden, head, targets, weights = case(dtype=torch.float32)
    found = []
    for inside in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = -torch.dot(head_logprobs(hidden, head, targets), weights)
            if inside:
                found.append(torch.autograd.grad(loss, leaves(hidden, head)))
        if not inside:
            with torch.autocast("cpu", dtype=torch.float16):
                found.append(torch.autograd.grad(loss, leaves(hidden, head)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_the_head_of_every_shape_is_found(shape):
    network = tiny_network(shape)
    head = head_of(network)
    assert head is not None and head.weight is network.get_output_embeddings().weight
    assert (head.scale, head.cap) == (1.0, None)
    is_tied = head.weight is network.get_input_embeddings().weight
    assert is_tied == bool(network.config.tie_word_embeddings)


def test_a_head_that_is_more_than_a_linear_layer_is_not_taken_for_one():
    """An adapter on it, or a scale that is the name of a rule (MPT's)."""
    network = tiny_network("llama")
    network.set_output_embeddings(torch.nn.Sequential(network.get_output_embeddings()))
    assert head_of(network) is None
    other = tiny_network("llama")
    other.config.logit_scale = "inv_sqrt_d_model"
    assert head_of(other) is None
    other.config.logit_scale, other.config.logits_scaling, other.config.final_logit_softcapping = 3.0, 2.0, 30.0
    assert head_of(other)[2:] == (1.5, 30.0)
