"""One task file: TOML with the rows beside it as JSON lines, or from a maker that the program brings.

Every problem of a file is found before any is told, each with its line and its key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import pydantic

from luthier.config import Config, ConfigT, read_toml, validate
from luthier.errors import ConfigError, DataError, Problem
from luthier.tasks.rows import closest, read_rows, row_problems
from luthier.tasks.task import RESERVED, Task, TaskRow, Template, slots_of

Maker = Callable[[Random], TaskRow]

DRAWN_FOR_CHECK = 8
"""Rows that a maker gives when its task file is read, to see that every slot is filled."""


class PhrasingEntry(Config):
    """[[phrasings]]: a template with an answer of its own wording."""

    prompt: str
    answer: str = "{answer}"


class InvertedEntry(Config):
    """[[inverted]]: a template that gives the answer and asks for the input."""

    prompt: str
    answer: str
    also: str = ""
    metric: str = "exact"


class DialogueEntry(Config):
    """[[dialogues]]: a template of several turns."""

    turns: tuple[str, ...]
    answer: str = "{answer}"


class TaskFile(Config):
    """The keys of a task file, as docs/tasks.md explains them."""

    name: str | None = None
    cluster: str | None = None
    clusters: tuple[str, ...] = ()
    description: str = ""
    metric: str = pydantic.Field("exact", min_length=1)
    sources: tuple[str, ...] = ()
    source: Literal["practice"] | None = None
    rows: str | None = None
    options: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    phrasings: tuple[PhrasingEntry, ...] = ()
    dialogues: tuple[DialogueEntry, ...] = ()
    inverted: tuple[InvertedEntry, ...] = ()


class Places:
    """Where in a TOML file a key stands: tables of one name are told apart, and so are the texts of a list."""

    def __init__(self, path: Path, data: Mapping[str, Any], lines: Mapping[str, int]) -> None:
        """`data` and `lines` are what `read_toml` returned."""
        self.path = path
        self.lines = dict(lines)
        text = path.read_text(encoding="utf-8-sig").splitlines()
        self._number_tables(text)
        line = self.lines.get("templates", 1)
        templates = data.get("templates")
        for index, template in enumerate(templates if isinstance(templates, list) else ()):
            line = _line_of(str(template), text, first=line)
            self.lines[f"templates.{index}"] = line

    def _number_tables(self, text: Sequence[str]) -> None:
        counts: dict[str, int] = {}
        table = ""
        for number, line in enumerate(text, start=1):
            if header := re.match(r"\s*\[\[\s*(\w+)\s*\]\]", line):
                table = f"{header[1]}.{counts.get(header[1], 0)}"
                counts[header[1]] = counts.get(header[1], 0) + 1
                self.lines[table] = number
            elif re.match(r"\s*\[\w+\]\s*$", line):
                table = ""
            elif table and (key := re.match(r"\s*(\w+)\s*=", line)):
                self.lines.setdefault(f"{table}.{key[1]}", number)

    def of(self, key: str) -> str:
        """ "FILE:LINE: key", by the nearest table around the key; "FILE: key" for one that the file lacks."""
        around = key
        while around and around not in self.lines:
            around = around.rpartition(".")[0]
        return f"{self.path}:{self.lines[around]}: {key}" if around else f"{self.path}: {key}"

    def for_validation(self) -> dict[str, str]:
        """The same by dotted key, without the key."""
        return {key: f"{self.path}:{line}" for key, line in self.lines.items()}


class Parsed(NamedTuple):
    """What a task file holds. `task` is None where problems stand in the way."""

    task: Task | None
    problems: list[Problem]
    places: Places | None


def read_table(kind: type[ConfigT], path: Path) -> tuple[ConfigT, Places]:
    """A TOML file as the keys of `kind`, and where they stand. DataError with every problem."""
    try:
        data, lines = read_toml(path)
        places = Places(path, data, lines)
        return validate(kind, data, places=places.for_validation(), default_place=str(path)), places
    except ConfigError as error:
        found = [_of_tasks(problem) for problem in error.problems]
        raise DataError(f"{path.name} cannot be used", found) from None


def read_task(path: Path, *, makers: Mapping[str, Maker]) -> Parsed:
    """The task in a file. A maker is found under the task's name."""
    try:
        table, places = read_table(TaskFile, path)
    except DataError as error:
        return Parsed(None, list(error.problems), None)
    name = table.name or path.stem
    entries = _entries(table)
    problems = [*_naming_problems(table, places), *_template_problems(entries, places)]
    rows: list[TaskRow] = []
    make = None
    if table.source is not None and table.rows is not None:
        problems.append(Problem(where=places.of("rows"), found="rows beside source", expected="one of the two",
                                fix="remove one of them"))  # fmt: skip
    elif table.rows is not None:
        rows, found = read_rows(path.parent / table.rows, where=places.of("rows"))
        problems.extend(found)
    elif table.source is not None:
        make = makers.get(name)
        if make is None:
            problems.append(
                Problem(where=places.of("source"), found=f"no maker called {name!r}",
                        expected="a task that the program makes rows for",
                        fix=closest(name, makers) or 'write the rows in a file: rows = "FILE.jsonl"')
            )  # fmt: skip
    else:
        problems.append(Problem(where=str(path), found="no rows", expected="the key rows",
                                fix='add `rows = "FILE.jsonl"`'))  # fmt: skip
    if problems:
        return Parsed(None, problems, places)
    task = Task(
        name=name, clusters=table.clusters or (str(table.cluster),), description=table.description,
        metric=table.metric, sources=table.sources, options=table.options,
        templates=tuple(entry.template for entry in entries), rows=tuple(rows), make=make, path=str(path),
    )  # fmt: skip
    if make is not None:
        rng = Random(0)
        rows = [make(rng) for _ in range(DRAWN_FOR_CHECK)]
    problems = [*_slot_problems(task, entries, rows, places), *row_problems(task, rows)]
    return Parsed(None if problems else task, problems, places)


