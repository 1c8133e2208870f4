"""Cluster "style": the same thing said politely, as a question, in the past, of someone else, with a not; greetings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.lexicon import PAST
from luthier.demo.prose import sentence
from luthier.demo.scenes import NAMES, PLACES, PRONOUN
from luthier.demo.world import ANIMALS, COLOURS, FOODS, PEOPLE, THINGS, TOWNS, article
from luthier.tasks.task import TaskRow

_THINGS = tuple(thing.name for thing in THINGS)
_ORDER_VERBS = ("bring", "wash", "paint", "open", "fix", "find", "carry", "clean", "hide", "move", "buy", "sell")
_SPOTS = tuple(dict.fromkeys(thing.room for thing in THINGS))
_SAME_WORDS = {"same_words": True}


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence, its yes-or-no question and its negation with other accepted forms; no capital, no full stop."""

    text: str
    question: str
    negation: tuple[str, ...]


def _object(rng: Random) -> str:
    return f"the {rng.choice(COLOURS)} {rng.choice(_THINGS)}"


def _sentence(rng: Random) -> _Sentence:
    """A sentence with is, can or a verb in the third person."""
    who = rng.choice(NAMES)
    subject = who if rng.random() < 0.6 else f"the {rng.choice(ANIMALS).name}"
    form = rng.randrange(4)
    if form == 0:
        thing = rng.choice(_THINGS)
        return _with_is(f"the {thing}", rng.choice((rng.choice(COLOURS), f"in the {rng.choice(_SPOTS)}")))
    if form == 1:
        return _with_is(subject, f"at the {rng.choice(PLACES)}")
    if form == 2:
        act = rng.choice(("swim", "sing", "jump", "run", "dance", "climb", "count", "paint", "cook", "read"))
        negation = tuple(f"{subject} {not_} {act}" for not_ in ("can not", "cannot", "can't"))
        return _Sentence(f"{subject} can {act}", f"can {subject} {act}", negation)
    verb, rest = rng.choice((
        ("like", rng.choice(FOODS).name), ("have", article(f"{rng.choice(COLOURS)} {rng.choice(_THINGS)}")),
        ("want", _object(rng)), ("see", _object(rng)), ("need", _object(rng)),
    ))  # fmt: skip
    negation = tuple(f"{subject} {not_} {verb} {rest}" for not_ in ("does not", "doesn't"))
    return _Sentence(f"{subject} {third(verb)} {rest}", f"does {subject} {verb} {rest}", negation)


def _with_is(subject: str, rest: str) -> _Sentence:
    return _Sentence(
        f"{subject} is {rest}", f"is {subject} {rest}", (f"{subject} is not {rest}", f"{subject} isn't {rest}")
    )


def third(verb: str) -> str:
    """The form of the verb after he, she or a name."""
    if verb == "have":
        return "has"
    if verb.endswith(("o", "sh", "ch", "s", "x")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2] not in "aeiou" else f"{verb}s"


def _polite_pair(rng: Random) -> tuple[str, str, tuple[str, ...]]:
    """An order, its polite form and the words that both hold."""
    verb, colour, thing = rng.choice(_ORDER_VERBS), rng.choice(COLOURS), rng.choice(_THINGS)
    what = f"the {colour} {thing}" if rng.random() < 0.6 else f"the {thing}"
    order = f"{verb} {what}"
    return order, f"could you please {order}?", (verb, *what.split()[1:])


def _polite(rng: Random) -> TaskRow:
    order, polite, words = _polite_pair(rng)
    grading = {"must": [*words, "please"], "max_words": 14}
    return TaskRow({"order": sentence(order)}, (polite,), grading=grading, source="practice")


def _to_question(rng: Random) -> TaskRow:
    s = _sentence(rng)
    return TaskRow(
        {"sentence": sentence(s.text)}, (f"{s.question}?",), grading=_SAME_WORDS | {"ends": "?"}, source="practice"
    )


