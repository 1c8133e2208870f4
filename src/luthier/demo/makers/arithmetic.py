"""Cluster "arithmetic": sums, differences, one more, one less, the double, a missing number and stories with numbers.

Numbers and answers are digits. Most sums stay below twenty-one; some are tens and ones, up to a hundred.
"""

from collections.abc import Callable, Mapping
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.scenes import NAMES, PRONOUN
from luthier.tasks.task import TaskRow

_THINGS = (
    "apples", "pears", "plums", "lemons", "carrots", "potatoes", "cherries", "eggs", "balls", "dolls", "kites", "socks",
    "hats", "gloves", "shirts", "bells", "drums", "lamps", "ropes", "coins", "books", "stones", "flowers", "cakes",
)  # fmt: skip


def _terms(rng: Random) -> tuple[int, int]:
    """Two numbers to add: small ones, or tens with tens or ones."""
    if rng.random() < 0.8:
        return rng.randint(0, 10), rng.randint(0, 10)
    tens = 10 * rng.randint(1, 9)
    more = 10 * rng.randint(0, 10 - tens // 10) if rng.random() < 0.4 else rng.randint(1, 9)
    return tens, more


def _add(rng: Random) -> TaskRow:
    a, b = _terms(rng)
    return TaskRow({"a": str(a), "b": str(b)}, (str(a + b),))


def _subtract(rng: Random) -> TaskRow:
    left, b = _terms(rng)
    return TaskRow({"a": str(left + b), "b": str(b)}, (str(left),))


def _one_more(rng: Random) -> TaskRow:
    n = rng.randint(0, 149)
    return TaskRow({"n": str(n)}, (str(n + 1),))


def _one_less(rng: Random) -> TaskRow:
    n = rng.randint(1, 150)
    return TaskRow({"n": str(n)}, (str(n - 1),))


def _double(rng: Random) -> TaskRow:
    n = rng.randint(1, 60)
    return TaskRow({"n": str(n)}, (str(2 * n),))


def _missing_number(rng: Random) -> TaskRow:
    a, b = _terms(rng)
    return TaskRow({"a": str(a), "total": str(a + b)}, (str(b),))


_GAINS = ("got {b} more", "found {b} more", "bought {b} more", "took {b} more home", "was given {b} more")
_LOSSES = ("lost {b}", "gave away {b}", "sold {b}", "dropped {b} in the river", "left {b} at school")
_STARTS = (
    "{who} had {a} {things}.", "In the morning {who} had {a} {things}.", "{who} was the owner of {a} {things}.",
    "There were {a} {things} in the bag of {who}.", "{who} kept {a} {things} in a box.",
)  # fmt: skip
_MIDDLES = (
    "Then {they} {change}.", "Later {they} {change}.", "After that {they} {change}.", "On {day} {they} {change}.",
)  # fmt: skip


def _story_slots(rng: Random) -> tuple[Mapping[str, str], str]:
    """What happens in a story, and the number in the end."""
    second, first = sorted(_terms(rng))
    first, second = first + 2, second + 1
    is_gain = rng.random() < 0.6
    who = rng.choice(NAMES)
    change = rng.choice(_GAINS if is_gain else _LOSSES).format(b=second)
    slots = {"who": who, "a": str(first), "things": rng.choice(_THINGS), "change": change, "they": PRONOUN[who]}
    story = f"{rng.choice(_STARTS)} {rng.choice(_MIDDLES)}".format(**slots, day=rng.choice(("Monday", "Friday")))
    return slots | {"story": story}, str(first + second if is_gain else first - second)


def _story_sum(rng: Random) -> TaskRow:
    slots, end = _story_slots(rng)
    return TaskRow({name: slots[name] for name in ("story", "who", "things", "a", "change")}, (end,))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "add": _add,
    "subtract": _subtract,
    "one_more": _one_more,
    "one_less": _one_less,
    "double": _double,
    "missing_number": _missing_number,
    "story_sum": _story_sum,
}

