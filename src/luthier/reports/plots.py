"""Plots as SVG strings: pure functions of numbers and labels.

They take their colours from the page (currentColor, --series-1 ...), so they follow light and dark; series differ in
dash as well as in colour, and the colours are told apart with the common colour-vision deficiencies. None and NaN are
gaps, never zeros. They are drawn narrow, and words stand above what they are about: shrunk to a phone of 390 pixels,
nothing is cut and the text is still read. The strings are for HTML, which needs no xmlns.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.reports.axes import Scale, finite, fitted, interval_text, number_text, span, text_width, tick_texts, ticks
from luthier.reports.page import escape

WIDTH = 480
"""A phone shows 358 of these pixels' room, so that FONT is read as 9.3 pixels."""
NARROW = 420
"""Wide enough for a few bars, two of which stand side by side on a desk."""
FONT = 12.5
ROW = 37
"""Pixels of one row of an interval or bar plot: a line of text above what is drawn."""
BAND = 12
"""Pixels of a row that are drawn on."""
END_ROOM = 110.0
"""Lines with a longer name get a legend instead of labels at their ends."""
COLOURS = ("#0067a5", "#c2500a", "#00805e", "#a8508a", "#8a6d00", "#3f8fc4", "#444b52")
"""Used where the page defines no --series-N."""
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2")
MOST_LABELS = 6
"""More series than this get a legend instead of labels at their ends."""
MOST_POINTS = 700
"""About one point a pixel; longer lines keep the lowest and highest point of each stretch."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a line plot."""

    name: str
    xs: Sequence[float | None]
    ys: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of an interval plot: a value and its 95 % interval."""

    label: str
    value: float | None
    low: float | None
    high: float | None


Points = list[tuple[float, float]]


def line_plot(series: Sequence[Line], *, x_label: str, y_label: str, title: str = "") -> str:
    """Lines over a common x axis, each named at its end (in a legend when there are many)."""
    runs = [_runs(line) for line in series]
    points = [point for line_runs in runs for run in line_runs for point in run]
    if not points:
        return _nothing(title or f"{y_label} by {x_label}")
    room = 1.25 * max(text_width(line.name, FONT) for line in series) + 12  # they are bold
    is_labelled = len(series) <= MOST_LABELS and room <= END_ROOM
    room = room if is_labelled else 14.0
    legend, legend_height = ("", 0.0) if is_labelled else _legend([line.name for line in series])
    height = 320 + legend_height
    x = Scale(*span((p[0] for p in points), padding=0.0), 62, WIDTH - room)
    y = Scale(*span(p[1] for p in points), height - 50, 26 + legend_height)
    marks = [legend, _grid_x(x, bands=[(y.end, y.start)], label=x_label), _grid_y(y, left=x.start, right=x.end)]
    marks.append(_text(4, legend_height + 13, fitted(y_label, WIDTH - 8, FONT), full=y_label, kind="soft"))
    for number, line_runs in enumerate(runs):
        marks += [_drawn(_thinned(run), x, y, number) for run in line_runs]
    if is_labelled:
        ends = [(n, y.at(r[-1][-1][1])) for n, r in enumerate(runs) if r]
        marks += [_text(x.end + 8, at + 4, fitted(series[n].name, room - 12, FONT), full=series[n].name, series=n)
                  for n, at in _spread(ends, low=y.end, high=y.start)]  # fmt: skip
    return _svg(height, title or f"{y_label} by {x_label}", marks)


def interval_plot(rows: Sequence[Interval], *, x_label: str, reference: float | None = None, title: str = "") -> str:
    """One row per label: label and numbers in a line, below it the value as a dot and its interval as a line."""
    title = title or f"{x_label}, with 95 % intervals"
    known = [v for row in rows for v in (finite(row.value), finite(row.low), finite(row.high)) if v is not None]
    if not rows:
        return _nothing(title)
    line = finite(reference)
    x = Scale(*span([*known, line] if line is not None else known, padding=0.06), 8, WIDTH - 8)
    bands = _bands(len(rows))
    marks = [_grid_x(x, bands=bands, label=x_label, count=4)]
    for row, (top, bottom) in zip(rows, bands, strict=True):
        marks.append(_named(row.label, _interval_words(row), top))
        if line is not None:
            marks.append(_stroke(x.at(line), top - 2, x.at(line), bottom + 2, extra="stroke-dasharray:5 4;opacity:.75"))
        marks.append(_interval(row, x, (top + bottom) / 2))
    return _svg(bands[-1][1] + 46, title, marks)


def bar_plot(labels: Sequence[str], values: Sequence[float | None], *, x_label: str, title: str = "") -> str:
    """Horizontal bars from zero, each below its label and number. Values that are all of type int are counts."""
    drawn = [(label, finite(value)) for label, value in zip(labels, values, strict=True)]
    if not drawn:
        return _nothing(title or x_label)
    low, high = span([0.0, *(v for _, v in drawn if v is not None)], padding=0.02)
    known = [v for _, v in drawn if v is not None]
    # Bars that all point one way start at the edge of the plot.
    low = 0.0 if min(known, default=0.0) >= 0 else low
    high = 0.0 if max(known, default=1.0) < 0 else high
    x = Scale(low, high, 8, WIDTH - 8)
    bands = _bands(len(drawn))
    marks = [_grid_x(x, bands=bands, label=x_label, is_whole=all(isinstance(value, int) for value in values))]
    for (label, value), (top, bottom) in zip(drawn, bands, strict=True):
        marks.append(_named(label, "no value" if value is None else number_text(value), top))
        if value is not None:
            zero, end = x.at(0.0), x.at(value)
            marks.append(_box(min(zero, end), top, abs(end - zero), bottom - top))
        marks.append(_stroke(x.at(0.0), top - 2, x.at(0.0), bottom + 2))
    return _svg(bands[-1][1] + 46, title or x_label, marks)


def histogram(values: Sequence[float | None], *, bins: int, x_label: str, title: str = "") -> str:
    """Counts of the finite values in `bins` equal ranges; the number left out is stated."""
    assert bins >= 1, "a histogram needs a bin"
    known = [v for v in map(finite, values) if v is not None]
    title = title or f"distribution of {x_label}"
    if not known:
        return _nothing(title)
    low, high = span(known, padding=0.0)
    counts = [0] * bins
    for value in known:
        counts[min(bins - 1, int((value - low) / (high - low) * bins))] += 1
    x, y = Scale(low, high, 62, WIDTH - 20), Scale(0.0, max(counts) * 1.05, 250, 26)
    width = (x.end - x.start) / bins
    marks = [_grid_x(x, bands=[(y.end, y.start)], label=x_label),
             _grid_y(y, left=x.start, right=x.end, is_whole=True)]  # fmt: skip
    marks += [_box(x.start + width * k + 0.5, y.at(c), max(0.5, width - 1), y.start - y.at(c))
              for k, c in enumerate(counts) if c]  # fmt: skip
    left_out = len(values) - len(known)
    marks.append(_text(4, 13, "count" + (f" ({left_out:,} without a value)" if left_out else ""), kind="soft"))
    return _svg(300, title, marks)


def length_plot(lengths: Sequence[int], *, x_label: str, title: str = "") -> str:
    """A narrow histogram of whole numbers from 0 on over ranges that grow with them: 0, 1, 2, 3, 4-5, 6-7, 8-11 ...

    Each bar is as wide as the next, so that short and long ones can be seen together. Counts stand on the left.
    """
    title = title or f"distribution of {x_label}"
    if not lengths:
        return _nothing(title)
    bounds = [0, 1, 2, 3]
    while bounds[-1] <= max(lengths):
        bounds.append(2 * bounds[-2])
    counts = [0] * (len(bounds) - 1)
    for length in lengths:
        counts[bisect_right(bounds, length) - 1] += 1
    first = next(k for k, count in enumerate(counts) if count)
    counts, bounds = counts[first:], bounds[first:]
    y = Scale(0.0, max(counts) * 1.05, 190, 24)
    width = min(34.0, (NARROW - 58) / len(counts))
    right = 50 + width * len(counts)
    marks = [_grid_y(y, left=50, right=right, is_whole=True), _stroke(50, 190, right, 190)]
    step = math.ceil(len(counts) / 10)
    for k, count in enumerate(counts):
        if count:
            marks.append(_box(50 + width * k + 1, y.at(count), width - 2, max(1.0, y.start - y.at(count))))
        if k % step == 0:
            marks.append(_text(50 + width * (k + 0.5), 206, number_text(bounds[k]), anchor="middle", kind="soft"))
    marks.append(_text(4, 12, "rows", kind="soft"))
    marks.append(_text((50 + right) / 2, 224, f"{x_label}, from", anchor="middle", kind="soft"))
    return _svg(232, title, marks, width=NARROW)


def _runs(line: Line) -> list[Points]:
    """The stretches of a line between its gaps."""
    runs: list[Points] = [[]]
    for raw_x, raw_y in zip(line.xs, line.ys, strict=True):
        x, y = finite(raw_x), finite(raw_y)
        if x is not None and y is not None:
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _thinned(run: Points) -> Points:
    """At most about MOST_POINTS points: of every stretch its lowest and highest, so that no spike is lost."""
    if len(run) <= MOST_POINTS:
        return run
    size = math.ceil(2 * len(run) / MOST_POINTS)
    kept = []
    for start in range(0, len(run), size):
        stretch = range(start, min(start + size, len(run)))
        kept += sorted({min(stretch, key=lambda k: run[k][1]), max(stretch, key=lambda k: run[k][1])})
    return [run[k] for k in sorted({0, *kept, len(run) - 1})]


def _drawn(run: Points, x: Scale, y: Scale, number: int) -> str:
    if len(run) == 1:
        return f'<circle cx="{x.at(run[0][0]):.1f}" cy="{y.at(run[0][1]):.1f}" r="4" style="fill:{_colour(number)}"/>'
    path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in run)
    # Shifted on every round of the colours, so that colour and dash together do not repeat for 49 series.
    dash = DASHES[(number + number // len(COLOURS)) % len(DASHES)]
    style = f"fill:none;stroke:{_colour(number)};stroke-width:2;stroke-linejoin:round;stroke-dasharray:{dash}"
    return f'<polyline points="{path}" style="{style}"/>'


def _bands(count: int) -> list[tuple[float, float]]:
    """Top and bottom of what is drawn of each row, below its line of text."""
    return [(ROW * number + ROW - BAND, ROW * number + ROW) for number in range(count)]


def _named(label: str, value: str, top: float) -> str:
    """The line of text above a band: the label on the left, cut where it must be, and the value on the right."""
    room = WIDTH - 8 - text_width(value, FONT) - 12
    return (_text(8, top - 7, fitted(label, room, FONT), full=label)
            + _text(WIDTH - 8, top - 7, value, anchor="end"))  # fmt: skip


def _interval_words(row: Interval) -> str:
    value, low, high = finite(row.value), finite(row.low), finite(row.high)
    if value is None:
        return "no value"
    return number_text(value) if low is None or high is None else interval_text(value, low, high)


def _interval(row: Interval, x: Scale, middle: float) -> str:
    value, low, high = finite(row.value), finite(row.low), finite(row.high)
    marks = []
    if low is not None and high is not None:
        look = f"stroke:{_colour(0)};stroke-width:3;stroke-linecap:round;opacity:.55"
        marks.append(_stroke(x.at(low), middle, x.at(high), middle, extra=look))
    if value is not None:
        marks.append(f'<circle cx="{x.at(value):.1f}" cy="{middle:.1f}" r="5" style="fill:{_colour(0)}"/>')
    return "".join(marks)


def _spread(ends: Sequence[tuple[int, float]], *, low: float, high: float) -> list[tuple[int, float]]:
    """The labels' places, pushed apart so that no two overlap."""
    gap = FONT + 3.0
    placed: list[tuple[int, float]] = []
    for number, at in sorted(ends, key=lambda end: end[1]):
        placed.append((number, max(at, placed[-1][1] + gap) if placed else max(at, low)))
    limit = high
    for k in reversed(range(len(placed))):
        number, at = placed[k]
        placed[k] = (number, min(at, limit))
        limit = placed[k][1] - gap
    return placed


