"""More templates for task files: other ways to ask, with the same slots, tried before they are kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from luthier.asking.asker import Ask
from luthier.curate.synthesis.config import SynthesiseConfig
from luthier.curate.synthesis.methods import Asking
from luthier.curate.synthesis.novelty import Novelty
from luthier.curate.synthesis.rounds import Book, Rounds
from luthier.curate.synthesis.rules import bare, listed
from luthier.curate.synthesis.task_files import checked_task, file_stem, shared_names, write_task
from luthier.curate.synthesis.yields import DRY_ROUNDS
from luthier.errors import DataError, Problem
from luthier.tasks.collection import SETTINGS_FILE
from luthier.tasks.files import Places, TaskFile, read_table
from luthier.tasks.task import slots_of

SHOWN = 6
"""Templates in the prompt for more."""
OPTIONS = "options"
"""The one slot that a template may have or lack: options follow a prompt that does not show them."""
PARAPHRASE = """People ask for the same thing in many ways.{about} Here are some ways; what stands in braces is filled \
in later.

{templates}

Write eight more ways, numbered 1 to 8, one a line. Each must hold these braces exactly as they stand: {slots}. Vary \
the words, the order, the length and the tone; do not answer."""


class _File(NamedTuple):
    path: Path
    table: TaskFile
    places: Places


@dataclass(slots=True)
class Paraphrases:
    """New templates by the path of their task file."""

    files: list[_File]
    made: dict[Path, list[str]] = field(default_factory=dict)

    def write(self, folder: Path) -> dict[str, int]:
        """Each task file with its new templates at the end -> FOLDER; how many there are of each task.

        Rows stay where they are and are named from there. What stood in comments stays in the old file only.
        """
        counts = {}
        for path, table, places in self.files:
            rows = None if table.rows is None else os.path.relpath(path.parent / table.rows, folder)
            name = _name(path, table)
            new = self.made.get(path, [])
            target = folder / f"{file_stem(name)}.toml"
            write_task(target, table.model_copy(
                update={"name": name, "rows": rows, "templates": (*table.templates, *new)}
            ))  # fmt: skip
            _, problems = checked_task(target, places=places)
            if problems:
                raise DataError("a task file cannot be used", problems)
            counts[name] = len(new)
        return counts


def task_files(tasks: Path) -> Paraphrases:
    """The task files in a folder, or the one; DataError for files that are none or have no template to vary."""
    paths = sorted(p for p in tasks.rglob("*.toml") if p.name != SETTINGS_FILE) if tasks.is_dir() else [tasks]
    files = [_File(path, *read_table(TaskFile, path)) for path in paths]
    problems = [
        Problem(where=places.of("templates"), found="no templates", expected="at least one to vary",
                fix='write `templates = ["..."]`')
        for _, table, places in files
        if not table.templates
    ]  # fmt: skip
    problems += [
        Problem(where=places.of("source"), found="rows that the program makes", expected="a file of rows",
                fix='write `rows = "FILE"`')
        for _, table, places in files
        if table.source is not None
    ]  # fmt: skip
    problems += shared_names((_name(path, table), places) for path, table, places in files)
    if problems or not files:
        missing = Problem(where=str(tasks), found="no task file", expected="at least one", fix="check the path")
        raise DataError("the task files cannot be used", problems or [missing])
    return Paraphrases(files)


def _name(path: Path, table: TaskFile) -> str:
    return table.name or path.stem


def paraphrase(found: Paraphrases, config: SynthesiseConfig, book: Book) -> Rounds:
    """More templates for each task, `config.rows` of each, all tasks at once."""
    asking = Asking()
    novelty = {path: Novelty(config.max_similarity) for path, _, _ in found.files}
    for path, table, _ in found.files:
        found.made[path] = []
        for template in table.templates:
            novelty[path].add(template)
    dry: Counter[Path] = Counter()
    number = 0
    while True:
        open_files = [f for f in found.files if len(found.made[f.path]) < config.rows and dry[f.path] < DRY_ROUNDS]
        if not open_files:
            break
        asks = [asking.of("templates", _prompt(f.table, found.made[f.path], f"{config.seed} {number}"))
                for f in open_files]  # fmt: skip
        number += 1
        for file, ask, end in zip(open_files, asks, (yield asks), strict=True):
            text = book.text(ask, end)
            new = [] if text is None else _new_templates(book, ask, text, file.table, novelty[file.path])
            missing = config.rows - len(found.made[file.path])
            found.made[file.path] += new[:missing]
            if beyond := len(new[missing:]):
                book.proposals.update({"new": -beyond, "new, and more than asked for": beyond})
            dry[file.path] = 0 if new else dry[file.path] + 1
    for path, count in dry.items():
        if count >= DRY_ROUNDS:
            book.notes.append(f"{path}: {DRY_ROUNDS} rounds brought no new template")


def _prompt(table: TaskFile, made: Sequence[str], seed: str) -> str:
    known = [*table.templates, *made]
    shown = Random(f"templates shown {seed} {len(known)}").sample(known, min(SHOWN, len(known)))
    slots = sorted({slot for template in table.templates for slot in slots_of(template)} - {OPTIONS})
    return PARAPHRASE.format(
        about=f" What is asked: {table.description}" if table.description else "",
        templates="\n".join(f"{n}. {template}" for n, template in enumerate(shown, start=1)),
        slots=", ".join(f"{{{slot}}}" for slot in slots) or "none",
    )


def _new_templates(book: Book, ask: Ask, text: str, table: TaskFile, novelty: Novelty) -> list[str]:
    """The templates of a list that are new and can be filled."""
    fits = [set(slots_of(template)) - {OPTIONS} for template in table.templates]
    return book.take_new(
        ask, text, map(bare, listed(text)), what="template", fault_of=lambda item: _fault(item, fits, novelty),
        keep=novelty.add,
    )  # fmt: skip


def _fault(template: str, fits: Sequence[set[str]], novelty: Novelty) -> str | None:
    try:
        slots = set(slots_of(template))
    except ValueError:
        return "broken braces"
    if slots - {OPTIONS} not in fits:
        return "other slots"
    if OPTIONS in slots and OPTIONS not in {slot for known in novelty.texts for slot in slots_of(known)}:
        return "other slots"
    return "too similar" if novelty.nearest(template) is not None else None
