"""Cluster "writing": a line of a letter, a note of thanks, a tiny story, a verse of two lines, an invitation.

Each kind of text follows one simple pattern. What is graded is not the pattern but what was asked for: the name, the
things, the number of lines or sentences.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.scenes import NAMES, PLACES
from luthier.demo.world import ANIMALS, COLOURS, DAYS, MEMBERS, THINGS, article
from luthier.tasks.task import TaskRow

_THINGS = tuple(thing.name for thing in THINGS)
_VERSE_NOUNS = tuple(noun for kind in ("animal", "toy", "tool", "fruit", "vehicle") for noun in MEMBERS[kind])


def _object(rng: Random) -> tuple[str, str]:
    return rng.choice(COLOURS), rng.choice(_THINGS)


def _letter(name: str, colour: str, thing: str) -> str:
    return f"Dear {name}, I write to you about the {colour} {thing}."


def _thanks(name: str, colour: str, thing: str) -> str:
    return f"Dear {name}, thank you for the {colour} {thing}."


def _story(name: str, animal: str, home: str) -> str:
    return f"{name} saw {article(animal)}. The {animal} ran to the {home}."


def _verse(first: str, second: str) -> str:
    return f"I saw {article(first)} beside the sea,\nI saw {article(second)} that looked at me."


def _invitation(day: str, place: str) -> str:
    return f"Please come to the {place} on {day}."


def _letter_line(rng: Random) -> TaskRow:
    name = rng.choice(NAMES)
    colour, thing = _object(rng)
    grading = {
        "starts": [f"Dear {name}", f"Hello {name}", f"Hi {name}"], "must": [colour, thing], "min_words": 5,
        "max_words": 25,
    }  # fmt: skip
    return TaskRow(
        {"name": name, "thing": f"{colour} {thing}"},
        (_letter(name, colour, thing),),
        grading=grading,
        source="practice",
    )


def _thank_you(rng: Random) -> TaskRow:
    name = rng.choice(NAMES)
    colour, thing = _object(rng)
    grading = {"must": [name, colour, thing], "any_of": [["thank", "thanks"]], "min_words": 4, "max_words": 25}
    return TaskRow(
        {"name": name, "thing": f"{colour} {thing}"},
        (_thanks(name, colour, thing),),
        grading=grading,
        source="practice",
    )


def _tiny_story(rng: Random) -> TaskRow:
    name, animal = rng.choice(NAMES), rng.choice(ANIMALS)
    grading = {"must": [name, animal.name], "sentences": 2, "min_words": 6, "max_words": 30}
    answer = _story(name, animal.name, animal.home)
    return TaskRow({"name": name, "animal": animal.name}, (answer,), grading=grading, source="practice")


def _two_lines(rng: Random) -> TaskRow:
    first, second = rng.sample(_VERSE_NOUNS, 2)
    grading = {"must": [first, second], "lines": 2, "min_words": 6, "max_words": 30}
    return TaskRow({"first": first, "second": second}, (_verse(first, second),), grading=grading, source="practice")


def _invite(rng: Random) -> TaskRow:
    day, place = rng.choice(DAYS), rng.choice(PLACES)
    guest = rng.choice(NAMES)
    grading = {
        "must": [day, place], "any_of": [["come", "join", "meet", "invite", "invited", "visit"]], "min_words": 4,
        "max_words": 25,
    }  # fmt: skip
    return TaskRow(
        {"day": day, "place": place, "guest": guest}, (_invitation(day, place),), grading=grading, source="practice"
    )


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "letter_line": _letter_line, "thank_you": _thank_you, "tiny_story": _tiny_story, "verse": _two_lines,
    "invitation": _invite,
}  # fmt: skip


def _given(rng: Random, wordings: Sequence[str], answer: str, **slots: str) -> Request:
    return Request(worded(rng, wordings, **slots), answer)


_LETTERS = (
    "begin a letter to {n}; it is about the {t}", "A letter for {n}. Subject: {t}.", "{n} must hear of the {t}: a line",
    "start a mail to {n} on the {t}", "Letter, to {n}, on the {t}", "tell {n} by post what you think of the {t}",
    "Mail for {n}, {t}", "The {t} is the matter, and {n} gets the letter.",
)  # fmt: skip


def letter(rng: Random) -> Request:
    """The line that begins a letter to someone about something."""
    name, (colour, thing) = rng.choice(NAMES), _object(rng)
    return _given(rng, _LETTERS, _letter(name, colour, thing), n=name, t=f"{colour} {thing}")


_THANKED = (
    "thank {n} for the {t}", "{n} gave you the {t}. Say thanks.", "You got the {t} from {n}. A line of thanks?",
    "Thanks to {n}: {t}", "say how glad you are about the {t} from {n}", "The {t} came from {n}, so be grateful",
    "Note of thanks, {n}, {t}", "be polite to {n}, who sent the {t}",
)  # fmt: skip


def thanked(rng: Random) -> Request:
    """A note of thanks."""
    name, (colour, thing) = rng.choice(NAMES), _object(rng)
    return _given(rng, _THANKED, _thanks(name, colour, thing), n=name, t=f"{colour} {thing}")


_TALES = (
    "A tale of {n} and {a}", "{n} and {a}: what happened?", "tell a little tale; in it are {n} and {a}",
    "Tale time! {n}, {a}.", "make up something short on {n} and {a}", "{n} meets {a}. And then?",
    "What did {n} see? Put {a} in.", "Story: {n} + {a}",
)  # fmt: skip


def tale(rng: Random) -> Request:
    """A story of two sentences about someone and an animal."""
    name, animal = rng.choice(NAMES), rng.choice(ANIMALS)
    return _given(rng, _TALES, _story(name, animal.name, animal.home), n=name, a=article(animal.name))


_RHYMES = (
    "A rhyme on {a} and {b}", "rhyme for me on {a}, {b}", "sing of {a} and of {b}", "Rhyme: {a} / {b}",
    "make {a} and {b} into a rhyme", "Two verses, first {a}, then {b}", "A small song about {a} and {b}",
    "Poem ({a}, {b})",
)  # fmt: skip


def rhyme(rng: Random) -> Request:
    """A verse of two lines with two things in it."""
    first, second = rng.sample(_VERSE_NOUNS, 2)
    a, b = (article(first), article(second)) if rng.random() < 0.5 else (first, second)
    return _given(rng, _RHYMES, _verse(first, second), a=a, b=b)


_INVITED = (
    "ask the friends to the {p} for {d}", "{d}, {p}: call your friends", "You wait at the {p} on {d}. Invite them.",
    "bid them come, {d}, {p}", "tell people of the feast, {p}, {d}", "call all to the {p} for {d}",
    "Invite: {p} / {d}", "A card that calls people to the {p}, {d}",
)  # fmt: skip


def invited(rng: Random) -> Request:
    """An invitation with its day and place."""
    day, place = rng.choice(DAYS), rng.choice(PLACES)
    return _given(rng, _INVITED, _invitation(day, place), d=day, p=place)


SKILLS: tuple[Skill, ...] = (
    Skill("letter_line", "writing", letter, 2), Skill("thank_you", "writing", thanked, 2),
    Skill("tiny_story", "writing", tale, 2), Skill("verse", "writing", rhyme, 2),
    Skill("invitation", "writing", invited, 2),
)  # fmt: skip