def _legend(names: Sequence[str]) -> tuple[str, float]:
    """A legend in as many lines as it needs, and its height."""
    marks, x, y = [], 4.0, 10.0
    for number, name in enumerate(names):
        shown = fitted(name, 170, FONT)
        width = text_width(shown, FONT) + 44
        if x + width > WIDTH and x > 4:
            x, y = 4.0, y + 20
        marks.append(_drawn([(0.0, 0.0), (1.0, 0.0)], Scale(0, 1, x, x + 22), Scale(0, 1, y, y - 1), number))
        marks.append(_text(x + 28, y + 4, shown, full=name))
        x += width
    return "".join(marks), y + 12


def _grid_x(
    x: Scale, *, bands: Sequence[tuple[float, float]], label: str, count: int = 6, is_whole: bool = False
) -> str:
    """The x axis below the last band; its lines run through the bands alone, so that they cross no text."""
    bottom = bands[-1][1] + (4 if len(bands) > 1 else 0)
    marks = [_stroke(x.start, bottom, x.end, bottom)]
    values = ticks(x.low, x.high, count=count, is_whole=is_whole)
    for tick, text in zip(values, tick_texts(values), strict=True):
        at = x.at(tick)
        marks += [_stroke(at, top, at, end, extra="opacity:.12") for top, end in bands]
        marks.append(_text(inside(at, text), bottom + 18, text, anchor="middle", kind="soft"))
    shown = fitted(label, WIDTH - 8, FONT)
    middle = inside((x.start + x.end) / 2, shown)
    marks.append(_text(middle, bottom + 37, shown, full=label, anchor="middle", kind="soft"))
    return "".join(marks)


