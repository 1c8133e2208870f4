"""Deeds and the passages that tell them: who did what with which thing, at which place, on which day.

Richer than the events of `scenes`, since a small model learns to look up and to copy only from text that varies: more
names, things, places and deeds, more orders of words, and sentences that answer nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from luthier.demo.scenes import NAMES, PLACES, PRONOUN, other
from luthier.demo.world import COLOURS, DAYS, THINGS, article

_MORE_PEOPLE = (
    ("Alice", "she"), ("Adam", "he"), ("Bella", "she"), ("Carl", "he"), ("Dora", "she"), ("Eric", "he"),
    ("Fiona", "she"), ("George", "he"), ("Helen", "she"), ("Ivan", "he"), ("Julia", "she"), ("Kevin", "he"),
    ("Laura", "she"), ("Mark", "he"), ("Nina", "she"), ("Oscar", "he"), ("Ruth", "she"), ("Simon", "he"),
    ("Sara", "she"), ("Tom", "he"), ("Vera", "she"), ("Walter", "he"), ("Zoe", "she"), ("Hugo", "he"),
)  # fmt: skip

PERSONS: tuple[str, ...] = (*NAMES, *(name for name, _ in _MORE_PEOPLE))
"""Names of those whom passages tell about: those of the world, and as many of whom nothing else is known."""

PRONOUNS: dict[str, str] = PRONOUN | dict(_MORE_PEOPLE)

SPOTS: tuple[str, ...] = (
    *PLACES, "farm", "church", "zoo", "bakery", "theatre", "hospital", "castle", "mill", "bank", "cinema", "lake",
    "office", "tower", "hotel", "airport", "factory", "pool", "fair", "gate", "river",
)  # fmt: skip
"""Places that one can be at."""

OBJECTS: tuple[str, ...] = (
    *(thing.name for thing in THINGS), "cup", "key", "book", "box", "bag", "umbrella", "ring", "clock", "plate",
    "bottle", "basket", "blanket", "pen", "letter", "mirror", "candle", "map", "scarf", "bucket", "brush", "phone",
    "wallet", "watch", "stone", "flag", "tent", "jar", "pot", "stamp", "ticket", "camera", "mask",
)  # fmt: skip
"""Things that one can do something with."""

SHADES: tuple[str, ...] = tuple(colour for colour in COLOURS if colour != "silver")

DEEDS = (
    ("bought", "buy", "bought"), ("found", "find", "found"), ("lost", "lose", "lost"), ("saw", "see", "seen"),
    ("sold", "sell", "sold"), ("painted", "paint", "painted"), ("dropped", "drop", "dropped"),
    ("fixed", "fix", "fixed"), ("hid", "hide", "hidden"), ("carried", "carry", "carried"),
    ("cleaned", "clean", "cleaned"), ("broke", "break", "broken"), ("drew", "draw", "drawn"),
    ("borrowed", "borrow", "borrowed"), ("took", "take", "taken"), ("washed", "wash", "washed"),
    ("chose", "choose", "chosen"), ("packed", "pack", "packed"), ("moved", "move", "moved"), ("used", "use", "used"),
    ("stole", "steal", "stolen"), ("touched", "touch", "touched"), ("burned", "burn", "burned"),
    ("pulled", "pull", "pulled"),
)  # fmt: skip
"""What people do with things: the past, the plain form, the participle."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Someone did something with something, somewhere, on a day."""

    who: str
    did: str
    do: str
    done: str
    colour: str
    thing: str
    place: str
    day: str

    @property
    def object(self) -> str:
        """The thing with its colour and article: "a blue hat"."""
        return article(f"{self.colour} {self.thing}")

    @property
    def pronoun(self) -> str:
        """He or she."""
        return PRONOUNS[self.who]

    @property
    def core(self) -> str:
        """Who did what: "Anna bought a blue hat"."""
        return f"{self.who} {self.did} {self.object}"

    @property
    def slots(self) -> dict[str, str]:
        """All that a request about the deed may name."""
        names = ("who", "did", "do", "done", "colour", "thing", "place", "day", "object", "pronoun", "core")
        return {name: getattr(self, name) for name in names}

    def plainly(self, rng: Random) -> str:
        """One sentence that tells all of it, without its full stop, in one of several orders of words."""
        return rng.choice(_PLAIN).format(**self.slots)

    def told(self, rng: Random) -> str:
        """One, two or three sentences that tell all of it."""
        frame = rng.choice(_TOLD)
        more = {"a_thing": article(self.thing), "Object": _capital(self.object), "Pronoun": self.pronoun.capitalize()}
        return f"{frame.format(**self.slots, **more)}."


