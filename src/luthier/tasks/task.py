"""A task: one kind of request, the rows it is asked about, and the templates that put a row into words.

A template's slots, "{word}", are filled with the fields of a row; "{answer}" is its first answer and "{options}" the
block that shows what may be answered. A doubled brace is a brace. What fills a slot is never read as a template again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any, Literal, get_args

from luthier.errors import DataError, Problem
from luthier.records import Example, Message, content_id

Wording = Literal["template", "none", "name", "definition"]
"""What a prompt says besides the row: a template, nothing, the task's name, or the task's description."""
WORDINGS: tuple[str, ...] = get_args(Wording)

TRIES = 60
"""A maker that gives this many known rows in a row has no new ones worth waiting for."""

TEST_SHARE = 5
"""One row in this many is a test row."""

RESERVED = ("answer", "options")
"""Slots that are no fields of a row."""

ROW_LINK = "row:"
SOURCE_LINK = "source:"
"""How an example's links name its row's content and what its task was made from; the certificate reads both."""

_BRACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One phrasing of a task: turns that begin and end with the user, and the answer that follows."""

    turns: tuple[str, ...]
    answer: str = "{answer}"
    also: str = ""
    """Name of the row's list of further accepted answers; each is an answer as it stands."""
    is_inverted: bool = False
    """Turned around: the prompt gives the answer, and the input is what is wanted."""
    index: int
    """Position among the templates of its task."""
    metric: str = ""
    """A grader for this template alone. An inverted one is graded by exact match unless this says otherwise."""

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots in the turns, each once, in order of appearance."""
        return tuple(dict.fromkeys(name for turn in self.turns for name in slots_of(turn)))


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What one example asks about, free of any wording."""

    fields: Mapping[str, str]
    answers: tuple[str, ...]
    """All are accepted; the first is trained on."""
    options: tuple[str, ...] = ()
    grading: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the grader."""
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further accepted answers of inverted templates, by the name that `Template.also` gives."""
    source: str = ""
    """Where it came from: "opposite.jsonl:12" or "practice"."""

    @property
    def key(self) -> str:
        """Id of the content, fields and answers; the same row in two tasks has one key."""
        return content_id("row", dict(self.fields), list(self.answers))

    @property
    def split(self) -> Literal["train", "test"]:
        """The side of the row, by its content alone: one row in five is a test row, in every task and every run."""
        return "test" if int(self.key, 16) % TEST_SHARE == 0 else "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of request. Its rows stand in `rows` or come from `make`, never both."""

    name: str
    clusters: tuple[str, ...]
    """At least one; a hybrid belongs to several, and is held out with any of them."""
    description: str = ""
    metric: str = "exact"
    """Name of the grader."""
    sources: tuple[str, ...] = ()
    """What the rows are made from; a task that shares one with a task of a held-out cluster is not trained."""
    templates: tuple[Template, ...]
    options: tuple[str, ...] = ()
    """What may be answered to every row that brings no options of its own."""
    rows: tuple[TaskRow, ...] = field(default=(), repr=False)
    make: Callable[[Random], TaskRow] | None = None
    path: str = ""
    """The task's file, for errors."""

    @property
    def cluster(self) -> str:
        """The first cluster: the one that the task's numbers are reported under."""
        return self.clusters[0]

    @property
    def plain_templates(self) -> tuple[Template, ...]:
        """The templates that ask for the answer."""
        return tuple(template for template in self.templates if not template.is_inverted)

    @property
    def inverted_templates(self) -> tuple[Template, ...]:
        """The templates that give the answer and ask for the input."""
        return tuple(template for template in self.templates if template.is_inverted)

    def seen(self, unseen_templates: int) -> tuple[Template, ...]:
        """The plain templates that may be trained: all but the last `unseen_templates`."""
        plain = self.plain_templates
        return plain[: max(0, len(plain) - unseen_templates)]

    def unseen(self, unseen_templates: int) -> tuple[Template, ...]:
        """The plain templates that are never trained: the last `unseen_templates`."""
        plain = self.plain_templates
        return plain[max(0, len(plain) - unseen_templates) :]

    def row_split(self, row: TaskRow) -> Literal["train", "test"]:
        """The side of a row of this task; the rule looks at the row alone, so no row is on both sides in any arm."""
        return row.split

    def draw(self, rng: Random, taken: set[str]) -> Iterator[TaskRow]:
        """Distinct rows in random order, until none is left; the keys of those drawn are added to `taken`.

        A maker is done once it has given `TRIES` known rows one after another.
        """
        if self.make is None:
            for row in rng.sample(self.rows, len(self.rows)):
                if row.key not in taken:
                    taken.add(row.key)
                    yield row
            return
        failures = 0
        while failures < TRIES:
            row = self.make(rng)
            failures += 1
            if row.key not in taken:
                failures = 0
                taken.add(row.key)
                yield row

    def options_of(self, row: TaskRow) -> tuple[str, ...]:
        """What may be answered to the row: its own options, else the task's; empty where anything may."""
        return row.options or self.options

    def example(self, row: TaskRow, template: Template, *, wording: Wording = "template") -> Example:
        """The row as an example with its answer as the last message. DataError where a slot stays empty.

        With a wording other than "template", the prompt is one turn: the fields that the template shows, a line each,
        under the task's name or description or nothing. Options are shown in every wording.
        """
        options = () if template.is_inverted else self.options_of(row)
        place = f"{self.path or self.name}: template {template.index}"
        values = {**row.fields, "answer": row.answers[0], "options": options_block(self.options_of(row))}
        if wording == "template":
            turns = [fill(turn, values, where=place) for turn in template.turns]
        else:
            turns = [self._unworded(row, template, wording)]
        if options and not (wording == "template" and "options" in template.slots):
            turns[-1] += "\n\n" + options_block(options)

        def worded(answer: str) -> str:
            return fill(template.answer, {**values, "answer": answer}, where=place)

        answers = [worded(answer) for answer in row.answers]
        if template.also:
            answers.extend(row.lists.get(template.also, ()))
        messages = [Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(turns)]
        return Example.of(
            (*messages, Message(role="assistant", content=answers[0])),
            targets=tuple(dict.fromkeys(answers)),
            choices=[worded(option) for option in options],  # whole answers, as rank classification scores them
            task=self.name,
            cluster=self.cluster,
            template=f"{self.name}/{template.index}",
            grading=self._grading(row, template),
            links=(ROW_LINK + row.key, *(SOURCE_LINK + source for source in self.sources)),
            source=row.source,
        )

    def _grading(self, row: TaskRow, template: Template) -> dict[str, Any]:
        """The row's arguments are about its answer, so they do not hold where the input is asked for."""
        if template.is_inverted:
            return {"grader": template.metric or "exact"}
        return {"grader": template.metric or self.metric, **row.grading}

    def _unworded(self, row: TaskRow, template: Template, wording: Wording) -> str:
        # Only what the template shows: a row may hold fields that other templates ask for, the wanted one among them.
        shown = set(template.slots)
        parts = [value for name, value in row.fields.items() if name in shown]
        if "answer" in shown:
            parts.append(row.answers[0])
        text = "\n".join(parts)
        if wording == "none":
            return text
        heading = self.name.replace("_", " ") if wording == "name" else self.description
        if not heading:
            raise DataError(
                "a task has no description",
                [Problem(where=self.path or self.name, found="no description",
                         expected='a description, for prompts of the wording "definition"',
                         fix='add `description = "..."`, or choose another wording')],
            )  # fmt: skip
        return f"{heading}\n\n{text}" if text else heading


