"""However a step is cut into pieces, its loss and its gradients are the same."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from fakes import tiny_examples, tiny_network, tiny_preferences
from luthier.models.passes import Pass
from luthier.train.batch import collate, micro_batches, pack, rows_of
from luthier.train.config import DpoSettings, OptimConfig, TrainConfig
from luthier.train.engine import PieceLoss, StepWork, Work, steps
from luthier.train.preference import dpo, pairs_of, reference_logprobs
from luthier.train.sft import batch_nll, sft

WAYS = {"padded": Pass(), "packed": Pass(is_packed=True, is_fused=True)}
FROZEN = OptimConfig(lr=1e-30, schedule="constant", max_grad_norm=None)


def splits(number: int, *, together: int = 1) -> dict[str, list[list[int]]]:
    """The indices of a step's rows cut into pieces, in several ways; `together` consecutive rows stay together."""
    units = [list(range(i, i + together)) for i in range(0, number, together)]
    rng = random.Random(7)
    shuffled = units[:]
    rng.shuffle(shuffled)
    cuts = sorted(rng.sample(range(1, len(units)), 4))
    wild = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(units)], strict=True)]
    half = len(units) // 2
    pieces = {"1x16": [units], "2x8": [units[:half], units[half:]], "16x1": [[u] for u in units], "random": wild}
    return {name: [[i for unit in piece for i in unit] for piece in cut] for name, cut in pieces.items()}


def one_step(network, work, optim=FROZEN):
    """The step's record, and the gradient of every parameter as the optimiser saw it."""
    network.zero_grad()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-30)
    step = next(steps(network, work, optimiser=optimiser, config=optim, seed=0))
    return step, {name: p.grad.clone() for name, p in network.named_parameters()}


def assert_same(results, tolerance=1e-6):
    """Every split gives the loss, norm and gradients of the first."""
    (first, gradients), *others = results.values()
    assert first.grad_norm > 0.01
    for step, other in others:
        assert step.loss == pytest.approx(first.loss, rel=tolerance)
        assert step.grad_norm == pytest.approx(first.grad_norm, rel=tolerance)
        assert (step.tokens, step.trained_tokens) == (first.tokens, first.trained_tokens)
        for name, gradient in gradients.items():
            scale = float(gradient.abs().max())
            assert float((gradient - other[name]).abs().max()) <= tolerance * scale, name


@pytest.fixture
def network(shape):
    return tiny_network(shape, seed=1).double()


@pytest.fixture
def rows(tiny, shape):
    fit = rows_of(tiny_examples(16), tiny(shape).renderer, max_length=200, overlong="drop")
    lengths = [len(row.token_ids) for row in fit.rows]
    assert len(fit.rows) == 16 and max(lengths) > 2 * min(lengths)
    # Every other row weighs half: a count of tokens is then not their weight.
    return [replace(row, weights=tuple(w / (1 + n % 2) for w in row.weights)) for n, row in enumerate(fit.rows)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("max_grad_norm", [None, 0.01])
def test_loss_and_gradients_do_not_depend_on_the_micro_batch_split(network, rows, max_grad_norm, way):
    """Loss normalised per micro-batch: in float64, before and after clipping, against the plain quotient."""
    optim = FROZEN.model_copy(update={"max_grad_norm": max_grad_norm})
    count = sum(row.weight for row in rows)
    how, batched = WAYS[way], pack if WAYS[way].is_packed else collate
    results = {}
    for name, cut in splits(16).items():
        batches = [batched(rows, piece) for piece in cut]
        work = Work(1, lambda _, b=batches: StepWork(b, count), lambda b: PieceLoss(batch_nll(network, b, how=how)),
                    mode=lambda: how.mode(network))  # fmt: skip
        results[name] = one_step(network, work, optim)
    assert_same(results)
    total = torch.tensor(0.0, dtype=torch.float64)
    for row in rows:  # the definition: sum of w * nll over all rows, divided by the sum of w
        logprobs = torch.log_softmax(network(input_ids=torch.tensor([row.token_ids])).logits[0], -1)
        for t in range(1, len(row.token_ids)):
            total = total - row.weights[t] * logprobs[t - 1, row.token_ids[t]]
    network.zero_grad()
    (total / count).backward()
    step, gradients = results["2x8"]
    assert step.loss == pytest.approx(float(total.detach()) / count, rel=1e-6)
    norm = float(torch.stack([p.grad.norm() for p in network.parameters()]).norm())
    assert step.grad_norm == pytest.approx(norm, rel=1e-6)
    factor = min(1.0, max_grad_norm / norm) if max_grad_norm else 1.0
    assert max_grad_norm is None or factor < 0.5  # it does clip
    for name, parameter in network.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad * factor, rtol=1e-4, atol=1e-7 * factor), name


