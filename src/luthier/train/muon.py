"""Muon for the matrices inside the layers, and AdamW for the rest, as one optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import Parameter

from luthier.errors import ConfigError, Problem

MOMENTUM = 0.95
"""Decay of the running mean of the gradient that is orthogonalised, with Nesterov's look ahead (K. Jordan 2024)."""


def is_orthogonalised(name: str, parameter: Parameter) -> bool:
    """Whether Muon steps this parameter: a matrix inside a layer, whose name therefore holds the layer's number.

    Embeddings and head are matrices outside the layers: each row is a token's, and rows are not to be made orthogonal.
    Experts kept as one tensor of three dimensions are not matrices; AdamW steps them.
    """
    return parameter.ndim == 2 and any(part.isdecimal() for part in name.split("."))


def refuse_without_matrices(groups: Sequence[dict[str, Any]]) -> None:
    """ConfigError where nothing that trains is stepped by Muon."""
    if not any(group.get("by_muon") for group in groups):
        raise ConfigError(
            "the optimiser would have nothing to do",
            [Problem(where="train.optim.name", found='"muon", and no matrix inside a layer trains',
                     expected="layers that train", fix='set train.optim.name = "adamw", or freeze less')],
        )  # fmt: skip


def make_muon(groups: Sequence[dict[str, Any]], *, lr: float) -> torch.optim.Optimizer:
    """Muon: W <- (1 - lr decay) W - lr 0.2 sqrt(max(rows, columns)) O, where O is the momentum orthogonalised.

    Five Newton-Schulz steps in bfloat16 bring the singular values of the momentum to about 1 (K. Jordan 2024,
    https://kellerjordan.github.io/posts/muon/). The factor gives the update the root mean square of AdamW's, so that
    both do with one learning rate (arXiv:2502.16982).
    """
    return torch.optim.Muon(groups, lr=lr, momentum=MOMENTUM, nesterov=True, adjust_lr_fn="match_rms_adamw")


class Combined(torch.optim.Optimizer):
    """Optimisers of different parameters as one: its groups are theirs, in their order, and so is its state."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        """The groups are the parts' own dicts: who sets a group's rate here sets it there."""
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._parts = parts
        for part in parts:
            part.state = self.state

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update each parameter that has a gradient, by its own optimiser."""
        assert closure is None
        for part in self._parts:
            part.step()
