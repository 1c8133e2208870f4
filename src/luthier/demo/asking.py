"""Requests as plain text has them: something asked in a wording of its own, its answer, and the skill that it needs.

A wording that begins in lower case is an order ("name the colour of a fox") and gets one of many openings; any other
stands as it is. No wording of the text is the wording of a template that tunes or evaluates a model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from luthier.demo.scenes import NAMES


@dataclass(frozen=True, slots=True)
class Request:
    """Something asked and its answer; `given` is the material asked about, and `options` what may be answered."""

    ask: str
    answer: str
    given: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skill:
    """One thing that the text asks for: the task and the cluster that ask for the same in other words."""

    name: str
    cluster: str
    make: Callable[[Random], Request]
    weight: int = 1
    """How often it is asked, relative to the others of its cluster."""


_OPENINGS = (
    "{A}.", "{A}.", "{A}.", "{A}.", "{A}:", "{a}", "Please {a}.", "Can you {a}?", "Could you {a}?", "{n}, {a}.",
    "Now {a}.", "I want you to {a}.", "Try to {a}.", "Your turn: {a}.", "Would you {a}?", "We ask you to {a}.",
    "{A}, please.",
    "{A}!", "You must {a}.", "Next, {a}.", "Let us {a}.", "Kindly {a}.", "{A} and write it down.",
)  # fmt: skip


def worded(rng: Random, wordings: Sequence[str], **slots: str) -> str:
    """One of the wordings with the slots filled, and with an opening if it is an order."""
    wording = rng.choice(wordings)
    text = wording.format(**slots)
    if not wording[0].islower():
        return text
    return rng.choice(_OPENINGS).format(a=text, A=text[0].upper() + text[1:], n=rng.choice(NAMES))
