"""A report as one HTML file: readable offline, on a phone, in light and dark, and safe with any text inside."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from luthier import __version__
from luthier.records.whole_files import write_text_whole

Tone = Literal["good", "bad", "unsure"]

# Models and users write the text of a report: nothing may run or be fetched, even if an escape were missed.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters and lone surrogates: neither may stand in an HTML file."""

MISSING = "\u2013"
"""Shown for None and NaN (an en dash)."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A text of which some stretches are marked; `luthier.reports.marks` makes them."""

    pieces: tuple[tuple[str, bool], ...]
    """(stretch, whether it is marked), which together are the text."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A card of texts to compare: the prompt, the target and what two models said."""

    title: str
    parts: tuple[tuple[str, str | Marked], ...]
    """(label, text) blocks, shown side by side, stacked on phones."""
    tone: str = ""
    """Colour of the card's edge: one of the tones, or "" for none."""


@dataclass(slots=True)
class Page:
    """A page that is filled from top to bottom. All text is escaped; only plots enter as markup."""

    title: str
    subtitle: str = ""
    _blocks: list[str] = field(default_factory=list, repr=False)
    _headings: list[str] = field(default_factory=list, repr=False)
    _contents_at: int | None = field(default=None, repr=False)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._headings.append(text)
        self._blocks.append(f'<h2 id="part-{len(self._headings)}">{escape(text)}</h2>')

    def subheading(self, text: str) -> None:
        """Begin a part of a section."""
        self._blocks.append(f'<h3 class="sub">{escape(text)}</h3>')

    def contents(self) -> None:
        """A line of links to all sections, here."""
        self._contents_at = len(self._blocks)

    @contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """What is added inside the `with` is shown when the reader opens it."""
        self._blocks.append(f"<details><summary>{escape(summary)}</summary>")
        yield
        self._blocks.append("</details>")

    def text(self, text: str) -> None:
        """Running text; an empty line begins a new paragraph."""
        for paragraph in re.split(r"\n\s*\n", text.strip()):
            self._blocks.append(f'<p dir="auto">{escape(paragraph)}</p>')

    def verdict(self, word: str, text: str, tone: Tone) -> None:
        """The banner that says what the page comes to."""
        self._blocks.append(
            f'<section class="verdict {_tone(tone)}"><strong>{escape(word)}</strong><p>{escape(text)}</p></section>'
        )

    def numbers(self, numbers: Mapping[str, object]) -> None:
        """The few numbers that a reader should take away, large, each with its name below."""
        tiles = (f'<div><dd>{_shown(value, separated=True)}</dd><dt>{escape(name)}</dt></div>'
                 for name, value in numbers.items())  # fmt: skip
        self._blocks.append(f'<dl class="numbers">{"".join(tiles)}</dl>')

    def code(self, text: str) -> None:
        """Text to copy: a command, lines of a file."""
        self._blocks.append(f'<pre tabindex="0">{escape(text)}</pre>')

    def facts(self, facts: Mapping[str, object]) -> None:
        """Names and values, as a definition list."""
        rows = (f'<div><dt>{escape(name)}</dt><dd dir="auto">{_shown(value)}</dd></div>'
                for name, value in facts.items())  # fmt: skip
        self._blocks.append(f'<dl class="facts">{"".join(rows)}</dl>')

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
        """A table; columns that hold only numbers are aligned to the right.

        Where it is wider than the window, the table moves sideways in its box, and the caption above it stays whole.
        """
        numeric = [all(_is_numeric(row[k]) for row in rows) and bool(rows) for k in range(len(columns))]
        head = "".join(_cell("th", escape(name), right) for name, right in zip(columns, numeric, strict=True))
        body = "".join(
            "<tr>" + "".join(_cell("td", _shown(v), right) for v, right in zip(row, numeric, strict=True)) + "</tr>"
            for row in rows
        ) or f'<tr><td class="none" colspan="{max(1, len(columns))}">nothing to show</td></tr>'  # fmt: skip
        own = f"caption-{len(self._blocks)}"
        caption_html = f'<p class="caption" id="{own}">{escape(caption)}</p>' if caption else ""
        name = f'aria-labelledby="{own}"' if caption else 'aria-label="table"'
        self._blocks.append(
            f'<div class="wide">{caption_html}<div class="scroll" role="region" tabindex="0" {name}><table {name}>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>"
        )

    def figure(self, svg: str, caption: str = "") -> None:
        """A plot made by `luthier.reports.plots`, which escapes the text that it draws."""
        self._blocks.append(_figure(svg, caption))

    def figures(self, figures: Sequence[tuple[str, str]]) -> None:
        """Narrow plots with their captions, side by side where there is room."""
        self._blocks.append('<div class="figures">' + "".join(_figure(*figure) for figure in figures) + "</div>")

    def samples(self, samples: Sequence[Sample], caption: str = "") -> None:
        """Cards of texts, one below the other."""
        if caption:
            self._blocks.append(f'<p class="caption">{escape(caption)}</p>')
        self._blocks += [_card(sample) for sample in samples] or ['<p class="none">nothing to show</p>']

    def html(self) -> str:
        """The whole page as one string."""
        subtitle = f'<p class="subtitle">{escape(self.subtitle)}</p>' if self.subtitle else ""
        blocks = list(self._blocks)
        if self._contents_at is not None:
            blocks.insert(self._contents_at, _contents(self._headings))
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(self.title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n<main>\n"
            f"<header><h1>{escape(self.title)}</h1>{subtitle}</header>\n"
            + "\n".join(blocks)
            + f"\n</main>\n<footer>Luthier {escape(__version__)}</footer>\n</body>\n</html>\n"
        )

    def write(self, path: Path) -> None:
        """Write the page whole or not at all."""
        write_text_whole(path, self.html())


