"""Tables of an HTML page to raw rows."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

from luthier.curate.faults import BadRow
from luthier.curate.files.raw import RawLine, RawRow, bytes_of, text_of
from luthier.curate.files.tables import Cells, checked, named

BLOCKS = frozenset({"p", "div", "li", "tr", "ul", "ol", "h1", "h2", "h3", "h4", "pre"})
"""Elements that stand on lines of their own within a cell."""
MUTED = frozenset({"script", "style"})
_BLANKS = re.compile(r"[ \t\r\n\f]+")


def read_html(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of every table of an HTML page; a table within a cell is text of that cell.

    Blanks are one blank, as a browser shows them, but within <pre>; <br> and paragraphs break lines.
    """
    return named(str(path), _cells(text_of(path)), columns)


def _cells(text: str) -> Iterator[Cells]:
    page = _Page(text)
    try:
        page.feed(text)
        page.close()
    except AssertionError as error:  # how the parser says that a declaration, <![...[, is broken
        page.end_row()
        page.give_up(str(error))
    page.end_row()
    return iter(page.rows)


class _Page(HTMLParser):
    """Collects the rows of the outermost tables."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[Cells] = []
        self._text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._depth = 0
        self._is_new = False
        self._row_start: int | None = None
        self._done: list[str] = []
        self._headers: list[bool] = []
        self._pieces: list[str] | None = None
        self._literal = 0
        self._muted = 0
        self._counted = 0, 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Open a table, a row or a cell, or break the line."""
        if tag == "table":
            self._depth += 1
            self._is_new = self._is_new or self._depth == 1
        elif tag == "tr" and self._depth == 1:
            self.end_row(self._index())
            self._row_start = self._index()
        elif tag in ("td", "th") and self._depth > 1 and self._pieces:
            self._pieces.append(" ")
        elif tag in ("td", "th") and self._depth == 1:
            self._end_cell()
            self._row_start = self._index() if self._row_start is None else self._row_start
            self._pieces = []
            self._headers.append(tag == "th")
        self._break(tag)
        self._literal += tag == "pre"
        self._muted += tag in MUTED

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """<br/> is <br>."""
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close a table, a row or a cell."""
        if tag in ("td", "th") and self._depth == 1:
            self._end_cell()
        elif tag == "tr" and self._depth == 1:
            self.end_row()
        elif tag == "table" and self._depth:
            if self._depth == 1:
                self.end_row()
            self._depth -= 1
        self._break(tag)
        self._literal = max(0, self._literal - (tag == "pre"))
        self._muted = max(0, self._muted - (tag in MUTED))

    def handle_data(self, data: str) -> None:
        """The text of a cell."""
        if self._pieces is None or self._muted:
            return
        if not self._literal:
            data = _BLANKS.sub(" ", data)
            if not self._pieces or self._pieces[-1].endswith((" ", "\n")):
                data = data.removeprefix(" ")
        if data:
            self._pieces.append(data)

    def end_row(self, end: int | None = None) -> None:
        """Keep the row that is open, if one is; it ends at `end`, or behind the tag that is parsed."""
        self._end_cell()
        if self._row_start is not None and self._done:
            end = self._index(after=True) if end is None else end
            row = Cells(self._lines(self._row_start, end), tuple(self._done),
                        is_header=True if all(self._headers) else None, begins=self._is_new)  # fmt: skip
            self.rows.append(checked(row))
            self._is_new = False
        self._row_start, self._done, self._headers = None, [], []

    def give_up(self, found: str) -> None:
        """Keep the rest of the page as one row that cannot be read."""
        bad = BadRow("not HTML", field="", found=found, expected="a page of HTML",
                     fix="remove this declaration from the page; the rows before it were read")  # fmt: skip
        self.rows.append(Cells(self._lines(self._index(), len(self._text)), bad=bad))

    def _end_cell(self) -> None:
        if self._pieces is not None:
            self._done.append("".join(self._pieces).strip("\n").rstrip(" \n"))
            self._pieces = None

    def _break(self, tag: str) -> None:
        """Begin a line where the tag does, unless that would be the first or an empty one that nobody asked for."""
        if not self._pieces or not (tag == "br" or (tag in BLOCKS and not self._pieces[-1].endswith("\n"))):
            return
        if not self._literal:
            self._pieces[-1] = self._pieces[-1].rstrip(" ")
        self._pieces.append("\n")

    def _index(self, *, after: bool = False) -> int:
        """Where parsing is in the text; behind the tag that is parsed with `after`."""
        line, column = self.getpos()
        index = self._starts[line - 1] + column
        if not after:
            return index
        end = self._text.find(">", index)
        return len(self._text) if end < 0 else end + 1

    def _lines(self, start: int, end: int) -> tuple[RawLine, ...]:
        counted, offset = self._counted
        offset += len(bytes_of(self._text[counted:start]))
        self._counted = start, offset
        first, lines = bisect_right(self._starts, start), []
        for number, line in enumerate(self._text[start:end].split("\n"), start=first):
            lines.append(RawLine(number, offset, bytes_of(line)))
            offset += len(lines[-1].data) + 1
        return tuple(lines)
