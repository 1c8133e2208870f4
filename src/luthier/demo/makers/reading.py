"""Cluster "reading": questions that a short passage answers, nearly always with a word that stands in it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.passages import DEEDS, OBJECTS, PERSONS, SHADES, SPOTS, Deed, Passage, passage
from luthier.demo.scenes import other
from luthier.demo.world import DAYS, article
from luthier.tasks.task import TaskRow


def _passage(rng: Random) -> tuple[Passage, Deed]:
    text = passage(rng, rng.choice((1, 2, 2, 3)))
    return text, rng.choice(text.deeds)


def _row(rng: Random, field: str, forms: Sequence[str]) -> TaskRow:
    text, e = _passage(rng)
    answers = tuple(form.format(x=e.slots[field], object=e.object, colour=e.colour) for form in forms)
    return TaskRow(fields=e.slots | {"passage": text.text}, answers=answers, source="practice")


_ANSWERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "who": ("who", ("{x}",)),
    "what": ("thing", ("{x}", "a {x}", "an {x}", "the {x}", "{object}", "{colour} {x}", "the {colour} {x}")),
    "when": ("day", ("{x}", "on {x}")),
    "where": ("place", ("{x}", "the {x}", "at the {x}")),
    "which_colour": ("colour", ("{x}",)),
}
"""For each task the field that answers it, and the forms of the answer that are accepted."""

_YES_NO: Sequence[tuple[str, str]] = (
    ("who", "Did {who} {do} the {thing}?"), ("thing", "Did {who} {do} {a_thing}?"), ("place",
    "Was {who} at the {place}?"),
    ("colour", "Was the {thing} {colour}?"), ("day", "Was {who} at the {place} on {day}?"),
    ("who", "Was the {thing} {done} by {who}?"), ("place", "Was the {thing} {done} at the {place}?"),
    ("day", "Did {who} {do} the {thing} on {day}?"), ("colour", "Did {who} {do} a {colour} {thing}?"),
)  # fmt: skip
_VALUES: Mapping[str, Sequence[str]] = {
    "who": PERSONS, "thing": OBJECTS, "place": SPOTS, "colour": SHADES, "day": DAYS,
}  # fmt: skip


def _asked(rng: Random) -> tuple[str, str, str]:
    """A passage, a question about it and the answer, yes or no; both are equally likely."""
    text, e = _passage(rng)
    field, question = rng.choice(_YES_NO)
    slots = e.slots
    is_so = rng.random() < 0.5
    if not is_so:
        mates = [getattr(d, field) for d in text.deeds if d is not e]
        # What another sentence tells is the harder wrong value: it stands in the text.
        wrong = rng.choice(mates) if mates and rng.random() < 0.6 else other(rng, _VALUES[field], slots[field])
        slots = slots | {field: wrong}
    asked = question.format(**slots, a_thing=article(slots["thing"]))
    asked = asked.replace(" a orange", " an orange")
    return text.text, asked, "yes" if is_so else "no"


_PAST_OF: Mapping[str, str] = {do: did for did, do, _ in DEEDS}


def _without_did(question: str) -> str:
    """The question with the verb as the passage has it: turned around, it must not teach a verb's plain form."""
    start, who, verb, rest = question.split(" ", 3)
    return f"Is it true that {who} {_PAST_OF[verb]} {rest}" if start == "Did" else question


def _yes_no_row(rng: Random) -> TaskRow:
    text, question, answer = _asked(rng)
    ask = question[0].lower() + question[1:]
    fields = {"passage": text, "question": question, "ask": ask, "asked": _without_did(question)}
    return TaskRow(fields=fields, answers=(answer,), source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    name: partial(_row, field=field, forms=forms) for name, (field, forms) in _ANSWERS.items()
} | {"yes_no_question": _yes_no_row}

_WORDINGS: Mapping[str, Sequence[str]] = {
    "who": (
        "Who {did} the {thing}?", "name the one who {did} the {thing}", "The {thing}: who {did} it?",
        "Which person {did} the {thing}?", "say who {did} {object}", "Somebody {did} {object}. Who was it?",
        "Who was at the {place}?", "... {did} the {thing}. Who goes in the gap?", "Who was there on {day}?",
        "look for the one that {did} {object}", "By whom was the {thing} {done}?", "I did not. Who {did} the {thing}?",
        "write the name of who {did} the {thing}",
    ),
    "what": (
        "What did {who} {do}?", "{who} {did} what?", "say what {who} {did}", "Which thing did {who} {do}?",
        "{who} {did} a ...", "What was {done} by {who}?", "name what {who} {did}", "What was it that {who} {did}?",
        "What was {colour}?", "find what {who} {did} at the {place}", "At the {place} {who} {did} what?",
        "{who} {did} something {colour}. What?",
    ),
    "when": (
        "When was it that {who} {did} it?", "What day was {who} there?", "name the day for {who}", "{who}: what day?",
        "When was the {thing} {done}?", "On what day was {who} at the {place}?", "When was {who} at the {place}?",
        "say when {who} {did} the {thing}", "{who} {did} the {thing} on ...", "The {thing} was {done} on what day?",
        "Which day of the week was it for {who}?", "look up the day of the {thing}",
    ),
    "where": (
        "Where was {who}?", "Where did {who} {do} it?", "name the place where {who} was", "At what place was {who}?",
        "Where was the {thing} {done}?", "{who} was where?", "{who}: what place?", "say where the {thing} was",
        "{who} {did} the {thing} at the ...", "Where did they see {who} on {day}?", "look up the place of the {thing}",
        "On {day} {who} was where?",
    ),
    "which_colour": (
        "What colour was the {thing}?", "The {thing} had which colour?", "give the colour of that {thing}",
        "The {thing} was ...", "{who} {did} a {thing}. What colour?", "say what colour the {thing} was",
        "Colour of the {thing}?", "The {thing}: red, blue or what?", "How was the {thing} coloured?",
        "paint the {thing} as it was: which colour do you need?", "{thing} = what colour?",
        "name the colour for the {thing}",
    ),
}  # fmt: skip

_YES_NO_WORDINGS = (
    "{q}", "{q} Yes or no?", "{q} Say yes or no.", "Yes or no: {q}", "{q} Check it.", "{q} What does it say?",
    "Look again. {q}", "My question: {q}", "Think of the story. {q}", "{q} Right or not?", "Tell me, {l}",
    "I forgot. {q}",
)  # fmt: skip


def _skill(rng: Random, name: str) -> Request:
    text, e = _passage(rng)
    return Request(worded(rng, _WORDINGS[name], **e.slots), e.slots[_ANSWERS[name][0]], given=text.text)


def _yes_no_skill(rng: Random) -> Request:
    text, question, answer = _asked(rng)
    ask = rng.choice(_YES_NO_WORDINGS).format(q=question, l=question[0].lower() + question[1:])
    return Request(ask, answer, given=text, options=("yes", "no") if rng.random() < 0.3 else ())


SKILLS: tuple[Skill, ...] = (
    *(Skill(name, "reading", partial(_skill, name=name), weight=2) for name in _WORDINGS),
    Skill("yes_no_question", "reading", _yes_no_skill, weight=2),
)
