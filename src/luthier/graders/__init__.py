"""Example + Completion -> Grade. One grader for reward, metric and monitor.

A grader returns a value in 0..1, or None for "could not tell". A new one is a file beside this and a line in GRADERS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from luthier.errors import ConfigError, Problem
from luthier.graders.auto import grade_as_asked
from luthier.graders.choice import choice
from luthier.graders.code import code
from luthier.graders.constraints import constraints
from luthier.graders.exact import exact
from luthier.graders.instructions.grading import instructions, instructions_loose
from luthier.graders.json_schema import json_schema
from luthier.graders.language import language
from luthier.graders.length import length
from luthier.graders.numeric import numeric
from luthier.graders.overlap import bleu, chrf, rouge_l
from luthier.graders.own import own_grader
from luthier.graders.refusal import refusal
from luthier.graders.repetition import repetition
from luthier.graders.sandbox.box import require_isolation
from luthier.graders.stopped import stopped
from luthier.records import Completion, Example, Grade, Grader

__all__ = ["GRADERS", "RANK_KPIS", "auto", "grade_all", "grader_by_name", "kpi_name", "named_graders"]

GRADERS: dict[str, Grader] = {
    "exact": exact,
    "choice": choice,
    "numeric": numeric,
    "rouge_l": rouge_l,
    "chrf": chrf,
    "bleu": bleu,
    "constraints": constraints,
    "instructions": instructions,
    "instructions_loose": instructions_loose,
    "code": code,
    "json_schema": json_schema,
    "language": language,
    "refusal": refusal,
    "repetition": repetition,
    "stopped": stopped,
    "length": length,
}
"""The built-in graders by the name that recipes and items use."""

RANK_KPIS = ("rank", "rank_per_byte")
"""KPIs that rank classification makes; no grader may take their names."""


def auto(example: Example, completion: Completion) -> Grade:
    """Graded as the item asks (its grading table), else by its shape: options, a short or a long accepted answer."""
    return grade_as_asked(example, completion, GRADERS)


def grader_by_name(name: str, *, where: str, made: Mapping[str, Grader] | None = None) -> Grader:
    """A built-in grader, "auto", or the user's own as "file.py:function". `where` is the key's place, for errors;
    `made` are graders that only the caller can make: the judge.

    NotIsolated for the grader "code" where code cannot be run in isolation.
    """
    if name == "auto":
        return auto
    if name == "code":
        require_isolation()
    known = {**GRADERS, **(made or {})}
    if name in known:
        return known[name]
    if ":" in name:
        return own_grader(name, where=where)
    raise ConfigError(
        "a grader is not known",
        [Problem(where=where, found=repr(name), expected=f"one of auto, {', '.join(known)}, or file.py:function",
                 fix="correct the name")],
    )  # fmt: skip


def named_graders(
    names: Sequence[str], *, where: str, made: Mapping[str, Grader] | None = None
) -> dict[str, Grader]:  # fmt: skip
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
        graders[kpi] = grader_by_name(name, where=where, made=made)
    return graders


def kpi_name(grader_name: str) -> str:
    """The name under which a grader's mean is reported: of "file.py:politeness" it is "politeness"."""
    return grader_name.rpartition(":")[2]


def grade_all(grader: Grader, examples: Sequence[Example], completions: Sequence[Completion]) -> list[Grade]:
    """One grade per completion, in order. A grader that raises, or returns no grade, makes an error, never a zero."""
    by_id = {example.id: example for example in examples}
    prepare = getattr(grader, "prepare", None)
    if prepare is not None:  # a grader that asks others does so for all at once
        prepare([by_id[completion.example_id] for completion in completions], completions)
    return [_guarded(grader, by_id[completion.example_id], completion) for completion in completions]


def _guarded(grader: Grader, example: Example, completion: Completion) -> Grade:
    name = getattr(grader, "__name__", type(grader).__name__)
    failed = Grade(completion_id=completion.id, example_id=example.id, grader=name, value=None, is_error=True)
    try:
        return _kept(grader(example, completion), failed)
    except Exception as error:  # a grader may be anyone's code; its failure is data, counted apart from wrong answers
        return replace(failed, reason=f"{type(error).__name__}: {error}")


def _kept(grade: object, failed: Grade) -> Grade:
    """The grade with a plain number and plain words, about what was asked; `failed` with the reason if it is none."""
    if not isinstance(grade, Grade):
        return replace(failed, reason=f"the grader returned {type(grade).__name__}, expected a Grade")
    if isinstance(grade.value, str):
        return replace(failed, reason="the grader returned a text, expected 0..1 or None")
    value = None if grade.value is None else float(grade.value)
    # NaN fails both comparisons.
    if value is not None and not 0 <= value <= 1:
        return replace(failed, reason=f"the grader returned {value}, expected 0..1 or None")
    return replace(grade, value=value, reason=str(grade.reason), is_error=bool(grade.is_error),
                   completion_id=failed.completion_id, example_id=failed.example_id)  # fmt: skip
