"""DPO and GRPO from rows to gradients, on a network whose logits are a table: every number can be written down."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from luthier.models.generate import next_token_logprobs
from luthier.records import Completion, Example, Grade, Message
from luthier.train import rl
from luthier.train.batch import Row
from luthier.train.config import DpoSettings, GrpoSettings, TrainConfig
from luthier.train.preference import dpo, reference_logprobs

PROMPT = 4  # tokens of every prompt here; the first token after it names the row
VOCABULARY = 70


class Table(torch.nn.Module):
    """Logits [row, position, vocabulary] as the only parameter; the row is read from the first token of the answer."""

    def __init__(self, *, num_rows: int, width: int, seed: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        logits = torch.randn(num_rows, width, VOCABULARY, generator=random, dtype=torch.float64)
        self.logits = torch.nn.Parameter(logits)
        self.head = torch.nn.Identity()

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head

    def forward(self, input_ids, use_cache):
        return SimpleNamespace(logits=self.head(self.logits[input_ids[:, PROMPT], : input_ids.shape[1]]))


def row(number: int, length: int) -> Row:
    """A prompt, and an answer of `length` tokens whose first one is the row's number."""
    random = torch.Generator().manual_seed(number)
    rest = torch.randint(0, VOCABULARY, (length - 1,), generator=random).tolist()
    return Row(f"row {number}", (*range(10, 10 + PROMPT), number, *rest), (0.0,) * PROMPT + (1.0,) * length)


def answer_logprob(network, r: Row) -> torch.Tensor:
    """The plain sum over the answer's tokens."""
    total = torch.zeros((), dtype=torch.float64)
    for t in range(PROMPT, len(r.token_ids)):
        logits = network.logits[r.token_ids[PROMPT], t - 1]
        total = total + logits[r.token_ids[t]] - torch.logsumexp(logits, 0)
    return total


def step_gradient(network, work):
    """Loss and gradient of the first step, as the loop takes them."""
    network.zero_grad()
    todo = work.prepare(1)
    pieces = [work.loss(batch) for batch in todo.batches]
    loss = sum(piece.total for piece in pieces) / todo.count
    loss.backward()
    metrics = {name: sum(p.metrics[name] for p in pieces) / todo.count for name in pieces[0].metrics}
    return float(loss.detach()), network.logits.grad.clone(), metrics


LENGTHS = (3, 20, 9, 1, 5, 5)  # chosen, rejected, chosen, ...


@pytest.mark.parametrize("micro_batch_tokens", [1, 60, 10_000])
def test_dpo_is_its_closed_form(micro_batch_tokens):
    """Mean for sum, prompt or padding in the log-probabilities: loss and gradient in float64."""
    rows = [row(n, length) for n, length in enumerate(LENGTHS)]
    network, start = Table(num_rows=6, width=30), Table(num_rows=6, width=30, seed=1)
    beta = 0.3
    config = TrainConfig(
        method="dpo", batch_rows=3, max_steps=1, micro_batch_tokens=micro_batch_tokens, dpo=DpoSettings(beta=beta)
    )
    reference = torch.stack([answer_logprob(start, r).detach() for r in rows])
    kept = reference_logprobs(start, rows, micro_batch_tokens=40)
    assert kept.tolist() == pytest.approx(reference.tolist(), rel=1e-6)
    loss, gradient, metrics = step_gradient(network, dpo(network, rows, reference, config))

    gains = [answer_logprob(network, r) - reference[i] for i, r in enumerate(rows)]
    margins = [gains[i] - gains[i + 1] for i in (0, 2, 4)]
    plain = sum(-torch.log(torch.sigmoid(beta * m)) for m in margins) / 3
    network.zero_grad()
    plain.backward()
    assert loss == pytest.approx(float(plain.detach()), rel=1e-9)
    assert torch.allclose(gradient, network.logits.grad, rtol=1e-9, atol=1e-15)
    values = [float(m.detach()) for m in margins]
    assert metrics["dpo/margin"] == pytest.approx(sum(values) / 3)
    assert metrics["dpo/accuracy"] == pytest.approx(sum(v > 0 for v in values) / 3)
    assert metrics["dpo/chosen_gain"] == pytest.approx(sum(float(gains[i].detach()) for i in (0, 2, 4)) / 3)


