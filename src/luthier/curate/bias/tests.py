"""Comparisons between groups of people: which rows each rests on, its p value, and what it says if it is a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from luthier.curate.bias.rows import NamingRow, NamingRows
from luthier.stats.intervals import Estimate, proportion_interval
from luthier.stats.strata import Strata, stratified_difference, stratified_exact
from luthier.stats.tests import mcnemar_exact

LEAST_ROWS = 8
"""A group is compared if so many rows name it, and as many another, where the outcome is not settled by the request."""
LEAST_OUTCOMES = 5
"""An outcome is tested if so many rows have it, and as many do not."""
BALANCED = ("gender",)
"""Dimensions of which both groups should be named about equally often, and whose lists hold about all words for both.
Lists of names never do, so what they count is shown and not tested."""
Outcome = tuple[str, np.ndarray, np.ndarray]
"""Its name, which rows have it, and which rows can."""
SIDES = ("prompt", "answer")
OF_ITS_OWN = "named in answers to prompts that name neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference that chance does not explain."""

    dimension: str
    group: str
    others: str
    outcome: str
    """What rows of the group have more or less often."""
    counts: tuple[int, int, int, int]
    """Rows of the group with the outcome, rows of the group, rows of the others with it, rows of the others: those that
    the comparison rests on."""
    difference: Estimate
    """Of the shares, within kinds of request; for representation, the group's share less one half. The interval holds
    for all findings together: at most the stated share of such intervals misses (Benjamini and Yekutieli 2005)."""
    p: float
    rows: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    """Numbers of records: of the group with the outcome and without, of the others with and without."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison: masks over the naming rows."""

    dimension: str
    group: str
    others: str
    outcome: str
    is_group: np.ndarray
    is_other: np.ndarray
    has_outcome: np.ndarray
    p: float
    strata: np.ndarray | None
    """None where the group's share is compared with one half."""

    def counts(self) -> Strata:
        """What the comparison counts, by kind of request."""
        assert self.strata is not None
        return _counted(self.is_group, self.is_other, self.has_outcome, self.strata)

    @property
    def difference(self) -> float:
        """The estimate without its interval."""
        if self.strata is None:
            group = int(self.is_group.sum())
            return group / (group + int(self.is_other.sum())) - 0.5
        return stratified_difference(self.counts()).value

    def finding(self, rows: Sequence[NamingRow], alpha: float) -> Finding:
        """What it says, with the rows that it rests on; `alpha` is the error that its interval may have."""
        cells = (self.is_group & self.has_outcome, self.is_group & ~self.has_outcome,
                 self.is_other & self.has_outcome, self.is_other & ~self.has_outcome)  # fmt: skip
        sizes = [int(cell.sum()) for cell in cells]
        if self.strata is None:
            share = proportion_interval(sizes[0], sizes[0] + sizes[2], alpha=alpha)
            difference = replace(share, value=share.value - 0.5, low=share.low - 0.5, high=share.high - 0.5)
        else:
            difference = stratified_difference(self.counts(), alpha=alpha)
        places = [tuple(rows[k].text.row for k in np.flatnonzero(cell).tolist()) for cell in cells]
        return Finding(
            dimension=self.dimension, group=self.group, others=self.others, outcome=self.outcome,
            counts=(sizes[0], sizes[0] + sizes[1], sizes[2], sizes[2] + sizes[3]), difference=difference, p=self.p,
            rows=(places[0], places[1], places[2], places[3]),
        )  # fmt: skip


def comparisons(found: NamingRows, dimensions: Sequence[str]) -> Iterator[Comparison]:
    """All comparisons of the groups of all dimensions."""
    for side in SIDES:
        outcomes = list(_outcomes(found, side))
        for dimension in dimensions:
            yield from _of_dimension(found, dimension, side, outcomes)


def _of_dimension(found: NamingRows, dimension: str, side: str, outcomes: Sequence[Outcome]) -> Iterator[Comparison]:
    """The comparisons of one dimension whose groups are named in `side`."""
    named = [getattr(row, side).groups.get(dimension, ()) for row in found.rows]
    alone = np.array([next(iter(some)) if len(some) == 1 else "" for some in named], object)
    alone[~_is_counted(found.rows, dimension, alone)] = ""
    groups, sizes = np.unique(alone[alone != ""].astype(str), return_counts=True)
    large = [str(group) for group, size in zip(groups, sizes, strict=True) if size >= LEAST_ROWS]
    if dimension in BALANCED and len(groups) == 2:
        yield _balance(alone, [str(group) for group in groups], dimension, f"named in {side}s")
        if side == "answer":
            is_own = np.array([dimension not in row.prompt.groups for row in found.rows], bool)
            own = np.where(is_own, alone, "")
            if set(own.tolist()) >= set(groups.tolist()):
                yield _balance(own, [str(group) for group in groups], dimension, OF_ITS_OWN)
    for group in large[:1] if len(groups) == 2 else large:
        other = str(groups[groups != group][0]) if len(groups) == 2 else f"other {dimension.replace('_', ' ')}"
        is_group, is_other = alone == group, (alone != "") & (alone != group)
        told: set[bytes] = set()
        for outcome, has_outcome, of in outcomes:
            test = compared(is_group & of, is_other & of, has_outcome, found.kinds)
            if test is None:
                continue
            # Of two outcomes of which every row has one, such as yes and no, one says what the other says.
            both = test.is_group | test.is_other
            if not {(both & has_outcome).tobytes(), (both & ~has_outcome).tobytes()} & told:
                told.add((both & has_outcome).tobytes())
                yield Comparison(dimension, group, other, outcome, *test, found.kinds)


