"""Rows to batches: what each optimiser step consumes, and how it passes through the network piece by piece.

Rows go end to end in a packed micro-batch (nothing is padded, attention keeps them apart), or each is a line of its own
in a right-padded one, rows of like length together. The plan is a function of lengths, sizes and seed alone: a resumed
run needs only its step, and the number of processes changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.models.attention import PackedRows
from luthier.models.render import Rendered, Renderer, fit
from luthier.records import Example

# Shape letters: B rows, T positions, N trained positions (flat index over B*T). Packed: B is 1, T all tokens.


SHORTEST_FILLED = 512
"""Shorter lines are not filled up: their tensors are small."""


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
    """Packed or right-padded rows; `positions_N` are those whose next token trains."""

    input_ids_BT: Tensor
    """int64; padding is known by position, never by id."""
    positions_N: Tensor
    """int64, flat over B*T: position t predicts token t + 1."""
    target_ids_N: Tensor
    weights_N: Tensor
    """float32, all above 0."""
    row_N: Tensor
    """int64: which of the rows each trained position belongs to."""
    rows: tuple[int, ...]
    """Index of each row in the step's list, in their order here."""
    lengths: tuple[int, ...]
    """Tokens of each row, without padding."""
    packed: PackedRows | None
    """Where the rows begin and end; None for padded rows."""
    is_idle: bool = False
    """Whether it counts for nothing: it only lets every process make the same number of passes."""

    @property
    def num_tokens(self) -> int:
        """Unpadded tokens."""
        return sum(self.lengths)


class Share(NamedTuple):
    """Which of several equal parts of a step: this process's."""

    place: int
    number: int


WHOLE = Share(0, 1)


@dataclass(frozen=True, slots=True)
class Fit:
    """Rows that fit, and the account of those that did not: the counts sum to the rows rendered."""

    rows: tuple[Row, ...]
    ledger: dict[str, int]
    """Rows by outcome: "kept", "prompt cut", "answer cut", "dropped", "nothing trained"."""
    tokens_off: int


def rows_of(examples: Sequence[Example], renderer: Renderer, *, max_length: int, overlong: str) -> Fit:
    """Examples rendered and fitted to `max_length`; nothing is cut or left out without being counted."""
    rendered = [
        (example.id, row)
        for example in examples
        for row in renderer.render(example.messages, tools=example.tools, where=example.source)
    ]
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


def mix_text(
    steps: Sequence[NDArray[np.int64]],
    *,
    weights: Sequence[float],
    text_weights: Sequence[float],
    share: float,
    seed: int,
) -> list[list[int]]:
    """Which rows of plain text each step takes besides its own, so that they hold `share` of the weight so far.

    `weights` and `text_weights` are the sums of weights of the rows of either kind. The text comes in shuffled passes.
    """
    ratio = share / (1 - share)
    order = _endless(len(text_weights), seed)
    upcoming = next(order)
    taken, wanted = 0.0, 0.0
    mixed = []
    for step in steps:
        wanted += ratio * sum(weights[i] for i in step)
        rows: list[int] = []
        while taken + text_weights[upcoming] / 2 < wanted:
            rows.append(upcoming)
            taken += text_weights[upcoming]
            upcoming = next(order)
        mixed.append(rows)
    return mixed


def _endless(number: int, seed: int) -> Iterator[int]:
    for epoch in count():
        yield from np.random.Generator(np.random.PCG64([seed, epoch, 1])).permutation(number).tolist()


def micro_batches(
    rows: Sequence[Row], *, micro_batch_tokens: int, keep_together: int = 1, is_packed: bool = False,
    is_filled: bool = False, share: Share = WHOLE,
) -> list[Batch]:  # fmt: skip
    """The rows of one step as batches of at most `micro_batch_tokens` tokens, padding counted (one group at least).

    Packed lines are filled up to one of few lengths where `is_filled` says so (`filler_of`).
    `keep_together` consecutive rows (the two of a preference pair) stay in one batch. With a `share`, the batches of
    that part of the rows; every part has the same number of batches, some of them idle.
    """
    groups = [tuple(range(i, i + keep_together)) for i in range(0, len(rows), keep_together)]
    sizes = [sum(len(rows[i].token_ids) for i in group) for group in groups]
    parts = [
        _cut(rows, [groups[g] for g in part], limit=micro_batch_tokens, is_packed=is_packed)
        for part in dealt(sizes, share.number)
    ]

    def make(rows: Sequence[Row], chosen: Sequence[int]) -> Batch:
        if not is_packed:
            return collate(rows, chosen)
        total = sum(len(rows[i].token_ids) for i in chosen)
        return pack(rows, chosen, filler=filler_of(total, limit=micro_batch_tokens) if is_filled else 0)

    batches = [make(rows, chosen) for chosen in parts[share.place]]
    missing = max(len(part) for part in parts) - len(batches)
    if missing:
        shortest = groups[sizes.index(min(sizes))]
        batches += [replace(make(rows, shortest), is_idle=True)] * missing
    return batches


