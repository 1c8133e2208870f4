"""Cluster "tutoring": explain at a level, ask about a statement, correct it, give a hint, judge a pupil's answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.facts import FACTS, Fact
from luthier.demo.prose import sentence
from luthier.demo.scenes import NAMES, other
from luthier.demo.world import ANIMALS, PEOPLE, THINGS, TOWNS, article
from luthier.tasks.task import TaskRow

_CHILDREN = ("a child", "a small girl", "a small boy", "a little child")
_EXPERTS = ("an expert", "a scientist", "a professor", "a student of science")
SHORT_WORDS = 8
"""An explanation for a child has at most this many words, and one for an expert has more."""


@dataclass(frozen=True, slots=True)
class _Explained:
    """A subject, the short sentence about it and the long one, and the words that each must hold."""

    subject: str
    short: str
    long: str
    short_words: tuple[str, ...]
    long_words: tuple[str, ...]


def _explanations() -> list[_Explained]:
    entries = []
    for a in ANIMALS:
        its = article(a.name)
        entries.append(_Explained(
            its, f"{its} is {article(a.colour)} animal",
            f"{its} is {article(a.colour)} animal that lives in the {a.home} and eats {a.eats}",
            (a.name, a.colour, "animal"), (a.name, a.home, a.eats),
        ))  # fmt: skip
    for t in THINGS:
        its = article(t.name)
        entries.append(_Explained(
            its, f"{its} is {article(t.colour)} thing",
            f"{its} is {article(t.colour)} thing that is made of {t.material} and kept in the {t.room}",
            (t.name, t.colour, "thing"), (t.name, t.material, t.room),
        ))  # fmt: skip
    for town in TOWNS:
        entries.append(_Explained(
            town.name, f"{town.name} is a {town.weather} town",
            f"{town.name} is a {town.weather} town in the {town.region} that is known for {town.product}",
            (town.name, town.weather, "town"), (town.name, town.region, town.product),
        ))  # fmt: skip
    for p in PEOPLE:
        entries.append(_Explained(
            p.name, f"{p.name} is a {p.job}",
            f"{p.name} is a {p.job} from {p.town} who has a {p.pet} and likes {p.food}",
            (p.name, p.job), (p.name, p.job, p.town),
        ))  # fmt: skip
    return entries


# Size, price and age are what comparisons are made from: they stay apart, so that either cluster can be held out.
_FACTS = tuple(fact for fact in FACTS if fact.attribute.name not in ("size", "price", "age"))
_EXPLANATIONS = tuple(_explanations())


def _explain(rng: Random) -> TaskRow:
    entry = rng.choice(_EXPLANATIONS)
    if rng.random() < 0.5:
        grading = {"must": list(entry.short_words), "max_words": SHORT_WORDS}
        return TaskRow(
            {"subject": entry.subject, "reader": rng.choice(_CHILDREN)},
            (entry.short,),
            grading=grading,
            source="practice",
        )
    grading = {"must": list(entry.long_words), "min_words": SHORT_WORDS + 1, "max_words": 3 * SHORT_WORDS}
    return TaskRow(
        {"subject": entry.subject, "reader": rng.choice(_EXPERTS)}, (entry.long,), grading=grading, source="practice"
    )


# What a question about each property has to speak of; its value will do as well ("is a fox red?").
_SPOKEN_OF: Mapping[str, tuple[str, ...]] = {
    "colour": ("colour",), "home": ("where", "live", "home"), "sound": ("sound", "noise"), "legs": ("legs",),
    "eats": ("eat", "food"), "material": ("made", "material"), "room": ("where", "keep"),
    "taste": ("taste",), "region": ("where", "part"), "weather": ("weather",),
    "water": ("water",), "product": ("known", "product"), "job": ("job", "work"),
    "town": ("where", "town", "come"), "pet": ("pet",), "food": ("food", "like", "eat"), "favourite": ("colour",),
}  # fmt: skip
_QUESTION_WORDS = ("what", "where", "how", "which", "who", "in", "is", "does", "do", "has", "can", "when", "why")


def _ask_about(rng: Random) -> TaskRow:
    fact = rng.choice(_FACTS)
    statement = sentence(fact.said(fact.value, rng.randrange(len(fact.attribute.statements))))
    grading = {
        "must": [_noun(fact)], "any_of": [[*_SPOKEN_OF[fact.attribute.name], fact.value]],
        "starts": list(_QUESTION_WORDS), "ends": "?", "max_words": 14,
    }  # fmt: skip
    return TaskRow({"statement": statement}, (f"{fact.question}?",), grading=grading, source="practice")


def _noun(fact: Fact) -> str:
    return fact.subject.split()[-1]


def _mistaken(rng: Random) -> tuple[Fact, str]:
    """A fact and a wrong value for it that is not named anywhere in the right sentence."""
    while True:
        fact = rng.choice(_FACTS)
        wrong = other(rng, fact.attribute.values, fact.value)
        if wrong not in fact.statement.split():
            return fact, wrong


def _correct_statement(rng: Random) -> TaskRow:
    fact, wrong = _mistaken(rng)
    grading = {"must": [_noun(fact), fact.value], "must_not": [wrong, "not"], "max_words": 14}
    said = tuple(wording.format(s=fact.subject, v=fact.value) for wording in fact.attribute.statements)
    return TaskRow({"statement": sentence(fact.said(wrong))}, said, grading=grading, source="practice")


_HINTED = tuple(fact for fact in _FACTS if fact.value.isalpha() and fact.attribute.name != "legs")


def _hinted(rng: Random) -> tuple[Fact, str]:
    fact = rng.choice(_HINTED)
    return fact, f"it begins with the letter {fact.value[0].lower()}"


def _hint(rng: Random) -> TaskRow:
    fact, hint = _hinted(rng)
    grading = {"must": [fact.value[0].lower()], "must_not": [fact.value], "min_words": 3, "max_words": 12}
    question = f"{fact.question[0].upper()}{fact.question[1:]}?"
    return TaskRow({"question": question, "solution": fact.value}, (hint,), grading=grading, source="practice")


def _judged(rng: Random) -> tuple[Fact, str, bool]:
    fact = rng.choice(_FACTS)
    is_right = rng.random() < 0.5
    return fact, fact.value if is_right else other(rng, fact.attribute.values, fact.value), is_right


def _pupil_right(rng: Random) -> TaskRow:
    fact, reply, is_right = _judged(rng)
    question = f"{fact.question[0].upper()}{fact.question[1:]}?"
    fields = {"question": question, "reply": reply, "pupil": rng.choice(NAMES)}
    return TaskRow(fields, ("yes" if is_right else "no",), options=("yes", "no"), source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "explain": _explain, "ask_about": _ask_about, "correct_statement": _correct_statement, "hint": _hint,
    "pupil_right": _pupil_right,
}  # fmt: skip

_FOR_CHILDREN = (
    "tell the little ones what {s} is", "{s}, for small children", "make {s} easy to grasp",
    "{S} in a few easy words", "My son is four. What is {s}?", "describe {s} so that children get it",
    "Little {n} wants to know what {s} is", "What is {s}? Keep it very short.", "A simple line about {s}",
)  # fmt: skip
_FOR_EXPERTS = (
    "tell the scholars what {s} is", "{s}, for people who study it", "All that is known: what is {s}?",
    "{S} with every detail", "I teach at a big school. What is {s}?", "describe {s} in full",
    "Old {n} knows a lot and wants it exact: {s}", "What is {s}? Leave nothing out.", "A learned line about {s}",
)  # fmt: skip


def explained(rng: Random) -> Request:
    """What something is, for a child or for someone who knows a lot."""
    entry = rng.choice(_EXPLANATIONS)
    is_short = rng.random() < 0.5
    wordings = _FOR_CHILDREN if is_short else _FOR_EXPERTS
    slots = {"s": entry.subject, "S": entry.subject[0].upper() + entry.subject[1:], "n": rng.choice(NAMES)}
    return Request(worded(rng, wordings, **slots), entry.short if is_short else entry.long)


_ASKS = (
    "make a question of this", "What question fits here?", "turn it into a quiz question", "ask about this",
    "A question for the class, please", "quiz the class on it", "What could one ask here?", "find the question to it",
    "This is the reply. And the question?",
)  # fmt: skip


def questioned(rng: Random) -> Request:
    """The question that a statement answers."""
    fact = rng.choice(_FACTS)
    said = sentence(fact.said(fact.value, rng.randrange(len(fact.attribute.statements))))
    return Request(worded(rng, _ASKS), f"{fact.question}?", given=said)


_CORRECTIONS = (
    "mend the mistake", "This is false. What is true?", "put it right", "find the mistake and write it well",
    "Not true! How is it?", "A pupil wrote this, and it is wrong", "say it as it is", "One word here is wrong, fix it",
    "make this true", "What should stand here?",
)  # fmt: skip


def mended(rng: Random) -> Request:
    """A wrong statement put right."""
    fact, wrong = _mistaken(rng)
    return Request(worded(rng, _CORRECTIONS), fact.statement, given=sentence(fact.said(wrong)))


_HINTS = (
    "Help a little: {q}?", "{Q}? Only the first letter, please.", "{Q}? I want to guess it.", "A small hint for: {q}?",
    "Do not tell me all. {Q}?", "Help me start: {q}?", "{Q}? How does the word begin?", "First letter? {Q}?",
    "Just a clue, {q}?",
)  # fmt: skip


def hinted(rng: Random) -> Request:
    """How the answer to a question begins."""
    fact, hint = _hinted(rng)
    q = fact.question
    return Request(worded(rng, _HINTS, q=q, Q=q[0].upper() + q[1:]), hint)


_JUDGED = (
    "{Q}? {n} wrote: {r}. Right?", "{Q}? {r}. Good, or not?", "Mark this: {q}? {r}",
    "{n} was asked: {q}? And said: {r}.", "{Q}? Is it {r}?",
    "In the test: {q}? There it says {r}. Does it get a point?", "Check {n}: {q}? {r}", "Can we accept {r} here: {q}?",
)  # fmt: skip


def judged(rng: Random) -> Request:
    """Whether an answer to a question is right."""
    fact, reply, is_right = _judged(rng)
    q = fact.question
    ask = worded(rng, _JUDGED, q=q, Q=q[0].upper() + q[1:], r=reply, n=rng.choice(NAMES))
    return Request(ask, "yes" if is_right else "no", options=("yes", "no") if rng.random() < 0.4 else ())


SKILLS: tuple[Skill, ...] = (
    Skill("explain", "tutoring", explained, 4), Skill("ask_about", "tutoring", questioned, 3),
    Skill("correct_statement", "tutoring", mended, 3), Skill("hint", "tutoring", hinted, 2),
    Skill("pupil_right", "tutoring", judged, 2),
)  # fmt: skip
