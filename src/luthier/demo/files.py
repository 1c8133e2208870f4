"""The practice data on disk: messy training files, evaluation suites, preferences, plain text, prompts with rewards."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from luthier.demo.preferences import preference_line
from luthier.demo.raw import write_raw_files
from luthier.demo.rows import Prompts, Row, all_templates, seen_templates, unseen_templates
from luthier.demo.tasks import HELD_OUT_TASKS, REWARD_TASKS, TASKS, TRAINED_TASKS
from luthier.demo.text import documents

PREFERENCE_ROWS = 402
"""A multiple of the three kinds of rejected answer."""

PLAIN_DOCUMENTS = 200
RL_TRAIN_ROWS = 200
RL_HELD_OUT_ROWS = 100

DOCUMENT_GAP = "\n\n\n\n"
"""Stands between the documents of plain.txt; no document has as many line breaks in a row."""

_HELD_OUT_TEXT = 1_000_000
"""Added to the seed of the held-out plain text: seeds for pre-training are smaller, so the texts differ."""


@dataclass(frozen=True, slots=True)
class PracticeFiles:
    """Where everything was written."""

    raw: tuple[Path, ...]
    """The training files, each in another shape."""
    truth: Path
    """What was planted in the raw files, counted."""
    unseen_phrasings: Path
    """Trained tasks in templates that no training row uses."""
    unseen_tasks: Path
    """Tasks that no training row has: of trained clusters and of held-out clusters."""
    preferences: Path
    plain: Path
    """Documents that no pre-training run should have read, to measure forgetting."""
    rl_train: Path
    rl_held_out: Path


def write_practice_data(folder: Path, *, seed: int, train_rows: int = 3000, items_per_task: int = 20) -> PracticeFiles:
    """Write all practice files into the folder; the same arguments give the same bytes.

    `train_rows` counts the good rows of the raw files; duplicates and broken rows come on top. Suites are drawn first,
    so they do not change with `train_rows`, and no prompt occurs in two of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prompts = Prompts()

    def stream(name: str) -> Random:
        # A stream for each file: a longer file does not change the others.
        return Random(f"practice data {seed} {name}")

    held_out = [task for task in TASKS if task.name in HELD_OUT_TASKS]
    phrasings = prompts.rows(stream("unseen phrasings"), TRAINED_TASKS, unseen_templates)
    new_tasks = prompts.rows(stream("unseen tasks"), held_out, all_templates)
    rewarded = prompts.rows(stream("rewards"), REWARD_TASKS, all_templates)
    suites = {
        "unseen_phrasings": islice(phrasings, items_per_task * len(TRAINED_TASKS)),
        "unseen_tasks": islice(new_tasks, items_per_task * len(held_out)),
        "rl_held_out": islice(rewarded, RL_HELD_OUT_ROWS),
        "rl_train": islice(rewarded, RL_TRAIN_ROWS),
    }
    paths = {name: _write_suite(folder / f"{name}.jsonl", rows) for name, rows in suites.items()}
    preferred = prompts.rows(stream("preferences"), TRAINED_TASKS, seen_templates)
    errors = stream("errors")
    lines = (preference_line(errors, row, index) for index, row in enumerate(islice(preferred, PREFERENCE_ROWS)))
    preferences = _write_lines(folder / "preferences.jsonl", lines)
    raw_rows = prompts.rows(stream("raw rows"), TRAINED_TASKS, seen_templates)
    raw, truth = write_raw_files(folder / "raw", stream("raw faults"), raw_rows, train_rows)
    return PracticeFiles(
        raw=raw,
        truth=truth,
        preferences=preferences,
        plain=_write_plain(folder / "plain.txt", seed),
        **paths,
    )


def _write_suite(path: Path, rows: Iterable[Row]) -> Path:
    return _write_lines(path, (row.as_suite_line() for row in rows))


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _write_plain(path: Path, seed: int) -> Path:
    text = DOCUMENT_GAP.join(documents(seed + _HELD_OUT_TEXT, PLAIN_DOCUMENTS))
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path
