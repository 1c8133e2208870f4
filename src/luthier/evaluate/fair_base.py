"""A base model compared fairly: by its best reading, not by the one that suits tuning.

A base that was never shown the chat form fails it without being ignorant. So it is read in several ways (the chat
prompt, a few-shot plain-text prompt, its likeliest option under either), and for each KPI the reading with the highest
mean is what a tuned model must beat. Choosing on the test items favours the base, never the tuned model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation, read_evaluation, write_summary
from luthier.evaluate.kpis import item_value
from luthier.graders import RANK_KPIS
from luthier.records import Completion, Grade, write_records
from luthier.runs import write_json

RANKABLE_KPIS = ("auto", "choice", "exact")
"""KPIs that ask whether the answer is right, so that naming an option and finding it likeliest are the same claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read the base's answers for one KPI."""

    kpi: str
    name: str
    """"plain text, 4 shots; likeliest option"."""
    mean: float | None
    n: int
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class FairBase:
    """The base as the tuned model must beat it."""

    evaluation: Evaluation
    """A folder like any other, to compare with."""
    readings: tuple[Reading, ...]
    """Every reading with its mean; one a KPI is chosen."""

    def reading(self, kpi: str) -> Reading:
        """The chosen reading of a KPI."""
        return next(reading for reading in self.readings if reading.kpi == kpi and reading.is_chosen)


def fair_base(evaluations: Sequence[Evaluation], *, kpi: str, out: Path) -> FairBase:
    """Write into `out` an evaluation that takes each KPI from its best reading; answers shown are those of `kpi`.

    `evaluations` are of one base on the same items, differently prompted. OUT/readings.json states every mean.
    """
    _check_same(evaluations, kpi)
    readings: list[Reading] = []
    grades: list[Grade] = []
    completions: list[Completion] = []
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.grades))
    for name in [kpi, *(n for n in names if n != kpi)]:
        options = [_taken(name, e, is_ranked) for e in evaluations for is_ranked in (False, True)
                   if name in e.grades and (not is_ranked or _can_rank(name, e))]  # fmt: skip
        best = max(range(len(options)), key=lambda k: -1.0 if options[k].mean is None else options[k].mean or 0.0)
        readings += [option.reading(name, is_chosen=k == best) for k, option in enumerate(options)]
        grades += options[best].grades
        completions += options[best].completions if name == kpi else []
    items = list(evaluations[0].items.values())
    write_records(out / "items.jsonl", items)
    write_records(out / "completions.jsonl", completions)
    write_records(out / "grades.jsonl", grades)
    write_json(out / "readings.json", [asdict(reading) for reading in readings])
    chosen = next(reading for reading in readings if reading.kpi == kpi and reading.is_chosen)
    write_summary(out, _facts(evaluations[0], chosen), items, grades)
    return FairBase(read_evaluation(out), tuple(readings))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """One reading of one KPI, with its grades and the answers that they are of."""

    name: str
    grades: list[Grade]
    completions: list[Completion]
    values: list[float]

    @property
    def mean(self) -> float | None:
        return sum(self.values) / len(self.values) if self.values else None

    def reading(self, kpi: str, *, is_chosen: bool) -> Reading:
        return Reading(kpi=kpi, name=self.name, mean=self.mean, n=len(self.values), is_chosen=is_chosen)


def _taken(kpi: str, evaluation: Evaluation, is_ranked: bool) -> _Taken:
    """Grades and answers under `kpi`: as generated, or with ranking in place of generation where items have options."""
    ranks = evaluation.grades["rank"] if is_ranked else {}
    grades: list[Grade] = []
    completions: list[Completion] = []
    values: list[float] = []
    for item_id, generated in evaluation.grades[kpi].items():
        rank = ranks.get(item_id)
        if rank is not None and item_value(rank) is not None:
            options = evaluation.rankings[item_id].best() if item_id in evaluation.rankings else (rank[0].reason,)
            text = " = ".join(options)
            answer = Completion.of(example_id=item_id, model_id=evaluation.model_id, text=text)
            completions.append(answer)
            chosen = [replace(grade, grader=kpi, completion_id=answer.id, reason="rank: " + grade.reason)
                      for grade in rank]  # fmt: skip
        else:
            completions += evaluation.completions.get(item_id, [])
            chosen = list(generated)
        grades += chosen
        value = item_value(chosen)
        values += [] if value is None else [value]
    how = "; likeliest option" if is_ranked else "; as generated"
    name = evaluation.summary["model"]["prompting"] + ("" if kpi in RANK_KPIS else how)
    return _Taken(name=name, grades=grades, completions=completions, values=values)


def _can_rank(kpi: str, evaluation: Evaluation) -> bool:
    return kpi in RANKABLE_KPIS and "rank" in evaluation.grades


def _check_same(evaluations: Sequence[Evaluation], kpi: str) -> None:
    first = evaluations[0]
    if not any(kpi in evaluation.grades for evaluation in evaluations):
        raise DataError(
            "the base was not graded on the target",
            [Problem(where=str(first.folder), found=f"no KPI {kpi!r}", expected=f"one of {', '.join(first.grades)}",
                     fix="correct gate.kpi, or add the grader to evaluate.graders")],
        )  # fmt: skip
    for other in evaluations[1:]:
        if other.model_id != first.model_id or other.items.keys() != first.items.keys():
            what = "another model" if other.model_id != first.model_id else "other items"
            raise DataError(
                "these are not readings of one base",
                [Problem(where=str(other.folder), found=what, expected=f"the model and items of {first.folder}",
                         fix="evaluate the same base on the same items, differently prompted")],
            )  # fmt: skip


def _facts(evaluation: Evaluation, chosen: Reading) -> dict[str, Any]:
    kept = {name: evaluation.summary[name] for name in ("suite", "sampling")}
    return {"model": {**evaluation.summary["model"], "prompting": f"best reading: {chosen.name}"}, **kept}