def inside(middle: float, text: str) -> float:
    """Where a text around `middle` is to be centred so that neither of its ends leaves the plot."""
    half = text_width(text, FONT) / 2 + 2
    return max(half, min(middle, WIDTH - half))


def _grid_y(y: Scale, *, left: float, right: float, is_whole: bool = False) -> str:
    marks = []
    values = ticks(y.low, y.high, is_whole=is_whole)
    for tick, text in zip(values, tick_texts(values), strict=True):
        at = y.at(tick)
        marks.append(_stroke(left, at, right, at, extra="opacity:.12"))
        marks.append(_text(left - 8, at + 4, text, anchor="end", kind="soft"))
    return "".join(marks)


def _stroke(x1: float, y1: float, x2: float, y2: float, *, extra: str = "opacity:.45") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="stroke:currentColor;{extra}"/>'


def _box(x: float, y: float, width: float, height: float) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} style="fill:{_colour(0)};opacity:.85"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", kind: str = "", full: str = "", series: int | None = None
) -> str:
    """A text; `full` is its whole wording, shown on hover when `text` was cut."""
    style = "fill:currentColor" if series is None else f"fill:{_colour(series)};font-weight:600"
    style += ";opacity:.75" if kind == "soft" else ""
    hover = f"<title>{escape(full)}</title>" if full and full != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{hover}{escape(text)}</text>'


def _colour(number: int) -> str:
    slot = number % len(COLOURS)
    return f"var(--series-{slot + 1},{COLOURS[slot]})"


def _nothing(title: str) -> str:
    return _svg(60, title, [_text(4, 34, "nothing to show", kind="soft")])


def _svg(height: float, title: str, marks: Sequence[str], *, width: int = WIDTH) -> str:
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {width} {height:.0f}" font-size="{FONT}" '
        f'font-family="inherit"><title>{escape(title)}</title>{"".join(marks)}</svg>'
    )
