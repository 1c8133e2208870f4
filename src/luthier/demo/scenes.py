"""Small pieces of content made from a generator: events, reviews, moods, phrases in two languages, lists of words.

Text to pre-train on and tasks to tune on share these pieces, so a base model has met their kind before; how the pieces
are asked about is written apart, in `requests` for the text and in the families of `tasks` for tuning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from luthier.demo.lexicon import SPANISH, SPANISH_ADJECTIVES, SPANISH_NOUNS
from luthier.demo.world import COLOURS, DAYS, NOUNS, PEOPLE, THINGS, article

PLACES = ("market", "park", "station", "shop", "beach", "library", "school", "bridge", "harbour", "museum")
VERBS = (
    ("bought", "buy"), ("found", "find"), ("lost", "lose"), ("saw", "see"), ("sold", "sell"), ("painted", "paint"),
    ("dropped", "drop"), ("fixed", "fix"), ("hid", "hide"), ("carried", "carry"),
)  # fmt: skip
"""What people do with things: the past form and the plain form."""

NAMES = tuple(person.name for person in PEOPLE)
PRONOUN = {person.name: person.pronoun for person in PEOPLE}
_THING_NAMES = tuple(thing.name for thing in THINGS)
_SAFE_COLOURS = tuple(colour for colour in COLOURS if colour != "silver")


def other(rng: Random, values: Sequence[str], *without: str) -> str:
    """One of the values that is none of `without`."""
    while (value := rng.choice(values)) in without:
        pass
    return value


@dataclass(frozen=True, slots=True)
class Event:
    """Someone did something with something, somewhere, on a day."""

    who: str
    did: str
    do: str
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
        return PRONOUN[self.who]

    def told(self, rng: Random) -> str:
        """One sentence that tells all of it, in one of several orders."""
        core = f"{self.who} {self.did} {self.object}"
        order = rng.randrange(4)
        if order == 0:
            return f"On {self.day} {core} at the {self.place}."
        if order == 1:
            return f"{core} at the {self.place} on {self.day}."
        if order == 2:
            return f"At the {self.place}, {core} on {self.day}."
        return f"It was {self.day}. {core} at the {self.place}."


def event(rng: Random, *others: Event) -> Event:
    """An event that shares no person, thing, place, colour or day with the others, so questions have one answer."""
    did, do = rng.choice(VERBS)
    return Event(
        who=other(rng, NAMES, *(e.who for e in others)),
        did=did,
        do=do,
        colour=other(rng, _SAFE_COLOURS, *(e.colour for e in others)),
        thing=other(rng, _THING_NAMES, *(e.thing for e in others)),
        place=other(rng, PLACES, *(e.place for e in others)),
        day=other(rng, DAYS, *(e.day for e in others)),
    )


@dataclass(frozen=True, slots=True)
class Passage:
    """A short text and the events that it tells."""

    text: str
    events: tuple[Event, ...]


def passage(rng: Random, count: int) -> Passage:
    """A passage of `count` events."""
    events: list[Event] = []
    for _ in range(count):
        events.append(event(rng, *events))
    return Passage(" ".join(e.told(rng) for e in events), tuple(events))


def changed(rng: Random, e: Event) -> Event:
    """The event with its colour, thing, place or day changed: what it tells no longer agrees with the original."""
    field = rng.choice(("colour", "thing", "place", "day"))
    if field == "colour":
        return replace(e, colour=other(rng, _SAFE_COLOURS, e.colour))
    if field == "thing":
        return replace(e, thing=other(rng, _THING_NAMES, e.thing))
    if field == "place":
        return replace(e, place=other(rng, PLACES, e.place))
    return replace(e, day=other(rng, DAYS, e.day))


_SUBJECTS = (
    "hotel", "soup", "film", "book", "room", "shop", "lamp", "guitar", "coffee", "cake", "bus ride", "garden", "song",
    "coat", "bike", "teacher", "show", "chair", "boat trip", "market",
)  # fmt: skip
_GOOD = ("lovely", "great", "wonderful", "excellent", "perfect", "very nice", "a real joy", "better than I hoped")
_BAD = ("awful", "terrible", "broken", "boring", "horrible", "very poor", "a waste of time", "worse than I feared")
_GOOD_ENDS = (
    "I loved it.", "I will come back soon.", "Everyone smiled.", "I told all my friends to try it.",
    "It made my day.", "Ten out of ten.", "I want another one.", "We had so much fun.",
)  # fmt: skip
_BAD_ENDS = (
    "I hated it.", "I will never come back.", "Everyone complained.", "I told all my friends to stay away.",
    "It spoiled my day.", "One out of ten.", "I want my money back.", "We left early and angry.",
)  # fmt: skip
_REVIEW_STARTS = (
    "The {s} was {a}.", "We tried the {s} on {d} and it was {a}.", "This {s} is {a}.", "To my mind the {s} was {a}.",
    "My {s} from last {d} was {a}.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Review:
    """What someone thought of something."""

    text: str
    subject: str
    is_good: bool


def review(rng: Random) -> Review:
    """A review, good or bad with equal chance."""
    is_good = rng.random() < 0.5
    subject = rng.choice(_SUBJECTS)
    words = rng.choice(_GOOD if is_good else _BAD)
    start = rng.choice(_REVIEW_STARTS).format(s=subject, a=words, d=rng.choice(DAYS))
    end = rng.choice(_GOOD_ENDS if is_good else _BAD_ENDS)
    parts = (start, end) if rng.random() < 0.8 else (end, start)
    return Review(" ".join(parts), subject, is_good)


_HAPPY = (
    "won the race", "got a present", "found the lost {t}", "heard good news", "sang all the way home",
    "got a new {t}", "danced with friends", "laughed at the show",
)  # fmt: skip
_SAD = (
    "lost the race", "broke a leg", "broke the {t}", "heard bad news", "cried all the way home",
    "lost the old {t}", "had no friends to play with", "stayed in bed with a fever",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mood:
    """A sentence from which one can tell how someone feels."""

    text: str
    who: str
    feeling: str


def mood(rng: Random) -> Mood:
    """A sentence about someone happy or sad."""
    feeling, events = rng.choice((("happy", _HAPPY), ("sad", _SAD)))
    who = rng.choice(NAMES)
    what = rng.choice(events).format(t=rng.choice(_THING_NAMES))
    return Mood(f"{who} {what}.", who, feeling)


@dataclass(frozen=True, slots=True)
class Bilingual:
    """The same words in English and in Spanish."""

    english: str
    spanish: str


_WORDS = tuple(SPANISH)
_SPANISH_THINGS = tuple(noun for noun in SPANISH_NOUNS if noun.english in _THING_NAMES)


def word_pair(rng: Random) -> Bilingual:
    """One word in both languages."""
    word = rng.choice(_WORDS)
    return Bilingual(word, SPANISH[word])


def phrase_pair(rng: Random) -> Bilingual:
    """A phrase of two to five words in both languages, in lower case and without full stop."""
    noun, adjective = rng.choice(SPANISH_NOUNS), rng.choice(SPANISH_ADJECTIVES)
    n, a, described = noun.english, adjective.english, adjective.of(noun)
    form = rng.randrange(6)
    if form == 0:
        return Bilingual(f"the {a} {n}", f"{noun.with_the} {described}")
    if form == 1:
        return Bilingual(f"the {n} is {a}", f"{noun.with_the} es {described}")
    if form == 2:
        second = rng.choice(SPANISH_NOUNS)
        return Bilingual(f"the {n} and the {second.english}", f"{noun.with_the} y {second.with_the}")
    if form == 3:
        return Bilingual(f"my {n} is {a}", f"mi {noun.spanish} es {described}")
    thing = rng.choice(_SPANISH_THINGS)
    if form == 4:
        return Bilingual(f"I have {article(thing.english)}", f"tengo {thing.with_a}")
    return Bilingual(f"I see the {thing.english}", f"veo {thing.with_the}")


def nouns(rng: Random, count: int) -> list[str]:
    """Different nouns for a list."""
    return rng.sample(NOUNS, count)


def and_list(words: Sequence[str]) -> str:
    """The words as a sentence lists them: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
