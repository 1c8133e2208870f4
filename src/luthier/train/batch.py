"""Rows to batches: what each optimiser step consumes, and how it passes through the network piece by piece.

Each row is a line of its own in a right-padded micro-batch, rows of like length together: no sample ever sees another,
and little is padded. The plan is a function of lengths, sizes and seed alone: a resumed run needs only its step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.models.render import Rendered, Renderer, fit
from luthier.records import Example

# Shape letters: B rows, T positions, N trained positions (flat index over B*T).


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: tokens, the weight of each as a target, and where it came from."""

    example_id: str
    token_ids: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def weight(self) -> float:
        """Sum of the weights that can train: the first token has nothing before it."""
        return float(sum(self.weights[1:]))


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded rows; `positions_N` are those whose next token trains."""

    input_ids_BT: Tensor
    """int64; padding is known by position, never by id."""
    positions_N: Tensor
    """int64, flat over B*T: position t predicts token t + 1."""
    target_ids_N: Tensor
    weights_N: Tensor
    """float32, all above 0."""
    row_N: Tensor
    """int64: which of the B rows each trained position belongs to."""
    rows: tuple[int, ...]
    """Index of each row in the step's list, in the order of B."""
    num_tokens: int
    """Unpadded tokens."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Rows that fit, and the account of those that did not: the counts sum to the rows rendered."""

    rows: tuple[Row, ...]
    ledger: dict[str, int]
    """Rows by outcome: "kept", "prompt cut", "answer cut", "dropped", "nothing trained"."""
    tokens_off: int


def rows_of(examples: Sequence[Example], renderer: Renderer, *, max_length: int, overlong: str) -> Fit:
    """Examples rendered and fitted to `max_length`; nothing is cut or left out without being counted."""
    rendered = [(example.id, row) for example in examples for row in renderer.render(example.messages)]
    return fit_rows(rendered, max_length=max_length, overlong=overlong)


def fit_rows(rendered: Sequence[tuple[str, Rendered]], *, max_length: int, overlong: str) -> Fit:
    """(example id, rendered row) pairs fitted to `max_length`."""
    ledger = dict.fromkeys(("kept", "prompt cut", "answer cut", "dropped", "nothing trained"), 0)
    rows = []
    tokens_off = 0
    for example_id, row in rendered:
        fitted = fit(row, max_length=max_length, overlong=overlong)
        trains = fitted.rendered is not None and any(w > 0 for w in fitted.rendered.weights[1:])
        ledger[fitted.outcome if trains or fitted.rendered is None else "nothing trained"] += 1
        tokens_off += fitted.tokens_off
        if fitted.rendered is not None and trains:
            rows.append(Row(example_id, fitted.rendered.token_ids, fitted.rendered.weights))
    assert sum(ledger.values()) == len(rendered)
    return Fit(tuple(rows), ledger, tokens_off)


def plan_steps(
    lengths: Sequence[int],
    *,
    batch_rows: int,
    batch_tokens: int | None,
    max_steps: int | None,
    epochs: float | None,
    seed: int,
) -> list[NDArray[np.int64]]:
    """Indices of the rows of each step, over shuffled passes that follow one another without a gap.

    With `batch_tokens` a step takes rows until they reach that many tokens. `max_steps` or `epochs` (default 1) says
    when to stop; with both, whichever comes first.
    """
    assert len(lengths) > 0
    limit = None
    if epochs is not None or max_steps is None:
        limit = max(1, round((1.0 if epochs is None else epochs) * len(lengths)))  # a run has one step at least
    steps: list[NDArray[np.int64]] = []
    current: list[int] = []
    tokens = taken = epoch = 0
    while True:
        for index in np.random.Generator(np.random.PCG64([seed, epoch])).permutation(len(lengths)):
            if limit is not None and taken >= limit:
                return [*steps, np.array(current)] if current else steps
            current.append(int(index))
            tokens += lengths[index]
            taken += 1
            if (tokens >= batch_tokens) if batch_tokens else (len(current) >= batch_rows):
                steps.append(np.array(current))
                current, tokens = [], 0
                if max_steps is not None and len(steps) >= max_steps:
                    return steps
        epoch += 1


def micro_batches(rows: Sequence[Row], *, micro_batch_tokens: int, keep_together: int = 1) -> list[Batch]:
    """The rows of one step as batches of at most `micro_batch_tokens` padded tokens (one row at least).

    `keep_together` consecutive rows (the two of a preference pair) stay in one batch.
    """
    groups = [range(i, i + keep_together) for i in range(0, len(rows), keep_together)]
    groups.sort(key=lambda g: -max(len(rows[i].token_ids) for i in g))
    batches: list[list[int]] = []
    width = 0
    for group in groups:
        longest = max(len(rows[i].token_ids) for i in group)
        if batches and (len(batches[-1]) + len(group)) * width <= micro_batch_tokens:
            batches[-1].extend(group)
        else:
            batches.append(list(group))
            width = longest
    return [collate(rows, chosen) for chosen in batches]


def collate(rows: Sequence[Row], chosen: Sequence[int]) -> Batch:
    """The chosen rows as one right-padded batch."""
    width = max(len(rows[i].token_ids) for i in chosen)
    ids = np.zeros((len(chosen), width), dtype=np.int64)
    weights = np.zeros((len(chosen), width), dtype=np.float32)
    for b, i in enumerate(chosen):
        n = len(rows[i].token_ids)
        ids[b, :n] = rows[i].token_ids
        weights[b, : n - 1] = rows[i].weights[1:]  # position t carries the weight of the token it predicts
    b_N, t_N = np.nonzero(weights)
    return Batch(
        input_ids_BT=torch.from_numpy(ids),
        positions_N=torch.from_numpy(b_N * width + t_N),
        target_ids_N=torch.from_numpy(ids[b_N, t_N + 1]),
        weights_N=torch.from_numpy(weights[b_N, t_N]),
        row_N=torch.from_numpy(b_N),
        rows=tuple(chosen),
        num_tokens=sum(len(rows[i].token_ids) for i in chosen),
    )


def text_rows(
    documents: Sequence[str],
    encode: Callable[[str], list[int]],
    *,
    eos_id: int,
    bos_ids: Sequence[int],
    max_length: int,
) -> Fit:
    """Plain documents as rows for pre-training: every token trains; a long document becomes several rows, none lost."""
    rows = []
    for number, document in enumerate(documents):
        ids = [*bos_ids, *encode(document), eos_id]
        starts = range(0, max(len(ids) - 1, 1), max_length - 1)
        for start in starts:  # the last token of a piece is the first of the next, so each is predicted exactly once
            piece = tuple(ids[start : start + max_length])
            if len(piece) > 1:
                rows.append(Row(f"document {number}", piece, (1.0,) * len(piece)))
    return Fit(tuple(rows), {"kept": len(rows)}, 0)
