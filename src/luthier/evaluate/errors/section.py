"""The section of a report page that shows an error analysis."""

from __future__ import annotations

from luthier.evaluate.errors.analysis import ErrorAnalysis, Failed, WeakSlice
from luthier.evaluate.errors.slices import request_of
from luthier.reports.page import Page, Sample
from luthier.reports.plots import Interval, interval_plot
from luthier.stats.intervals import proportion_interval

NUM_SAMPLES = 4
NUM_ROWS = 8
MOST_CHARACTERS = 600


def add_errors(page: Page, analysis: ErrorAnalysis) -> None:
    """Weak slices with their fixes, kinds of failures, groups of failures."""
    page.heading("Where it is weak, and what to do")
    search = analysis.search
    page.text(
        f"{search.num_slices} slices were sought on {search.num_items['look']} items, and what was found was tested "
        f"once more on {search.num_items['confirm']} others. On average at most {search.rate:.0%} of what is reported "
        f"here is false. Weak means: below comparable items by more than {search.margin:g}."
    )
    confirmed = analysis.confirmed
    if confirmed:
        page.figure(
            interval_plot([Interval(one.weakness.slice.name, said.deficit.value, said.deficit.low, said.deficit.high)
                           for one in confirmed if (said := one.weakness.confirmed)],
                          x_label="expected - reached", reference=0.0),
            "Deficits on the confirming half, with 95 % intervals; the most points lost first",
        )  # fmt: skip
        page.table(
            ["slice", "items", "points lost", "score", "expected", "compared with", "proposal"],
            [(one.weakness.slice.name, one.weakness.num_items, one.weakness.points_lost, said.score, said.expected,
              said.against, one.proposal) for one in confirmed if (said := one.weakness.confirmed)],
            "Scores on the confirming half",
        )  # fmt: skip
        for one in confirmed:
            _weak_slice(page, analysis, one)
    else:
        page.text("No slice is weak.")
    if analysis.failed:
        _kinds(page, analysis)
        _groups(page, analysis)


def _weak_slice(page: Page, analysis: ErrorAnalysis, one: WeakSlice) -> None:
    with page.folded(f"{one.weakness.slice.name}: what the training rows say"):
        facts = one.training
        others = "; ".join(one.weakness.also_named) or "-"
        page.facts({
            "the same items are also": others,
            "explains": "; ".join(one.weakness.wider) or "-",
            "failures": ", ".join(f"{kind} {count}" for kind, count in one.failures.items()),
            "diagnosis": "; ".join(facts.diagnosis) if facts else "no training rows were given",
        })  # fmt: skip
        if facts:
            page.table(["similarity", "place", "request", "answer"],
                       [(near.similarity, near.row.source, _cut(request_of(near.row)), _cut(near.row.target or ""))
                        for near in facts.nearest], "The nearest training rows")  # fmt: skip
        if one.dropped:
            page.table(["row", "place", "why"], [(bad.row.id, bad.row.source, bad.reason)
                                                 for bad in one.dropped[:NUM_ROWS]],
                       f"{len(one.dropped)} training rows to mend or drop; errors/decisions.jsonl has all")  # fmt: skip
        failed = [f for f in analysis.failed if f.item.id in one.looked_at]
        page.samples([_sample(f) for f in failed[:NUM_SAMPLES]])


def _kinds(page: Page, analysis: ErrorAnalysis) -> None:
    page.subheading("Kinds of failures")
    rows = []
    for kind, count in analysis.kinds().items():
        share = proportion_interval(count, analysis.num_answers)
        rows.append((kind, count, share.value, share.low, share.high))
    page.table(["kind", "answers", "share of all answers", "low", "high"], rows,
               f"{len(analysis.failed)} of {analysis.num_answers} answers failed; Wilson intervals")  # fmt: skip


def _groups(page: Page, analysis: ErrorAnalysis) -> None:
    if not analysis.groups:
        return
    page.subheading("Failures that are alike")
    page.table(["telling words", "answers", "a typical request", "what was said"],
               [(", ".join(group.words), len(group.members), _cut(request_of(first.item)), _cut(first.completion.text))
                for group in analysis.groups if (first := analysis.failed[group.members[0]])])  # fmt: skip


def _sample(failed: Failed) -> Sample:
    wanted = " | ".join(failed.item.targets) or "(no accepted answer)"
    parts = (("asked", _cut(request_of(failed.item))), ("wanted", _cut(wanted)),
             ("said", _cut(failed.completion.text) or "(nothing)"))  # fmt: skip
    return Sample(f"{failed.failure.kind}: {failed.failure.detail}", parts, "bad")


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."
