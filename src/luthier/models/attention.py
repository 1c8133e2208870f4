"""Rows end to end in one line, each attending to itself alone: no padding, no mask of all pairs, true isolation.

Linear layers see one long line of real tokens. Attention is taken row by row: on a CPU by one call for the rows of each
length (in bfloat16, of like lengths: `short_rows`), on CUDA by torch's variable-length kernel. Where a model asks of
attention what this does not compute, it raises; nothing falls back to attention over the whole line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from luthier.models.short_rows import Shelves, short_rows_attention

NAME = "luthier_packed"
"""Under this name transformers finds `packed_attention`. It makes no mask for a name that it has no mask for."""

# Shape letters: T tokens of all rows, H query heads, K key heads, D head width, L length of a row.


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Where each row of a packed line begins and ends."""

    lengths: tuple[int, ...]
    positions_1T: Tensor
    """int64: counted from 0 in every row."""
    bounds: Tensor
    """int32, rows + 1: running sum of the lengths, for the variable-length kernel."""
    shelves: Shelves | None = None
    """Rows of like lengths together, where every row is short; for bfloat16 on a CPU."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> PackedRows:
        """Rows of these lengths."""
        positions = torch.cat([torch.arange(n) for n in lengths]).unsqueeze(0)
        bounds = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
        return cls(tuple(lengths), positions, bounds, Shelves.of(lengths))

    def to(self, device: torch.device) -> PackedRows:
        """The same with its tensors on `device`."""
        shelves = self.shelves if device.type == "cpu" else None
        return PackedRows(self.lengths, self.positions_1T.to(device), self.bounds.to(device), shelves)


class NotIsolated(Exception):
    """This attention cannot keep the rows of a packed line apart."""


@contextmanager
def packed(network: Any) -> Iterator[None]:
    """Inside, forward and backward passes of the network take packed rows (`packed_rows=...`) and no others."""
    config = network.config
    before = config._attn_implementation
    # Set on the config, which the attention modules share: set_attn_implementation walks all modules on each call.
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def is_packed(network: Any) -> bool:
    """Whether the network is inside `packed`."""
    return getattr(getattr(network, "config", None), "_attn_implementation", None) == NAME


@torch.compiler.disable  # type: ignore[untyped-decorator]
def packed_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, *, dropout: float = 0.0,
    scaling: float | None = None, packed_rows: PackedRows | None = None, **asked: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Causal attention of each row over itself: query [1, H, T, D], key and value [1, K, T, D] -> [1, T, H, D]."""
    if packed_rows is None:
        raise NotIsolated("attention was called without its rows: the model does not hand them down")
    if attention_mask is not None:
        raise NotIsolated("the model brings an attention mask of its own")
    extras = [name for name in ("softcap", "s_aux", "position_bias") if asked.get(name) is not None]
    if extras:
        raise NotIsolated(f"the model's attention needs {', '.join(extras)}")
    if getattr(module, "is_causal", True) is False or asked.get("is_causal") is False:
        raise NotIsolated("the model's attention is not causal")
    # What the call says wins: some models keep a window on every layer and pass None from those that see everything.
    window = asked["sliding_window"] if "sliding_window" in asked else getattr(module, "sliding_window", None)
    if torch.is_autocast_enabled(query.device.type):
        # As torch's own attention does. Rotary embeddings leave query and key in float32, which no kernel below takes.
        half = torch.get_autocast_dtype(query.device.type)
        query, key, value = (t.to(half) if t.dtype is torch.float32 else t for t in (query, key, value))
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and not dropout:
        return _by_kernel(query, key, value, packed_rows, scaling=scaling, window=window), None
    is_short = packed_rows.shelves is not None and (window is None or window >= max(packed_rows.lengths))
    if query.dtype is torch.bfloat16 and query.device.type == "cpu" and is_short and not dropout:
        assert packed_rows.shelves is not None
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return short_rows_attention(query, key, value, packed_rows.shelves, scale=scale), None
    return _by_length(query, key, value, packed_rows.lengths, dropout=dropout, scaling=scaling, window=window), None


AttentionInterface.register(NAME, packed_attention)


def _by_length(
    query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], *, dropout: float, scaling: float | None,
    window: int | None,
) -> Tensor:  # fmt: skip
    """One call for each run of rows of the same length, which are a batch without padding."""
    runs = [(length, sum(1 for _ in group)) for length, group in groupby(lengths)]
    sizes = [length * number for length, number in runs]
    is_grouped = query.shape[1] != key.shape[1]
    outputs = []
    parts = zip(runs, *(torch.split(t, sizes, dim=2) for t in (query, key, value)), strict=True)
    for (length, number), *tensors in parts:
        q, k, v = (t[0].unflatten(1, (number, length)).transpose(0, 1) for t in tensors)  # [rows, heads, L, D]
        # The plain causal kernel is the fast one; a mask is made only where the window cuts something off.
        mask = _band(length, window, query.device) if window is not None and length > window else None
        out = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, dropout_p=dropout, scale=scaling, enable_gqa=is_grouped
        )
        outputs.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).unsqueeze(0)


def _band(length: int, window: int, device: torch.device) -> Tensor:
    """[L, L], true where a position may look: itself and the window - 1 before it."""
    place = torch.arange(length, device=device)
    back = place.unsqueeze(1) - place.unsqueeze(0)
    return (back >= 0) & (back < window)


def _by_kernel(
    query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, *, scaling: float | None, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    longest = max(rows.lengths)
    q, k, v = (t[0].transpose(0, 1) for t in (query, key, value))  # [T, heads, D]
    out = varlen_attn(
        q, k, v, rows.bounds, rows.bounds, longest, longest, scale=scaling,
        window_size=(-1, 0) if window is None else (window - 1, 0), enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    assert isinstance(out, Tensor)
    return out.unsqueeze(0)
