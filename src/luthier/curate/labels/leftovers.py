"""What programs and models leave in an answer: echoes, loops, unfilled slots, marks of other turns."""

from __future__ import annotations

import re
from collections import Counter

REPEATS = 4
LEAST_REPEATED_CHARACTERS = 60
"""Fewer, repeated at the end, may be laughter or a refrain."""
LONGEST_PERIOD = 600
"""Characters of what is repeated at the end."""
LEAST_ECHO_CHARACTERS = 25
"""A shorter request may well begin its answer."""
_LEAST_LINE_CHARACTERS, _LEAST_LINE_LETTERS = 30, 10
_TAIL = 12

_SLOT = re.compile(
    r"(?<![{$\w])\{(?:inputs?|output|instruction|question|context|answer|prompt|text|response|query|completion)\}(?!\})"
    r"|\{\{\s*[a-z_]+\s*\}\}"
)
_CODE_SIGN = re.compile(r"\b(?:def|import|return|const|function|class|printf?|jinja|template|f\")\b")
_TAGS = r"p|div|span|li|ul|ol|b|i|strong|em|a|h[1-6]|font|td|tr|table|sup|sub"
_DEBRIS = re.compile(
    r"&(?:amp|quot|nbsp|lt|gt|#39|#x27|apos|rsquo|ldquo|rdquo|mdash|ndash|hellip);|<br ?/?>"
    rf"|</(?:{_TAGS})>|<(?:{_TAGS}|img)\s+[a-z-]+=[^<>\n]{{0,300}}>",
    re.IGNORECASE,
)
_ABOUT_MARKUP = re.compile(
    r"html|xml|markup|\btags?\b|web ?page|website|css|javascript|<[a-z/]|&[a-z]+;|code", re.IGNORECASE
)
_MARKER = re.compile(
    r"^[ \t]*(?:###[ ]?(?:human|assistant|instruction|response|input|user|end)\b:?|(?:human|assistant|user|ai):[ \t])",
    re.IGNORECASE | re.MULTILINE,
)
_ENTRY = re.compile(
    r"^[ \t]*[-*]?[ \t]*(?!(?:human|assistant|user|ai):)\w[\w ]{0,20}:[ \t]", re.IGNORECASE | re.MULTILINE
)
_FEWEST_ENTRIES = 3
_READ_CHARACTERS = 2_000
_TEMPLATE_SIGNS = ("<|", "[INST]", "[/INST]", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>")
_ABOUT_TALK = re.compile(
    r"dialog|conversation|chat|script|transcript|interview|convers|scene|play\b|role|prompt|\bai\b|bot\b", re.IGNORECASE
)


def is_echo(request: str, text: str) -> bool:
    """Whether the text is the request, or begins with the whole of it where it is not there to be gone on with."""
    if len(request) < LEAST_ECHO_CHARACTERS or not text.startswith(request):
        return False
    # "The tallest mountain is" is a beginning to go on with, and "List of horses" a title.
    return len(text) <= len(request) + 1 or request[-1] in "?.!"


def is_loop(text: str) -> bool:
    """Whether the text ends in the same words REPEATS times and more, or has the same long line so often."""
    if len(text) < LEAST_REPEATED_CHARACTERS:
        return False
    # The end of a loop stood there one period before: one look backwards finds the period.
    before = text.rfind(text[-_TAIL:], max(0, len(text) - LONGEST_PERIOD), -1)
    if before >= 0:
        period = len(text) - _TAIL - before
        repeats = max(REPEATS, -(-LEAST_REPEATED_CHARACTERS // period))
        looped = text[-repeats * period :]
        if len(looped) == repeats * period and looped == text[-period:] * repeats:
            return sum(map(str.isalpha, text[-period:])) > 2  # else a line of dashes
    if text.count("\n") < REPEATS:
        return False
    lines = [line for line in text.split("\n") if len(line) > _LEAST_LINE_CHARACTERS]
    times = Counter(lines)
    return any(count >= REPEATS and sum(map(str.isalpha, line)) > _LEAST_LINE_LETTERS for line, count in times.items())


def has_slot(request: str, text: str) -> bool:
    """Whether a slot of a template was left unfilled, in a text that is no code and was not asked about slots."""
    if "{" not in text or "```" in text:
        return False
    found = _SLOT.search(text)
    return found is not None and found[0] not in request and _CODE_SIGN.search(text) is None


def has_debris(request: str, text: str) -> bool:
    """Whether HTML stands in a text that is no page, where nobody asked about markup."""
    if ("<" not in text and "&" not in text) or "```" in text:
        return False
    if _DEBRIS.search(text) is None or _ABOUT_MARKUP.search(request):
        return False
    return "<html" not in text and "<HTML" not in text  # a page, which an earlier turn asked for


def has_role_marker(request: str, text: str) -> bool:
    """Whether a line begins with the mark of a turn, or a sign of a chat template stands in the text."""
    if any(sign in text and sign not in request for sign in _TEMPLATE_SIGNS) and "```" not in text:
        return True
    if not ("###" in text or "ser:" in text or "uman:" in text or "ssistant:" in text or "AI:" in text):
        return False
    found = _MARKER.search(text)
    if found is None or found[0].strip() in request or _ABOUT_TALK.search(request):
        return False
    # "Human: two legs" between "Horse: four legs" and others is an entry of a list.
    return "#" in found[0] or len(_ENTRY.findall(text, 0, _READ_CHARACTERS)) < _FEWEST_ENTRIES
