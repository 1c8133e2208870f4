"""Weak slices: sought on the looked-at half under a false-discovery rate, confirmed on the other half under it again.

Greedy: of the slices that are discoveries (Benjamini and Hochberg within each comparison, the rate shared among the
comparisons) the one that loses the most points is taken, under the name of the narrowest slice in it that explains it;
its items leave the books, and the search begins anew. What was taken is then tested once on the half that was not
looked at, with the same items out of the books, and Benjamini-Hochberg is applied to these tests: on average at most
`rate` of what is confirmed is false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.evaluate.errors.against import AGAINST, Evidence, Flags, Scores, evidence
from luthier.evaluate.errors.halves import Half, half_of
from luthier.evaluate.errors.slices import Slice, Traits, slices_of
from luthier.records import Example
from luthier.stats.tests import benjamini_hochberg

RATE = 0.1
"""Of what is reported, at most this share is false on average."""
MARGIN = 0.1
"""A slice is weak when it reaches less than comparable items by more than this, with confidence."""
MIN_ITEMS = 6
"""Items of a slice on the looked-at half."""
MOST_SLICES = 20
"""Weak slices that are sought: whoever has more has another problem."""
HELD = 0.6
"""A narrower slice explains a wider one when it holds this share of the points lost, and the rest shows nothing."""
INSIDE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """One weak slice."""

    slice: Slice
    looked: Evidence
    confirmed: Evidence | None
    """On the half that was not looked at; None where too few of its items are there."""
    is_confirmed: bool
    num_items: int
    """On both halves."""
    also_named: tuple[str, ...]
    """Other slices of the same items."""
    wider: tuple[str, ...]
    """Discoveries of the looked-at half that this one explains."""

    @property
    def points_lost(self) -> float:
        """Items times deficit, by the half that was not looked at where it speaks."""
        return self.num_items * (self.confirmed or self.looked).deficit.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What was sought and what was found."""

    found: tuple[Weakness, ...]
    """Confirmed ones first, each kind by points lost."""
    num_slices: int
    num_tests: int
    rate: float
    margin: float
    num_items: Mapping[Half, int]


def find_weaknesses(
    items: Sequence[Example], values: Mapping[str, float], traits: Traits, *,
    base: Mapping[str, float] | None = None, rate: float = RATE, margin: float = MARGIN, min_items: int = MIN_ITEMS,
) -> Search:  # fmt: skip
    """The weak slices of the items that have a value; `base` are another model's values of the same items."""
    graded = sorted((item for item in items if item.id in values), key=lambda item: item.id)
    sides: dict[Half, list[Example]] = {"look": [], "confirm": []}
    for item in graded:
        sides[half_of(item)].append(item)
    tasks = {name: number for number, name in enumerate(dict.fromkeys(item.task or "" for item in graded))}
    look, confirm = (_scores(sides[half], values, base, tasks) for half in ("look", "confirm"))  # type: ignore[index]
    if not sides["look"] or not sides["confirm"]:
        return Search(found=(), num_slices=0, num_tests=0, rate=rate, margin=margin,
                      num_items={half: len(side) for half, side in sides.items()})  # fmt: skip
    slices = slices_of(sides["look"], traits, min_items=min_items)
    members = {part: _flags(places, len(sides["look"])) for part, places in slices.members.items()}
    steps, num_tests = _sought(look, members, rate=rate, margin=margin, min_items=min_items)
    found = []
    usable = np.ones(len(sides["confirm"]), dtype=bool)
    for step in steps:
        inside = np.array([traits.is_in(item, step.slice) for item in sides["confirm"]], dtype=bool)
        # What speaks for the slice was settled on the looked-at half; here its share may fall short by chance.
        seen = evidence(confirm, inside, usable, step.evidence.against, margin=margin, is_partial=True)
        found.append((step, inside, seen))
        usable &= ~inside
    decided = benjamini_hochberg([1.0 if seen is None else seen.p for _, _, seen in found], rate=rate)
    weak = [
        Weakness(
            slice=step.slice, looked=step.evidence, confirmed=seen, is_confirmed=is_confirmed,
            num_items=int(members[step.slice].sum() + inside.sum()),
            also_named=tuple(other.name for other in slices.aliases[step.slice]), wider=step.wider,
        )
        for (step, inside, seen), is_confirmed in zip(found, decided, strict=True)
    ]  # fmt: skip
    weak.sort(key=lambda weakness: (not weakness.is_confirmed, -weakness.points_lost, weakness.slice.name))
    return Search(found=tuple(weak), num_slices=len(members), num_tests=num_tests, rate=rate, margin=margin,
                  num_items={half: len(side) for half, side in sides.items()})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Step:
    slice: Slice
    evidence: Evidence
    wider: tuple[str, ...]