def _negation(rng: Random) -> TaskRow:
    s = _sentence(rng)
    return TaskRow({"sentence": sentence(s.text)}, s.negation, grading=_SAME_WORDS, source="practice")


_FORMAL = ("the judge", "the teacher", "the doctor", "the old queen", "the head of the school", "the captain")
_FRIENDLY = ("a friend", "a good friend", "a playmate", "a brother", "a sister", "a cousin")


def _greeting_pair(rng: Random) -> tuple[str, str, str, bool]:
    """A name, who that is, the greeting and whether it is formal."""
    is_formal, name = rng.random() < 0.5, rng.choice(NAMES)
    if is_formal:
        return name, rng.choice(_FORMAL), f"good day, {name}", True
    return name, rng.choice(_FRIENDLY), f"hi {name}", False


_ROLE_OF: Mapping[str, Mapping[str, str]] = {
    "he": {"a sister": "a brother", "the old queen": "the old king"}, "she": {"a brother": "a sister"},
}  # fmt: skip


def _greeting(rng: Random) -> TaskRow:
    name, role, greeting, is_formal = _greeting_pair(rng)
    role = _ROLE_OF[PRONOUN[name]].get(role, role)
    grading: dict[str, object] = {"must": [name], "max_words": 8}
    if is_formal:
        grading |= {"any_of": [["good", "dear", "greetings", "honoured"]], "must_not": ["hi", "hey"]}
    else:
        grading |= {"any_of": [["hi", "hey", "hello"]], "must_not": ["sir", "madam", "dear", "good day"]}
    return TaskRow({"name": name, "role": role}, (greeting,), grading=grading, source="practice")


_ENDS = (
    ("{o}", "see find buy take draw sell lose bring open wash paint"), ("to the {p}", "go walk come run drive"),
    ("at the {p}", "sing jump sleep play swim"), ("{f}", "eat cook make"),
)  # fmt: skip
_PAST_ENDS: Mapping[str, str] = {verb: end for end, verbs in _ENDS for verb in verbs.split()}
_MEALS = tuple(food.name for food in FOODS if food.kind == "meal")


def _past_pair(rng: Random) -> tuple[str, str]:
    """A sentence of today and the same of yesterday."""
    verb = rng.choice(tuple(_PAST_ENDS))
    end = _PAST_ENDS[verb].format(p=rng.choice(PLACES), f=rng.choice(_MEALS), o=_object(rng))
    if rng.random() < 0.25:
        return f"they {verb} {end}", f"they {PAST[verb]} {end}"
    who = rng.choice(NAMES)
    return f"{who} {third(verb)} {end}", f"{who} {PAST[verb]} {end}"


def _to_past(rng: Random) -> TaskRow:
    now, then = _past_pair(rng)
    return TaskRow(
        {"sentence": sentence(now)},
        (then, f"yesterday {then}", f"{then} yesterday"),
        grading=_SAME_WORDS,
        source="practice",
    )


def _person_pair(rng: Random) -> tuple[str, str, str]:
    """A sentence in the first person, and what follows the name in the third; and the name."""
    name = rng.choice(NAMES)
    thing = article(f"{rng.choice(COLOURS)} {rng.choice(_THINGS)}")
    verb, end = rng.choice((
        ("like", rng.choice(FOODS).name), ("have", thing), ("want", thing), ("see", thing),
        ("live", f"in {rng.choice(TOWNS).name}"), ("work", f"at the {rng.choice(PLACES)}"),
        ("am", article(rng.choice(PEOPLE).job)), ("am", f"{rng.randint(6, 90)} years old"),
        ("walk", f"to the {rng.choice(PLACES)}"), ("can", rng.choice(("swim", "sing", "jump", "cook", "run"))),
    ))  # fmt: skip
    its = {"am": "is", "can": "can"}.get(verb) or third(verb)
    return f"I {verb} {end}", f"{its} {end}", name


