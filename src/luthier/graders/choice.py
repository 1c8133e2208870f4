"""The answer names exactly one of the item's options, and it is the right one.

Read in this order, all without regard to case:
1. the whole answer, or its first line, is an option once "- ", quotes, brackets and a closing period are taken off;
2. exactly one option stands in the answer as whole words. An option inside a longer one that also stands there
   ("good" in "not good") is not counted. Options of one character ("A") are too often words of their own: they count
   only at the start before a delimiter ("A) Paris") or after "answer is" / "answer:".

Negation is not understood: "not bad" names "bad" unless "not bad" is an option too.
An answer that names no option, or several, is wrong, not undecided: else a model could gain by dodging.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from luthier.records import Completion, Example, Grade


def choice(example: Example, completion: Completion) -> Grade:
    """1 when the answer names the right option and no other, else 0; None when no option is known to be right."""
    accepted = accepted_options(example)
    if not accepted:
        return _grade(example, completion, None, "none of the item's options is its accepted answer")
    named = options_named(completion.text, example.choices)
    if len(named) != 1:
        return _grade(example, completion, 0.0, f"names {len(named) or 'none'} of the {len(example.choices)} options")
    chosen = named[0]
    return _grade(example, completion, float(chosen in accepted), f"chose {chosen!r}")


def accepted_options(example: Example) -> tuple[str, ...]:
    """The options that are accepted answers, as the item spells them; empty when it has none."""
    wanted = {normal_option(target) for target in example.targets}
    return tuple(option for option in example.choices if normal_option(option) in wanted)


def options_named(text: str, options: Sequence[str]) -> list[str]:
    """The options that an answer names, by the rules at the top of this file."""
    forms = {option: normal_option(option) for option in options}
    first_line = text.strip().partition("\n")[0]
    for whole in (normal_option(text), normal_option(first_line)):
        equal = [option for option, form in forms.items() if form == whole and form]
        if equal:
            return equal[:1]
    answer = _folded(text)
    return [option for option, form in forms.items() if _stands_alone(form, answer, forms.values())]


def normal_option(text: str) -> str:
    """Case folded, white space single, without a leading "- ", quotes and brackets around, and a closing period."""
    folded = re.sub(r"^[-*\u2022]\s+", "", _folded(text))
    return folded.strip(" \t\"'`()[]").rstrip(".").strip(" \t\"'`()[]") or folded


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text).casefold()).strip()


def _spans(form: str, answer: str) -> list[tuple[int, int]]:
    """Where an option stands in the answer as whole words."""
    if not form:
        return []
    if len(form) == 1 and form.isalnum():
        pattern = rf"(?:^|answer(?: is|:) ?)[(\[\"']?({re.escape(form)})(?=[)\].:,\"']|$)"
        return [match.span(1) for match in re.finditer(pattern, answer)]
    before = r"(?<!\w)" if _is_spaced(form[0]) else ""
    after = r"(?!\w)" if _is_spaced(form[-1]) else ""
    return [match.span() for match in re.finditer(before + re.escape(form) + after, answer)]


def _is_spaced(letter: str) -> bool:
    """Whether words of this letter's script stand apart: true below U+2E80, where the CJK blocks begin."""
    return letter.isalnum() and ord(letter) < 0x2E80


def _stands_alone(form: str, answer: str, forms: Iterable[str]) -> bool:
    """Whether the option stands in the answer somewhere other than inside a longer option."""
    longer = [span for other in forms if form in other and form != other for span in _spans(other, answer)]
    return any(not any(low <= start and end <= high for low, high in longer) for start, end in _spans(form, answer))


def _grade(example: Example, completion: Completion, value: float | None, reason: str) -> Grade:
    return Grade(completion_id=completion.id, example_id=example.id, grader="choice", value=value, reason=reason)
