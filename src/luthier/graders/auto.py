"""The grader that an item asks for, or that its shape suggests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from luthier.records import Completion, Example, Grade, Grader

SHORT_ANSWER_WORDS = 5
"""Accepted answers of up to this many words are held to the letter; longer ones are graded by their wording."""


def grade_as_asked(example: Example, completion: Completion, graders: Mapping[str, Grader]) -> Grade:
    """The grade of the grader that `grader_for` names; the reason begins with that name."""
    name = grader_for(example)
    if name not in graders:
        # Names from data never reach a user's file: only a recipe may ask for code to be run.
        raise ValueError(f"the item asks for grader {name!r}, expected one of {', '.join(graders)}")
    grade = graders[name](example, completion)
    return replace(grade, grader="auto", reason=f"{name}: {grade.reason}" if grade.reason else name)


def grader_for(example: Example) -> str:
    """grading["grader"] where the item has it; else choice for options, exact for short targets, rouge_l for long."""
    if "grader" in example.grading:
        return str(example.grading["grader"])
    if example.choices:
        return "choice"
    is_short = all(len(target.split()) <= SHORT_ANSWER_WORDS for target in example.targets)
    return "exact" if is_short else "rouge_l"
