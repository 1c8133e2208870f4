"""What a practice task is: templates in words, and a maker of items that fill them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

UNSEEN_TEMPLATES = 2
"""The last templates of every task are never trained on: they are its unseen phrasings."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its answer, before any wording is chosen."""

    slots: dict[str, str]
    """What fills the {slots} of a template."""
    answer: str
    choices: tuple[str, ...] = ()
    """The options of a classification, in the order shown; empty when the answer is free."""
    grader: str = "exact"
    """One of exact, choice, numeric."""
    also: tuple[str, ...] = ()
    """Other answers that are as right as `answer`."""


@dataclass(frozen=True, slots=True)
class PracticeTask:
    """One kind of request: its name, its family, its phrasings and the maker of its items."""

    name: str
    cluster: str
    templates: tuple[str, ...]
    make: Callable[[Random], Item]

    @property
    def seen(self) -> range:
        """The indices of the templates that may be trained on."""
        return range(len(self.templates) - UNSEEN_TEMPLATES)

    @property
    def unseen(self) -> range:
        """The indices of the templates that are kept for evaluation."""
        return range(len(self.templates) - UNSEEN_TEMPLATES, len(self.templates))

    def prompt(self, item: Item, template: int) -> str:
        """The item in the words of one template."""
        return self.templates[template].format(**item.slots)


def choice(rng: Random, slots: dict[str, str], answer: str, wrong: Sequence[str]) -> Item:
    """An item with options in random order; slot `options` shows them as a block, one to a line."""
    choices = tuple(rng.sample((answer, *wrong), 1 + len(wrong)))
    shown = "OPTIONS:\n" + "\n".join(f"- {option}" for option in choices)
    return Item(slots | {"options": shown}, answer, choices, "choice")


def yes_or_no(rng: Random, slots: dict[str, str], is_yes: bool) -> Item:
    """An item whose options are yes and no."""
    answer, wrong = ("yes", "no") if is_yes else ("no", "yes")
    return choice(rng, slots, answer, (wrong,))
