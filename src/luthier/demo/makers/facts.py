"""Cluster "facts": questions about the world that have to be answered from memory.

Sizes, legs, ages and prices are left to the cluster "comparison": the tasks here do not ask for them, the text does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.facts import ANIMAL_FACTS, FACTS, FOOD_FACTS, PERSON_FACTS, THING_FACTS, TOWN_FACTS, Fact
from luthier.demo.scenes import NAMES, other
from luthier.tasks.task import TaskRow

_NOT_ASKED = ("legs", "size", "age", "price")
_REVERSED_SHARE = 0.35

_ABOUT: Mapping[str, str] = MappingProxyType({
    "colour": "the colour of {s}", "home": "the home of {s}", "sound": "the sound of {s}", "eats": "the food of {s}",
    "legs": "how many legs {s} has", "size": "the size of {s}", "material": "the material of {s}",
    "room": "the place for {s}", "price": "the price of {s} in coins", "taste": "the taste of {s}",
    "region": "the side of the land where {s} is", "weather": "the weather in {s}", "water": "the water near {s}",
    "product": "the product of {s}", "age": "the age of {s}", "job": "the job of {s}", "town": "the home town of {s}",
    "pet": "the pet of {s}", "food": "the best food for {s}", "favourite": "the favourite colour of {s}",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Topic:
    """One sort of subject; `which` asks for it in a question and `one` in an order."""

    facts: tuple[Fact, ...]
    which: str
    one: str
    several: str


_ANIMAL = _Topic(ANIMAL_FACTS, "which animal", "an animal that", "animals")
_THING = _Topic(THING_FACTS, "which thing", "a thing that", "things")
_FOOD = _Topic(FOOD_FACTS, "which food", "a food that", "food")
_TOWN = _Topic(TOWN_FACTS, "which town", "a town that", "towns")
_PERSON = _Topic(PERSON_FACTS, "who", "someone who", "people")


def _asked(topic: _Topic) -> tuple[Fact, ...]:
    """The facts that the tasks may ask for."""
    return tuple(fact for fact in topic.facts if fact.attribute.name not in _NOT_ASKED)


def name_of(fact: Fact) -> str:
    """The subject without its article: "fox", "milk", "Anna"."""
    return fact.subject.split()[-1]


def predicate(fact: Fact) -> str:
    """What the plain statement says of the subject: "lives in the forest"."""
    return fact.statement.removeprefix(f"{fact.subject} ")


def holders(fact: Fact, facts: tuple[Fact, ...]) -> tuple[str, ...]:
    """The names of all that the predicate is true of, in the order of the tables."""
    return tuple(name_of(f) for f in facts if f.attribute is fact.attribute and f.value == fact.value)


def accepted(fact: Fact) -> tuple[str, ...]:
    """The value, and how else people say it: "the garden", "in the garden", "a cat"."""
    value, name = fact.value, fact.attribute.name
    if name in ("home", "room", "region", "water"):
        return value, f"the {value}", f"in the {value}"
    if name in ("pet", "job"):
        return value, f"a {value}"
    return (value,)


def capital(text: str) -> str:
    """The text with a capital."""
    return text[0].upper() + text[1:]


def _forward(fact: Fact) -> dict[str, str]:
    """What is asked of the subject, as a question, as a phrase and as a sentence with a gap."""
    about = _ABOUT[fact.attribute.name].format(s=fact.subject)
    return {"subject": fact.subject, "question": fact.question, "about": about, "gap": fact.said("___")}


def _reversed(fact: Fact, topic: _Topic) -> dict[str, str]:
    """The subject is asked for, in the same three ways."""
    its = predicate(fact)
    return {
        "subject": topic.several, "question": f"{topic.which} {its}", "about": f"{topic.one} {its}",
        "gap": f"___ {its}",
    }  # fmt: skip


def _row(topic: _Topic, fact: Fact, *, is_reversed: bool) -> TaskRow:
    """A fact asked for; every row brings what it takes to ask the other way around."""
    names = holders(fact, topic.facts)
    # One row for each predicate: whoever comes first in the table stands for all that hold it.
    name = names[0] if is_reversed else name_of(fact)
    fields = _reversed(fact, topic) if is_reversed else _forward(fact)
    fields |= {"Question": capital(fields["question"]), "predicate": predicate(fact), "name": name}
    named = tuple(dict.fromkeys((*names, *(f.subject for f in topic.facts if name_of(f) in names))))
    answers = named if is_reversed else accepted(fact)
    return TaskRow(fields, answers, lists={"names": named})


def _maker(topic: _Topic, reversed_share: float = 0.0) -> Callable[[Random], TaskRow]:
    facts = _asked(topic)
    return lambda rng: _row(topic, rng.choice(facts), is_reversed=rng.random() < reversed_share)


# Towns are left to the one task that asks for them, which no model is tuned on.
_CLAIMED = tuple(fact for topic in (_ANIMAL, _THING, _FOOD, _PERSON) for fact in _asked(topic))


def _claim(rng: Random, facts: tuple[Fact, ...]) -> tuple[str, bool]:
    """A statement and whether it is true; both are equally likely."""
    fact = rng.choice(facts)
    is_true = rng.random() < 0.5
    return fact.said(fact.value if is_true else other(rng, fact.attribute.values, fact.value)), is_true


def _fact_check(rng: Random) -> TaskRow:
    statement, is_true = _claim(rng, _CLAIMED)
    fields = {"statement": statement, "Statement": capital(statement)}
    return TaskRow(fields, ("yes" if is_true else "no",), options=("yes", "no"))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = MappingProxyType({
    "animal_fact": _maker(_ANIMAL), "person_fact": _maker(_PERSON), "thing_fact": _maker(_THING),
    "food_fact": _maker(_FOOD, _REVERSED_SHARE), "town_fact": _maker(_TOWN, _REVERSED_SHARE),
    "fact_check": _fact_check,
})  # fmt: skip
"""The makers of rows, by the name of the task. Foods and towns are few, so those tasks ask both ways."""

_QUESTION_ASKS = (
    "{Q}?", "{Q}?", "{Q}?", "Tell me, {q}?", "Do you know {q}?", "{q}?", "{Q}, please?", "Quick: {q}?", "Quiz: {q}?",
    "say {q}", "The class asks {q}.", "I wonder {q}.",
)  # fmt: skip
_ABOUT_ASKS = (
    "name {about}", "give {about}", "{About}?", "{About} is ...", "I forgot {about}. What was it?", "look up {about}",
    "say {about}", "{About} =", "state {about}",
)  # fmt: skip
_GAP_ASKS = (
    "{g}", "finish: {g}", "Go on: {g}", "One piece is missing: {g}", "fill in the gap: {g}", "complete this: {g}",
    "{G}. Which word is gone?",
)  # fmt: skip
_GAP_SIGNS = ("...", "___", "..", "_", "( )")
_SOME_ASKS = (
    "name {one}", "think of {one}", "say {one}", "{W}?", "{W}?", "I need {one}", "give {one}", "Do you know {one}?",
)  # fmt: skip

_CHECK_ASKS = (
    "True or not: {s}?", "{S}. Right?", "yes or no: {s}?", "Is it so that {s}?", "{S}. Yes or no?",
    "Would you say that {s}?", "check this: {s}", "Someone told me that {s}. Is that right?", "{S}?",
    "{n} thinks that {s}. Is {n} right?", "They say {s}. True?", "Can it be that {s}?",
)  # fmt: skip


def _request(rng: Random, topic: _Topic) -> Request:
    fact = rng.choice(topic.facts)
    form = rng.random()
    if form < 0.15:
        its = predicate(fact)
        ask = worded(rng, _SOME_ASKS, one=f"{topic.one} {its}", W=capital(f"{topic.which} {its}"))
        return Request(ask, name_of(fact))
    if form < 0.4:
        gap = fact.said(rng.choice(_GAP_SIGNS), rng.randrange(len(fact.attribute.statements)))
        return Request(rng.choice(_GAP_ASKS).format(g=gap, G=capital(gap)), fact.value)
    if form < 0.65:
        about = _ABOUT[fact.attribute.name].format(s=fact.subject)
        return Request(worded(rng, _ABOUT_ASKS, about=about, About=capital(about)), fact.value)
    question = fact.question
    return Request(worded(rng, _QUESTION_ASKS, q=question, Q=capital(question)), fact.value)


def _checked(rng: Random) -> Request:
    statement, is_true = _claim(rng, FACTS)
    ask = worded(rng, _CHECK_ASKS, s=statement, S=capital(statement), n=rng.choice(NAMES))
    return Request(ask, "yes" if is_true else "no", options=("yes", "no") if rng.random() < 0.4 else ())


def _skill(name: str, topic: _Topic, weight: int) -> Skill:
    return Skill(name, "facts", lambda rng: _request(rng, topic), weight)


SKILLS: tuple[Skill, ...] = (
    _skill("animal_fact", _ANIMAL, 6), _skill("person_fact", _PERSON, 5), _skill("thing_fact", _THING, 5),
    _skill("food_fact", _FOOD, 2), _skill("town_fact", _TOWN, 3), Skill("fact_check", "facts", _checked, 5),
)  # fmt: skip
"""What the plain text asks for, one skill for each task."""
