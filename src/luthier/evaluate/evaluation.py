"""Examine a model on a suite.

OUT/items.jsonl         the items
OUT/completions.jsonl   what the model wrote, reused by a later run of the same model, prompting and sampling
OUT/rankings.jsonl      how likely it finds each option, where items have options
OUT/grades.jsonl        every grade, before any statistic
OUT/summary.json        KPIs with intervals, per task and per cluster; tokens and time
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.evaluate.instruction_level import instruction_level
from luthier.evaluate.kept_rows import Kept, Shelf
from luthier.evaluate.kpis import Grades, Kpi, grades_by_item, item_value, kpi_table, sliced
from luthier.evaluate.suite import Suite
from luthier.graders import RANK_KPIS, grade_all
from luthier.graders.rank import Ranking, can_be_ranked, chance, rank_grade, rank_options
from luthier.records import (
    Completion,
    Example,
    Generate,
    Grade,
    Grader,
    Sampling,
    Score,
    content_id,
    read_records,
    write_records,
)
from luthier.runs import library_versions, machine, now, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The model that is examined, and how it is asked."""

    model_id: str
    """Content digest."""
    model_name: str
    generate: Generate
    score: Score | None = None
    """Where given, items with options are ranked too."""
    prompting: str = "chat"
    """How prompts are made: "chat", "plain text, 4 shots (9f3c)". Part of what decides whether completions on disk may
    be reused, so it must change when prompts do."""
    made_by: str = ""
    """Digest of the code and libraries that generate: completions that others made are not reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation folder, read."""

    folder: Path
    summary: Mapping[str, Any]
    items: Mapping[str, Example]
    completions: Mapping[str, Sequence[Completion]]
    """By item id."""
    rankings: Mapping[str, Ranking]
    """By item id; empty when nothing was ranked."""
    grades: Grades

    @property
    def name(self) -> str:
        """The model's name and how it was asked."""
        model = self.summary["model"]
        return f"{model['name']} ({model['prompting']})"

    @property
    def model_id(self) -> str:
        """The model's content digest."""
        return str(self.summary["model"]["id"])

    @property
    def suite_name(self) -> str:
        """The name of the suite."""
        return str(self.summary["suite"]["name"])

    @property
    def kpis(self) -> dict[str, Kpi]:
        """Every KPI over all items."""
        return kpi_table(self.items.values(), self.grades)

    def values(self, kpi: str) -> dict[str, float | None]:
        """The KPI's value of each item that it was asked about; None where it could not tell or failed."""
        return {item_id: item_value(grades) for item_id, grades in self.grades[kpi].items()}


def evaluate(
    suite: Suite,
    subject: Subject,
    *,
    graders: Mapping[str, Grader],
    sampling: Sampling,
    out: Path,
    say: Callable[[str], None],
) -> Evaluation:
    """Generate, grade and summarise. `graders` carry the name of the KPI each makes; one that fails costs only that."""
    write_records(out / "items.jsonl", suite.examples)
    if suite.num_repeats:
        say(f"evaluate | {suite.num_repeats} items of {suite.name} came twice and count once")
    completions = _completions(suite, subject, sampling, out, say)
    rankings = _rankings(suite, subject, out, say)
    grades = [replace(grade, grader=kpi) for kpi, grader in graders.items()
              for grade in grade_all(grader, suite.examples, completions.rows)]  # fmt: skip
    grades += rank_grades(suite.examples, rankings)
    write_records(out / "grades.jsonl", grades)
    facts = {
        "model": {"id": subject.model_id, "name": subject.model_name, "prompting": subject.prompting},
        "suite": {"name": suite.name, "digest": suite.digest, "items": len(suite.examples),
                  "repeats": suite.num_repeats},
        "sampling": asdict(sampling),
        "generation": _generation_facts(completions),
    }  # fmt: skip
    write_summary(out, facts, suite.examples, grades)
    return read_evaluation(out)


def rank_grades(examples: Sequence[Example], rankings: Sequence[Ranking]) -> list[Grade]:
    """The grades of both rank KPIs; none when nothing was ranked."""
    by_id = {example.id: example for example in examples}
    return [
        rank_grade(by_id[ranking.example_id], ranking, per_byte=per_byte)
        for per_byte in (False, True)
        for ranking in rankings
    ]


