"""What is wrong with a free-text answer, as far as a cheap look can tell; for a person to look at, or to drop.

Precision goes before completeness: a reason is given where nine of ten such answers are faulty in real sets. Answers
that are well formed and false are not found here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice

from luthier.curate.labels.asked import (
    instruction_of,
    listed_options,
    wanted_case,
    wanted_count,
    wants_json,
    wants_one_word,
    wants_yes_or_no,
)
from luthier.curate.labels.endings import breaks_off
from luthier.curate.labels.leftovers import has_debris, has_role_marker, has_slot, is_echo, is_loop
from luthier.graders.choice import options_named
from luthier.languages import UNDETERMINED, Guess
from luthier.records import Example
from luthier.refusals import begins_with_refusal

EMPTY = "answer is empty or a placeholder"
"""Nothing but dots and dashes, or what some writers put where there is nothing: "N/A", "<nooutput>", "TODO"."""
CUT_OFF = "answer breaks off"
"""A code block or a JSON text that is not closed, or an end within a sentence: after a comma, or "and the"."""
NOT_JSON = "answer is not the JSON that was asked for"
"""Neither the answer nor a part of it can be read as JSON."""
WRONG_COUNT = "answer lists another number of items than asked for"
"""Numbered lines or bullets are not as many as in "give me three ideas" or "exactly four bullet points"."""
NOT_ONE_WORD = "answer is not the one word that was asked for"
"""Two words and more."""
NOT_YES_OR_NO = "answer is not the yes or no that was asked for"
"""Neither stands near the beginning."""
WRONG_CASE = "answer is not in the upper or lower case that was asked for"
"""More than a tenth of the letters are in the other one."""
NOT_AN_OPTION = "answer names none of the options"
"""Of the row's choices, or of those that the request lists under "OPTIONS:"."""
OTHER_LANGUAGE = "answer is in another language than the request"
"""Both are told for certain, the request names no language, and the answer is no list of names."""
REFUSAL = "answer begins with a refusal as assistants write it"
"""Right where the request is one to refuse; a set for tuning should hold such answers on purpose, not by accident."""
ECHO = "answer begins with the whole request"
"""Word for word, in place of an answer or before it."""
LOOP = "answer repeats itself"
"""It ends in the same words four times and more, or has the same long line four times."""
LEFTOVER_SLOT = "answer holds an unfilled template slot"
"""Slots that a program should have filled: "{input}", "{{ name }}". "[Your name]" is for the reader of a letter."""
HTML_DEBRIS = "answer holds HTML that nobody asked for"
"""Tags and entities as web pages leave them: "<br/>", "&amp;"."""
ROLE_MARKER = "answer holds the mark of another turn"
""" "Human:" or "### Response:" at the beginning of a line, or a chat template's sign: a turn was taken for text."""
REASONS = (EMPTY, CUT_OFF, NOT_JSON, WRONG_COUNT, NOT_ONE_WORD, NOT_YES_OR_NO, WRONG_CASE, NOT_AN_OPTION,
           OTHER_LANGUAGE, REFUSAL, ECHO, LOOP, LEFTOVER_SLOT, HTML_DEBRIS, ROLE_MARKER)  # fmt: skip

SURE_OF_LANGUAGE = 0.9
"""Confidence from which a language is believed, of the request and of the answer."""
LEAST_LANGUAGE_CHARACTERS = 40
"""Shorter texts may be names, quotations or numbers."""
CASE_SLIPS = 0.1
"""Of the letters, may be in the other case: names of units, say."""

SHOWN_CHARACTERS = 80
"""Of the beginning and of the end of a faulty answer."""

Identify = Callable[[str], Guess]


def answer_faults(example: Example, *, guess: Identify | None = None) -> dict[str, str]:
    """The reasons why an answer of the example may be faulty, each with the beginning and the end of that answer.

    Looks at every answer that is trained on, with the request before it; an example that ends with the request is
    judged by its first target. `guess` tells languages; without it they are not compared.
    """
    found: dict[str, str] = {}
    for request, answer, is_last in _pairs(example):
        options = (example.choices if is_last else ()) or listed_options(request)
        for reason in flags_of(request, answer, options=options, guess=guess):
            found.setdefault(reason, _shown(answer))
    return found


