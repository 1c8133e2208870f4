"""The data card: what the files held, where each row went, and what deserves a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.curate.duplicates import Placed, conflicts
from luthier.curate.faults import Fault
from luthier.curate.ledger import Books, quarantine_entry
from luthier.curate.raw import RawRow
from luthier.records import Example, conversation_text
from luthier.reports import Page, Sample, histogram

NOT_STATED = "not stated"
SHOWN_FILES = 4
SHOWN_SAMPLES = 5
SAMPLES_PER_REASON = 2
SHOWN_DUPLICATES = 10
SHOWN_CHARACTERS = 600
NUM_BINS = 30
TRIMMED_SHARE = 0.99
"""A histogram ends at this quantile, so that one very long row does not press all others into one bar."""


def write_card(
    path: Path,
    ledger: Mapping[str, Any],
    parts: Mapping[Any, Sequence[Placed]],
    preferences: Sequence[Placed],
    books: Books,
) -> None:
    """Write the card as one page of HTML."""
    examples = [row for rows in parts.values() for row in rows]
    files = [Path(file).name for file in ledger["files"]]
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    page = Page("Data card", ", ".join(files[:SHOWN_FILES]) + more)
    _verdict(page, ledger)
    _flow(page, ledger)
    _files(page, ledger, [*examples, *preferences])
    _lengths(page, examples)
    _quarantine(page, books.quarantined)
    _conflicts(page, examples)
    _duplicates(page, books)
    _samples(page, examples, preferences)
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
    page.table(["between", "prompts in both", "links in both"],
               [(pair, count, checks["links"][pair]) for pair, count in checks["prompts"].items()],
               caption="The split's certificate, counted anew from the rows as written.")  # fmt: skip


def _files(page: Page, ledger: Mapping[str, Any], rows: Sequence[Placed]) -> None:
    page.heading("Files, sources and licences")
    shapes = [(file, shape, count) for file, shapes in ledger["files"].items() for shape, count in shapes.items()]
    page.table(["file", "shape", "rows read"], shapes)
    licences = Counter((row.where.rpartition(":")[0], row.record.licence or NOT_STATED) for row in rows)
    page.table(["file", "licence", "rows kept"], [(*key, count) for key, count in sorted(licences.items())])
    lost = [(file, "characters lost before (U+FFFD), not mended", count)
            for file, count in ledger["lost_characters"].items()]  # fmt: skip
    repaired = [("all files", repair, count) for repair, count in ledger["repaired"].items()]
    if repaired or lost:
        page.table(["file", "repaired or noticed", "rows"], [*repaired, *lost])


def _lengths(page: Page, rows: Sequence[Placed]) -> None:
    examples = [row.record for row in rows if isinstance(row.record, Example)]
    if not examples:
        return
    page.heading("Lengths")
    lengths = {
        "prompt": [sum(len(message.content) for message in example.prompt) for example in examples],
        "answer": [len(example.target or "") for example in examples],
    }
    table = []
    for name, unordered in lengths.items():
        values = sorted(unordered)
        longest = _quantile(values, TRIMMED_SHARE)
        table.append((name, values[0], _quantile(values, 0.5), _quantile(values, 0.9), longest, values[-1]))
        shown = [value for value in values if value <= longest]
        page.figure(histogram(shown, bins=NUM_BINS, x_label=f"{name} length, characters"),
                    caption=f"The shortest {TRIMMED_SHARE:.0%} of {len(values):,} rows.")  # fmt: skip
    page.table(["characters", "shortest", "median", "90 %", "99 %", "longest"], table)


def _quarantine(page: Page, quarantined: Sequence[tuple[RawRow, Fault]]) -> None:
    if not quarantined:
        return
    page.heading("Rows that cannot be used")
    page.text("All are in quarantine.jsonl. Mend the text in `raw` and feed that file back, or mend the source.")
    counts = Counter(fault.reason for _, fault in quarantined)
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        rows = [(row, fault) for row, fault in quarantined if fault.reason == reason][:SAMPLES_PER_REASON]
        page.samples([_faulty(row, fault) for row, fault in rows], caption=f"{reason}: {count:,}")


def _faulty(row: RawRow, fault: Fault) -> Sample:
    problem = fault.problem
    entry = quarantine_entry(row, fault)
    raw = entry.get("raw") or row.raw.decode("utf-8", "replace")
    finding = f"found {problem.found}\nexpected {problem.expected}\n\nFix: {problem.fix}"
    return Sample(problem.where, (("problem", finding), ("row", _cut(raw))), "bad")


def _conflicts(page: Page, examples: Sequence[Placed]) -> None:
    disputed = conflicts(examples)
    if not disputed:
        return
    page.heading("Prompts with more than one answer")
    page.text(
        f"{len(disputed):,} prompts have different answers in different rows. All are kept: they may be right, as "
        "in open questions, or contradict each other."
    )
    page.samples([
        Sample(_cut(rows[0].record.prompt[-1].content, 120),
               tuple((Path(row.where).name, _cut(_answer(row))) for row in rows[:3]), "unsure")
        for rows in disputed[:SHOWN_SAMPLES]
    ])  # fmt: skip


def _duplicates(page: Page, books: Books) -> None:
    if not books.merged:
        return
    page.heading("Duplicates")
    page.table(
        ["row", "says the same as", "text"],
        [(row.where, stays.where, _cut(conversation_text(row.record.prompt), 100))
         for row, stays in books.merged[:SHOWN_DUPLICATES]],
        caption=f"The first {min(SHOWN_DUPLICATES, len(books.merged))} of {len(books.merged):,}; merged.jsonl has all.",
    )  # fmt: skip


def _samples(page: Page, examples: Sequence[Placed], preferences: Sequence[Placed]) -> None:
    page.heading("Rows as they came out")
    page.samples([_kept(row) for row in (*_spread(examples), *_spread(preferences))])


def _kept(row: Placed) -> Sample:
    record = row.record
    prompt = ("prompt", _cut(conversation_text(record.prompt)))
    if isinstance(record, Example):
        return Sample(row.where, (prompt, ("answer", _cut(_answer(row)))))
    return Sample(row.where, (prompt, ("chosen", _cut(record.chosen)), ("rejected", _cut(record.rejected))))


def _spread(rows: Sequence[Placed]) -> list[Placed]:
    """A few rows, evenly over all of them."""
    step = max(1, len(rows) // SHOWN_SAMPLES)
    return list(rows[::step][:SHOWN_SAMPLES])


def _answer(row: Placed) -> str:
    return (row.record.target or "") if isinstance(row.record, Example) else row.record.chosen


def _quantile(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text):,} characters)"