def write_summary(out: Path, facts: Mapping[str, Any], items: Sequence[Example], grades: Sequence[Grade]) -> None:
    """summary.json: the facts, then every KPI over all items, per task and per cluster."""
    by_kpi = grades_by_item(grades)
    kpis = {name: kpi.to_json() for name, kpi in kpi_table(items, by_kpi).items()}
    for name in RANK_KPIS:
        if name in kpis:
            kpis[name]["chance"] = chance([item for item in items if item.id in by_kpi[name]])
    for name, by_item in by_kpi.items():
        level = instruction_level(grade for some in by_item.values() for grade in some)
        if level.overall is not None:
            kpis[name]["instruction_level"] = level.to_json()
    slices = {
        f"{by}s": {part: {name: kpi.to_json() for name, kpi in table.items()}
                   for part, table in sliced(items, by_kpi, by=by).items()}
        for by in ("task", "cluster")
    }  # fmt: skip
    versions = {"machine": machine(), "libraries": library_versions(), "written": now()}
    write_json(out / "summary.json", {**facts, "kpis": kpis, **slices, **versions})


def read_evaluation(folder: Path) -> Evaluation:
    """What `evaluate` left in a folder. DataError when it is no finished evaluation."""
    path = folder / "summary.json"
    if not path.is_file():
        raise DataError(
            f"{folder} is not an evaluation",
            [Problem(where=str(path), found="no such file", expected="the summary of a finished evaluation",
                     fix="run `luthier evaluate --model DIR --data FILE --out DIR` first")],
        )  # fmt: skip
    completions: dict[str, list[Completion]] = {}
    for completion in read_records(folder / "completions.jsonl", Completion):
        completions.setdefault(completion.example_id, []).append(completion)
    ranked = folder / "rankings.jsonl"
    rankings = read_records(ranked, Ranking) if ranked.is_file() else ()
    return Evaluation(
        folder=folder,
        summary=json.loads(path.read_text(encoding="utf-8")),
        items={item.id: item for item in read_records(folder / "items.jsonl", Example)},
        completions=completions,
        rankings={ranking.example_id: ranking for ranking in rankings},
        grades=grades_by_item(read_records(folder / "grades.jsonl", Grade)),
    )


def _completions(
    suite: Suite, subject: Subject, sampling: Sampling, out: Path, say: Callable[[str], None]
) -> Kept[Completion]:
    key = content_id("completions", subject.model_id, subject.prompting, subject.made_by, asdict(sampling))
    shelf = Shelf(out / "completions.jsonl", Completion, key, rows_each=sampling.num_samples)
    return shelf.fill(suite.examples, lambda chunk: subject.generate(chunk, sampling), say=say)


def _rankings(suite: Suite, subject: Subject, out: Path, say: Callable[[str], None]) -> list[Ranking]:
    """Rankings of the items that have options; an older run's file goes when there is nothing to rank."""
    score = subject.score
    examples = [example for example in suite.examples if can_be_ranked(example)]
    path = out / "rankings.jsonl"
    if score is None or not examples:
        path.unlink(missing_ok=True)
        return []
    shelf = Shelf(path, Ranking, content_id("rankings", subject.model_id, subject.prompting, subject.made_by))
    return shelf.fill(examples, lambda chunk: rank_options(chunk, score, model_id=subject.model_id), say=say).rows


def _generation_facts(completions: Kept[Completion]) -> dict[str, Any]:
    rows, made = completions.rows, completions.made
    tokens_made = sum(len(completion.token_ids) for completion in made)
    return {
        "completions": len(rows),
        "reused": len(rows) - len(made),
        "tokens": sum(len(completion.token_ids) for completion in rows),
        "seconds": round(completions.seconds, 3),
        "tokens_per_s": round(tokens_made / completions.seconds, 1) if made and completions.seconds > 0 else None,
        "stopped_by_itself": sum(completion.finish_reason == "stop" for completion in rows) / len(rows),
        "empty": sum(not completion.text.strip() for completion in rows) / len(rows),
    }