_ADD_ASKS = (
    "{a} + {b}", "{a} + {b} = ?", "{a} plus {b}", "add {b} to {a}", "How much is {a} and {b}?", "Sum: {a}, {b}",
    "{a} and {b} make what?", "count {a} and {b} as one", "{a} here and {b} there: how many?", "{a} with {b} on top",
    "work out {a} + {b}", "If {a} grows by {b}, where does it stop?", "{a} increased by {b}",
)  # fmt: skip
_SUBTRACT_ASKS = (
    "{a} - {b}", "{a} - {b} = ?", "{a} minus {b}", "take {b} from {a}", "How much is {a} less {b}?",
    "{a} lost {b}, so now?", "subtract {b} from {a}", "{a} without {b}", "work out {a} - {b}",
    "How far is it from {b} up to {a}?", "{a} shrinks by {b}", "{b} off {a} leaves?",
)  # fmt: skip
_ONE_MORE_ASKS = (
    "{n} + 1", "go one up from {n}", "{n}, and then?", "What follows {n}?", "One more than {n}", "Count on: {n}, ...",
    "add one to {n}", "say what is one above {n}", "{n} and one", "Yesterday it was {n}, today one more. Now it is?",
    "name the neighbour above {n}",
)  # fmt: skip
_ONE_LESS_ASKS = (
    "{n} - 1", "go one down from {n}", "What stands before {n}?", "One less than {n}", "Count back: {n}, ...",
    "take one from {n}", "say what is one below {n}", "{n} but for one",
    "Yesterday it was {n}, today one less. Now it is?", "name the neighbour below {n}", "{n} minus one",
)  # fmt: skip
_DOUBLE_ASKS = (
    "double {n}", "Two times {n}", "{n} + {n}", "Twice {n}", "What is {n} two times over?", "2 x {n} = ?",
    "{n} and {n} again", "write down twice as many as {n}", "One box holds {n}. Two boxes hold?", "{n} doubled",
    "Both of us have {n}. Together we have?",
)  # fmt: skip
_MISSING_ASKS = (
    "{a} + ? = {total}", "{a} + ... = {total}", "{a} and what make {total}?", "fill the hole: {a} + _ = {total}",
    "{a} grows to {total}. By how much?", "From {a} to {total} we need?", "say how many {a} lacks to be {total}",
    "{total} is {a} and how many?", "To get {total}, what do I put to {a}?", "{a} + [ ] = {total}",
    "find what is not there: {a}, plus that, gives {total}",
)  # fmt: skip
_STORY_ASKS = (
    "How many are left with {who} now?", "work out the {things}", "The {things} now number how many?",
    "And now {who} has how many?", "How many {things} is that?", "say how many {things} there are at the end",
    "count the {things} of {who}", "{things}: how many now?", "Now {who} has ... {things}.",
    "tell us the number that {who} ends up with",
)  # fmt: skip


def _numbers(make: Callable[[Random], TaskRow], asks: tuple[str, ...]) -> Callable[[Random], Request]:
    def request(rng: Random) -> Request:
        row = make(rng)
        return Request(worded(rng, asks, **row.fields), row.answers[0])

    return request


def _story(rng: Random) -> Request:
    slots, end = _story_slots(rng)
    return Request(worded(rng, _STORY_ASKS, **slots), end, given=slots["story"])


SKILLS = (
    Skill("add", "arithmetic", _numbers(_add, _ADD_ASKS), weight=3),
    Skill("subtract", "arithmetic", _numbers(_subtract, _SUBTRACT_ASKS), weight=3),
    Skill("one_more", "arithmetic", _numbers(_one_more, _ONE_MORE_ASKS)),
    Skill("one_less", "arithmetic", _numbers(_one_less, _ONE_LESS_ASKS)),
    Skill("double", "arithmetic", _numbers(_double, _DOUBLE_ASKS)),
    Skill("missing_number", "arithmetic", _numbers(_missing_number, _MISSING_ASKS), weight=2),
    Skill("story_sum", "arithmetic", _story, weight=2),
)
