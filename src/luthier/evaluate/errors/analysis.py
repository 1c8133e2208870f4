"""The analysis of one evaluation: weak slices, kinds and groups of failures, and for each weak slice a proposed fix.

OUT/errors/errors.json       everything, as numbers and sentences
OUT/errors/candidates.jsonl  rows to add: looked-at items of confirmed weak slices with their accepted answers
OUT/errors/decisions.jsonl   training rows to drop, as `curate.decisions` takes them
OUT/errors/confirming.jsonl  the items that no row was made of: what the mended model is to be examined on
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.evaluate.errors.against import Evidence
from luthier.evaluate.errors.groups import Group, grouped
from luthier.evaluate.errors.halves import half_of, halves, own_links
from luthier.evaluate.errors.slices import Traits, request_of
from luthier.evaluate.errors.taxonomy import KINDS, Failure, OtherRequests, failure_of
from luthier.evaluate.errors.training_rows import Suspicious, TrainingFacts, TrainingRows
from luthier.evaluate.errors.weakness import MARGIN, MIN_ITEMS, RATE, Search, Weakness, find_weaknesses
from luthier.evaluate.evaluation import Evaluation
from luthier.records import Completion, Example, Message, write_records
from luthier.records.whole_files import write_text_whole
from luthier.runs import write_json
from luthier.stats.intervals import proportion_interval

FEWEST_ITEMS = 36
"""With fewer graded items there is nothing to split in two."""
RIGHT = 0.5
"""An answer of a lower grade is a failure."""
MOST_ADDED = 200
"""Rows that are proposed for one slice."""
NUM_EXAMPLES = 3
MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Failed:
    """One failed answer."""

    item: Example
    completion: Completion
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSlice:
    """A weak slice with all that is known of it."""

    weakness: Weakness
    looked_at: frozenset[str] = field(repr=False)
    """Ids of its items on the looked-at half."""
    failures: Mapping[str, int]
    """Failed answers of its looked-at items by kind."""
    training: TrainingFacts | None
    """None without training rows, and where the weakness is not confirmed."""
    added: tuple[Example, ...] = field(repr=False)
    """Rows to add."""
    dropped: tuple[Suspicious, ...] = field(repr=False)
    """Training rows to mend or drop."""

    @property
    def proposal(self) -> str:
        """The fix in a sentence; empty where nothing is proposed."""
        parts = []
        if self.dropped:
            parts.append(f"mend or drop {len(self.dropped)} training rows")
        if self.added:
            parts.append(f"add {len(self.added)} rows made of looked-at items")
        more = self.training.missing - len(self.added) if self.training else 0
        if more > 0:
            parts.append(f"write about {more} more of {self.weakness.slice.name}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnalysis:
    """What is weak, how it fails, and what to do."""

    kpi: str
    has_base: bool
    num_training: int
    search: Search
    num_answers: int
    """Answers that were graded."""
    failed: tuple[Failed, ...] = field(repr=False)
    weak: tuple[WeakSlice, ...]
    """Confirmed ones first, each kind by points lost."""
    groups: tuple[Group, ...]
    """Of the failed answers; members are positions in `failed`."""
    confirming: tuple[Example, ...] = field(repr=False)

    @property
    def confirmed(self) -> tuple[WeakSlice, ...]:
        """The weak slices that are reported."""
        return tuple(one for one in self.weak if one.weakness.is_confirmed)

    @property
    def candidates(self) -> tuple[Example, ...]:
        """Rows to add for all of them, each once."""
        return tuple({row.id: row for one in self.confirmed for row in one.added}.values())

    @property
    def dropped(self) -> tuple[Suspicious, ...]:
        """Rows to drop for all of them, each once."""
        return tuple({one.row.id: one for weak in self.confirmed for one in weak.dropped}.values())

    def lines(self) -> list[str]:
        """The analysis as text: one line a confirmed weakness."""
        kinds = self.kinds()
        worst = ", ".join(f"{kind} {kinds[kind]}" for kind in sorted(kinds, key=lambda k: -kinds[k]) if kinds[kind])
        head = [f"{len(self.failed):,} of {self.num_answers:,} answers failed: {worst}" if self.failed else
                f"none of {self.num_answers:,} answers failed"]  # fmt: skip
        if not self.confirmed:
            return [*head, f"no weak slice at a false-discovery rate of {self.search.rate:g} "
                           f"({self.search.num_slices} slices tested)"]  # fmt: skip
        return head + [_line(one) for one in self.confirmed]

    def kinds(self) -> dict[str, int]:
        """Failed answers by kind."""
        counted = Counter(one.failure.kind for one in self.failed)
        return {kind: counted[kind] for kind in KINDS}

    def to_json(self) -> dict[str, Any]:
        """errors.json."""
        shares = {kind: proportion_interval(count, self.num_answers).to_json() if self.num_answers else None
                  for kind, count in self.kinds().items()}  # fmt: skip
        return {
            "kpi": self.kpi, "false_discovery_rate": self.search.rate, "margin": self.search.margin,
            "slices": self.search.num_slices, "tests": self.search.num_tests, "items": dict(self.search.num_items),
            "compared_with_base": self.has_base, "training_rows": self.num_training, "answers": self.num_answers,
            "failures": {kind: {"count": count, "share": shares[kind]} for kind, count in self.kinds().items()},
            "weak_slices": [_weak_json(one) for one in self.confirmed],
            "not_confirmed": [_weak_json(one) for one in self.weak if not one.weakness.is_confirmed],
            "groups": [{"words": list(group.words), "count": len(group.members),
                        "items": [self.failed[k].item.id for k in group.members]} for group in self.groups],
            "failed": [{"item": one.item.id, "completion": one.completion.id, "source": one.item.source,
                        "half": half_of(one.item), "kind": one.failure.kind, "detail": one.failure.detail}
                       for one in self.failed],
        }  # fmt: skip


def analyse(
    evaluation: Evaluation, *, kpi: str, base: Evaluation | None = None, training: Sequence[Example] = (),
    rate: float = RATE, margin: float = MARGIN, min_items: int = MIN_ITEMS,
) -> ErrorAnalysis | None:  # fmt: skip
    """The analysis for one KPI of the evaluation; None for fewer than `FEWEST_ITEMS` graded items."""
    values = _values(evaluation, kpi)
    if len(values) < FEWEST_ITEMS:
        return None
    items = [item for item in evaluation.items.values() if item.id in values]
    traits = Traits([*items, *training])
    has_base = base is not None and kpi in base.grades
    search = find_weaknesses(items, values, traits, base=_values(base, kpi) if base is not None and has_base else None,
                             rate=rate, margin=margin, min_items=min_items)  # fmt: skip
    failed, num_answers = _failed(evaluation, items, kpi, OtherRequests.of([*items, *training]))
    sides = halves(items)
    is_needed = training and any(weakness.is_confirmed for weakness in search.found)
    rows = TrainingRows(training, sides.look, traits) if is_needed else None
    usable = _apart(sides.look, sides.confirm)
    weak = tuple(_weak(weakness, rows, sides.look, usable, traits, failed) for weakness in search.found)
    texts = [f"{request_of(one.item)}\n{one.completion.text}" for one in failed]
    return ErrorAnalysis(
        kpi=kpi, has_base=has_base, num_training=len(training), search=search, num_answers=num_answers,
        failed=tuple(failed), weak=weak, groups=tuple(grouped(texts)), confirming=sides.confirm,
    )  # fmt: skip


def write_analysis(analysis: ErrorAnalysis, folder: Path) -> None:
    """Write the four files into OUT/errors."""
    write_json(folder / "errors.json", analysis.to_json())
    write_records(folder / "candidates.jsonl", analysis.candidates)
    write_records(folder / "confirming.jsonl", analysis.confirming)
    write_text_whole(folder / "decisions.jsonl", "".join(_decision(one) + "\n" for one in analysis.dropped))


def candidate(item: Example) -> Example | None:
    """The item with its first accepted answer as a row to train on; None where it accepts none."""
    if not item.target:
        return None
    return Example.of(
        (*item.prompt, Message(role="assistant", content=item.target)), targets=item.targets, choices=item.choices,
        tools=item.tools, grading=item.grading, task=item.task, cluster=item.cluster, template=item.template,
        language=item.language, links=item.links, source=item.source, licence=item.licence, generator=item.generator,
    )  # fmt: skip


def _weak(
    weakness: Weakness, rows: TrainingRows | None, look: Sequence[Example], usable: frozenset[str], traits: Traits,
    failed: Sequence[Failed],
) -> WeakSlice:  # fmt: skip
    inside = [item for item in look if traits.is_in(item, weakness.slice)]
    ids = frozenset(item.id for item in inside)
    counted = Counter(one.failure.kind for one in failed if one.item.id in ids)
    facts: TrainingFacts | None = None
    added: tuple[Example, ...] = ()
    dropped: tuple[Suspicious, ...] = ()
    if weakness.is_confirmed:
        made = (candidate(item) for item in inside if item.id in usable)
        added = tuple(row for row in made if row is not None)[:MOST_ADDED]
        if rows is not None:
            facts = rows.facts(weakness.slice, within_tasks=weakness.looked.against == "like items")
            dropped = facts.suspicious
    return WeakSlice(
        weakness=weakness, looked_at=ids, failures={kind: counted[kind] for kind in KINDS if counted[kind]},
        training=facts, added=added, dropped=dropped,
    )  # fmt: skip


def _apart(look: Sequence[Example], confirm: Sequence[Example]) -> frozenset[str]:
    """Looked-at items that share neither prompt nor row nor conversation with an item of the other half."""
    prompts = {_prompt(item) for item in confirm}
    links = {link for item in confirm for link in own_links(item)}
    return frozenset(item.id for item in look if _prompt(item) not in prompts and not links & set(own_links(item)))


def _prompt(item: Example) -> str:
    return " ".join(" ".join(message.content for message in item.prompt).casefold().split())


def _values(evaluation: Evaluation, kpi: str) -> dict[str, float]:
    return {item_id: value for item_id, value in evaluation.values(kpi).items() if value is not None}


def _failed(
    evaluation: Evaluation, items: Sequence[Example], kpi: str, others: OtherRequests
) -> tuple[list[Failed], int]:
    """Failed answers in the order of the items, and how many answers were graded."""
    found, count = [], 0
    for item in items:
        texts = {completion.id: completion for completion in evaluation.completions.get(item.id, ())}
        for grade in evaluation.grades[kpi].get(item.id, ()):
            if grade.value is None or grade.completion_id not in texts:
                continue
            count += 1
            if grade.value < RIGHT:
                completion = texts[grade.completion_id]
                found.append(Failed(item, completion, failure_of(item, completion, others=others, reason=grade.reason)))
    return found, count


def _line(one: WeakSlice) -> str:
    said = one.weakness.confirmed
    assert said is not None
    why = f" | {one.training.diagnosis[0]}" if one.training and one.training.diagnosis else ""
    return (
        f"weak: {one.weakness.slice.name} | {said.score:.3f} where {said.expected:.3f} was expected of "
        f"{said.against} | {one.weakness.num_items} items, {one.weakness.points_lost:.1f} lost | "
        f"{one.proposal or 'no fix known'}{why}"
    )


def _weak_json(one: WeakSlice) -> dict[str, Any]:
    weakness, facts = one.weakness, one.training
    return {
        "slice": [{"kind": kind, "value": value} for kind, value in weakness.slice.parts],
        "name": weakness.slice.name, "also_named": list(weakness.also_named), "explains": list(weakness.wider),
        "items": weakness.num_items, "points_lost": weakness.points_lost,
        "looked_at": _evidence_json(weakness.looked),
        "confirming": _evidence_json(weakness.confirmed) if weakness.confirmed else None,
        "failures": dict(one.failures),
        "training": None if facts is None else {
            "rows_of_slice": facts.num_in_slice, "rows_like_it": facts.num_like, "expected": facts.expected,
            "nearest": [{"id": near.row.id, "source": near.row.source, "similarity": near.similarity,
                         "request": request_of(near.row)[:MOST_CHARACTERS],
                         "answer": (near.row.target or "")[:MOST_CHARACTERS]} for near in facts.nearest],
        },
        "diagnosis": list(facts.diagnosis) if facts else [],
        "fix": {
            "proposal": one.proposal,
            "add": [row.id for row in one.added],
            "mend_or_drop": [{"id": bad.row.id, "source": bad.row.source, "reason": bad.reason} for bad in one.dropped],
            "write_more": max(0, facts.missing - len(one.added)) if facts else 0,
            "examples": [{"request": request_of(row)[:MOST_CHARACTERS], "answer": (row.target or "")[:MOST_CHARACTERS]}
                         for row in one.added[:NUM_EXAMPLES]],
        },
    }  # fmt: skip


def _evidence_json(said: Evidence) -> dict[str, Any]:
    return {"against": said.against, "p": said.p, "score": said.score, "expected": said.expected, "n": said.n,
            "deficit": said.deficit.to_json()}  # fmt: skip


def _decision(one: Suspicious) -> str:
    return json.dumps({"id": one.row.id, "decision": "drop", "reason": one.reason, "source": one.row.source})