def _cut(rows: Sequence[Row], groups: Sequence[Sequence[int]], *, limit: int, is_packed: bool) -> list[list[int]]:
    """The groups of rows in batches of at most `limit` tokens."""
    sizes = [[len(rows[i].token_ids) for i in group] for group in groups]
    order = sorted(range(len(groups)), key=lambda g: -max(sizes[g]))
    if is_packed:
        bins = balanced([sum(sizes[g]) for g in order], limit=limit)
        return [[i for g in sorted(chosen) for i in groups[order[g]]] for chosen in bins]
    batches: list[list[int]] = []
    width = 0
    for g in order:
        if batches and (len(batches[-1]) + len(groups[g])) * width <= limit:
            batches[-1].extend(groups[g])
        else:
            batches.append(list(groups[g]))
            width = max(sizes[g])
    return batches


def dealt(sizes: Sequence[int], number: int) -> list[list[int]]:
    """Indices of `sizes` in `number` parts of about the same sum; with fewer sizes than parts, some are empty.

    >>> dealt([5, 9, 4], 2)
    [[1], [0, 2]]
    """
    if number == 1:
        return [list(range(len(sizes)))]
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    return [sorted(part) for part in _evenly(sizes, order, number=number)]


def balanced(sizes: Sequence[int], *, limit: int) -> list[list[int]]:
    """Indices of `sizes` in bins of at most `limit`: as few as best fit finds, of about the same sum where that fits.

    One size above the limit has a bin of its own. Equal bins need the least memory for the same number of passes.
    """
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    tight = _best_fit(sizes, order, limit)
    even = _evenly(sizes, order, number=len(tight))
    fits = all(len(chosen) == 1 or sum(sizes[i] for i in chosen) <= limit for chosen in even)
    return even if fits else tight


def _best_fit(sizes: Sequence[int], order: Sequence[int], limit: int) -> list[list[int]]:
    """Each size in the fullest bin that has room for it, else in a new one."""
    bins: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room, bin), sorted
    for index in order:
        place = bisect_left(rooms, (sizes[index], 0))
        if place < len(rooms):
            room, chosen = rooms.pop(place)
            bins[chosen].append(index)
        else:
            room, chosen = limit, len(bins)
            bins.append([index])
        insort(rooms, (room - sizes[index], chosen))
    return bins


def _evenly(sizes: Sequence[int], order: Sequence[int], *, number: int) -> list[list[int]]:
    """Each size in the emptiest of so many bins."""
    bins: list[list[int]] = [[] for _ in range(number)]
    sums = [(0, chosen) for chosen in range(number)]  # a heap
    for index in order:
        total, chosen = sums[0]
        bins[chosen].append(index)
        heapreplace(sums, (total + sizes[index], chosen))
    return bins


def collate(rows: Sequence[Row], chosen: Sequence[int]) -> Batch:
    """The chosen rows as one right-padded batch."""
    lengths = tuple(len(rows[i].token_ids) for i in chosen)
    width = max(lengths)
    ids = np.zeros((len(chosen), width), dtype=np.int64)
    for b, i in enumerate(chosen):
        ids[b, : lengths[b]] = rows[i].token_ids
    return _batch(rows, chosen, ids, [b * width for b in range(len(chosen))], None)


def pack(rows: Sequence[Row], chosen: Sequence[int], *, filler: int = 0) -> Batch:
    """The chosen rows end to end in one line; `filler` tokens behind them are a row of their own that nothing reads."""
    lengths = [len(rows[i].token_ids) for i in chosen]
    total = sum(lengths)
    ids = np.zeros(total + filler, dtype=np.int64)
    ids[:total] = np.fromiter((token for i in chosen for token in rows[i].token_ids), dtype=np.int64, count=total)
    starts = np.cumsum((0, *lengths[:-1])).tolist()
    return _batch(rows, chosen, ids[None, :], starts, PackedRows.of([*lengths, filler] if filler else lengths))


def filler_of(total: int, *, limit: int) -> int:
    """Tokens that bring a line of `total` to one of few lengths, without going over `limit`: under 2 % of the line.

    Lines of ever new lengths ask for tensors of ever new sizes, and the memory that glibc keeps falls to pieces: after
    200 steps it held 2.3 times as much, and a step took a quarter longer (profiled: in malloc).
    """
    if total < SHORTEST_FILLED:
        return 0
    step = 1 << (total.bit_length() - 7)
    return max(0, min(-(-total // step) * step, limit) - total)


def _batch(
    rows: Sequence[Row], chosen: Sequence[int], ids: NDArray[np.int64], starts: Sequence[int], packed: PackedRows | None
) -> Batch:
    """The batch whose row `b` begins at flat place `starts[b]`."""
    places, weights, owners = [], [], []
    for b, i in enumerate(chosen):
        # Position t carries the weight of the token that it predicts; the last position of a row predicts nothing.
        row_weights = np.asarray(rows[i].weights[1:], dtype=np.float32)
        trained = np.flatnonzero(row_weights)
        places.append(trained + starts[b])
        weights.append(row_weights[trained])
        owners.append(np.full(len(trained), b))
    flat = np.concatenate(places)
    return Batch(
        input_ids_BT=torch.from_numpy(ids),
        positions_N=torch.from_numpy(flat),
        target_ids_N=torch.from_numpy(ids.reshape(-1)[flat + 1]),
        weights_N=torch.from_numpy(np.concatenate(weights)),
        row_N=torch.from_numpy(np.concatenate(owners)),
        rows=tuple(chosen),
        lengths=tuple(len(rows[i].token_ids) for i in chosen),
        packed=packed,
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