def _sought(
    look: Scores, members: Mapping[Slice, Flags], *, rate: float, margin: float, min_items: int
) -> tuple[list[_Step], int]:
    """The discoveries one after another, and how many tests the first round made."""
    usable = np.ones(len(look.values), dtype=bool)
    steps: list[_Step] = []
    num_tests = 0
    while len(steps) < MOST_SLICES:
        tests: list[tuple[Slice, Evidence]] = []
        for part, inside in members.items():
            if (inside & usable).sum() >= min_items:
                said = (evidence(look, inside, usable, against, margin=margin) for against in AGAINST)
                tests += [(part, one) for one in said if one is not None]
        num_tests = num_tests or len(tests)
        discovered = [test for test in _discoveries(tests, rate) if test[1].deficit.value >= margin]
        if not discovered:
            break
        best = max(discovered, key=lambda test: (_lost(test, members, usable), -len(test[0].parts)))
        narrow = _narrowest(best, discovered, look, members, usable, margin)
        inside = members[narrow[0]] & usable
        wider = {part.name for part, _ in discovered
                 if part != narrow[0] and (members[part] & inside).sum() >= INSIDE * inside.sum()}  # fmt: skip
        steps.append(_Step(narrow[0], narrow[1], tuple(sorted(wider))))
        usable &= ~inside
    return steps, num_tests


def _discoveries(tests: Sequence[tuple[Slice, Evidence]], rate: float) -> list[tuple[Slice, Evidence]]:
    """Benjamini-Hochberg within each comparison, the rate shared among them: the few slices of whole tasks need not
    pay for the hundreds of others."""
    kinds = [against for against in AGAINST if any(one.against == against for _, one in tests)]
    found = []
    for against in kinds:
        family = [test for test in tests if test[1].against == against]
        chosen = benjamini_hochberg([one.p for _, one in family], rate=rate / len(kinds))
        found += [test for test, is_one in zip(family, chosen, strict=True) if is_one]
    return found


def _narrowest(
    best: tuple[Slice, Evidence], discovered: Sequence[tuple[Slice, Evidence]], look: Scores,
    members: Mapping[Slice, Flags], usable: Flags, margin: float,
) -> tuple[Slice, Evidence]:  # fmt: skip
    """The narrowest discovery inside `best` that holds most of its lost points and leaves the rest without a sign."""
    whole = members[best[0]] & usable
    explaining = [best]
    for part, said in discovered:
        inside = members[part] & usable
        is_within = (inside & whole).sum() >= INSIDE * inside.sum() and inside.sum() < whole.sum()
        if not is_within or _lost((part, said), members, usable) < HELD * _lost(best, members, usable):
            continue
        rest = evidence(look, whole & ~inside, usable & ~inside, best[1].against, margin=0.0)
        if rest is None or rest.p > 0.05:
            explaining.append((part, said))
    return min(explaining, key=lambda test: (int((members[test[0]] & usable).sum()), len(test[0].parts), -test[1].n))


def _lost(test: tuple[Slice, Evidence], members: Mapping[Slice, Flags], usable: Flags) -> float:
    return float((members[test[0]] & usable).sum()) * test[1].deficit.value


def _flags(places: Sequence[int], count: int) -> Flags:
    flags = np.zeros(count, dtype=bool)
    flags[list(places)] = True
    return flags


def _scores(
    items: Sequence[Example], values: Mapping[str, float], base: Mapping[str, float] | None, tasks: Mapping[str, int]
) -> Scores:
    return Scores(
        values=np.array([values[item.id] for item in items], dtype=np.float64),
        tasks=np.array([tasks[item.task or ""] for item in items], dtype=np.int64),
        base=None if base is None else np.array([base.get(item.id, np.nan) for item in items], dtype=np.float64),
    )
