"""How far apart two runs of the same training, or two evaluations of the same model, are by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What repeated runs say of a difference between two single runs."""

    sd: float
    """Between runs of one setting, pooled over the settings."""
    sd_low: float
    sd_high: float
    """The interval of `sd` of 1 - alpha."""
    difference: float
    """Two further runs of one setting differ by less than this with a chance of 1 - alpha."""
    runs: int
    settings: int

    def __str__(self) -> str:
        return f"two runs of one setting differ by less than {self.difference:.3f} (from {self.runs} runs)"


def noise_floor(scores: Sequence[Sequence[float]], *, alpha: float = 0.05) -> NoiseFloor:
    """The noise floor from settings of several runs each: training seeds, or evaluations that were repeated.

    s^2 = sum over settings of sum (score - the setting's mean)^2 / v, v = runs - settings; its interval is v s^2 /
    chi2(v, 1 - alpha/2) to v s^2 / chi2(v, alpha/2), and two further runs differ by less than t(v, 1 - alpha/2)
    sqrt(2) s, the prediction interval of a difference (Hahn and Meeker, Statistical Intervals, 1991, section 4). It
    supposes that runs scatter about as a normal does, and in all settings alike. An interval over items says nothing
    of this; a difference below the floor may be the seed's doing, however sure the items make it.

    >>> str(noise_floor([[0.61, 0.63, 0.60], [0.70, 0.72, 0.71]]))
    'two runs of one setting differ by less than 0.051 (from 6 runs)'
    """
    groups = [np.asarray(runs, dtype=np.float64) for runs in scores]
    if not groups or any(runs.ndim != 1 or runs.size < 2 or not np.isfinite(runs).all() for runs in groups):
        raise ValueError("a noise floor needs at least two finite scores of each setting")
    runs = sum(group.size for group in groups)
    df = runs - len(groups)
    squares = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
    sd = math.sqrt(squares / df)
    low, high = (math.sqrt(squares / float(special.chdtri(df, tail))) for tail in (alpha / 2, 1 - alpha / 2))
    return NoiseFloor(sd, low, high, float(special.stdtrit(df, 1 - alpha / 2)) * math.sqrt(2) * sd, runs, len(groups))
