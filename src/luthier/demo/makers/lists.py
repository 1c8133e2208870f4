"""Cluster "lists": what stands where in a list, how long it is, and the list in another order."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.lexicon import OPPOSITE, PAST
from luthier.demo.scenes import NAMES, PLACES
from luthier.demo.world import COLOURS, NOUNS, TOWNS
from luthier.tasks.task import TaskRow

# A list that holds a word like "last" makes a question about its last word a riddle.
_PLACE_WORDS = (
    "first", "last", "begin", "end", "start", "stop", "front", "back", "before", "left", "right", "top", "bottom",
)  # fmt: skip
_SMALL = (*NOUNS, *(word for word in OPPOSITE if word not in _PLACE_WORDS), *PAST, *COLOURS, *PLACES)
SMALL_WORDS = tuple(word for word in dict.fromkeys(_SMALL) if word.islower())
"""Several hundred words in small letters: nouns, adjectives, verbs, colours, places."""

ADJECTIVES = (
    "big", "small", "old", "young", "fast", "slow", "happy", "sad", "new", "good", "bad", "long", "short", "strong",
    "quiet", "loud", "clean", "dirty",
)  # fmt: skip


def pair(rng: Random) -> str:
    """A noun after a colour or another adjective: "red fox"."""
    return f"{rng.choice(COLOURS if rng.random() < 0.6 else ADJECTIVES)} {rng.choice(NOUNS)}"


def small_words(rng: Random, count: int) -> list[str]:
    """Different words in small letters; half of the lists hold nouns only."""
    return rng.sample(NOUNS if rng.random() < 0.5 else SMALL_WORDS, count)


def words(rng: Random, count: int) -> list[str]:
    """Different words: nouns, mixed words, people or towns."""
    chance = rng.random()
    if chance < 0.75:
        return small_words(rng, count)
    return rng.sample(NAMES if chance < 0.9 else tuple(town.name for town in TOWNS), count)


def entries(rng: Random, count: int) -> list[str]:
    """Different entries of a list: words, or now and then pairs of words."""
    if rng.random() < 0.8:
        return words(rng, count)
    found: dict[str, None] = {}
    while len(found) < count:
        found[pair(rng)] = None
    return list(found)


def joined(items: Sequence[str]) -> str:
    """The items as a list is shown."""
    return ", ".join(items)


def _first(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(3, 5))
    return TaskRow({"list": joined(items), "rest": joined(items[1:])}, (items[0],))


def _last(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(3, 5))
    return TaskRow({"list": joined(items), "rest": joined(items[:-1])}, (items[-1],))


def _second(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(3, 5))
    return TaskRow({"list": joined(items), "rest": joined((items[0], *items[2:]))}, (items[1],))


def _third(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(4, 5))
    return TaskRow({"list": joined(items), "rest": joined((*items[:2], *items[3:]))}, (items[2],))


def _count(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(2, 6))
    return TaskRow({"list": joined(items)}, (str(len(items)),))


def _reverse(rng: Random) -> TaskRow:
    items = entries(rng, rng.randint(3, 4))
    return TaskRow({"list": joined(items)}, (joined(items[::-1]),))


def _next_in_list(rng: Random) -> TaskRow:
    items = entries(rng, rng.randint(3, 5))
    at = rng.randrange(len(items) - 1)
    return TaskRow({"list": joined(items), "item": items[at]}, (items[at + 1],))


def _drop_first(rng: Random) -> TaskRow:
    items = entries(rng, rng.randint(3, 4))
    return TaskRow({"list": joined(items), "item": items[0]}, (joined(items[1:]),))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "first": _first,
    "second": _second,
    "third": _third,
    "last": _last,
    "count": _count,
    "reverse": _reverse,
    "next_in_list": _next_in_list,
    "drop_first": _drop_first,
}

_FIRST_ASKS = (
    "And the first is?", "name the first one", "Which word opens the list?", "First?", "The one at the front",
    "Who or what leads?", "say the opening word", "Begin: what do you read?", "copy the first item", "Number one?",
    "keep the first, throw the others away", "The first is ...",
)  # fmt: skip
_LAST_ASKS = (
    "And the last is?", "name the last one", "Which word closes the list?", "Last?", "The one at the end",
    "Who or what is at the back?", "say the closing word", "Where does it end?", "copy the last item",
    "keep the last, throw the others away", "The last is ...", "What stands at the very end",
)  # fmt: skip
_SECOND_ASKS = (
    "And the second is?", "name the second one", "Which word is number two?", "Second?", "The one after the first",
    "say the second item", "Number 2?", "copy the second", "keep the second, throw the others away",
    "The second is ...", "Place two, who is there?",
)  # fmt: skip
_THIRD_ASKS = (
    "And the third is?", "name the third one", "Which word is number three?", "Third?", "The one after the second",
    "say the third item", "Number 3?", "copy the third", "keep the third, throw the others away",
    "The third is ...", "Place three, who is there?",
)  # fmt: skip
_COUNT_ASKS = (
    "How many are there?", "count them", "How long is the list?", "say how many", "Number of items?", "How many?",
    "count the items", "How many names do you see?", "We have how many?", "give the count", "Length?",
    "tell how many stand in the row",
)  # fmt: skip
_REVERSE_ASKS = (
    "read it backwards", "turn the order around", "From back to front, please", "reverse the words", "reverse it",
    "Other way round?", "End first, start last", "write them from right to left", "list them from the end",
    "say them the wrong way round", "flip the list", "The last shall be the first: how does it go?",
)  # fmt: skip
_NEXT_ASKS = (
    "What follows {x}?", "After {x}?", "{x}, and then?", "name the one behind {x}",
    "Which one is next to come, past {x}?", "say what stands after {x}", "Who or what walks behind {x}?",
    "go one on from {x}", "We read {x}. Next?", "find {x} and move one to the right", "The right neighbour of {x}",
)  # fmt: skip
_DROP_ASKS = (
    "say it without the first", "leave out the front word", "drop the first", "All but the first", "remove number one",
    "The first goes away. Who stays?", "cut off the start", "strike out the first one", "copy it, but skip the first",
    "Everything after the first", "keep the rest, not the first",
)  # fmt: skip


def _listing(
    asks: tuple[str, ...], answered: Callable[[Sequence[str]], str], fewest: int = 3, most: int = 5
) -> Callable[[Random], Request]:
    def request(rng: Random) -> Request:
        ask = worded(rng, asks)
        # An entry of two words is no answer to a question about a word or a name.
        draw = words if "word" in ask or "name" in ask else entries
        items = draw(rng, rng.randint(fewest, most))
        return Request(ask, answered(items), given=joined(items))

    return request


def _next(rng: Random) -> Request:
    row = _next_in_list(rng)
    return Request(worded(rng, _NEXT_ASKS, x=row.fields["item"]), row.answers[0], given=row.fields["list"])


SKILLS = (
    Skill("first", "lists", _listing(_FIRST_ASKS, lambda items: items[0]), weight=2),
    Skill("second", "lists", _listing(_SECOND_ASKS, lambda items: items[1]), weight=2),
    Skill("third", "lists", _listing(_THIRD_ASKS, lambda items: items[2]), weight=2),
    Skill("last", "lists", _listing(_LAST_ASKS, lambda items: items[-1]), weight=2),
    Skill("count", "lists", _listing(_COUNT_ASKS, lambda items: str(len(items)), 2, 6)),
    Skill("reverse", "lists", _listing(_REVERSE_ASKS, lambda items: joined(items[::-1]), 2, 4), weight=2),
    Skill("next_in_list", "lists", _next, weight=2),
    Skill("drop_first", "lists", _listing(_DROP_ASKS, lambda items: joined(items[1:]), 2, 4)),
)
