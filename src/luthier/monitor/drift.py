"""Whether what is asked still resembles what the model was trained on.

Letters: N prompts of both sides together, m of them from the training set and n served, D hashed features.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.stats

from luthier.records import Message

FEATURES = 2**16
MOST_PROMPTS = 1000
"""Prompts of each side that are compared; from more, a random sample is drawn."""
LEAST_PROMPTS = 50
"""With fewer on either side nothing is said."""
PERMUTATIONS = 999
"""The smallest p value is 1 / (PERMUTATIONS + 1)."""
NUM_FAR = 5
ALARM_P = 0.01
"""Both p values are corrected (Holm), so that one report raises a false alarm in at most this share of cases."""
ALARM_TOLD_APART = 0.6
ALARM_LENGTH_GAP = 0.15
"""With many prompts the faintest drift is significant; below these sizes no alarm is raised for it."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FarPrompt:
    """A served prompt unlike any that the model learned from."""

    trace_id: str
    text: str
    similarity: float
    """Cosine to the nearest training prompt: 1 the same words, 0 none in common."""
    nearest: str
    """That training prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Served prompts against the training set."""

    num_served: int
    num_training: int
    """Prompts compared, on each side."""
    told_apart: float
    """Share of (served, training) pairs in which the served one is recognised by its words; 0.5 when they are alike."""
    p_words: float
    length_gap: float
    """Kolmogorov-Smirnov distance of the prompt lengths: 0 alike, 1 without overlap."""
    p_length: float
    """Both p values are corrected for there being two tests."""
    median_served: float
    median_training: float
    """Prompt lengths in characters."""
    farthest: tuple[FarPrompt, ...]

    @property
    def alarms(self) -> tuple[str, ...]:
        """What calls for a look, as sentences; empty when nothing does."""
        found = []
        if self.p_words < ALARM_P and self.told_apart >= ALARM_TOLD_APART:
            found.append(
                f"prompts have drifted: a served prompt is told from a training prompt by its words in "
                f"{self.told_apart:.0%} of pairs (50% when alike, corrected p {self.p_words:.3g})"
            )
        if self.p_length < ALARM_P and self.length_gap >= ALARM_LENGTH_GAP:
            found.append(
                f"prompt lengths have drifted: median {self.median_served:.0f} characters served, "
                f"{self.median_training:.0f} in training "
                f"(distance {self.length_gap:.2f}, corrected p {self.p_length:.3g})"
            )
        return tuple(found)


def prompt_text(messages: Sequence[Message]) -> str:
    """The part of a conversation that drift looks at: the last user turn. Use it for training rows too."""
    return next((m.content for m in reversed(messages) if m.role == "user"), "")


def drift(served: Sequence[tuple[str, str]], training: Sequence[str], *, seed: int) -> Drift:
    """Compare (trace id, prompt) pairs with training prompts; both at least LEAST_PROMPTS long.

    Words: the distance between the centroids of hashed TF-IDF vectors, |mean(Y) - mean(X)|, with a permutation test;
    exact when prompts are exchangeable, which prompts of one conversation are only roughly.
    """
    assert min(len(served), len(training)) >= LEAST_PROMPTS, "too few prompts"
    rng = np.random.default_rng(seed)
    training = [training[k] for k in _sampled(len(training), rng)]
    served = [served[k] for k in _sampled(len(served), rng)]
    m, n = len(training), len(served)
    vectors = tfidf([*training, *(text for _, text in served)])
    gram_NN: Floats = np.asarray((vectors @ vectors.T).todense(), dtype=np.float64)
    lengths = [len(text) for text in training], [len(text) for _, text in served]
    ks = scipy.stats.ks_2samp(*lengths, method="asymp")
    p_words, p_length = holm(permutation_p(gram_NN, m, rng=rng), float(ks.pvalue))
    return Drift(
        num_served=n,
        num_training=m,
        told_apart=told_apart(gram_NN, m, rng=rng),
        p_words=p_words,
        length_gap=float(ks.statistic),
        p_length=p_length,
        median_served=float(np.median(lengths[1])),
        median_training=float(np.median(lengths[0])),
        farthest=_farthest(gram_NN, served, training),
    )


