"""Rows of a task in a file beside it: one JSON object a line, and what may be wrong with a row."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from luthier.errors import Problem
from luthier.tasks.task import RESERVED, Task, TaskRow

_RESERVED: dict[str, tuple[type, ...]] = {"answer": (str, list), "options": (list,), "grading": (dict,)}
"""Keys that are no fields, and what they may hold."""


class Read(NamedTuple):
    """The rows that could be read, and what is wrong with the others."""

    rows: list[TaskRow]
    problems: list[Problem]


def read_rows(path: Path, *, where: str) -> Read:
    """The rows of a file of JSON lines; `where` is the place of the key that names it."""
    if not path.is_file():
        return Read([], [Problem(where=where, found=f"no file {path}", expected="a file of JSON lines",
                                 fix="correct the path; it is relative to the task file")])  # fmt: skip
    rows: list[TaskRow] = []
    problems: list[Problem] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                rows.append(_row(json.loads(line.removeprefix(b"\xef\xbb\xbf")), source=f"{path.name}:{number}"))
            except ValueError as error:
                problems.append(Problem(where=f"{path}:{number}", found=str(error),
                                        expected='a JSON object of texts with an "answer"',
                                        fix="repair the line"))  # fmt: skip
    if not rows and not problems:
        problems.append(Problem(where=str(path), found="no row", expected="at least one", fix="write some"))
    return Read(rows, problems)


def row_problems(task: Task, rows: Sequence[TaskRow]) -> list[Problem]:
    """Rows without an answer, with one that is no option, or with a field that would hide a slot."""
    problems = []
    for row in rows:
        where = f"{task.path}: {row.source or 'a row of the maker'}"
        options = task.options_of(row)
        if not row.answers or not row.answers[0].strip():
            problems.append(Problem(where=where, found="no answer", expected="at least one", fix="add one"))
        elif options and row.answers[0] not in options:
            problems.append(Problem(where=where, found=f"the answer {row.answers[0]!r}",
                                    expected=f"one of the options {', '.join(options)}",
                                    fix=closest(row.answers[0], options) or "correct one of them"))  # fmt: skip
        for name in RESERVED:
            if name in row.fields:
                problems.append(Problem(where=where, found=f"a field {name!r}", expected="a name without a meaning",
                                        fix="rename the field"))  # fmt: skip
    return problems


def closest(name: str, names: Iterable[str]) -> str:
    """ "did you mean X?", or nothing where no name is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else ""


def _row(data: Any, *, source: str) -> TaskRow:
    """ValueError says what the object lacks."""
    if not isinstance(data, dict):
        raise ValueError(f"a {type(data).__name__} in place of an object")
    for name, kinds in _RESERVED.items():
        if name in data and not isinstance(data[name], kinds):
            raise ValueError(f"{name} is {json.dumps(data[name])}")
    if "answer" not in data:
        raise ValueError("no answer")
    answers = data["answer"] if isinstance(data["answer"], list) else [data["answer"]]
    fields, lists = {}, {"answer": answers, "options": data.get("options", [])}
    for name, value in data.items():
        if name in _RESERVED:
            continue
        if isinstance(value, list):
            lists[name] = value
        elif isinstance(value, str):
            fields[name] = value
        else:
            raise ValueError(f"{name} is {json.dumps(value)}, which is no text")
    for name, values in lists.items():
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name} is {values!r}, which are not all texts")
    return TaskRow(
        fields=fields,
        answers=tuple(lists.pop("answer")),
        options=tuple(lists.pop("options")),
        grading=data.get("grading", {}),
        lists={name: tuple(values) for name, values in lists.items()},
        source=source,
    )
