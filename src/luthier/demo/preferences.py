"""Preference rows: a right answer, and an answer that a barely tuned model might have given instead."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from luthier.demo.prose import almanac, story
from luthier.demo.rows import Row
from luthier.graders import auto
from luthier.records import Completion


def wrong(rng: Random, row: Row) -> str:
    """Another option, or the right answer to another row of the task in the same template."""
    example = row.example
    if example.choices:
        return rng.choice([option for option in example.choices if option not in example.targets])
    assert row.task.make is not None
    while True:
        answer = Row.of(row.task, row.task.make(rng), row.template).answer
        said = Completion.of(example_id=example.id, model_id="practice", text=answer)
        if auto(example, said).value == 0:
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
        "prompt": row.prompt_turns,
        "chosen": row.answer,
        "rejected": ERRORS[index % len(ERRORS)](rng, row),
        "task": row.example.task,
        "cluster": row.example.cluster,
    }
