"""The arithmetic of plots: finite values, pleasant ticks, numbers as people write them, the width of text."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LARGEST = 8e307
"""Values are clipped here, so that the distance between any two stays finite."""


class Scale(NamedTuple):
    """A linear map from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of `value`; values outside are put on the edge."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def finite(value: float | None) -> float | None:
    """`value` as a float that can be drawn, or None for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return None
    return min(LARGEST, max(-LARGEST, float(value)))


def span(values: Iterable[float], *, padding: float = 0.04) -> tuple[float, float]:
    """A range around the values, never of zero width; 0 to 1 when there are none."""
    kept = list(values)
    if not kept:
        return 0.0, 1.0
    low, high = min(kept), max(kept)
    if math.isclose(low, high, rel_tol=1e-12, abs_tol=1e-300):
        room = abs(low) * 0.1 or 0.5
    else:
        room = (high - low) * padding
    return max(-LARGEST, low - room), min(LARGEST, high + room)


def ticks(low: float, high: float, *, count: int = 5, is_whole: bool = False) -> list[float]:
    """About `count` round numbers (1, 2, 2.5 or 5 times a power of ten) from `low` to `high`.

    With `is_whole`, of things that are counted, only whole numbers: there is no fifth of a row.

    >>> ticks(0.0, 1.0), ticks(0.0, 3.0, is_whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 1.0, 2.0, 3.0])
    """
    rough = max((high - low) / count, 1.0 if is_whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if not power:  # the range is too narrow for a float's digits
        return [low]
    steps = (1, 2, 5) if is_whole and power < 10 else (1, 2, 2.5, 5)
    step = power * next((m for m in steps if m * power >= rough * (1 - 1e-9)), 10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)][: 3 * count]


def number_text(value: float, *, beside: float | None = None) -> str:
    """A number in few characters; with `beside`, in the unit that suits that number.

    >>> [number_text(v) for v in (0.25, 1500, 12000, 3.2e6, 4e-6, 7.0)]
    ['0.25', '1500', '12k', '3.2M', '4e-06', '7']
    """
    size = abs(value if beside is None else beside)
    for limit, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if limit <= size < 1e12 and value:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.4g}" if value else "0"


def interval_text(value: float, low: float, high: float) -> str:
    """An interval with the digits that its width supports.

    >>> interval_text(0.68182, 0.56213, 0.78194), interval_text(12345.6, 12000.0, 13000.0)
    ('0.68 [0.56, 0.78]', '12.3k [12k, 13k]')
    """
    size = max(abs(value), abs(low), abs(high))
    if high <= low or size >= 1e4 or size < 1e-4:
        texts = [number_text(float(f"{v:.3g}"), beside=size) for v in (value, low, high)]
    else:
        decimals = max(0, 1 - math.floor(math.log10(high - low)))
        texts = [f"{v:.{min(decimals, 8)}f}" for v in (value, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def tick_texts(values: Sequence[float]) -> list[str]:
    """The ticks of one axis, all in one unit, with as many digits as tell them apart.

    >>> tick_texts([0.0, 5000.0, 10000.0])
    ['0', '5k', '10k']
    """
    largest = max((abs(v) for v in values), default=0.0)
    texts = [number_text(v, beside=largest) for v in values]
    if len(set(texts)) == len(values):
        return texts
    return next((t for t in ([f"{v:.{d}g}" for v in values] for d in range(5, 17)) if len(set(t)) == len(t)), texts)


def text_width(text: str, size: float) -> float:
    """About how many pixels `text` takes; East Asian wide characters count as a full em."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.56 for c in text) * size


def fitted(text: str, width: float, size: float) -> str:
    """`text`, cut with an ellipsis when it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text, size) > width - size:
        text = text[:-1]
    return text.rstrip() + "\u2026"
