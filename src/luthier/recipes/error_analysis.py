"""Where an evaluated model is weak and which rows would mend it, beside its evaluation: OUT/errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.records import Example

if TYPE_CHECKING:
    from luthier.evaluate.errors.analysis import ErrorAnalysis
    from luthier.evaluate.evaluation import Evaluation


def analysed(
    evaluation: Evaluation, *, kpi: str, out: Path, training: Iterable[Example], say: Callable[[str], None],
    base: Evaluation | None = None,
) -> ErrorAnalysis | None:  # fmt: skip
    """The analysis, written into `out`; None, and no such folder, for fewer items than can be split in two."""
    from luthier.evaluate.errors.analysis import FEWEST_ITEMS, analyse, write_analysis

    shutil.rmtree(out, ignore_errors=True)  # of an earlier evaluation: no row of it may be taken for one of this
    analysis = analyse(evaluation, kpi=kpi, base=base, training=list(training))
    if analysis is None:
        say(f"errors | fewer than {FEWEST_ITEMS} graded items: no weak slices are sought")
        return None
    write_analysis(analysis, out)
    for line in analysis.lines():
        say(f"errors | {line}")
    return analysis
