"""Attention over many short rows on a CPU in bfloat16: plain matrix products over rows of like lengths.

The flash kernel of torch goes through a row in blocks that a short row does not fill, and its backward pass took a
third of a training step (rows of 120 tokens, heads 32 wide). Here rows are laid on shelves, each as long as its longest
row rounded up, and the scores of a shelf exist at once: small, since the rows are short. The end of a shelf behind a
row is never seen by it: attention is causal, what is computed there is dropped, and no gradient comes from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LONGEST = 384
"""Rows up to this length are short: beyond it, scores of all pairs cost more than the kernel."""
_ROUND = 16
"""Shelves are multiples of this long: few shelves, little waste."""

# Shape letters: T tokens of all rows, R rows on a shelf, L length of a shelf, H query heads, K key heads, D head width.


@dataclass(frozen=True, slots=True)
class Shelf:
    """Rows of like lengths: which token of the line lies where."""

    rows: int
    length: int
    tokens: Tensor
    """int64 [R * L]: places in the line; behind the end of a row, some token of it again."""
    behind: Tensor
    """int64: the places on the shelf behind the ends of its rows."""
    mask_LL: Tensor
    """float32: 0 where a position may look, minus infinity elsewhere."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """All rows of a line on shelves, and the way back."""

    shelves: tuple[Shelf, ...]
    places: Tensor
    """int64 [T]: where each token of the line lies in the shelves, one after the other."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Shelves | None:
        """The rows on shelves; None where one is too long for them."""
        if not lengths or max(lengths) > LONGEST:
            return None
        by_length: dict[int, list[tuple[int, int]]] = {}
        start = 0
        for length in lengths:
            by_length.setdefault(-(-length // _ROUND) * _ROUND, []).append((start, length))
            start += length
        shelves = []
        places = torch.empty(start, dtype=torch.int64)
        laid = 0
        for extent, rows in sorted(by_length.items()):
            first = torch.tensor([begin for begin, _ in rows]).unsqueeze(1)
            last = torch.tensor([length - 1 for _, length in rows]).unsqueeze(1)
            offset = torch.arange(extent).unsqueeze(0)
            tokens = first + torch.minimum(offset, last)
            is_real = (offset <= last).flatten()
            places[tokens.flatten()[is_real]] = laid + torch.arange(tokens.numel())[is_real]
            mask = torch.full((extent, extent), float("-inf")).triu(1)
            shelves.append(Shelf(len(rows), extent, tokens.flatten(), (~is_real).nonzero().flatten(), mask))
            laid += tokens.numel()
        return cls(tuple(shelves), places)


def short_rows_attention(query: Tensor, key: Tensor, value: Tensor, shelves: Shelves, *, scale: float) -> Tensor:
    """softmax(scale * q k^T) v of each row: query [1, H, T, D], key and value [1, K, T, D] -> [1, T, H, D]."""
    q, k, v = (t[0].transpose(0, 1) for t in (query, key, value))  # [T, heads, D]
    out: Tensor = _ShortRows.apply(q, k, v, shelves, scale)  # type: ignore[no-untyped-call]
    return out.unsqueeze(0)


def _laid(line: Tensor, shelf: Shelf, heads: int) -> Tensor:
    """[T, k, D] -> [R, heads, L, D]; each key head stands for heads / k query heads."""
    laid = _on_shelf(line.index_select(0, shelf.tokens), shelf)
    return laid if line.shape[1] == heads else laid.repeat_interleave(heads // line.shape[1], dim=1)


def _laid_gradient(line: Tensor, shelf: Shelf) -> Tensor:
    """[T, H, D] -> [R, H, L, D]; zero behind the rows, since the queries there look at the keys of their row."""
    return _on_shelf(line.index_select(0, shelf.tokens).index_fill_(0, shelf.behind, 0.0), shelf)


def _on_shelf(tokens: Tensor, shelf: Shelf) -> Tensor:
    return tokens.view(shelf.rows, shelf.length, *tokens.shape[1:]).transpose(1, 2)


class _ShortRows(torch.autograd.Function):
    """P = softmax(scale q k^T + mask), out = P v; the gradient is the closed form, with the saved P.

    dV = P^T dO, dS = P * (dO V^T - rowsum(dO * O)), dQ = scale dS K, dK = scale dS^T Q.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, shelves: Shelves, scale: float) -> Tensor:
        heads = q.shape[1]
        parts, saved = [], []
        for shelf in shelves.shelves:
            qs, ks, vs = (_laid(t, shelf, heads) for t in (q, k, v))
            scores = torch.matmul(qs, ks.transpose(-1, -2)).to(torch.promote_types(q.dtype, torch.float32))
            scores.mul_(scale).add_(shelf.mask_LL)
            weights = torch.softmax(scores, -1, out=scores).to(q.dtype)
            out = torch.matmul(weights, vs)
            parts.append(out.transpose(1, 2).flatten(0, 1))
            saved += [weights, out]
        ctx.save_for_backward(q, k, v, *saved)
        ctx.shelves, ctx.scale = shelves, scale
        return torch.cat(parts).index_select(0, shelves.places)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, *saved = ctx.saved_tensors
        shelves, heads, kept = ctx.shelves, q.shape[1], k.shape[1]
        queries, keys, values = [], [], []
        for number, shelf in enumerate(shelves.shelves):
            weights, out = saved[2 * number], saved[2 * number + 1]
            qs, ks, vs = (_laid(t, shelf, heads) for t in (q, k, v))
            d_out = _laid_gradient(grad, shelf)
            d_value = torch.matmul(weights.transpose(-1, -2), d_out)
            d_scores = torch.matmul(d_out, vs.transpose(-1, -2)).sub_((d_out * out).sum(-1, keepdim=True))
            d_scores.mul_(weights).mul_(ctx.scale)
            queries.append(torch.matmul(d_scores, ks))
            keys.append(torch.matmul(d_scores.transpose(-1, -2), qs))
            values.append(d_value)
        return (_gathered(queries, shelves, heads), _gathered(keys, shelves, kept), _gathered(values, shelves, kept),
                None, None)  # fmt: skip


def _gathered(parts: Sequence[Tensor], shelves: Shelves, heads: int) -> Tensor:
    """[R, H, L, D] of each shelf -> [T, heads, D]; query heads that share a key head are summed."""
    lines = []
    for shelf, part in zip(shelves.shelves, parts, strict=True):
        if part.shape[1] != heads:
            part = part.view(shelf.rows, heads, -1, *part.shape[2:]).sum(2)
        lines.append(part.transpose(1, 2).flatten(0, 1))
    return torch.cat(lines).index_select(0, shelves.places)
