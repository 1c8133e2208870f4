"""RUN/report.html and RUN/figures of a study, from RUN/study.json: verdicts first, then the curve, then all else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from luthier.recipes.study_report.arms import METRICS, RUNG_NAMES
from luthier.recipes.study_report.cells import figure, number, quartiles, rounded, span
from luthier.recipes.study_report.figures import LEVEL_NAMES, METRIC_NAMES, figures
from luthier.recipes.study_report.readings import BEST, FEW, OWN, ZERO
from luthier.recipes.study_report.sections import promised
from luthier.recipes.study_report.summary import COUNTED, write_summary
from luthier.recipes.study_report.words import (
    READING_NAMES,
    RUNG_MEANINGS,
    arm_name,
    closing_lines,
    difference_of,
    named_scores,
    score_of,
    verdicts,
)
from luthier.recipes.studying.rows import RUNGS
from luthier.records.whole_files import write_text_whole
from luthier.reports import Page
from luthier.reports.curves import standalone

Json = Mapping[str, Any]

ABOUT = """A score is the mean grade above chance, (grade - chance) / (1 - chance): 0 is guessing among the options
shown, 1 is always right. It is the mean over tasks of the mean over blocks; a block is one seed and one choice of
held-out clusters. Generated: what the model wrote is graded. Likeliest option: the right option is found likeliest
among those shown.

The base is asked as the tuned arms are, without examples, through the chat template and in plain text. Its better
zero-shot reading, of each kind of items, is what tuned arms are compared with by name. Few-shot is the base with solved
training rows before each question, against tuned arms without any.

