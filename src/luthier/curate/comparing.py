"""The steps that compare rows. Each reads columns of the table, and merges, drops or flags records.

To add one, write a function like these, give it a line in SET_STEPS, and its name to `config.StepName`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from luthier.curate.config import CurateConfig, StepName
from luthier.curate.duplicates import first_of
from luthier.curate.gathered import Gathered, NearPairs
from luthier.curate.labels.step import ANSWERS, check_labels
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
CONTRADICTION = "preferences that contradict each other"
SHOWN_CHARACTERS = 400
SHOWN_ROWS = 20
"""Of the rows of one conflict so many are written down; the others are counted."""
NAMED_ROWS = 3
"""A flag names so many of the other rows."""


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
    doubted: list[tuple[np.ndarray, str]] = field(default_factory=list)
    """Records that are to be dropped if they come into train, and the rule."""


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
    # An evaluation stays as its owner wrote it: only rows to learn are merged.
    is_alike = (kind[left] == kind[right]) & table.is_learnt[left] & table.is_learnt[right]
    same = pairs.chosen(~pairs.is_conflict & is_alike & table.is_kept[left] & table.is_kept[right])
    if work.config.near.action == "flag":
        _flag_near(table, same)
    else:
        _keep_best(table, same, work.config.near.keep, _spoilt(table, work))


def handle_leaks(table: Gathered, work: Comparison) -> None:
    """Drop or flag rows that hold a question of an evaluation; count for each evaluation how much of it was found."""
    hit: dict[str, dict[str, int]] = {file: {} for file in work.questions}
    rows_of: dict[str, set[int]] = {file: set() for file in work.questions}
    gone = []
    for start, shard in zip(table.starts, table.shards, strict=False):
        for number, match in shard.lines("leaks"):
            row = int(start) + number
            if not table.is_kept[row]:
                continue
            file = match["name"].rpartition(":")[0]
            rows_of[file].add(row)
            hit[file][match["name"]] = match["copies"]  # a question that stands there twice is two that were found
            where = table.where(row)
            work.leaks.append({"where": where, "id": table.id(row), "question": match["name"],
                               "share": match["share"], "text": match["text"]})  # fmt: skip
            gone.append(row)
            if work.config.leaks.action == "flag":
                table.flag(row, "leaks", LEAK, f"{match['name']}: {match['text'][:SHOWN_CHARACTERS]}")
    if work.config.leaks.action == "drop":
        table.drop(np.array(gone, np.int64), LEAK)
    found = {file: sum(names.values()) for file, names in hit.items()}
    work.facts["leaks"] = {
        file: {"questions": count, "found": found[file], "share": round(found[file] / max(1, count), 4),
               "contaminated": found[file] > CONTAMINATED * count, "rows": len(rows_of[file])}
        for file, count in work.questions.items()
    }  # fmt: skip


def report_conflicts(table: Gathered, work: Comparison) -> None:
    """Write down and flag prompts that have different answers, and preferences that contradict each other.

    Answers may all be right, and of two people who prefer differently nobody is wrong: none is dropped.
    """
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
    against = _contradictions(table)
    work.facts["conflicts"] = {"prompts": len(found), "answers": sum(len(rows) for rows in found.values()),
                               "preferences": sum(len(rows) for rows in against)}  # fmt: skip
    for rule, said, groups in ((CONFLICT, "another answer in", found.values()),
                               (CONTRADICTION, "the other way round in", against)):  # fmt: skip
        for some in groups:
            more = {"more": len(some) - SHOWN_ROWS} if len(some) > SHOWN_ROWS else {}
            work.conflicts.append({"rows": [_shown(table, row) for row in some[:SHOWN_ROWS]], **more})
            for row in some:
                others = islice((table.where(other) for other in some if other != row), NAMED_ROWS)
                table.flag(row, "conflicts", rule, f"{said} {', '.join(others)}")


def judge_answers(table: Gathered, work: Comparison) -> None:
    """Flag faulty answers, and labels that the other rows of their task speak against; remember which are to go.

    They go when it is known where: an evaluation without the rows that are hard to judge would flatter.
    """
    before = table.is_kept.copy()
    work.facts["labels"] = check_labels(table, action=work.config.labels.action)
    gone = np.flatnonzero(before & ~table.is_kept)
    work.doubted += [(gone[table.rule[gone] == rule], table.rules[rule]) for rule in np.unique(table.rule[gone])]
    table.revive(gone)


def drop_doubted(table: Gathered, work: Comparison, trained: np.ndarray) -> np.ndarray:
    """Drop what `judge_answers` found among the rows that are trained on, [N] bool; returns their numbers."""
    dropped = [np.zeros(0, np.int64)]
    for rows, rule in work.doubted:
        dropped.append(rows[(trained & table.is_kept)[rows]])
        table.drop(dropped[-1], rule)
    return np.concatenate(dropped)


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
    is_held[group[table.is_held]] = True
    is_asked = np.zeros(len(table), bool)
    left, right = group[pairs.rows[pairs.is_conflict]].T
    is_asked[left[is_held[right]]] = is_asked[right[is_held[left]]] = True
    for found, rule in ((is_held, NEAR_HELD_OUT), (is_asked, ASKS_HELD_OUT)):
        table.drop(np.flatnonzero(table.is_kept & table.is_learnt & found[group]), rule)


def _spoilt(table: Gathered, work: Comparison) -> np.ndarray:
    """Rows that a later step may drop for what stands in them: a good row must not go into one of these. [N] bool"""
    found = np.zeros(len(table), bool)
    if "labels" in work.config.steps:
        found |= table.told(ANSWERS) & ~table.told("settled")
    if "leaks" in work.config.steps:
        found |= table.told("leaks")
    return found


def _keep_best(table: Gathered, pairs: NearPairs, rule: str, is_spoilt: np.ndarray) -> None:
    """Merge each group of near-duplicates into one row of it: one that is not spoilt where there is one, of these the
    rule chooses which, and ties go to the first."""
    if not len(pairs.rows):
        return
    group = connected(len(table), pairs.rows)
    rows = np.unique(pairs.rows)
    worse = table.column("is_cut") if rule == "first" else -table.column("answer_chars")
    order = rows[np.lexsort((rows, worse[rows], is_spoilt[rows], group[rows]))]
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


def _contradictions(table: Gathered) -> list[list[int]]:
    """Groups of preferences on one prompt: some prefer one answer to another, the others that to this."""
    rows = np.flatnonzero(table.is_kept & table.column("is_preference"))
    first = first_of(table.column("prompt")[rows])
    is_alone = np.bincount(first, minlength=len(rows))[first] == 1
    found: dict[tuple[int, str, str], tuple[list[int], list[int]]] = {}
    for prompt, row in zip(first[~is_alone].tolist(), rows[~is_alone].tolist(), strict=True):
        record = table.record(row)
        chosen, rejected = (" ".join(record[name].split()) for name in ("chosen", "rejected"))
        one, other = sorted((chosen, rejected))
        found.setdefault((prompt, one, other), ([], []))[chosen == one].append(row)
    return [sorted([*left, *right]) for left, right in found.values() if left and right]


def _answer(example: Mapping[str, Any]) -> str:
    """The answer of an example as its file holds it; of one that ends with calls, the calls."""
    if targets := example.get("targets"):
        return str(targets[0])
    calls = [call["function"] for call in example["messages"][-1].get("tool_calls", ())]
    return " ".join(f"{call['name']}({call['arguments']})" for call in calls)


def _shown(table: Gathered, row: int) -> dict[str, Any]:
    """A row of a conflict, with its texts cut to what a person reads at a glance."""
    record = table.record(row)
    is_preference = "chosen" in record
    turns: Iterable[Mapping[str, Any]] = record["prompt"] if is_preference else record["messages"]
    asked = [turn["content"] for turn in turns if turn["role"] == "user"][-1:] or [""]
    answer = record["chosen"] if is_preference else _answer(record)
    return {"where": table.where(row), "id": record["id"], "prompt": asked[0][:SHOWN_CHARACTERS],
            "answer": answer[:SHOWN_CHARACTERS]}  # fmt: skip
