"""Cluster "paraphrase": the same said in other words, and whether two sentences say the same."""

from collections.abc import Callable, Mapping
from functools import partial
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.passages import OBJECTS, PERSONS, SHADES, SPOTS, Deed, changed, deed, shuffled
from luthier.demo.world import DAYS
from luthier.tasks.task import TaskRow

_TURNS = (
    ("{a} gave {b} the {o}.", "{b} got the {o} from {a}."), ("{a} sold {b} the {o}.", "{b} bought the {o} from {a}."),
    ("{a} lent {b} the {o}.", "{b} borrowed the {o} from {a}."), ("{a} came before {b}.", "{b} came after {a}."),
    ("{a} sat in front of {b}.", "{b} sat behind {a}."), ("{a} is taller than {b}.", "{b} is shorter than {a}."),
    ("{a} taught {b} a song.", "{b} learned a song from {a}."), ("{a} won against {b}.", "{b} lost to {a}."),
    ("{a} runs faster than {b}.", "{b} runs slower than {a}."), ("{a} followed {b}.", "{b} was followed by {a}."),
    ("{a} called {b} on {d}.", "{b} was called by {a} on {d}."), ("{a} saw {b} at the {p}.",
    "{b} was seen by {a} at the {p}."),
    ("The {o} is on the left of the {t}.", "The {t} is on the right of the {o}."),
    ("The {o} is above the {t}.", "The {t} is below the {o}."),
)  # fmt: skip
"""Two sentences that say the same of two people or things; with the two exchanged in one of them they do not."""


def _turned(rng: Random, is_same: bool) -> tuple[str, str]:
    a, b = rng.sample(PERSONS, 2)
    o, t = rng.sample(OBJECTS, 2)
    slots = {"a": a, "b": b, "o": o, "t": t, "d": rng.choice(DAYS), "p": rng.choice(SPOTS)}
    first, second = rng.choice(_TURNS)
    if rng.random() < 0.5:
        first, second = second, first
    exchanged = slots | ({"a": b, "b": a} if "{a}" in first else {"o": t, "t": o})
    return first.format(**slots), second.format(**(slots if is_same else exchanged))


def _retold(rng: Random, e: Deed, *known: str) -> str:
    """The deed in an order of words that is not among the known ones."""
    while (text := e.told(rng)) in known:
        pass
    return text


def _two(rng: Random) -> tuple[str, str, str]:
    """Two sentences and whether they say the same, yes or no."""
    is_same = rng.random() < 0.5
    if rng.random() < 0.35:
        first, second = _turned(rng, is_same)
    else:
        e = deed(rng)
        first = e.told(rng)
        second = _retold(rng, e if is_same else changed(rng, e), first)
    return first, second, "yes" if is_same else "no"


def _options(rng: Random) -> tuple[str, str, tuple[str, ...]]:
    """A sentence, the option that says the same and all options: one more that does not, or two."""
    e = deed(rng)
    text = f"{e.plainly(rng)}."
    right = _retold(rng, e, text)
    wrong: list[str] = []
    count = rng.choice((1, 2, 2))
    while len(wrong) < count:
        candidate = changed(rng, e).told(rng)
        if candidate not in wrong:
            wrong.append(candidate)
    return text, right, shuffled(rng, (right, *wrong))


def _active_and_passive(rng: Random) -> tuple[str, str, Deed]:
    """A sentence and its passive."""
    e = deed(rng)
    tail = rng.choice(("", "", f" on {e.day}", f" at the {e.place}"))
    what = rng.choice((e.thing, f"{e.colour} {e.thing}"))
    return f"{e.who} {e.did} the {what}{tail}.", f"The {what} was {e.done} by {e.who}{tail}.", e


def _moved(rng: Random) -> tuple[str, str, str]:
    """A sentence, its last words, and the sentence that begins with these."""
    e = deed(rng)
    spots = (f"at the {e.place}", f"on {e.day}")
    middle, last = rng.sample(spots, 2)
    core = f"{e.core} {middle}" if rng.random() < 0.5 else e.core
    return f"{core} {last}.", last, f"{last[0].upper()}{last[1:]} {core}."


_SYNONYMS = (
    ("big", "large"), ("small", "little"), ("fast", "quick"), ("pretty", "beautiful"), ("clever", "smart"),
    ("loud", "noisy"), ("quiet", "silent"), ("rich", "wealthy"), ("tired", "sleepy"), ("cold", "chilly"),
    ("happy", "glad"), ("sick", "ill"), ("strange", "odd"), ("brave", "bold"), ("funny", "comic"), ("rude", "impolite"),
)  # fmt: skip
_SWAP_FRAMES = (
    "{n} saw the {w} {x} at the {p}.", "The {w} {x} came to the {p} on {d}.", "On {d} {n} met a very {w} man.",
    "The man from the {p} was {w}.", "{n} was very {w} on {d}.", "Is the {c} {x} {w}?", "{n} thinks that {m} is {w}.",
    "We spoke of the {w} woman at the {p}.", "{n} and {m} have a very {w} friend.", "How {w} the {x} was on {d}!",
)  # fmt: skip


