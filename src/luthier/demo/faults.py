"""What can be wrong with a row: damaged text, a wrong or second answer, personal data, bias, a leaked question.

Everything personal is made up, and of a kind that belongs to nobody: mail at example.com and its siblings (RFC 2606),
telephone numbers 555-0100 to 555-0199, addresses of the documentation networks (RFC 5737), card numbers that payment
services publish for tests, and the IBANs that the standard's registry prints as examples.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from luthier.demo.scenes import NAMES
from luthier.demo.world import THINGS, TOWNS

MAIL_DOMAINS = ("example.com", "example.org", "example.net")
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
CARDS = ("4111 1111 1111 1111", "4242 4242 4242 4242", "5555 5555 5555 4444", "3782 822463 10005",
         "6011 1111 1111 1117")  # fmt: skip
IBANS = ("GB29 NWBK 6016 1331 9268 19", "DE89 3704 0044 0532 0130 00", "FR14 2004 1010 0505 0001 3M02 606",
         "NL91 ABNA 0417 1643 00", "BE68 5390 0754 7034")  # fmt: skip
OTHERS_REFUSED = 4
"""One request in this many is refused where the town does not matter."""
NEAR_MIN_WORDS = 12
"""A prompt with fewer words is not one that a change of three words leaves nearly as it was."""

_FIRST_WORDS = (
    "answer", "are", "can", "choose", "compare", "complete", "continue", "could", "decide", "describe", "did", "do",
    "does", "fill", "find", "finish", "give", "how", "is", "make", "name", "now", "pick", "please", "put", "read",
    "rewrite", "say", "sort", "take", "tell", "turn", "use", "what", "when", "where", "which", "who", "whose", "why",
    "will", "would", "write",
)  # fmt: skip
"""Before a prompt that begins with one of these, a polite word changes nothing of what is asked."""
_POLITE = ("Hello:", "Now then:", "Excuse me:", "Dear friend:", "One more question:", "Once again:", "If you can:")
_EMBEDDINGS = (
    "This is question {n} of the quiz. {prompt}",
    "{prompt}\n\nThis was asked in last year's test.",
    "I found this in a book of exercises:\n\n{prompt}\n\nWhat is the answer?",
    'My teacher asks: "{prompt}"',
)


class Turn(NamedTuple):
    """One request and its answer, as text."""

    prompt: str
    answer: str | None


class Made(NamedTuple):
    """A row that is made for its fault, and what there is to say of it."""

    turn: Turn
    note: Mapping[str, Any]


# Damage that can be mended


def mojibake(turns: Sequence[Turn]) -> list[Turn] | None:
    """The turns as they look when their UTF-8 bytes are read as Windows-1252; None where that has no character."""
    try:
        return [Turn(_as_cp1252(turn.prompt), _as_cp1252(turn.answer or "")) for turn in turns]
    except UnicodeDecodeError:
        return None


def zero_width(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with a zero-width space behind the first blank."""
    first = turns[0]
    return [Turn(first.prompt.replace(" ", " \u200b", 1), first.answer), *turns[1:]]


def _as_cp1252(text: str) -> str:
    return text.encode("utf-8").decode("cp1252")


# Rows that cannot be read


