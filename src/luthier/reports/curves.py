"""A plot over amounts that double: values with their intervals, single runs as dots, levels to compare with.

Returns an SVG string in the manner of `luthier.reports.plots`; `standalone` makes a file of any of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.reports.axes import Scale, finite, fitted, number_text, span, text_width, tick_texts, ticks
from luthier.reports.page import escape
from luthier.reports.plots import COLOURS, DASHES, FONT, WIDTH, inside

HEIGHT = 370.0
LINE = 19.0
"""Pixels from one line of the key to the next."""
BESIDE = 7.0
"""Pixels between the marks of two curves at one x, so that intervals do not hide each other."""
LIGHT, DARK = "#1c2024", "#e4e7ea"
GRID = "stroke:currentColor"
LEVEL_DASHES = ("5 4", "2 3", "11 3 2 3")
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
    curves: Sequence[Curve], *, x_label: str, y_label: str, levels: Sequence[Level] = (), title: str = ""
) -> str:
    """Curves over a logarithmic x axis with a tick at every x that occurs, and levels across it; names stand above."""
    title = title or f"{y_label} by {x_label}"
    points = [point for curve in curves for point in curve.points]
    if not points:
        return _svg(60, title, [_text(4, 34, "nothing to show", soft=True)])
    xs = sorted({point.x for point in points})
    room = BESIDE * len(curves) + 22
    log_low, log_high = math.log2(xs[0]), math.log2(xs[-1])
    x = Scale(log_low, log_high if log_high > log_low else log_low + 1, 58 + room, WIDTH - room)
    known = [v for p in points for v in (p.value, finite(p.low), finite(p.high), *p.dots) if v is not None]
    known += [v for one in levels for v in (one.value, finite(one.low), finite(one.high)) if v is not None]
    keys = [*((curve.name, _curve_look(n)) for n, curve in enumerate(curves)),
            *((level.name, _level_look(n)) for n, level in enumerate(levels))]  # fmt: skip
    lines = _key_lines(keys)
    down = LINE * (len(lines) - 1)
    height = HEIGHT + down
    y = Scale(*span(known, padding=0.06), height - 50, 48 + down)
    marks = [_key(line, 15 + LINE * n) for n, line in enumerate(lines)]
    marks += [_text(4, 36 + down, fitted(y_label, WIDTH - 8, FONT), soft=True), *_grid(xs, x, y, x_label)]
    marks += [_level(level, y, number) for number, level in enumerate(levels)]
    for number, curve in enumerate(curves):
        shift = BESIDE * (number - (len(curves) - 1) / 2)
        marks.append(_curve(curve, x, y, number, shift))
    return _svg(height, title, marks)


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
    marks = [_line(left, y.start, right, y.start, f"{GRID};opacity:.45")]
    values = ticks(y.low, y.high)
    for tick, text in zip(values, tick_texts(values), strict=True):
        marks.append(_line(left, y.at(tick), right, y.at(tick), f"{GRID};opacity:.12"))
        marks.append(_text(left - 8, y.at(tick) + 4, text, anchor="end", soft=True))
    end = 0.0
    for value in xs:
        at, text = x.at(math.log2(value)), number_text(value)
        marks.append(_line(at, y.end, at, y.start, f"{GRID};opacity:.12"))
        half = text_width(text, FONT) / 2
        if inside(at, text) - half > end:  # numbers that lie close are not written over each other
            marks.append(_text(inside(at, text), y.start + 18, text, anchor="middle", soft=True))
            end = inside(at, text) + half + 4
    shown = fitted(label, WIDTH - 8, FONT)
    marks.append(_text(inside((left + right) / 2, shown), y.start + 38, shown, anchor="middle", soft=True))
    return marks


def _level(level: Level, y: Scale, number: int) -> str:
    low, high = finite(level.low), finite(level.high)
    marks = []
    if low is not None and high is not None:
        height = max(1.0, y.at(low) - y.at(high))
        marks.append(f'<rect x="58" y="{y.at(high):.1f}" width="{WIDTH - 58}" height="{height:.1f}" '
                     'style="fill:currentColor;opacity:.07"/>')  # fmt: skip
    at = y.at(level.value)
    marks.append(_line(58, at, WIDTH, at, _level_look(number)))
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


def _key_lines(keys: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The names in as few lines as hold them, in order."""
    lines: list[list[tuple[str, str]]] = [[]]
    for key in keys:
        if lines[-1] and _key_width([*lines[-1], key]) > WIDTH:
            lines.append([])
        lines[-1].append(key)
    return lines


def _key(keys: Sequence[tuple[str, str]], at: float) -> str:
    """One line of names, each after a piece of its line. Only a name that is too long for a whole line is cut."""
    marks, x = [], 4.0
    for name, look in keys:
        shown = fitted(name, WIDTH - 36, FONT)
        marks += [_line(x, at - 4, x + 22, at - 4, look), _text(x + 28, at, shown)]
        x += text_width(shown, FONT) + 48
    return "".join(marks)


def _key_width(keys: Sequence[tuple[str, str]]) -> float:
    return sum(text_width(name, FONT) + 48 for name, _ in keys) - 16


def _curve_look(number: int) -> str:
    return f"stroke:{_colour(number)};stroke-width:3;stroke-dasharray:{DASHES[number % len(DASHES)]}"


def _level_look(number: int) -> str:
    return f"stroke:currentColor;stroke-dasharray:{LEVEL_DASHES[number % len(LEVEL_DASHES)]};opacity:.7"


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="{look}"/>'


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
