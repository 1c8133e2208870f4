"""From the values of items to one number with its interval.

A score is the mean over tasks of the mean over blocks of the mean over items. Intervals resample tasks
(`luthier.stats.bootstrap`); with fewer than five tasks they resample items within each, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np

from luthier.recipes.study_report.arms import Block, Values, by_template
from luthier.stats.bootstrap import bootstrap_mean, bootstrap_within
from luthier.stats.intervals import FEWEST_CLUSTERS, Estimate

SEED = 20
"""Of every resampling, so that one set of arms has one report."""
DRAWS = 10_000


def estimate(values: Values) -> dict[str, Any] | None:
    """The mean over tasks with its interval, as JSON; None without values."""
    rows = _by_task(values)
    if not rows:
        return None
    means = [fmean(v for block in found.values() for v in [fmean(block.values())]) for found in rows.values()]
    if len(means) >= FEWEST_CLUSTERS:
        found = bootstrap_mean(means, seed=SEED, draws=DRAWS)
    else:
        within = bootstrap_within([_by_row(found) for found in rows.values()], seed=SEED, draws=DRAWS)
        found = Estimate(fmean(means), within.low, within.high, within.n, within.method)
    return {**found.to_json(), "tasks": len(rows), "items": sum(len(v) for v in values.values())}


def estimate_value(values: Values) -> float | None:
    """The mean over tasks alone."""
    rows = _by_task(values)
    return fmean(fmean(fmean(b.values()) for b in found.values()) for found in rows.values()) if rows else None


def over_templates(values: Values) -> dict[str, float | None]:
    """Median and quartiles over templates, each the mean over tasks of the mean over blocks, as scores are."""
    tasks = [[np.percentile([fmean(v) for v in by_template(items).values()], [50, 25, 75]) for items in blocks.values()]
             for blocks in _by_task(values).values()]  # fmt: skip
    if not tasks:
        return {"median": None, "q1": None, "q3": None}
    median, q1, q3 = np.mean([np.mean(blocks, axis=0) for blocks in tasks], axis=0)
    return {"median": float(median), "q1": float(q1), "q3": float(q3)}


def _by_task(values: Values) -> dict[str, dict[Block, dict[tuple[str, str], float]]]:
    tasks: dict[str, dict[Block, dict[tuple[str, str], float]]] = {}
    for (block, task), items in values.items():
        tasks.setdefault(task, {})[block] = items
    return dict(sorted(tasks.items()))


def _by_row(blocks: Mapping[Block, Mapping[tuple[str, str], float]]) -> list[float]:
    """One value a row: its templates and blocks ask the same thing again."""
    rows: dict[str, list[float]] = {}
    for items in blocks.values():
        for (_, row), value in items.items():
            rows.setdefault(row, []).append(value)
    return [fmean(found) for found in rows.values()]
