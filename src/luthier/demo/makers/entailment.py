"""Cluster "entailment": what follows from a sentence, what contradicts it, and what it leaves open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.passages import DEEDS, OBJECTS, PERSONS, SHADES, SPOTS, changed, deed, shuffled
from luthier.demo.scenes import other
from luthier.demo.world import ANIMALS, DAYS, KIND_OF, NOUNS, article, kind_phrase
from luthier.tasks.task import TaskRow

TRUE, FALSE, OPEN = "true", "false", "cannot tell"


@dataclass(frozen=True, slots=True)
class Premise:
    """A sentence with claims that follow from it, claims that contradict it and claims that it leaves open.

    All claims begin with a name or "the" and have no full stop.
    """

    text: str
    follow: tuple[str, ...]
    contradict: tuple[str, ...]
    open: tuple[str, ...]


def _of_deed(rng: Random) -> Premise:
    e = deed(rng)
    wrong = {name: changed(rng, e, name) for name in ("who", "colour", "thing", "place", "day")}
    mate = wrong["who"].who
    follow = (
        f"{e.who} {e.did} {article(e.thing)}", f"the {e.thing} was {e.colour}", f"{e.who} was at the {e.place}",
        f"{e.who} was at the {e.place} on {e.day}", f"{e.who} {e.did} something {e.colour}",
        f"the {e.thing} was {e.done} by {e.who}",
    )  # fmt: skip
    contradict = (
        f"the {e.thing} was {wrong['colour'].colour}", f"{e.who} did not {e.do} {article(e.thing)}",
        f"{e.who} {e.did} the {e.thing} at the {wrong['place'].place}", f"{e.who} was never at the {e.place}",
        f"{e.who} {e.did} the {e.thing} on {wrong['day'].day}", f"the {e.thing} was not {e.colour}",
    )  # fmt: skip
    left_open = (
        f"the {e.thing} was very old", f"{mate} was at the {e.place} too", f"{e.who} was happy on {e.day}",
        f"{e.who} has many {e.colour} things", f"{mate} has {article(wrong['thing'].thing)}",
        f"{e.who} lives near the {e.place}",
        f"{mate} {e.did} {article(wrong['thing'].thing)}",
    )  # fmt: skip
    return Premise(f"{e.plainly(rng)}.", follow, contradict, left_open)


def _of_kind(rng: Random) -> Premise:
    """Nouns have kinds: who sees a fox sees an animal."""
    noun = rng.choice(NOUNS)
    kinds = tuple(dict.fromkeys(KIND_OF.values()))
    who, day, place = rng.choice(PERSONS), rng.choice(DAYS), rng.choice(SPOTS)
    mate = other(rng, PERSONS, who)
    seen = "some " + noun if KIND_OF[noun] == "drink" else article(noun)
    thing = article(KIND_OF[noun]) if KIND_OF[noun] not in ("furniture", "clothing") else kind_phrase(KIND_OF[noun])
    return Premise(
        f"{who} saw {seen} at the {place} on {day}.",
        (f"{who} saw {thing}", f"{who} saw {thing} on {day}", f"{who} saw {thing} at the {place}"),
        (f"{who} saw nothing on {day}", f"{who} did not see {seen}", f"{who} never saw {thing}"),
        (f"{mate} saw {thing}", f"{who} saw {kind_phrase(other(rng, kinds, KIND_OF[noun]))} too",
        f"{who} likes the {noun}",
         f"{who} saw the {noun} for the first time"),
    )  # fmt: skip


def _of_all(rng: Random) -> Premise:
    """What all have, each has."""
    place, colour, thing = rng.choice(SPOTS), rng.choice(SHADES), rng.choice(OBJECTS)
    who, mate = rng.sample(PERSONS, 2)
    has = article(f"{colour} {thing}")
    return Premise(
        f"Everyone at the {place} has {has}, and {who} is at the {place}.",
        (f"{who} has {has}", f"{who} has {article(thing)}", f"{who} has something {colour}"),
        (f"{who} has no {thing}", f"{who} does not have {article(thing)}", f"nobody has {has}"),
        (f"{mate} has {has}", f"{mate} is at the {place}", f"{who} bought {article(thing)}",
        f"{who} has {article(other(rng, OBJECTS, thing))}"),
    )  # fmt: skip


def _of_order(rng: Random) -> Premise:
    """Who comes first does not come last."""
    first, second, mate = rng.sample(PERSONS, 3)
    place, day = rng.choice(SPOTS), rng.choice(DAYS)
    return Premise(
        f"{first} came to the {place} before {second} on {day}.",
        (f"{second} came to the {place} after {first}", f"{second} came later than {first}",
        f"{first} was at the {place} on {day}",
         f"{first} was there before {second}"),
        (f"{second} came to the {place} before {first}", f"{first} came later than {second}",
        f"{second} was there before {first}",
         f"{first} never came to the {place}"),
        (f"{mate} came to the {place} too", f"{first} walked slower than {second}", f"{second} came by bus",
        f"{first} waited for {mate}"),
    )  # fmt: skip


_MAKERS_OF_PREMISES = (_of_deed, _of_deed, _of_deed, _of_kind, _of_all, _of_order)


def premise(rng: Random) -> Premise:
    """A premise with its claims; most tell of a deed."""
    return rng.choice(_MAKERS_OF_PREMISES)(rng)


# Nouns that take "a".
_ANIMALS = tuple(animal.name for animal in ANIMALS if animal.name[0] not in "aeiou")
_OBJECTS = tuple(name for name in OBJECTS if name[0] not in "aeiou")


def conclusion(rng: Random) -> tuple[str, str, str]:
    """Two sentences, the beginning of what follows from them, and its last word."""
    a, b = rng.sample(PERSONS, 2)
    place, colour, thing, day = rng.choice(SPOTS), rng.choice(SHADES), rng.choice(_OBJECTS), rng.choice(DAYS)
    did, _, _ = rng.choice(DEEDS)
    animal = rng.choice(_ANIMALS)
    return rng.choice((
        (f"{a} was with {b} all day. {b} was at the {place}.", f"So {a} was at the", place),
        (f"On {day} {b} was at the {place}. {a} was there too.", f"So on {day} {a} was at the", place),
        (f"{a} lives with {b}. {b} lives near the {place}.", f"So {a} lives near the", place),
        (f"All doors of the {place} are {colour}. {a} opened a door of the {place}.", "So that door is", colour),
        (f"Everyone at the {place} has a {thing}. {a} is at the {place}.", f"So {a} has a", thing),
        (f"Everyone at the {place} {did} the {thing}. {a} is at the {place}.", f"So {a} {did} the", thing),
        (f"{a} has the same {thing} as {b}. The {thing} of {b} is {colour}.", f"So the {thing} of {a} is", colour),
        (f"Each {animal} at the {place} is {colour}. {a} has a {animal} from the {place}.",
        f"So the {animal} of {a} is", colour),
        (f"{a} comes only on {day}. Today {a} is at the {place}.", "So today it is", day),
        (f"If it is {day}, {a} goes to the {place}. Today it is {day}.", f"So today {a} goes to the", place),
        (f"Either {a} or {b} {did} the {thing}. It was not {a}.", f"So the one who {did} the {thing} is", b),
        (f"The {thing} belongs to {a} or to {b}. It does not belong to {b}.", f"So the {thing} belongs to", a),
        (f"Every {animal} fears {a}. {b} has a {animal}.", f"So the {animal} of {b} fears", a),
        (f"{a} likes all that is {colour}. The {thing} is {colour}.", f"So {a} likes the", thing),
    ))  # fmt: skip


def _told(p: Premise) -> str:
    """The premise as it stands inside a sentence."""
    start = p.text.rstrip(".")
    return start if start.split()[0] in PERSONS else start[0].lower() + start[1:]


def _fields(p: Premise, claim: str) -> dict[str, str]:
    """Slots of a premise and a claim, each as a sentence and inside one."""
    return {"premise": p.text, "told": _told(p), "claim": claim, "Claim": claim[0].upper() + claim[1:]}


def _pair(rng: Random, *, is_strict: bool = False) -> tuple[Premise, str, bool]:
    """A premise, a claim and whether it follows; a strict pair contradicts where it does not follow."""
    p = premise(rng)
    follows = rng.random() < 0.5
    against = p.contradict if is_strict or rng.random() < 0.7 else p.open
    return p, rng.choice(p.follow if follows else against), follows


def _three_way(rng: Random) -> tuple[Premise, str, str]:
    p = premise(rng)
    label = rng.choice((TRUE, FALSE, OPEN))
    return p, rng.choice({TRUE: p.follow, FALSE: p.contradict, OPEN: p.open}[label]), label


def _options(rng: Random, *, wants_follow: bool) -> tuple[Premise, str, tuple[str, ...]]:
    """A premise, the one claim among the options that follows (or contradicts), and the options."""
    p = premise(rng)
    right, wrong = (p.follow, p.contradict) if wants_follow else (p.contradict, p.follow)
    chosen = rng.choice(right)
    rest = [rng.choice(wrong)]
    if rng.random() < 0.5:
        rest.append(rng.choice(p.open))
    return p, chosen, shuffled(rng, (chosen, *rest))


def _follows_row(rng: Random) -> TaskRow:
    p, claim, follows = _pair(rng)
    return TaskRow(fields=_fields(p, claim), answers=("yes" if follows else "no",), source="practice")


def _three_way_row(rng: Random) -> TaskRow:
    p, claim, label = _three_way(rng)
    return TaskRow(fields=_fields(p, claim), answers=(label,), source="practice")


def _which_row(rng: Random, wants_follow: bool) -> TaskRow:
    p, chosen, options = _options(rng, wants_follow=wants_follow)
    fields = {"premise": p.text, "premise_told": _told(p)}
    return TaskRow(fields=fields, answers=(chosen,), options=options, source="practice")


def _conclusion_row(rng: Random) -> TaskRow:
    facts, start, word = conclusion(rng)
    also = (f"the {word}", f"at the {word}", f"{start} {word}", f"{start} {word}.", f"a {word}", f"on {word}")
    return TaskRow(
        fields={"facts": facts, "start": start, "rest": start[3:]}, answers=(word, *also), source="practice"
    )  # fmt: skip


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "follows": _follows_row, "true_false_or_open": _three_way_row, "conclusion": _conclusion_row,
    "which_contradicts": partial(_which_row, wants_follow=False),
    "which_follows": partial(_which_row, wants_follow=True),
}  # fmt: skip

_FOLLOWS_ASKS: Sequence[str] = (
    "So {c}?", "Then {c}?", "Is it certain now that {c}?", "{C}. Sure?", "Do we know from it that {c}?",
    "Yes or no: {c}?", "Hence {c}?", "check if {c}", "{C}. Does it follow?", "Can you be sure that {c}?",
    "{C}, yes or no?",
    "{n} says that {c}. Is that in it?",
)  # fmt: skip
_THREE_ASKS: Sequence[str] = (
    "{C}. True, false or cannot tell?", "{C}?", "Say true, false or cannot tell: {c}", "{C} - true or false or open?",
    "mark it: {c}", "{C}. (true / false / cannot tell)", "{n} adds: {c}. True?",
    "Write true, false or cannot tell. {C}.",
    "And this one: {c}?", "{C}. Do we know?", "{C}. Label?", "judge this line: {c}",
)  # fmt: skip
_AGAINST_ASKS = (
    "Which one goes against it?", "find the lie", "Which cannot be?", "One of these is false. Which?",
    "What is false then?",
    "point to what cannot be", "Which line clashes with it?", "Which is at war with the text?",
    "Find what is wrong then.",
    "Who reads this knows that one is wrong. Which?", "strike out the lie", "False:",
)  # fmt: skip
_WITH_ASKS = (
    "Which one follows?", "What follows?", "What must be so?", "find what must be so", "One of these is sure. Which?",
    "What is known then?", "point to what is sure", "Which goes with the text?", "True then:", "pick the sure one",
    "Which line is safe to say?", "What can be said for sure?",
)  # fmt: skip
_CONCLUSION_ASKS = (
    "{s} ...", "{s} what?", "{s} ___", "go on: {l}", "finish: {l} ...", "How does it end? {s} ...", "fill in: {l} ___",
    "The last word is gone: {s} ...", "add the missing word: {l} ...", "And so? {s} ...", "{s}?",
    "think and go on: {l}",
)  # fmt: skip


def _follows(rng: Random) -> Request:
    p, claim, follows = _pair(rng)
    ask = worded(rng, _FOLLOWS_ASKS, c=claim, C=claim[0].upper() + claim[1:], n=rng.choice(PERSONS))
    shown = ("yes", "no") if rng.random() < 0.3 else ()
    return Request(ask, "yes" if follows else "no", given=p.text, options=shown)


def _three(rng: Random) -> Request:
    p, claim, label = _three_way(rng)
    ask = worded(rng, _THREE_ASKS, c=claim, C=claim[0].upper() + claim[1:], n=rng.choice(PERSONS))
    return Request(ask, label, given=p.text, options=(TRUE, FALSE, OPEN) if rng.random() < 0.4 else ())


def _which(rng: Random, asks: Sequence[str], wants_follow: bool) -> Request:
    p, chosen, options = _options(rng, wants_follow=wants_follow)
    return Request(worded(rng, asks), chosen, given=p.text, options=options)


def _conclusion(rng: Random) -> Request:
    facts, start, word = conclusion(rng)
    return Request(worded(rng, _CONCLUSION_ASKS, s=start, l=start[0].lower() + start[1:]), word, given=facts)


_skill = partial(Skill, cluster="entailment")
SKILLS: tuple[Skill, ...] = (
    _skill("follows", make=_follows, weight=2), _skill("true_false_or_open", make=_three),
    _skill("which_contradicts", make=partial(_which, asks=_AGAINST_ASKS, wants_follow=False)),
    _skill("which_follows", make=partial(_which, asks=_WITH_ASKS, wants_follow=True)),
    _skill("conclusion", make=_conclusion),
)  # fmt: skip