def _third_person(rng: Random) -> TaskRow:
    mine, theirs, name = _person_pair(rng)
    answers = (f"{name} {theirs}", f"{PRONOUN[name]} {theirs}")
    return TaskRow({"sentence": sentence(mine), "name": name}, answers, grading=_SAME_WORDS, source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "polite": _polite, "to_question": _to_question, "negation": _negation, "greeting": _greeting,
    "to_past": _to_past, "third_person": _third_person,
}  # fmt: skip

_KIND_WORDS = (
    "say it more kindly", "be polite", "With good manners, please", "Too rude! Better?", "make this order kind",
    "ask nicely", "The same with nice words", "A queen would ask how?", "turn this command into a kind wish",
)  # fmt: skip
_QUESTIONED = (
    "Is that so? Put the question.", "make it a yes or no question", "ask if it is so", "With a question mark",
    "turn it into what one asks", "I doubt it, so I ask:", "From a full stop to a question mark",
    "be unsure of this and ask",
)  # fmt: skip
_DENIED = (
    "say no to this", "put a not in it", "It is the other way: not so. Say it.", "deny this", "With not",
    "That is not true, so write:", "say that it is not so", "make it a no",
)  # fmt: skip
_PASTS = (
    "This was yesterday. Say it.", "put it in the past", "Now as if it were last week", "But it happened long ago:",
    "Yesterday, then", "move it to yesterday", "tell it as a thing of the past", "When it is over, we write",
)  # fmt: skip
_OTHERS = (
    "{n} said this. Tell it about {n}.", "speak of {n}, not of yourself", "That is what {n} says, so we say:",
    "put {n} in it for I", "I is {n} here. Change it.", "It is about {n}. Say it so.", "{n} instead of I",
    "report on {n}",
)  # fmt: skip
_GREETED = (
    "{n} is {r}. How do you greet?", "say hello to {n}, {r}", "Here comes {n}, {r}. You say?", "greet {n} ({r})",
    "{n} opens the door: {r}. First words?", "The right hello for {r}, {n}", "You see {r}, {n}. Greet!",
    "{r} - {n} - hello?",
)  # fmt: skip


def _restated(rng: Random, wordings: Sequence[str], text: str, answer: str, **slots: str) -> Request:
    given = sentence(text) if rng.random() < 0.8 else text
    return Request(worded(rng, wordings, **slots), answer, given=given)


def kindly(rng: Random) -> Request:
    """The polite form of an order."""
    order, polite, _ = _polite_pair(rng)
    return _restated(rng, _KIND_WORDS, order, polite)


def doubted(rng: Random) -> Request:
    """The question to a statement."""
    s = _sentence(rng)
    return _restated(rng, _QUESTIONED, s.text, f"{s.question}?")


def denied(rng: Random) -> Request:
    """The negation of a statement."""
    s = _sentence(rng)
    return _restated(rng, _DENIED, s.text, s.negation[0])


def long_ago(rng: Random) -> Request:
    """A sentence in the past."""
    now, then = _past_pair(rng)
    return _restated(rng, _PASTS, now, then)


def reported(rng: Random) -> Request:
    """What someone says of himself, said of him."""
    mine, theirs, name = _person_pair(rng)
    return _restated(rng, _OTHERS, mine, f"{name} {theirs}", n=name)


def greeted(rng: Random) -> Request:
    """A greeting that fits the person."""
    name, role, greeting, _ = _greeting_pair(rng)
    return Request(worded(rng, _GREETED, n=name, r=role), greeting)


SKILLS: tuple[Skill, ...] = (
    Skill("polite", "style", kindly, 2), Skill("to_question", "style", doubted, 2),
    Skill("negation", "style", denied, 2), Skill("greeting", "style", greeted, 1),
    Skill("to_past", "style", long_ago, 2), Skill("third_person", "style", reported, 2),
)  # fmt: skip
