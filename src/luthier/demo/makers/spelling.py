"""Cluster "spelling": the letters of short words, of three to six letters."""

from collections.abc import Callable, Mapping
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.lists import SMALL_WORDS, joined
from luthier.tasks.task import TaskRow

_SHORT = tuple(word for word in SMALL_WORDS if 3 <= len(word) <= 6 and word.isalpha())
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_COMMON = "aeiorstln"
_YES_NO = ("yes", "no")


def _among(word: str, is_other: Callable[[str], bool]) -> str:
    """The word among two others, always the same ones: a word makes one row, so no word is on both sides of a split."""
    chance = Random(word)
    others = chance.sample([other for other in _SHORT if is_other(other)], 2)
    return joined(chance.sample([word, *others], 3))


def _first_letter(rng: Random) -> TaskRow:
    word = rng.choice(_SHORT)
    among = _among(word, lambda other: other[0] != word[0])
    return TaskRow({"word": word, "among": among}, (word[0],))


def _last_letter(rng: Random) -> TaskRow:
    word = rng.choice(_SHORT)
    among = _among(word, lambda other: other[-1] != word[-1])
    return TaskRow({"word": word, "among": among}, (word[-1],))


def _spell(rng: Random) -> TaskRow:
    word = rng.choice(_SHORT)
    return TaskRow({"word": word}, ("-".join(word),))


def _word_length(rng: Random) -> TaskRow:
    word = rng.choice(_SHORT)
    among = _among(word, lambda other: len(other) != len(word))
    return TaskRow({"word": word, "among": among}, (str(len(word)),))


def _has_letter(rng: Random) -> TaskRow:
    word = rng.choice(_SHORT)
    is_there = rng.random() < 0.5
    # Both answers ask for common letters as often, so that the letter alone does not tell.
    pool = [letter for letter in (_COMMON if rng.random() < 0.7 else _LETTERS) if (letter in word) == is_there]
    letter = rng.choice(pool or [letter for letter in _LETTERS if (letter in word) == is_there])
    return TaskRow({"word": word, "letter": letter}, ("yes" if is_there else "no",), options=_YES_NO)


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "first_letter": _first_letter,
    "last_letter": _last_letter,
    "spell": _spell,
    "word_length": _word_length,
    "has_letter": _has_letter,
}

_FIRST_ASKS = (
    "First letter of {x}", "{x}: first letter?", "{x} begins with?", "name the letter that {x} begins with",
    "Under which letter is {x} in the book?", "{x} opens with ...", "say with which letter {x} begins",
    "With which letter do we start to write {x}?", "{x}, letter one", "The letter at the front of {x}?",
    "find the opening letter of {x}",
)  # fmt: skip
_LAST_ASKS = (
    "Last letter of {x}", "{x}: last letter?", "{x} ends in?", "name the letter that {x} ends in",
    "Which letter closes {x}?", "{x} closes with ...", "say with which letter {x} stops",
    "{x} stops with which letter?", "{x}, final letter", "The letter at the back of {x}?",
    "find the closing letter of {x}",
)  # fmt: skip
_SPELL_ASKS = (
    "spell {x}", "{x}, letter by letter", "break {x} into letters", "How do you spell {x}?", "{x} spelled out",
    "cut {x} into its letters", "Which letters make {x}?", "say all letters of {x}", "Spelling of {x}?",
    "put dashes into {x}", "read {x} out by letters",
)  # fmt: skip
_LENGTH_ASKS = (
    "count the letters of {x}", "{x} has how many letters?", "How long is {x}?", "Letters in {x}?", "Length of {x}",
    "say how many letters {x} has", "{x}: number of letters?", "{x} is ... letters long",
    "How many keys do I press to type {x}?", "give the letter count of {x}",
)  # fmt: skip
_HAS_ASKS = (
    "{l} in {x}?", "Is {l} in {x}?", "Does {x} have {l}?", "{l} in {x}: yes or no?", "Can you find {l} in {x}?",
    "check {x} for {l}", "{x} uses the letter {l}?", "Do we need {l} to spell {x}?", "Any {l} in {x}?",
    "say if {x} has {l} in it",
)  # fmt: skip


def _asked(make: Callable[[Random], TaskRow], asks: tuple[str, ...]) -> Callable[[Random], Request]:
    def request(rng: Random) -> Request:
        row = make(rng)
        ask = worded(rng, asks, x=row.fields["word"], l=row.fields.get("letter", ""))
        return Request(ask, row.answers[0], options=row.options if rng.random() < 0.3 else ())

    return request


SKILLS = (
    Skill("first_letter", "spelling", _asked(_first_letter, _FIRST_ASKS), weight=2),
    Skill("last_letter", "spelling", _asked(_last_letter, _LAST_ASKS), weight=2),
    Skill("spell", "spelling", _asked(_spell, _SPELL_ASKS), weight=3),
    Skill("word_length", "spelling", _asked(_word_length, _LENGTH_ASKS), weight=2),
    Skill("has_letter", "spelling", _asked(_has_letter, _HAS_ASKS), weight=2),
)
