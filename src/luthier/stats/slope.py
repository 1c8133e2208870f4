"""One test, named before the run: does the score rise with the amount of something that each arm was given?

Letters: B blocks (a seed and a choice of what is held out), K arms a block, T tasks a block, W draws.

A block holds arms that differ in x alone, all scored on the same tasks. With x' = x - mean of the block's x,

    slope = sum over blocks, tasks and arms of x' y / the same sum of x'^2

which is least squares with a level of its own for every task of every block (the within estimator: Wooldridge,
Introductory Econometrics, section 14.1). If x did nothing, the arms of a block could trade places: the test shuffles
x among the arms of each block, all tasks of an arm together since one training made them, and

    p = (1 + shuffles with a slope at least as large) / (1 + W)      (one-sided; Phipson and Smyth 2010)

is valid whatever the distribution of the scores. The interval beside it resamples tasks (`luthier.stats.bootstrap`).
The two see different noise: the test that of trainings, the interval that of tasks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from luthier.stats.bootstrap import DRAWS, bootstrap_ratio
from luthier.stats.intervals import Array, Estimate

ROUNDING = 1e-12
"""Shuffles that equal the observed order must count as ties, whatever the order of summation."""


class Cell(NamedTuple):
    """The score of one task in one arm."""

    block: Hashable
    arm: Hashable
    task: Hashable
    x: float
    """What the arm was given, log2 of its number of clusters, say; one value an arm."""
    y: float


@dataclass(frozen=True, slots=True)
class Slope:
    """The slope, its interval over tasks, and the probability of one as large among shuffles."""

    estimate: Estimate
    p: float
    draws: int
    smallest_p: float
    """What p would be if no other order of the arms reached the slope: with few arms and blocks p cannot be small."""
    by_block: dict[Hashable, float]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; blocks are named by their text."""
        return {
            **self.estimate.to_json(), "p": self.p, "draws": self.draws, "smallest_p": self.smallest_p,
            "by_block": {str(block): value for block, value in self.by_block.items()},
        }  # fmt: skip


class _Block(NamedTuple):
    xs_K: Array
    """Centred."""
    ys_TK: Array
    tasks: tuple[Hashable, ...]


def slope_test(cells: Sequence[Cell], *, seed: int, draws: int = DRAWS, alpha: float = 0.05) -> Slope | None:
    """The slope over all blocks with its one-sided permutation test; None where no block has two different x.

    Tasks that some arm of their block lacks are left out of that block.
    """
    blocks = {name: block for name in dict.fromkeys(c.block for c in cells)
              if (block := _block([c for c in cells if c.block == name])) is not None}  # fmt: skip
    if not blocks:
        return None
    rises: defaultdict[Hashable, float] = defaultdict(float)
    runs: defaultdict[Hashable, float] = defaultdict(float)
    for block in blocks.values():
        for task, rise in zip(block.tasks, block.ys_TK @ block.xs_K, strict=True):
            rises[task] += float(rise)
            runs[task] += float(block.xs_K @ block.xs_K)
    tasks = list(runs)
    estimate = bootstrap_ratio([rises[t] for t in tasks], [runs[t] for t in tasks], seed=seed, draws=draws, alpha=alpha)
    return Slope(
        estimate=estimate,
        p=_p_value(list(blocks.values()), seed=seed, draws=draws),
        draws=draws,
        smallest_p=max(1 / (1 + draws), 1 / math.prod(_orders(b.xs_K) for b in blocks.values())),
        by_block={name: float((b.ys_TK.mean(axis=0) @ b.xs_K) / (b.xs_K @ b.xs_K)) for name, b in blocks.items()},
    )


def _p_value(blocks: Sequence[_Block], *, seed: int, draws: int) -> float:
    rng = np.random.default_rng(seed)
    observed, shuffled_W = 0.0, np.zeros(draws)
    for block in blocks:
        ys_K = block.ys_TK.sum(axis=0)
        observed += float(block.xs_K @ ys_K)
        shuffled_W += rng.permuted(np.tile(block.xs_K, (draws, 1)), axis=1) @ ys_K
    room = ROUNDING * max(1.0, abs(observed))
    return float(1 + (shuffled_W >= observed - room).sum()) / (1 + draws)


def _block(cells: Sequence[Cell]) -> _Block | None:
    xs: dict[Hashable, float] = {}
    scores: dict[Hashable, dict[Hashable, float]] = {}
    for cell in cells:
        if xs.setdefault(cell.arm, cell.x) != cell.x:
            raise ValueError(f"an arm has one x, found {xs[cell.arm]} and {cell.x} for {cell.arm!r}")
        if cell.arm in scores.setdefault(cell.task, {}):
            raise ValueError(f"a task has one score in an arm, found two for {cell.task!r} in {cell.arm!r}")
        scores[cell.task][cell.arm] = cell.y
    tasks = tuple(task for task, by_arm in scores.items() if len(by_arm) == len(xs))
    xs_K = np.array(list(xs.values()), dtype=np.float64)
    if not tasks or np.ptp(xs_K) == 0:
        return None
    ys_TK = np.array([[scores[task][arm] for arm in xs] for task in tasks], dtype=np.float64)
    return _Block(xs_K - xs_K.mean(), ys_TK, tasks)


def _orders(xs_K: Array) -> int:
    """In how many ways the values can be dealt to the arms of a block."""
    return math.factorial(xs_K.size) // math.prod(math.factorial(n) for n in Counter(xs_K.tolist()).values())
