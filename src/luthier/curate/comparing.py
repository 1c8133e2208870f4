"""The steps that compare rows. Each reads columns of the table, and merges, drops or flags records.

To add one, write a function like these, give it a line in SET_STEPS, and its name to `config.StepName`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luthier.curate.config import CurateConfig, StepName
from luthier.curate.duplicates import first_of
from luthier.curate.gathered import Gathered, NearPairs
from luthier.curate.labelling import check_labels
from luthier.curate.split import connected
from luthier.similarity.near import Sketches, near_duplicates

Say = Callable[[str], None]
DUPLICATE = "duplicate"
NEAR_DUPLICATE = "near-duplicate"
NEAR_HELD_OUT = "near-duplicate of a held-out row"
ASKS_HELD_OUT = "prompt near a held-out prompt"
LEAK = "holds a question of an evaluation"
CONFLICT = "one prompt, different answers"
BYTES_A_KEY = 64
"""What sorting takes for one key of 16 bytes."""
CONTAMINATED = 0.02
"""An evaluation is contaminated from this share of its questions on (Tulu 3, arXiv:2411.15124)."""
SHOWN_CHARACTERS = 400


@dataclass(slots=True)
class Comparison:
    """What the steps share: the options, and what they write down besides fates."""

    config: CurateConfig
    allow_overlap: bool
    questions: Mapping[str, int]
    """How many questions each evaluation file has."""
    say: Say
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    """The lines of conflicts.jsonl."""
    leaks: list[dict[str, Any]] = field(default_factory=list)
    """The lines of leaks.jsonl."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the ledger, by step."""


def merge_exact(table: Gathered, work: Comparison) -> None:
    """Rows that say the same go into the first of them; rows to learn and rows to evaluate on apart."""
    keys = table.column("exact")
    most = work.config.memory_mb and work.config.memory_mb * 2**20 // (4 * BYTES_A_KEY)
    for side in (table.is_learnt, ~table.is_learnt):
        rows = np.flatnonzero(table.is_kept & side)
        first = rows[first_of(keys[rows], most_rows=most)]
        gone = first != rows
        table.merge(rows[gone], first[gone], DUPLICATE)


def merge_near(table: Gathered, work: Comparison) -> None:
    """Of rows that say nearly the same the best stays; near a held-out row none is learnt."""
    table.near = pairs = _near_pairs(table, work)
    work.facts["near"] = {"pairs": int((~pairs.is_conflict).sum()), "conflicting_pairs": int(pairs.is_conflict.sum())}
    if not table.is_learnt.all() and not work.allow_overlap:
        _drop_near_held_out(table, pairs)
    kind = table.column("is_preference")
    left, right = pairs.rows[:, 0], pairs.rows[:, 1]
    is_alike = (kind[left] == kind[right]) & (table.is_learnt[left] == table.is_learnt[right])
    same = pairs.chosen(~pairs.is_conflict & is_alike & table.is_kept[left] & table.is_kept[right])
    if work.config.near.action == "flag":
        _flag_near(table, same)
    else:
        _keep_best(table, same, work.config.near.keep)


def handle_leaks(table: Gathered, work: Comparison) -> None:
    """Drop or flag rows that hold a question of an evaluation; count for each evaluation how much of it was found."""
    hit: dict[str, set[str]] = {file: set() for file in work.questions}
    rows_of: Counter[str] = Counter()
    gone = []
    for start, shard in zip(table.starts, table.shards, strict=False):
        for number, match in shard.lines("leaks"):
            row = int(start) + number
            if not table.is_kept[row]:
                continue
            file = match["name"].rpartition(":")[0]
            rows_of[file] += 1
            hit[file].add(match["name"])
            where = table.where(row)
            work.leaks.append({"where": where, "id": table.id(row), "question": match["name"],
                               "share": match["share"], "text": match["text"]})  # fmt: skip
            gone.append(row)
            if work.config.leaks.action == "flag":
                table.flag(row, "leaks", LEAK, f"{match['name']}: {match['text'][:SHOWN_CHARACTERS]}")
    if work.config.leaks.action == "drop":
        table.drop(np.array(gone, np.int64), LEAK)
    work.facts["leaks"] = {
        file: {"questions": count, "found": len(hit[file]), "share": round(len(hit[file]) / max(1, count), 4),
               "contaminated": len(hit[file]) > CONTAMINATED * count, "rows": rows_of[file]}
        for file, count in work.questions.items()
    }  # fmt: skip


