"""Which answers of a task with options are probably wrong: what a classifier trained on the other rows says of each.

A linear classifier learns the labels from hashed TF-IDF of the texts, in folds, so that no row is judged by a
classifier that has seen it. Confident learning (arXiv:1911.00068) then picks the rows whose label disagrees with it.
Where the texts do not tell the labels (entailment, arithmetic: words alone do not decide), the classifier is no
authority: `least_skill` keeps it from accusing rows, and the judgement says so.

Letters: N rows, K classes, F folds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from luthier.similarity import normal_form
from luthier.stats.confident import evidence, likely_wrong
from luthier.stats.logistic import fit_logistic
from luthier.stats.text_vectors import hashed_tfidf

FEWEST_OF_A_CLASS = 5
"""Rows of a class with fewer are left alone: some folds would hardly know it."""
LEAST_SKILL = 0.6
"""How far a classifier must get from guessing (0) to agreeing with all labels (1) before it may accuse rows.

Measured on 17 sets of 80 to 1,500 rows with 3 and 10 % of the labels made wrong: of 593 suspects at a skill between 0.5
and 0.6, 213 were wrong ones; of 1,070 at more than 0.6, 949, which is 79 % of those that were planted there.
"""
LEAST_CONFIDENCE = 0.2
"""A row is a suspect from this probability that its label is wrong, which small tasks understate."""
LEAST_PRECISION = 0.7
"""Beyond, rows are suspects, the most confident first, as long as by the mean of all confidences so many are wrong."""
SURE = 0.5
"""From this probability on a row may be one even if confident learning does not pick it, as where few are wrong."""
PENALTY = 0.5
"""Of the classifier's squared weights, against a sum over rows. Twice or half of it finds about as many."""
TOLERANCE = 1e-2
"""Of the gradient, against its start: a tenth of it changes no answer and takes half as long again."""
MOST_AT_ONCE = 10_000
"""Rows of a larger task are judged in random parts of at most so many, which bounds memory."""
DOUBTS = 3.0
"""Standard errors by which a first look at some folds must miss the least skill before the others are left out."""
_SMALL = 1_000
"""Below this many rows there are ten folds instead of five: each classifier then learns from 90 % of them."""
_FITTED_AT_ONCE = 2_000_000
"""Fits times rows times classes that are fitted side by side: about 30 arrays of as many numbers."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


class Texts(Protocol):
    """The texts of rows by number: a list, or what fetches each when it is asked for."""

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def __getitem__(self, row: int, /) -> str:
        """The text of a row."""
        ...


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row whose label is probably wrong."""

    index: int
    given: str
    likely: str
    confidence: float
    """The probability that `given` is wrong, 0 to 1 (`luthier.stats.confident.evidence`)."""


class Judgement(NamedTuple):
    """What could be said of the labels of one task."""

    suspects: tuple[Suspect, ...]
    """Most confident first."""
    rows: int
    """Rows that were judged."""
    agreement: float
    """Share of these whose label the classifier guessed out of fold; 0 where there was none."""
    skill: float
    """(agreement - chance) / (1 - chance), chance being what always guessing the largest class gives (of two options of
    a row, the larger): 0 and less is guessing."""
    left_alone: Mapping[str, int]
    """Labels with too few rows, and how many rows each has; these were neither judged nor learned from."""
    note: str
    """Why no row is a suspect though there may be wrong ones; empty where the labels were judged."""


def judge_labels(
    texts: Texts,
    labels: Sequence[str],
    *,
    seed: int = 0,
    options: Sequence[Sequence[str]] | None = None,
    least_skill: float = LEAST_SKILL,
    least_precision: float = LEAST_PRECISION,
) -> Judgement:
    """Judge the labels of one task by its texts; the same arguments give the same suspects.

    With `options`, each row's label is compared with the other options of the row alone. ValueError where the lengths
    differ. Rows with one text are in one fold, so that a copy of a wrong label does not defend it. Texts are asked for
    MOST_AT_ONCE at a time.
    """
    if len(texts) != len(labels) or (options is not None and len(options) != len(texts)):
        raise ValueError("texts, labels and options must have one entry for each row")
    counts = Counter(labels)
    left_alone = {label: count for label, count in sorted(counts.items()) if count < FEWEST_OF_A_CLASS}
    judged = [row for row, label in enumerate(labels) if label not in left_alone]
    classes = sorted(counts.keys() - left_alone.keys())
    if len(classes) < 2:
        return Judgement((), 0, 0.0, 0.0, left_alone, f"fewer than two labels with {FEWEST_OF_A_CLASS} rows")
    task = Task(
        texts=texts,
        rows=np.array(judged),
        labels=np.searchsorted(classes, [labels[row] for row in judged]).astype(np.int64),
        allowed=None if options is None else _allowed([options[row] for row in judged], classes),
        num_classes=len(classes),
    )
    chance = _chance(task)
    probabilities = out_of_fold(task, seed=seed, least_agreement=chance + least_skill * (1 - chance))
    looked_at = np.flatnonzero(probabilities.any(axis=1))
    if not len(looked_at):
        return Judgement((), 0, 0.0, 0.0, left_alone, "all rows have one text")
    is_agreed = probabilities.argmax(axis=1) == task.labels
    agreement = float(is_agreed[looked_at].mean())
    skill = (agreement - chance) / (1 - chance) if chance < 1 else 0.0
    if skill < least_skill or len(looked_at) < len(judged):
        note = f"the texts tell {agreement:.0%} of the labels, guessing {chance:.0%}: too little to accuse any"
        return Judgement((), len(looked_at), agreement, skill, left_alone, note)
    found = evidence(probabilities, task.labels, allowed_NK=task.allowed)
    is_picked = likely_wrong(probabilities, task.labels) | (found.odds >= SURE)
    picked = np.flatnonzero(is_picked & (found.odds > 0))
    picked = picked[np.argsort(-found.odds[picked], kind="stable")]
    precision = np.cumsum(found.confidence[picked]) / np.arange(1, len(picked) + 1)
    picked = picked[(found.confidence[picked] >= LEAST_CONFIDENCE) | (precision >= least_precision)]
    suspects = tuple(
        Suspect(judged[row], classes[task.labels[row]], classes[found.likely[row]], float(found.confidence[row]))
        for row in picked
    )
    return Judgement(suspects, len(judged), agreement, skill, left_alone, "")