def _swapped(rng: Random) -> dict[str, str]:
    """A sentence, a word of it, another word for the same, and the sentence with that word."""
    old, new = rng.choice(_SYNONYMS)
    if rng.random() < 0.5:
        old, new = new, old
    n, m = rng.sample(PERSONS, 2)
    slots = {
        "n": n, "m": m, "x": rng.choice(("dog", "cat", "horse", "child", "bird", "boy", "girl", "fox", "cow")),
        "p": rng.choice(SPOTS), "d": rng.choice(DAYS), "c": rng.choice(SHADES),
    }  # fmt: skip
    frame = rng.choice(_SWAP_FRAMES)
    return {
        "sentence": frame.format(**slots, w=old), "old": old, "new": new, "result": frame.format(**slots, w=new)
    }  # fmt: skip


def _same_meaning_row(rng: Random) -> TaskRow:
    first, second, answer = _two(rng)
    return TaskRow(fields={"first": first, "second": second}, answers=(answer,), source="practice")


def _same_option_row(rng: Random) -> TaskRow:
    text, right, options = _options(rng)
    return TaskRow(fields={"sentence": text}, answers=(right,), options=options, source="practice")


def _passive_row(rng: Random) -> TaskRow:
    active, passive, e = _active_and_passive(rng)
    fields = {"sentence": active, "thing": e.thing, "who": e.who}
    return TaskRow(fields=fields, answers=(passive, passive.rstrip(".")), source="practice")


def _move_to_front_row(rng: Random) -> TaskRow:
    text, last, result = _moved(rng)
    # With a comma after the words in front it is as good.
    with_comma = result.replace(last[1:], f"{last[1:]},", 1)
    return TaskRow(
        fields={"sentence": text, "words": last}, answers=(result, result.rstrip("."), with_comma), source="practice"
    )  # fmt: skip


def _swap_word_row(rng: Random) -> TaskRow:
    fields = _swapped(rng)
    result = fields.pop("result")
    return TaskRow(fields=fields, answers=(result, result.rstrip(".!?")), source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "same_meaning": _same_meaning_row, "same_option": _same_option_row, "passive": _passive_row,
    "move_to_front": _move_to_front_row, "swap_word": _swap_word_row,
}  # fmt: skip

_SAME_FRAMES = ("{first}\n{second}", "{first} / {second}", "1. {first}\n2. {second}", "a) {first} b) {second}")
_SAME_ASKS = (
    "Same?", "Is that the same?", "Only other words, same story?", "say yes if they agree",
    "Is it the same story twice?",
    "Same thing, yes or no?", "Do they agree?", "Do both tell one story?", "check if they are equal in meaning",
    "Equal?", "Is one as good as the other?", "Twice the same?",
)  # fmt: skip
_OPTION_ASKS = (
    "Which of these says the same?", "look for the same story", "Same meaning:", "Which one is equal to it?",
    "point to its twin", "Said in another way:", "One of these is the same. Which?", "The twin?",
    "choose what tells it again", "Which one agrees with it?", "look for the one that agrees",
    "Equal in meaning:",
)  # fmt: skip
_PASSIVE_ASKS = (
    "begin with the {thing}", "Start with the {thing}.", "Passive?", "make it passive", "Passive voice:",
    "The {thing} was ...", "tell what happened to the {thing}", "put the {thing} first", "tell it from the {thing}",
    "say it with \"by {who}\"", "Passive form, please", "Now with \"by {who}\" in it",
)  # fmt: skip
_FRONT_ASKS = (
    "begin with \"{words}\"", "\"{words}\" first", "put \"{words}\" in front", "Start: {words} ...",
    "move \"{words}\" up",
    "How does it go with \"{words}\" first?", "let it begin with \"{words}\"", "change the order, \"{words}\" first",
    "First word: {first}", "The same, but \"{words}\" comes first", "turn the order: {words}",
    "\"{words}\" to the front!",
)  # fmt: skip
_SWAP_ASKS = (
    "{old} -> {new}", "Not {old} but {new}", "write {new} for {old}", "say {new}, not {old}", "change {old} to {new}",
    "put {new} where it says {old}", "{old} becomes {new}", "The same with {new}", "{new} for {old}, please",
    "take out {old} and put in {new}", "How does it go with {new}?", "let {old} be {new}",
)  # fmt: skip


def _same_meaning(rng: Random) -> Request:
    first, second, answer = _two(rng)
    given = rng.choice(_SAME_FRAMES).format(first=first, second=second)
    shown = ("yes", "no") if rng.random() < 0.3 else ()
    return Request(worded(rng, _SAME_ASKS), answer, given=given, options=shown)


def _same_option(rng: Random) -> Request:
    text, right, options = _options(rng)
    return Request(worded(rng, _OPTION_ASKS), right, given=text, options=options)


def _passive(rng: Random) -> Request:
    active, passive, e = _active_and_passive(rng)
    return Request(worded(rng, _PASSIVE_ASKS, thing=e.thing, who=e.who), passive, given=active)


def _move_to_front(rng: Random) -> Request:
    text, last, result = _moved(rng)
    first = last.split()[0].capitalize()
    return Request(worded(rng, _FRONT_ASKS, words=last, first=first), result, given=text)


def _swap_word(rng: Random) -> Request:
    s = _swapped(rng)
    return Request(worded(rng, _SWAP_ASKS, old=s["old"], new=s["new"]), s["result"], given=s["sentence"])


_skill = partial(Skill, cluster="paraphrase")
SKILLS: tuple[Skill, ...] = (
    _skill("same_meaning", make=_same_meaning, weight=2), _skill("same_option", make=_same_option),
    _skill("passive", make=_passive), _skill("move_to_front", make=_move_to_front),
    _skill("swap_word", make=_swap_word),
)  # fmt: skip
