"""What else tuning promises, on a study's page: phrasing, intent, few examples, forgetting, cost, specialists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.recipes.study_report.arms import RUNG_NAMES
from luthier.recipes.study_report.cells import figure, number, rounded
from luthier.recipes.study_report.words import arm_name
from luthier.reports import Page

Json = Mapping[str, Any]


def promised(page: Page, study: Json, drawn: Mapping[str, tuple[str, str]]) -> None:
    """Each section whose arms are there."""
    _spread(page, study)
    _promises(page, study)
    _transfer(page, study, drawn)
    _forgetting(page, study)
    _specialists(page, study)


def _spread(page: Page, study: Json) -> None:
    if not study["spread"]:
        return
    page.heading("How much the phrasing matters")
    page.text(
        "The spread of a task's score over templates that ask for the same rows: standard deviation (sd) and "
        "inter-quartile range (IQR). A model that fails everywhere has none, so read it beside the score."
    )
    rows = []
    for found in study["spread"]:
        for name, words in (("sd", "sd"), ("iqr", "IQR")):
            parts = found[name]
            rows.append([RUNG_NAMES[found["rung"]], words, number(parts["before"]), number(parts["after"]),
                         number(parts["difference"], is_signed=True),
                         *(rounded(found["score"][side]["value"]) for side in ("before", "after"))])  # fmt: skip
    page.table(["items", "spread", "base", "tuned", "difference, paired", "base's score", "tuned score"], rows)


def _promises(page: Page, study: Json) -> None:
    words = {("contrast", "right"): "contrast groups: every member right",
             ("paraphrase", "consistent"): "paraphrase sets: the answer stays the same",
             ("paraphrase", "right"): "paraphrase sets: every answer right"}  # fmt: skip
    rows = [[words[p["kind"], p["what"]], p["sets"], number(p["before"]), number(p["after"]),
             number(p["difference"], is_signed=True), number(p["few_shot"]["before"]),
             number(p["few_shot"]["difference"], is_signed=True)] for p in study["promises"]]  # fmt: skip
    if rows:
        page.heading("Intent")
        page.text("Some groups ask for what is trained in one block and held out in another; they count together. "
                  "A contrast group asks different things about one topic, and counts as right only if every answer is "
                  "right. A paraphrase set asks one thing in several ways. A model that always says the same is "
                  "consistent too: read it beside the share that is right.")  # fmt: skip
        page.table(["share of", "groups", "base, zero-shot", "tuned", "difference, paired", "base, few-shot",
                    "tuned less that"], rows)  # fmt: skip


def _transfer(page: Page, study: Json, drawn: Mapping[str, tuple[str, str]]) -> None:
    found = study["transfer"]
    if found is None:
        return
    page.heading("A new task from few examples")
    page.text(f"Tasks: {', '.join(found['task_names'])}. Each is learned from the first examples of one order, once "
              "from the base and once from the model tuned on all clusters.")  # fmt: skip
    for name in drawn:
        if name.startswith("transfer"):
            figure(page, drawn, name)
    head = ["trained", "examples", "tasks, by block", "from the base", "from the tuned model", "difference, paired"]
    intervals = (
        "Generated; 0 examples: before any training on the task. With fewer than five tasks the intervals speak for "
        "further rows of these tasks only"
    )
    if rows := list(_learned(found["same"])):
        page.table(head, rows, f"The same tasks throughout: those that have every number of examples. {intervals}")
    if left_out := [[t["way"], t["task"], t["block"], ", ".join(map(str, t["lacks"]))] for t in found["left_out"]]:
        page.text("Some tasks have too few training rows for the larger numbers, or their arms are not finished. Where "
                  "all that have a number are taken, the tasks change from line to line.")  # fmt: skip
        page.table(head, list(_learned(found)), f"All tasks that have the number, so they change. {intervals}")
        page.table(["trained", "task", "block", "has no score from so many examples"], left_out,
                   "Left out of the curve and of the table of the same tasks")  # fmt: skip


def _learned(found: Json) -> Iterator[list[Any]]:
    points = {(p["way"], p["examples"], p["start"]): p for p in found["points"]}
    gains = {(d["way"], d["examples"]): d for d in found["differences"]}
    for way, examples in sorted({key[:2] for key in points}):
        sides = [points.get((way, examples, start)) for start in ("base", "tuned")]
        runs = dict.fromkeys(str(side["runs"]) if side else "0" for side in sides)
        yield [way, examples, " and ".join(runs), *(number(side) for side in sides),
               number(gains.get((way, examples)), is_signed=True)]  # fmt: skip


def _forgetting(page: Page, study: Json) -> None:
    if study["forgetting"]:
        page.heading("What it forgot")
        rows = [[arm_name(study, f["arm"]), f["base"], f["after"], f["ratio"], f["low"], f["high"], f["documents"],
                 f["blocks"]] for f in study["forgetting"]]  # fmt: skip
        page.table(["trained on", "base's perplexity", "perplexity", "ratio", "low", "high", "documents", "blocks"],
                   rows, "Perplexity on plain text; a ratio of 1 is nothing forgotten. Paired by document")  # fmt: skip
    if study["cost"]:
        cost = study["cost"]
        page.heading("What it cost")
        facts: dict[str, Any] = {f"{key} of tuning": cost[key] for key in ("tokens", "seconds") if key in cost}
        for key in ("tokens", "seconds"):
            if f"share_{key}" in cost:
                facts[f"share of the {key} of pre-training"] = f"{100 * cost[f'share_{key}']:.3g} %"
        page.facts(facts)


def _specialists(page: Page, study: Json) -> None:
    rows = [[s["task"], s["side"], number(s["score"]), number(s["against_base"], is_signed=True),
             number(s["against_all"], is_signed=True)] for s in study["specialists"] if s["score"]]  # fmt: skip
    if rows:
        page.heading("Specialists: trained on one task")
        page.table(
            ["trained on", "asked", "score", "less the base", "less the arm of all clusters"], rows,
            "Its own task in templates that were never trained; the intervals of one task resample its rows",
        )  # fmt: skip
