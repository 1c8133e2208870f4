"""The figures of a study, as SVG: the same on its page and in RUN/figures, where documents may take them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from luthier.recipes.study_words import RUNG_NAMES, arm_name, difference_of, score_of
from luthier.reports import Interval, interval_plot
from luthier.reports.curves import Curve, Level, Point, curve_plot

Json = Mapping[str, Any]

SCORE = "right answers above chance, 0 to 1"
CLUSTERS = "trained clusters (log scale)"


def figures(study: Json) -> dict[str, tuple[str, str]]:
    """Name to (SVG, caption); only those whose arms are there."""
    return {name: (svg, caption) for name, svg, caption in _drawn(study)}


def _drawn(study: Json) -> Iterator[tuple[str, str, str]]:
    held_out = [curve for metric, name in (("generated", "generated"), ("ranked", "likeliest option"))
                if (curve := _over_clusters(study, "clusters", metric, name)).points]  # fmt: skip
    if held_out:
        base = score_of(study, study["base"], "clusters")
        level = Level("base, better reading", base["value"], base["low"], base["high"]) if base else None
        yield ("clusters", curve_plot(held_out, x_label=CLUSTERS, y_label=SCORE, level=level),
               "Tasks of clusters that were never trained. Bars: 95 % over tasks. Rings: single blocks. The base, as "
               "generated, with its interval")  # fmt: skip
    rungs = [curve for rung, name in RUNG_NAMES.items()
             if (curve := _over_clusters(study, rung, "generated", name, has_dots=False)).points]  # fmt: skip
    if len(rungs) > 1:
        yield ("rungs", curve_plot(rungs, x_label=CLUSTERS, y_label=SCORE),
               "Generated answers. New phrasings and new tasks are of the clusters that each arm trained, so their "
               "tasks change along the curve; new clusters are the same tasks throughout")  # fmt: skip
    others = [(g, d) for g in study["arms"] if (d := difference_of(study, g, "clusters", "all clusters"))]
    if others:
        rows = [Interval(arm_name(study, g), d["value"], d["low"], d["high"]) for g, d in others]
        yield ("arms", interval_plot(rows, x_label="score less that of the arm of all clusters", reference=0.0),
               "New clusters, generated, paired item by item. Left of the line: worse than all clusters")  # fmt: skip
    yield from _transfers(study)


def _over_clusters(study: Json, rung: str, metric: str, name: str, *, has_dots: bool = True) -> Curve:
    points = []
    for group, about in study["arms"].items():
        found = score_of(study, group, rung, metric)
        if about["kind"] == "clusters" and found is not None:
            dots = tuple(v for v in found["blocks"].values() if v is not None) if has_dots else ()
            points.append(Point(fmean(about["clusters"]), found["value"], found["low"], found["high"], dots))
    return Curve(name, sorted(points, key=lambda point: point.x))


def _transfers(study: Json) -> Iterator[tuple[str, str, str]]:
    found = study["transfer"]
    for way in sorted({p["way"] for p in found["points"]}) if found else ():
        curves = []
        for start, name in (("base", "from the base"), ("tuned", "from the tuned model")):
            points = [Point(p["examples"], p["value"], p["low"], p["high"]) for p in found["points"]
                      if (p["way"], p["start"]) == (way, start) and p["examples"] > 0]  # fmt: skip
            if points:
                curves.append(Curve(name, points))
        if not curves:
            continue
        words = "every weight trained" if way == "full" else f"trained by {way}"
        yield (f"transfer-{way}", curve_plot(curves, x_label="examples of the new task (log scale)", y_label=SCORE),
               f"Learning a task of an unseen cluster, {words}. Bars: 95 %")  # fmt: skip