def flags_of(request: str, answer: str, *, options: tuple[str, ...] = (), guess: Identify | None = None) -> list[str]:
    """The reasons for one answer to one request; `options` are all that may be answered, where that is so."""
    text = answer.strip()
    if _is_empty(text) and text not in options:
        return [EMPTY]
    instruction = instruction_of(request)
    found = [
        reason
        for reason, is_so in (
            (CUT_OFF, breaks_off(request, text)),
            (NOT_JSON, wants_json(instruction) and not _holds_json(text)),
            (WRONG_COUNT, _has_wrong_count(instruction, text)),
            (NOT_ONE_WORD, wants_one_word(instruction) and len(text.split()) > 1),
            (NOT_YES_OR_NO, wants_yes_or_no(instruction) and _YES_OR_NO.search(text, 0, 200) is None),
            (WRONG_CASE, _has_wrong_case(instruction, text)),
            (NOT_AN_OPTION, bool(options) and not _names_an_option(text, options)),
            (REFUSAL, begins_with_refusal(text)),
            (ECHO, is_echo(request.strip(), text)),
            (LOOP, is_loop(text)),
            (LEFTOVER_SLOT, has_slot(request, text)),
            (HTML_DEBRIS, has_debris(request, text)),
            (ROLE_MARKER, has_role_marker(request, text)),
        )
        if is_so
    ]
    if guess is not None and _is_other_language(request, text, guess):
        found.append(OTHER_LANGUAGE)
    return found


def _shown(text: str) -> str:
    shown = text if len(text) <= 2 * SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ... {text[-SHOWN_CHARACTERS:]}"
    return shown.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair cannot be written down


def _pairs(example: Example) -> Iterator[tuple[str, str, bool]]:
    """Each request with the answer that is trained on, and whether it is the last."""
    request = ""
    last = len(example.messages) - 1
    for place, message in enumerate(example.messages):
        if message.role == "user":
            request = message.content
        elif message.role == "assistant" and message.loss_weight > 0 and not message.tool_calls:
            yield request, message.content, place == last
    if example.messages[-1].role != "assistant" and example.target is not None:
        yield request, example.target, True


# Nothing, or not all of it

_PLACEHOLDERS = frozenset({
    "n/a", "nan", "null", "undefined", "tbd", "todo", "<noinput>", "<nooutput>", "<no output>", "no output", "<empty>",
    "[empty]", "[no output]", "placeholder", "lorem ipsum",
})  # fmt: skip
_LONGEST_PLACEHOLDER = 15


def _is_empty(text: str) -> bool:
    is_short = len(text) <= _LONGEST_PLACEHOLDER
    return is_short and (text.lower() in _PLACEHOLDERS or not text.strip(".\u2026?-\u2013_*# "))


# Not as asked

_JSON_START = re.compile(r"[{\[]")
_MOST_STARTS = 20
_EMPTY_JSON = len("{}")
_DECODER = json.JSONDecoder()
_YES_OR_NO = re.compile(r"\b(?:yes|no|yep|nope|true|false)\b", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t]{0,3}(?:(\d{1,2})[.):][^\S\n]*|[-*\u2022][^\S\n]+)\S", re.MULTILINE)


def _holds_json(text: str) -> bool:
    """Whether the text is JSON, or holds an object or a list of it."""
    for found in islice(_JSON_START.finditer(text), _MOST_STARTS):
        try:
            _, end = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        if end - found.start() > _EMPTY_JSON:
            return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return len(text) > _EMPTY_JSON or text.isalnum()


def _has_wrong_count(instruction: str, text: str) -> bool:
    if "\n" not in text:
        return False
    wanted = wanted_count(instruction)
    if wanted is None:
        return False
    items = _ITEM.findall(text)
    numbers = [int(number) for number in items if number]
    if numbers:
        # A list that begins anew, or skips a number, is not one list.
        return numbers == list(range(1, len(numbers) + 1)) and len(numbers) != wanted
    return len(items) > 1 and len(items) != wanted


def _has_wrong_case(instruction: str, text: str) -> bool:
    wanted = wanted_case(instruction)
    if wanted is None:
        return False
    head, _, rest = text.partition("\n")
    body = rest if rest and head.endswith((":", ".")) else text  # "Sure, here it is:"
    wrong = sum(map(str.islower if wanted == "upper" else str.isupper, body))
    return wrong > CASE_SLIPS * sum(map(str.isalpha, body))


def _names_an_option(text: str, options: tuple[str, ...]) -> bool:
    if text in options or options_named(text, options):
        return True
    folded = text.casefold()
    label = folded.strip("().:[] ")
    if len(label) == 1 and label.isalnum():  # "B", of options that a prompt letters or numbers
        return True
    return any(folded in option.casefold() or option.casefold() in folded for option in options)


