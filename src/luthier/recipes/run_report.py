"""RUN/report.html: what a run did and what it came to, on one self-contained page; and the table for the terminal."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from luthier.evaluate.evaluation import Evaluation, read_evaluation
from luthier.reports import Interval, Line, Page, Sample, Tone, interval_plot, line_plot
from luthier.stats.intervals import paired_interval

if TYPE_CHECKING:
    from luthier.recipes.tune import Outcome

TONES: dict[str, Tone] = {"ship": "good", "hold": "bad", "not enough evidence": "unsure"}
SAMPLES = 24
MOST_CHARACTERS = 1200
SMOOTHED = 20
"""Steps over which the smooth line of a long training is a mean."""
PACE = (
    ("train/tokens_per_s", "tokens/s", "Speed"),
    ("train/utilisation", "share of computed positions that are tokens", "Use of the passes"),
)
"""What is drawn below the losses where it was logged: metric, unit, caption."""


class Forgetting(NamedTuple):
    """Plain text before and after tuning."""

    model: str
    perplexity: float
    """exp(nats a token) over all documents."""
    change: str
    """Nats a token against the base, paired by document, with its interval; "" for the base itself."""


def write_run_report(outcome: Outcome, folder: Path, *, title: str, kpi: str, intro: str = "") -> None:
    """Write the page to `outcome.report`."""
    read = {name: {suite: read_evaluation(path) for suite, path in places.items()}
            for name, places in outcome.evaluations.items()}  # fmt: skip
    page = Page(title, intro or "Curated, tuned, evaluated against its base, and judged by the gate.")
    verdict = outcome.verdict
    word = verdict.answer[0].upper() + verdict.answer[1:]
    page.verdict(word, f"{verdict.reasons[0]}. The model that stands: {outcome.standing}.", TONES[verdict.answer])
    _scores(page, outcome, read, kpi)
    _losses(page, folder)
    _clusters(page, read, kpi)
    _ledger(page, folder)
    _forgetting(page, outcome)
    _samples(page, read, kpi)
    page.heading("How to do it again, and how to go on")
    page.facts({
        "run": str(folder), "manifest": str(folder / "manifest.json"),
        "again": "the same command; finished stages are reused",
        "chat": f"luthier serve --model {folder}",
    })  # fmt: skip
    page.write(outcome.report)


def score_rows(outcome: Outcome, kpi: str) -> list[tuple[str, str, str, str, str]]:
    """Rows for a table: suite, model, score, interval, difference to the base."""
    rows = []
    for suite in outcome.evaluations["base"]:
        for name in outcome.evaluations:
            found = read_evaluation(outcome.evaluations[name][suite]).kpis[kpi].estimate
            score = "-" if found is None else f"{found.value:.3f}"
            interval = "" if found is None else f"[{found.low:.3f}, {found.high:.3f}]"
            rows.append((suite, name, score, interval, _difference(outcome, suite, name, kpi)))
    return rows


def forgetting(outcome: Outcome) -> list[Forgetting]:
    """Perplexity on plain text of each model; empty when the recipe names no plain text."""
    return forgetting_between({n: next(iter(places.values())).parent for n, places in outcome.evaluations.items()})


def forgetting_between(folders: Mapping[str, Path]) -> list[Forgetting]:
    """The same by the folders that hold the evaluations of each model, "base" among them."""
    found = {name: _plain_text(folder) for name, folder in folders.items()}
    base = found.get("base")
    rows = []
    for name, measured in found.items():
        if measured is None or base is None:
            continue
        change = ""
        if name != "base":
            per_token = [[n / t for n, t in zip(m["nats"], m["tokens"], strict=True)] for m in (base, measured)]
            d = paired_interval(per_token[0], per_token[1])
            change = f"{d.value:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
        rows.append(Forgetting(name, math.exp(sum(measured["nats"]) / sum(measured["tokens"])), change))
    return rows


def _difference(outcome: Outcome, suite: str, name: str, kpi: str) -> str:
    if name == "base":
        return ""
    from luthier.evaluate.comparison import compare

    found = compare(outcome.evaluations["base"][suite], outcome.evaluations[name][suite]).kpis[kpi].difference
    return "" if found is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _plain_text(folder: Path) -> Mapping[str, Any] | None:
    path = folder / "plain_text.json"
    if not path.is_file():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def _scores(page: Page, outcome: Outcome, read: Mapping[str, Mapping[str, Evaluation]], kpi: str) -> None:
    page.heading(f"Scores ({kpi})")
    rows = []
    for suite in read["base"]:
        for name, by_suite in read.items():
            e = by_suite[suite].kpis[kpi].estimate
            low, high = (e.low, e.high) if e else (None, None)
            rows.append(Interval(f"{suite} {name}", e.value if e else None, low, high))
    page.figure(interval_plot(rows, x_label="mean score, 0 to 1"), "Means with 95 % intervals")
    page.table(
        ["suite", "model", "score", "95 % interval", "difference to the base, paired"], score_rows(outcome, kpi),
        "The base is taken in its best reading: chat or few-shot plain text, as generated or by its likeliest option",
    )  # fmt: skip
    readings = []
    for suite, path in outcome.evaluations["base"].items():
        for reading in json.loads((path / "readings.json").read_text(encoding="utf-8")):
            if reading["kpi"] == kpi:
                mean = "-" if reading["mean"] is None else f"{reading['mean']:.3f}"
                readings.append([suite, reading["name"], mean, "taken" if reading["is_chosen"] else ""])
    page.table(["suite", "reading of the base", "score", ""], readings, "How the base was read")
    checks = [[c.kpi, c.role, c.suite, c.outcome, c.reason] for c in outcome.verdict.checks]
    page.table(["KPI", "role", "suite", "outcome", "why"], checks, "The gate's checks; all must pass to ship")


def _losses(page: Page, folder: Path) -> None:
    """For each training stage: its numbers, the losses over its steps, and how fast it went."""
    page.heading("Training")
    events = _events(folder / "metrics.jsonl")
    for kind, label in (("train", "tuning"), ("prefer", "preference round")):
        steps = [e for e in events if e["kind"] == kind and "train/loss" in e]
        dev = [e for e in events if e["kind"] == f"{kind}_dev" and "train/dev_loss" in e]
        if not steps:
            continue
        page.facts(_training_facts(steps, dev))
        at = [e["step"] for e in steps]
        losses = [e["train/loss"] for e in steps]
        lines = [Line("each step", at, losses)]
        if len(steps) >= 3 * SMOOTHED:
            lines.append(Line(f"mean of {SMOOTHED}", at, _smoothed(losses)))
        if dev:
            lines.append(Line("dev rows", [e["step"] for e in dev], [e["train/dev_loss"] for e in dev]))
        page.figure(line_plot(lines, x_label="step", y_label="loss"), f"Loss of the {label}")
        for name, unit, caption in PACE:
            if any(name in e for e in steps):
                line = Line("each step", at, [e.get(name) for e in steps])
                page.figure(line_plot([line], x_label="step", y_label=unit), f"{caption} during the {label}")


def _training_facts(steps: Sequence[Mapping[str, Any]], dev: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    tokens = [e.get("train/tokens", 0) for e in steps]
    facts: dict[str, object] = {
        "steps": len(steps), "tokens": sum(tokens),
        "loss, first to last step": f"{steps[0]['train/loss']:.4f} -> {steps[-1]['train/loss']:.4f}",
    }  # fmt: skip
    if dev:
        lowest = min(dev, key=lambda e: (e["train/dev_loss"], e["step"]))
        facts["dev loss, last"] = f"{dev[-1]['train/dev_loss']:.4f} at step {dev[-1]['step']:,}"
        facts["dev loss, lowest"] = f"{lowest['train/dev_loss']:.4f} at step {lowest['step']:,}"
    facts["tokens/s, median"] = statistics.median(e.get("train/tokens_per_s", 0.0) for e in steps)
    return facts


def _smoothed(values: Sequence[float]) -> list[float | None]:
    """The mean of each value and those before it, SMOOTHED in all; nothing for the first ones."""
    found: list[float | None] = [None] * (SMOOTHED - 1)
    window = sum(values[: SMOOTHED - 1])
    for number in range(SMOOTHED - 1, len(values)):
        window += values[number]
        found.append(window / SMOOTHED)
        window -= values[number - SMOOTHED + 1]
    return found


def _events(path: Path) -> list[dict[str, Any]]:
    events = []
    with path.open(encoding="utf-8") as file:
        for text in file:
            try:
                events.append(json.loads(text))
            except ValueError:  # the line that was being written when a run was killed
                continue
    return events


def _clusters(page: Page, read: Mapping[str, Mapping[str, Evaluation]], kpi: str) -> None:
    for suite in read["base"]:
        parts = {name: by_suite[suite].summary.get("tasks", {}) for name, by_suite in read.items()}
        tasks = sorted({task for found in parts.values() for task in found})
        rows = []
        for task in tasks:
            row: list[object] = [task]
            for name in read:
                numbers = parts[name].get(task, {}).get(kpi, {})
                row.append(None if numbers.get("value") is None else f"{numbers['value']:.2f}")
            rows.append(row)
        if rows:
            page.heading(f"{suite}: {kpi} per task")
            page.table(["task", *read], rows)


def _ledger(page: Page, folder: Path) -> None:
    path = folder / "curate" / "ledger.json"
    if not path.is_file():
        return
    ledger = json.loads(path.read_text(encoding="utf-8"))
    page.heading("Where every row went")
    rows: list[Sequence[object]] = [["read", "", ledger["read"]], ["kept", "", ledger["kept"]]]
    for end in ("merged", "dropped", "quarantined"):
        rows += [[end, reason, count] for reason, count in ledger[end].items()]
    page.table(["end", "reason", "rows"], rows, f"Details: {folder / 'curate' / 'card.html'}")


def _forgetting(page: Page, outcome: Outcome) -> None:
    found = forgetting(outcome)
    if not found:
        return
    page.heading("What it forgot")
    rows = [[f.model, f"{f.perplexity:.3f}", f.change] for f in found]
    page.table(["model", "perplexity on plain text", "change in nats a token, paired by document"], rows)


def _samples(page: Page, read: Mapping[str, Mapping[str, Evaluation]], kpi: str) -> None:
    page.heading("Answers side by side")
    for suite in read["base"]:
        last = list(read)[-1]
        values = read[last][suite].values(kpi)
        # Worst, best and what lies between: a fixed stride through the items in order of their score.
        order = sorted(values, key=lambda i: (-1.0 if values[i] is None else values[i] or 0.0, i))
        chosen = order[:: max(1, len(order) // SAMPLES)][:SAMPLES]
        samples = []
        for item_id in chosen:
            item = read[last][suite].items[item_id]
            parts = [("asked", _cut("\n".join(m.content for m in item.prompt))),
                     ("wanted", _cut(" | ".join(item.targets) or "-"))]  # fmt: skip
            for name in read:
                texts = [c.text for c in read[name][suite].completions.get(item_id, ())]
                value = read[name][suite].values(kpi).get(item_id)
                parts.append((f"{name} ({'-' if value is None else f'{value:.2f}'})", _cut(" / ".join(texts) or "-")))
            tone = "good" if values[item_id] == 1 else "bad" if values[item_id] == 0 else ""
            samples.append(Sample(item.task or suite, tuple(parts), tone))
        page.samples(samples, f"{suite}: {len(samples)} of {len(order)} items, worst first")


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + f" ... ({len(text):,} characters)"
