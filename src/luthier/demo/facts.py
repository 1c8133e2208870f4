"""What is true in the practice world, fact by fact: how each one is said and asked.

Text to pre-train on, tasks to tune on and questions to evaluate with are all made from `FACTS`, so they cannot
contradict each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from luthier.demo.world import ANIMALS, FOODS, PEOPLE, THINGS, TOWNS, article, named


@dataclass(frozen=True, slots=True)
class Attribute:
    """One property that a kind of subject has, how it is said and asked, and every value it takes in the world."""

    name: str
    statements: tuple[str, ...]
    question: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is true: `subject` is a phrase such as "a fox" or "Anna"."""

    subject: str
    attribute: Attribute
    value: str

    @property
    def statement(self) -> str:
        """The plainest sentence that says the fact, without capital or full stop."""
        return self.said(self.value)

    def said(self, value: str, wording: int = 0) -> str:
        """The sentence with this value in it, which is false for any value but the fact's own."""
        return self.attribute.statements[wording].format(s=self.subject, v=value)

    @property
    def question(self) -> str:
        """A question whose answer is the value."""
        return self.attribute.question.format(s=self.subject)


# Statements, question. {s} is the subject and {v} the value; the first statement is the plain one.
_WORDINGS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType({
    "colour": (("{s} is {v}", "the colour of {s} is {v}", "{s} has a {v} colour"), "what colour is {s}"),
    "home": (("{s} lives in the {v}", "you find {s} in the {v}", "the home of {s} is the {v}"), "where does {s} live"),
    "sound": (("{s} {v}", "when it makes a noise, {s} {v}"), "what sound does {s} make"),
    "legs": (("{s} has {v} legs", "the legs of {s} are {v}", "{s} goes on {v} legs"), "how many legs does {s} have"),
    "eats": (("{s} eats {v}", "the food of {s} is {v}", "{s} feeds on {v}"), "what does {s} eat"),
    "size": (("{s} is {v} in size", "in size {s} is {v}"), "what size is {s}"),
    "material": (("{s} is made of {v}", "people make {s} from {v}", "{v} is what {s} is made of"),
                 "what is {s} made of"),
    "room": (("{s} is kept in the {v}", "you keep {s} in the {v}", "the place for {s} is the {v}"),
             "where do people keep {s}"),
    "price": (("{s} costs {v} coins", "the price of {s} is {v} coins", "you pay {v} coins for {s}"),
              "how many coins is {s}"),
    "taste": (("{s} tastes {v}", "the taste of {s} is {v}"), "how does {s} taste"),
    "region": (("{s} is in the {v}", "{s} lies in the {v}"), "in which part of the land is {s}"),
    "weather": (("{s} is {v}", "the weather in {s} is {v}"), "how is the weather in {s}"),
    "water": (("{s} stands by the {v}", "{s} is a town by the {v}"), "what water is near {s}"),
    "product": (("{s} is known for {v}", "people go to {s} for the {v}", "{s} makes good {v}"),
                "what is {s} known for"),
    "age": (("{s} is {v} years old", "the age of {s} is {v}"), "how old is {s}"),
    "job": (("{s} is a {v}", "{s} works as a {v}", "the job of {s} is {v}"), "what is the job of {s}"),
    "town": (("{s} lives in {v}", "{s} comes from {v}", "the home town of {s} is {v}"), "where does {s} come from"),
    "pet": (("{s} has a {v}", "the pet of {s} is a {v}", "{s} keeps a {v}"), "which pet does {s} have"),
    "food": (("{s} likes {v}", "the best food for {s} is {v}", "{s} loves to have {v}"), "which food does {s} like"),
    "favourite": (("{s} loves the colour {v}", "the favourite colour of {s} is {v}"),
                  "which colour does {s} love"),
})  # fmt: skip


def _attribute(name: str, values: Iterable[str]) -> Attribute:
    statements, question = _WORDINGS[name]
    return Attribute(name, statements, question, tuple(sorted(set(values) - {"-"})))


def _facts(subjects: Mapping[str, object], columns: Mapping[str, str]) -> list[Fact]:
    """Facts of one kind of subject; `columns` maps the name of an attribute to the field that holds its value."""
    attributes = {name: _attribute(name, (str(getattr(s, field)) for s in subjects.values()))
                  for name, field in columns.items()}  # fmt: skip
    return [
        Fact(phrase, attributes[name], value)
        for phrase, subject in subjects.items()
        for name, field in columns.items()
        if (value := str(getattr(subject, field))) != "-"
    ]


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


ANIMAL_FACTS = tuple(
    _facts({article(a.name): a for a in ANIMALS}, _same("colour", "home", "sound", "legs", "eats", "size"))
)
THING_FACTS = tuple(_facts({article(t.name): t for t in THINGS}, _same("colour", "material", "room", "price")))
FOOD_FACTS = tuple(_facts({named(f): f for f in FOODS}, _same("colour", "taste")))
TOWN_FACTS = tuple(_facts({t.name: t for t in TOWNS}, _same("region", "weather", "water", "product")))
PERSON_FACTS = tuple(
    _facts({p.name: p for p in PEOPLE}, _same("age", "job", "town", "pet", "food") | {"favourite": "colour"})
)
FACTS = ANIMAL_FACTS + THING_FACTS + FOOD_FACTS + TOWN_FACTS + PERSON_FACTS
"""Every fact of the world, except the kind of each noun, which `KIND_OF` holds."""
