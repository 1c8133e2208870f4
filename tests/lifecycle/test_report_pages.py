"""A report in a real browser, on a phone and on a desk: nothing of a figure or a caption is cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes_serve import chromium_path
from luthier.reports import Interval, Line, bar_plot, histogram, interval_plot, line_plot
from luthier.reports import Page as Report
from luthier.reports.curves import Curve, Level, Point, curve_plot
from luthier.reports.flows import Exit, Share, flow_plot
from luthier.reports.plots import length_plot

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser  # noqa: E402

pytestmark = pytest.mark.browser
WAIT_MS = 60_000  # a busy machine is slow, not wrong
LEAST_PIXELS = 9.0
SENTENCE = ("Differences are of generated answers, paired item by item; with fewer than five tasks the intervals speak "
            "for further rows of these tasks only")  # fmt: skip

MEASURED = """() => {
  const wide = document.documentElement.clientWidth, cut = [], sizes = [];
  for (const node of document.querySelectorAll("svg text, figcaption, .caption")) {
    const box = node.getBoundingClientRect(), plot = node.closest("svg")?.getBoundingClientRect();
    const left = Math.max(0, plot?.left ?? 0), right = Math.min(wide, plot?.right ?? wide);
    if (box.width === 0 || box.left < left - 0.5 || box.right > right + 0.5) cut.push(node.textContent);
    if (plot) sizes.push(parseFloat(getComputedStyle(node).fontSize)
                         * plot.width / node.ownerSVGElement.viewBox.baseVal.width);
  }
  const boxes = [...document.querySelectorAll(".scroll")];
  return { wide, page: document.documentElement.scrollWidth, cut, smallest: Math.min(...sizes), count: sizes.length,
           boxes: boxes.map(one => [one.clientWidth, one.scrollWidth]),
           named: boxes.map(one => document.getElementById(one.getAttribute("aria-labelledby"))?.textContent ?? "") };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of figure with long words and numbers, a caption as long as a sentence, tables as wide as a study's."""
    page = Report("A report", "with all that a page can hold")
    points = [Point(x, 0.1 * x**0.5, 0.05 * x**0.5, 0.2 * x**0.5, (0.1, 0.2)) for x in (1, 4, 17)]
    names = [("steps of the training", "each step"), ("step", "mean of 20")]
    page.figure(line_plot([Line(name, [0, 90_000], [0.1, 1.5]) for _, name in names], x_label="step", y_label="loss"), SENTENCE)
    page.figure(line_plot([Line(f"a long name of line {k}", [0, 90_000], [k, 2.0]) for k in range(8)], x_label="step",
                          y_label="share of computed positions that are tokens"), SENTENCE)  # fmt: skip
    page.figure(interval_plot([Interval(name, 0.1251, 0.0614, 0.1893) for name in ("auto", "women, prompts", SENTENCE)],
                              x_label="score less that of the arm of all clusters", reference=0.0), SENTENCE)  # fmt: skip
    page.figure(bar_plot(["en (99.1%)", "cannot be told (0.4%)", SENTENCE], [123_456, 1, 90_000], x_label="rows"), SENTENCE)
    page.figure(histogram([0.5, 1_250.0, 99_999.0], bins=40, x_label="milliseconds to the last token"), SENTENCE)
    page.figures([(length_plot([1, 9, 4_000], x_label=f"words of the {name}"), "") for name in ("prompt", "answer")])
    page.figure(curve_plot([Curve("generated", points), Curve("likeliest option", points)],
                           levels=[Level("base, better zero-shot reading", 0.2, 0.1, 0.3), Level("base, few-shot", 0.4)],
                           x_label="trained clusters (log scale)", y_label="right answers above chance"), SENTENCE)  # fmt: skip
    page.figure(flow_plot("read", 230, [Exit("quarantined", "empty answer", 4)], end="kept", left=226,
                          shares=[Share("train", 200), Share("held_out", 26)]), SENTENCE)  # fmt: skip
    estimate = "+0.125 [-0.033, +0.267]".replace(" ", "\u00a0")
    page.table([f"column {k}" for k in range(7)], [["some words", *[estimate] * 6]] * 3, SENTENCE)
    page.table(["name", "value"], [["one", 1]], "A short one")
    with page.folded("more"):
        page.table([f"column {k}" for k in range(7)], [["other words", *[estimate] * 6]], f"Folded. {SENTENCE}")
    path = tmp_path_factory.mktemp("report") / "report.html"
    page.write(path)
    return path


def measured(browser: Browser, report: Path, width: int, scheme: str) -> dict[str, Any]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found: dict[str, Any] = page.evaluate(MEASURED)
    context.close()
    return found


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light")])
def test_no_text_of_a_figure_or_a_caption_is_cut_and_all_can_be_read(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    found = measured(browser, report, width, scheme)
    assert found["cut"] == [] and found["page"] <= found["wide"] == width
    assert found["count"] > 80 and found["smallest"] >= LEAST_PIXELS
    assert found["named"] == [SENTENCE, "A short one", f"Folded. {SENTENCE}"], "a box has the name of what it holds"


def test_a_table_takes_the_whole_window_before_it_is_cut(browser: Browser, report: Path) -> None:
    for shown, inside in measured(browser, report, 1280, "light")["boxes"]:
        assert inside <= shown
    wide, small, folded = measured(browser, report, 1280, "light")["boxes"]
    assert wide[0] > 960 and folded[0] > 960 and small[0] == 960, "only what needs it goes beyond the text"
    phone = measured(browser, report, 390, "light")["boxes"]
    assert [shown for shown, _ in phone] == [358] * 3 and phone[0][1] > 358, "a phone moves it sideways"
