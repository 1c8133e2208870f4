"""Labelled tables to examples: each row in the words of some templates of its task.

A row with its columns is no request yet. A task file says how people ask (docs/tasks.md); here each row of a table is
asked in some of its templates, drawn by the seed and the row alone. Every row ends in one place: asked, or quarantine.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from luthier.asking.asker import HALF
from luthier.curate.faults import BadRow, Fault, shown
from luthier.curate.files.json_rows import bare_name
from luthier.curate.files.raw import RawRow
from luthier.curate.files.reading import data_files, read_rows
from luthier.curate.files.tables import read_columns
from luthier.curate.ledger import by_count, write_lines, write_object, write_quarantine
from luthier.curate.synthesis.config import TemplatesConfig
from luthier.curate.synthesis.task_files import checked_task, file_stem, shared_names, write_task
from luthier.errors import DataError, Problem
from luthier.records import Example, write_records
from luthier.records.nouns import conversation_text
from luthier.tasks.collection import SETTINGS_FILE
from luthier.tasks.files import Places, TaskFile, read_table
from luthier.tasks.rows import closest
from luthier.tasks.task import ROW_LINK, Task, TaskRow, Template, slots_of

ANSWER, OPTIONS, GRADING = "answer", "options", "grading"
LABEL = "label"
"""The column that holds the answer where none is called so."""
TABLES = (".csv", ".tsv")


class _Source(NamedTuple):
    """A task file and the files with its rows."""

    path: Path
    table: TaskFile
    places: Places
    files: tuple[Path, ...]
    options: tuple[str, ...] = ()
    """What may be answered, where the rows do not say it."""

    @property
    def name(self) -> str:
        return self.table.name or self.path.stem


class _Taken(NamedTuple):
    """The rows of a task: those that can be asked, with their places, and the others."""

    entries: list[dict[str, Any]]
    places: list[str]
    quarantined: list[tuple[RawRow, Fault]]


def apply_templates(
    tasks: Path, files: Sequence[Path], *, out: Path, config: TemplatesConfig, seed: int,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask the rows in their tasks' templates -> OUT/rows.jsonl; returns the account, which is OUT/ledger.json too.

    OUT/tasks holds the tasks with those of their rows that can be asked, as a collection; OUT/quarantine.jsonl the rows
    that cannot. DataError with every problem of the task files, and where no row can be asked.
    """
    made: list[Example] = []
    quarantined: list[tuple[RawRow, Fault]] = []
    problems: list[Problem] = []
    account: dict[str, Any] = {"read": 0, "asked": 0, "quarantined": Counter(), "made": 0, "repeated": 0,
                               "tasks": {}}  # fmt: skip
    for source in _sources(tasks, files, config):
        taken = _taken(source, config)
        quarantined += taken.quarantined
        if not taken.entries:
            problems += [fault.problem for _, fault in taken.quarantined] or [_no_rows(source)]
            continue
        task, found = _written(source, taken, out / "tasks")
        if task is None or found:
            problems += found
            continue
        asked = [example for row in task.rows for example in _asked(task, row, config, seed=seed)]
        examples = _without_repeats(asked, {template.index for template in task.inverted_templates})
        account["repeated"] += len(asked) - len(examples)
        made += examples
        templates = Counter(example.template for example in examples)
        account["tasks"][task.name] = {
            "rows": len(task.rows), "examples": len(examples), "templates": dict(sorted(templates.items(), key=str)),
        }  # fmt: skip
        account["asked"] += len(task.rows)
        if say is not None:
            say(f"synthesise | {task.name} | {len(task.rows):,} rows | {len(examples):,} examples in "
                f"{len(templates)} templates")  # fmt: skip
    if problems:
        count = f"{len(problems):,} problem{'s' * (len(problems) != 1)}"
        raise DataError(f"the rows cannot be put into words: {count}", problems)
    account["read"] = account["asked"] + len(quarantined)
    account["made"] = len(made)
    account["quarantined"] = by_count(Counter(fault.reason for _, fault in quarantined))
    write_records(out / "rows.jsonl", made)
    write_quarantine(out / "quarantine.jsonl", quarantined)
    write_object(out / "ledger.json", account)
    return account


