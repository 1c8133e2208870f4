"""What the whole answer must be: two answers, the request again, an end, quotation marks."""

from __future__ import annotations

import re

from luthier.graders.instructions.findings import Finding, folded, is_word_at, plain

QUOTES = "\"\u201c\u201d\u201e\u201f"
_SIX_STARS = re.compile(r"(?<!\*)\*{6}(?!\*)")


def two_responses(text: str) -> Finding:
    """Two answers with ****** between them that differ in more than case and white space; no third, no empty one."""
    parts = [folded(part).split() for part in _SIX_STARS.split(plain(text))]
    said = [part for part in parts if part]
    is_right = len(said) == 2 and said[0] != said[1] and all(parts[1:-1])
    return Finding(is_right, f"{len(said)} answers" + (", alike" if len(said) == 2 and said[0] == said[1] else ""))


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> Finding:
    """The answer begins with the request, word for word, case aside, and goes on after it."""
    wanted, answer = folded(prompt_to_repeat).strip(), folded(text).strip()
    if not answer.startswith(wanted):
        return Finding(False, "another beginning")
    goes_on = re.search(r"\w", answer[len(wanted) :]) is not None
    return Finding(goes_on, "the request" + (" and more" if goes_on else " and nothing else"))


def end_checker(text: str, *, end_phrase: str) -> Finding:
    """The answer ends with this phrase, case and closing double quotation marks aside, and not within a word."""
    wanted, answer = folded(end_phrase).strip(), folded(text).strip().rstrip(QUOTES).rstrip()
    wanted = wanted.rstrip(QUOTES).rstrip() or wanted
    ends = answer.endswith(wanted) and is_word_at(answer, len(answer) - len(wanted), len(answer))
    return Finding(ends or not wanted, "the end asked for" if ends else "another end")


def quotation(text: str) -> Finding:
    """The whole answer, and something at all, stands between double quotation marks, straight or curly."""
    inner = plain(text).strip()
    is_wrapped = len(inner) > 2 and inner[0] in QUOTES and inner[-1] in QUOTES and bool(inner[1:-1].strip())
    return Finding(is_wrapped, "quotation marks around it" if is_wrapped else "no quotation marks around it")
