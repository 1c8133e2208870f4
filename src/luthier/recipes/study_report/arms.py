"""The finished arms of a study, read back: which arm is which, and every item's value, so that arms can be paired.

Values are chance-normalised, (score - chance) / (1 - chance): 0 is guessing among the options that were shown, 1 is
always right. Where no options were shown chance is 0 and nothing changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from luthier.errors import DataError, Problem
from luthier.recipes.studying.rows import RUNGS

RUNG_NAMES = dict(zip(RUNGS, ("new phrasings", "new tasks", "new clusters"), strict=True))
"""The three kinds of "new", nearest first, as people read them."""
METRICS = ("generated", "ranked")
KINDS = ("base", "clusters", "tasks", "templates", "wording", "inversion", "cap", "size", "specialist", "transfer")
"""In the order in which reports list them."""
NUMBERED = re.compile(r"\.s\d+(?:\.h\d+)?$")
"""The end of an arm's name: its block."""
ALL = "clusters-all"
"""The group of the arms of all clusters: of all tasks and templates too."""
STEP = re.compile(r"clusters-\d+\.")
"""How the name of an arm of some clusters begins."""

Block = tuple[int, tuple[str, ...]]
"""A seed and the clusters that are held out: the arms of one block answer the same items."""
Place = tuple[Block, str]
"""A task of a block."""
Values = dict[Place, dict[tuple[str, str], float]]
"""The value of every item, by block and task, then by template and row: what two arms are paired by."""


class Item(NamedTuple):
    """One prompt that was answered."""

    task: str
    cluster: str
    template: str
    row: str
    generated: float | None
    """The grade of what was written; None where the grader could not tell."""
    ranked: float | None
    """1 where the right option was found likeliest; None without options."""
    chance: float


