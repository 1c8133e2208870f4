"""Every number of a study's report: RUN/arms/*.json -> RUN/study.json.

Two arms are compared on the items that both answered, one by one. The base is in its better zero-shot reading, of each
rung and metric, wherever nothing else is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from luthier.recipes.study_report.arms import METRICS, Arms, Finished, block_name, differences, read_arms
from luthier.recipes.study_report.effects import effects, unpaired_texts
from luthier.recipes.study_report.readings import BEST, FEW, OWN, ZERO, Readings, base_readings
from luthier.recipes.study_report.scores import estimate, estimate_value, over_templates
from luthier.recipes.study_report.slopes import cluster_slope, over_tasks
from luthier.recipes.studying.rows import RUNGS
from luthier.runs import write_json

MOST_NAMES = 12
"""Names of arms in one line."""
COUNTED = ("exact", "near", "rows", "sources", "dropped")
"""What a certificate counts."""
PARTS = {
    "tasks": "fewer tasks", "templates": "fewer plain templates", "wording": "no instruction in training",
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
    readings = base_readings(arms)
    bases = list(dict.fromkeys(row["base"] for row in readings.rows))
    return {
        "blocks": [block_name(block) for block in arms.blocks],
        "finished": len({arm.name for arm in arms.finished}),
        "arms": {group: _about(arms, group) for group in arms.groups},
        "main": arms.main,
        "base": arms.base_of(arms.main) if arms.main else next(iter(bases), None),
        "graders": sorted({name for arm in arms.finished for name in arm.facts.get("graders", ())}),
        "missing": [*_missing(arms), *unpaired_texts(arms)],
        "certificate": _certificate({arm.name: arm for arm in arms.finished}.values()),
        "readings": list(readings.rows),
        "scores": list(_scores(arms, readings, bases)),
        "differences": list(_differences(arms, readings)),
        "varies_clusters": arms.varies_clusters,
        "slope": cluster_slope(arms, "clusters", "generated"),
        "slopes": {f"{rung}/{metric}": found for rung in RUNGS for metric in METRICS
                   if (rung, metric) != ("clusters", "generated") and (found := cluster_slope(arms, rung, metric))},
        "over_tasks": over_tasks(arms, readings),
        "tasks": list(_per_task(arms, readings)),
        **effects(arms, readings),
    }  # fmt: skip


def _scores(arms: Arms, readings: Readings, bases: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every group's scores; those of a base once for each kind of reading that it has."""
    asked = [*((group, role) for group in bases for role in (ZERO, FEW, OWN)), *((group, None) for group in arms.tuned)]
    for rung in RUNGS:
        for metric in METRICS:
            for group, role in asked:
                values = readings.values(group, rung, metric, role=role or ZERO)
                found = estimate(values)
                if found is None:
                    continue
                raw = estimate_value(readings.values(group, rung, metric, role=role or ZERO, is_raw=True))
                yield {
                    "rung": rung, "metric": metric, "arm": group, "reading": role, **found, "raw": raw,
                    **over_templates(values),
                    "blocks": {block_name(b): estimate_value({p: v for p, v in values.items() if p[0] == b})
                               for b in sorted({block for block, _ in values})},
                }  # fmt: skip


def _differences(arms: Arms, readings: Readings) -> Iterator[dict[str, Any]]:
    """Tuned against base in three roles, more clusters against one, and other arms against that of all clusters."""
    for group in arms.tuned:
        kind, base = arms.groups[group][0].kind, arms.base_of(group)
        one = arms.by_clusters[0] if kind == "clusters" and group != arms.by_clusters[0] else None
        full = arms.main if kind != "clusters" else None
        for rung in RUNGS:
            for metric in METRICS:
                ours = readings.values(group, rung, metric)
                opponents = [(base, ZERO, "base"), (base, FEW, "base, few-shot"),
                             (base, OWN, "base, few-shot of the same task"), (one, ZERO, "fewest clusters"),
                             (full, ZERO, "all clusters"), (base, BEST, "base, best of all readings")]  # fmt: skip
                for other, reading, role in opponents:
                    if other is None:
                        continue
                    found = estimate(differences(readings.values(other, rung, metric, role=reading), ours))
                    if found is not None:
                        yield {"rung": rung, "metric": metric, "arm": group, "against": other, "role": role, **found}