def _sources(tasks: Path, files: Sequence[Path], config: TemplatesConfig) -> list[_Source]:
    paths = [tasks] if not tasks.is_dir() else sorted(p for p in tasks.rglob("*.toml") if p.name != SETTINGS_FILE)
    if not paths or (files and len(paths) > 1):
        found = f"{len(paths)} task files" if paths else "no task file"
        fix = "name the one that the files belong to, or let each task file name its rows" if paths else "check it"
        raise DataError(
            "the task files do not fit",
            [Problem(where=f"synthesise.tasks: {tasks}", found=found, expected="one" if files else "at least one",
                     fix=fix)],
        )  # fmt: skip
    sources: list[_Source] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            table, places = read_table(TaskFile, path)
        except DataError as error:
            problems += error.problems
            continue
        if not files and table.rows is None:
            found = f"source = {table.source!r}" if table.source else "no rows"
            problems.append(Problem(where=places.of("source" if table.source else "rows"), found=found,
                                    expected="a file of rows",
                                    fix='add `rows = "FILE"`, or name the file in synthesise.files'))  # fmt: skip
            continue
        own = tuple(files) or (path.parent / str(table.rows),)
        worded = tuple(dict.fromkeys(config.labels.values())) if len(paths) == 1 else ()
        sources.append(_Source(path, table, places, own, options=table.options or worded))
    problems += shared_names((source.name, source.places) for source in sources)
    if problems:
        raise DataError("the task files cannot be used", problems)
    return sources


def _taken(source: _Source, config: TemplatesConfig) -> _Taken:
    """The rows of the task's files, each as an entry or with what is wrong with it."""
    wanted = _slots(source.table)
    taken = _Taken([], [], [])
    for path in data_files(source.files):
        for row in _rows(path):
            try:
                if row.data is None:
                    assert row.fault is not None
                    taken.quarantined.append((row, row.fault))
                    continue
                entry = _entry(row.data, config)
                _check(entry, wanted, source.options)
            except BadRow as bad:
                taken.quarantined.append((row, bad.fault(row.where)))
            else:
                taken.entries.append(entry)
                taken.places.append(row.where)
    return taken


def _rows(path: Path) -> Iterator[RawRow]:
    """The rows of a file by their own column names: what a table's header says is never guessed at."""
    suffix = Path(bare_name(path)).suffix
    return read_columns(path, is_tsv=suffix == ".tsv") if suffix in TABLES else read_rows(path)


def _entry(data: Mapping[str, Any], config: TemplatesConfig) -> dict[str, Any]:
    """The row as a task's rows are written: texts and lists of texts, and its answer. BadRow where it has none."""
    named = {config.columns.get(name, name): value for name, value in data.items()}
    if ANSWER not in named and LABEL in named:
        named[ANSWER] = named.pop(LABEL)
    entry: dict[str, Any] = {}
    for name, value in named.items():
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if name == GRADING:
            entry[name] = _grading(value)
        elif isinstance(value, list):
            entry[name] = [_text(item, name) for item in value]
        else:
            entry[name] = _text(value, name)
    if not entry.get(ANSWER):
        raise BadRow("no answer", field=ANSWER, found=f"the columns {', '.join(named) or 'none'}"
                     if ANSWER not in named else shown(named[ANSWER]), expected="an answer",
                     fix='fill it in, or name its column: columns = {YOURS = "answer"}')  # fmt: skip
    answers = entry[ANSWER] if isinstance(entry[ANSWER], list) else [entry[ANSWER]]
    _check_texts(answers, ANSWER)
    if OPTIONS in entry:
        _check_texts(entry[OPTIONS], OPTIONS)
    worded = [config.labels.get(answer, answer) for answer in answers]
    entry[ANSWER] = worded if isinstance(entry[ANSWER], list) else worded[0]
    return entry


def _check_texts(texts: Any, name: str) -> None:
    """BadRow for what is no list of texts, for an empty one among them, and for options that are not all different."""
    expected = "a list of texts, none empty" + ", all different" * (name == OPTIONS)
    if not isinstance(texts, list):
        fix = "write a list in a file of JSON lines, or options in the task file"
    elif not all(text.strip() for text in texts):
        fix = "leave out what is empty"
    elif name == OPTIONS and len(set(texts)) < len(texts):
        fix = "leave out what is twice"
    else:
        return
    raise BadRow("wrong field", field=name, found=shown(texts), expected=expected, fix=fix)


def _grading(value: Any) -> Mapping[str, Any]:
    """The grader's arguments: an object, or a cell that holds one as JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = value
    if not isinstance(found, Mapping):
        raise BadRow("wrong field", field=GRADING, found=shown(value), expected="a JSON object",
                     fix="repair it, or leave the column out")  # fmt: skip
    return found


def _text(value: Any, name: str) -> str:
    """A cell as text: whole numbers without a point, true and false as JSON has them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Mapping | list | bytes) or value is None:
        raise BadRow("wrong field", field=name, found=shown(value), expected="a text or a number",
                     fix="write it as text, or leave the column out")  # fmt: skip
    if HALF.search(text := str(value)):
        raise BadRow("broken characters", field=name, found=ascii(text[:80]), expected="whole characters",
                     fix="write the cell anew")  # fmt: skip
    return text


