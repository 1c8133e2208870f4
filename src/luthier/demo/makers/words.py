"""Cluster "words": the opposite, the plural, the past, the ing form, the young of an animal, and numbers as words."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.lexicon import ALSO_OPPOSITE, OPPOSITE, PAST, YOUNG, plural
from luthier.demo.world import COUNTED_NOUNS, NUMBER_WORDS
from luthier.tasks.task import TaskRow

_MORE_VERBS = """
talk talked, look looked, help helped, ask asked, call called, wait waited, work worked, clean cleaned, count counted,
push pushed, pull pulled, climb climbed, laugh laughed, fix fixed, visit visited, cry cried, carry carried, try tried,
dance danced, bake baked, smile smiled, close closed, love loved, like liked, use used, live lived, move moved,
hope hoped, stop stopped, drop dropped, hug hugged, sit sat, stand stood, tell told, hear heard, hold held, keep kept,
feel felt, leave left, meet met, send sent, know knew, grow grew, throw threw, wear wore, break broke, ride rode,
rise rose, win won, hide hid, catch caught, teach taught, think thought, fight fought, ring rang, steal stole,
choose chose, forget forgot
"""

# Animals that the world has nothing else to say about.
_MORE_YOUNG = """
swan cygnet, goose gosling, deer fawn, eagle eaglet, hare leveret, toad tadpole, panda cub, badger cub, zebra foal,
pony foal, mule foal, ox calf, bull calf, bison calf, giraffe calf, dolphin calf, moose calf, ram lamb, otter pup,
rat pup, bat pup, shark pup, walrus pup, beaver kit, skunk kit, squirrel kit, koala joey, kangaroo joey, stork chick,
robin chick, dove chick, gull chick, turkey chick, cheetah cub, hyena cub, mole pup
"""

_DOUBLED = frozenset(("run", "swim", "stop", "drop", "hug", "sit", "win", "forget"))
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _pairs(table: str) -> dict[str, str]:
    entries = (entry.split() for entry in table.split(","))
    return {entry[0]: entry[1] for entry in entries}


PAST_FORM: Mapping[str, str] = MappingProxyType(dict(PAST) | _pairs(_MORE_VERBS))
"""Each verb that the tasks ask about and its past form."""

YOUNG_OF: Mapping[str, str] = MappingProxyType(dict(YOUNG) | _pairs(_MORE_YOUNG))
"""Each animal that the tasks ask about and the name of its young."""


def ing(verb: str) -> str:
    """The form of the verb for what goes on right now."""
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    return f"{verb}ing"


def number_word(n: int) -> str:
    """The number from 0 to 99 in words: "forty-two"."""
    if n < len(NUMBER_WORDS):
        return NUMBER_WORDS[n]
    tens, ones = divmod(n, 10)
    return f"{_TENS[tens - 2]}-{NUMBER_WORDS[ones]}" if ones else _TENS[tens - 2]


_OPPOSED, _VERBS, _ANIMALS = tuple(OPPOSITE), tuple(PAST_FORM), tuple(YOUNG_OF)


def _opposite(rng: Random) -> TaskRow:
    word = rng.choice(_OPPOSED)
    return TaskRow({"word": word}, (OPPOSITE[word], *ALSO_OPPOSITE.get(word, ())))


def _plural(rng: Random) -> TaskRow:
    word = rng.choice(COUNTED_NOUNS)
    return TaskRow({"word": word}, (plural(word),))


def _past(rng: Random) -> TaskRow:
    word = rng.choice(_VERBS)
    return TaskRow({"word": word}, (PAST_FORM[word],))


def _ing_form(rng: Random) -> TaskRow:
    word = rng.choice(_VERBS)
    return TaskRow({"word": word}, (ing(word),))


def _young(rng: Random) -> TaskRow:
    word = rng.choice(_ANIMALS)
    young = YOUNG_OF[word]
    return TaskRow({"word": word}, (young,), lists={"parents": tuple(a for a in _ANIMALS if YOUNG_OF[a] == young)})


def _number_word(rng: Random) -> TaskRow:
    n = rng.randrange(100)
    return TaskRow({"word": number_word(n)}, (str(n),))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = MappingProxyType({
    "opposite": _opposite, "plural": _plural, "past": _past, "ing_form": _ing_form, "young": _young,
    "number_word": _number_word,
})  # fmt: skip
"""The makers of rows, by the name of the task."""

_OPPOSITE_ASKS = (
    "name the opposite of {x}", "What is not {x}?", "think of a word opposite to {x}", "{x} - opposite?",
    "Not {x}, but what?", "Opposite of {x}", "turn {x} around to its opposite", "The opposite of {x} is which word?",
    "write a word against {x}", "Which word is opposite to {x}?", "{x} and its opposite", "The reverse of {x}?",
    "I say {x}. What is its opposite?",
)  # fmt: skip
_PLURAL_ASKS = (
    "One {x}, two what?", "write the plural of {x}", "Plural of {x}?", "make {x} plural",
    "More than one {x} are called?", "Three of them: one {x}, three ...", "How do we write many of {x}?",
    "{x}, plural form", "say {x} for many", "a {x}, a lot of ...", "{x}: plural", "If it is not one {x} but ten?",
)  # fmt: skip
_SINGULAR_ASKS = (
    "Many {x}, one what?", "write {x} for just one", "{x} is a plural. Of what?", "One of the {x} is a ...",
)  # fmt: skip
_PAST_ASKS = (
    "Today I {x}, yesterday I ...", "write the past of {x}", "Past of {x}?", "put {x} in the past",
    "{x}, but yesterday", "How is {x} said for last week?", "The past of {x} is which?", "{x}: past form",
    "Now we {x}. Long ago we ...", "change the verb {x} to the past", "I {x} every day. Last year I ...",
)  # fmt: skip
_PRESENT_ASKS = (
    "Yesterday I {x}, today I ...", "write {x} as for today", "{x} is past. What is it now?",
    "{x} comes from which verb?",
)  # fmt: skip
_ING_ASKS = (
    "I {x}. Right now I am ...", "write {x} with ing", "{x}, ing form", "What is {x} with ing at the end?",
    "put ing on the verb {x}", "They {x}. Look, they are ...", "{x}: the form in ing", "Ing form of {x}?",
    "turn {x} into its ing form", "She can {x}. She is ...", "How do we write the verb {x} with ing?",
    "Ending in ing, {x} becomes ...",
)  # fmt: skip
_YOUNG_ASKS = (
    "What is a young {x}?", "name the young of the {x}", "A baby {x} is called?", "The little one of a {x}?",
    "Young {x} =", "How do we call a {x} when it is a baby?", "{x}: young?", "The {x} has a baby. It is a ...",
    "say how the young {x} is called", "A small {x}, just born, is a ...", "Name for the baby of the {x}",
)  # fmt: skip
_PARENT_ASKS = (
    "A {x} grows up to be a ...", "Which animal was once a {x}?", "name the mother of a {x}", "{x}: young of what?",
)  # fmt: skip
_DIGIT_ASKS = (
    "write {x} in digits", "{x} as a number", "{x} in digits?", "Which number is {x}?", "{x} =",
    "note down {x} as digits", "The word is {x}. The number is ...", "put the word {x} into digits", "{x}: digits",
    "type {x} with digits", "How do we write {x} in digits?", "On the door it says {x}. Number?",
)  # fmt: skip
_SPELLED_ASKS = (
    "spell out {x}", "{x} in letters", "write {x} out in full", "{x} as a word?", "Say {x} as one reads it",
)  # fmt: skip


def _skill(
    name: str, words: Sequence[str], known: Callable[[str], str], asks: Sequence[str], back: Sequence[str] = (),
    *, weight: int,
) -> Skill:  # fmt: skip
    """A skill that goes from each word to what is known of it, and now and then back again."""

    def make(rng: Random) -> Request:
        word = rng.choice(words)
        if back and rng.random() < 0.2:
            return Request(worded(rng, back, x=known(word)), word)
        return Request(worded(rng, asks, x=word), known(word))

    return Skill(name, "words", make, weight)


_NUMBERS: Mapping[str, str] = MappingProxyType({number_word(n): str(n) for n in range(100)})

SKILLS: tuple[Skill, ...] = (
    _skill("opposite", _OPPOSED, OPPOSITE.__getitem__, _OPPOSITE_ASKS, weight=6),
    _skill("plural", COUNTED_NOUNS, plural, _PLURAL_ASKS, _SINGULAR_ASKS, weight=4),
    _skill("past", _VERBS, PAST_FORM.__getitem__, _PAST_ASKS, _PRESENT_ASKS, weight=4),
    _skill("ing_form", _VERBS, ing, _ING_ASKS, weight=3),
    _skill("young", _ANIMALS, YOUNG_OF.__getitem__, _YOUNG_ASKS, _PARENT_ASKS, weight=3),
    _skill("number_word", tuple(_NUMBERS), _NUMBERS.__getitem__, _DIGIT_ASKS, _SPELLED_ASKS, weight=3),
)
"""What the plain text asks for, one skill for each task."""
