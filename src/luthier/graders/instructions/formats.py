"""The form of an answer: bullets, fixed options, highlights, sections, JSON, a title."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from luthier.graders.instructions.findings import Finding, plain

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
"""Of constrained_response."""

_BULLET = re.compile(r"^[ \t]*[-*+][ \t]+\S", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*([-*])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
_HIGHLIGHT = re.compile(r"(?<![*\\])(\*{1,3})(?![\s*])[^*\n]*(?<![\s\\])\1(?!\*)")
_TITLE = re.compile(r"<<((?:(?!<<|>>)[^\n])+)>>")
_FENCED = re.compile(r"```(?:json)?[ \t]*\n?(.*?)```", re.DOTALL | re.IGNORECASE)


def number_bullet_lists(text: str, *, num_bullets: int) -> Finding:
    """Exactly so many Markdown bullets: a line of "*", "-" or "+", white space, and something; a rule (---) is none."""
    count = len(_BULLET.findall(_RULE.sub("", plain(text))))
    return Finding(count == num_bullets, f"{count} bullets")


def constrained_response(text: str) -> Finding:
    """One of the three OPTIONS stands in the answer, and no other of them."""
    count = sum(option in plain(text) for option in OPTIONS)
    return Finding(count == 1, f"{count} of the options")


def number_highlighted_sections(text: str, *, num_highlights: int) -> Finding:
    """At least so many parts between stars, as *this*, **this** or ***this***, each counted once.

    As in Markdown the stars stand at the words, without white space between, on one line: 2 * 3 * 4 holds none.
    """
    count = sum(1 for _ in _HIGHLIGHT.finditer(plain(text)))
    return Finding(count >= num_highlights, f"{count} highlights")


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> Finding:
    """At least so many different numbers stand after the section's word, as in "Section 1"; case counts.

    A number that comes again is no further section, and the word is a whole one: "Subsection 1" is none of "section".
    """
    splitter = re.escape(plain(section_spliter.strip()))
    numbers = {int(number) for number in re.findall(rf"(?<!\w){splitter}\s?(\d{{1,9}})(?!\d)", plain(text))}
    return Finding(len(numbers) >= num_sections, f"{len(numbers)} sections")


def json_format(text: str) -> Finding:
    """The whole answer is one JSON value (RFC 8259), perhaps in a ``` fence; NaN and Infinity are not JSON."""
    inner = text.strip()
    fenced = _FENCED.fullmatch(inner)
    try:
        json.loads(fenced[1] if fenced else inner, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Finding(False, "no JSON")
    return Finding(True, "JSON")


def title(text: str) -> Finding:
    """A title in double angular brackets, <<as this>>, that says something."""
    count = sum(bool(found.strip("<> \t")) for found in _TITLE.findall(plain(text)))
    return Finding(count > 0, f"{count} titles")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