def _check(entry: Mapping[str, Any], wanted: Sequence[str], options: Sequence[str]) -> None:
    """BadRow for a row that some template cannot show, or whose answer is none of the options."""
    own = entry.get(OPTIONS) or options
    answer = entry[ANSWER][0] if isinstance(entry[ANSWER], list) else entry[ANSWER]
    if own and answer not in own:
        raise BadRow("an answer that is no option", field=ANSWER, found=shown(answer),
                     expected=f"one of {', '.join(own)}",
                     fix=closest(answer, own) or f'write labels = {{"{answer}" = "..."}}')  # fmt: skip
    for slot in wanted:
        is_there = bool(own) if slot == OPTIONS else isinstance(entry.get(slot), str)
        if slot != ANSWER and not is_there:
            raise _empty_slot(slot, entry)


def _empty_slot(slot: str, entry: Mapping[str, Any]) -> BadRow:
    if slot == OPTIONS:
        fix = "write options in the task file, or give the row some"
    else:
        names = sorted(name for name, value in entry.items() if isinstance(value, str))
        fix = closest(slot, names) or f'fill it in, or name its column: columns = {{YOURS = "{slot}"}}'
    return BadRow("an empty slot", field=slot, found="nothing", expected=f"a text for {{{slot}}}", fix=fix)


def _slots(table: TaskFile) -> list[str]:
    """Every slot that some template shows. Texts that are no templates are told later, with their places."""
    texts = [*table.templates]
    for phrasing in table.phrasings:
        texts += [phrasing.prompt, phrasing.answer]
    for inverted in table.inverted:
        texts += [inverted.prompt, inverted.answer]
    for dialogue in table.dialogues:
        texts += [*dialogue.turns, dialogue.answer]
    found: dict[str, None] = {}
    for text in texts:
        try:
            found.update(dict.fromkeys(slots_of(text)))
        except ValueError:
            continue
    return list(found)


def _written(source: _Source, taken: _Taken, folder: Path) -> tuple[Task | None, list[Problem]]:
    """The task with these rows, written as a task file with its rows beside it, and read again as one."""
    stem = file_stem(source.name)
    write_lines(folder / f"{stem}.jsonl", taken.entries)
    table = source.table.model_copy(
        update={"name": source.name, "source": None, "rows": f"{stem}.jsonl", "options": source.options}
    )
    write_task(folder / f"{stem}.toml", table)
    task, problems = checked_task(folder / f"{stem}.toml", places=source.places)
    problems = [_at_source(problem, folder / f"{stem}.jsonl", taken.places) for problem in problems]
    if task is None:
        return None, problems
    rows = tuple(replace(row, source=place) for row, place in zip(task.rows, taken.places, strict=True))
    return replace(task, rows=rows, path=str(source.path)), problems


def _at_source(problem: Problem, rows: Path, places: Sequence[str]) -> Problem:
    """The problem told of the user's row, where it is told of a line of the file of rows that was made from them."""
    line = re.fullmatch(rf"(?:{re.escape(str(rows))}|.*: {re.escape(rows.name)}):(\d+)(.*)", problem.where)
    return problem if line is None else replace(problem, where=places[int(line[1]) - 1] + line[2])


def _asked(task: Task, row: TaskRow, config: TemplatesConfig, *, seed: int) -> Iterator[Example]:
    """The row in its templates, in their order."""
    rng = Random(f"templates of {task.name} {row.key} {seed}")
    plain, inverted = task.plain_templates, task.inverted_templates
    number = len(plain) if config.per_row is None else min(config.per_row, len(plain))
    chosen: list[Template] = [*rng.sample(plain, number)]
    chosen += rng.sample(inverted, min(config.inverted_per_row, len(inverted)))
    for template in sorted(chosen, key=lambda one: one.index):
        example = task.example(row, template)
        # What the task was made from would tie all its rows into one part of a split.
        yield replace(example, links=tuple(link for link in example.links if link.startswith(ROW_LINK)))


def _without_repeats(examples: Sequence[Example], inverted: set[int]) -> list[Example]:
    """The examples, of inverted templates only the first of each prompt.

    "Write a positive review." has as many answers as there are positive rows: they would contradict one another, and
    tie all these rows into one part of a split.
    """
    prompts: set[str] = set()
    kept = []
    for example in examples:
        if int(str(example.template).rpartition("/")[2]) in inverted:
            prompt = conversation_text(example.prompt)
            if prompt in prompts:
                continue
            prompts.add(prompt)
        kept.append(example)
    return kept


def _no_rows(source: _Source) -> Problem:
    return Problem(where=str(source.files[0]), found="no row", expected="at least one", fix="check the file")
