"""Accuracy with the instructions of prompts as items, in all and by the kind of instruction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from luthier.graders.instructions.grading import Outcome, outcomes
from luthier.records import Grade
from luthier.stats.intervals import Estimate, score_interval


class InstructionLevel(NamedTuple):
    """Accuracy with instructions as items, clustered by prompt."""

    overall: Estimate | None
    """None where no instruction was graded."""
    by_id: dict[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """overall and by_id: value, low, high, n, method."""
        return {"overall": self.overall and self.overall.to_json(),
                "by_id": {name: estimate.to_json() for name, estimate in self.by_id.items()}}  # fmt: skip


def instruction_level(grades: Iterable[Grade]) -> InstructionLevel:
    """Accuracy over all instructions and over those of each id, of the grades of one of the two graders.

    Instructions of one prompt, and several answers to it, share their luck, so the intervals are clustered by prompt.
    """
    pairs = [(grade.example_id, outcome) for grade in grades for outcome in outcomes(grade)]
    ids = sorted({outcome.id for _, outcome in pairs})
    return InstructionLevel(
        _clustered(pairs) if pairs else None,
        {name: _clustered([pair for pair in pairs if pair[1].id == name]) for name in ids},
    )


def _clustered(pairs: Sequence[tuple[str, Outcome]]) -> Estimate:
    prompts = [prompt for prompt, _ in pairs]
    estimate = score_interval([float(outcome.follows) for _, outcome in pairs], prompts)
    return Estimate(estimate.value, estimate.low, estimate.high, estimate.n,
                    estimate.method.replace(" clusters", " prompts"))  # fmt: skip
