"""Log-probabilities of given tokens: the forward pass that training, scoring and preference losses share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from luthier.models.load import Model
from luthier.models.protocols import Protocol, chat_protocol
from luthier.models.render import Rendered
from luthier.records import AnswerScore, Example, Score

# Shape letters: B rows, T positions, N selected positions, V vocabulary.


@contextmanager
def head_only_at(network: Any, selected_N: Tensor) -> Iterator[None]:
    """Inside, the network's output head sees only the `selected_N` of its B*T positions and gives logits [1, N, V].

    The head is the costliest layer of a small model; most positions (prompt, padding) need no logits. The network's own
    forward still runs, so that scaling and soft caps of the logits stay its own.
    """
    head = network.get_output_embeddings()

    def select(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]
        return (hidden.reshape(-1, hidden.shape[-1]).index_select(0, selected_N).unsqueeze(0), *inputs[1:])

    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def selected_logits(network: Any, input_ids_BT: Tensor, selected_N: Tensor) -> Tensor:
    """Logits [N, V] in float32 (float64 stays) at the flat positions `selected_N` of right-padded rows.

    No attention mask: padding is to the right, and a causal model's earlier positions never see it.
    """
    with head_only_at(network, selected_N):
        logits: Tensor = network(input_ids=input_ids_BT, use_cache=False).logits
    return logits[0].to(torch.promote_types(logits.dtype, torch.float32))


def target_logprobs(logits_NV: Tensor, target_ids_N: Tensor) -> Tensor:
    """log softmax(logits)[target], shape [N]."""
    return -torch.nn.functional.cross_entropy(logits_NV, target_ids_N, reduction="none")


def scorer(model: Model, *, protocol: Protocol | None = None, batch_rows: int = 32) -> Score:
    """A `Score` over `model`: the log-likelihood of each candidate answer with what ends it (stop token or newline)."""
    ask = protocol or chat_protocol(model)

    def score(examples: Sequence[Example], answers: Sequence[Sequence[str]]) -> list[list[AnswerScore]]:
        rows: list[Rendered] = []
        owners: list[tuple[int, str]] = []
        for index, (example, candidates) in enumerate(zip(examples, answers, strict=True)):
            for text in candidates:
                rows.append(_last_positions(ask.answer(example, text), model.max_length))
                owners.append((index, text))
        sums = sum_logprobs(model.network, rows, batch_rows=batch_rows)
        result: list[list[AnswerScore]] = [[] for _ in examples]
        for (index, text), row, logprob in zip(owners, rows, sums, strict=True):
            result[index].append(AnswerScore(logprob, row.num_trained, len(text.encode("utf-8", "replace"))))
        return result

    return score


@torch.no_grad()
def sum_logprobs(network: Any, rows: Sequence[Rendered], *, batch_rows: int = 32) -> list[float]:
    """Sum of weight * log-probability over each row's targets, in the order of the rows."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].token_ids))
    sums = [0.0] * len(rows)
    device = next(network.parameters()).device
    for start in range(0, len(order), batch_rows):
        chosen = order[start : start + batch_rows]
        width = max(len(rows[i].token_ids) for i in chosen)
        ids = torch.zeros(len(chosen), width, dtype=torch.int64)
        positions, targets, weights, owner = [], [], [], []
        for b, i in enumerate(chosen):
            row = rows[i]
            ids[b, : len(row.token_ids)] = torch.tensor(row.token_ids)
            for t, weight in enumerate(row.weights):
                if weight > 0 and t > 0:
                    positions.append(b * width + t - 1)
                    targets.append(row.token_ids[t])
                    weights.append(weight)
                    owner.append(i)
        # The type is said, since an empty list (rows that weigh nothing) has none.
        where, what = (torch.tensor(numbers, dtype=torch.int64, device=device) for numbers in (positions, targets))
        values = target_logprobs(selected_logits(network, ids.to(device), where), what).double().cpu()
        for i, weight, value in zip(owner, weights, values.tolist(), strict=True):
            sums[i] += weight * value
    return sums


def _last_positions(row: Rendered, max_length: int) -> Rendered:
    """The row's last `max_length` tokens: a prompt too long for the model loses its beginning, never the answer."""
    if len(row.token_ids) <= max_length:
        return row
    return Rendered(row.token_ids[-max_length:], row.weights[-max_length:])
