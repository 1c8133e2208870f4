"""Every number of a study's report: RUN/arms/*.json -> RUN/study.json.

A score is the mean over tasks of the mean over blocks of the mean over items, chance-normalised. Two arms are compared
on the items that both answered, one by one. Intervals resample tasks (`luthier.stats.bootstrap`); with fewer than five
tasks they resample items within each, and say so. The test that was named before the run is `slope_test` on the
held-out clusters, as generated, against log2 of the number of trained clusters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from luthier.recipes.study_arms import (
    METRICS,
    RUNGS,
    Arms,
    Block,
    Values,
    block_name,
    by_template,
    differences,
    read_arms,
    values_of,
)
from luthier.recipes.study_effects import COPY, effects
from luthier.runs import write_json
from luthier.stats.bootstrap import bootstrap_mean, bootstrap_within
from luthier.stats.intervals import FEWEST_CLUSTERS, Estimate
from luthier.stats.slope import Cell, slope_test

SEED = 20
"""Of every resampling, so that one set of arms has one report."""
DRAWS = 10_000
MOST_NAMES = 12
"""Names of arms in one line."""
COUNTED = ("exact", "near", "rows", "sources", "dropped")
"""What a certificate counts."""
PARTS = {
    "tasks": "fewer tasks", "templates": "fewer templates", "wording": "no instruction in training",
    "inversion": "inverted templates", "cap": "the mixture's cap", "size": "other bases", "specialist": "specialists",
    "transfer": "few examples of a new task",
}  # fmt: skip
"""Kinds of arms that a study may leave out, in words."""


def write_summary(folder: Path) -> dict[str, Any]:
    """Read all finished arms, write RUN/study.json and return what it holds."""
    summary = summarise(read_arms(folder))
    write_json(folder / "study.json", summary)
    return summary


def summarise(arms: Arms) -> dict[str, Any]:
    """Everything that the finished arms can tell; a part whose arms are not there is None or empty."""
    bases = base_readings(arms)
    return {
        "blocks": [block_name(block) for block in arms.blocks],
        "finished": len({arm.name for arm in arms.finished}),
        "arms": {group: _about(arms, group) for group in arms.groups},
        "main": arms.main,
        "base": arms.base_of(arms.main) if arms.main else next(iter(bases), None),
        "missing": list(_missing(arms)),
        "readings": [row for found in bases.values() for row in found["rows"]],
        "scores": list(_scores(arms, bases)),
        "differences": list(_differences(arms, bases)),
        "slope": _slope(arms, "clusters", "generated"),
        "slopes": {f"{rung}/{metric}": found for rung in RUNGS for metric in METRICS
                   if (rung, metric) != ("clusters", "generated") and (found := _slope(arms, rung, metric))},
        "tasks": list(_per_task(arms, bases)),
        **effects(arms, {group: found["chosen"] for group, found in bases.items()}, estimate),
    }  # fmt: skip


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


def base_readings(arms: Arms) -> dict[str, dict[str, Any]]:
    """For each base: every reading of it, and the one that tuned arms must beat by rung and metric.

    "best" is the strictest opponent of what a tuned model writes: the best reading of all, as generated or by the
    likeliest option where there are options.
    """
    found: dict[str, dict[str, Any]] = {}
    for group, finished in arms.groups.items():
        if finished[0].kind != "base":
            continue
        names = list(dict.fromkeys(name for arm in finished for name in arm.readings if name != COPY))
        chosen: dict[tuple[str, str], str] = {}
        hows: dict[str, str] = {}
        rows = []
        for rung in RUNGS:
            scored = {(how, n): e for how in (*METRICS, "best") for n in names
                      if (e := estimate(values_of(finished, rung, how, reading=n)))}  # fmt: skip
            for metric, options in (*((m, (m,)) for m in METRICS), ("best", ("generated", "best"))):
                if usable := [key for key in scored if key[0] in options]:
                    how, chosen[rung, metric] = max(usable, key=lambda key: scored[key]["value"])
                    hows[rung] = how
            rows += [{"base": group, "rung": rung, "metric": how, "reading": name, **e,
                      "is_chosen": how != "best" and chosen[rung, how] == name}
                     for (how, name), e in scored.items()]  # fmt: skip
        found[group] = {"chosen": chosen, "hows": hows, "rows": rows}
    return found


def _values(
    arms: Arms, group: str, rung: str, metric: str, bases: Mapping[str, Any], *, is_raw: bool = False
) -> Values:
    """The values of a group; those of a base are of the reading that tuned arms must beat."""
    reading = bases[group]["chosen"].get((rung, metric), "none") if group in bases else ""
    how = bases[group]["hows"].get(rung, metric) if metric == "best" else metric
    return values_of(arms.groups[group], rung, how, reading=reading, is_raw=is_raw)


def _scores(arms: Arms, bases: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for rung in RUNGS:
        for metric in METRICS:
            for group in (*bases, *arms.tuned):
                values = _values(arms, group, rung, metric, bases)
                found = estimate(values)
                if found is None:
                    continue
                raw = estimate_value(_values(arms, group, rung, metric, bases, is_raw=True))
                yield {
                    "rung": rung, "metric": metric, "arm": group, **found, "raw": raw, **_over_templates(values),
                    "blocks": {block_name(b): estimate_value({p: v for p, v in values.items() if p[0] == b})
                               for b in sorted({block for block, _ in values})},
                }  # fmt: skip


def _differences(arms: Arms, bases: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Tuned against base, more clusters against one, and every other arm against that of all clusters."""
    for group in arms.tuned:
        kind, base = arms.groups[group][0].kind, arms.base_of(group)
        one = arms.by_clusters[0] if kind == "clusters" and group != arms.by_clusters[0] else None
        full = arms.main if kind != "clusters" else None
        for rung in RUNGS:
            for metric in METRICS:
                ours = _values(arms, group, rung, metric, bases)
                opponents = [(base, metric, "base"), (one, metric, "fewest clusters"), (full, metric, "all clusters")]
                if metric == "generated":
                    opponents.append((base, "best", "base, best of all readings"))
                for other, how, role in opponents:
                    if other is None:
                        continue
                    found = estimate(differences(_values(arms, other, rung, how, bases), ours))
                    if found is not None:
                        yield {"rung": rung, "metric": metric, "arm": group, "against": other, "role": role, **found}


