"""Preference rows: a right answer, and an answer that a barely tuned model might have given instead."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from luthier.demo.prose import almanac, story
from luthier.demo.rows import Row


def wrong(rng: Random, row: Row) -> str:
    """Another option, or the right answer to another item of the task."""
    if row.item.choices:
        return rng.choice([option for option in row.item.choices if option != row.answer])
    while (answer := row.task.make(rng).answer) == row.answer:
        pass
    return answer


def misshapen(rng: Random, row: Row) -> str:
    """The right content in a form that nobody asked for."""
    answer = row.answer
    return rng.choice((
        f"The answer is {answer}.",
        f"I think that it is {answer}!",
        f"{answer}?",
        f"* {answer} *",
        f"Answer: {answer}",
        f"{answer} or something like that",
    ))  # fmt: skip


def rambling(rng: Random, row: Row) -> str:
    """The right answer, after which the text goes on as if nobody had asked for an end."""
    kind = rng.randrange(3)
    if kind == 0:
        return ", ".join([row.answer] * rng.randint(3, 6))
    tail = (almanac if kind == 1 else story)(rng).replace("\n", " ")
    return f"{row.answer}{rng.choice((' ', '. ', chr(10)))}{' '.join(tail.split()[: rng.randint(8, 24)])}"


ERRORS: Sequence[Callable[[Random, Row], str]] = (wrong, misshapen, rambling)
"""The kinds of rejected answer, used in turn."""


def preference_line(rng: Random, row: Row, index: int) -> dict[str, Any]:
    """The row as one line of a preference file; `index` decides which error is rejected."""
    return {
        "prompt": [{"role": "user", "content": row.prompt}],
        "chosen": row.answer,
        "rejected": ERRORS[index % len(ERRORS)](rng, row),
        "task": row.task.name,
        "cluster": row.task.cluster,
    }
