"""Failures that are alike: groups by the words of request and answer, each named by what tells it from the others.

Texts become hashed TF-IDF vectors; spherical k-means (Dhillon and Modha 2001) groups them. The first centre is the text
nearest to the mean of all, each further one the text farthest from those before (Gonzalez 1985), so there is no chance
in it: the same failures give the same groups.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from luthier.evaluate.errors.slices import words
from luthier.stats.text_vectors import hashed_tfidf

ITEMS_A_GROUP = 12
MOST_GROUPS = 8
FEWEST_IN_GROUP = 3
ROUNDS = 12
NUM_WORDS = 5
COMMON = 0.5
"""Words in more than this share of all texts tell nothing."""
MOST_TEXTS = 5_000
"""Of more failures the first are grouped."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failures that are alike."""

    words: tuple[str, ...]
    """What tells it from the other failures, the most telling first."""
    members: tuple[int, ...]
    """Positions of its texts, the most typical first."""


def grouped(texts: Sequence[str]) -> list[Group]:
    """Groups of at least three texts, the largest first; texts that are like no others are in none."""
    texts = texts[:MOST_TEXTS]
    count = min(MOST_GROUPS, len(texts) // ITEMS_A_GROUP)
    if count < 2:
        return []
    vectors = hashed_tfidf(texts)
    if vectors.shape[1] == 0:
        return []
    labels, closeness = _spherical(vectors, count)
    groups = []
    for label in range(count):
        members = [int(k) for k in np.flatnonzero((labels == label) & (closeness > 0))]
        if len(members) >= FEWEST_IN_GROUP:
            members.sort(key=lambda k: (-closeness[k], k))
            groups.append(Group(telling_words([texts[k] for k in members],
                                              [texts[k] for k in range(len(texts)) if labels[k] != label]),
                                tuple(members)))  # fmt: skip
    return sorted(groups, key=lambda group: (-len(group.members), group.words))


def telling_words(inside: Sequence[str], outside: Sequence[str]) -> tuple[str, ...]:
    """The words that many texts inside have and few outside, by the signed root of G^2 (Dunning 1993)."""
    has, lacks = (Counter(word for text in texts for word in set(words(text.lower()))) for texts in (inside, outside))

    def telling(word: str) -> float:
        a, b, n, m = has[word], lacks[word], len(inside), max(len(outside), 1)
        if a / n <= b / m or a + b > COMMON * (n + m):
            return 0.0
        rate = (a + b) / (n + m)
        parts = ((a, n, a / n), (b, m, b / m))
        return 2 * sum(_log_likelihood(k, of, p) - _log_likelihood(k, of, rate) for k, of, p in parts)

    ranked = sorted(has, key=lambda word: (-telling(word), word))
    return tuple(word for word in ranked[:NUM_WORDS] if telling(word) > 0)


def _log_likelihood(k: int, n: int, p: float) -> float:
    p = min(max(p, 1e-12), 1 - 1e-12)
    return k * math.log(p) + (n - k) * math.log(1 - p)


def _spherical(vectors: object, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The group of each text and its cosine to the group's centre."""
    matrix = vectors.astype(np.float64)  # type: ignore[attr-defined]
    mean = np.asarray(matrix.sum(axis=0)).ravel()
    nearest = matrix @ mean
    chosen = [int(np.argmax(nearest))]
    reached = matrix @ matrix[chosen[0]].toarray().ravel()
    while len(chosen) < count:
        chosen.append(int(np.argmin(reached)))
        reached = np.maximum(reached, matrix @ matrix[chosen[-1]].toarray().ravel())
    centres = matrix[chosen].toarray()
    labels = np.full(matrix.shape[0], -1, dtype=np.int64)
    cosines = np.zeros((matrix.shape[0], count))
    for _ in range(ROUNDS):
        cosines = np.asarray(matrix @ centres.T)
        now = cosines.argmax(axis=1)
        if (now == labels).all():
            break
        labels = now
        for label in range(count):
            total = np.asarray(matrix[labels == label].sum(axis=0)).ravel()
            length = float(np.linalg.norm(total))
            centres[label] = total / length if length else centres[label]
    return labels, cosines[np.arange(len(labels)), labels]
