"""The short way from a row to its example, for the rows that most files hold: texts for request, input and answer.

It gives what the long way gives, twice as fast, by asking once for each set of fields what they are; a row that is in
any way out of the ordinary is left to the long way, which knows what to say of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from luthier.curate.files.raw import Row
from luthier.curate.names import ANSWER_NAMES, INPUT_NAMES, LABEL_NAMES, PROMPT_NAMES, TOOL_NAMES
from luthier.curate.shapes.making import EXAMPLE_REST
from luthier.curate.shapes.turns import is_blank, is_no_input, is_no_output, is_transcript
from luthier.records import Example, Message

TEXT_FIELDS = {
    **{name: name for name in EXAMPLE_REST if name not in ("choices", "grading", "links")},
    "license": "licence",
}
"""Fields of a row that are texts of an Example, and their names there."""
MEANINGFUL = frozenset({*LABEL_NAMES, *TOOL_NAMES, "system", "history", "choices", "grading", "links"})
"""Fields that only the long way reads."""


class Plan(NamedTuple):
    """Which fields of a row hold what."""

    request: str
    about: str | None
    answer: str
    has_list: bool
    """Whether the answer is a list of accepted ones."""
    rest: tuple[str, ...]


def plan_of(kinds: Mapping[str, type]) -> Plan | None:
    """The plan for rows with fields of these types; None where the long way has to look."""
    held = {name: kind for name, kind in kinds.items() if kind is not type(None)}
    requests = [name for name in PROMPT_NAMES if name in held]
    about = [name for name in INPUT_NAMES if name in held]
    answers = [name for name in ANSWER_NAMES if name in held]
    rest = tuple(name for name in held if name in TEXT_FIELDS)
    if not requests:
        requests, about = about, []
    is_usual = len(requests) == len(answers) == 1 and len(about) <= 1 and answers != ["targets"]
    if not is_usual or not MEANINGFUL.isdisjoint(held) or {"licence", "license"} <= held.keys():
        return None
    if any(held[name] is not str for name in (*requests, *about, *rest)) or held[answers[0]] not in (str, list):
        return None
    return Plan(requests[0], about[0] if about else None, answers[0], held[answers[0]] is list, rest)


def plain_example(row: Row, plan: Plan, where: str, licence: str | None) -> Example | None:
    """The example of a row; None where the long way has to look at it."""
    request, answer = row[plan.request], row[plan.answer]
    answers = answer if plan.has_list else (answer,)
    if not answers or not all(map(_is_answer, answers)) or not _is_text(request) or is_transcript(request):
        return None
    if plan.about is not None:
        about = row[plan.about]
        if not is_no_input(about):
            request = f"{request}\n\n{about}"
    rest: dict[str, Any] = {} if licence is None else {"licence": licence}
    for name in plan.rest:
        if not is_blank(row[name]):
            rest[TEXT_FIELDS[name]] = row[name]
    messages = Message(role="user", content=request), Message(role="assistant", content=answers[0])
    return Example.of(messages, targets=answers, source=where, **rest)


def _is_text(text: str) -> bool:
    return text[:1].isalnum() or not is_blank(text)


def _is_answer(text: Any) -> bool:
    return type(text) is str and _is_text(text) and not is_no_output(text)
