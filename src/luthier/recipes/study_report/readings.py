"""The readings of each base, and in which of them a tuned arm meets it.

A tuned arm is asked without examples, so the named comparison is with the base's better zero-shot reading ("chat" or
"plain"; arXiv:2109.01652 compares zero-shot with zero-shot). Beside it stand the base with solved examples of other
tasks in its prompt, the base with solved examples of the very task, its prompt engineered as far as this goes without
training, and the best of all its readings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from luthier.recipes.study_report.arms import METRICS, Arms, Finished, Values, values_of
from luthier.recipes.study_report.scores import estimate
from luthier.recipes.studying.measures import COPY, FEW_SHOT, FEW_SHOT_OWN, ZERO_SHOT
from luthier.recipes.studying.rows import RUNGS

ZERO = "zero-shot"
"""The better zero-shot reading of a rung and a metric: the base wherever nothing else is said."""
FEW = "few-shot"
"""Solved examples of tasks that are trained, so never of a task that is held out."""
OWN = "few-shot of the same task"
BEST = "best of all"
"""For generated answers only: whichever reading scores most, as generated or by its likeliest option."""

Json = dict[str, Any]
Found = Mapping[tuple[str, str], Mapping[str, Any]]
"""The scores of one base on one rung, by how answers are taken and by reading."""


@dataclass(frozen=True)
class Readings:
    """Every reading of every base, and the values of any group."""

    arms: Arms
    chosen: Mapping[tuple[str, str, str, str], tuple[str, str]]
    """Base, rung, metric and role -> how answers are taken, and the reading."""
    rows: tuple[Json, ...]
    """Base, rung, reading, metric, score and the roles it has."""

    def values(self, group: str, rung: str, metric: str, *, role: str = ZERO, is_raw: bool = False) -> Values:
        """The values of a group; those of a base in the reading that has this role, none where it has not."""
        finished = self.arms.groups[group]
        if finished[0].kind != "base":
            return values_of(finished, rung, metric, is_raw=is_raw)
        how, reading = self.chosen.get((group, rung, metric, role), (metric, "none"))
        return values_of(finished, rung, how, reading=reading, is_raw=is_raw)

    def copied(self, rung: str) -> Values:
        """The values of saying the prompt again, where the study measured them."""
        return values_of(_bases(self.arms), rung, "generated", reading=COPY)


def base_readings(arms: Arms) -> Readings:
    """Every reading of each base with its score, and which of them stands for the base."""
    chosen: dict[tuple[str, str, str, str], tuple[str, str]] = {}
    rows: list[Json] = []
    for group in dict.fromkeys(arm.group for arm in _bases(arms)):
        finished = arms.groups[group]
        names = list(dict.fromkeys(name for arm in finished for name in arm.readings if name != COPY))
        for rung in RUNGS:
            found = {(how, name): e for how in (*METRICS, "best") for name in names
                     if (e := estimate(values_of(finished, rung, how, reading=name)))}  # fmt: skip
            taken = {(metric, role): key for metric, role, key in _taken(found)}
            chosen |= {(group, rung, *place): key for place, key in taken.items()}
            rows += [{"base": group, "rung": rung, "reading": name, "metric": how, **e,
                      "roles": [role for (_, role), key in taken.items() if key == (how, name)]}
                     for (how, name), e in found.items()]  # fmt: skip
    return Readings(arms, chosen, tuple(rows))


def _taken(found: Found) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Metric, role, and the key of the reading that has it; on a tie the one that was named first."""
    for metric in METRICS:
        for role, names in ((ZERO, ZERO_SHOT), (FEW, (FEW_SHOT,)), (OWN, (FEW_SHOT_OWN,))):
            if usable := [(metric, name) for name in names if (metric, name) in found]:
                yield metric, role, max(usable, key=lambda key: found[key]["value"])
    if usable := [key for key in found if key[0] in ("generated", "best")]:
        yield "generated", BEST, max(usable, key=lambda key: found[key]["value"])


def _bases(arms: Arms) -> list[Finished]:
    return [arm for finished in arms.groups.values() for arm in finished if arm.kind == "base"]