def options_block(options: tuple[str, ...]) -> str:
    """The options as a prompt shows them (FLAN, arXiv:2109.01652); empty for no options.

    >>> options_block(("yes", "no"))
    'OPTIONS:\\n- yes\\n- no'
    """
    return "\n".join(("OPTIONS:", *(f"- {option}" for option in options))) if options else ""


def fill(text: str, values: Mapping[str, str], *, where: str) -> str:
    """The text with its slots filled; `where` is its place, for the DataError about a slot that nothing fills."""
    parts = []
    for literal, slot in _parsed(text):
        parts.append(literal)
        if slot is None:
            continue
        if slot not in values:
            raise DataError(
                "a template cannot be filled",
                [Problem(where=where, found=f"the slot {{{slot}}}", expected=f"one of {', '.join(sorted(values))}",
                         fix=f"give every row a field {slot!r}, or write {{{{ and }}}} for braces")],
            )  # fmt: skip
        parts.append(values[slot])
    return "".join(parts)


def slots_of(text: str) -> tuple[str, ...]:
    """The names of the slots in a text, in order. ValueError where a brace opens or closes nothing.

    >>> slots_of("What is {a} and {b}? {{a}}")
    ('a', 'b')
    """
    return tuple(slot for _, slot in _parsed(text) if slot is not None)


@lru_cache(maxsize=16384)
def _parsed(text: str) -> tuple[tuple[str, str | None], ...]:
    """Pieces of literal text, each with the slot that follows it."""
    pieces: list[tuple[str, str | None]] = []
    literal, end = "", 0
    for match in _BRACE.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            literal += match[0][0]
        elif match[1] is not None and match[1].isidentifier():
            pieces.append((literal, match[1]))
            literal = ""
        else:
            raise ValueError(f"{match[0]!r} at character {match.start() + 1} is no slot; {{{{ and }}}} are braces")
    pieces.append((literal + text[end:], None))
    return tuple(pieces)
