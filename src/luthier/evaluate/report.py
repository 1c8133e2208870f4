"""report.html of an evaluation: the verdict first, then KPIs, tasks, answers worst first, and how to do it again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.evaluate.bias.audit import read_audit
from luthier.evaluate.bias.section import add_bias
from luthier.evaluate.comparison import Comparison, compare_evaluations
from luthier.evaluate.errors.analysis import ErrorAnalysis
from luthier.evaluate.errors.section import add_errors
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.gate import Verdict
from luthier.evaluate.kpis import Kpi, sliced
from luthier.graders import GRADERS, RANK_KPIS, auto
from luthier.records import Example, Grader, conversation_text
from luthier.reports.page import Page, Sample, Tone
from luthier.reports.plots import Interval, interval_plot

NUM_SAMPLES = 40
NUM_REASONS = 10
MOST_CHARACTERS = 2_000
"""Of one text in a sample; the files hold the rest."""

DECIDING = {"ship": "pass", "hold": "fail", "not enough evidence": "unsure"}
"""The outcome of the checks that brought each answer about."""
TONES: dict[str, Tone] = {"ship": "good", "hold": "bad", "not enough evidence": "unsure"}


def write_report(
    path: Path,
    evaluation: Evaluation,
    *,
    command: str,
    base: Evaluation | None = None,
    verdict: Verdict | None = None,
    errors: ErrorAnalysis | None = None,
) -> None:
    """Write the page. With `base`, both models stand side by side; `command` is what makes this evaluation again."""
    comparison = compare_evaluations(base, evaluation) if base is not None else None
    page = Page(f"Evaluation of {evaluation.name}", f"on {evaluation.suite_name}, {len(evaluation.items)} items")
    kpi = verdict.checks[0].kpi if verdict else next(iter(evaluation.grades))
    _begin(page, evaluation, verdict, kpi)
    _kpis(page, evaluation, base)
    if comparison is not None:
        _differences(page, comparison)
    for by in ("task", "cluster"):
        _slices(page, evaluation, base, kpi, by=by)
    if errors is not None:
        add_errors(page, errors)
    add_bias(page, read_audit(evaluation.folder))
    _failures(page, evaluation)
    _samples(page, evaluation, base, kpi)
    _reproduce(page, evaluation, command)
    page.write(path)


def _begin(page: Page, evaluation: Evaluation, verdict: Verdict | None, kpi: str) -> None:
    if verdict is None:
        page.text(f"{kpi}: {evaluation.kpis[kpi].estimate}. No gate was asked, so this page gives no verdict.")
        return
    needed = f" About {verdict.needed_items:,} more items are needed." if verdict.needed_items else ""
    word = verdict.answer[0].upper() + verdict.answer[1:]
    deciding = [c.reason for c in verdict.checks if c.outcome == DECIDING[verdict.answer]]
    page.verdict(
        word, " ".join(f"{reason[0].upper()}{reason[1:]}." for reason in deciding) + needed, TONES[verdict.answer]
    )
    page.table(
        ["KPI", "role", "suite", "difference", "low", "high", "must be above", "outcome"],
        [(c.kpi, c.role, c.suite, c.difference and c.difference.value, c.difference and c.difference.low,
          c.difference and c.difference.high, c.bound, c.outcome) for c in verdict.checks],
        f"Every check of the gate, with intervals of {100 * (1 - verdict.alpha):g} %; all must pass to ship",
    )  # fmt: skip


def _kpis(page: Page, evaluation: Evaluation, base: Evaluation | None) -> None:
    page.heading("KPIs")
    shown = [("", evaluation)] if base is None else [("base", base), ("new", evaluation)]
    pairs = [(name, label, side.kpis[name]) for name in evaluation.grades for label, side in shown
             if name in side.grades]  # fmt: skip
    rows = [_interval(f"{name} {label}".strip(), kpi) for name, label, kpi in pairs]
    page.figure(interval_plot(rows, x_label="score, 0 to 1"), "Means with 95 % intervals")
    page.table(
        ["KPI", "model", "mean", "low", "high", "n", "undecided", "errors", "interval"],
        [(name, label or "this", *_numbers(kpi), kpi.undecided, kpi.errors, kpi.estimate.method if kpi.estimate else "")
         for name, label, kpi in pairs],
        "Undecided: the grader could not tell. Errors: it failed. Both are left out of the mean",
    )  # fmt: skip
    page.facts({name: meaning for name in evaluation.grades if (meaning := _meaning(name))})
    for name in evaluation.grades:
        _instruction_level(page, name, evaluation.summary["kpis"][name].get("instruction_level"))


def _instruction_level(page: Page, kpi: str, level: Mapping[str, Any] | None) -> None:
    """Accuracy with the instructions of prompts as items, where a KPI graded some."""
    if level is not None:
        shown = {"all": level["overall"], **level["by_id"]}
        page.table(
            ["instruction", "followed", "low", "high", "n"],
            [(name, found["value"], found["low"], found["high"], found["n"]) for name, found in shown.items()],
            f"{kpi}, instruction by instruction; intervals are clustered by prompt",
        )


def _differences(page: Page, comparison: Comparison) -> None:
    page.heading("Against the base, item by item")
    page.text(f"Base: {comparison.a_name}. New: {comparison.b_name}. {comparison.num_common} items in common, "
              f"{comparison.only_in_a} only in the base's, {comparison.only_in_b} only in the new one's.")  # fmt: skip
    rows = []
    for kpi in comparison.kpis.values():
        d = kpi.difference
        rows.append(Interval(kpi.kpi, d.value if d else None, d.low if d else None, d.high if d else None))
    page.figure(interval_plot(rows, x_label="new - base", reference=0.0), "Above zero the new model is better")
    page.table(
        ["KPI", "base", "new", "better", "worse", "same", "McNemar p", "interval"],
        [(k.kpi, k.a, k.b, k.better, k.worse, len(k.pairs) - k.better - k.worse, k.mcnemar_p,
          k.difference.method if k.difference else "")
         for k in comparison.kpis.values()],
    )  # fmt: skip


def _slices(page: Page, evaluation: Evaluation, base: Evaluation | None, kpi: str, *, by: str) -> None:
    items = list(evaluation.items.values())
    before: dict[str, dict[str, Kpi]] = {}
    if base is not None and kpi in base.grades:
        # Only items that both have a value for: else a change could come from the items.
        old, new = base.values(kpi), evaluation.values(kpi)
        items = [item for item in items if new.get(item.id) is not None and old.get(item.id) is not None]
        before = sliced(items, {kpi: base.grades[kpi]}, by=by)
    parts = sliced(items, {kpi: evaluation.grades[kpi]}, by=by)
    if len(parts) < 2:
        return
    page.heading(f"{kpi} per {by}")
    # The worst first: where to look.
    order = sorted(parts, key=lambda part: (parts[part][kpi].value is None, parts[part][kpi].value or 0.0))
    rows = []
    for part in order:
        mean = parts[part][kpi].value
        was = before[part][kpi].value if before else None
        change = mean - was if mean is not None and was is not None else None
        rows.append((part, *([was] if before else []), *_numbers(parts[part][kpi]), *([change] if before else [])))
    extra = (["base"], ["change"]) if before else ([], [])
    page.table(
        [by, *extra[0], "mean", "low", "high", "n", *extra[1]],
        rows,
        f"Worst first. With {len(rows)} intervals of 95 %, about {0.05 * len(rows):.1f} miss by chance",
    )


def _failures(page: Page, evaluation: Evaluation) -> None:
    """Why graders failed or could not tell, most frequent first."""
    reasons = Counter(
        (kpi, "error" if grade.is_error else "undecided", grade.reason)
        for kpi, by_item in evaluation.grades.items()
        for grades in by_item.values()
        for grade in grades
        if grade.value is None
    )
    if reasons:
        page.heading("What could not be graded")
        shown = reasons.most_common(NUM_REASONS)
        rest = sum(reasons.values()) - sum(count for _, count in shown)
        note = f"{rest} more in grades.jsonl" if rest else ""
        page.table(["KPI", "kind", "reason", "answers"], [(*reason, count) for reason, count in shown], note)


def _samples(page: Page, evaluation: Evaluation, base: Evaluation | None, kpi: str) -> None:
    page.heading("Answers, worst first")
    new = evaluation.values(kpi)
    old = base.values(kpi) if base is not None and kpi in base.grades else {}

    def badness(item_id: str) -> tuple[float, float]:
        value, before = new[item_id], old.get(item_id)
        change = value - before if value is not None and before is not None else 0.0
        return change, value if value is not None else 1.0

    order = sorted(new, key=badness)[:NUM_SAMPLES]
    page.samples(
        [_sample(evaluation, base, kpi, item_id, (old.get(item_id), new[item_id])) for item_id in order],
        f"{len(order)} of {len(new)} items, {'what got worse first' if old else 'lowest score first'}; "
        "completions.jsonl and grades.jsonl hold them all",
    )


def _sample(
    evaluation: Evaluation, base: Evaluation | None, kpi: str, item_id: str, values: tuple[float | None, float | None]
) -> Sample:
    item = evaluation.items[item_id]
    old, new = values
    wanted = " | ".join(item.targets) or "(no accepted answer)"
    parts = [("asked", _asked(item)), ("wanted", _cut(wanted))]
    tone = ""
    if base is not None:
        parts.append(("base " + _score(old), _said(base, item_id, kpi)))
        if old is not None and new is not None and old != new:
            tone = "good" if new > old else "bad"
    elif new is not None:
        tone = "good" if new == 1 else "bad" if new == 0 else "unsure"
    parts.append((("new " if base is not None else "said ") + _score(new), _said(evaluation, item_id, kpi)))
    return Sample(" | ".join(filter(None, (item.task, item.source, item_id))), tuple(parts), tone)


def _reproduce(page: Page, evaluation: Evaluation, command: str) -> None:
    page.heading("How to do it again")
    page.text(command)
    summary = evaluation.summary
    page.facts(
        {
            "model": evaluation.name,
            "model digest": evaluation.model_id,
            "suite": f"{evaluation.suite_name}, digest {summary['suite']['digest']}",
            **{f"sampling: {name}": json.dumps(value) for name, value in summary["sampling"].items()},
            **{f"generation: {name}": value for name, value in summary.get("generation", {}).items()},
            "machine": ", ".join(f"{name} {value}" for name, value in summary["machine"].items()),
            "libraries": ", ".join(f"{name} {value}" for name, value in summary["libraries"].items()),
            "written": summary["written"],
        }
    )


def _interval(label: str, kpi: Kpi) -> Interval:
    e = kpi.estimate
    return Interval(label, e.value if e else None, e.low if e else None, e.high if e else None)


def _numbers(kpi: Kpi) -> tuple[float | None, float | None, float | None, int]:
    e = kpi.estimate
    return (e.value, e.low, e.high, e.n) if e else (None, None, None, 0)


def _meaning(kpi: str) -> str:
    """What a KPI means, in the words of its grader."""
    if kpi in RANK_KPIS:
        by = "per byte" if kpi == "rank_per_byte" else "summed over its tokens"
        return f"1 when the accepted option is the likeliest by log-likelihood {by}, else 0."
    functions: dict[str, Grader] = {**GRADERS, "auto": auto}
    doc = functions[kpi].__doc__ if kpi in functions else None
    return (doc or "").partition("\n")[0]


def _asked(item: Example) -> str:
    if len(item.prompt) == 1 and item.prompt[0].role == "user":
        return _cut(item.prompt[0].content)
    return _cut(conversation_text(item.prompt))


def _said(evaluation: Evaluation, item_id: str, kpi: str) -> str:
    """What the model wrote (or its likeliest option), and why it was graded so."""
    texts = [completion.text or "(nothing)" for completion in evaluation.completions.get(item_id, ())]
    reasons = _reasons(evaluation, item_id, kpi)
    return "\n---\n".join(map(_cut, texts)) + (f"\n\n[{'; '.join(reasons)}]" if reasons else "")


def _reasons(evaluation: Evaluation, item_id: str, kpi: str) -> Sequence[str]:
    grades = evaluation.grades.get(kpi, {}).get(item_id, ())
    return list(dict.fromkeys(grade.reason for grade in grades if grade.reason))


def _score(value: float | None) -> str:
    return "(no score)" if value is None else f"({value:.2f})"


def _cut(text: str) -> str:
    hidden = len(text) - MOST_CHARACTERS
    return text if hidden <= 0 else f"{text[:MOST_CHARACTERS]}\n... {hidden:,} more characters"