def tfidf(texts: Sequence[str]) -> Any:
    """Sparse rows [N, D] of unit length: (1 + ln tf) * ln((1 + N) / (1 + df)) + 1 over hashed words and trigrams.

    df counts both sides together, so that the vectors do not know which side a prompt is on.
    """
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for text in texts:
        counts = Counter(zlib.crc32(feature.encode(errors="surrogatepass")) % FEATURES for feature in _features(text))
        columns += counts.keys()
        values += [1.0 + math.log(count) for count in counts.values()]
        ends.append(len(columns))
    features = np.asarray(columns, dtype=np.int64)
    idf = np.log((1 + len(texts)) / (1 + np.bincount(features, minlength=FEATURES))) + 1.0
    weights = np.asarray(values, dtype=np.float64) * idf[features]
    matrix = scipy.sparse.csr_matrix((weights, features, ends), shape=(len(texts), FEATURES))
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return scipy.sparse.diags(1.0 / np.where(norms > 0, norms, 1.0)) @ matrix


def permutation_p(gram_NN: Floats, m: int, *, rng: np.random.Generator) -> float:
    """P value of the centroid distance: (1 + permutations at least as far apart) / (1 + permutations).

    With w = -1/m on the first m rows and 1/n on the others, |mean(Y) - mean(X)|^2 = w G w.
    """
    total = len(gram_NN)
    w_N = np.where(np.arange(total) < m, -1.0 / m, 1.0 / (total - m))
    w_PN = rng.permuted(np.tile(w_N, (PERMUTATIONS, 1)), axis=1)
    observed = w_N @ gram_NN @ w_N
    permuted_P = np.einsum("pn,pn->p", w_PN @ gram_NN, w_PN)
    # Sums in another order differ in their last digits; what is equal counts as at least as far.
    return float((1 + (permuted_P >= observed * (1 - 1e-9)).sum()) / (1 + PERMUTATIONS))


def told_apart(gram_NN: Floats, m: int, *, rng: np.random.Generator) -> float:
    """How often a served prompt leans more to the served side than a training prompt does (area under the ROC curve).

    One half of each side makes the centroids, the other half is judged by them, then the other way round: no prompt
    helps to judge itself, so two samples of one source give 0.5 on average.
    """
    total = len(gram_NN)
    is_first = np.zeros(total, dtype=bool)
    for side in (np.arange(m), np.arange(m, total)):
        is_first[rng.permutation(side)[: len(side) // 2]] = True
    is_served = np.arange(total) >= m
    areas = []
    for made in (is_first, ~is_first):
        lean = gram_NN[:, made & is_served].mean(axis=1) - gram_NN[:, made & ~is_served].mean(axis=1)
        a, b = lean[~made & is_served], lean[~made & ~is_served]
        ranks = scipy.stats.rankdata(np.concatenate([a, b]))
        areas.append((ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))
    return float(np.mean(areas))


def holm(p1: float, p2: float) -> tuple[float, float]:
    """Two p values corrected for each other (Holm 1979): the smaller doubled, the larger at least that."""
    smaller = min(1.0, 2 * min(p1, p2))
    larger = max(smaller, max(p1, p2))
    return (smaller, larger) if p1 <= p2 else (larger, smaller)


def _farthest(gram_NN: Floats, served: Sequence[tuple[str, str]], training: Sequence[str]) -> tuple[FarPrompt, ...]:
    """The served prompts whose nearest training prompt is farthest away, each wording once."""
    m = len(training)
    cross_nm = gram_NN[m:, :m]
    nearest_n = cross_nm.argmax(axis=1)
    similarity_n = np.clip(cross_nm.max(axis=1), 0.0, 1.0)
    found: dict[str, FarPrompt] = {}
    for k in np.argsort(similarity_n, kind="stable"):
        trace_id, text = served[k]
        if text not in found:
            found[text] = FarPrompt(trace_id, text, float(similarity_n[k]), training[nearest_n[k]])
        if len(found) == NUM_FAR:
            break
    return tuple(found.values())


def _features(text: str) -> list[str]:
    """Words, and character trigrams for scripts without spaces; every digit is a 0."""
    plain = re.sub(r"\d", "0", " ".join(unicodedata.normalize("NFKC", text).casefold().split()))
    padded = f" {plain} "
    words = re.findall(r"\w+", plain)
    return [f"w:{word}" for word in words] + [padded[k : k + 3] for k in range(len(padded) - 2)]


def _sampled(count: int, rng: np.random.Generator) -> list[int]:
    if count <= MOST_PROMPTS:
        return list(range(count))
    return sorted(int(k) for k in rng.choice(count, MOST_PROMPTS, replace=False))