def report_conflicts(table: Gathered, work: Comparison) -> None:
    """Write down and flag prompts that have different answers. They may be right: none is dropped."""
    answers, prompts = table.column("answer"), table.column("prompt")
    rows = np.flatnonzero(table.is_kept & (answers != 0))
    first = rows[first_of(prompts[rows])]
    near = table.end_of()[table.near.rows[table.near.is_conflict]]
    near = near[(table.is_kept & (answers != 0))[near].all(axis=1)]
    group = connected(len(table), np.concatenate([np.stack([first, rows], axis=1), near]))
    # One row of each answer to each prompt; then the groups that are left with several.
    order = rows[np.lexsort((rows, answers[rows], group[rows]))]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (group[order[1:]] != group[order[:-1]]) | (answers[order[1:]] != answers[order[:-1]])
    kept = np.sort(order[is_new])
    found: dict[int, list[int]] = {}
    sizes = np.bincount(group[kept], minlength=1)
    for row in kept[sizes[group[kept]] > 1]:
        found.setdefault(int(group[row]), []).append(int(row))
    work.facts["conflicts"] = {"prompts": len(found), "answers": sum(len(rows) for rows in found.values())}
    for some in found.values():
        work.conflicts.append({"rows": [_shown(table, row) for row in some]})
        for row in some:
            others = [table.where(other) for other in some if other != row][:3]
            table.flag(row, "conflicts", CONFLICT, f"another answer in {', '.join(others)}")


def judge_answers(table: Gathered, work: Comparison) -> None:
    """Flag or drop faulty answers, and labels that the other rows of their task speak against."""
    work.facts["labels"] = check_labels(table, action=work.config.labels.action)


SetStep = Callable[[Gathered, Comparison], None]
SET_STEPS: Mapping[StepName, SetStep] = {
    "exact": merge_exact,
    "near": merge_near,
    "leaks": handle_leaks,
    "conflicts": report_conflicts,
    "labels": judge_answers,
}


def _near_pairs(table: Gathered, work: Comparison) -> NearPairs:
    """The pairs among the rows that are kept so far."""
    parts = [Sketches.open(shard.folder / "near") for shard in table.shards]
    found = near_duplicates(parts, jaccard=work.config.near.jaccard, say=lambda line: work.say(f"curate | {line}"))
    pairs = NearPairs(found.pairs, found.similarity, found.verdict == "conflict")
    return pairs.chosen(table.is_kept[pairs.rows].all(axis=1))


def _drop_near_held_out(table: Gathered, pairs: NearPairs) -> None:
    """Leave out what is near a held-out row, through however many rows, and what asks nearly what one asks."""
    group = connected(len(table), pairs.rows[~pairs.is_conflict])
    is_held = np.zeros(len(table), bool)  # by group, of which there are at most as many as rows
    is_held[group[~table.is_learnt]] = True
    is_asked = np.zeros(len(table), bool)
    left, right = group[pairs.rows[pairs.is_conflict]].T
    is_asked[left[is_held[right]]] = is_asked[right[is_held[left]]] = True
    for found, rule in ((is_held, NEAR_HELD_OUT), (is_asked, ASKS_HELD_OUT)):
        table.drop(np.flatnonzero(table.is_kept & table.is_learnt & found[group]), rule)


def _keep_best(table: Gathered, pairs: NearPairs, rule: str) -> None:
    """Merge each group of near-duplicates into one row of it: the rule chooses which, ties go to the first."""
    if not len(pairs.rows):
        return
    group = connected(len(table), pairs.rows)
    rows = np.unique(pairs.rows)
    worse = table.column("is_cut") if rule == "first" else -table.column("answer_chars")
    order = rows[np.lexsort((rows, worse[rows], group[rows]))]
    begins = np.ones(len(order), bool)
    begins[1:] = group[order[1:]] != group[order[:-1]]
    best = np.full(int(group.max()) + 1, -1, np.int64)
    best[group[order[begins]]] = order[begins]
    gone = order[~begins]
    table.merge(gone, best[group[gone]], NEAR_DUPLICATE, _similarity(gone, best[group[gone]], pairs))


def _similarity(rows: np.ndarray, into: np.ndarray, pairs: NearPairs) -> np.ndarray:
    """Of each row with the row it went into; of rows tied to that through others only, their strongest tie."""
    strongest: dict[int, float] = {}
    direct: dict[tuple[int, int], float] = {}
    for (left, right), value in zip(pairs.rows.tolist(), pairs.similarity.tolist(), strict=True):
        direct[left, right] = direct[right, left] = value
        strongest[left] = max(value, strongest.get(left, 0.0))
        strongest[right] = max(value, strongest.get(right, 0.0))
    return np.array([
        direct.get((row, target), strongest[row]) for row, target in zip(rows.tolist(), into.tolist(), strict=True)
    ])  # fmt: skip


def _flag_near(table: Gathered, pairs: NearPairs) -> None:
    for (left, right), value in zip(pairs.rows.tolist(), pairs.similarity.tolist(), strict=True):
        for row, other in ((left, right), (right, left)):
            table.flag(row, "near", NEAR_DUPLICATE, f"{value:.2f} like {table.where(other)}")


def _shown(table: Gathered, row: int) -> dict[str, Any]:
    """A row of a conflict, with its texts cut to what a person reads at a glance."""
    record = table.record(row)
    messages = [message for message in record["messages"] if message["role"] == "user"]
    asked = messages[-1]["content"] if messages else ""
    return {"where": table.where(row), "id": record["id"], "prompt": asked[:SHOWN_CHARACTERS],
            "answer": record["targets"][0][:SHOWN_CHARACTERS]}  # fmt: skip
