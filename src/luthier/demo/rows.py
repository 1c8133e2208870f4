"""Rows made of tasks: one item in the words of one template, and never the same prompt twice."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Any

from luthier.demo.practice import Item, PracticeTask

LICENCE = "Apache-2.0"
"""Everything that the practice world makes may be used under it."""

_TRIES = 60
"""Draws in a row that may repeat a prompt before the prompts of a task count as used up."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt and what is wanted for it."""

    prompt: str
    item: Item
    task: PracticeTask
    template: int

    @property
    def answer(self) -> str:
        """The answer to train on."""
        return self.item.answer

    def as_suite_line(self) -> dict[str, Any]:
        """The row as one line of an evaluation suite."""
        line: dict[str, Any] = {
            "messages": [{"role": "user", "content": self.prompt}],
            "targets": [self.item.answer, *self.item.also],
        }
        if self.item.choices:
            line["choices"] = list(self.item.choices)
        return line | {
            "task": self.task.name,
            "cluster": self.task.cluster,
            "template": f"{self.task.name}/{self.template}",
            "grading": {"grader": self.item.grader},
            "licence": LICENCE,
        }


def prompt_key(prompt: str) -> str:
    """What two prompts share that a reader would call the same: their words, without case, signs and line breaks."""
    return " ".join(re.findall(r"\w+", prompt.lower()))


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts drawn so far: what is drawn once is never drawn again, by whichever file asks."""

    taken: set[str] = field(default_factory=set)

    def rows(
        self,
        rng: Random,
        tasks: Sequence[PracticeTask],
        templates: Callable[[PracticeTask], Sequence[int]],
    ) -> Iterator[Row]:
        """Yield rows without end that go round the tasks in turn, with a template by chance.

        A task whose prompts are used up is passed over. ValueError when that is true of all of them.
        """
        passed_over = 0
        for task in cycle(tasks):
            row = self._fresh(rng, task, templates(task))
            if row is not None:
                passed_over = 0
                yield row
                continue
            passed_over += 1
            if passed_over == len(tasks):
                raise ValueError(f"the practice tasks have only {len(self.taken):,} different prompts; ask for fewer")

    def _fresh(self, rng: Random, task: PracticeTask, templates: Sequence[int]) -> Row | None:
        """A row of the task whose prompt was not drawn yet, or None if none turned up in many tries."""
        for _ in range(_TRIES):
            item, template = task.make(rng), rng.choice(templates)
            row = Row(task.prompt(item, template), item, task, template)
            key = prompt_key(row.prompt)
            if key not in self.taken:
                self.taken.add(key)
                return row
        return None


def seen_templates(task: PracticeTask) -> Sequence[int]:
    """The templates that may be trained on."""
    return task.seen


def unseen_templates(task: PracticeTask) -> Sequence[int]:
    """The templates that are kept for evaluation."""
    return task.unseen


def all_templates(task: PracticeTask) -> Sequence[int]:
    """Every template: for tasks that are never trained on."""
    return range(len(task.templates))
