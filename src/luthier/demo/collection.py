"""The practice tasks as a collection, and the runs of words that belong to their templates alone."""

import re
from functools import cache
from pathlib import Path

from luthier.demo.skills import MAKERS
from luthier.tasks.collection import Collection, read_collection
from luthier.tasks.task import slots_of

TASKS_FOLDER = Path(__file__).parent / "tasks"
"""One file a task; `source = "practice"` in it stands for the maker of its name."""

RUN_WORDS = 4
"""A run of this many words of a template, slots apart, is the template's wording."""


@cache
def practice_collection() -> Collection:
    """The practice tasks."""
    return read_collection(TASKS_FOLDER, makers=MAKERS)


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    """Every run of `RUN_WORDS` words of the text, without case and signs."""
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[i : i + RUN_WORDS]) for i in range(len(words) - RUN_WORDS + 1)}


@cache
def template_runs() -> frozenset[tuple[str, ...]]:
    """Every run of words that some template holds between its slots."""
    return frozenset(
        run
        for task in practice_collection().tasks
        for template in task.templates
        for turn in template.turns
        for literal in _literals(turn)
        for run in runs_of_words(literal)
    )


def _literals(turn: str) -> list[str]:
    for slot in slots_of(turn):
        turn = turn.replace("{" + slot + "}", "\n\0")
    return turn.split("\0")
