"""What the training rows have to do with a weak slice, as measured facts.

Rows are of the slice when they carry its kinds ("task = add" is known of rows that name their task); beside that, a row
is like the slice when the nearest looked-at item, by the words of the request, is in it. Only items of the looked-at
half are read here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

from luthier.evaluate.errors.slices import Slice, Traits, request_of, words
from luthier.evaluate.errors.taxonomy import form_of
from luthier.records import Example
from luthier.stats.text_vectors import hashed_tfidf

LIKE = 0.35
"""Cosine of the requests from which on a row is like an item."""
NUM_NEAREST = 5
FEW = 0.25
"""Few rows: less than this share of what comparable items have."""
CLEAR = 1e-3
"""Chance under which two shares differ."""
LEAST_GAP = 0.3
"""Shares that differ by less are not worth a word."""
ALWAYS = 0.8
CHUNK = 4096
STATED = ("task", "cluster", "template", "inverted template", "constraint")
"""Kinds that a row must state; all others can be read from its text."""
MOST_ASKED = 1000
"""Where none of so many rows states a kind, none does."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NearRow:
    """A training row near to the slice's items."""

    row: Example
    similarity: float


@dataclass(frozen=True, slots=True)
class Suspicious:
    """A training row that speaks against the items."""

    row: Example
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """What the training rows say of one slice."""

    num_rows: int
    """Of the whole training."""
    num_in_slice: int | None
    """Rows of the slice; None when the rows do not say what they are."""
    num_like: int
    """Rows whose nearest item is in the slice."""
    expected: float | None
    """Rows that the slice would have, had it as many an item as comparable items have."""
    nearest: tuple[NearRow, ...] = field(repr=False)
    suspicious: tuple[Suspicious, ...] = field(repr=False)
    diagnosis: tuple[str, ...]
    """Sentences, the most telling first."""

    @property
    def missing(self) -> int:
        """How many more rows the slice needs to have as many as comparable items."""
        had = self.num_like if self.num_in_slice is None else self.num_in_slice
        return max(0, math.ceil(self.expected - had)) if self.expected is not None else 0


