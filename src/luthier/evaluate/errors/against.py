"""One-sided tests of a slice against what it may be compared with.

Three comparisons, since tasks differ in difficulty by nature:

- "like items": the other items of the same tasks. The null hypothesis is that the slice reaches what these reach, less
  a margin. Of N items in the slice K points were made; under the null K is beta-binomial: the rate has the others' mean
  (task by task, weighted by the slice's items) less the margin, and is as uncertain as that mean is. Points
  between 0 and 1 vary less than right and wrong, so the test is conservative for them. Over five and more tasks both
  counts shrink by the design effect, the ratio of the variances with and without clustering by task.
- "other tasks": for slices of whole tasks. The null hypothesis is that these tasks are like any others: the mean of
  their log odds lies as far from the others' mean as tasks lie from one another (Student's t on the spread between
  tasks, the slice's own sampling error added). With a base, the log odds are first freed of their regression on the
  base's. A task that is a little harder than most is not found; one that falls out of the others' range is.
- "base": the items on which the base does better against those on which the model does, an exact sign test, by task
  too where there are five.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from luthier.stats.intervals import FEWEST_CLUSTERS, Estimate, paired_interval

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Against = Literal["like items", "other tasks", "base"]
AGAINST: tuple[Against, ...] = ("like items", "other tasks", "base")

FEWEST_TASKS = 8
"""Other tasks that are needed to say how far tasks lie from one another."""
FEWEST_REGRESSED = 12
FEWEST_COMPARED = 4
"""Like items that are needed on the other side."""
COVERED: Mapping[Against, float] = {"like items": 0.4, "other tasks": 0.6, "base": 0.5}
"""A comparison speaks for a slice when it reaches this share of the slice's items."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One half of the items, as arrays of one entry an item."""

    values: Floats
    tasks: Ints
    """Number of the task; items without a task share one number."""
    base: Floats | None = None
    """NaN where the base has no value."""

    @property
    def num_tasks(self) -> int:
        """One more than the largest number of a task."""
        return int(self.tasks.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one comparison says of a slice."""

    against: Against
    p: float
    """One-sided: how likely so low a score is where there is no weakness."""
    score: float
    """The mean over the slice's items that were compared."""
    expected: float
    """What they would have reached."""
    n: int
    """Items of the slice that were compared."""
    deficit: Estimate
    """expected - score, with a 95 % interval."""


def evidence(
    scores: Scores, inside: Flags, usable: Flags, against: Against, *, margin: float, is_partial: bool = False
) -> Evidence | None:
    """What the comparison says of the slice `inside`; None where there is too little to compare with.

    `usable` leaves out items that a weakness found before explains; `is_partial`: any share of the slice will do.
    """
    inner, outer = inside & usable, usable & ~inside
    said = (_like_items(scores, inner, outer, margin) if against == "like items" else
            _other_tasks(scores, inner, outer, margin) if against == "other tasks" else
            _base(scores, inner))  # fmt: skip
    return said if said is not None and (is_partial or said.n >= COVERED[against] * inner.sum()) else None


def _like_items(scores: Scores, inside: Flags, outside: Flags, margin: float) -> Evidence | None:
    count = scores.num_tasks
    n_in, k_in = _by_task(scores, inside, count)
    n_out, k_out = _by_task(scores, outside, count)
    both = (n_in > 0) & (n_out > 0)
    total = n_in[both].sum()
    if n_out[both].sum() < FEWEST_COMPARED or total == 0:
        return None
    n_in, k_in, n_out, k_out = n_in[both], k_in[both], n_out[both], k_out[both]
    weight = n_in / total
    score, expected = float(k_in.sum() / total), float(weight @ (k_out / n_out))
    spread_in, spread_out = (_spread(k, n) / n for k, n in ((k_in, n_in), (k_out, n_out)))
    variance = float(weight**2 @ (spread_in + spread_out))
    effect = 1.0
    if both.sum() >= FEWEST_CLUSTERS:
        gaps = k_out / n_out - k_in / n_in
        sums = weight * (gaps - float(weight @ gaps))
        g = len(gaps)
        effect = max(1.0, g / (g - 1) * float((sums**2).sum()) / variance)
    others = float(weight @ (n_out * spread_out)) / float(weight**2 @ spread_out)  # as good as so many of one task
    p = _beta_binomial(score * total, total, expected, others, margin, effect)
    degrees = both.sum() - 1 if effect > 1 else math.inf
    half = float(special.stdtrit(degrees, 0.975) if effect > 1 else special.ndtri(0.975)) * math.sqrt(variance * effect)
    gap = expected - score
    method = f"within {int(both.sum())} tasks" + (", clustered by task" if effect > 1 else "")
    deficit = Estimate(gap, max(-1.0, gap - half), min(1.0, gap + half), int(total), method)
    return Evidence("like items", p, score, expected, int(total), deficit)


def _other_tasks(scores: Scores, inside: Flags, outside: Flags, margin: float) -> Evidence | None:
    count = scores.num_tasks
    n_in, k_in = _by_task(scores, inside, count)
    n_out, k_out = _by_task(scores, outside, count)
    whole, peers = (n_in > 0) & (n_out == 0), (n_out > 0) & (n_in == 0)
    if peers.sum() < FEWEST_TASKS or not whole.any():
        return None
    means_in, means_out = k_in[whole] / n_in[whole], k_out[peers] / n_out[peers]
    odds_in = _log_odds(np.minimum(k_in + margin * n_in, n_in)[whole], n_in[whole])
    odds_out = _log_odds(k_out[peers], n_out[peers])
    degrees = len(odds_out) - 1
    if scores.base is not None and peers.sum() >= FEWEST_REGRESSED:
        odds_in, odds_out, degrees = _freed_of_base(scores, whole, peers, odds_in, odds_out)
    between = max(float(odds_out.var(ddof=1)) * (len(odds_out) - 1) / degrees, 1e-6)
    # The spread between the others holds their sampling error already; what fewer items have more of is added.
    usual = float((k_out[peers].sum() + 0.5) / (n_out[peers].sum() + 1))
    noise_in, noise_out = (1 / (usual * n + 0.5) + 1 / ((1 - usual) * n + 0.5) for n in (n_in[whole], n_out[peers]))
    extra = max(0.0, float(noise_in.mean() - noise_out.mean()))
    variance = (between + extra) / len(odds_in) + between / len(odds_out)
    p = float(special.stdtr(degrees, float(odds_in.mean() - odds_out.mean()) / math.sqrt(variance)))
    score = float(k_in[whole].sum() / n_in[whole].sum())
    expected = float(means_out.mean())
    gap = expected - float(means_in.mean())
    half = float(special.stdtrit(degrees, 0.975)) * float(means_out.std(ddof=1)) * math.sqrt(
        1 / len(means_in) + 1 / len(means_out))  # fmt: skip
    n = int(n_in[whole].sum())
    deficit = Estimate(gap, max(-1.0, gap - half), min(1.0, gap + half), n, f"t over {int(peers.sum())} other tasks")
    return Evidence("other tasks", p, score, expected, n, deficit)


def _base(scores: Scores, inside: Flags) -> Evidence | None:
    if scores.base is None:
        return None
    at = np.flatnonzero(inside & ~np.isnan(scores.base))
    if len(at) < 2:
        return None
    new, old = scores.values[at], scores.base[at]
    lost, won = int((new < old).sum()), int((new > old).sum())
    # P(X >= lost), X ~ Binomial(lost + won, 1/2)
    p = float(special.bdtrc(lost - 1, lost + won, 0.5)) if lost else 1.0
    tasks = scores.tasks[at]
    names = np.unique(tasks)
    clusters = None
    if len(names) >= FEWEST_CLUSTERS:
        clusters = tasks.tolist()
        gaps = np.array([(old - new)[tasks == name].mean() for name in names])
        error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
        by_task = float(special.stdtr(len(gaps) - 1, -float(gaps.mean()) / error)) if error > 0 else p
        p = max(p, by_task)
    deficit = paired_interval(new, old, clusters)
    return Evidence("base", min(1.0, p), float(new.mean()), float(old.mean()), len(at), deficit)


def _by_task(scores: Scores, chosen: Flags, count: int) -> tuple[Floats, Floats]:
    """Items and points of each task."""
    tasks = scores.tasks[chosen]
    return (np.bincount(tasks, minlength=count).astype(np.float64),
            np.bincount(tasks, scores.values[chosen], minlength=count).astype(np.float64))  # fmt: skip


def _spread(points: Floats, n: Floats) -> Floats:
    """p(1 - p) with one imagined success and one failure, so that "all agree" still varies."""
    p = (points + 1) / (n + 2)
    return p * (1 - p)


def _beta_binomial(points: float, n: float, expected: float, others: float, margin: float, effect: float) -> float:
    """P(so many points or fewer of n) after `others` like items that reached `expected`: their rate is a beta with
    half a success and half a failure imagined (Jeffreys), moved down by the margin."""
    others /= effect
    mean = (expected * others + 0.5) / (others + 1) - margin
    if mean <= 0:
        return 1.0
    size = max(1, round(n / effect))
    made = min(size, math.ceil(points / n * size - 1e-9))
    a, b = mean * (others + 1), (1 - mean) * (others + 1)
    k = np.arange(made + 1)
    terms = (special.gammaln(size + 1) - special.gammaln(k + 1) - special.gammaln(size - k + 1)
             + special.betaln(k + a, size - k + b) - special.betaln(a, b))  # fmt: skip
    return float(min(1.0, np.exp(special.logsumexp(terms))))


def _log_odds(points: Floats, n: Floats) -> Floats:
    """Empirical log odds, with half a success and half a failure added."""
    odds: Floats = np.log((points + 0.5) / (n - points + 0.5))
    return odds


def _freed_of_base(
    scores: Scores, whole: Flags, peers: Flags, odds_in: Floats, odds_out: Floats
) -> tuple[Floats, Floats, int]:
    """The log odds less their regression on the base's, fitted on the other tasks; and the degrees of freedom left."""
    assert scores.base is not None
    known = ~np.isnan(scores.base)
    count = scores.num_tasks
    n = np.bincount(scores.tasks[known], minlength=count).astype(np.float64)
    k = np.bincount(scores.tasks[known], scores.base[known], minlength=count).astype(np.float64)
    x = _log_odds(k, n)
    centre = x[peers].mean()
    squares = float(((x[peers] - centre) ** 2).sum())
    slope = float((x[peers] - centre) @ odds_out) / squares if squares > 0 else 0.0
    slope = min(1.0, max(0.0, slope))  # where the base is better the model is not worse
    return odds_in - slope * (x[whole] - centre), odds_out - slope * (x[peers] - centre), len(odds_out) - 2
