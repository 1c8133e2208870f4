"""Cluster "translation": words, phrases and numbers in English and Spanish, and which of the two languages it is."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.lexicon import SPANISH
from luthier.demo.makers.words import number_word
from luthier.demo.scenes import phrase_pair, word_pair
from luthier.demo.world import NUMBER_WORDS
from luthier.tasks.task import TaskRow

LANGUAGES = ("English", "Spanish")

_TWENTIES = (
    "veinte", "veintiuno", "veintidós", "veintitrés", "veinticuatro", "veinticinco", "veintiséis", "veintisiete",
    "veintiocho", "veintinueve",
)  # fmt: skip
_SPANISH_TENS = ("treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa")


def spanish_number(n: int) -> str:
    """The number from 0 to 99 in Spanish words: "cuarenta y dos"."""
    if n < 20:
        return SPANISH[NUMBER_WORDS[n]]
    tens, ones = divmod(n, 10)
    if tens == 2:
        return _TWENTIES[ones]
    return f"{_SPANISH_TENS[tens - 3]} y {SPANISH[NUMBER_WORDS[ones]]}" if ones else _SPANISH_TENS[tens - 3]


# Words that both languages write alike tell nothing about the language.
_ALIKE = tuple(word for word, spanish in SPANISH.items() if word == spanish)
_ENGLISH: dict[str, tuple[str, ...]] = {}
for _word, _spanish in SPANISH.items():
    _ENGLISH[_spanish] = (*_ENGLISH.get(_spanish, ()), _word)


def _word_to_spanish(rng: Random) -> TaskRow:
    pair = word_pair(rng)
    return TaskRow({"english": pair.english}, (pair.spanish,), lists={"meanings": _ENGLISH[pair.spanish]})


def _word_to_english(rng: Random) -> TaskRow:
    spanish = word_pair(rng).spanish
    return TaskRow({"spanish": spanish}, _ENGLISH[spanish])


def _phrase_to_spanish(rng: Random) -> TaskRow:
    pair = phrase_pair(rng)
    return TaskRow({"english": pair.english}, (pair.spanish,))


def _phrase_to_english(rng: Random) -> TaskRow:
    pair = phrase_pair(rng)
    return TaskRow({"spanish": pair.spanish}, (pair.english,))


def _text(rng: Random) -> tuple[str, str]:
    """A word or a phrase, and the language it is in."""
    pair = word_pair(rng) if rng.random() < 0.3 else phrase_pair(rng)
    if pair.english in _ALIKE:
        return _text(rng)
    is_english = rng.random() < 0.5
    return (pair.english, "English") if is_english else (pair.spanish, "Spanish")


def _which_language(rng: Random) -> TaskRow:
    text, language = _text(rng)
    return TaskRow({"text": text}, (language,), options=LANGUAGES)


def _number_to_spanish(rng: Random) -> TaskRow:
    n = rng.randrange(100)
    return TaskRow({"number": str(n)}, (spanish_number(n),))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = MappingProxyType({
    "word_to_spanish": _word_to_spanish, "word_to_english": _word_to_english, "phrase_to_spanish": _phrase_to_spanish,
    "phrase_to_english": _phrase_to_english, "which_language": _which_language,
    "number_to_spanish": _number_to_spanish,
})  # fmt: skip
"""The makers of rows, by the name of the task."""

_TO_SPANISH_ASKS = (
    "say {x} in Spanish", "{x} in Spanish", 'How does one say "{x}" in Spanish?', "put into Spanish: {x}",
    "Spanish for {x}", "translate to Spanish: {x}", "English: {x}. Spanish?", "What do they say in Spain for {x}?",
    "{x} (Spanish)", 'turn the English words "{x}" into Spanish', "{x} - en español?", "Into Spanish with {x}",
    'The Spanish for "{x}", please',
)  # fmt: skip
_TO_ENGLISH_ASKS = (
    "say {x} in English", "{x} in English", 'What does "{x}" mean?', "put into English: {x}", "English for {x}",
    "translate to English: {x}", "Spanish: {x}. English?", "{x} (English)", "{x} - in English?",
    'turn the Spanish words "{x}" into English', 'A Spanish friend says "{x}". What is it in English?',
    '"{x}" means what?', 'The English for "{x}", please',
)  # fmt: skip
_LANGUAGE_ASKS = (
    'Is "{x}" English or Spanish?', "name the language of {x}", "{x} - which language?", "English or Spanish: {x}",
    'Someone wrote "{x}". In what language?', "say if {x} is English or Spanish", "The language of {x}?",
    "{x} (English? Spanish?)", 'Which tongue is "{x}"?', 'Where do they say "{x}", in Spain or in England? Language?',
    "guess the language: {x}", "{x}: language",
)  # fmt: skip
_NUMBER_ASKS = (
    "{x} in Spanish", "count in Spanish: {x}", "{x}, spelled in Spanish", "write out {x} in Spanish letters",
    "Spanish for {x}", "The Spanish number {x}?", "say {x} as in Spain", "{x} - en español?",
    "number {x} in Spanish words", "A Spanish shop asks for {x} coins. Say it", "{x} = ... (Spanish)",
    "How does a Spanish teacher read {x}?",
)  # fmt: skip
_NUMBER_BACK_ASKS = ("{x} in digits", "Which number is {x}?", "{x} - what number in Spain?", "note {x} as digits")


def _to_spanish(make_pair: Callable[[Random], tuple[str, str]], name: str, weight: int) -> Skill:
    return Skill(name, "translation", lambda rng: _translated(rng, _TO_SPANISH_ASKS, *make_pair(rng)), weight)


def _to_english(make_pair: Callable[[Random], tuple[str, str]], name: str, weight: int) -> Skill:
    return Skill(name, "translation", lambda rng: _translated(rng, _TO_ENGLISH_ASKS, *make_pair(rng)[::-1]), weight)


def _translated(rng: Random, asks: Sequence[str], text: str, answer: str) -> Request:
    return Request(worded(rng, asks, x=text), answer)


def _words(rng: Random) -> tuple[str, str]:
    pair = word_pair(rng)
    return pair.english, pair.spanish


def _phrases(rng: Random) -> tuple[str, str]:
    pair = phrase_pair(rng)
    return pair.english, pair.spanish


def _language(rng: Random) -> Request:
    text, language = _text(rng)
    options = rng.sample(LANGUAGES, 2) if rng.random() < 0.4 else ()
    return Request(worded(rng, _LANGUAGE_ASKS, x=text), language, options=tuple(options))


def _number(rng: Random) -> Request:
    n = rng.randrange(100)
    if rng.random() < 0.2:
        return Request(worded(rng, _NUMBER_BACK_ASKS, x=spanish_number(n)), str(n))
    return Request(worded(rng, _NUMBER_ASKS, x=str(n) if rng.random() < 0.7 else number_word(n)), spanish_number(n))


SKILLS: tuple[Skill, ...] = (
    _to_spanish(_words, "word_to_spanish", 4),
    _to_english(_words, "word_to_english", 4),
    _to_spanish(_phrases, "phrase_to_spanish", 4),
    _to_english(_phrases, "phrase_to_english", 4),
    Skill("which_language", "translation", _language, 2),
    Skill("number_to_spanish", "translation", _number, 2),
)
"""What the plain text asks for, one skill for each task."""
