"""Super-NaturalInstructions (arXiv:2204.07705) as a collection: a definition, inputs and outputs for each task."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.tasks.collection import DIGEST_HEX_DIGITS, Collection
from luthier.tasks.task import Task, TaskRow, Template

TASKS_FILE = "tasks.json"
INSTANCES_FILE = "instances.jsonl.gz"
METRIC = "rouge_l"
"""The grader of the paper, for every task."""


def read_super_natural_instructions(folder: Path, *, max_rows: int | None = None) -> Collection:
    """The tasks of tasks.json with their rows in instances.jsonl.gz, at most `max_rows` of each (the first).

    A task's category is its cluster, and its source datasets are its sources. Its one template is its definition, an
    empty line and the input. An instance without an output that says something is no row. DataError names the line
    that cannot be read.
    """
    definitions = _definitions(folder / TASKS_FILE)
    rows: dict[str, list[TaskRow]] = {name: [] for name in definitions}
    for place, instance in _instances(folder / INSTANCES_FILE):
        try:
            kept = rows[instance["task"]]
            answers = tuple(text for text in instance["output"] if text.strip())
            row = TaskRow(fields={"input": instance["input"]}, answers=answers, source=place)
        except (KeyError, TypeError, AttributeError) as error:
            raise _unreadable(f"{folder}/{place}", f"{type(error).__name__}: {error}") from None
        if answers and (max_rows is None or len(kept) < max_rows):
            kept.append(row)
    tasks = [_task(entry, rows[name], folder / TASKS_FILE) for name, entry in definitions.items()]
    return Collection(tasks=tuple(task for task in tasks if task.rows), folder=folder, digest=_digest(folder, max_rows))


def _task(entry: Mapping[str, Any], rows: list[TaskRow], path: Path) -> Task:
    try:
        definition = entry["definition"].strip()
        # The definition is text: a brace in it is a brace.
        turn = definition.replace("{", "{{").replace("}", "}}") + "\n\n{input}"
        return Task(
            name=entry["task"], clusters=(entry["category"],), description=definition, metric=METRIC,
            sources=tuple(entry["source"]), templates=(Template(turns=(turn,), index=0),), rows=tuple(rows),
            path=str(path),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(f"{path}: {entry.get('task')}", f"{type(error).__name__}: {error}") from None


def _definitions(path: Path) -> dict[str, Mapping[str, Any]]:
    _check_there(path)
    try:
        return {entry["task"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))}
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(str(path), f"{type(error).__name__}: {error}") from None


def _instances(path: Path) -> Iterator[tuple[str, Any]]:
    """Each instance with its place, "instances.jsonl.gz:12"."""
    _check_there(path)
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path.name}:{number}", json.loads(line)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(f"{path}:{number}", f"{type(error).__name__}: {error}") from None


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise DataError(
            "Super-NaturalInstructions is not complete",
            [Problem(where=str(path), found="no such file", expected=f"{TASKS_FILE} and {INSTANCES_FILE}",
                     fix="check the path of the folder")],
        )  # fmt: skip


def _unreadable(where: str, found: str) -> DataError:
    return DataError(
        "Super-NaturalInstructions cannot be read",
        [Problem(where=where, found=found, expected="a task, category, definition and source; a task, input and output",
                 fix="repair this entry, or copy the file again")],
    )  # fmt: skip


def _digest(folder: Path, max_rows: int | None) -> str:
    digest = hashlib.sha256(str(max_rows).encode())
    for name in (TASKS_FILE, INSTANCES_FILE):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:DIGEST_HEX_DIGITS]
