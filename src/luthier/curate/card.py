"""The data card: what the files held, where each row went, and what deserves a look."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from luthier.curate.comparing import Comparison
from luthier.curate.gathered import Gathered
from luthier.curate.ledger import NOT_STATED
from luthier.curate.outputs import GOES_TO, PREFERENCES, merged_rows
from luthier.records import Example, Preference, conversation_text
from luthier.records.jsonl import from_json
from luthier.reports import Page, Sample, histogram

SHOWN_FILES = 4
SHOWN_SAMPLES = 5
SAMPLES_PER_REASON = 2
SHOWN_DUPLICATES = 10
SHOWN_LEAKS = 10
SHOWN_CHARACTERS = 600
NUM_BINS = 30
TRIMMED_SHARE = 0.99
"""A histogram ends at this quantile, so that one very long row does not press all others into one bar."""


def write_card(path: Path, ledger: Mapping[str, Any], table: Gathered, goes_to: np.ndarray, work: Comparison) -> None:
    """Write the card as one page of HTML; `goes_to` is a number in GOES_TO of each record."""
    files = [Path(file).name for file in ledger["files"]]
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    page = Page("Data card", ", ".join(files[:SHOWN_FILES]) + more)
    preference = GOES_TO.index(PREFERENCES)
    _verdict(page, ledger)
    _flow(page, ledger)
    _files(page, ledger, table, goes_to < len(GOES_TO))
    _lengths(page, table, goes_to < preference)
    _quarantine(page, ledger, table)
    _conflicts(page, ledger, work)
    _leaks(page, ledger, work)
    _duplicates(page, ledger, table)
    _samples(page, table, [np.flatnonzero(goes_to < preference), np.flatnonzero(goes_to == preference)])
    page.write(path)


def _verdict(page: Page, ledger: Mapping[str, Any]) -> None:
    read, kept = ledger["read"], ledger["kept"]
    quarantined = sum(ledger["quarantined"].values())
    leaks = sum(ledger["certificate"]["prompts"].values())
    share = f"{kept:,} of {read:,} rows are kept"
    if leaks:
        page.verdict("leak", f"{share}; {leaks:,} prompts are both in held_out and in what is trained on.", "bad")
    elif quarantined:
        page.verdict("look", f"{share}; {quarantined:,} cannot be used as they are. Each is listed with its fix.",
                     "unsure")  # fmt: skip
    else:
        page.verdict("clean", f"{share}; none needs to be mended.", "good")


def _flow(page: Page, ledger: Mapping[str, Any]) -> None:
    page.heading("Where each row went")
    ways = [("kept", "", ledger["kept"])]
    for way in ("merged", "dropped", "quarantined"):
        ways += [(way, reason, count) for reason, count in ledger[way].items()]
    rows = [(way, reason, count, f"{count / max(1, ledger['read']):.2%}") for way, reason, count in ways]
    page.table(["way", "reason", "rows", "share"], [*rows, ("read", "", ledger["read"], f"{1:.0%}")],
               caption="Counted in input rows. The ways add up to the rows read.")  # fmt: skip
    page.table(["part", "rows"], [*ledger["splits"].items(), ("preferences", ledger["preferences"])],
               caption="Kept rows. train and dev are for training, held_out for evaluation only.")  # fmt: skip
    checks = ledger["certificate"]
    page.table(["between", "prompts in both", "links in both", "near-duplicates in both"],
               [(pair, *(checks[tie][pair] for tie in ("prompts", "links", "near"))) for pair in checks["near"]],
               caption="The split's certificate, counted anew from the rows as written.")  # fmt: skip


def _files(page: Page, ledger: Mapping[str, Any], table: Gathered, is_written: np.ndarray) -> None:
    page.heading("Files, sources and licences")
    shapes = [(file, shape, count) for file, shapes in ledger["files"].items() for shape, count in shapes.items()]
    page.table(["file", "shape", "rows read"], shapes)
    rows = []
    for number, file in enumerate(table.files):
        counts = table.named("licence", is_written, file=number)
        rows += [(str(file), name or NOT_STATED, count) for name, count in sorted(counts.items())]
    page.table(["file", "licence", "records kept"], rows)
    if ledger["languages"]:
        names = [(name or NOT_STATED, count) for name, count in ledger["languages"].items()]
        page.table(["language", "records kept"], names)
    lost = [(file, "characters lost before (U+FFFD), not mended", count)
            for file, count in ledger["lost_characters"].items()]  # fmt: skip
    found = [("all files", repair, count) for repair, count in ledger["repaired"].items()]
    found += [("all files", f"personal data: {kind}", count) for kind, count in ledger["personal"]["found"].items()]
    if found or lost:
        page.table(["file", "repaired or noticed", "times"], [*found, *lost])


def _lengths(page: Page, table: Gathered, is_example: np.ndarray) -> None:
    if not is_example.any():
        return
    page.heading("Lengths")
    shown = []
    for name in ("prompt", "answer"):
        values = np.sort(table.column(f"{name}_chars")[is_example]).tolist()
        longest = _quantile(values, TRIMMED_SHARE)
        shown.append((name, values[0], _quantile(values, 0.5), _quantile(values, 0.9), longest, values[-1]))
        drawn = [value for value in values if value <= longest]
        page.figure(histogram(drawn, bins=NUM_BINS, x_label=f"{name} length, characters"),
                    caption=f"The shortest {TRIMMED_SHARE:.0%} of {len(values):,} rows.")  # fmt: skip
    page.table(["characters", "shortest", "median", "90 %", "99 %", "longest"], shown)


def _quarantine(page: Page, ledger: Mapping[str, Any], table: Gathered) -> None:
    if not ledger["quarantined"]:
        return
    page.heading("Rows that cannot be used")
    page.text("All are in quarantine.jsonl. Mend the text in `raw` and feed that file back, or mend the source.")
    found: dict[str, list[Sample]] = {reason: [] for reason in ledger["quarantined"]}
    for shard in table.shards:
        for _, entry in shard.lines("quarantine"):
            if len(found[entry["reason"]]) < SAMPLES_PER_REASON:
                found[entry["reason"]].append(_faulty(entry))
        if all(len(samples) >= SAMPLES_PER_REASON for samples in found.values()):
            break
    for reason, count in ledger["quarantined"].items():
        page.samples(found[reason], caption=f"{reason}: {count:,}")


def _faulty(entry: Mapping[str, Any]) -> Sample:
    finding = f"found {entry['found']}\nexpected {entry['expected']}\n\nFix: {entry['fix']}"
    raw = entry.get("raw") or f"bytes that are no text: {entry.get('raw_base64', '')}"
    return Sample(entry["where"], (("problem", finding), ("row", _cut(raw))), "bad")


def _conflicts(page: Page, ledger: Mapping[str, Any], work: Comparison) -> None:
    if not work.conflicts:
        return
    page.heading("Prompts with more than one answer")
    page.text(
        f"{ledger['conflicts']['prompts']:,} prompts have different answers in different rows. All are kept: they may "
        "be right, as in open questions, or contradict each other. conflicts.jsonl has all."
    )
    page.samples([
        Sample(_cut(conflict["rows"][0]["prompt"], 120),
               tuple((Path(row["where"]).name, row["answer"]) for row in conflict["rows"][:3]), "unsure")
        for conflict in work.conflicts[:SHOWN_SAMPLES]
    ])  # fmt: skip


def _leaks(page: Page, ledger: Mapping[str, Any], work: Comparison) -> None:
    if not ledger["leaks"]:
        return
    page.heading("Questions of evaluations")
    page.table(
        ["evaluation", "questions", "found in rows", "share", "contaminated", "rows"],
        [(file, found["questions"], found["found"], f"{found['share']:.2%}", "yes" if found["contaminated"] else "no",
          found["rows"]) for file, found in ledger["leaks"].items()],
        caption="An evaluation is contaminated if more than 2 % of its questions were found. leaks.jsonl has all.",
    )  # fmt: skip
    page.table(["row", "question", "share of its words", "text"],
               [(leak["where"], leak["question"], f"{leak['share']:.0%}", _cut(leak["text"], 100))
                for leak in work.leaks[:SHOWN_LEAKS]])  # fmt: skip


def _duplicates(page: Page, ledger: Mapping[str, Any], table: Gathered) -> None:
    total = ledger["records"].get("merged", 0)
    if not total:
        return
    page.heading("Duplicates")
    rows = []
    for entry in islice(merged_rows(table), SHOWN_DUPLICATES):
        prompt = conversation_text(_record(table, entry.row).prompt)
        rows.append(
            (entry.line["where"], entry.line["into_where"], f"{entry.line['similarity']:.2f}", _cut(prompt, 100))
        )
    page.table(["row", "says the same as", "similarity", "text"], rows,
               caption=f"The first {len(rows)} of {total:,}; merged.jsonl has all.")  # fmt: skip


def _samples(page: Page, table: Gathered, kinds: list[np.ndarray]) -> None:
    page.heading("Rows as they came out")
    page.samples([_kept(table, row) for rows in kinds for row in _spread(rows)])


def _kept(table: Gathered, row: int) -> Sample:
    record = _record(table, row)
    prompt = ("prompt", _cut(conversation_text(record.prompt)))
    if isinstance(record, Example):
        return Sample(table.where(row), (prompt, ("answer", _cut(record.target or ""))))
    return Sample(table.where(row), (prompt, ("chosen", _cut(record.chosen)), ("rejected", _cut(record.rejected))))


def _record(table: Gathered, row: int) -> Example | Preference:
    data = table.record(row)
    return from_json(Preference, data) if "chosen" in data else from_json(Example, data)


def _spread(rows: np.ndarray) -> list[int]:
    """A few rows, evenly over all of them."""
    step = max(1, len(rows) // SHOWN_SAMPLES)
    return [int(row) for row in rows[::step][:SHOWN_SAMPLES]]


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text):,} characters)"
