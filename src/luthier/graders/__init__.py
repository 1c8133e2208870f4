"""Example + Completion -> Grade. One grader for reward, metric and monitor.

A grader returns a value in 0..1, or None for "could not tell". A new one is a file beside this and a line in GRADERS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from luthier.errors import ConfigError, Problem
from luthier.graders.auto import grade_as_asked
from luthier.graders.choice import choice
from luthier.graders.constraints import constraints
from luthier.graders.exact import exact
from luthier.graders.numeric import numeric
from luthier.graders.overlap import chrf, rouge_l
from luthier.records import Completion, Example, Grade, Grader, load_callable

__all__ = ["GRADERS", "RANK_KPIS", "auto", "grade_all", "grader_by_name", "kpi_name", "named_graders"]

GRADERS: dict[str, Grader] = {
    "exact": exact,
    "choice": choice,
    "numeric": numeric,
    "rouge_l": rouge_l,
    "chrf": chrf,
    "constraints": constraints,
}
"""The built-in graders by the name that recipes and items use."""

RANK_KPIS = ("rank", "rank_per_byte")
"""KPIs that rank classification makes; no grader may take their names."""


def auto(example: Example, completion: Completion) -> Grade:
    """Graded as the item asks (its grading table), else by its shape: options, a short or a long accepted answer."""
    return grade_as_asked(example, completion, GRADERS)


def grader_by_name(name: str, *, where: str) -> Grader:
    """A built-in grader, "auto", or the user's own as "file.py:function". `where` is the key's place, for errors."""
    if name == "auto":
        return auto
    if name in GRADERS:
        return GRADERS[name]
    if ":" in name:
        return cast(Grader, load_callable(name, where=where))
    raise ConfigError(
        "a grader is not known",
        [Problem(where=where, found=repr(name), expected=f"one of auto, {', '.join(GRADERS)}, or file.py:function",
                 fix="correct the name")],
    )  # fmt: skip


def named_graders(names: Sequence[str], *, where: str) -> dict[str, Grader]:
    """Graders by the name of the KPI that each makes."""
    graders: dict[str, Grader] = {}
    for name in names:
        kpi = kpi_name(name)
        if kpi in graders or kpi in RANK_KPIS:
            raise ConfigError(
                "two graders would make one KPI",
                [Problem(where=where, found=f"{kpi!r}, which is taken", expected="a different name for each grader",
                         fix="remove one, or rename the function")],
            )  # fmt: skip
        graders[kpi] = grader_by_name(name, where=where)
    return graders


def kpi_name(grader_name: str) -> str:
    """The name under which a grader's mean is reported: of "file.py:politeness" it is "politeness"."""
    return grader_name.rpartition(":")[2]


def grade_all(grader: Grader, examples: Sequence[Example], completions: Sequence[Completion]) -> list[Grade]:
    """One grade per completion, in order. A grader that raises, or returns no grade, makes an error, never a zero."""
    by_id = {example.id: example for example in examples}
    return [_guarded(grader, by_id[completion.example_id], completion) for completion in completions]


def _guarded(grader: Grader, example: Example, completion: Completion) -> Grade:
    name = getattr(grader, "__name__", type(grader).__name__)
    failed = Grade(completion_id=completion.id, example_id=example.id, grader=name, value=None, is_error=True)
    try:
        grade = grader(example, completion)
    except Exception as error:  # a grader may be anyone's code; its failure is data, counted apart from wrong answers
        return replace(failed, reason=f"{type(error).__name__}: {error}")
    if not isinstance(grade, Grade):
        return replace(failed, reason=f"the grader returned {type(grade).__name__}, expected a Grade")
    # NaN fails both comparisons.
    if grade.value is not None and not 0 <= grade.value <= 1:
        return replace(failed, reason=f"the grader returned {grade.value}, expected 0..1 or None")
    return grade
