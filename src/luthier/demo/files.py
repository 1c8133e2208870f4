"""The practice data on disk: messy training files, evaluation suites, preferences, plain text, prompts with rewards.

Trained are the tasks that the collection lets one train when the first of its choices of clusters is held out, by rows
of the train side and by templates that are not kept for evaluation. Suites are made of rows of the test side.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from luthier.demo.collection import practice_collection
from luthier.demo.preferences import preference_line
from luthier.demo.raw import LEAKED_FILE, Source, write_raw_files
from luthier.demo.rewards import REWARD_TASKS
from luthier.demo.rows import (
    Prompts,
    Row,
    Side,
    TemplatesOf,
    of_many_turns,
    of_one_turn,
    plain_templates,
    trained_templates,
    unseen_templates,
)
from luthier.demo.text import documents
from luthier.tasks.task import Task

PREFERENCE_ROWS = 402
"""A multiple of the three kinds of rejected answer."""

PLAIN_DOCUMENTS = 200
RL_TRAIN_ROWS = 200
RL_HELD_OUT_ROWS = 100

DOCUMENT_GAP = "\n\n\n\n"
"""Stands between the documents of plain.txt; no document has as many line breaks in a row."""

_HELD_OUT_TEXT = 1_000_000
_MIXED_TEXT = 2_000_000
"""Added to the seed of the plain texts: seeds for pre-training are smaller, so all of these texts differ."""


@dataclass(frozen=True, slots=True)
class PracticeFiles:
    """Where everything was written."""

    raw: tuple[Path, ...]
    """The training files, each in another shape."""
    truth: Path
    """What was planted in the raw files, counted."""
    leaked: Path
    """Training rows that give away prompts of the suites, to see that they are found; never to be trained on."""
    unseen_phrasings: Path
    """Trained tasks in templates that no training row uses."""
    unseen_tasks: Path
    """Tasks that no training row has: of trained clusters and of held-out clusters."""
    preferences: Path
    plain: Path
    """Documents that no training should have read, to measure forgetting."""
    plain_mixed: Path
    """Other documents, to mix into tuning so that less is forgotten."""
    rl_train: Path
    rl_held_out: Path


@dataclass(frozen=True, slots=True)
class PracticeTasks:
    """The practice tasks by what is done with them."""

    trained: tuple[Task, ...]
    unseen: tuple[Task, ...]
    """Tasks of held-out clusters, and the unseen tasks of trained ones."""


def practice_tasks() -> PracticeTasks:
    """What is trained and what is not; tasks that are too near to a held-out cluster are neither."""
    collection = practice_collection()
    clusters = collection.held_out[0]
    of_clusters = {task.name for task in collection.members(clusters)}
    return PracticeTasks(
        trained=collection.trainable(clusters),
        unseen=tuple(t for t in collection.tasks if t.name in of_clusters or t.name in collection.held_out_tasks),
    )


@dataclass(frozen=True, slots=True)
class _Streams:
    """A stream of rows for each file, so that a longer file does not change the others."""

    seed: int
    prompts: Prompts

    def random(self, name: str) -> Random:
        return Random(f"practice data {self.seed} {name}")

    def rows(self, name: str, tasks: Iterable[Task], templates: TemplatesOf, side: Side, count: int) -> list[Row]:
        return list(islice(self.prompts.rows(self.random(name), tuple(tasks), templates, side=side), count))


def write_practice_data(folder: Path, *, seed: int, train_rows: int = 6000, items_per_task: int = 8) -> PracticeFiles:
    """Write all practice files into the folder; the same arguments give the same bytes.

    `train_rows` counts the good rows of the raw files; duplicates and broken rows come on top. Suites are drawn first,
    so they do not change with `train_rows`, and no prompt occurs in two of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    collection, tasks = practice_collection(), practice_tasks()
    streams = _Streams(seed, Prompts())
    unseen, trained = unseen_templates(collection), trained_templates(collection)
    phrasings, of_tasks = items_per_task * len(tasks.trained), items_per_task * len(tasks.unseen)
    suites = {
        "unseen_phrasings": streams.rows("unseen phrasings", tasks.trained, unseen, "test", phrasings),
        "unseen_tasks": streams.rows("unseen tasks", tasks.unseen, plain_templates, "test", of_tasks),
        "rl_held_out": streams.rows("held-out rewards", REWARD_TASKS, plain_templates, "test", RL_HELD_OUT_ROWS),
        "rl_train": streams.rows("rewards", REWARD_TASKS, plain_templates, "train", RL_TRAIN_ROWS),
    }
    paths = {
        name: _write_lines(folder / f"{name}.jsonl", (row.as_suite_line() for row in rows))
        for name, rows in suites.items()
    }
    preferred = streams.rows("preferences", tasks.trained, trained, "train", PREFERENCE_ROWS)
    errors = streams.random("errors")
    lines = (preference_line(errors, row, index) for index, row in enumerate(preferred))
    preferences = _write_lines(folder / "preferences.jsonl", lines)
    mixed = ({"text": text} for text in documents(seed + _MIXED_TEXT, PLAIN_DOCUMENTS))
    raw, truth = _write_raw(folder, streams, tasks.trained, trained, train_rows, suites)
    return PracticeFiles(
        raw=raw,
        truth=truth,
        leaked=folder / LEAKED_FILE,
        preferences=preferences,
        plain=_write_plain(folder / "plain.txt", seed + _HELD_OUT_TEXT),
        plain_mixed=_write_lines(folder / "plain_mixed.jsonl", mixed),
        **paths,
    )


def _write_raw(
    folder: Path, streams: _Streams, tasks: tuple[Task, ...], templates: TemplatesOf, count: int,
    suites: dict[str, list[Row]],
) -> tuple[tuple[Path, ...], Path]:  # fmt: skip
    """The raw files with the leaked rows beside them, and their truth."""
    draw = streams.prompts.rows
    talking = [task for task in tasks if of_many_turns(templates(task))]
    rows = draw(streams.random("raw rows"), tasks, lambda task: of_one_turn(templates(task)), side="train")
    talks = draw(streams.random("raw talks"), talking, lambda task: of_many_turns(templates(task)), side="train")
    asked = [Source.of(row) for name in ("unseen_phrasings", "unseen_tasks") for row in suites[name]]
    return write_raw_files(
        folder / "raw", streams.random("raw faults"), map(Source.of, rows), count,
        talks=map(Source.of, talks), held_out=[source for source in asked if not source.before],
    )  # fmt: skip


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _write_plain(path: Path, seed: int) -> Path:
    text = DOCUMENT_GAP.join(documents(seed, PLAIN_DOCUMENTS))
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path
