"""Whether an answer breaks off: for certain, to accuse it; or perhaps, to choose between two that are alike."""

from __future__ import annotations

import json
import re

SENTENCE_WORDS = 8
"""A shorter answer is a word, a name or a number, and need not end like a sentence."""
_NEVER_LAST = frozenset({
    "a", "an", "the", "and", "or", "but", "because", "than", "their", "your", "my", "our", "its", "into", "such",
})  # fmt: skip
_SELDOM_LAST = frozenset({
    "of", "to", "with", "for", "from", "by", "is", "are", "was", "were", "as", "if", "that", "which", "in", "on", "at",
})  # fmt: skip
"""May end a sentence of speech ("to be shot for"); in a text whose other sentences have a full stop they hardly do."""
_SENTENCE_END = re.compile(r"[.!?][\"')\u201d]?\s")
_LEAST_CUT_WORDS, _LEAST_CUT_CHARACTERS = 7, 40
_READ_CHARACTERS = 2_000


def may_break_off(answer: str) -> bool:
    """Whether an answer of some length has no end of a sentence. Many that are whole have none either.

    >>> may_break_off("Because the sky scatters blue light more than red, and"), may_break_off("Blue")
    (True, False)
    """
    end = answer.rstrip()[-1:]
    return (end.isalpha() or end in (",", ";", ":", "-")) and answer.count(" ") >= SENTENCE_WORDS - 1


def breaks_off(request: str, answer: str) -> bool:
    """Whether a code block or a JSON text is not closed, or an answer ends within a sentence: after a comma, or "and".

    >>> breaks_off("Why?", "Because the sky scatters blue light more than red, and"), breaks_off("Why?", "Blue")
    (True, False)
    """
    text = answer.strip()
    if not text:
        return False
    if "```" in text:
        return (text.count("\n```") + text.startswith("```")) % 2 == 1
    last = text[-1]
    if last in "}]":
        return False
    if text[0] in "{[" and text[1:2] in '"{\n':
        return _is_cut_json(text)
    if not (last.isalpha() or last == ",") or len(text) < _LEAST_CUT_CHARACTERS or request.rstrip().endswith(","):
        return False
    line = text[text.rfind("\n") + 1 :]
    words = line.rsplit(None, _LEAST_CUT_WORDS)
    if len(words) <= _LEAST_CUT_WORDS:  # the last line of a letter, or of a list
        return False
    if last == "," or words[-1] in _NEVER_LAST:
        return True
    return words[-1] in _SELDOM_LAST and len(_SENTENCE_END.findall(text, 0, _READ_CHARACTERS)) > 1


def _is_cut_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):  # brackets within brackets, thousands deep
        return text.count("{") + text.count("[") > text.count("}") + text.count("]")
    return False
