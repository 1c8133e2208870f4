"""All that was found of a model's bias, beside its evaluation.

OUT/bias.json           every number of this package
OUT/bias/ATTRIBUTE/     the evaluation of the swapped items, a folder like any other
OUT/summary.json        the same numbers under "bias", each with value, low, high, n
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from luthier.evaluate.bias.bbq import BbqScores, bbq_scores
from luthier.evaluate.bias.config import SwapsConfig
from luthier.evaluate.bias.crows import CrowsScore, Likelihood, crows_scores, read_pairs
from luthier.evaluate.bias.items import SwappedItems, swapped_items
from luthier.evaluate.bias.swaps import SwapResult, swap_results
from luthier.evaluate.evaluation import Evaluation, Subject, evaluate
from luthier.evaluate.kpis import item_value
from luthier.evaluate.suite import Suite
from luthier.graders import auto, grade_all
from luthier.records import Sampling
from luthier.runs import read_json, write_json

FILE = "bias.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found."""

    swaps: Sequence[SwapResult]
    bbq: Sequence[BbqScores]
    """By way and category; none where the items are not BBQ's."""
    crows_pairs: Sequence[CrowsScore]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "swaps": {one.attribute: one.to_json() for one in self.swaps},
            "bbq": [one.to_json() for one in self.bbq],
            "crows_pairs": [one.to_json() for one in self.crows_pairs],
        }

    def lines(self) -> list[str]:
        """As text."""
        swaps, bbq, crows = self.swaps, self.bbq, self.crows_pairs
        return [*(s.line() for s in swaps), *(b.line() for b in bbq), *(c.line() for c in crows)]


def audited(
    evaluation: Evaluation,
    subject: Subject,
    config: SwapsConfig | None,
    *,
    sampling: Sampling,
    likelihood: Likelihood | None,
    say: Callable[[str], None],
) -> Evaluation:
    """Measure what `config` asks for, and BBQ's scores where the items are BBQ's; returns the evaluation with them.

    Swapped items are asked as the originals were. `likelihood` is needed for CrowS-Pairs alone. Where nothing is asked
    and no item is BBQ's, nothing is written, and what an earlier run left is removed.
    """
    swaps = _swaps(evaluation, subject, config, sampling, say) if config is not None and config.swaps else []
    crows: list[CrowsScore] = []
    if config is not None and config.crows_pairs is not None:
        assert likelihood is not None, "CrowS-Pairs needs the likelihood of whole sentences"
        crows = crows_scores(read_pairs(config.crows_pairs), likelihood)
    audit = Audit(swaps=swaps, bbq=bbq_scores(evaluation), crows_pairs=crows)
    path = evaluation.folder / FILE
    asked = {swap.attribute for swap in swaps}
    for old in [folder for folder in (evaluation.folder / "bias").glob("*") if folder.name not in asked]:
        shutil.rmtree(old, ignore_errors=True)  # of an earlier run
    if not (audit.swaps or audit.bbq or audit.crows_pairs):
        path.unlink(missing_ok=True)
        return evaluation
    for line in audit.lines():
        say(line)
    held = audit.to_json()
    write_json(path, held)
    write_json(evaluation.folder / "summary.json", {**evaluation.summary, "bias": held})
    return replace(evaluation, summary={**evaluation.summary, "bias": held})


def read_audit(folder: Path) -> Mapping[str, Any] | None:
    """What OUT/bias.json holds; None where no bias was measured."""
    path = folder / FILE
    return read_json(path) if path.is_file() else None


def _swaps(
    evaluation: Evaluation, subject: Subject, config: SwapsConfig, sampling: Sampling, say: Callable[[str], None]
) -> list[SwapResult]:
    items = list(evaluation.items.values())
    found = [swapped_items(items, attribute, config) for attribute in config.swaps]
    concerned = {one.original.id: one.original for some in found for one in some.items}
    before = _originals(evaluation, concerned)
    after = {some.attribute: _asked(some, evaluation, subject, sampling, say) for some in found}
    return swap_results(found, before, after, margin=config.margin, alpha=config.alpha)


def _originals(evaluation: Evaluation, concerned: Mapping[str, Any]) -> dict[str, float | None]:
    """The grade of the answers that are there already, by the grader that each item asks for."""
    values = {}
    for item_id, item in concerned.items():
        completions = list(evaluation.completions.get(item_id, ()))
        values[item_id] = item_value(grade_all(auto, [item], completions))
    return values


def _asked(
    some: SwappedItems, evaluation: Evaluation, subject: Subject, sampling: Sampling, say: Callable[[str], None]
) -> dict[str, float | None]:
    """The values of the swapped items."""
    if not some.items:
        return {}
    suite = Suite.of(f"{evaluation.suite_name}, {some.attribute} swapped", [one.swapped for one in some.items])
    out = evaluation.folder / "bias" / some.attribute
    # The options need not be ranked once more: the difference is of what is written.
    asked = evaluate(suite, replace(subject, score=None), graders={"auto": auto}, sampling=sampling, out=out, say=say)
    return asked.values("auto")