class TrainingRows:
    """Training rows beside the looked-at items; vectors are made once for all slices."""

    def __init__(self, rows: Sequence[Example], look: Sequence[Example], traits: Traits) -> None:
        """`look`: the looked-at items; `traits` knows both."""
        self.rows = list(rows)
        self.look = list(look)
        self.traits = traits
        self._nearest = np.full(len(self.rows), -1)
        self._known = {kind: any(traits.of(row, kind) for row in self.rows[:MOST_ASKED]) for kind in STATED}
        vectors = hashed_tfidf([request_of(example) for example in [*self.look, *self.rows]])
        self._look, self._rows = vectors[: len(self.look)], vectors[len(self.look) :]
        for start, cosines in self._cosines(range(len(self.look))):
            best = cosines.argmax(axis=1)
            is_like = cosines[np.arange(len(best)), best] >= LIKE
            self._nearest[start : start + len(best)] = np.where(is_like, best, -1)

    def facts(self, part: Slice, *, within_tasks: bool) -> TrainingFacts:
        """The facts of a slice. `within_tasks`: other items of the same tasks are what it is compared with."""
        inside = [k for k, item in enumerate(self.look) if self.traits.is_in(item, part)]
        members = set(inside)
        like = [k for k in range(len(self.rows)) if int(self._nearest[k]) in members]
        of_slice = self._rows_of(part)
        chosen = [self.rows[k] for k in (like if of_slice is None else of_slice)]
        items = [self.look[k] for k in inside]
        expected = self._expected(part, items, within_tasks=within_tasks)
        suspicious = _suspicious(items, chosen)
        count = len(chosen)
        return TrainingFacts(
            num_rows=len(self.rows),
            num_in_slice=None if of_slice is None else len(of_slice),
            num_like=len(like),
            expected=expected,
            nearest=tuple(self._near(inside)),
            suspicious=tuple(suspicious),
            diagnosis=tuple(_diagnosis(part, count, expected, of_slice is not None, suspicious)),
        )

    def _rows_of(self, part: Slice) -> list[int] | None:
        if not all(self._known.get(kind, True) for kind in part.kinds) or "source" in part.kinds:
            return None  # where items come from says nothing of where rows do
        return [k for k, row in enumerate(self.rows) if self.traits.is_in(row, part)]

    def _expected(self, part: Slice, items: Sequence[Example], *, within_tasks: bool) -> float | None:
        """Rows of comparable items, for each of these, times the slice's items."""
        others = [item for item in self.look if not self.traits.is_in(item, part)]
        if within_tasks:
            tasks = {item.task for item in items}
            others = [item for item in others if item.task in tasks]
            rows = [row for row in self.rows if row.task in tasks and not self.traits.is_in(row, part)]
            if not any(row.task for row in self.rows):
                return None
        else:
            rows = [row for row in self.rows if not self.traits.is_in(row, part)]
        return len(rows) / len(others) * len(items) if others else None

    def _near(self, inside: Sequence[int]) -> list[NearRow]:
        best = np.zeros(len(self.rows))
        for start, cosines in self._cosines(inside):
            best[start : start + len(cosines)] = cosines.max(axis=1, initial=0.0)
        order = sorted(range(len(best)), key=lambda k: (-best[k], k))[:NUM_NEAREST]
        return [NearRow(self.rows[k], round(float(best[k]), 4)) for k in order if best[k] > 0]

    def _cosines(self, items: Sequence[int] | range) -> Iterator[tuple[int, Floats]]:
        """Chunks of rows: the first row's number, and the cosines to these items."""
        if not len(items) or not self._look.shape[1]:
            return
        columns = self._look[list(items)].T.tocsc()
        for start in range(0, len(self.rows), CHUNK):
            yield start, np.asarray((self._rows[start : start + CHUNK] @ columns).toarray(), dtype=np.float64)


def _diagnosis(
    part: Slice, count: int, expected: float | None, is_known: bool, suspicious: Sequence[Suspicious]
) -> Iterator[str]:
    of = f"of {part.name}" if is_known else f"like the items of {part.name}"
    if count == 0:
        yield f"no training rows {of}"
        return
    reasons = Counter(one.reason.partition(":")[0] for one in suspicious)
    for reason, times in reasons.most_common():
        yield f"{times} of {count} training rows {of}: {reason}"
    if expected is not None and count < FEW * expected:
        yield f"few training rows {of}: {count}, where comparable items have {expected:.0f}"
    elif not suspicious:
        beside = f", where comparable items have {expected:.0f}" if expected is not None else ""
        yield f"{count} training rows {of}{beside}: their number and form do not explain it"


def _suspicious(items: Sequence[Example], rows: Sequence[Example]) -> list[Suspicious]:
    """Rows that answer otherwise than items and rows with the same request, are not among their options, do not stand
    to their requests as the items' answers do, or look otherwise."""
    found: dict[str, Suspicious] = {}
    for reason, some in (
        ("answer differs from the accepted answers of the same request", _against_items(items, rows)),
        ("answer is none of the options", _no_option(rows)),
        ("answers to one request conflict", _against_one_another(rows)),
        *_by_relation(items, rows),
        *_by_form(items, rows),
    ):
        for row, detail in some:
            found.setdefault(row.id, Suspicious(row, f"{reason}: {detail}" if detail else reason))
    return list(found.values())


def _key(example: Example) -> str:
    return " ".join(words("\n".join(message.content for message in example.prompt).lower()))


