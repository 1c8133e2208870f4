"""No file of a page is too long to be read."""

from __future__ import annotations

from pathlib import Path

import luthier

SRC = Path(luthier.__file__).parent
MOST_LINES = 400
PAGES = sorted(
    path
    for path in SRC.rglob("*")
    if path.suffix in {".js", ".css", ".html"} and {"static", "reports"} & set(path.relative_to(SRC).parts[:-1])
)


def test_no_file_of_a_page_has_more_than_400_lines():
    assert {"review.js", "chat.js", "page.css", "chat.html"} <= {path.name for path in PAGES}
    long = {path.relative_to(SRC).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in PAGES}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}
