"""Repair of what tools break in a text on its way: encodings, line ends, characters that nobody sees.

Nothing is rewritten that a person could have meant: quotes, case, HTML, inner blanks and indentation stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import ftfy
from ftfy import badness

from luthier.records import Example, Message, Preference
from luthier.similarity import INVISIBLE, LINE_END, is_plain, is_shown

MOJIBAKE = "mojibake"
LINE_ENDS = "line ends"
NO_BREAK_SPACES = "no-break spaces"
INVISIBLES = "invisible characters"
UNICODE_FORM = "Unicode form"
OUTER_BLANKS = "outer blanks"
ANSWER_ADDED = "answer added from targets"
LOST_CHARACTER = "\ufffd"
"""Stands where an earlier tool could not decode a character; what was there cannot be told."""
NO_REPAIRS: frozenset[str] = frozenset()


class Cleaned(NamedTuple):
    """A record after repair, and what was repaired."""

    record: Example | Preference
    repairs: frozenset[str]


def clean(record: Example | Preference) -> Cleaned:
    """The record with every text repaired; the same object when there was nothing to do."""
    if _needs_nothing(record):
        return Cleaned(record, NO_REPAIRS)
    repairs: set[str] = set()
    if isinstance(record, Example):
        return Cleaned(_example(record, repairs), frozenset(repairs))
    return Cleaned(_preference(record, repairs), frozenset(repairs))


def clean_text(text: str, repairs: set[str]) -> str:
    """The text repaired; what was done is added to `repairs`."""
    for name, repair in _steps_for(text):
        repaired = repair(text)
        if repaired != text:
            repairs.add(name)
            text = repaired
    return text


def has_lost_characters(record: Example | Preference) -> bool:
    """Whether some text of the record holds U+FFFD."""
    return any(LOST_CHARACTER in text for text in texts_of(record))


def texts_of(record: Example | Preference) -> tuple[str, ...]:
    """The prompt's and the answers' texts."""
    if isinstance(record, Example):
        return (*(message.content for message in record.messages), *record.targets)
    return (*(message.content for message in record.prompt), record.chosen, record.rejected)


def remade(example: Example, messages: Sequence[Message], targets: Sequence[str], choices: Sequence[str]) -> Example:
    """The example with other texts, and so with another id."""
    rest = {name: getattr(example, name) for name in _REST}
    return Example.of(messages, targets=targets, choices=choices, **rest)


def remade_preference(preference: Preference, prompt: Sequence[Message], chosen: str, rejected: str) -> Preference:
    """The preference with other texts, and so with another id."""
    rest = {name: getattr(preference, name) for name in _PREFERENCE_REST}
    return Preference.of(prompt, chosen=chosen, rejected=rejected, **rest)


def _needs_nothing(record: Example | Preference) -> bool:
    """Whether a glance shows that there is nothing to do, as in nearly all rows."""
    if isinstance(record, Example):
        if record.targets and record.messages[-1].role not in ("assistant", "system"):
            return False
        texts = (*(message.content for message in record.messages), *record.targets, *record.choices)
    else:
        texts = texts_of(record)
    if not all(text == text.strip() for text in texts):
        return False
    whole = "\n".join(texts)
    return is_plain(whole) or (
        is_shown(whole) and not _MAYBE_MOJIBAKE.search(whole) and unicodedata.is_normalized("NFC", whole)
    )


def _example(example: Example, repairs: set[str]) -> Example:
    messages = _messages(example.messages, repairs)
    targets = tuple(dict.fromkeys(clean_text(target, repairs) for target in example.targets))
    choices = tuple(clean_text(choice, repairs) for choice in example.choices)
    if targets and messages[-1].role in ("user", "tool"):
        # One form for all: a row that came with targets only can be trained on like any other.
        messages = (*messages, Message(role="assistant", content=targets[0]))
        repairs.add(ANSWER_ADDED)
    return remade(example, messages, targets, choices) if repairs else example


def _preference(preference: Preference, repairs: set[str]) -> Preference:
    prompt = _messages(preference.prompt, repairs)
    chosen, rejected = clean_text(preference.chosen, repairs), clean_text(preference.rejected, repairs)
    return remade_preference(preference, prompt, chosen, rejected) if repairs else preference


def _messages(messages: tuple[Message, ...], repairs: set[str]) -> tuple[Message, ...]:
    texts = [clean_text(message.content, repairs) for message in messages]
    if not repairs:
        return messages
    return tuple(replace(message, content=text) for message, text in zip(messages, texts, strict=True))


def _steps_for(text: str) -> Sequence[Repair]:
    """The repairs that may change a text, by fast tests of what is in it."""
    if is_plain(text):
        return _PLAIN_STEPS
    return _SHOWN_STEPS if is_shown(text) and not _MAYBE_MOJIBAKE.search(text) else _STEPS


def _encoding(text: str) -> str:
    """The text with mojibake undone, line by line, since one line may be broken and the next not."""
    if not _MAYBE_MOJIBAKE.search(text) or not badness.is_bad(text):
        return text
    return "\n".join(ftfy.fix_encoding(line) if badness.is_bad(line) else line for line in text.split("\n"))


def _outer_blanks(text: str) -> str:
    """Blank lines around the text and blanks at its end are taken away; of several lines the first keeps its indent."""
    text = text.rstrip()
    first_word = len(text) - len(text.lstrip())
    text = text[text.rfind("\n", 0, first_word) + 1 :]
    return text if "\n" in text else text.lstrip()


def _unicode_form(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


# Mojibake of UTF-8 has a lead byte's character and another that is not ASCII, or "\u00c2" before what was a no-break
# space. This test is much cheaper than ftfy's and passes over nearly all texts of European and East Asian languages.
# All of it begins with one class of characters, which the search jumps to.
_MAYBE_MOJIBAKE = re.compile("[\x80-\u25ff](?:[\x80-\uffff]|(?<=[\u00c2\u00c3]) |(?<=[\x80-\x9f]))")
Repair = tuple[str, Callable[[str], str]]
_STEPS: tuple[Repair, ...] = (
    (MOJIBAKE, _encoding),
    (LINE_ENDS, lambda text: LINE_END.sub("\n", text)),
    (NO_BREAK_SPACES, lambda text: text.replace("\u00a0", " ")),
    (INVISIBLES, lambda text: INVISIBLE.sub("", text)),
    (UNICODE_FORM, _unicode_form),
    (OUTER_BLANKS, _outer_blanks),
)
_PLAIN_STEPS = _STEPS[-1:]
_SHOWN_STEPS = tuple(step for step in _STEPS if step[0] in (UNICODE_FORM, OUTER_BLANKS))
_REST = [spec.name for spec in fields(Example) if spec.name not in ("id", "messages", "targets", "choices")]
_PREFERENCE_REST = [spec.name for spec in fields(Preference) if spec.name not in ("id", "prompt", "chosen", "rejected")]
"""What is no text."""
