"""Cluster "steps": directions of two steps, where the second works on what the first gave.

Each step is a request of its own in the clusters "lists" and "format", so those are never on the other side.
"""

from collections.abc import Callable, Mapping
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.form import text
from luthier.demo.makers.lists import entries, joined, small_words, words
from luthier.tasks.task import TaskRow


def _first_capitals(rng: Random) -> TaskRow:
    items = small_words(rng, rng.randint(3, 4))
    return TaskRow({"list": joined(items)}, (items[0].upper(),))


def _last_capitals(rng: Random) -> TaskRow:
    items = small_words(rng, rng.randint(3, 4))
    return TaskRow({"list": joined(items)}, (items[-1].upper(),))


def _last_quotes(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(3, 4))
    return TaskRow({"list": joined(items)}, (f'"{items[-1]}"',))


def _reverse_drop(rng: Random) -> TaskRow:
    items = entries(rng, rng.randint(3, 4))
    return TaskRow({"list": joined(items), "gone": items[-1]}, (joined(items[-2::-1]),))


def _twice_brackets(rng: Random) -> TaskRow:
    plain = text(rng)
    return TaskRow({"text": plain}, (f"({plain} {plain})",))


def _drop_dashes(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(3, 4))
    kept = items[1:]
    return TaskRow({"list": joined(items), "gone": items[0]}, ("-".join(kept), " - ".join(kept)))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "first_capitals": _first_capitals,
    "last_capitals": _last_capitals,
    "last_quotes": _last_quotes,
    "reverse_drop": _reverse_drop,
    "twice_brackets": _twice_brackets,
    "drop_dashes": _drop_dashes,
}

_FIRST_CAPITALS_ASKS = (
    "shout the first", "The first, in capitals", "find the first and print it large", "First one, big letters",
    "name the first in capitals", "copy the opening word, all capitals", "The first goes on a sign in capitals:",
    "pick the front word, then shout it", "Capitals for the first, forget the others", "First -> capitals",
    "say who leads, and make it capitals",
)  # fmt: skip
_LAST_CAPITALS_ASKS = (
    "shout the last", "The last, in capitals", "find the last and print it large", "Last one, big letters",
    "name the last in capitals", "copy the closing word, all capitals", "The last goes on a sign in capitals:",
    "pick the back word, then shout it", "Capitals for the last, forget the others", "Last -> capitals",
    "say who comes at the end, and make it capitals",
)  # fmt: skip
_LAST_QUOTES_ASKS = (
    "quote the last", "The last, in quotes", "find the last and set quote marks around it", "Last one, with quotes",
    "name the last in quotes", "copy the closing word, in quotes", "pick the back word, then quote it",
    "Quotes for the last, forget the others", "Last -> quotes", "wrap the one at the end in quotes",
)  # fmt: skip
_REVERSE_DROP_ASKS = (
    "read it backwards, but skip the first you read", "flip it, then cut off the start", "reverse, then drop the first",
    "turn the order around, then strike out number one", "Reversed, and without its first",
    "Two steps: backwards, then all but the first", "write it from the end and leave out the front one",
    "First reverse, next remove what leads", "Backwards -> drop one at the start",
)  # fmt: skip
_TWICE_BRACKETS_ASKS = (
    "say {x} twice in brackets", "{x}, two times, in brackets", "repeat {x}, then wrap both in brackets",
    "Brackets around {x} {x}", "double {x}, then brackets", "{x} -> twice -> brackets", "Twice {x} between brackets",
    "copy {x} two times, brackets left and right", "open a bracket, say {x} and {x}, shut the bracket",
    "{x} again and again, in brackets, two in all",
)  # fmt: skip
_DROP_DASHES_ASKS = (
    "drop the first, dashes between the rest", "All but the first, with dashes", "skip number one, use dashes",
    "remove the front word, then join by dashes", "The first goes away, dashes hold the others",
    "strike out the first one and string the rest on dashes", "Without its first, and dashes for commas",
    "Two steps: first one out, dashes in", "cut off the start -> dashes", "skip the leader, then add dashes",
)  # fmt: skip
_TWICE_ASKS = (
    "say {x} twice", "{x}, two times", "repeat {x}", "{x} and once more {x}", "double the words {x}", "{x} -> twice",
    "copy {x} two times", "write down {x}, then the same again", "Twice {x}", "An echo for {x}",
)  # fmt: skip


def _listing(make: Callable[[Random], TaskRow], asks: tuple[str, ...]) -> Callable[[Random], Request]:
    def request(rng: Random) -> Request:
        row = make(rng)
        return Request(worded(rng, asks), row.answers[0], given=row.fields["list"])

    return request


def _bracketed(rng: Random) -> Request:
    row = _twice_brackets(rng)
    return Request(worded(rng, _TWICE_BRACKETS_ASKS, x=row.fields["text"]), row.answers[0])


def _twice(rng: Random) -> Request:
    """A step that no task of the other clusters asks for by itself."""
    plain = text(rng)
    return Request(worded(rng, _TWICE_ASKS, x=plain), f"{plain} {plain}")


SKILLS = (
    Skill("first_capitals", "steps", _listing(_first_capitals, _FIRST_CAPITALS_ASKS), weight=2),
    Skill("last_capitals", "steps", _listing(_last_capitals, _LAST_CAPITALS_ASKS), weight=2),
    Skill("last_quotes", "steps", _listing(_last_quotes, _LAST_QUOTES_ASKS), weight=2),
    Skill("reverse_drop", "steps", _listing(_reverse_drop, _REVERSE_DROP_ASKS), weight=2),
    Skill("twice_brackets", "steps", _bracketed, weight=2),
    Skill("drop_dashes", "steps", _listing(_drop_dashes, _DROP_DASHES_ASKS), weight=2),
    Skill("twice", "steps", _twice),
)
