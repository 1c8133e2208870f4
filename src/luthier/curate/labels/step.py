"""The step that looks at answers: as labels of a task with options, by what the other rows say, and as free text.

Workers look at one row at a time: what is wrong with its answer as a text, and by which hashes it belongs to a task.
The driver finds the tasks by the hashes alone and fetches the texts of one task after another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from luthier.curate.gathered import Gathered
from luthier.curate.labels.answers import answer_faults
from luthier.curate.labels.groups import (
    Group,
    LabelKeys,
    LabelRow,
    found_groups,
    group_name,
    keys_of,
    label_row,
    options_of,
)
from luthier.curate.labels.suspects import MOST_AT_ONCE, SURE, Judgement, judge_labels
from luthier.curate.shapes.making import Record
from luthier.languages import identify
from luthier.records import Example
from luthier.records.jsonl import from_json

STEP: Literal["labels"] = "labels"
ANSWERS = "answers"
"""The lines of a shard that say what is wrong with an answer."""
WRONG_LABEL = "label is probably wrong"
FAULTY_ANSWER = "faulty answer"
LEARNT, EVALUATED = "data.files", "data.held_out"
_ENTRIES, _OPTIONS = "labels.npy", "options.npy"


def label_keys(records: Sequence[Record], *, first: int) -> LabelKeys:
    """By what the records, numbered from `first` on, belong to tasks with options."""
    rows = {}
    for number, record in enumerate(records, start=first):
        if isinstance(record, Example) and (row := label_row(record)) is not None:
            rows[number] = row
    return keys_of(rows)


def faulty_answers(records: Sequence[Record], *, first: int) -> Iterator[tuple[int, dict[str, str]]]:
    """The records, numbered from `first` on, whose answer is faulty as a text: by each reason the answer, cut."""
    for number, record in enumerate(records, start=first):
        if isinstance(record, Example) and (faults := answer_faults(record, guess=identify)):
            yield number, faults


def save_keys(folder: Path, parts: Sequence[LabelKeys]) -> None:
    """Write the keys of a shard to its folder."""
    keys = LabelKeys.joined(parts, [0] * len(parts))
    np.save(folder / _ENTRIES, keys.entries)
    np.save(folder / _OPTIONS, keys.options)


def check_labels(table: Gathered, *, action: Literal["flag", "drop"]) -> dict[str, Any]:
    """Flag or drop rows with a faulty answer or a label that is probably wrong; returns the facts for the ledger.

    What a person decided to keep is left alone, and what is only evaluated on is flagged and never dropped: an
    evaluation without the rows that a classifier finds hard would flatter. Of the suspects only those are dropped whose
    label is more probably wrong than right. All are flagged, so that one whose fate is changed has its reason.
    """
    is_open = table.is_kept & ~table.told("settled")
    may_drop = table.is_learnt if action == "drop" else np.zeros(len(table), bool)
    counts = _handle_answers(table, is_open, may_drop)
    tasks = []
    keys = _read_keys(table)
    for name, side in ((LEARNT, table.is_learnt), (EVALUATED, ~table.is_learnt)):
        mine = keys.chosen((table.is_kept & side)[keys.entries["row"]])
        for group in found_groups(mine):
            task, found = _judged(table, group)
            _handle_suspects(table, task, group, found, is_open, may_drop)
            tasks.append({
                "task": task, "of": name, "rows": len(group.rows), "skill": round(found.skill, 3),
                "suspects": sum(bool(is_open[group.rows[suspect.index]]) for suspect in found.suspects),
                "note": found.note,
            })  # fmt: skip
    return {"answers": dict(sorted(counts.items())), "suspects": sum(task["suspects"] for task in tasks),
            "tasks": tasks}  # fmt: skip


class _Texts:
    """The texts of a group, each fetched when it is asked for."""

    def __init__(self, table: Gathered, rows: Sequence[int]) -> None:
        self.table, self.rows = table, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int, /) -> str:
        return _label_row(self.table, self.rows[row]).text


def _judged(table: Gathered, group: Group) -> tuple[str, Judgement]:
    """The name of a group and what can be said of its labels."""
    rows = group.rows.tolist()
    texts: list[str] = []
    labels: list[str] = []
    listed: list[tuple[str, ...]] = []
    known: dict[Any, Any] = {}  # one object for each different label and list of options
    for row in rows:
        found = _label_row(table, row)
        labels.append(known.setdefault(found.label, found.label))
        listed.append(known.setdefault(found.options, found.options))
        if len(rows) <= MOST_AT_ONCE:
            texts.append(found.text)
    name = group_name(group.way, _label_row(table, rows[0]), labels)
    return name, judge_labels(texts or _Texts(table, rows), labels, options=options_of(listed, labels))


def _handle_suspects(
    table: Gathered, task: str, group: Group, found: Judgement, is_open: np.ndarray, may_drop: np.ndarray
) -> None:
    """Flag the suspects of a task, best first, and drop those that are sure enough."""
    gone = []
    for suspect in found.suspects:
        row = int(group.rows[suspect.index])
        if not is_open[row]:
            continue
        if may_drop[row] and suspect.confidence >= SURE:
            gone.append(row)
        detail = f"{suspect.confidence:.2f} that {suspect.given!r} is wrong; likely {suspect.likely!r}, by {task}"
        table.flag(row, STEP, WRONG_LABEL, detail)
    table.drop(np.array(gone, np.int64), WRONG_LABEL)


def _handle_answers(table: Gathered, is_open: np.ndarray, may_drop: np.ndarray) -> Counter[str]:
    """Flag, and perhaps drop, what the workers found in answers; returns how often each reason was given."""
    counts: Counter[str] = Counter()
    gone = []
    for start, shard in zip(table.starts.tolist(), table.shards, strict=False):
        for number, faults in shard.lines(ANSWERS):
            row = start + number
            if not is_open[row]:
                continue
            counts.update(faults.keys())
            if may_drop[row]:
                gone.append(row)
            for reason, answer in faults.items():
                table.flag(row, STEP, reason, answer)
    table.drop(np.array(gone, np.int64), FAULTY_ANSWER)
    return counts


def _read_keys(table: Gathered) -> LabelKeys:
    parts = [LabelKeys(np.load(shard.folder / _ENTRIES), np.load(shard.folder / _OPTIONS)) for shard in table.shards]
    return LabelKeys.joined(parts, table.starts[:-1].tolist())


def _label_row(table: Gathered, row: int) -> LabelRow:
    found = label_row(from_json(Example, table.record(row)))
    assert found is not None, "a record with keys is a row with a label"
    return found
