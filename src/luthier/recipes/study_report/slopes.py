"""How the held-out score changes with what is trained: the test named before the run, and the curve over tasks.

The test is `slope_test` on the held-out clusters, as generated, against log2 of the number of trained clusters. All
other slopes are description.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from statistics import fmean
from typing import Any

from luthier.recipes.study_report.arms import METRICS, Arms, Block, Finished, Values, block_name, differences, values_of
from luthier.recipes.study_report.readings import FEW, ZERO, Readings
from luthier.recipes.study_report.scores import DRAWS, SEED, estimate, estimate_value
from luthier.recipes.studying.measures import COPY
from luthier.stats.slope import Cell, slope_test

Json = dict[str, Any]


def cluster_slope(arms: Arms, rung: str, metric: str) -> Json | None:
    """The slope over the arms of one cluster to all, per doubling of the number of clusters."""
    return _slope(arms, arms.by_clusters, rung, metric, amount=lambda arm: arm.clusters, blocks=arms.blocks)


def over_tasks(arms: Arms, readings: Readings) -> Json | None:
    """Scores on held-out clusters by the number of trained tasks, the base and the copied input beside them.

    All are over the same blocks: those in which every arm of the curve is finished, or, where there is none, those in
    which any arm of fewer tasks is. None without arms of fewer tasks.
    """
    if not arms.by_tasks:
        return None
    sets = [{arm.block for arm in arms.groups[group]} for group in arms.by_tasks]
    fewer = {arm.block for group in arms.by_tasks if group != arms.main for arm in arms.groups[group]}
    whole = set.intersection(*sets)
    blocks = whole or fewer
    slopes = {metric: _slope(arms, arms.by_tasks, "clusters", metric, amount=lambda arm: arm.tasks, blocks=blocks)
              for metric in METRICS}  # fmt: skip
    return {
        "blocks": [block_name(block) for block in sorted(blocks)], "is_whole": bool(whole),
        "points": list(_points(arms, readings, blocks)),
        "levels": list(_levels(arms, readings, blocks)),
        "differences": list(_gains(arms, readings, blocks)),
        "slopes": {metric: found for metric, found in slopes.items() if found is not None},
    }  # fmt: skip


def _points(arms: Arms, readings: Readings, blocks: set[Block]) -> Iterator[Json]:
    for metric in METRICS:
        for group in arms.by_tasks:
            values = _within(readings.values(group, "clusters", metric), blocks)
            if (found := estimate(values)) is not None:
                tasks = fmean(arm.tasks for arm in arms.groups[group] if arm.block in blocks)
                single = {block_name(b): estimate_value(_within(values, {b})) for b in sorted({b for b, _ in values})}
                yield {"arm": group, "metric": metric, "trained_tasks": tasks, **found, "by_block": single}


def _levels(arms: Arms, readings: Readings, blocks: set[Block]) -> Iterator[Json]:
    """What nothing trained scores: the base in its readings, the copied input."""
    base = arms.base_of(arms.by_tasks[-1])
    asked = [(role, metric, readings.values(base, "clusters", metric, role=role))
             for role in (ZERO, FEW) for metric in METRICS] if base else []  # fmt: skip
    for name, metric, values in (*asked, (COPY, "generated", readings.copied("clusters"))):
        if (found := estimate(_within(values, blocks))) is not None:
            yield {"name": name, "metric": metric, **found}


def _gains(arms: Arms, readings: Readings, blocks: set[Block]) -> Iterator[Json]:
    """Generated answers of each arm less those of its base, item by item."""
    for group in arms.by_tasks:
        base = arms.base_of(group)
        for role in (ZERO, FEW) if base else ():
            sides = [_within(readings.values(name, "clusters", "generated", role=role), blocks)
                     for name in (base, group) if name]  # fmt: skip
            if (found := estimate(differences(*sides))) is not None:
                yield {"arm": group, "role": role, **found}


def _within(values: Values, blocks: set[Block]) -> Values:
    return {place: items for place, items in values.items() if place[0] in blocks}


def _slope(
    arms: Arms, groups: Sequence[str], rung: str, metric: str, *, amount: Callable[[Finished], int],
    blocks: Collection[Block],
) -> Json | None:  # fmt: skip
    """The slope over the arms of some groups in some blocks, per doubling of the amount of what they were given."""
    cells = set()  # an arm may stand in two groups
    for group in groups:
        for arm in arms.groups[group]:
            if amount(arm) < 1 or arm.block not in blocks:
                continue
            for (block, task), items in values_of([arm], rung, metric).items():
                cells.add(Cell(block, arm.name, task, math.log2(amount(arm)), fmean(items.values())))
    found = slope_test(sorted(cells), seed=SEED, draws=DRAWS, group_of=_seed_of)
    if found is None:
        return None
    by_block = {block_name(b): v for b, v in found.by_block.items() if isinstance(b, tuple)}
    return {**found.to_json(), "by_block": by_block}


def _seed_of(block: Hashable) -> Hashable:
    """Blocks of one seed share its luck: the order of rows and of training are drawn from it."""
    return block[0] if isinstance(block, tuple) else block
