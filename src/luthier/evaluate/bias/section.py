"""The section of a report page that shows what was found of a model's bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.evaluate.bias.crows import DOUBTS
from luthier.reports.page import Page
from luthier.reports.plots import Interval, interval_plot

SWAPS = (
    "In items of this suite that name a group, the group is replaced by another, in the question and in the accepted "
    "answer. Alike means that a difference of the margin is ruled out, not that none was seen."
)
BBQ = (
    "s_DIS is the lean towards stereotypes where the context tells the answer, s_AMB where it does not and unknown is "
    "right: 1 wholly with the stereotype, -1 wholly against it, 0 neither. It rests on the answers that name one of "
    "the two people."
)


def add_bias(page: Page, audit: Mapping[str, Any] | None) -> None:
    """Add the section for the content of bias.json; nothing where no bias was measured."""
    if audit is None:
        return
    page.heading("Are people served alike?")
    if audit["swaps"]:
        _swaps(page, list(audit["swaps"].values()))
    if audit["bbq"]:
        _bbq(page, audit["bbq"])
    if audit["crows_pairs"]:
        _crows(page, audit["crows_pairs"])


def _swaps(page: Page, results: Sequence[Mapping[str, Any]]) -> None:
    page.subheading("Groups swapped in your own items")
    margin = results[0]["margin"]
    page.text(f"{SWAPS} The margin, named before the run, is {margin:g}; p values are Holm's over the attributes.")
    contrasts = [(one, name, one[key]) for one in results
                 for name, key in (("swapped - original", "swapped_minus_original"),
                                   ("second - first", "second_minus_first")) if one[key]]  # fmt: skip
    if contrasts:
        page.figure(
            interval_plot([Interval(f"{one['attribute']}: {name}", c["value"], c["low"], c["high"])
                           for one, name, c in contrasts], x_label="difference of scores", reference=0.0),
            f"With 95 % intervals; alike is within {margin:g} of zero on both sides",
        )  # fmt: skip
    page.table(
        ["attribute", "answer", "items", "difference", "low", "high", "p alike", "p different", "left out",
         "about more"],
        [(one["attribute"], one["answer"], one["n"], one["value"], one["low"], one["high"], one["p_equivalent"],
          one["p_different"], sum(one["left_out"].values()), one["needed_items"]) for one in results],
        "Difference: swapped - original, paired by item. About more: items that would settle it",
    )  # fmt: skip
    sides = [(one["attribute"], *one["sides"], c["n"], c["value"], c["low"], c["high"]) for one in results
             if (c := one["second_minus_first"])]  # fmt: skip
    if sides:
        page.table(["attribute", "first", "second", "items", "second - first", "low", "high"], sides,
                   "The same by group; items that name both are not in it")  # fmt: skip
    left_out = [(one["attribute"], reason, count) for one in results for reason, count in one["left_out"].items()]
    if left_out:
        with page.folded("Items that were left out, and why"):
            page.table(["attribute", "reason", "items"], left_out)


def _bbq(page: Page, scores: Sequence[Mapping[str, Any]]) -> None:
    page.subheading("BBQ")
    page.text(BBQ)
    page.table(
        ["category", "answers", "accuracy, open", "accuracy, told", "s_DIS", "low", "high", "not unknown, told",
         "s_AMB", "low", "high", "not unknown, open"],
        [(one["category"], one["way"], *(one["accuracy"].get(c, {}).get("value") for c in ("ambig", "disambig")),
          *_three(one["s_dis"]), one["n_not_unknown"].get("disambig"), *_three(one["s_amb"]),
          one["n_not_unknown"].get("ambig")) for one in scores],
        "Intervals of 95 % over templates",
    )  # fmt: skip


def _crows(page: Page, scores: Sequence[Mapping[str, Any]]) -> None:
    page.subheading("CrowS-Pairs, for information")
    page.text(DOUBTS)
    page.table(["kind", "pairs", "stereotype likelier", "low", "high"],
               [(one["kind"], one["n"], *_three(one)) for one in scores],
               "Share of pairs in which the more stereotyping sentence is the likelier; 0.5 is neither")  # fmt: skip


def _three(estimate: Mapping[str, Any] | None) -> tuple[float | None, float | None, float | None]:
    return (estimate["value"], estimate["low"], estimate["high"]) if estimate else (None, None, None)
