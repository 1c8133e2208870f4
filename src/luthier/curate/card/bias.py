"""Bias in the data, on the data card: what differs between groups of people, with the rows behind it."""

from __future__ import annotations

from itertools import groupby

from luthier.curate.amounts import counted, word
from luthier.curate.bias.survey import Bias, Named
from luthier.curate.bias.tests import BALANCED, Finding
from luthier.curate.bias.words import ORIGIN, pattern_of
from luthier.curate.card.rows import sample_of
from luthier.curate.gathered import Gathered
from luthier.reports import Interval, Page, Sample, interval_plot

SHOWN_FINDINGS = 10
SHOWN_GROUPS = 8
SHOWN_ROWS = 2
LEAST_NAMED = 5
"""A group that fewer rows name is not drawn."""


def show_bias(page: Page, bias: Bias, table: Gathered) -> None:
    """What was found, how often each group is named, and how many prompts have a twin."""
    page.heading("Bias")
    page.text(_looked_at(bias))
    if bias.findings:
        page.text(
            f"{len(bias.findings)} of {counted(bias.num_tests, 'comparison')} "
            f"{word(len(bias.findings), 'differs', 'differ')} by more than chance explains. On average "
            f"at most {bias.rate:.0%} of what is reported here is false (Benjamini and Hochberg 1995); the intervals "
            "are widened for the number of comparisons. A difference is no verdict: look at the rows."
        )
        for finding in bias.findings[:SHOWN_FINDINGS]:
            _finding(page, finding, table, bias)
        if len(bias.findings) > SHOWN_FINDINGS:
            more = len(bias.findings) - SHOWN_FINDINGS
            page.text(f"{more} more {word(more, 'is', 'are')} in bias.json, with {word(more, 'its', 'their')} rows.")
    elif bias.num_tests:
        page.text(f"None of {counted(bias.num_tests, 'comparison')} differs by more than chance explains "
                  f"(false-discovery rate {bias.rate:.0%}, Benjamini and Hochberg 1995).")  # fmt: skip
    else:
        page.text("Too few rows name groups of people to compare any.")
    _representation(page, bias)
    _coverage(page, bias)


def _looked_at(bias: Bias) -> str:
    names = word(bias.naming, "names", "name")
    said = f"Read were {bias.told}; {bias.naming:,} of them {names} a group of people by gender, age, religion, "
    said += "nationality, origin or a first name. Words come from lists in English and Spanish."
    if bias.unread:
        said += f" {counted(bias.unread, 'row is', 'rows are')} in other languages and not looked at."
    if bias.repeated:
        share, them = word(bias.repeated, "row shares", "rows share"), word(bias.repeated, "it", "them")
        said += f" {bias.repeated:,} {share} a link with another row, which stands for {them}."
    return said


def _finding(page: Page, finding: Finding, table: Gathered, bias: Bias) -> None:
    have, of, others_have, others_of = finding.counts
    low, high = (round(100 * bound) for bound in (finding.difference.low, finding.difference.high))
    dimension = finding.dimension.replace("_", " ")
    page.subheading(f"{dimension}: {finding.group} against {finding.others}: {finding.outcome}")
    if finding.outcome.startswith("named in"):
        total = have + others_have
        page.text(f"{counted(have, 'row names', 'rows name')} {finding.group} and {others_have:,} "
                  f"{word(others_have, 'names', 'name')} {finding.others}: {have / total:.0%} against one "
                  f"half, which is {100 * finding.difference.value:+.0f} points ({low:+} to {high:+}).")  # fmt: skip
    else:
        page.text(
            f"{have:,} of {counted(of, 'row')} of {finding.group} ({have / of:.0%}) against {others_have:,} of "
            f"{others_of:,} of {finding.others} ({others_have / others_of:.0%}). Within requests of one kind that is "
            f"{100 * finding.difference.value:+.0f} points ({low:+} to {high:+})."
        )
    with page.folded("Rows behind it"):
        page.samples(_samples(finding, table, bias))


def _samples(finding: Finding, table: Gathered, bias: Bias) -> list[Sample]:
    """Rows of the group with what it has more often, or without what it has less often, and the opposite of others."""
    is_balance = finding.outcome.startswith("named in")
    is_more = finding.difference.value > 0
    cells = finding.rows
    group = cells[0] if is_more or is_balance else cells[1]
    others = cells[3] if is_more and not is_balance else cells[2]
    does, does_not = ("", "") if is_balance else (f": {finding.outcome}", f": not that {finding.outcome}")
    notes = (finding.group + (does if is_more else does_not), finding.others + (does_not if is_more else does))
    is_named = finding.others in bias.groups_of.get(finding.dimension, ())
    samples = []
    for rows, note, name in zip(
        (group, others), notes, (finding.group, finding.others if is_named else ""), strict=True
    ):
        pattern = pattern_of(finding.dimension, name, bias.own) if name or finding.dimension != ORIGIN else None
        samples += [sample_of(table, row, note=note, tone="unsure", pattern=pattern) for row in rows[:SHOWN_ROWS]]
    return samples


def _representation(page: Page, bias: Bias) -> None:
    page.subheading("How often groups are named")
    rows = []
    for dimension, groups in groupby(bias.named, key=lambda one: one.dimension):
        large = [one for one in groups if one.prompt_rows + one.answer_rows >= LEAST_NAMED][:SHOWN_GROUPS]
        if dimension in BALANCED and large:
            intervals = [_interval(one, side) for one in sorted(large, key=lambda one: one.group) for side in (0, 1)]
            page.figure(
                interval_plot(intervals, x_label="share of the rows that name one", reference=0.5),
                caption=f"{dimension.replace('_', ' ').capitalize()}, with 95 % intervals. A row may name both.",
            )
        rows += [(one.dimension.replace("_", " "), one.group, one.prompt_rows, _share(one, 0), one.answer_rows,
                  _share(one, 1)) for one in large]  # fmt: skip
    page.table(["by", "group", "prompts", "share (95 % interval)", "answers", "share (95 % interval)"], rows,
               caption=f"Rows that name the group; shares are of the rows that name any by this. Up to {SHOWN_GROUPS} "
               "groups each; bias.json has all.")  # fmt: skip


def _interval(one: Named, side: int) -> Interval:
    estimate = (one.prompts, one.answers)[side]
    label = f"{one.group}, {('prompts', 'answers')[side]}"
    if estimate is None:
        return Interval(label, None, None, None)
    return Interval(label, estimate.value, estimate.low, estimate.high)


def _share(one: Named, side: int) -> str:
    estimate = (one.prompts, one.answers)[side]
    return "" if estimate is None else f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"


def _coverage(page: Page, bias: Bias) -> None:
    if not bias.coverage:
        return
    page.subheading("Prompts with a twin")
    page.table(
        ["by", "prompts that name one group", "also asked of another", "95 % interval", "of these answered alike"],
        [(one.dimension.replace("_", " "), one.covered.n, f"{one.covered.value:.1%}",
          f"{one.covered.low:.1%} to {one.covered.high:.1%}", one.same_answer) for one in bias.coverage],
        caption="A twin says the same with the words of another group in their place. A model that sees both versions "
        "with one answer learns that the group does not matter.",
    )  # fmt: skip