# In another language

_NAMES_LANGUAGE = re.compile(
    r"translat|\btradu|\u00fcbersetz|\u7ffb\u8bd1|\u7ffb\u8b6f|\u8a33\u3057|\u043f\u0435\u0440\u0435\u0432\u0435\u0434|"
    r"\blanguage|\bsprache|\bidioma|\blangue|\b(?:english|french|german|spanish|italian|portuguese|chinese|mandarin|"
    r"japanese|korean|russian|arabic|hindi|dutch|polish|turkish|swedish|danish|norwegian|finnish|greek|hebrew|latin|"
    r"thai|vietnamese|indonesian|czech|hungarian|romanian|ukrainian|persian|urdu|bengali|tamil|swahili|esperanto)\b|"
    r"\u82f1\u8bed|\u82f1\u6587|\u4e2d\u6587|\u6c49\u8bed|\u65e5\u8bed|\u65e5\u6587|\u6cd5\u8bed|\u5fb7\u8bed",
    re.IGNORECASE,
)
_ENGLISH = frozenset({
    "the", "of", "and", "with", "that", "this", "from", "are", "which", "have", "your", "you", "what", "how", "their",
    "they", "would", "there", "its", "been", "because", "these", "other", "when", "about", "could", "should", "not",
    "his", "her", "were", "but", "has", "had", "who", "does", "did", "by", "into", "than", "some", "where", "between",
    "it", "many", "most", "give", "write", "tell", "why", "following", "or",
})  # fmt: skip
"""Words that texts in other languages hardly use."""
_FEWEST_ENGLISH, _FEWEST_IN_A_LINE = 3, 2
_LINE_CHARACTERS = 150
_PART_CHARACTERS = 400
_LATIN_WORD = re.compile(r"[A-Za-z]{4,}")
_LEAST_LANGUAGE_WORDS = 8
_IDEOGRAMS = 0x2E80


def _is_other_language(request: str, text: str, guess: Identify) -> bool:
    # The cheapest first: telling a language takes ten times as long as all else.
    if len(text) < _least_characters(text) or len(request) < _least_characters(request) or "```" in text:
        return False
    is_asked_in_english = _is_plainly_english(request)
    if (is_asked_in_english and _is_plainly_english(text)) or _is_list_of_names(text):
        return False
    answered = _language(text, guess)
    asked = answered and ("en" if is_asked_in_english else _language(request, guess))
    if not asked or asked == answered or _NAMES_LANGUAGE.search(request):
        return False
    if not request.isascii() and text.lstrip("\"'").isascii() and _LATIN_WORD.search(request):
        return False  # a request in another script about words in this one, or about code
    # Each part by itself: a request may quote what it is about, and an answer too.
    if any(guess(line).code == answered for line in (request.split("\n", 1)[0], request.rsplit("\n", 1)[-1])):
        return False
    middle = text.find(" ", len(text) // 2) if " " in text else len(text) // 2
    return all(guess(part).code in (answered, UNDETERMINED) for part in (text[:middle], text[middle:]))


def _is_plainly_english(text: str) -> bool:
    """Whether several words that only English has stand near the beginning and near the end of a text."""
    parts = (text,) if len(text) <= 2 * _PART_CHARACTERS else (text[:_PART_CHARACTERS], text[-_PART_CHARACTERS:])
    fewest = _FEWEST_IN_A_LINE if len(text) <= _LINE_CHARACTERS else _FEWEST_ENGLISH
    return all(len(_ENGLISH.intersection(part.lower().split())) >= fewest for part in parts)


def _least_characters(text: str) -> int:
    """An ideogram says as much as some letters."""
    return (
        LEAST_LANGUAGE_CHARACTERS // 4
        if max(map(ord, text[:20]), default=0) >= _IDEOGRAMS
        else LEAST_LANGUAGE_CHARACTERS
    )


def _language(text: str, guess: Identify) -> str:
    """The language of a text that is told for certain, else nothing."""
    found = guess(text)
    return found.code if found.code != UNDETERMINED and found.confidence >= SURE_OF_LANGUAGE else ""


def _is_list_of_names(text: str) -> bool:
    words = text.split()
    if len(words) < _LEAST_LANGUAGE_WORDS:
        return max(map(ord, text)) < _IDEOGRAMS
    small = sum(word[0].islower() for word in words)
    is_spaced = max(map(ord, text)) < _IDEOGRAMS
    return is_spaced and (small < len(words) / 2 or text.count(",") + text.count("\n") > len(words) / 5)
