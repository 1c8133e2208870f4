"""The order of rows under a mixture: how often each file, task or cluster comes, whatever the number of its rows.

The order is a function of the rows, the mixture and the seed alone, so a resumed run needs only its step, and the
number of processes changes nothing. No row is copied: a group that comes more often goes through its rows more often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.records import Example
from luthier.train.batch import Row
from luthier.train.config import MIXED_BY, TrainConfig

WITHOUT = "(none)"
"""The group of rows that state no task or no cluster."""
BLOCK = 1024
"""Rows within which each group gets its share, to one row; their order within it is random."""
MOST_PASSES = 4
"""Repeated text is worth nearly as much as new text up to here, and soon less (arXiv:2305.16264)."""
SHOWN = 8
"""Groups of a line in the log: those with the largest shares."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """The rows of each step under a mixture, and what they belong to."""

    plan: list[NDArray[np.int64]]
    names: Mapping[str, Sequence[str]]
    """By "source", "task" and "cluster", the group of each row."""
    by: str
    """Which of these the mixture is over."""

    def epochs(self, num_steps: int) -> dict[str, Any]:
        """What the first steps take, by source, task and cluster: rows, rows taken, share of these, passes.

        A row that is taken twice counts twice; `epochs` is rows taken over rows, and `share` is of all rows taken.
        """
        taken = np.concatenate(self.plan[:num_steps]) if num_steps else np.zeros(0, np.int64)
        found: dict[str, Any] = {"by": self.by}
        for kind, names in self.names.items():
            sizes, drawn = Counter(names), Counter(names[i] for i in taken.tolist())
            if set(sizes) == {WITHOUT}:
                continue
            found[kind] = {
                name: {"rows": size, "taken": drawn[name], "share": round(drawn[name] / max(1, len(taken)), 6),
                       "epochs": round(drawn[name] / size, 4)}
                for name, size in sizes.items()
            }  # fmt: skip
        return found

    def lines(self) -> list[str]:
        """The plan in words, a line for each of source, task and cluster that has more than one group."""
        lines = []
        for kind, groups in self.epochs(len(self.plan)).items():
            if kind == "by" or len(groups) < 2:
                continue
            order = sorted(groups, key=lambda name: -groups[name]["share"])
            told = [f"{name} {100 * groups[name]['share']:.1f} % ({groups[name]['epochs']:.2f} epochs)"
                    for name in order[:SHOWN]]  # fmt: skip
            rest = [groups[name]["epochs"] for name in order[SHOWN:]]
            more = [f"and {len(rest):,} more ({min(rest):.2f} to {max(rest):.2f} epochs)"] if rest else []
            lines.append(f"mixture by {kind}: " + " | ".join([*told, *more]))
        return lines + self._warnings()

    def _warnings(self) -> list[str]:
        groups = self.epochs(len(self.plan)).get(self.by, {})
        often = {name: group["epochs"] for name, group in groups.items() if group["epochs"] > MOST_PASSES}
        return [
            f"warning: the mixture goes {passes:.1f} times through the {groups[name]['rows']:,} rows of {name}; rows"
            f" seen more than {MOST_PASSES} times teach little more: fewer steps, a smaller share, or more rows"
            for name, passes in sorted(often.items(), key=lambda item: -item[1])[:SHOWN]
        ]


def mixed(examples: Sequence[Example], rows: Sequence[Row], config: TrainConfig) -> Mixed | None:
    """The plan of `rows`, which were rendered from `examples`; None where the config asks for no mixture.

    Two examples of the same content are one to it: both count for the source, task and cluster of the first.
    """
    if config.mixture is None:
        return None
    of_example: dict[str, Example] = {}
    for example in examples:
        of_example.setdefault(example.id, example)
    names: dict[str, list[str]] = {
        kind: [group_of(of_example[row.example_id], kind) for row in rows] for kind in MIXED_BY
    }
    groups = names[config.mixture_by]
    # A group all of whose rows were too long has no share; that its weight was given is no mistake.
    sizes = dict.fromkeys((group_of(example, config.mixture_by) for example in examples), 0) | Counter(groups)
    rates = config.mixture.rates(sizes, where="train.mixture")
    plan = plan_mixed(
        groups, [len(row.token_ids) for row in rows], rates=rates, batch_rows=config.batch_rows,
        batch_tokens=config.batch_tokens, max_steps=config.max_steps, epochs=config.epochs, seed=config.seed,
    )  # fmt: skip
    return Mixed(plan, names, config.mixture_by)


def group_of(example: Example, kind: str) -> str:
    """The file that an example came from, its task, or its cluster.

    >>> group_of(Example.of([], source="data/faq.jsonl:41"), "source")
    'data/faq.jsonl'
    """
    if kind == "source":
        return example.source.rpartition(":")[0] or example.source or WITHOUT
    return (example.task if kind == "task" else example.cluster) or WITHOUT


def plan_mixed(
    groups: Sequence[str],
    lengths: Sequence[int],
    *,
    rates: Mapping[str, float],
    batch_rows: int,
    batch_tokens: int | None,
    max_steps: int | None,
    epochs: float | None,
    seed: int,
) -> list[NDArray[np.int64]]:
    """Indices of the rows of each step. `groups` and `lengths` are of each row, `rates` of each group.

    Steps and the end are those of `plan_steps`: an epoch is as many rows as the groups with a share have, whichever
    they are.
    """
    limit = None
    if epochs is not None or max_steps is None:
        limit = max(1, round((1.0 if epochs is None else epochs) * sum(rates[name] > 0 for name in groups)))
    steps: list[NDArray[np.int64]] = []
    current: list[int] = []
    tokens = 0
    for taken, index in enumerate(_order(groups, rates, seed)):
        if limit is not None and taken >= limit:
            break
        current.append(index)
        tokens += lengths[index]
        if (tokens >= batch_tokens) if batch_tokens else (len(current) >= batch_rows):
            steps.append(np.array(current))
            current, tokens = [], 0
            if max_steps is not None and len(steps) >= max_steps:
                break
    return [*steps, np.array(current)] if current else steps


def _order(groups: Sequence[str], rates: Mapping[str, float], seed: int) -> Iterator[int]:
    """Rows without end: in each block every group has its share, to one row, and each goes through its own rows."""
    members: dict[str, list[int]] = {}
    for index, name in enumerate(groups):
        members.setdefault(name, []).append(index)
    names = [name for name in members if rates[name] > 0]
    passes = [_passes(members[name], seed, number) for number, name in enumerate(names)]
    ends = np.cumsum([rates[name] for name in names])
    for block in count():
        random = np.random.Generator(np.random.PCG64([seed, block, 2]))
        points = (random.random() + np.arange(BLOCK)) / BLOCK * ends[-1]
        chosen = np.minimum(np.searchsorted(ends, points, side="right"), len(names) - 1)
        for number in random.permutation(chosen).tolist():
            yield next(passes[number])


def _passes(members: Sequence[int], seed: int, number: int) -> Iterator[int]:
    """The rows of one group in shuffled passes that follow one another without a gap."""
    for epoch in count():
        for place in np.random.Generator(np.random.PCG64([seed, epoch, 3, number])).permutation(len(members)).tolist():
            yield members[place]
