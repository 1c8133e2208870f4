"""Measured candidates in order, and one sentence that says why the first is first, or that nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.select.config import Criterion
from luthier.select.measure import Measured
from luthier.stats.intervals import Estimate, paired_interval, ratio_interval, usable_clusters

CRITERIA: dict[Criterion, str] = {
    "likelihood": "log-likelihood per byte of the dev answers",
    "rank": "share of options rightly found likeliest",
    "generated": "mean grade of written answers",
}
"""What each criterion is, in words."""

COLUMNS = (
    "candidate", "likelihood", "rank", "generated", "tokens/s", "memory GiB", "context", "parameters", "licence",
    "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The table, best first; rows without a value come last, with the reason."""

    criterion: Criterion
    rows: tuple[Measured, ...]
    sentence: str
    lead: Estimate | None
    """The first's criterion minus the second's over the same examples."""

    @property
    def winner(self) -> Measured | None:
        """The first row, if it could be measured."""
        return self.rows[0] if self.rows and self.criterion in self.rows[0].estimates else None

    def table(self) -> list[tuple[object, ...]]:
        """One row per candidate, in the order of COLUMNS."""
        return [_cells(row) for row in self.rows]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "criterion": self.criterion,
            "winner": self.winner.candidate if self.winner else None,
            "sentence": self.sentence,
            "lead": self.lead.to_json() if self.lead else None,
            "candidates": [row.to_json() for row in self.rows],
        }

    def lines(self) -> list[str]:
        """The table as text, then the sentence."""
        cells = [COLUMNS, *(tuple(_text(cell) for cell in row) for row in self.table())]
        widths = [max(len(row[k]) for row in cells) for k in range(len(COLUMNS))]
        rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return [*(row.rstrip() for row in rows), self.sentence]


def rank_candidates(measured: Sequence[Measured], *, criterion: Criterion) -> Selection:
    """Candidates by the criterion, highest first. The sentence says whether the lead is more than noise."""
    able = sorted(
        (row for row in measured if criterion in row.estimates),
        key=lambda row: row.estimates[criterion].value,
        reverse=True,
    )
    unable = [row for row in measured if criterion not in row.estimates]
    lead = _lead(able[0], able[1], criterion) if len(able) > 1 else None
    return Selection(
        criterion=criterion, rows=(*able, *unable), sentence=_sentence(able, unable, criterion, lead), lead=lead
    )


def _lead(first: Measured, second: Measured, criterion: Criterion) -> Estimate | None:
    """The paired difference over the examples that both were measured on."""
    ours, theirs = first.items[criterion], second.items[criterion]
    common = [item_id for item_id in ours if item_id in theirs]
    if not common:
        return None
    clusters = usable_clusters([ours[item_id].task for item_id in common])
    if criterion == "likelihood":
        gaps = [ours[item_id].value - theirs[item_id].value for item_id in common]
        return ratio_interval(gaps, [ours[item_id].weight for item_id in common], clusters)
    values = [[scores[item_id].value for item_id in common] for scores in (theirs, ours)]
    return paired_interval(values[0], values[1], clusters)


def _sentence(able: Sequence[Measured], unable: Sequence[Measured], criterion: Criterion, lead: Estimate | None) -> str:
    words = CRITERIA[criterion]
    failed = f"; {len(unable)} could not be measured" if unable else ""
    if not able:
        return f"No candidate has a {words}: see the table for why."
    best = able[0]
    claim = f"{words} {best.estimates[criterion]}"
    if lead is None:
        return f"{best.candidate} is the only candidate measured: {claim}{failed}."
    gap = f"{lead.value:.3f} [{lead.low:.3f}, {lead.high:.3f}] over the same {lead.n} examples"
    if lead.low > 0:
        return f"{best.candidate} wins: {claim}, ahead of {able[1].candidate} by {gap}{failed}."
    return (
        f"{best.candidate} and {able[1].candidate} cannot be told apart: {claim} is highest, but the lead of {gap} "
        f"is within the noise{_lighter(best, able[1])}{failed}."
    )


def _lighter(first: Measured, second: Measured) -> str:
    """Which of two equals costs less to tune and serve."""
    if first.num_parameters is None or second.num_parameters is None or first.num_parameters == second.num_parameters:
        return ""
    smaller = min(first, second, key=lambda row: row.num_parameters or 0)
    return f"; {smaller.candidate} is the smaller"


def _cells(row: Measured) -> tuple[object, ...]:
    if row.error is not None:
        return (row.candidate, *("" for _ in COLUMNS[2:]), row.error)
    estimates = [row.estimates.get(name) for name in CRITERIA]
    return (
        row.candidate,
        *("" if estimate is None else str(estimate) for estimate in estimates),
        row.tokens_per_s,
        row.peak_memory_gib,
        row.context_length,
        row.num_parameters,
        row.licence or "unknown",
        "",
    )


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:,.4g}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else str(cell)