def escape(text: object) -> str:
    """`text` for HTML content and attributes, whatever it holds; unprintable characters become U+FFFD."""
    return html.escape(UNPRINTABLE.sub("\ufffd", str(text)), quote=True)


def _contents(headings: Sequence[str]) -> str:
    links = "".join(f'<a href="#part-{k}">{escape(text)}</a>' for k, text in enumerate(headings, start=1))
    return f'<nav class="contents" aria-label="contents">{links}</nav>'


def _figure(svg: str, caption: str) -> str:
    assert svg.startswith("<svg") and "<script" not in svg.lower(), "a figure is an SVG made by reports.plots"
    caption_html = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{svg}{caption_html}</figure>"


def _said(text: str | Marked) -> str:
    if isinstance(text, str):
        return escape(text)
    return "".join(f"<mark>{escape(piece)}</mark>" if marked else escape(piece) for piece, marked in text.pieces)


def _card(sample: Sample) -> str:
    parts = "".join(
        f'<div class="part"><h4>{escape(label)}</h4><div class="said" dir="auto" tabindex="0">{_said(text)}</div></div>'
        for label, text in sample.parts
    )
    columns = 2 if len(sample.parts) == 4 else min(3, max(1, len(sample.parts)))
    return (
        f'<article class="card {_tone(sample.tone)}"><h3>{escape(sample.title)}</h3>'
        f'<div class="parts" style="--columns:{columns}">{parts}</div></article>'
    )


def _tone(tone: str) -> str:
    return tone if tone in ("good", "bad", "unsure") else "plain"


def _cell(tag: str, content: str, is_right: bool) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    side = ' class="number"' if is_right else ' dir="auto"'
    return f"<{tag}{scope}{side}>{content}</{tag}>"


def _is_numeric(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: object, *, separated: bool = False) -> str:
    """A value as people read it: thousands separated, four significant digits, yes and no."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if separated or abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"
    return escape(value)


@cache
def _style() -> str:
    return (files("luthier.reports") / "page.css").read_text(encoding="utf-8")
