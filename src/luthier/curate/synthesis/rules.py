"""What is kept of a writer's answers: lists taken apart, and the rules by which requests and answers are refused."""

from __future__ import annotations

import re
from typing import NamedTuple

from luthier.curate.synthesis.novelty import Novelty, rouge_words
from luthier.graders.overlap import common_subsequence_length
from luthier.refusals import begins_with_refusal

LEAST_WORDS, MOST_WORDS = 3, 150
"""A request of so few words, or of more, is no request (arXiv:2212.10560)."""
NOT_IN_TEXT = re.compile(
    r"\b(images?|graphs?|pictures?|files?|maps?|draw|plot|go to|videos?|audio|music|flowcharts?|diagrams?)\b"
)
"""Words of requests that a model of text cannot do (the list of arXiv:2212.10560)."""
MOST_REFUSAL_WORDS = 80
"""A longer answer that begins with a refusal goes on to answer (arXiv:2304.12244)."""
ABOUT_THE_PROMPT = re.compile(r"(given|rewritten|new|created)[ _]prompt|#\w+ prompt#", re.IGNORECASE)
"""Words of the request for a request that must not be in it (arXiv:2304.12244)."""
NO_WORDS = "no words"
COPIED_SHARE = 0.8
LEAST_COPIED_WORDS = 8
_ITEM = re.compile(r"^\s*(?:[-*]\s+|(?:task\s*)?\d+\s*[.:)]\s*)(.*)$", re.IGNORECASE)
_MARK = re.compile(r"^[^\w\n]*(?P<name>input|output)[^\w\n]*?:(?:\*\*)?", re.I | re.M)
"""No pattern here crosses lines: one that does takes cubic time on what a writer may say."""
_NO_INPUT = frozenset({"", "none", "n/a", "no input", "<noinput>", "(none)", "not needed"})
_LABEL = re.compile(r"^\W*(?:request|instruction|prompt|question|task|persona)\W*:\s*", re.IGNORECASE)
_SCORE = re.compile(r"score\W*([1-5])\b", re.IGNORECASE)
_ONLY_SCORE = re.compile(r"^[^\w\n]*([1-5])[^\w\n]*$", re.MULTILINE)


class Instance(NamedTuple):
    """One case of a request."""

    input: str
    """Empty where the request needs none."""
    output: str


def listed(text: str) -> list[str]:
    """The items of a numbered or dotted list, with the lines that go on from them.

    >>> listed("Task 9: Name a fish.\\n10. Sort these\\nby size.")
    ['Name a fish.', 'Sort these\\nby size.']
    """
    items: list[list[str]] = []
    for line in text.splitlines():
        if match := _ITEM.match(line):
            items.append([match[1]])
        elif items and line.strip():
            items[-1].append(line)
    return [found for item in items if (found := "\n".join(item).strip())]


def instance(text: str) -> Instance | None:
    """The input and output that an answer states; None where it states no output."""
    given: re.Match[str] | None = None
    first: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if mark["name"].casefold() == "input":
            given = given or mark
        elif given is not None:
            stated = text[given.end() : mark.start()].strip()
            return Instance("" if stated.casefold().strip(".") in _NO_INPUT else stated, text[mark.end() :].strip())
        else:
            first = first or mark
    return None if first is None else Instance("", text[first.end() :].strip())


def bare(text: str) -> str:
    """A request without the label and the quotes that writers put around it."""
    text = _LABEL.sub("", text.strip()).strip()
    for opening, closing in (('"', '"'), ("\u201c", "\u201d"), ("'", "'")):
        if len(text) > 1 and text[0] == opening and text[-1] == closing and opening not in text[1:-1]:
            return text[1:-1].strip()
    return text


def score_of(text: str) -> int | None:
    """The score from 1 to 5 that an answer states last, as "Score: 4"; None where it states none."""
    found = _SCORE.findall(text) or _ONLY_SCORE.findall(text)
    return int(found[-1]) if found else None


def request_fault(text: str, novelty: Novelty | None, *, is_of_text: bool = True) -> str | None:
    """The rule that refuses a new request, or None; `is_of_text` asks for one that a model of text can do."""
    if not re.search(r"\w", text):
        return NO_WORDS
    words = len(rouge_words(text))
    if words <= LEAST_WORDS or words > MOST_WORDS:
        return "too short" if words <= LEAST_WORDS else "too long"
    if not (text[0].isalnum() or text[0] in "\"'\u201c\u00bf\u00a1(["):
        return "begins with a sign"
    if ABOUT_THE_PROMPT.search(text):
        return "speaks of the prompt"
    if is_of_text and NOT_IN_TEXT.search(text.casefold()):
        return "not in text"
    if novelty is not None and novelty.nearest(text) is not None:
        return "too similar"
    return None


def answer_fault(request: str, answer: str) -> str | None:
    """The rule that refuses an answer, or None."""
    if not re.search(r"\w", answer):
        return NO_WORDS
    if answer.casefold() == request.casefold():
        return "repeats the request"
    if begins_with_refusal(answer) and len(answer.split()) < MOST_REFUSAL_WORDS:
        return "refusal"
    return None


def is_copied(request: str, text: str) -> bool:
    """Whether a request says what the text says: most of its words are words of the text, in their order."""
    words = rouge_words(request)
    if len(words) < LEAST_COPIED_WORDS:
        return False
    return common_subsequence_length(words, rouge_words(text)) > COPIED_SHARE * len(words)
