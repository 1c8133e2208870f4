"""Marked texts, folds, contents, headline numbers, the stream of rows and the plot of lengths."""

import doctest
import re
from html.parser import HTMLParser

import pytest

from luthier.reports import Page, Sample, marks
from luthier.reports.flows import Exit, Share, flow_plot
from luthier.reports.marks import differing, shortened
from luthier.reports.page import Marked
from luthier.reports.plots import length_plot

NASTY = '<script>alert(1)</script>" onload="alert(2)" & \x00'


def plain(marked):
    return "".join(text for text, _ in marked.pieces)


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(marks)
    assert result.attempted >= 4 and result.failed == 0


@pytest.mark.parametrize(("left", "right"), [("", "a b"), ("a  b, c", "a c"), ("same", "same"), ("x " * 3000, "y")])
def test_marking_changes_no_text(left, right):
    pair = differing(left, right)
    assert (plain(pair.left), plain(pair.right)) == (left, right)


def test_only_what_the_other_lacks_is_marked():
    pair = differing("We open at nine today.", "We open at half past ten today.")
    assert [text for text, mark in pair.left.pieces if mark] == ["nine"]
    assert [text for text, mark in pair.right.pieces if mark] == ["half past ten"]
    assert not any(mark for _, mark in differing("same words", "same words").left.pieces)


def test_shortening_keeps_every_mark_and_its_surroundings():
    text = Marked((("word " * 100, False), ("here", True), (" word" * 100, False), ("there", True), (" end", False)))
    short = shortened(text, context=20)
    assert [piece for piece, mark in short.pieces if mark] == ["here", "there"]
    assert len(plain(short)) < 120 and plain(short).endswith("there end")


def test_marked_text_is_escaped_in_and_out_of_marks():
    page = Page("t")
    page.samples([Sample("s", (("said", Marked(((NASTY, False), (NASTY, True)))),))])
    with page.folded(NASTY):
        page.code(NASTY)
    page.numbers({NASTY: NASTY})
    page.subheading(NASTY)
    page.figure(flow_plot(NASTY, 9, [Exit(NASTY, NASTY, 4)], end=NASTY, left=5, shares=[Share(NASTY, 5)], title=NASTY))
    page.figures([(length_plot([1, 2], x_label=NASTY, title=NASTY), NASTY)])
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

    Tags().feed(page.html())
    assert not any(tag == "script" or any(key.startswith("on") for key in attrs) for tag, attrs in tags)
    assert sum(tag == "mark" for tag, _ in tags) == 1 and "\x00" not in page.html()


def test_contents_stand_where_they_were_asked_for_and_name_later_sections():
    page = Page("t")
    page.text("before")
    page.contents()
    page.heading("One")
    page.heading("Two")
    html = page.html()
    assert html.index("before") < html.index("<nav") < html.index("<h2")
    assert re.findall(r'href="#(part-\d)">(\w+)<', html) == [("part-1", "One"), ("part-2", "Two")]
    assert page.html() == html
    assert "<nav" not in Page("t").html()


def test_headline_numbers_are_separated_by_thousands():
    page = Page("t")
    page.numbers({"rows": 1234})
    assert "<dd>1,234</dd>" in page.html()


def test_a_fold_is_closed_after_its_content():
    page = Page("t")
    with page.folded("more"):
        page.text("inside")
    page.text("outside")
    html = page.html()
    assert html.index("inside") < html.index("</details>") < html.index("outside")


def test_the_stream_loses_what_leaves_it():
    svg = flow_plot("read", 100, [Exit("merged", "same", 25), Exit("dropped", "", 50)], end="kept", left=25,
                    shares=[Share("train", 20), Share("dev", 5), Share("none", 0)])  # fmt: skip
    points = [tuple(map(float, point.split(","))) for point in re.search(r'points="([^"]+)"', svg)[1].split()]
    widths = [x - points[0][0] for x, _ in points[1:-1]]
    assert [round(width / widths[0], 2) for width in dict.fromkeys(widths)] == [1, 0.75, 0.25]
    for said in ("read 100", "kept 25", "25 merged: same", "50 dropped", "train 20 (80.0%)", "dev 5 (20.0%)"):
        assert f">{said}<" in svg, said
    assert "none 0" not in svg


def test_a_stream_of_nothing_can_be_drawn():
    assert "read 0" in flow_plot("read", 0, [], end="kept", left=0)


def test_every_length_stands_in_one_bar():
    svg = length_plot([0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 900], x_label="words")
    assert svg.count("<rect") == 8  # 0, 1, 2, 3, 4-5, 6-7, 8-11 and 768-1023
    assert "nothing to show" in length_plot([], x_label="words")