_PLAIN = (
    "On {day} {core} at the {place}", "{core} at the {place} on {day}", "At the {place}, {core} on {day}",
    "{core} on {day} at the {place}", "Last {day} {core} at the {place}",
)  # fmt: skip
_TOLD = (
    *_PLAIN, "It was {day}. {core} at the {place}", "{who} was at the {place} on {day}. There {pronoun} {did} {object}",
    "On {day} {who} went to the {place} and {did} {object}", "{Object} was {done} by {who} at the {place} on {day}",
    "Last {day} {who} was at the {place}, where {pronoun} {did} {object}",
    "{who} {did} {a_thing} at the {place} on {day}. The {thing} was {colour}",
    "{who} went to the {place}. It was {day}. {Pronoun} {did} {object}",
    "There was {object} at the {place} on {day}, and {who} {did} it",
)  # fmt: skip


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def deed(rng: Random, *others: Deed) -> Deed:
    """A deed that shares no person, thing, place, colour, day or verb with the others, so questions have one answer."""
    did, do, done = rng.choice([verb for verb in DEEDS if verb[0] not in [e.did for e in others]])
    return Deed(
        who=other(rng, PERSONS, *(e.who for e in others)),
        did=did,
        do=do,
        done=done,
        colour=other(rng, SHADES, *(e.colour for e in others)),
        thing=other(rng, OBJECTS, *(e.thing for e in others)),
        place=other(rng, SPOTS, *(e.place for e in others)),
        day=other(rng, DAYS, *(e.day for e in others)),
    )


_CHANGEABLE: Sequence[tuple[str, Sequence[str]]] = (
    ("who", PERSONS), ("colour", SHADES), ("thing", OBJECTS), ("place", SPOTS), ("day", DAYS),
)  # fmt: skip


def changed(rng: Random, e: Deed, *fields: str) -> Deed:
    """The deed with one of the fields changed (any of person, colour, thing, place and day where none is named)."""
    name, values = rng.choice([entry for entry in _CHANGEABLE if not fields or entry[0] in fields])
    return replace(e, **{name: other(rng, values, getattr(e, name))})


ASIDES = (
    "The sun was out.", "It rained a little.", "Many people were there.", "Nobody else came.", "The wind was cold.",
    "It was a long day.", "Everyone was busy.", "There was music.", "The street was quiet.", "It took an hour.",
)  # fmt: skip
"""Sentences that answer nothing."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A short text and the deeds that it tells."""

    text: str
    deeds: tuple[Deed, ...]


def passage(rng: Random, count: int) -> Passage:
    """A passage of `count` deeds, sometimes with a sentence that answers nothing."""
    deeds: list[Deed] = []
    for _ in range(count):
        deeds.append(deed(rng, *deeds))
    parts = [e.told(rng) for e in deeds]
    if rng.random() < 0.3:
        parts.insert(rng.randint(0, count), rng.choice(ASIDES))
    return Passage(" ".join(parts), tuple(deeds))


def shuffled(rng: Random, values: Sequence[str]) -> tuple[str, ...]:
    """The values in random order."""
    return tuple(rng.sample(values, len(values)))
