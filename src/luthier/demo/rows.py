"""Rows made of tasks: one row of a task in the words of one template, and never the same prompt twice."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Any, Literal

from luthier.records import Example
from luthier.tasks.collection import Collection
from luthier.tasks.task import Task, TaskRow, Template

LICENCE = "Apache-2.0"
"""Everything that the practice world makes may be used under it."""

Side = Literal["train", "test"]
TemplatesOf = Callable[[Task], Sequence[Template]]

_TRIES = 300
"""Draws in a row that may be of the other side or repeat a prompt before a task's prompts count as used up; one row in
five is a test row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a task in the words of one of its templates."""

    task: Task
    template: Template
    example: Example
    """The prompt, the answer to train on as the last message, and every accepted answer."""

    @classmethod
    def of(cls, task: Task, row: TaskRow, template: Template) -> "Row":
        """The row in the words of the template."""
        return cls(task, template, task.example(row, template))

    @property
    def answer(self) -> str:
        """The answer to train on."""
        return self.example.messages[-1].content

    @property
    def prompt_turns(self) -> list[dict[str, str]]:
        """The prompt as the messages of a conversation; the last is the user's."""
        return [{"role": message.role, "content": message.content} for message in self.example.messages[:-1]]

    @property
    def key(self) -> str:
        """Equal for two rows whose prompts a reader would call the same."""
        return prompt_key(turn["content"] for turn in self.prompt_turns)

    def as_suite_line(self) -> dict[str, Any]:
        """The row as one line of an evaluation suite, whose messages end with the request."""
        example = self.example
        choices = {"choices": list(example.choices)} if example.choices else {}
        return {
            "messages": self.prompt_turns,
            "targets": list(example.targets),
            **choices,
            "task": example.task,
            "cluster": example.cluster,
            "template": example.template,
            "grading": dict(example.grading),
            "licence": LICENCE,
        }


def prompt_key(turns: Iterator[str] | Sequence[str]) -> str:
    """What two prompts share that a reader would call the same: their words, without case, signs and line breaks."""
    return " ".join(re.findall(r"\w+", "\n".join(turns).lower()))


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts drawn so far: what is drawn once is never drawn again, by whichever file asks."""

    taken: set[str] = field(default_factory=set)

    def rows(self, rng: Random, tasks: Sequence[Task], templates: TemplatesOf, *, side: Side) -> Iterator[Row]:
        """Yield rows without end that go round the tasks in turn, with a template by chance, all of one side.

        A task whose prompts are used up is passed over. ValueError when that is true of all of them.
        """
        passed_over = 0
        for task in cycle(tasks):
            row = self._fresh(rng, task, templates(task), side)
            if row is not None:
                passed_over = 0
                yield row
                continue
            passed_over += 1
            if passed_over == len(tasks):
                raise ValueError(f"the practice tasks have only {len(self.taken):,} different prompts; ask for fewer")

    def _fresh(self, rng: Random, task: Task, templates: Sequence[Template], side: Side) -> Row | None:
        """A row of the task whose prompt was not drawn yet, or None if none turned up in many tries."""
        assert task.make is not None  # the practice tasks have no files of rows
        for _ in range(_TRIES):
            made = task.make(rng)
            if made.split != side:
                continue
            row = Row.of(task, made, rng.choice(templates))
            if row.key not in self.taken:
                self.taken.add(row.key)
                return row
        return None


def of_one_turn(templates: Sequence[Template]) -> Sequence[Template]:
    """The templates that ask in a single message."""
    return [template for template in templates if len(template.turns) == 1]


def of_many_turns(templates: Sequence[Template]) -> Sequence[Template]:
    """The templates that ask at the end of a conversation."""
    return [template for template in templates if len(template.turns) > 1]


def trained_templates(collection: Collection) -> TemplatesOf:
    """The templates that may be trained on: the seen ones, and those that are turned around."""
    return lambda task: (*task.seen(collection.unseen_templates), *task.inverted_templates)


def unseen_templates(collection: Collection) -> TemplatesOf:
    """The templates that are kept for evaluation."""
    return lambda task: task.unseen(collection.unseen_templates)


def plain_templates(task: Task) -> Sequence[Template]:
    """Every template that asks for the answer: for tasks that are never trained on."""
    return task.plain_templates