def test_the_mean_of_means_that_this_forbids_is_another_number(network, rows):
    """With these rows the fault would show, so the test above can fail."""
    sums = [
        (float(batch_nll(network, collate(rows, piece)).detach()), sum(rows[i].weight for i in piece))
        for piece in splits(16)["16x1"]
    ]
    right = sum(s for s, _ in sums) / sum(n for _, n in sums)
    wrong = sum(s / n for s, n in sums) / len(sums)
    assert abs(right - wrong) > 1e-3


@pytest.mark.parametrize("max_grad_norm", [None, 1e-4])
def test_dpo_loss_and_gradients_do_not_depend_on_the_micro_batch_split_nor_on_packing(
    tiny, shape, network, max_grad_norm
):
    """For DPO: the count of a step is its pairs, whatever pieces they come in."""
    optim = FROZEN.model_copy(update={"max_grad_norm": max_grad_norm})
    rows = pairs_of(tiny_preferences(16), tiny(shape).renderer, max_length=200, overlong="drop").rows
    reference = reference_logprobs(tiny_network(shape, seed=2), rows, micro_batch_tokens=4096)
    config = TrainConfig(method="dpo", batch_rows=16, max_steps=1, dpo=DpoSettings(beta=0.3))
    results = {}
    for way, how in WAYS.items():
        for tokens in (1, 60, 200, 100_000):
            cut = config.model_copy(update={"micro_batch_tokens": tokens})
            results[way, tokens] = one_step(network, dpo(network, rows, reference, cut, how=how), optim)
    assert len(micro_batches(rows, micro_batch_tokens=1, keep_together=2)) == 16
    assert 2 < len(micro_batches(rows, micro_batch_tokens=200, keep_together=2)) < 16
    reference_packed = reference_logprobs(tiny_network(shape, seed=2), rows, micro_batch_tokens=100, how=WAYS["packed"])
    assert torch.allclose(reference_packed, reference, atol=1e-4)
    assert_same(results)
    margins = [step.metrics["dpo/margin"] for step, _ in results.values()]
    assert margins == pytest.approx([margins[0]] * 8, rel=1e-6) and abs(margins[0]) > 0.1


def test_a_whole_run_does_not_depend_on_micro_batch_tokens_nor_on_packing(tiny, shape, rows):
    """Over steps: five updates with AdamW end in the same weights (float32)."""
    ends = []
    for tokens, way in ((1, "padded"), (100, "padded"), (100_000, "padded"), (100, "packed"), (100_000, "packed")):
        network = tiny_network(shape, seed=1)
        config = TrainConfig(batch_rows=5, max_steps=5, micro_batch_tokens=tokens, optim=OptimConfig(lr=1e-3))
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, eps=1e-3)
        losses = [
            s.loss
            for s in steps(
                network, sft(network, rows, config, how=WAYS[way]), optimiser=optimiser, config=config.optim, seed=0
            )
        ]
        ends.append((losses, [p.detach().clone() for p in network.parameters()]))
    for losses, parameters in ends[1:]:
        assert losses == pytest.approx(ends[0][0], rel=1e-5)
        for a, b in zip(parameters, ends[0][1], strict=True):
            assert torch.allclose(a, b, atol=2e-5)


def test_a_step_without_a_trained_token_is_counted_and_skipped(tiny_model):
    """Loss 0, never NaN; neither weights nor their decay move, and the step is logged."""
    network = tiny_network("llama")
    before = [p.detach().clone() for p in network.parameters()]
    row = rows_of(tiny_examples(1), tiny_model.renderer, max_length=200, overlong="drop").rows[0]
    silent = collate([type(row)(row.example_id, row.token_ids, (0.0,) * len(row.weights))], [0])
    work = Work(
        2, lambda step: StepWork([silent] if step == 1 else [], 0.0), lambda b: PieceLoss(batch_nll(network, b))
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1.0, weight_decay=0.5)
    done = list(steps(network, work, optimiser=optimiser, config=FROZEN, seed=0))
    assert [(s.index, s.loss, s.trained_tokens, s.grad_norm) for s in done] == [(1, 0.0, 0, 0.0), (2, 0.0, 0, 0.0)]
    assert [s.tokens for s in done] == [len(row.token_ids), 0]
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert float(batch_nll(network, silent).detach()) == 0.0
