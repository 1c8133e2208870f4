"""A study in words: the names of its arms, its verdicts, and the table that the terminal shows at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from luthier.recipes.study_report.arms import ALL, RUNG_NAMES
from luthier.recipes.study_report.readings import BEST, FEW, OWN, ZERO
from luthier.recipes.studying.measures import FEW_SHOT, FEW_SHOT_OWN
from luthier.recipes.studying.rows import RUNGS
from luthier.reports import Tone

Json = Mapping[str, Any]

ALPHA = 0.05
RUNG_MEANINGS = {
    "phrasings": "trained tasks, in templates that were never trained",
    "tasks": "tasks that were never trained, of clusters that were",
    "clusters": "tasks of clusters that were never trained",
}
WORDINGS = {"none": "without instructions", "name": "with task names for instructions",
            "definition": "with definitions for instructions"}  # fmt: skip
WAYS = {"full": "every weight trained"}
"""Methods of a transfer that are not named after an adapter."""
OVERLAPS = {"rouge_l": "ROUGE-L", "chrf": "chrF"}
"""Graders whose grade is no share of right answers."""
BASE_NAMES = {ZERO: "base, better zero-shot reading", FEW: "base, few-shot", OWN: "base, few-shot of the same task"}
READING_NAMES = {"chat": "chat template", "plain": "plain text", FEW_SHOT: "plain text, few-shot",
                 FEW_SHOT_OWN: "plain text, few-shot of the same task"}  # fmt: skip
"""The readings of a base, as it was asked."""


class Said(NamedTuple):
    """One verdict."""

    word: str
    text: str
    tone: Tone


def arm_name(study: Json, group: str) -> str:
    """An arm in words.

    >>> arm_name({"arms": {"clusters-4": {"kind": "clusters", "clusters": [4, 4]}}}, "clusters-4")
    '4 clusters'
    """
    about = study["arms"][group]
    kind = about["kind"]
    if kind == "clusters":
        every = "all " if group == ALL else ""
        return f"{every}{_count(about['clusters'], 'cluster')}"
    if kind == "base":
        return "base" if group == "base" else f"base {_last(about['base'])}"
    if kind == "tasks":
        return _count(about["tasks"], "task")
    if kind == "templates":
        return _count([about["templates"]] * 2, "plain template") + " a task"
    if kind == "wording":
        return WORDINGS.get(about.get("wording", ""), group)
    if kind == "inversion":
        return "with inverted templates" if about.get("inverted") else "without inverted templates"
    if kind == "cap":
        return "without the mixture's cap" if about.get("cap") is None else f"cap of {about['cap']:,} rows"
    if kind == "size":
        return f"tuned {_last(about['base'])}"
    if kind == "specialist":
        return f"only {about.get('task') or group}"
    if kind == "transfer":
        start = "the tuned model" if about.get("start") == "tuned" else "the base"
        examples = _count([about["examples"]] * 2, "example")
        return f"{examples} of {about['task']}, {way_name(about['method'])}, from {start}"
    return group


def way_name(method: str) -> str:
    """How the weights of a transfer are trained.

    >>> way_name("full"), way_name("lora")
    ('every weight trained', 'trained by lora')
    """
    return WAYS.get(method, f"trained by {method}")


def number(found: Json | None, *, is_signed: bool = False) -> str:
    """An estimate with its interval, as one text."""
    if found is None or found.get("value") is None:
        return "-"
    sign = "+" if is_signed else ""
    text = f"{found['value']:{sign}.3f}"
    if found.get("low") is None or found.get("high") is None:
        return text
    return f"{text} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"


def score_words(study: Json) -> str:
    """What a score is, for an axis or above a table.

    >>> score_words({"graders": ["rouge_l"]}), score_words({"graders": ["choice", "exact"]})
    ('ROUGE-L, 0 to 1', 'right answers above chance, 0 to 1')
    """
    names = [OVERLAPS.get(grader, "right answers above chance") for grader in study["graders"]]
    return f"{' or '.join(dict.fromkeys(names)) or 'right answers above chance'}, 0 to 1"


def score_of(study: Json, arm: str | None, rung: str, metric: str = "generated", *, reading: str = ZERO) -> Json | None:
    """The score of an arm; that of a base in its better zero-shot reading, or its few-shot one."""
    wanted = (arm, rung, metric)
    return next((s for s in study["scores"] if (s["arm"], s["rung"], s["metric"]) == wanted
                 and s["reading"] in (None, reading)), None)  # fmt: skip


def named_scores(study: Json) -> Iterator[tuple[str, str, str]]:
    """Group, reading and name of every row of a table of scores: a base has one for each kind of reading."""
    for group, about in study["arms"].items():
        name = arm_name(study, group)
        for reading in (ZERO, FEW, OWN) if about["kind"] == "base" else (ZERO,):
            words = BASE_NAMES[reading].removeprefix("base")
            yield group, reading, f"nothing: {name}{words}" if about["kind"] == "base" else name


def difference_of(study: Json, arm: str | None, rung: str, role: str, metric: str = "generated") -> Json | None:
    """The paired difference of an arm to what has the role.

    Roles: "base" (zero-shot), "base, few-shot", "base, few-shot of the same task", "base, best of all readings",
    "fewest clusters", "all clusters".
    """
    wanted = (arm, rung, role, metric)
    return next((d for d in study["differences"] if (d["arm"], d["rung"], d["role"], d["metric"]) == wanted), None)


def verdicts(study: Json) -> list[Said]:
    """What the study comes to, the test that was named before the run first."""
    found = [_slope(study)]
    if against := difference_of(study, study["main"], "clusters", "base"):
        found.append(_against_base(study, against))
    if against := difference_of(study, study["main"], "clusters", "base, few-shot"):
        found.append(_against_few_shot(study, against))
    if overlap := _overlap(study):
        found.append(overlap)
    return found


def closing_lines(study: Json, page: Path) -> list[str]:
    """The end of the run, for the terminal: a table of arms by rung, then the verdicts, then what is missing."""
    lines = list(_table(study))
    for said in verdicts(study):
        lines += ["", f"{said.word}.", f"  {said.text}"]
    if study["missing"]:
        lines += ["", "Missing:", *(f"  {text}" for text in study["missing"])]
    return [*lines, "", f"report: {page}"]


def _table(study: Json) -> Iterator[str]:
    rows = []
    for group, reading, label in named_scores(study):
        scores = [score_of(study, group, rung, reading=reading) for rung in RUNGS]
        if study["arms"][group]["kind"] in ("transfer", "specialist") or not any(scores):
            continue
        near = ["-" if s is None else f"{s['value']:.3f}" for s in scores[:-1]]
        gain = number(difference_of(study, group, "clusters", "base"), is_signed=True)
        rows.append([label, *near, number(scores[-1]), "" if gain == "-" else gain])
    if not rows:
        yield "No arm of the study is finished yet."
        return
    head = ["trained on", *(RUNG_NAMES[rung] for rung in RUNGS), "new clusters, less the base, zero-shot"]
    blocks = len(study["blocks"])
    words = score_words(study)
    yield f"{words[0].upper()}{words[1:]}, mean over tasks; {blocks} block{'s' if blocks > 1 else ''}; [95 %]"
    yield ""
    yield from _aligned([head, *rows])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _slope(study: Json) -> Said:
    slope = study["slope"]
    if slope is None and not study["varies_clusters"]:
        return Said("The named test is not part of this study", "It needs arms of several numbers of clusters.",
                    "unsure")  # fmt: skip
    if slope is None:
        return Said("The named test cannot be done yet", "It needs two numbers of trained clusters in one block.",
                    "unsure")  # fmt: skip
    blocks = len(slope["by_block"])
    text = (
        f"On clusters that were never trained, the score changes by {number(slope, is_signed=True)} with each doubling "
        f"of the trained clusters. Named before the run: one-sided permutation test within {blocks} "
        f"block{'s' if blocks > 1 else ''}, p = {slope['p']:.4f} ({slope['draws']:,} shuffles)."
    )
    if slope["smallest_p"] > ALPHA / 2:
        text += f" With so few arms p cannot be below {slope['smallest_p']:.3f}."
    if slope["p"] <= ALPHA and slope["low"] is not None and slope["low"] <= 0:
        text += " The interval, over tasks, holds zero: other tasks might not show it."
    if slope["p"] <= ALPHA and slope["value"] > 0:
        return Said("More clusters, better on clusters that are held out", text, "good")
    if slope["high"] is not None and slope["high"] < 0:
        return Said("More clusters, worse on clusters that are held out", text, "bad")
    return Said("Whether more clusters help cannot be told from this study", text, "unsure")


def _against_base(study: Json, against: Json) -> Said:
    ours, base = score_of(study, study["main"], "clusters"), score_of(study, against["against"], "clusters")
    strict = difference_of(study, study["main"], "clusters", "base, best of all readings")
    text = (
        f"On {against['tasks']} tasks of clusters that were never trained, tuning on {arm_name(study, study['main'])} "
        f"scores {number(ours)}, the base in its better zero-shot reading {number(base)}: "
        f"{number(against, is_signed=True)}, paired item by item. Both are asked without examples."
    )
    if strict is not None:
        asked = [r for r in study["readings"] if (r["base"], r["rung"]) == (against["against"], "clusters")]
        names = "; ".join(dict.fromkeys(READING_NAMES[r["reading"]] for r in asked))
        best = next(READING_NAMES[r["reading"]] for r in asked if BEST in r["roles"])
        text += (
            f" Against the best of all its readings ({names}), likeliest options included, which is that in {best}: "
            f"{number(strict, is_signed=True)}."
        )
    if against["low"] is None:
        return Said("Whether tuning helps on held-out clusters cannot be told from so few tasks", text, "unsure")
    if against["low"] > 0:
        return Said("Tuning helps on clusters that are held out", text, "good")
    if against["high"] < 0:
        return Said("Tuning hurts on clusters that are held out", text, "bad")
    return Said("Whether tuning helps on held-out clusters cannot be told from this study", text, "unsure")


def _against_few_shot(study: Json, against: Json) -> Said:
    """Never left out beside the verdict above: what a good prompt alone would do."""
    ours = score_of(study, study["main"], "clusters")
    base = score_of(study, against["against"], "clusters", reading=FEW)
    text = (
        f"With solved examples of trained tasks in its prompt the base scores {number(base)}, the tuned model without "
        f"any {number(ours)}: {number(against, is_signed=True)}, paired item by item."
    )
    own = difference_of(study, study["main"], "clusters", "base, few-shot of the same task")
    if own is not None:
        best = score_of(study, against["against"], "clusters", reading=OWN)
        text += (f" With solved examples of the very task, which tuning never had, the base scores {number(best)}: "
                 f"{number(own, is_signed=True)}.")  # fmt: skip
    if against["low"] is None:
        return Said("Whether tuning does more than examples of other tasks cannot be told from so few tasks", text,
                    "unsure")  # fmt: skip
    if against["low"] > 0:
        return Said("Tuning does more than examples of other tasks in the base's prompt", text, "good")
    if against["high"] < 0:
        return Said("Examples of other tasks in the base's prompt do more than tuning", text, "bad")
    return Said("Whether tuning does more than examples of other tasks cannot be told from this study", text, "unsure")


def _overlap(study: Json) -> Said | None:
    """A verdict only where something that is held out was trained on."""
    shared = {kind: count for kind, count in study["certificate"].items() if kind != "dropped" and count}
    if not shared:
        return None
    counts = ", ".join(f"{kind} {count:,}" for kind, count in shared.items())
    text = f"{counts}. The scores are not those of new items."
    return Said("Training rows overlap items that are held out", text, "bad")


def _count(numbers: Sequence[int], noun: str) -> str:
    low, high = numbers
    amount = f"{low}" if low == high else f"{low} to {high}"
    return f"{amount} {noun}{'' if amount == '1' else 's'}"


def _last(path: Any) -> str:
    return Path(str(path)).name
