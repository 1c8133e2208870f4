"""A picture of where rows go: a stream from the top to the bottom, which loses some at every way out.

Returns an SVG string in the manner of `luthier.reports.plots`, narrow enough to be read on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.reports.axes import fitted
from luthier.reports.page import escape
from luthier.reports.plots import COLOURS, FONT

WIDTH = 460.0
LEFT = 6.0
STREAM = 110.0
"""Pixels that the whole stream is wide."""
THINNEST = 1.5
"""A way out that a few rows take is drawn this wide, so that it can be seen."""
BETWEEN = 24.0
"""Pixels from one way out to the next."""
TURN = 26.0
"""Pixels that a way out takes to turn to the side."""
LINE = 18.0


@dataclass(frozen=True, slots=True)
class Exit:
    """A way out of the stream."""

    kind: str
    """What becomes of the rows: "merged", say. Each kind has a colour."""
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part of what is left at the end."""

    name: str
    count: int


def flow_plot(
    start: str, count: int, exits: Sequence[Exit], *, end: str, left: int, shares: Sequence[Share] = (), title: str = ""
) -> str:
    """`count` rows that come in, those that leave on the way in order, and what the `left` rows are at the end."""
    kinds = list(dict.fromkeys(exit.kind for exit in exits))
    scale = STREAM / max(1, count)
    marks, y, width = [_text(LEFT, 14, f"{start} {count:,}", bold=True)], 24.0, STREAM
    edge = [(LEFT, y), (LEFT + width, y), (LEFT + width, y + 14)]
    y += 14
    for one in exits:
        size = min(width, one.count * scale)
        height = max(BETWEEN, size + 10)
        colour = f"var(--series-{_slot(kinds, one.kind) + 1},{COLOURS[_slot(kinds, one.kind)]})"
        marks.append(_out(y, width, max(size, THINNEST), colour))
        edge += [(LEFT + max(THINNEST, width - size), y), (LEFT + max(THINNEST, width - size), y + height)]
        label = LEFT + STREAM + TURN + 16
        shown = f"{one.count:,} {one.kind}" + (f": {one.name}" if one.name else "")
        marks.append(_text(label, y + max(size, THINNEST) / 2 + 12, fitted(shown, WIDTH - label, FONT), full=shown))
        y, width = y + height, width - size
    edge += [(LEFT + max(THINNEST, width), y + 12), (LEFT, y + 12)]
    points = " ".join(f"{x:.1f},{at:.1f}" for x, at in edge)
    marks.insert(1, f'<polygon points="{points}" style="fill:var(--stream,#9fb4c6)"/>')
    marks.append(_text(LEFT, y + 30, f"{end} {left:,}", bold=True))
    y += 38
    total = sum(share.count for share in shares)
    if total:
        marks += _shares(shares, total, y)
        y += 20 + LINE * len([share for share in shares if share.count])
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH:.0f} {y + 6:.0f}" font-size="{FONT}" '
        f'font-family="inherit"><title>{escape(title or f"{start}, {end}")}</title>{"".join(marks)}</svg>'
    )


def _shares(shares: Sequence[Share], total: int, top: float) -> list[str]:
    """One bar over the whole width, and a line a part."""
    marks, x = [], LEFT
    for number, share in enumerate([share for share in shares if share.count]):
        colour = f"var(--series-{number % len(COLOURS) + 1},{COLOURS[number % len(COLOURS)]})"
        width = (WIDTH - 2 * LEFT) * share.count / total
        marks.append(_box(x, top, max(THINNEST, width - 1), 12, colour))
        at = top + 18 + LINE * number
        marks.append(_box(LEFT, at + 3, 10, 10, colour))
        marks.append(_text(LEFT + 17, at + 12, f"{share.name} {share.count:,} ({share.count / total:.1%})"))
        x += width
    return marks


def _slot(kinds: Sequence[str], kind: str) -> int:
    return (kinds.index(kind) + 1) % len(COLOURS)


def _out(top: float, width: float, size: float, colour: str) -> str:
    """A band that leaves the right edge of the stream and turns to the right."""
    x, inner, end = LEFT + width, LEFT + width - size, LEFT + STREAM + TURN + 10
    y = top + 8
    path = (
        f"M{inner:.1f} {top:.1f} C{inner:.1f} {y + size:.1f} {inner + 12:.1f} {y + size:.1f} {inner + size + 16:.1f} "
        f"{y + size:.1f} L{end:.1f} {y + size:.1f} L{end:.1f} {y:.1f} L{x + 16:.1f} {y:.1f} "
        f"C{x + 4:.1f} {y:.1f} {x:.1f} {y - 2:.1f} {x:.1f} {top:.1f} Z"
    )
    return f'<path d="{path}" style="fill:{colour};opacity:.85"/>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} style="fill:{colour}"/>'


def _text(x: float, y: float, text: str, *, bold: bool = False, full: str = "") -> str:
    style = "fill:currentColor" + (";font-weight:650" if bold else "")
    hover = f"<title>{escape(full)}</title>" if full and full != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{style}">{hover}{escape(text)}</text>'