def _slope(arms: Arms, rung: str, metric: str) -> dict[str, Any] | None:
    """The slope over the arms of one cluster to all, per doubling of the number of clusters."""
    cells = set()  # an arm may stand in two groups
    for group in arms.by_clusters:
        for arm in arms.groups[group]:
            if arm.clusters < 1:
                continue
            for (block, task), items in values_of([arm], rung, metric).items():
                cells.add(Cell(block, arm.name, task, math.log2(arm.clusters), fmean(items.values())))
    found = slope_test(sorted(cells), seed=SEED, draws=DRAWS)
    if found is None:
        return None
    by_block = {block_name(b): v for b, v in found.by_block.items() if isinstance(b, tuple)}
    return {**found.to_json(), "by_block": by_block}


def _per_task(arms: Arms, bases: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each task: the base's better reading and the arm of all clusters, with median and quartiles over templates."""
    if arms.main is None:
        return
    base = arms.base_of(arms.main)
    for rung in RUNGS:
        ours = {m: _values(arms, arms.main, rung, m, bases) for m in METRICS}
        theirs = {m: _values(arms, base, rung, m, bases) if base else {} for m in METRICS}
        cluster = {item.task: item.cluster for arm in arms.groups[arms.main] for item in arm.items.get(rung, ())}
        for task in sorted(cluster, key=lambda t: (cluster[t], t)):
            mine = {m: {p: v for p, v in ours[m].items() if p[1] == task} for m in METRICS}
            both = {m: differences(theirs[m], mine[m]) for m in METRICS}
            yield {
                "rung": rung, "cluster": cluster[task], "task": task, **_over_templates(mine["generated"]),
                "items": sum(len(v) for v in mine["generated"].values()),
                **{m: estimate_value(mine[m]) for m in METRICS},
                **{f"base_{m}": estimate_value({p: v for p, v in theirs[m].items() if p[1] == task})
                   for m in METRICS},
                "difference": estimate(both["generated"]),
            }  # fmt: skip


def estimate_value(values: Values) -> float | None:
    """The mean over tasks alone."""
    rows = _by_task(values)
    return fmean(fmean(fmean(b.values()) for b in found.values()) for found in rows.values()) if rows else None


def _over_templates(values: Values) -> dict[str, float | None]:
    """Median and quartiles over templates, each the mean over tasks and blocks."""
    found = [np.percentile([fmean(v) for v in by_template(items).values()], [50, 25, 75]) for items in values.values()]
    if not found:
        return {"median": None, "q1": None, "q3": None}
    median, q1, q3 = np.mean(found, axis=0)
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


def _about(arms: Arms, group: str) -> dict[str, Any]:
    """What the arms of a group were given, and what their certificates say."""
    finished = arms.groups[group]
    about: dict[str, Any] = {"kind": finished[0].kind, "blocks": len(finished), "base": finished[0].about.get("base")}
    if about["kind"] != "base":
        about["clusters"] = _range(arm.clusters for arm in finished)
        about["tasks"] = _range(len(arm.about.get("trained_tasks", ())) for arm in finished)
    elif "parameters" in finished[0].facts:
        about["parameters"] = finished[0].facts["parameters"]
    for key in ("templates", "wording", "inverted", "cap", "task", "start", "method", "examples"):
        if key in finished[0].about:
            about[key] = finished[0].about[key]
    trained = [arm.facts["train"] for arm in finished if "train" in arm.facts]
    for key in ("steps", "tokens", "rows", "seconds", "loss"):
        if numbers := [t[key] for t in trained if t.get(key) is not None]:
            about[key] = fmean(numbers)
    certificates = [arm.facts["certificate"] for arm in finished if arm.facts.get("certificate")]
    if certificates:
        about["certificate"] = {key: sum(int(c.get(key) or 0) for c in certificates) for key in COUNTED}
    return about


def _range(numbers: Iterable[int]) -> list[int]:
    found = list(numbers)
    return [min(found), max(found)]


def _missing(arms: Arms) -> Iterator[str]:
    """What is not there, in words."""
    if not arms.finished:
        yield "no arm is finished yet"
        return
    done = {arm.name for arm in arms.finished}
    kinds = {found[0].kind for found in arms.groups.values()}
    if left := [name for name in arms.planned if name not in done]:
        more = ", ..." if len(left) > MOST_NAMES else ""
        yield f"{len(left)} of {len(arms.planned)} planned arms are not finished: {', '.join(left[:MOST_NAMES])}{more}"
    for name, words in arms.failures.items():
        if name not in done:
            first, _, _ = words.partition("\n")
            yield f"{name} failed: {first}"
    for group in () if arms.planned else ("base", *arms.by_clusters):
        here = {arm.block for arm in arms.groups.get(group, ())}
        lacking = [block_name(block) for block in arms.blocks if block not in here]
        if lacking:
            yield f"{group} is not finished in {len(lacking)} of {len(arms.blocks)} blocks: {'; '.join(lacking)}"
    if len(arms.by_clusters) < 2:
        yield "fewer than two numbers of clusters are finished, so there is no slope"
    if absent := [words for kind, words in PARTS.items() if kind not in kinds]:
        yield f"not part of this study, or not reached: {', '.join(absent)}"
