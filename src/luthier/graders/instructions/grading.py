"""The answer follows every instruction of its item: strictly, or loosely as IFEval does it.

Loosely, an instruction is followed if any of eight forms of the answer follows it: as it is, without its first line,
without its last, without both, and each of these without asterisks. That forgives "Sure, here it is:" and Markdown; it
is an upper bound. Each instruction may be followed in another form.

The reason of a grade says how each instruction fared, in the item's order:
"follows punctuation:no_comma; breaks length_constraints:number_words (210 words)". `outcomes` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from luthier.graders.instructions.asking import Asked, read_instructions
from luthier.graders.instructions.findings import Finding
from luthier.records import Completion, Example, Grade

STRICT, LOOSE = "instructions", "instructions_loose"
"""The graders' names."""
FIELD = "instructions"
"""The key of an item's grading under which its instructions stand."""
_OUTCOME = re.compile(r"(?:\A|; |: )(follows|breaks) ([a-z_]+:[a-z_]+)")


class Outcome(NamedTuple):
    """How one instruction of one answer fared."""

    id: str
    follows: bool


def instructions(example: Example, completion: Completion) -> Grade:
    """1 when the answer follows every instruction of the item's grading as it is, else 0; None when there is none.

    ValueError names an id or an argument that is not known, absent or wrong.
    """
    return _grade(example, completion, STRICT, lambda asked, text: asked.finding(text))


def instructions_loose(example: Example, completion: Completion) -> Grade:
    """`instructions`, with the forms of the answer that IFEval's loose criterion forgives."""
    return _grade(example, completion, LOOSE, loose_finding)


def loose_finding(asked: Asked, text: str) -> Finding:
    """The finding for the first form of the answer that follows, else that for the answer as it is."""
    strict = asked.finding(text)
    if strict.follows:
        return strict
    rest = (finding for form in loose_forms(text)[1:] if (finding := asked.finding(form)).follows)
    return next(rest, strict)


def loose_forms(text: str) -> list[str]:
    """The answer, first; then without first line, last line, both; then each of the four without asterisks.

    >>> loose_forms("Sure:\\n*a*\\nbye")[3], loose_forms("Sure:\\n*a*\\nbye")[-1]
    ('*a*', 'a')
    """
    lines = text.replace("\r\n", "\n").split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    forms = [text, *cut]
    return list(dict.fromkeys([*forms, *(form.replace("*", "") for form in forms)]))


def outcomes(grade: Grade) -> list[Outcome]:
    """The outcomes that the reason of a grade states, also of one that `auto` asked for; none where it was not graded.

    >>> outcomes(Grade(completion_id="c", example_id="e", grader="auto", value=0.0,
    ...                reason="instructions: breaks punctuation:no_comma (1 commas)"))
    [Outcome(id='punctuation:no_comma', follows=False)]
    """
    if grade.value is None:
        return []
    return [Outcome(name, verb == "follows") for verb, name in _OUTCOME.findall(grade.reason)]


def _grade(example: Example, completion: Completion, name: str, find: Callable[[Asked, str], Finding]) -> Grade:
    if FIELD not in example.grading and example.grading.get("grader") in (STRICT, LOOSE):
        raise ValueError(f"grading.{FIELD}: found nothing, expected a list of {{'id': ...}}, which the grader needs")
    asked = read_instructions(example.grading.get(FIELD, ()), field=f"grading.{FIELD}")
    value, reason = None, "the item has no instructions"
    if asked:
        findings = [find(each, completion.text) for each in asked]
        value = float(all(finding.follows for finding in findings))
        reason = "; ".join(_said(each, finding) for each, finding in zip(asked, findings, strict=True))
    return Grade(completion_id=completion.id, example_id=example.id, grader=name, value=value, reason=reason)


def _said(asked: Asked, finding: Finding) -> str:
    return f"follows {asked.id}" if finding.follows else f"breaks {asked.id} ({finding.found})"