Rungs = Mapping[str, Sequence[Item]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One arm as its file holds it."""

    name: str
    group: str
    """The name without the block: arms of one group differ in nothing but the block."""
    kind: str
    block: Block
    about: Mapping[str, Any]
    """What the file says of the arm."""
    items: Rungs = field(default_factory=dict)
    readings: Mapping[str, Rungs] = field(default_factory=dict)
    """For a base: its items by the way it was asked."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Everything else in the file."""

    @property
    def clusters(self) -> int:
        """How many clusters it was trained on."""
        return int(self.about.get("clusters", 0))

    @property
    def tasks(self) -> int:
        """How many tasks it was trained on."""
        return len(self.about.get("trained_tasks", ()))


@dataclass(frozen=True)
class Arms:
    """All finished arms."""

    finished: tuple[Finished, ...]
    planned: tuple[str, ...] = ()
    """The names of all arms, finished or not; empty where the run holds no plan."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Arms that failed in the last run, with what they said."""

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every block in which something is finished, sorted."""
        return tuple(sorted({arm.block for arm in self.finished}))

    @cached_property
    def groups(self) -> dict[str, tuple[Finished, ...]]:
        """The arms by group, in the order of reports; each group sorted by block."""
        order = sorted({arm.group: arm for arm in self.finished}.values(), key=_place_in_report)
        return {first.group: tuple(sorted((a for a in self.finished if a.group == first.group), key=lambda a: a.block))
                for first in order}  # fmt: skip

    @cached_property
    def tuned(self) -> tuple[str, ...]:
        """The groups that are asked all three rungs: neither bases nor transfers."""
        return tuple(g for g, arms in self.groups.items() if arms[0].kind not in ("base", "transfer"))

    @cached_property
    def by_clusters(self) -> tuple[str, ...]:
        """The groups that differ in how many clusters were trained, fewest first."""
        return tuple(g for g, arms in self.groups.items() if arms[0].kind == "clusters")

    @cached_property
    def by_tasks(self) -> tuple[str, ...]:
        """The groups of fewer tasks, fewest first, and that of all tasks; empty without any of fewer."""
        fewer = tuple(g for g, arms in self.groups.items() if arms[0].kind == "tasks")
        return (*fewer, self.main) if fewer and self.main else fewer

    @cached_property
    def main(self) -> str | None:
        """The group of all clusters, once an arm of it is finished; what other arms are compared with."""
        return ALL if ALL in self.groups else None

    @cached_property
    def varies_clusters(self) -> bool:
        """Whether the number of clusters is varied, or whether nobody says: what the test named beforehand needs."""
        names = (*self.planned, *(arm.name for arm in self.finished))
        return not self.planned or any(STEP.match(name) for name in names)

    def base_of(self, group: str) -> str | None:
        """The group of the base that a group started from."""
        wanted = self.groups[group][0].about.get("base")
        bases = [g for g, arms in self.groups.items() if arms[0].kind == "base"]
        return next((g for g in bases if self.groups[g][0].about.get("base") == wanted), None)


def read_arms(folder: Path) -> Arms:
    """Every arm in RUN/arms, with RUN/plan.json and RUN/failures.json where there; DataError where a file is none."""
    problems: list[Problem] = []
    finished = []
    for path in sorted((folder / "arms").glob("*.json")):
        try:
            finished.append(_arm(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found = f"{type(error).__name__}: {error}"
            problems.append(Problem(where=str(path), found=found, expected="the result of an arm",
                                    fix="delete the file; the next run of the study makes it again"))  # fmt: skip
    if problems:
        raise DataError(f"{len(problems)} results of the study cannot be read", problems)
    planned = tuple(_optional(folder / "plan.json").get("arms", ()))
    return Arms(tuple(_in_steps(finished)), planned, _optional(folder / "failures.json"))


def values_of(arms: Iterable[Finished], rung: str, metric: str, *, reading: str = "", is_raw: bool = False) -> Values:
    """The chance-normalised (or raw) values of all items of a rung that have one.

    Metric "best" is "ranked" where an item has options, "generated" elsewhere.
    """
    found: Values = {}
    for arm in arms:
        rungs = arm.readings.get(reading, {}) if reading else arm.items
        for item in rungs.get(rung, ()):
            score = item.ranked if metric == "ranked" else item.generated
            if metric == "best" and item.ranked is not None:
                score = item.ranked
            if score is not None and item.chance < 1:  # with nothing but right options, an answer tells nothing
                value = score if is_raw else (score - item.chance) / (1 - item.chance)
                found.setdefault((arm.block, item.task), {})[item.template, item.row] = value
    return found


def differences(a: Values, b: Values) -> Values:
    """b - a for every item that both have."""
    found = {}
    for place, ours in a.items():
        theirs = b.get(place, {})
        if both := {key: theirs[key] - value for key, value in ours.items() if key in theirs}:
            found[place] = both
    return found


def by_template(values: Mapping[tuple[str, str], float]) -> dict[str, list[float]]:
    """The values of one task under each template, over the rows that all templates asked (all rows, if none is)."""
    templates = list(dict.fromkeys(template for template, _ in values))
    rows = {template: {row for t, row in values if t == template} for template in templates}
    shared = set.intersection(*rows.values()) if rows else set()
    return {t: [v for (at, row), v in values.items() if at == t and (not shared or row in shared)] for t in templates}


def block_name(block: Block) -> str:
    """A block as people read it.

    >>> block_name((1, ("words", "numbers")))
    'seed 1 without words, numbers'
    """
    return f"seed {block[0]} without {', '.join(block[1]) or 'nothing'}"


def _arm(data: Mapping[str, Any]) -> Finished:
    about = data["arm"]
    block = (int(about["seed"]), tuple(about["held_out"]))
    rest = {key: value for key, value in data.items() if key not in ("key", "arm", "items", "readings")}
    return Finished(
        name=about["name"], group=NUMBERED.sub("", about["name"]), kind=about["kind"], block=block, about=about,
        items=_rungs(data.get("items", {})), facts=rest,
        readings={name: _rungs(rungs) for name, rungs in data.get("readings", {}).items()},
    )  # fmt: skip


def _rungs(rungs: Mapping[str, Any]) -> dict[str, list[Item]]:
    return {rung: [Item(i["task"], i["cluster"], i["template"], i["item"], i.get("generated"), i.get("ranked"),
                        float(i.get("chance") or 0.0)) for i in items]
            for rung, items in rungs.items()}  # fmt: skip


def _in_steps(finished: Sequence[Finished]) -> list[Finished]:
    """The arms; one of all clusters stands among those of its number too, where that is a step of another choice."""
    steps = {arm.clusters for arm in finished if arm.kind == "clusters" and arm.group != ALL}
    full = [arm for arm in finished if arm.group == ALL and arm.clusters in steps]
    return [*finished, *(replace(arm, group=f"clusters-{arm.clusters}") for arm in full)]


def _optional(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _place_in_report(arm: Finished) -> tuple[int, bool, tuple[tuple[int, str], ...]]:
    """By kind, then by the numbers in the name."""
    kind = KINDS.index(arm.kind) if arm.kind in KINDS else len(KINDS)
    parts = tuple((int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", arm.group) if p)
    return kind, arm.group.endswith("-all"), parts