class Task(NamedTuple):
    """The rows that are judged."""

    texts: Texts
    labels: Ints
    allowed: Marks | None
    """Which classes a row may have; shape [N, K]; None where all may."""
    num_classes: int
    rows: Ints | None = None
    """Which of the texts these are; shape [N]; None where all."""

    def some(self, rows: Ints) -> list[str]:
        """The texts of some rows."""
        numbers = rows if self.rows is None else self.rows[rows]
        return [self.texts[number] for number in numbers.tolist()]


def out_of_fold(task: Task, *, seed: int, least_agreement: float = 0.0) -> Floats:
    """The probability of each class for each row, by classifiers that did not see it; shape [N, K].

    It stops where the first folds show that the share of labels that are guessed will not reach `least_agreement`, and
    where all texts are one, which nobody could tell apart: rows that were not looked at are 0.
    """
    rng = np.random.default_rng(seed)
    total = len(task.labels)
    probabilities = np.zeros((total, task.num_classes))
    num_parts = -(-total // MOST_AT_ONCE)
    is_first = True
    for part in np.array_split(rng.permutation(total), num_parts):
        part.sort()
        labels, texts = task.labels[part], task.some(part)
        folds = _folds(texts, labels, rng, count=10 if len(part) < _SMALL else 5)
        names = np.unique(folds)
        if len(names) < 2:
            break
        vectors = hashed_tfidf(texts)
        for some in _batches(names, len(part) * task.num_classes):
            fits = fit_logistic(
                vectors, labels, folds != some[:, None],
                num_classes=task.num_classes, penalty=PENALTY, tolerance=TOLERANCE,
            )  # fmt: skip
            for place, fold in enumerate(some):
                held_out = part[folds == fold]
                found = fits.probabilities_FKN[place][:, folds == fold].T
                probabilities[held_out] = _among_options(found, task, held_out)
            if is_first and not _may_reach(probabilities, task.labels, least_agreement):
                return probabilities
            is_first = False
    return probabilities


def _batches(names: Ints, size: int) -> Iterator[Ints]:
    """The folds that are fitted side by side: a fifth of them first, to see whether the others are worth it."""
    first = max(1, len(names) // 5)
    at_once = max(1, _FITTED_AT_ONCE // size)
    yield names[: min(first, at_once)]
    for start in range(min(first, at_once), len(names), at_once):
        yield names[start : start + at_once]


def _may_reach(probabilities: Floats, labels: Ints, least: float) -> bool:
    """Whether the share of labels that are guessed may be `least` over all rows, by those that were looked at."""
    rows = np.flatnonzero(probabilities.any(axis=1))
    share = float((probabilities[rows].argmax(axis=1) == labels[rows]).mean())
    return share + DOUBTS * math.sqrt(max(share * (1 - share), 1 / len(rows)) / len(rows)) >= least


def _folds(texts: Sequence[str], labels: Ints, rng: np.random.Generator, *, count: int) -> Ints:
    """The fold of each row: every class is spread evenly, and rows with one text are together."""
    first: dict[str, int] = {}
    stands_for = np.array([first.setdefault(normal_form(text), row) for row, text in enumerate(texts)])
    heads = np.unique(stands_for)
    folds = np.zeros(len(texts), dtype=np.int64)
    start = 0
    for label in np.unique(labels[heads]):
        rows = heads[labels[heads] == label]
        # Each class goes on where the one before ended, or small classes would all miss the last folds.
        folds[rng.permutation(rows)] = (start + np.arange(len(rows))) % count
        start += len(rows)
    of_rows: Ints = folds[stands_for]
    return of_rows


def _chance(task: Task) -> float:
    """The share of labels that are the largest class that the row may have; at least what drawing lots would give."""
    sizes = np.bincount(task.labels, minlength=task.num_classes)
    if task.allowed is None:
        return float(sizes.max() / len(task.labels))
    allowed = task.allowed.copy()
    allowed[np.arange(len(task.labels)), task.labels] = True
    guessed = np.where(allowed, sizes, -1).argmax(axis=1)
    return float(max((guessed == task.labels).mean(), (1 / allowed.sum(axis=1)).mean()))


def _allowed(options: Sequence[Sequence[str]], classes: Sequence[str]) -> Marks:
    number = {label: place for place, label in enumerate(classes)}
    allowed = np.zeros((len(options), len(classes)), dtype=bool)
    for row, names in enumerate(options):
        allowed[row, [number[name] for name in names if name in number]] = True
    return allowed


def _among_options(probabilities: Floats, task: Task, rows: Ints) -> Floats:
    """The probabilities given that the class is an option of the row, or the label that the row has."""
    if task.allowed is None:
        return probabilities
    allowed = task.allowed[rows]
    allowed[np.arange(len(rows)), task.labels[rows]] = True
    kept = np.where(allowed, np.maximum(probabilities, 1e-12), 0.0)
    found: Floats = kept / kept.sum(axis=1, keepdims=True)
    return found