def _per_task(arms: Arms, readings: Readings) -> Iterator[dict[str, Any]]:
    """Each task: base and arm of all clusters, with median and quartiles over templates of the latter."""
    if arms.main is None:
        return
    base = arms.base_of(arms.main)
    for rung in RUNGS:
        ours = {m: readings.values(arms.main, rung, m) for m in METRICS}
        theirs = {(m, role): readings.values(base, rung, m, role=role) if base else {}
                  for m in METRICS for role in (ZERO, FEW)}  # fmt: skip
        cluster = {item.task: item.cluster for arm in arms.groups[arms.main] for item in arm.items.get(rung, ())}
        for task in sorted(cluster, key=lambda t: (cluster[t], t)):
            mine = {m: {p: v for p, v in ours[m].items() if p[1] == task} for m in METRICS}
            base_s = {key: estimate_value({p: v for p, v in values.items() if p[1] == task})
                      for key, values in theirs.items()}  # fmt: skip
            yield {
                "rung": rung, "cluster": cluster[task], "task": task, **over_templates(mine["generated"]),
                "items": sum(len(v) for v in mine["generated"].values()),
                **{m: estimate_value(mine[m]) for m in METRICS},
                **{f"base_{m}": base_s[m, ZERO] for m in METRICS},
                "base_few_shot": base_s["generated", FEW],
                "difference": estimate(differences(theirs["generated", ZERO], mine["generated"])),
            }  # fmt: skip


def _about(arms: Arms, group: str) -> dict[str, Any]:
    """What the arms of a group were given, and what their certificates say."""
    finished = arms.groups[group]
    about: dict[str, Any] = {"kind": finished[0].kind, "blocks": len(finished), "base": finished[0].about.get("base")}
    if about["kind"] != "base":
        about["clusters"] = _range(arm.clusters for arm in finished)
        about["mean_clusters"] = fmean(arm.clusters for arm in finished)
        about["tasks"] = _range(arm.tasks for arm in finished)
    else:
        about |= {key: found for key, found in (("parameters", finished[0].facts.get("parameters")),
                                                ("short_shots", _short_shots(finished))) if found}  # fmt: skip
    for key in ("templates", "wording", "inverted", "cap", "task", "start", "method", "examples"):
        if key in finished[0].about:
            about[key] = finished[0].about[key]
    trained = [arm.facts["train"] for arm in finished if "train" in arm.facts]
    for key in ("steps", "tokens", "rows", "inverted_rows", "seconds", "loss"):
        if numbers := [t[key] for t in trained if t.get(key) is not None]:
            about[key] = fmean(numbers)
    if certificate := _certificate(finished):
        about["certificate"] = certificate
    return about


def _short_shots(bases: Sequence[Finished]) -> list[dict[str, Any]]:
    """By few-shot reading and rung: items asked, and those with fewer shots than the recipe asks for, or with none."""
    totals: dict[tuple[str, str], Counter[str]] = {}
    for base in bases:
        for reading, rungs in base.facts.get("short_shots", {}).items():
            for rung, counts in rungs.items():
                totals.setdefault((reading, rung), Counter()).update(counts)
    return [{"reading": reading, "rung": rung, **counts} for (reading, rung), counts in totals.items()]


def _certificate(finished: Iterable[Finished]) -> dict[str, int]:
    """What the certificates of some arms count together; empty where none has one."""
    found = [arm.facts["certificate"] for arm in finished if arm.facts.get("certificate")]
    return {key: sum(int(one.get(key) or 0) for one in found) for key in COUNTED} if found else {}


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
    if not arms.varies_clusters:
        yield "the number of clusters is not varied by itself, so there is no slope over clusters"
    elif len(arms.by_clusters) < 2:
        yield "fewer than two numbers of clusters are finished, so there is no slope"
    if absent := [words for kind, words in PARTS.items() if kind not in kinds]:
        yield f"not part of this study, or not reached: {', '.join(absent)}"