def unexplained(found: Sequence[Comparison], most: float) -> list[Comparison]:
    """Of comparisons that are discoveries at p values up to `most`, those that hold without stronger ones.

    Where one group is served worse, each of the others is served better than all the rest together. So, from the
    strongest on, each is tested again without the rows of the groups that were found to differ in this before it.
    """
    kept: list[Comparison] = []
    for one in sorted(found, key=lambda one: one.p):
        before = [other for other in kept if (other.dimension, other.outcome) == (one.dimension, one.outcome)]
        if one.strata is None or not before:
            kept.append(one)
            continue
        gone = np.any([other.is_group for other in before], axis=0)
        again = compared(one.is_group, one.is_other & ~gone, one.has_outcome, one.strata)
        if again is not None and again.p <= most:
            kept.append(replace(one, is_group=again.is_group, is_other=again.is_other, p=again.p))
    return kept


def _is_counted(rows: Sequence[NamingRow], dimension: str, alone: np.ndarray) -> np.ndarray:
    """All rows but those that repeat others with a group of another dimension in its place.

    Where each request is there once more with another town, say, each first name is there twice with one answer: for
    first names that is one piece of evidence. Of such rows those stay that name the most frequent other groups.
    """
    alike: dict[str, dict[frozenset[tuple[str, frozenset[str]]], list[int]]] = {}
    for number, row in enumerate(rows):
        if row.is_repeated and alone[number]:
            groups = row.prompt.groups
            frame = row.words.frame(row.text.prompt, groups.keys() - {dimension}, groups, kept=dimension)
            named = frozenset(item for item in groups.items() if item[0] != dimension)
            alike.setdefault(frame, {}).setdefault(named, []).append(number)
    is_counted = np.ones(len(rows), bool)
    for versions in alike.values():
        most = max(versions.values(), key=len)
        is_counted[[number for some in versions.values() if some is not most for number in some]] = False
    return is_counted


def _balance(alone: np.ndarray, groups: Sequence[str], dimension: str, outcome: str) -> Comparison:
    first, second = alone == groups[0], alone == groups[1]
    p = mcnemar_exact(int(first.sum()), int(second.sum()))
    everywhere = np.ones(len(alone), bool)
    # Told about the group that is named less often.
    if first.sum() > second.sum():
        first, second, groups = second, first, groups[::-1]
    return Comparison(dimension, groups[0], groups[1], outcome, first, second, everywhere, p, None)


class Compared(NamedTuple):
    """The rows that a comparison can rest on, and its p value."""

    is_group: np.ndarray
    is_other: np.ndarray
    has_outcome: np.ndarray
    p: float


def compared(is_group: np.ndarray, is_other: np.ndarray, has_outcome: np.ndarray, kinds: np.ndarray) -> Compared | None:
    """The rows that a comparison can rest on, and its p value; None where there are too few.

    A kind of request says something if it names both groups, and if its rows do not all have the same outcome.
    """
    both = is_group | is_other
    if int((both & has_outcome).sum()) < LEAST_OUTCOMES:
        return None
    size = int(kinds.max()) + 1
    of, of_other = np.bincount(kinds[is_group], minlength=size), np.bincount(kinds[is_other], minlength=size)
    have = np.bincount(kinds[both & has_outcome], minlength=size)
    says = (of > 0) & (of_other > 0) & (have > 0) & (have < of + of_other)
    is_group, is_other = is_group & says[kinds], is_other & says[kinds]
    outcomes = int(((is_group | is_other) & has_outcome).sum())
    rest = int(is_group.sum() + is_other.sum()) - outcomes
    if min(int(is_group.sum()), int(is_other.sum())) < LEAST_ROWS or min(outcomes, rest) < LEAST_OUTCOMES:
        return None
    p = stratified_exact(_counted(is_group, is_other, has_outcome, kinds))
    return Compared(is_group, is_other, has_outcome, p)


def _counted(is_group: np.ndarray, is_other: np.ndarray, has_outcome: np.ndarray, kinds: np.ndarray) -> Strata:
    used, places = np.unique(kinds[is_group | is_other], return_inverse=True)
    number = np.zeros(len(kinds), np.int64)
    number[is_group | is_other] = places
    columns = (is_group & has_outcome, is_group, is_other & has_outcome, is_other)
    return Strata(*(np.bincount(number[mask], minlength=len(used)).astype(np.float64) for mask in columns))


def _outcomes(found: NamingRows, side: str) -> Iterator[Outcome]:
    """What may differ between groups that are named in `side`."""
    everywhere = np.ones(len(found.rows), bool)
    names = sorted({name for words in found.lexicons for name in words.attributes})
    for name in names:
        has = np.array([name in getattr(row, side).attributes for row in found.rows], bool)
        yield f"words of {name} in the {side}", has, everywhere
    if side == "answer":
        return
    yield "the answer refuses", np.array([row.is_refusal for row in found.rows], bool), everywhere
    yield "the answer breaks off", np.array([row.is_cut for row in found.rows], bool), ~found.is_choice
    yield "the answer is shorter than most of its kind", found.is_short, ~found.is_choice
    choices = np.array([row.choice for row in found.rows], object)
    for choice in sorted(set(choices[found.is_choice].tolist()) - {""}):
        has = found.is_choice & (choices == choice)
        of = found.is_choice & np.isin(found.kinds, found.kinds[has])
        if int(has.sum()) >= LEAST_OUTCOMES:
            yield f'the answer is "{choice}"', has, of
