"""One test, named before the run: does the score rise with the amount of something that each arm was given?

Letters: B blocks (a seed and a choice of what is held out), K arms a block, T tasks a block, W draws.

A block holds arms that differ in x alone, all scored on the same tasks. With x' = x - mean of the block's x,

    slope = sum over blocks, tasks and arms of x' y / the same sum of x'^2

which is least squares with a level of its own for every task of every block (the within estimator: Wooldridge,
Introductory Econometrics, section 14.1). If x did nothing, the arms of a block could trade places: the test shuffles
x among the arms of each block, all tasks of an arm together since one training made them. Blocks of one group (of one
seed, say) may share the luck of a level, so their levels are shuffled together, the lowest of each block with the
lowest of the others and so on; groups are shuffled apart. Then

    p = (1 + shuffles with a slope at least as large) / (1 + W)      (one-sided; Phipson and Smyth 2010)

is valid whatever the distribution of the scores; where there are at most W orders, p is the share of all of them. The
interval beside it resamples tasks (`luthier.stats.bootstrap`).
The two see different noise: the test that of trainings, the interval that of tasks.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
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
    """Most orders that are looked at: all of them where there are fewer."""
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
    """Centred, rising."""
    ys_TK: Array
    tasks: tuple[Hashable, ...]
    levels: tuple[tuple[float, int], ...]
    """The x of each arm as it was given, and how many arms of the block have the same one before it."""


class _Group(NamedTuple):
    """What the blocks that are shuffled together have in common. C: levels that trade places."""

    rises_CC: Array
    """Row i, column j: x of level i times the sum over tasks of y of level j, summed over the blocks."""
    orders: int
    """In how many ways that differ the levels can be dealt."""


def slope_test(
    cells: Sequence[Cell], *, seed: int, draws: int = DRAWS, alpha: float = 0.05,
    group_of: Callable[[Hashable], Hashable] = lambda block: block,
) -> Slope | None:  # fmt: skip
    """The slope over all blocks with its one-sided permutation test; None where no block has two different x.

    Tasks that some arm of their block lacks are left out of that block. `group_of` gives the group of a block: blocks
    of one group may share the luck of a level and are shuffled together; without it, each block is a group. Levels are
    matched by rank; where blocks of a group have different numbers of them, those trade places that all have.
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
    members: defaultdict[Hashable, list[_Block]] = defaultdict(list)
    for name, block in blocks.items():
        members[group_of(name)].append(block)
    groups = [_group(together) for together in members.values()]
    estimate = bootstrap_ratio([rises[t] for t in tasks], [runs[t] for t in tasks], seed=seed, draws=draws, alpha=alpha)
    return Slope(
        estimate=estimate,
        p=_p_value(groups, seed=seed, draws=draws),
        draws=draws,
        smallest_p=max(1 / (1 + draws), 1 / math.prod(group.orders for group in groups)),
        by_block={name: float((b.ys_TK.mean(axis=0) @ b.xs_K) / (b.xs_K @ b.xs_K)) for name, b in blocks.items()},
    )


def _p_value(groups: Sequence[_Group], *, seed: int, draws: int) -> float:
    observed = sum(float(np.trace(group.rises_CC)) for group in groups)
    room = ROUNDING * max(1.0, sum(float(np.abs(group.rises_CC).sum()) for group in groups))
    if math.prod(math.factorial(len(group.rises_CC)) for group in groups) <= draws:
        rises = np.zeros(1)
        for group in groups:
            levels = np.arange(len(group.rises_CC))
            orders = np.array(list(itertools.permutations(levels.tolist())), dtype=np.intp)
            rises = (rises[:, None] + group.rises_CC[levels, orders].sum(axis=1)).ravel()
        return float((rises >= observed - room).mean())
    rng = np.random.default_rng(seed)
    shuffled_W = np.zeros(draws)
    for group in groups:
        levels = np.arange(len(group.rises_CC))
        orders_WC = rng.permuted(np.tile(levels, (draws, 1)), axis=1)
        shuffled_W += group.rises_CC[levels, orders_WC].sum(axis=1)
    return float(1 + (shuffled_W >= observed - room).sum()) / (1 + draws)


def _group(blocks: Sequence[_Block]) -> _Group:
    """The blocks' levels side by side: by rank, or, where their numbers differ, those that all blocks have."""
    if len({len(block.levels) for block in blocks}) == 1:
        places = [list(range(block.xs_K.size)) for block in blocks]
    else:
        shared = set.intersection(*(set(block.levels) for block in blocks))
        places = [[k for k, level in enumerate(block.levels) if level in shared] for block in blocks]
    rises_CC = sum(
        np.outer(block.xs_K[at], block.ys_TK.sum(axis=0)[at]) for block, at in zip(blocks, places, strict=True)
    )
    dealt = Counter(zip(*(block.xs_K[at].tolist() for block, at in zip(blocks, places, strict=True)), strict=True))
    return _Group(np.asarray(rises_CC), math.factorial(dealt.total()) // math.prod(map(math.factorial, dealt.values())))


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
    arms = sorted(xs, key=lambda arm: xs[arm])
    xs_K = np.array([xs[arm] for arm in arms], dtype=np.float64)
    if not tasks or np.ptp(xs_K) == 0:
        return None
    ys_TK = np.array([[scores[task][arm] for arm in arms] for task in tasks], dtype=np.float64)
    given = xs_K.tolist()
    levels = tuple((x, given[:k].count(x)) for k, x in enumerate(given))
    return _Block(xs_K - xs_K.mean(), ys_TK, tasks, levels)