def _line_of(template: str, text: Sequence[str], *, first: int) -> int:
    """The line on which a template begins, from `first` on; `first` where it cannot be told."""
    # As it is mostly written, else its longest part without an escape, which all ways to write it share.
    for probe in (json.dumps(template, ensure_ascii=False)[1:-1], max(re.split(r"[\n\"\\]", template), key=len)):
        for number in range(first, len(text) + 1):
            if probe in text[number - 1]:
                return number
    return first


def _of_tasks(problem: Problem) -> Problem:
    # The words of `validate` are about recipes.
    expected = problem.expected.replace("a key of the recipe", "a key of this file")
    return Problem(
        where=problem.where, found=problem.found, expected=expected, fix=problem.fix.replace("recipe.md", "tasks.md")
    )


def _naming_problems(table: TaskFile, places: Places) -> list[Problem]:
    problems = []
    if (table.cluster is None) == (not table.clusters):
        found = "cluster beside clusters" if table.clusters else "no cluster"
        problems.append(Problem(where=places.of("clusters" if table.clusters else "cluster"), found=found,
                                expected="one of the two", fix='write `cluster = "..."`'))  # fmt: skip
    for key in ("clusters", "options", "sources"):
        names: tuple[str, ...] = getattr(table, key)
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            problems.append(Problem(where=places.of(key), found=repr(list(names)),
                                    expected="different texts, none empty", fix="remove what is twice"))  # fmt: skip
    for key in ("name", "cluster"):
        value = getattr(table, key)
        if value is not None and not value.strip():
            problems.append(Problem(where=places.of(key), found=repr(value), expected="a name", fix="write one"))
    return problems


class _Entry(NamedTuple):
    key: str
    template: Template


def _entries(table: TaskFile) -> list[_Entry]:
    """The templates in the order of their indexes, which ends the plain ones with those of `templates`."""
    found: list[tuple[str, dict[str, Any]]] = []
    for i, phrasing in enumerate(table.phrasings):
        found.append((f"phrasings.{i}", {"turns": (phrasing.prompt,), "answer": phrasing.answer}))
    for i, dialogue in enumerate(table.dialogues):
        found.append((f"dialogues.{i}", {"turns": dialogue.turns, "answer": dialogue.answer}))
    for i, text in enumerate(table.templates):
        found.append((f"templates.{i}", {"turns": (text,)}))
    for i, inverted in enumerate(table.inverted):
        parts = {"answer": inverted.answer, "also": inverted.also, "metric": inverted.metric}
        found.append((f"inverted.{i}", {"turns": (inverted.prompt,), "is_inverted": True, **parts}))
    return [_Entry(key, Template(index=index, **parts)) for index, (key, parts) in enumerate(found)]


def _template_problems(entries: Sequence[_Entry], places: Places) -> list[Problem]:
    problems = []
    if all(entry.template.is_inverted for entry in entries):
        problems.append(Problem(where=places.of("templates"), found="no template that asks for the answer",
                                expected="at least one", fix='add `templates = ["..."]`'))  # fmt: skip
    known: dict[tuple[str, ...], str] = {}
    for key, template in entries:
        if len(template.turns) % 2 == 0:
            problems.append(Problem(where=places.of(f"{key}.turns"), found=f"{len(template.turns)} turns",
                                    expected="an odd number: the user begins and ends",
                                    fix="add or remove a turn"))  # fmt: skip
        for text in (*template.turns, template.answer):
            if not text.strip():
                problems.append(Problem(where=places.of(key), found="an empty text", expected="words",
                                        fix="write them, or remove it"))  # fmt: skip
            try:
                slots_of(text)
            except ValueError as error:
                problems.append(Problem(where=places.of(key), found=str(error), expected="{name} for a slot",
                                        fix="double the brace if it is one"))  # fmt: skip
        # An unseen phrasing that is also trained would be no unseen phrasing.
        if template.turns in known:
            problems.append(Problem(where=places.of(key), found=f"a copy of {known[template.turns]}",
                                    expected="different templates", fix="remove one of them"))  # fmt: skip
        known.setdefault(template.turns, key)
    return problems


def _slot_problems(task: Task, entries: Sequence[_Entry], rows: Sequence[TaskRow], places: Places) -> list[Problem]:
    """Slots that some row leaves empty, each once, with the first such row."""
    problems = []
    for key, template in entries:
        wanted = dict.fromkeys((*template.slots, *slots_of(template.answer)))
        for slot in wanted:
            bare = next((row for row in rows if not _fills(task, row, slot)), None)
            if bare is not None:
                known = sorted({*bare.fields, *RESERVED})
                problems.append(
                    Problem(where=places.of(key),
                            found=f"the slot {{{slot}}}, which {bare.source or 'a row'} does not fill",
                            expected=f"one of {', '.join(known)}",
                            fix=closest(slot, known) or f"give every row {slot!r}, or write {{{{ }}}} for braces")
                )  # fmt: skip
        if template.also and not any(template.also in row.lists for row in rows):
            known = sorted({name for row in rows for name in row.lists})
            problems.append(
                Problem(where=places.of(f"{key}.also"), found=repr(template.also),
                        expected=f"a field that holds a list; there is {', '.join(known) or 'none'}",
                        fix=closest(template.also, known) or "give the rows such a list")
            )  # fmt: skip
    return problems


def _fills(task: Task, row: TaskRow, slot: str) -> bool:
    if slot == "options":
        return bool(task.options_of(row))
    return slot == "answer" or slot in row.fields