def _answer(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


def _against_items(items: Sequence[Example], rows: Sequence[Example]) -> list[tuple[Example, str]]:
    accepted: dict[str, set[str]] = defaultdict(set)
    for item in items:
        accepted[_key(item)].update(map(_answer, item.targets))
    return [(row, f"{(row.target or '')[:60]!r}") for row in rows
            if accepted.get(_key(row)) and _answer(row.target or "") not in accepted[_key(row)]]  # fmt: skip


def _no_option(rows: Sequence[Example]) -> list[tuple[Example, str]]:
    return [(row, repr((row.target or "")[:60])) for row in rows if row.choices
            and _answer(row.target or "") not in {_answer(option) for option in row.choices}]  # fmt: skip


def _against_one_another(rows: Sequence[Example]) -> list[tuple[Example, str]]:
    """Rows that share their request with others and are in the minority; all of them where there is no majority."""
    by_request: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row.target:
            by_request[_key(row)].append(row)
    found = []
    for same in by_request.values():
        times = Counter(_answer(row.target or "") for row in same)
        (most, count), *rest = times.most_common()
        is_tie = bool(rest) and rest[0][1] == count
        found += [(row, "") for row in same if rest and (is_tie or _answer(row.target or "") != most)]
    return found


def _by_relation(
    items: Sequence[Example], rows: Sequence[Example]
) -> Iterator[tuple[str, list[tuple[Example, str]]]]:
    """Answers that are made of the request's words among the items and not among the rows, or the other way round."""
    for task in _tasks(items, rows):
        of_items, of_rows = _of_task(items, task), _of_task(rows, task)
        for is_copied, name in ((True, "answer is not in the request, as the items' answers are"),
                                (False, "answer copies the request, as the items' answers do not")):  # fmt: skip
            has = sum(_is_copied(item) is is_copied for item in of_items)
            bad = [row for row in of_rows if _is_copied(row) is not is_copied]
            if has >= ALWAYS * len(of_items) and _differ(has, len(of_items), len(of_rows) - len(bad), len(of_rows)):
                yield name, [(row, f"{(row.target or '')[:60]!r}") for row in bad]


def _by_form(items: Sequence[Example], rows: Sequence[Example]) -> Iterator[tuple[str, list[tuple[Example, str]]]]:
    """Answers that look otherwise than nearly all of the items' answers do."""
    for task in _tasks(items, rows):
        of_items, of_rows = _of_task(items, task), _of_task(rows, task)
        forms, said = ([form_of(one.target or "") for one in some] for some in (of_items, of_rows))
        for name in form_of(""):
            value, has = Counter(form[name] for form in forms).most_common(1)[0]
            bad = [(row, form[name]) for row, form in zip(of_rows, said, strict=True) if form[name] != value]
            if has >= ALWAYS * len(forms) and _differ(has, len(forms), len(of_rows) - len(bad), len(of_rows)):
                yield f"answer's form is not that of the items' answers ({name} = {value})", bad


def _tasks(items: Sequence[Example], rows: Sequence[Example]) -> list[str | None]:
    """Tasks that both have answers of; the one group None where rows name no task."""
    if not any(row.task for row in rows):
        return [None]
    return [*sorted({item.task for item in items if item.task} & {row.task for row in rows if row.task})]


def _of_task(examples: Sequence[Example], task: str | None) -> list[Example]:
    return [one for one in examples if one.target and (task is None or one.task == task)]


def _is_copied(example: Example) -> bool:
    """Whether most words of the answer stand in the prompt."""
    said = words((example.target or "").lower())
    asked = set(_key(example).split())
    return bool(said) and sum(word in asked for word in said) > 0.5 * len(said)


def _differ(a: int, num_a: int, b: int, num_b: int) -> bool:
    """Whether the share b of num_b lies below a of num_a by enough, and clearly: Fisher's exact test, one-sided."""
    if not num_a or not num_b or a / num_a - b / num_b < LEAST_GAP:
        return False
    # P(X <= b), X hypergeometric: a + b marked ones among all, num_b drawn.
    marked, total = a + b, num_a + num_b
    k = np.arange(max(0, num_b - (total - marked)), b + 1)
    terms = _log_choose(marked, k) + _log_choose(total - marked, num_b - k) - _log_choose(total, np.array([num_b]))
    return float(np.exp(special.logsumexp(terms))) < CLEAR


def _log_choose(n: int, k: npt.NDArray[np.int64]) -> Floats:
    found: Floats = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return found