Intervals are 95 % and resample tasks: they speak for further tasks of the kind. With fewer than five tasks they
resample the rows of each, and speak for these tasks alone. Neither holds the luck of a training: for that see how far
the single blocks, the rings, lie apart."""
AGAINST_BASE = {"base": "less the base, zero-shot", "base, few-shot": "less the base, few-shot"}
"""The roles of the base in every comparison, and their columns."""
UNEQUAL = 0.01
"""Arms whose tokens differ by more than this share of their mean are said to be unequal."""


def write_study(run_folder: Path) -> list[str]:
    """Write study.json, report.html and figures/*.svg from the finished arms; returns lines for the terminal."""
    study = write_summary(run_folder)
    drawn = figures(study)
    for name, (svg, _) in drawn.items():
        path = run_folder / "figures" / f"{name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_whole(path, standalone(svg))
    report(study, drawn, run_folder).write(run_folder / "report.html")
    return closing_lines(study, run_folder / "report.html")


def report(study: Json, drawn: Mapping[str, tuple[str, str]], run_folder: Path) -> Page:
    """The page; a section stands only where its arms do."""
    page = Page("Study: from trained tasks to new ones", f"{study['finished']} arms in {len(study['blocks'])} blocks")
    for said in verdicts(study):
        page.verdict(said.word, said.text, said.tone)
    if study["missing"]:
        page.heading("What is missing")
        page.table(["not there"], [[text] for text in study["missing"]])
    _curve(page, study, drawn)
    _over_tasks(page, study, drawn)
    _rungs(page, study, drawn)
    _arms(page, study, drawn)
    _tasks(page, study)
    promised(page, study, drawn)
    _base(page, study)
    _certificates(page, study)
    _again(page, study, run_folder)
    return page


def _curve(page: Page, study: Json, drawn: Mapping[str, tuple[str, str]]) -> None:
    if study["scores"]:
        page.heading("What a score is")
        page.text(ABOUT)
    arms = [group for group, about in study["arms"].items() if about["kind"] == "clusters"]
    if not study["varies_clusters"] or not any(score_of(study, group, "clusters") for group in arms):
        return
    page.heading("Held-out clusters against the number of trained ones")
    figure(page, drawn, "clusters")
    rows = []
    for group in arms:
        differences = [difference_of(study, group, "clusters", role) for role in (*AGAINST_BASE, "fewest clusters")]
        rows.append([arm_name(study, group), number(score_of(study, group, "clusters")),
                     number(score_of(study, group, "clusters", "ranked")),
                     *(number(d, is_signed=True) for d in differences)])  # fmt: skip
    page.table(
        ["trained on", "generated", "likeliest option", *AGAINST_BASE.values(), "less the fewest"], rows,
        "Differences are of generated answers, paired item by item",
    )  # fmt: skip
    slopes = [("new clusters, generated (named before the run)", study["slope"]),
              *((_slope_name(name), found) for name, found in study["slopes"].items())]  # fmt: skip
    page.table(
        ["score", "change with each doubling", "one-sided p", "smallest p possible"],
        [[name, number(found, is_signed=True), found["p"], found["smallest_p"]] for name, found in slopes if found],
        "Slopes. Only the first was named before the run; the others are description, with p not corrected for their "
        "number. On new phrasings and new tasks arms of more clusters are asked about more tasks: only tasks that all "
        "arms of a block share count there",
    )  # fmt: skip
    if study["slope"]:
        by_block = [[block, rounded(value)] for block, value in study["slope"]["by_block"].items()]
        page.table(["block", "change with each doubling"], by_block, "The named slope, block by block")


def _over_tasks(page: Page, study: Json, drawn: Mapping[str, tuple[str, str]]) -> None:
    over = study["over_tasks"]
    if over is None:
        return
    page.heading("Held-out clusters against the number of trained tasks")
    figure(page, drawn, "tasks")
    found = {(p["trained_tasks"], p["arm"], p["metric"]): p for p in over["points"]}
    gained = {(d["arm"], d["role"]): d for d in over["differences"]}
    rows = []
    for name in dict.fromkeys(level["name"] for level in over["levels"]):
        levels = {level["metric"]: level for level in over["levels"] if level["name"] == name}
        rows.append([f"nothing: {LEVEL_NAMES[name]}", 0, number(levels.get("generated")), number(levels.get("ranked")),
                     "", ""])  # fmt: skip
    for tasks, group in sorted({key[:2] for key in found}):
        gains = [gained.get((group, role)) for role in (ZERO, FEW)]
        scores = [found.get((tasks, group, metric)) for metric in METRICS]
        rows.append([arm_name(study, group), round(tasks, 1), *(number(score) for score in scores),
                     *(number(gain, is_signed=True) for gain in gains)])  # fmt: skip
    blocks = f"{len(over['blocks'])} block{'s' if len(over['blocks']) > 1 else ''}"
    whole = "in which all of these arms are finished" if over["is_whole"] else "of which none has all of these arms yet"
    page.table(
        ["trained on", "tasks", "generated", "likeliest option", *AGAINST_BASE.values()], rows,
        f"Over {blocks} {whole}. Differences are of generated answers, paired item by item",
    )  # fmt: skip
    slopes = [[METRIC_NAMES[metric], number(slope, is_signed=True), len(slope["by_block"])]
              for metric, slope in over["slopes"].items()]  # fmt: skip
    if slopes:
        page.table(["score", "change with each doubling of tasks", "blocks"], slopes,
                   "Slopes: a description, not the test that was named before the run")  # fmt: skip


def _rungs(page: Page, study: Json, drawn: Mapping[str, tuple[str, str]]) -> None:
    if not study["scores"]:
        return
    page.heading("Three kinds of new")
    page.facts({RUNG_NAMES[rung]: RUNG_MEANINGS[rung] for rung in RUNGS})
    figure(page, drawn, "rungs")
    for rung in RUNGS:
        rows = []
        for group, reading, name in named_scores(study):
            found, ranked = (score_of(study, group, rung, metric, reading=reading) for metric in METRICS)
            if found is None:
                continue
            rows.append([
                name, study["arms"][group]["blocks"], number(found), rounded(found["raw"]), rounded(found["median"]),
                quartiles(found), number(ranked), rounded(ranked["raw"]) if ranked else None, found["tasks"],
                found["items"],
            ])  # fmt: skip
        if rows:
            page.table(
                ["trained on", "blocks", "generated", "raw", "median", "quartiles", "likeliest option", "raw", "tasks",
                 "items"],
                rows, f"{RUNG_NAMES[rung].capitalize()}: {RUNG_MEANINGS[rung]}. Raw: chance not taken out. Median and "
                "quartiles are over templates. Arms of fewer blocks were asked about fewer tasks: their differences to "
                "other arms are paired, these scores are not",
            )  # fmt: skip


def _arms(page: Page, study: Json, drawn: Mapping[str, tuple[str, str]]) -> None:
    tuned = {g: about for g, about in study["arms"].items() if about["kind"] not in ("base", "transfer")}
    if not tuned:
        return
    page.heading("Every arm")
    others = [g for g in tuned if difference_of(study, g, "clusters", "all clusters")]
    if others:
        figure(page, drawn, "arms")
        rows = [[arm_name(study, g), *(number(difference_of(study, g, rung, "all clusters"), is_signed=True)
                                       for rung in RUNGS)] for g in others]  # fmt: skip
        page.table(["trained on", *RUNG_NAMES.values()], rows,
                   "Each arm less that of all clusters, generated, paired item by item")  # fmt: skip
    are_turned = any("inverted_rows" in a for a in tuned.values())
    share = {g: f"{100 * a['inverted_rows'] / a['rows']:.0f} %" if "inverted_rows" in a else "-"
             for g, a in tuned.items()}  # fmt: skip
    rows = [[arm_name(study, g), a["blocks"], span(a["clusters"]), span(a["tasks"]), a.get("steps"), a.get("tokens"),
             *([share[g]] if are_turned else []), a.get("seconds"), a.get("loss")]
            for g, a in tuned.items()]  # fmt: skip
    turned = ("Rows turned around are in inverted templates, all of which arms of fewer plain templates keep. "
              if are_turned else "")  # fmt: skip
    page.table(["trained on", "blocks", "clusters", "tasks", "steps", "tokens",
                *(["rows turned around"] if are_turned else []), "seconds", "last loss"], rows,
               f"Training, means over blocks. {turned}{_equality(tuned)}")  # fmt: skip


def _tasks(page: Page, study: Json) -> None:
    if not study["tasks"]:
        return
    page.heading(f"Task by task: {arm_name(study, study['main'])} against the base")
    for rung in RUNGS:
        rows = [[t["cluster"], t["task"],
                 *(rounded(t[key]) for key in ("base_few_shot", "base_generated", "generated")),
                 number(t["difference"], is_signed=True), rounded(t["median"]), quartiles(t),
                 *(rounded(t[key]) for key in ("base_ranked", "ranked")), t["items"]]
                for t in study["tasks"] if t["rung"] == rung]  # fmt: skip
        if rows:
            page.table(
                ["cluster", "task", "base, few-shot", "base, zero-shot", "tuned", "difference to zero-shot", "median",
                 "quartiles", "base, likeliest", "tuned, likeliest", "items"],
                rows, f"{RUNG_NAMES[rung].capitalize()}. The intervals of one task resample its rows",
            )  # fmt: skip


def _base(page: Page, study: Json) -> None:
    metrics = {**METRIC_NAMES, "best": "likeliest option, else generated"}
    roles = {ZERO: "better zero-shot reading", FEW: FEW, OWN: OWN, BEST: "best of all"}
    rows = [[arm_name(study, r["base"]), RUNG_NAMES[r["rung"]], READING_NAMES[r["reading"]], metrics[r["metric"]],
             number(r), ", ".join(roles[role] for role in r["roles"])] for r in study["readings"]]  # fmt: skip
    if rows:
        page.heading("How the base was read")
        page.text("The base was never trained on chats, so it is asked in plain text too, in the form that does best "
                  "on training rows. Tuned arms are asked without examples: the better zero-shot reading is what they "
                  "are compared with by name. The few-shot readings stand beside it: with solved examples of trained "
                  "tasks, and with such of the very task that is asked, which no tuned arm has seen.")  # fmt: skip
        page.table(["base", "items", "reading", "by", "score", "counts as"], rows)
        short = [[arm_name(study, g), RUNG_NAMES[s["rung"]], READING_NAMES[s["reading"]], s["items"], s["fewer"],
                  s["none"]]
                 for g, a in study["arms"].items() for s in a.get("short_shots", ()) if s["fewer"]]  # fmt: skip
        if short:
            page.table(["base", "items", "reading", "asked", "with fewer examples", "of these, with none"], short,
                       "Where a task has too few training rows that leave room in the context")  # fmt: skip
        gains = [[arm_name(study, study["main"]), RUNG_NAMES[rung],
                  *(number(difference_of(study, study["main"], rung, role), is_signed=True) for role in AGAINST_BASE),
                  *(number(difference_of(study, study["main"], rung, role), is_signed=True)
                    for role in ("base, few-shot of the same task", "base, best of all readings"))]
                 for rung in RUNGS] if study["main"] else []  # fmt: skip
        if gains:
            page.table(["trained on", "items", *AGAINST_BASE.values(), "less it with examples of the same task",
                        "less the best of all"], gains,
                       "Generated answers of tuned arms less the base, paired item by item")  # fmt: skip
    if study["copy"]:
        copied = [[RUNG_NAMES[c["rung"]], number(c)] for c in study["copy"]]
        page.table(["items", "saying the prompt again scores"], copied, "The floor of overlap metrics")


def _certificates(page: Page, study: Json) -> None:
    rows: list[list[Any]] = []
    together: list[list[int]] = []
    for group, about in study["arms"].items():
        if "certificate" not in about:
            continue
        counts = [about["blocks"], *(about["certificate"].get(key) or 0 for key in COUNTED)]
        if about["kind"] == "transfer" and not any(counts[1 : 1 + COUNTED.index("dropped")]):
            together.append(counts)  # they are many: only one with an overlap stands by itself
        else:
            rows.append([arm_name(study, group), *counts])
    if together:
        rows.append(["few examples of a new task, together", *(sum(column) for column in zip(*together, strict=True))])
    if rows:
        page.heading("Certificate: held out means held out")
        page.table(
            ["trained on", "arms", "same prompt", "near-duplicate", "same row", "same source as new clusters",
             "dropped before training"], rows,
            "Training rows that overlap an item of their block, summed over arms. What overlapped was dropped before "
            "training; nothing may be left",
        )  # fmt: skip


def _again(page: Page, study: Json, run_folder: Path) -> None:
    page.heading("How to do it again")
    manifest = _json(run_folder / "manifest.json")
    facts: dict[str, object] = {"run": str(run_folder), "numbers": str(run_folder / "study.json"),
                                "again": "the same command; finished arms are reused"}  # fmt: skip
    if command := manifest.get("command"):
        facts["command"] = command if isinstance(command, str) else " ".join(map(str, command))
    page.facts(facts)
    page.table(["block"], [[block] for block in study["blocks"]])


def _json(path: Path) -> Json:
    data: Json = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return data


def _equality(tuned: Mapping[str, Json]) -> str:
    """Whether the arms were trained equally long."""
    tokens = [a["tokens"] for a in tuned.values() if a.get("tokens")]
    if len(tokens) < 2:
        return ""
    widest = (max(tokens) - min(tokens)) / fmean(tokens)
    if widest <= UNEQUAL:
        return "All arms were trained on equally many tokens, to within 1 %."
    return f"The arms were not trained on equally many tokens: they differ by {100 * widest:.0f} % of the mean."


def _slope_name(name: str) -> str:
    rung, _, metric = name.partition("/")
    return f"{RUNG_NAMES[rung]}, {'likeliest option' if metric == 'ranked' else metric}"