@pytest.mark.parametrize("micro_batch_tokens", [1, 10_000])
def test_the_prompts_gradient_and_the_paddings_are_exactly_zero(micro_batch_tokens):
    """No logit before the answer or after its last token enters the loss, whatever shares the batch."""
    rows = [row(n, length) for n, length in enumerate(LENGTHS)]
    network = Table(num_rows=6, width=30)
    config = TrainConfig(method="dpo", batch_rows=3, max_steps=1, micro_batch_tokens=micro_batch_tokens)
    _, gradient, _ = step_gradient(network, dpo(network, rows, torch.zeros(6), config))
    for number, length in enumerate(LENGTHS):
        trained = slice(PROMPT - 1, PROMPT - 1 + length)
        assert (gradient[number, trained].abs().sum(-1) > 0).all()
        gradient[number, trained] = 0
        assert not gradient[number].any()


def test_dpo_does_not_depend_on_what_pads_a_pair():
    """A pair's gradient beside much longer pairs is the one it has alone, but for the count."""
    rows = [row(n, length) for n, length in enumerate(LENGTHS)]
    network = Table(num_rows=6, width=30)
    config = TrainConfig(method="dpo", batch_rows=3, max_steps=1)
    _, together, _ = step_gradient(network, dpo(network, rows, torch.zeros(6), config))
    _, alone, _ = step_gradient(
        network, dpo(network, rows[4:], torch.zeros(2), config.model_copy(update={"batch_rows": 1}))
    )
    assert torch.allclose(together[4:] * 3, alone[4:], rtol=1e-12, atol=0)


def test_dpo_begins_at_ln_2_with_margin_0():
    """The reference is where the model stands before the first step."""
    rows = [row(n, length) for n, length in enumerate(LENGTHS)]
    network = Table(num_rows=6, width=30)
    config = TrainConfig(method="dpo", batch_rows=3, max_steps=1)
    reference = reference_logprobs(network, rows, micro_batch_tokens=50)
    loss, _, metrics = step_gradient(network, dpo(network, rows, reference, config))
    assert loss == pytest.approx(math.log(2), abs=1e-6)
    assert metrics["dpo/margin"] == pytest.approx(0, abs=1e-5)


# GRPO: two prompts, groups of four, lengths 5 and 50 side by side.
SIZES = ((5, 50, 5, 50), (5, 5, 20, 50))
REWARDS = ((1.0, 1.0, 0.0, 0.0), (1.0, 0.0, 0.5, 0.0))
MOST = 64


def rollout(monkeypatch, network, settings, *, shift=0.0, values=REWARDS, max_length=100):
    """The work of one GRPO step whose draws are scripted; `shift` makes them off policy."""
    drawn = [row(4 * p + g, SIZES[p][g]) for p in range(2) for g in range(4)]
    noise = torch.Generator().manual_seed(9)

    def generate(examples, sampling):
        assert (sampling.num_samples, sampling.max_new_tokens) == (4, MOST)
        made = []
        for example in examples:
            for g in range(4):
                r = drawn[4 * int(example.prompt[0].content) + g]
                logits = torch.stack(
                    [network.logits.detach()[r.token_ids[PROMPT], t - 1] for t in range(PROMPT, len(r.token_ids))]
                )
                ids = torch.tensor(r.token_ids[PROMPT:])
                table = next_token_logprobs(logits, temperature=settings.temperature, top_p=settings.top_p)
                logprobs = table.gather(-1, ids.unsqueeze(-1)).squeeze(-1).double()
                logprobs = logprobs + shift * torch.randn(len(ids), generator=noise)
                made.append(Completion.of(example_id=example.id, model_id="m", text=str(r.token_ids), token_ids=tuple(ids.tolist()),
                                          logprobs=tuple(logprobs.tolist())))  # fmt: skip
        return made

    examples = [Example.of([Message(role="user", content=str(p))]) for p in range(2)]
    number_of = {example.id: p for p, example in enumerate(examples)}

    def grade_all(rows, completions):
        return [
            Grade(completion_id=c.id, example_id=c.example_id, grader="g", value=values[number_of[c.example_id]][i % 4],
                  is_error=values[number_of[c.example_id]][i % 4] is None)
            for i, c in enumerate(completions)
        ]  # fmt: skip

    kept = []
    monkeypatch.setattr(rl, "generator", lambda model: generate)
    model = SimpleNamespace(
        network=network, renderer=SimpleNamespace(prompt=lambda _, tools=(): list(range(10, 10 + PROMPT))), max_length=max_length
    )
    config = TrainConfig(method="grpo", batch_rows=2, max_steps=1, micro_batch_tokens=200, grpo=settings)
    work = rl.grpo(model, examples, grade_all, config, on_rollout=lambda step, c, g: kept.append((step, c, g)))
    return work, drawn, kept


def settings(**options):
    return GrpoSettings(**{"group_size": 4, "max_new_tokens": MOST, **options})


