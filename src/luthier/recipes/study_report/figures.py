"""The figures of a study, as SVG: the same on its page and in RUN/figures, where documents may take them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.recipes.study_report.arms import RUNG_NAMES
from luthier.recipes.study_report.readings import FEW, ZERO
from luthier.recipes.study_report.words import (
    BASE_NAMES,
    arm_name,
    difference_of,
    score_of,
    score_words,
    way_name,
)
from luthier.recipes.studying.measures import COPY
from luthier.reports import Interval, interval_plot
from luthier.reports.curves import Curve, Level, Point, curve_plot

Json = Mapping[str, Any]

CLUSTERS = "trained clusters (log scale)"
METRIC_NAMES = {"generated": "generated", "ranked": "likeliest option"}
LEVEL_NAMES = {**BASE_NAMES, COPY: "the input copied"}


def figures(study: Json) -> dict[str, tuple[str, str]]:
    """Name to (SVG, caption); only those whose arms are there."""
    return {name: (svg, caption) for name, svg, caption in _drawn(study)}


def _drawn(study: Json) -> Iterator[tuple[str, str, str]]:
    score = score_words(study)
    held_out = [curve for metric, name in METRIC_NAMES.items()
                if (curve := _over_clusters(study, "clusters", metric, name)).points]  # fmt: skip
    if held_out and study["varies_clusters"]:
        levels = [_level(reading, found) for reading in (ZERO, FEW)
                  if (found := score_of(study, study["base"], "clusters", reading=reading))]  # fmt: skip
        yield ("clusters", curve_plot(held_out, x_label=CLUSTERS, y_label=score, levels=levels),
               "Tasks of clusters that were never trained. Bars: 95 % over tasks. Rings: single blocks. The base, as "
               "generated, with its intervals")  # fmt: skip
    if over := study["over_tasks"]:
        yield ("tasks", _over_tasks(over, score),
               "Tasks of clusters that were never trained, against the number of trained tasks. Bars: 95 % over tasks. "
               "Rings: single blocks. Levels, as generated: nothing trained")  # fmt: skip
    rungs = [curve for rung, name in RUNG_NAMES.items()
             if (curve := _over_clusters(study, rung, "generated", name, has_dots=False)).points]  # fmt: skip
    if len(rungs) > 1 and study["varies_clusters"]:
        yield ("rungs", curve_plot(rungs, x_label=CLUSTERS, y_label=score),
               "Generated answers. New phrasings and new tasks are of the clusters that each arm trained, so their "
               "tasks change along the curve; new clusters are the same tasks throughout")  # fmt: skip
    others = [(g, d) for g in study["arms"] if (d := difference_of(study, g, "clusters", "all clusters"))]
    if others:
        rows = [Interval(arm_name(study, g), d["value"], d["low"], d["high"]) for g, d in others]
        yield ("arms", interval_plot(rows, x_label="score less that of the arm of all clusters", reference=0.0),
               "New clusters, generated, paired item by item. Left of the line: worse than all clusters")  # fmt: skip
    yield from _transfers(study, score)


def _level(name: str, found: Json) -> Level:
    return Level(LEVEL_NAMES[name], found["value"], found["low"], found["high"])


def _over_tasks(over: Json, score: str) -> str:
    curves = []
    for metric, name in METRIC_NAMES.items():
        points = [Point(p["trained_tasks"], p["value"], p["low"], p["high"], tuple(p["by_block"].values()))
                  for p in over["points"] if p["metric"] == metric]  # fmt: skip
        curves += [Curve(name, points)] if points else []
    levels = [_level(found["name"], found) for found in over["levels"] if found["metric"] == "generated"]
    return curve_plot(curves, x_label="trained tasks (log scale)", y_label=score, levels=levels)


def _over_clusters(study: Json, rung: str, metric: str, name: str, *, has_dots: bool = True) -> Curve:
    points = []
    for group, about in study["arms"].items():
        found = score_of(study, group, rung, metric)
        if about["kind"] == "clusters" and found is not None:
            dots = tuple(v for v in found["blocks"].values() if v is not None) if has_dots else ()
            points.append(Point(about["mean_clusters"], found["value"], found["low"], found["high"], dots))
    return Curve(name, sorted(points, key=lambda point: point.x))


def _transfers(study: Json, score: str) -> Iterator[tuple[str, str, str]]:
    same: Json = study["transfer"]["same"] if study["transfer"] else {"points": ()}
    for way in sorted({p["way"] for p in same["points"]}):
        curves = []
        for start, name in (("base", "from the base"), ("tuned", "from the tuned model")):
            points = [Point(p["examples"], p["value"], p["low"], p["high"]) for p in same["points"]
                      if (p["way"], p["start"]) == (way, start) and p["examples"] > 0]  # fmt: skip
            if points:
                curves.append(Curve(name, points))
        if not curves:
            continue
        yield (f"transfer-{way}", curve_plot(curves, x_label="examples of the new task (log scale)", y_label=score),
               f"Learning a task of an unseen cluster, {way_name(way)}. The same tasks throughout, which have every "
               "number. Bars: 95 %")  # fmt: skip
