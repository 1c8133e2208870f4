"""A plot over amounts that double: values with their intervals, single runs as dots, a level to compare with.

Returns an SVG string in the manner of `luthier.reports.plots`; `standalone` makes a file of any of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.reports.axes import Scale, finite, fitted, number_text, span, text_width, tick_texts, ticks
from luthier.reports.page import escape
from luthier.reports.plots import COLOURS, DASHES, FONT, WIDTH

HEIGHT = 370.0
BESIDE = 7.0
"""Pixels between the marks of two curves at one x, so that intervals do not hide each other."""
LIGHT, DARK = "#1c2024", "#e4e7ea"
LEVEL_LOOK = "stroke-dasharray:5 4;opacity:.7"
DARK_COLOURS = ("#5fb2ea", "#f08c4a", "#3fc79d", "#dc94c3", "#e6c84a", "#a5d3f2", "#c3cad0")


@dataclass(frozen=True, slots=True)
class Point:
    """One place of a curve: its value, its 95 % interval where there is one, and the runs that it is the mean of."""

    x: float
    """Above zero."""
    value: float
    low: float | None = None
    high: float | None = None
    dots: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in order of x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line, with the band of its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def curve_plot(
    curves: Sequence[Curve], *, x_label: str, y_label: str, level: Level | None = None, title: str = ""
) -> str:
    """Curves over a logarithmic x axis with a tick at every x that occurs; names stand in a line above."""
    title = title or f"{y_label} by {x_label}"
    points = [point for curve in curves for point in curve.points]
    if not points:
        return _svg(60, title, [_text(4, 34, "nothing to show", soft=True)])
    xs = sorted({point.x for point in points})
    room = BESIDE * len(curves) + 22
    log_low, log_high = math.log2(xs[0]), math.log2(xs[-1])
    x = Scale(log_low, log_high if log_high > log_low else log_low + 1, 58 + room, WIDTH - room)
    known = [v for p in points for v in (p.value, finite(p.low), finite(p.high), *p.dots) if v is not None]
    known += [v for v in (level.value, finite(level.low), finite(level.high)) if v is not None] if level else []
    y = Scale(*span(known, padding=0.06), HEIGHT - 50, 48)
    names = [curve.name for curve in curves] + ([level.name] if level is not None else [])
    marks = [_names(names, num_curves=len(curves)), _text(4, 36, y_label, soft=True), *_grid(xs, x, y, x_label)]
    if level is not None:
        marks.append(_level(level, y))
    for number, curve in enumerate(curves):
        shift = BESIDE * (number - (len(curves) - 1) / 2)
        marks.append(_curve(curve, x, y, number, shift))
    return _svg(HEIGHT, title, marks)


def standalone(svg: str) -> str:
    """The plot as a file of its own: names its format, and follows light and dark without a page's colours."""
    dark = ";".join(f"--series-{k}:{colour}" for k, colour in enumerate(DARK_COLOURS, start=1))
    style = (
        f"<style>svg{{color:{LIGHT};font-family:system-ui,sans-serif}}"
        f"@media (prefers-color-scheme:dark){{svg{{color:{DARK};{dark}}}}}</style>"
    )
    head, _, rest = svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'


def _grid(xs: Sequence[float], x: Scale, y: Scale, label: str) -> list[str]:
    left, right = 58.0, float(WIDTH)
    marks = [_line(left, y.start, right, y.start, "opacity:.45")]
    values = ticks(y.low, y.high)
    for tick, text in zip(values, tick_texts(values), strict=True):
        marks.append(_line(left, y.at(tick), right, y.at(tick), "opacity:.12"))
        marks.append(_text(left - 8, y.at(tick) + 4, text, anchor="end", soft=True))
    for value in xs:
        at = x.at(math.log2(value))
        marks.append(_line(at, y.end, at, y.start, "opacity:.12"))
        marks.append(_text(at, y.start + 18, number_text(value), anchor="middle", soft=True))
    marks.append(_text((left + right) / 2, y.start + 38, label, anchor="middle", soft=True))
    return marks


def _level(level: Level, y: Scale) -> str:
    low, high = finite(level.low), finite(level.high)
    marks = []
    if low is not None and high is not None:
        height = max(1.0, y.at(low) - y.at(high))
        marks.append(f'<rect x="58" y="{y.at(high):.1f}" width="{WIDTH - 58}" height="{height:.1f}" '
                     'style="fill:currentColor;opacity:.07"/>')  # fmt: skip
    at = y.at(level.value)
    marks.append(_line(58, at, WIDTH, at, LEVEL_LOOK))
    return "".join(marks)


def _curve(curve: Curve, x: Scale, y: Scale, number: int, shift: float) -> str:
    colour = _colour(number)
    places = [(x.at(math.log2(p.x)) + shift, p) for p in curve.points]
    path = " ".join(f"{at:.1f},{y.at(p.value):.1f}" for at, p in places)
    dash = DASHES[number % len(DASHES)]
    marks = [f'<polyline points="{path}" style="fill:none;stroke:{colour};stroke-width:2;stroke-dasharray:{dash}"/>']
    for at, point in places:
        low, high = finite(point.low), finite(point.high)
        if low is not None and high is not None:
            marks.append(f'<line x1="{at:.1f}" y1="{y.at(low):.1f}" x2="{at:.1f}" y2="{y.at(high):.1f}" '
                         f'style="stroke:{colour};stroke-width:3;stroke-linecap:round;opacity:.55"/>')  # fmt: skip
        ring = f'r="2.5" style="fill:none;stroke:{colour};opacity:.8"'
        beside = at + (6 if shift >= 0 else -6)  # outside, so that the next curve does not hide them
        marks += [f'<circle cx="{beside:.1f}" cy="{y.at(dot):.1f}" {ring}/>' for dot in point.dots]
        marks.append(f'<circle cx="{at:.1f}" cy="{y.at(point.value):.1f}" r="5" style="fill:{colour}"/>')
    return "".join(marks)


def _names(names: Sequence[str], *, num_curves: int) -> str:
    """The key: the curves, then the level."""
    marks, x = [], 4.0
    for number, name in enumerate(names):
        shown = fitted(name, WIDTH / len(names) - 44, FONT)
        if number < num_curves:
            style = f"stroke:{_colour(number)};stroke-width:3;stroke-dasharray:{DASHES[number % len(DASHES)]}"
            marks.append(f'<line x1="{x:.1f}" y1="11" x2="{x + 22:.1f}" y2="11" style="{style}"/>')
        else:
            marks.append(_line(x, 11, x + 22, 11, LEVEL_LOOK))
        marks.append(_text(x + 28, 15, shown))
        x += text_width(shown, FONT) + 48
    return "".join(marks)


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="stroke:currentColor;{look}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", soft: bool = False) -> str:
    style = "fill:currentColor" + (";opacity:.75" if soft else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'


def _colour(number: int) -> str:
    slot = number % len(COLOURS)
    return f"var(--series-{slot + 1},{COLOURS[slot]})"


def _svg(height: float, title: str, marks: Sequence[str]) -> str:
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {height:.0f}" font-size="{FONT}" '
        f'font-family="inherit"><title>{escape(title)}</title>{"".join(marks)}</svg>'
    )
