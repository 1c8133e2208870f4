"""What deserves a look, on the data card: with rows of everything, what matters in them marked."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from luthier.curate.amounts import counted
from luthier.curate.card.rows import SHOWN_CHARACTERS, answer_of, cut, named, prompt_of
from luthier.curate.comparing import LEAK
from luthier.curate.config import KIND_NAMES
from luthier.curate.counted_texts import RowTexts
from luthier.curate.gathered import Gathered
from luthier.curate.outputs import merged_rows
from luthier.curate.personal import redacted_row
from luthier.privacy import Redaction
from luthier.reports import Page, Sample, bar_plot
from luthier.reports.marks import containing, differing, matching, shortened
from luthier.reports.page import Marked

SHOWN_PER_REASON = 2
SHOWN_SAMPLES = 4
SHOWN_REASONS = 12
SHOWN_CONTEXT = 160
"""Characters shown on either side of what differs between duplicates."""
READ_CHARACTERS = 20_000
"""So much of a row that cannot be used is looked at for personal data, of which less is shown."""
CONTEXT_CHARACTERS = 240
"""Shown before and after a stretch that is marked."""
PLACEHOLDER = re.compile(r"\[(?:" + "|".join(kind.upper() for kind in KIND_NAMES) + r")_[0-9]+\]")
FLAGGED_ELSEWHERE = ("conflicts", "leaks")
"""Steps whose flags are shown in a section of their own."""


def show_findings(
    page: Page, out: Path, ledger: Mapping[str, Any], table: Gathered, texts: RowTexts, redaction: Redaction
) -> None:
    """The sections of everything that was found; `out` is the folder of the outputs.

    Rows that cannot be used were never looked at for personal data: `redaction` takes it out of those that are shown.
    """
    _quarantine(page, out, ledger, redaction)
    _duplicates(page, ledger, table)
    _conflicts(page, out, ledger)
    _leaks(page, ledger, table)
    _personal(page, ledger, table, texts)
    _flags(page, out, ledger)


def _quarantine(page: Page, out: Path, ledger: Mapping[str, Any], redaction: Redaction) -> None:
    reasons: Mapping[str, int] = ledger["quarantined"]
    if not reasons:
        return
    page.heading("Rows that cannot be used")
    page.text("All are in quarantine.jsonl, each with its fix. Mend the text in `raw` in a copy and feed that copy to "
              "`luthier curate`, or mend the source.")  # fmt: skip
    if len(reasons) > 1:
        page.figure(bar_plot(list(reasons), list(reasons.values()), x_label="rows"))
    found: dict[str, list[Sample]] = {reason: [] for reason in list(reasons)[:SHOWN_REASONS]}
    for entry in _lines(out / "quarantine.jsonl"):
        samples = found.get(entry["reason"])
        if samples is not None and len(samples) < SHOWN_PER_REASON:
            samples.append(_faulty(entry, redaction))
        if all(len(some) >= min(SHOWN_PER_REASON, reasons[reason]) for reason, some in found.items()):
            break
    for reason, samples in found.items():
        page.subheading(f"{reason}: {reasons[reason]:,}")
        _some(page, samples, open_ones=1)


def _faulty(entry: Mapping[str, Any], redaction: Redaction) -> Sample:
    note = ""
    raw = entry.get("raw") or ""
    if "raw_base64" in entry:
        note, raw = "bytes that are no text: ", base64.b64decode(entry["raw_base64"]).decode("utf-8", "replace")
    about = [entry[name] for name in ("found", "expected", "fix")]
    shown, (found, expected, fix) = redacted_row(raw[:READ_CHARACTERS], about, redaction)
    if len(shown) > SHOWN_CHARACTERS:
        shown = f"{shown[:SHOWN_CHARACTERS]} ... ({len(raw):,} characters)"
    finding = f"found {found}\nexpected {expected}\n\nFix: {fix}"
    return Sample(named(entry["where"]), (("problem", finding), ("row", note + shown)), "bad")


def _duplicates(page: Page, ledger: Mapping[str, Any], table: Gathered) -> None:
    merged: Mapping[str, int] = ledger["merged"]
    if not ledger["records"].get("merged", 0):
        return
    page.heading("Duplicates")
    said = "; ".join(f'{count:,} by the rule "{rule}"' for rule, count in merged.items())
    page.text(f"{counted(sum(merged.values()), 'row')} went into another row that says the same: {said}. merged.jsonl "
              "names each and the row that stays. What differs is marked.")  # fmt: skip
    shown: dict[str, list[Sample]] = {rule: [] for rule in merged}
    end = table.end_of()
    for entry in merged_rows(table):
        samples = shown.setdefault(entry.line["rule"], [])
        if len(samples) < SHOWN_SAMPLES:
            samples.append(_pair(table, entry.row, int(end[entry.row]), entry.line["similarity"]))
        if all(len(some) >= min(SHOWN_SAMPLES, merged.get(rule, 0)) for rule, some in shown.items()):
            break
    for rule, samples in shown.items():
        if samples:
            page.subheading(f"{rule}: {merged.get(rule, 0):,}")
            _some(page, samples)


def _pair(table: Gathered, row: int, into: int, similarity: float) -> Sample:
    """A row that went and the one that stays, side by side."""
    texts = [f"{prompt_of(record)}\n\n\u2192 {answer_of(record)}" for record in map(table.record, (row, into))]
    pair = differing(*texts)
    title = f"{named(table.where(row))} went into {named(table.where(into))} (similarity {similarity:.2f})"
    parts = tuple((name, shortened(side, context=SHOWN_CONTEXT))
                  for name, side in zip(("went", "stays"), pair, strict=True))  # fmt: skip
    return Sample(title, parts)


def _conflicts(page: Page, out: Path, ledger: Mapping[str, Any]) -> None:
    count, preferences = ledger["conflicts"]["prompts"], ledger["conflicts"]["preferences"]
    if not count and not preferences:
        return
    page.heading("Prompts with more than one answer")
    page.text(f"{counted(count, 'prompt has', 'prompts have')} different answers in different rows. All are kept: they "
              "may be right, as in open questions, or contradict each other. conflicts.jsonl has all.")  # fmt: skip
    if preferences:
        said = counted(preferences, "preference is", "preferences are")
        page.text(f"{said} contradicted: another row prefers the other answer.")
    _some(page, [_conflict(entry["rows"]) for entry in islice(_lines(out / "conflicts.jsonl"), SHOWN_SAMPLES)])


def _conflict(rows: Sequence[Mapping[str, Any]]) -> Sample:
    """The answers to one prompt; the words in which the second differs from the first are marked."""
    title = cut(rows[0]["prompt"], 160)
    answers = [cut(row["answer"], 300) for row in rows[:3]]
    pair = differing(answers[0], answers[1])
    texts: list[str | Marked] = [pair.left, pair.right, *answers[2:]]
    labels = [named(row["where"]) for row in rows[:3]]
    more = f" (and {counted(len(rows) - 3, 'more answer')})" if len(rows) > 3 else ""
    return Sample(f"{title}{more}", tuple(zip(labels, texts, strict=True)), "unsure")


def _leaks(page: Page, ledger: Mapping[str, Any], table: Gathered) -> None:
    if not ledger["leaks"]:
        return
    page.heading("Questions of evaluations")
    page.table(
        ["evaluation", "questions", "found in rows", "share", "contaminated", "rows"],
        [(named(file), found["questions"], found["found"], f"{found['share']:.2%}", found["contaminated"],
          found["rows"]) for file, found in ledger["leaks"].items()],
        caption="An evaluation is contaminated if more than 2 % of its questions were found. leaks.jsonl has all.",
    )  # fmt: skip
    found = (
        (int(start) + number, match)
        for start, shard in zip(table.starts, table.shards, strict=False)
        for number, match in shard.lines("leaks")
        if table.is_kept[int(start) + number] or table.rule_of(int(start) + number) == LEAK
    )
    _some(page, [_leak(table, row, match) for row, match in islice(found, SHOWN_SAMPLES)])


def _leak(table: Gathered, row: int, match: Mapping[str, Any]) -> Sample:
    record = table.record(row)
    prompt = prompt_of(record)
    at = max(0, prompt.find(match["text"].split("\n")[0][:40]))
    start = max(0, at - CONTEXT_CHARACTERS)
    shown = prompt[start : at + len(match["text"]) + CONTEXT_CHARACTERS]
    title = f"{named(table.where(row))} holds {match['share']:.0%} of {named(match['name'])}"
    parts = (("what the row asks", containing(("... " if start else "") + shown, match["text"])),
             ("its answer", cut(answer_of(record), 300)))  # fmt: skip
    return Sample(title, parts, "bad")


def _personal(page: Page, ledger: Mapping[str, Any], table: Gathered, texts: RowTexts) -> None:
    found: Mapping[str, int] = ledger["personal"]["found"]
    if not found:
        return
    page.heading("Personal data")
    page.text(f"{counted(ledger['personal']['rows'], 'row')} held personal data. Where it was replaced, one value has "
              "one placeholder throughout a conversation.")  # fmt: skip
    page.figure(bar_plot([kind.replace("_", " ") for kind in found], list(found.values()), x_label="times found"))
    samples = []
    for text in texts.texts:
        if PLACEHOLDER.search(text.prompt) or PLACEHOLDER.search(text.answer):
            parts = tuple((name, matching(_around(said), PLACEHOLDER))
                          for name, said in (("prompt", text.prompt), ("answer", text.answer)))  # fmt: skip
            samples.append(Sample(named(table.where(text.row)), parts))
        if len(samples) == SHOWN_SAMPLES:
            break
    if samples:
        _some(page, samples)


def _around(text: str) -> str:
    """The text near its first placeholder."""
    found = PLACEHOLDER.search(text)
    start = max(0, found.start() - CONTEXT_CHARACTERS) if found else 0
    return ("... " if start else "") + cut(text[start:], 2 * CONTEXT_CHARACTERS)


def _flags(page: Page, out: Path, ledger: Mapping[str, Any]) -> None:
    if not sum(ledger["flagged"].values()):
        return
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for flag in _lines(out / "flagged.jsonl"):
        key = (flag["step"], flag["reason"])
        counts[key] += 1
        if key[0] not in FLAGGED_ELSEWHERE and counts[key] <= SHOWN_SAMPLES:
            examples.setdefault(key, []).append(flag)
    page.heading("Flagged for a person")
    page.text("These rows are kept. flagged.jsonl has all; what you decide goes into the file of `curate.decisions` "
              "and is done at each curation from then on.")  # fmt: skip
    page.table(["step", "reason", "flags"], [(*key, count) for key, count in counts.most_common()])
    shown = [(flag["step"], named(flag["where"]), flag["reason"], cut(flag["detail"], 200))
             for key, _ in counts.most_common(SHOWN_REASONS) for flag in examples.get(key, [])]  # fmt: skip
    if shown:
        page.table(["step", "row", "reason", "detail"], shown)


def _some(page: Page, samples: Sequence[Sample], *, open_ones: int = 2) -> None:
    """The first samples, and the rest for readers who ask for more."""
    page.samples(samples[:open_ones])
    if samples[open_ones:]:
        with page.folded(f"{len(samples) - open_ones} more"):
            page.samples(samples[open_ones:])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)