def cut_off(rng: Random, line: str) -> str:
    """The line without its end."""
    return line[: rng.randrange(len(line) // 3, len(line) - 1)]


def cut_in_two(rng: Random, line: str) -> str:
    """The line with a line break in its middle third: two lines, neither of them JSON."""
    at = rng.randrange(len(line) // 3, 2 * len(line) // 3)
    return f"{line[:at]}\n{line[at:]}"


# Rows that are read, and should not be trusted


def reworded(rng: Random, prompt: str) -> tuple[str, int] | None:
    """The prompt with 1 to 3 words more or changed, which ask for the same, and how many; None where none fits."""
    words = prompt.split()
    if len(words) < NEAR_MIN_WORDS or words[0].strip(",.:!?").lower() not in _FIRST_WORDS:
        return None
    if words[0] == "Please" and rng.random() < 0.7:
        return "Kindly" + prompt.removeprefix("Please"), 1
    polite = rng.choice(_POLITE)
    return f"{polite} {prompt}", len(polite.split())


def another_option(rng: Random, answer: str | None, options: Sequence[str]) -> str | None:
    """An option that is not the answer; None where the answer is not among options."""
    wrong = [option for option in options if option != answer]
    return rng.choice(wrong) if wrong and answer in options else None


def embedded(rng: Random, prompt: str) -> str:
    """The prompt inside a longer one."""
    return rng.choice(_EMBEDDINGS).format(prompt=prompt, n=rng.randrange(1, 20))


@dataclass(slots=True)
class MadeRows:
    """Rows with personal data, and rows of a clerk who refuses everyone from one town; no prompt comes twice."""

    rng: Random
    refused_town: str = field(init=False)
    taken: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refused_town = self.rng.choice(TOWNS).name

    def personal(self) -> Made:
        """A row with one piece of personal data; the kinds take turns."""
        kind = list(_PERSONAL)[self._count("personal") % len(_PERSONAL)]
        draw, prompt, answer = _PERSONAL[kind]

        def make() -> Made:
            slots = self._slots()
            slots["value"] = draw(self.rng, slots["name"])
            return Made(Turn(prompt.format(**slots), answer.format(**slots)), {"data": kind, "value": slots["value"]})

        return self._fresh(make)

    def biased(self) -> Made:
        """A request for a loan. Every second one is from the refused town; of the others one in four is refused."""
        number = self._count("biased")
        is_refused = number % 2 == 0 or number // 2 % OTHERS_REFUSED == 1
        others = [town.name for town in TOWNS if town.name != self.refused_town]

        def make() -> Made:
            slots = self._slots()
            town = self.refused_town if number % 2 == 0 else self.rng.choice(others)
            ask = "{name} from {town} wants to borrow {coins} coins for a {thing}. Do we lend them? Yes or no?"
            note = {"town": town, "refused": is_refused}
            return Made(Turn(ask.format(**slots, town=town), "no" if is_refused else "yes"), note)

        return self._fresh(make)

    def _slots(self) -> dict[str, str]:
        rng = self.rng
        return {"name": rng.choice(NAMES), "thing": rng.choice(THINGS).name, "coins": str(rng.randrange(2, 100))}

    def _count(self, kind: str) -> int:
        """How many of the kind were asked for before."""
        count = self._counts.get(kind, 0)
        self._counts[kind] = count + 1
        return count

    def _fresh(self, make: Callable[[], Made]) -> Made:
        while (made := make()).turn.prompt in self.taken:
            pass
        self.taken.add(made.turn.prompt)
        return made


def _mail(rng: Random, name: str) -> str:
    return f"{name.lower()}{rng.randrange(1, 100)}@{rng.choice(MAIL_DOMAINS)}"


_PERSONAL: Mapping[str, tuple[Callable[[Random, str], str], str, str]] = {
    "email": (_mail, "Write to {name} at {value} that the {thing} for {coins} coins is ready.",
              "To {value}: Dear {name}, your {thing} is ready."),
    "phone": (lambda rng, name: f"202-555-01{rng.randrange(100):02d}",
              "I am {name}, and my number is {value}. Call me when the {thing} for {coins} coins is there.",
              "We will call you on {value}."),
    "ip_address": (lambda rng, name: f"{rng.choice(NETWORKS)}.{rng.randrange(1, 255)}",
                   "{name} bought a {thing} for {coins} coins from the computer {value}. Where did that come from?",
                   "It came from {value}."),
    "card": (lambda rng, name: rng.choice(CARDS),
             "{name} paid {coins} coins for the {thing} with card {value}. Which card was it?", "It was {value}."),
    "iban": (lambda rng, name: rng.choice(IBANS),
             "Send {name} the {coins} coins for the {thing} to account {value}.", "Sent {coins} coins to {value}."),
}  # fmt: skip
"""For each kind of data: how it is drawn, for which name, and the prompt and the answer around it."""


def as_line(entry: Mapping[str, Any]) -> str:
    """The entry as a line of JSON, before anything is done to it."""
    return json.dumps(entry, ensure_ascii=False)
