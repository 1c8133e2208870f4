"""Cluster "comparison": which of two is larger, smaller, bigger, older, dearer, and who has fewer.

Sizes, ages and prices are from memory; no task of the cluster "facts" asks for them.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.lexicon import plural
from luthier.demo.scenes import NAMES
from luthier.demo.world import ANIMALS, COUNTED_FOODS, PEOPLE, THINGS, article
from luthier.tasks.task import TaskRow

SIZES: Mapping[str, int] = MappingProxyType({article(animal.name): animal.rank for animal in ANIMALS})
AGES: Mapping[str, int] = MappingProxyType({person.name: int(person.age) for person in PEOPLE})
PRICES: Mapping[str, int] = MappingProxyType({article(thing.name): int(thing.price) for thing in THINGS})
_SIZE_GAP, _AGE_GAP, _PRICE_GAP = 4, 5, 10


class _Pair(NamedTuple):
    less: str
    more: str


def _numbers(rng: Random) -> _Pair:
    less, more = sorted(rng.sample(range(100 if rng.random() < 0.6 else 21), 2))
    return _Pair(str(less), str(more))


def _apart(rng: Random, measure: Mapping[str, int], gap: int) -> _Pair:
    """Two names whose measures differ by the gap at least: nearer pairs would be hair-splitting."""
    while True:
        less, more = sorted(rng.sample(tuple(measure), 2), key=measure.__getitem__)
        if measure[more] - measure[less] >= gap:
            return _Pair(less, more)


def _larger_number(rng: Random) -> TaskRow:
    pair = _numbers(rng)
    a, b = rng.sample(pair, 2)
    return TaskRow({"a": a, "b": b}, (pair.more,), options=(a, b))


def _smaller_number(rng: Random) -> TaskRow:
    pair = _numbers(rng)
    a, b = rng.sample(pair, 2)
    return TaskRow({"a": a, "b": b}, (pair.less,), options=(a, b))


def _more_of(rng: Random, measure: Mapping[str, int], gap: int) -> TaskRow:
    """The one that is more of the two, with all that are less than it for the request turned around."""
    pair = _apart(rng, measure, gap)
    a, b = rng.sample(pair, 2)
    lesser = tuple(name for name in measure if measure[name] < measure[pair.more])
    bare = tuple(name.split()[-1] for name in lesser)
    also = tuple(dict.fromkeys(lesser + bare))
    return TaskRow({"a": a, "b": b, "less": pair.less}, (pair.more,), options=(a, b), lists={"lesser": also})


def _bigger_animal(rng: Random) -> TaskRow:
    return _more_of(rng, SIZES, _SIZE_GAP)


def _older_person(rng: Random) -> TaskRow:
    return _more_of(rng, AGES, _AGE_GAP)


def _dearer_thing(rng: Random) -> TaskRow:
    return _more_of(rng, PRICES, _PRICE_GAP)


_COUNTED = tuple(plural(name) for name in (*(t.name for t in THINGS), *(f.name for f in COUNTED_FOODS)))
_TOLD = (
    "{p} has {a} {t}. {q} has {b} {t}.", "{p} has {a} {t} and {q} has {b}.",
    "There are {a} {t} for {p} and {b} for {q}.",
    "{p} found {a} {t}. {q} found {b}.", "{p}: {a} {t}. {q}: {b} {t}.", "{p} got {a} {t}, but {q} got {b}.",
    "In the bag of {p} are {a} {t}. In the bag of {q} are {b}.",
)  # fmt: skip


class _Tale(NamedTuple):
    told: str
    things: str
    fewer: str
    more: str


def _tale(rng: Random) -> _Tale:
    """Two people and how many things of one sort each of them has."""
    p, q = rng.sample(NAMES, 2)
    a, b = rng.sample(range(1, 31 if rng.random() < 0.5 else 13), 2)
    things = rng.choice(_COUNTED)
    told = rng.choice(_TOLD).format(p=p, q=q, a=a, b=b, t=things)
    return _Tale(told, things, p if a < b else q, q if a < b else p)


def _who_has_fewer(rng: Random) -> TaskRow:
    tale = _tale(rng)
    names = tuple(sorted((tale.fewer, tale.more), key=tale.told.index))
    return TaskRow({"told": tale.told, "things": tale.things}, (tale.fewer,), options=names)


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = MappingProxyType({
    "larger_number": _larger_number, "smaller_number": _smaller_number, "bigger_animal": _bigger_animal,
    "older_person": _older_person, "dearer_thing": _dearer_thing, "who_has_fewer": _who_has_fewer,
})  # fmt: skip
"""The makers of rows, by the name of the task."""

_LARGER_ASKS = (
    "Which is more, {a} or {b}?", "pick the higher of {a} and {b}", "More: {a} or {b}?", "Larger: {a} or {b}?",
    "take the greater, {a} or {b}", "{a} or {b}, which is higher?", "name the larger of {a} and {b}",
    "Of {a} and {b} the larger is ...", "max of {a} and {b}", "{a}, {b} - larger?", "Is {a} or {b} the larger one?",
    "You get {a} or {b} plums. More plums are ...",
)  # fmt: skip
_SMALLER_ASKS = (
    "Which is less, {a} or {b}?", "pick the lower of {a} and {b}", "Less: {a} or {b}?", "Smaller: {a} or {b}?",
    "take the lesser, {a} or {b}", "{a} or {b}, which is lower?", "name the smaller of {a} and {b}",
    "Of {a} and {b} the smaller is ...", "min of {a} and {b}", "{a}, {b} - smaller?", "Is {a} or {b} the smaller one?",
    "You carry {a} or {b} stones. Fewer stones are ...",
)  # fmt: skip
_BIGGER_ASKS = (
    "Who is bigger, {a} or {b}?", "Bigger: {a} or {b}?", "compare {a} and {b} and name the big one",
    "{a} or {b}, who is the larger beast?", "say who is bigger of {a} and {b}", "Of {a} and {b} the bigger is ...",
    "{a}, {b} - bigger?", "put {a} beside {b} and say who is big", "Which one needs more room, {a} or {b}?",
    "The bigger of {a} and {b}", "Bigger beast, {a} or {b}",
)  # fmt: skip
_TINIER_ASKS = ("Who is smaller, {a} or {b}?", "Smaller: {a} or {b}?", "name the small one of {a} and {b}")
_OLDER_ASKS = (
    "Who is older, {a} or {b}?", "Older: {a} or {b}?", "say which of {a} and {b} has more years",
    "{a} or {b}, who was born first?", "Of {a} and {b} the older is ...", "{a}, {b} - older?",
    "name the elder, {a} or {b}", "Has {a} or {b} lived longer?", "The older of {a} and {b}",
    "compare the years of {a} and {b} and name the old one", "Who has had more birthdays, {a} or {b}?",
)  # fmt: skip
_YOUNGER_ASKS = ("Who is younger, {a} or {b}?", "Younger: {a} or {b}?", "name the young one of {a} and {b}")
_DEARER_ASKS = (
    "What costs more, {a} or {b}?", "Dearer: {a} or {b}?", "pick the one that costs more, {a} or {b}",
    "{a} or {b}, which has the higher price?", "Of {a} and {b} the dearer is ...", "{a}, {b} - dearer?",
    "Do you need more coins for {a} or for {b}?", "name the dear one, {a} or {b}", "The dearer of {a} and {b}",
    "compare what {a} and {b} cost and name the dear one", "More coins: {a} or {b}?",
)  # fmt: skip
_CHEAPER_ASKS = ("What costs less, {a} or {b}?", "Cheaper: {a} or {b}?", "name the cheap one of {a} and {b}")
_FEWER_ASKS = (
    "Who has fewer?", "name the one with fewer", "Fewer {t} belong to whom?", "Whose {t} are fewer?", "Fewer for whom?",
    "With whom are fewer {t}?", "say who has less", "Who got less?", "point to the person with less", "Less {t}: who?",
)  # fmt: skip
_MORE_ASKS = ("Who has more?", "name the one with more", "Whose {t} are more?", "say who has more", "More {t}: who?")


def _ordered(
    pair_of: Callable[[Random], _Pair], more: Sequence[str], less: Sequence[str] = (), *, is_turned: bool = False
) -> Callable[[Random], Request]:
    """Requests for the one that is more, and now and then for the one that is less; turned, for less alone."""

    def make(rng: Random) -> Request:
        pair = pair_of(rng)
        a, b = rng.sample(pair, 2)
        options = (a, b) if rng.random() < 0.25 else ()
        if less and rng.random() < 0.25:
            return Request(worded(rng, less, a=a, b=b), pair.less, options=options)
        return Request(worded(rng, more, a=a, b=b), pair.less if is_turned else pair.more, options=options)

    return make


def _fewer(rng: Random) -> Request:
    tale = _tale(rng)
    if rng.random() < 0.3:
        return Request(worded(rng, _MORE_ASKS, t=tale.things), tale.more, given=tale.told)
    return Request(worded(rng, _FEWER_ASKS, t=tale.things), tale.fewer, given=tale.told)


def _skill(name: str, make: Callable[[Random], Request], weight: int) -> Skill:
    return Skill(name, "comparison", make, weight)


SKILLS: tuple[Skill, ...] = (
    _skill("larger_number", _ordered(_numbers, _LARGER_ASKS), 3),
    _skill("smaller_number", _ordered(_numbers, _SMALLER_ASKS, is_turned=True), 3),
    _skill("bigger_animal", _ordered(lambda rng: _apart(rng, SIZES, 1), _BIGGER_ASKS, _TINIER_ASKS), 3),
    _skill("older_person", _ordered(lambda rng: _apart(rng, AGES, 1), _OLDER_ASKS, _YOUNGER_ASKS), 2),
    _skill("dearer_thing", _ordered(lambda rng: _apart(rng, PRICES, 1), _DEARER_ASKS, _CHEAPER_ASKS), 3),
    _skill("who_has_fewer", _fewer, 3),
)
"""What the plain text asks for, one skill for each task."""