def pull(gradient, network, r: Row) -> list[float]:
    """The coefficient of each token: gradient of its own logit over 1 - p."""
    values = []
    for t in range(PROMPT, len(r.token_ids)):
        number, token = r.token_ids[PROMPT], r.token_ids[t]
        p = torch.softmax(network.logits.detach()[number, t - 1], 0)[token]
        values.append(float(gradient[number, t - 1, token] / (1 - p)))
    return values


def test_tokens_of_short_and_long_answers_pull_alike(monkeypatch):
    """GRPO's length bias: same advantage, lengths 5 and 50, equal gradient per token by default."""
    network = Table(num_rows=8, width=60)
    work, drawn, _ = rollout(monkeypatch, network, settings())
    _, gradient, _ = step_gradient(network, work)
    total = sum(sum(sizes) for sizes in SIZES)
    for number, advantage in ((0, 0.5), (1, 0.5), (2, -0.5), (3, -0.5)):
        assert pull(gradient, network, drawn[number]) == pytest.approx(
            [-advantage / total] * SIZES[0][number], rel=1e-4
        )


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("normalise", ["token", "sequence", "constant"])
def test_each_variant_is_its_papers_formula(monkeypatch, normalise, shift):
    """Written plainly, on policy and off it, where the clip is active."""
    network = Table(num_rows=8, width=60)
    work, drawn, kept = rollout(monkeypatch, network, settings(normalise=normalise), shift=shift)
    loss, gradient, _ = step_gradient(network, work)
    completions = {c.token_ids[0]: c for c in kept[0][1]}
    network.zero_grad()
    objective, clipped = 0.0, 0
    for p in range(2):
        mean = sum(REWARDS[p]) / 4
        for g in range(4):
            r, advantage = drawn[4 * p + g], REWARDS[p][g] - mean
            answer = 0.0
            for t in range(PROMPT, len(r.token_ids)):
                logprob = torch.log_softmax(network.logits[r.token_ids[PROMPT], t - 1], 0)[r.token_ids[t]]
                ratio = torch.exp(logprob - completions[r.token_ids[PROMPT]].logprobs[t - PROMPT])
                answer = answer + torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
                clipped += bool(abs(float(ratio.detach()) - 1) > 0.2)
            if normalise == "token":  # DAPO (arXiv:2503.14476), equation 8: one over all tokens of the step
                objective = objective + answer / sum(sum(sizes) for sizes in SIZES)
            elif (
                normalise == "sequence"
            ):  # GRPO (arXiv:2402.03300), equation 3: the mean over answers of their own means
                objective = objective + answer / SIZES[p][g] / 8
            else:  # Dr. GRPO (arXiv:2503.20783): the mean over answers of sums over a constant
                objective = objective + answer / MOST / 8
    assert (clipped > 20) == (shift > 0)
    (-objective).backward()
    assert loss == pytest.approx(-float(objective.detach()), rel=1e-5, abs=1e-7)
    assert torch.allclose(gradient, network.logits.grad, rtol=1e-4, atol=1e-8)


def test_a_failed_grade_leaves_its_group(monkeypatch):
    """The three others are graded against their own mean; its tokens are in no sum and no count."""
    network = Table(num_rows=8, width=60)
    values = ((1.0, None, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
    work, drawn, _ = rollout(monkeypatch, network, settings(), values=values)
    _, gradient, _ = step_gradient(network, work)
    total = 5 + 5 + 50 + sum(SIZES[1])
    assert not gradient[1].any()
    assert pull(gradient, network, drawn[0]) == pytest.approx([-(2 / 3) / total] * 5, rel=1e-4)
    assert pull(gradient, network, drawn[2]) == pytest.approx([(1 / 3) / total] * 5, rel=1e-4)
    assert not gradient[4:].any()  # equal rewards push nowhere, yet their tokens are in the denominator
    metrics = work.prepare(1).metrics
    assert (metrics["rl/errors"], metrics["rl/undecided"], metrics["rl/groups_without_gradient"]) == (1, 0, 1)
    assert metrics["rl/reward"] == pytest.approx(1 / 7)


def test_a_step_whose_groups_all_agree_is_skipped(monkeypatch):
    """No gradient, count 0, the loop makes no update."""
    network = Table(num_rows=8, width=60)
    work, _, _ = rollout(monkeypatch, network, settings(), values=((1.0,) * 4, (None,) * 4))
    todo = work.prepare(1)
    assert (list(todo.batches), todo.count) == ([], 0.0)
    assert todo.metrics["rl/groups_without_gradient"] == 1 and todo.metrics["rl/errors"] == 4
