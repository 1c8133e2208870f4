"""Noise on the embeddings while a network trains on instructions (arXiv:2310.05914)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# Shape letters: R rows, B lines and T positions of the batch (B = R, or B = 1 with the rows end to end), D width,
# N unpadded tokens of all rows.


@contextmanager
def neftune(network: Any, *, alpha: float, lengths_of: Callable[[], Sequence[int]]) -> Iterator[None]:
    """Inside, a network in training adds noise to the output of its input embeddings; in evaluation, none.

    `lengths_of` gives the unpadded lengths of the rows now passing: right-padded, a line each, or end to end on one
    line. The noise is drawn from torch's default generator, in the order of the rows, the same for both layouts.
    """

    def add_noise(module: Any, _inputs: Any, hidden_BTD: Tensor) -> Tensor | None:
        if not network.training:
            return None
        return hidden_BTD + embedding_noise(hidden_BTD, lengths_of(), alpha=alpha)

    handle = network.get_input_embeddings().register_forward_hook(add_noise)
    try:
        yield
    finally:
        handle.remove()


def embedding_noise(hidden_BTD: Tensor, lengths_R: Sequence[int], *, alpha: float) -> Tensor:
    """Noise [B, T, D], uniform in +-alpha / sqrt(L * D) with L the length of the token's own row; 0 on padding."""
    lines, positions, width = hidden_BTD.shape
    is_packed = lines == 1 and sum(lengths_R) == positions
    assert is_packed or (len(lengths_R) == lines and max(lengths_R) <= positions), (
        f"rows of {list(lengths_R)} tokens do not make a batch of {lines} x {positions}"
    )
    device = hidden_BTD.device
    lengths = torch.tensor(lengths_R, device=device)
    # In float32 whatever the network's format: bfloat16 has only 128 numbers between 1/2 and 1.
    noise_ND = torch.empty(sum(lengths_R), width, device=device).uniform_(-1, 1)
    noise_ND *= (alpha / (lengths * width).sqrt()).repeat_interleave(lengths)[:, None]
    noise_ND = noise_ND.to(hidden_BTD.dtype)
    if is_packed:
        return noise_ND.unsqueeze(0)
    noise_BTD = torch.zeros_like(hidden_BTD)
    noise_BTD[torch.arange(positions, device=device) < lengths[:, None]] = noise_ND
    return noise_BTD
