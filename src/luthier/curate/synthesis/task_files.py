"""Task files written by the program: the keys of a task file as TOML, which `luthier.tasks` reads again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from luthier.errors import Problem
from luthier.records.whole_files import write_text_whole
from luthier.tasks.collection import SETTINGS_FILE
from luthier.tasks.files import Places, TaskFile, read_task
from luthier.tasks.task import Task

TABLES = ("phrasings", "dialogues", "inverted")
"""Keys of a task file that are lists of tables."""


def task_toml(table: TaskFile) -> str:
    """The keys that differ from their defaults, as a task file holds them."""
    data = table.model_dump(exclude_defaults=True)
    lines = [f"{name} = {_value(value)}" for name, value in data.items() if name not in TABLES]
    for name in TABLES:
        for entry in data.get(name, ()):
            lines += ["", f"[[{name}]]", *(f"{key} = {_value(value)}" for key, value in entry.items())]
    return "\n".join(lines) + "\n"


def file_stem(name: str) -> str:
    """What the files of a task are called.

    >>> file_stem("my mood")
    'my_mood'
    """
    return re.sub(r"[^\w.-]", "_", name)


def shared_names(tasks: Iterable[tuple[str, Places]]) -> list[Problem]:
    """Tasks, by name and places, whose files would be those of a task before them, or the settings of the folder.

    Upper and lower case make no difference: on some disks they make none between files.
    """
    held = {SETTINGS_FILE.casefold(): "the settings of a collection"}
    problems = []
    for name, places in tasks:
        file = f"{file_stem(name)}.toml"
        where = places.of("name")
        if (other := held.get(file.casefold())) is not None:
            problems.append(Problem(where=where, found=f"the name {name!r}, and so the file {file}, like {other}",
                                    expected="a name of its own for each task",
                                    fix='give one of them another name: `name = "..."`'))  # fmt: skip
        held.setdefault(file.casefold(), where)
    return problems


def write_task(path: Path, table: TaskFile) -> None:
    """Write the task file, whole or not at all."""
    write_text_whole(path, task_toml(table))


def checked_task(path: Path, *, places: Places) -> tuple[Task | None, list[Problem]]:
    """The task of a file that `write_task` wrote, and what is wrong with it, told of the file it was made from."""
    found = read_task(path, makers={})
    own = f"{path}:"
    problems = []
    for problem in found.problems:
        if not problem.where.startswith(own):
            problems.append(problem)
            continue
        key = problem.where.rpartition(": ")[2]
        problems.append(Problem(where=places.of(key), found=problem.found, expected=problem.expected, fix=problem.fix))
    return found.task, problems


def _value(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            return "[]"
        return "[\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
    # A string of JSON is one of TOML, but for one character that only TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
