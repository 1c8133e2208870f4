import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

import pytest

from luthier.reports import Interval, Line, bar_plot, histogram, interval_plot, line_plot
from luthier.reports.axes import text_width
from luthier.reports.plots import COLOURS, DASHES, MOST_POINTS

LONG = "the share of all the rows of this file that name one of the groups which are compared here"
NAN, INF = float("nan"), float("inf")

PLOTS: dict[str, Callable[[Sequence[float | None]], str]] = {
    "line": lambda v: line_plot([Line("a", list(range(len(v))), v), Line("b", v, v)], x_label="x", y_label="y"),
    "interval": lambda v: interval_plot([Interval("r", x, x, x) for x in v], x_label="x", reference=0.5),
    "bar": lambda v: bar_plot([f"r{k}" for k in range(len(v))], v, x_label="x"),
    "histogram": lambda v: histogram(v, bins=5, x_label="x"),
}
INPUTS: dict[str, list[float | None]] = {
    "empty": [],
    "single": [3.0],
    "zero": [0.0],
    "equal": [2.5, 2.5, 2.5],
    "nan": [NAN, NAN],
    "none": [None, 1.0, None],
    "mixed": [1.0, NAN, INF, -INF, 2.0],
    "huge": [1e308, -1e308, 0.0],
    "largest": [math.inf, 1.7976931348623157e308, -1.7976931348623157e308],
    "tiny": [5e-324, 1e-300, 0.0],
    "close": [1.0, 1.0 + 2e-16, 1.0 + 4e-16],
    "negative": [-1.0, -5.0],
    "many": [float(k % 17) for k in range(3000)],
}


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("kind", INPUTS)
def test_every_plot_survives_empty_single_missing_and_huge_values(plot: str, kind: str) -> None:
    svg = PLOTS[plot](INPUTS[kind])
    root = ET.fromstring(svg)
    assert root.get("role") == "img" and root[0].tag == "title" and root[0].text
    numbers = [value for node in root.iter() for key, value in node.attrib.items()
               if key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height")]  # fmt: skip
    assert all(math.isfinite(float(n)) for n in numbers)
    points = [float(n) for p in root.iter("polyline") for n in re.split("[ ,]", p.attrib["points"])]
    assert all(math.isfinite(n) and -1 <= n <= 3000 * 28 for n in points)


def test_a_gap_in_a_line_is_a_gap_and_not_a_zero() -> None:
    svg = line_plot([Line("a", [0, 1, 2, 3, 4], [1.0, 2.0, None, 2.0, NAN])], x_label="x", y_label="y")
    root = ET.fromstring(svg)
    assert len(root.findall("polyline")) == 1 and len(root.findall("circle")) == 1


def test_a_long_line_is_thinned_but_keeps_its_spike_and_its_ends() -> None:
    ys = [0.0] * 100_000
    ys[54_321] = 9.0
    root = ET.fromstring(line_plot([Line("a", range(100_000), ys)], x_label="x", y_label="y"))
    points = [tuple(map(float, p.split(","))) for p in root.findall("polyline")[0].attrib["points"].split()]
    assert len(points) <= MOST_POINTS + 3
    heights = [y for _, y in points]
    assert sum(y < max(heights) - 100 for y in heights) == 1
    assert points[0][0] == 62.0


def test_few_lines_are_named_at_their_ends_without_overlap() -> None:
    series = [Line(f"name {k}", [0, 1], [0.0, 1.0 + k * 1e-6]) for k in range(6)]
    root = ET.fromstring(line_plot(series, x_label="x", y_label="y"))
    places = sorted(float(t.attrib["y"]) for t in root.findall("text") if (t.text or "").startswith("name"))
    assert len(places) == 6
    assert min(b - a for a, b in itertools.pairwise(places)) >= 12


def test_many_lines_get_a_legend_and_differ_in_colour_and_dash() -> None:
    series = [Line(f"name {k}", [0, 1], [0.0, float(k)]) for k in range(20)]
    root = ET.fromstring(line_plot(series, x_label="x", y_label="y"))
    assert sum((t.text or "").startswith("name") for t in root.findall("text")) == 20
    styles = [p.attrib["style"] for p in root.findall("polyline")]
    assert len(set(styles)) == 20 and len(styles) == 40  # once in the legend, once drawn


def test_every_pair_of_neighbouring_series_differs_in_dash_too() -> None:
    assert len(COLOURS) == len(DASHES) == len(set(COLOURS)) == len(set(DASHES))


def test_colours_come_from_the_page_so_that_dark_mode_works() -> None:
    for plot in PLOTS.values():
        svg = plot([1.0, 2.0])
        assert "currentColor" in svg and not re.search(r"(?:fill|stroke):#", svg)


def test_an_interval_row_states_its_numbers_and_a_missing_one_says_so() -> None:
    svg = interval_plot(
        [Interval("kpi", 0.124, 0.061, 0.187), Interval("other", None, None, None)], x_label="d", reference=0.0
    )
    said = "".join(ET.fromstring(svg).itertext())
    assert "0.12 [0.06, 0.19]" in said and "no value" in said


def test_a_long_label_is_cut_and_whole_on_hover() -> None:
    label = "a very long name of a measure that cannot fit in the line above its bar, which has no room for so many words"
    said = list(ET.fromstring(bar_plot([label], [1.0], x_label="x")).itertext())
    assert label in said and any(t.endswith("\u2026") for t in said)


def test_counts_have_whole_ticks_and_shares_have_not() -> None:
    def shown(values: Sequence[float]) -> list[str]:
        svg = bar_plot(["a", "b"], values, x_label="rows")
        return [t.text or "" for t in ET.fromstring(svg).findall("text") if t.attrib["text-anchor"] == "middle"]

    assert shown([1, 1]) == ["0", "1", "rows"]
    assert "0.2" in shown([1.0, 1.0])
    counts = [t.text for t in ET.fromstring(histogram([0.0, 1.0], bins=2, x_label="x")).findall("text")]
    assert "0.2" not in [t for t in counts if t][6:], counts


@pytest.mark.parametrize("plot", PLOTS)
def test_no_text_leaves_its_plot_and_a_phone_shows_it_large_enough(plot: str) -> None:
    drawn = {
        "line": lambda: line_plot([Line(f"a line named {k}", [0, 12345.678], [k, 1e6]) for k in range(3)],
                                  x_label=LONG, y_label=LONG),
        "interval": lambda: interval_plot([Interval(f"{LONG} {k}", k / 3, k / 3 - 0.123, k / 3 + 0.1) for k in range(5)],
                                          x_label=LONG, reference=0.0),
        "bar": lambda: bar_plot([LONG, "b"], [123_456.7, None], x_label=LONG),
        "histogram": lambda: histogram([0.0, 99_999.0, 1e6], bins=40, x_label=LONG),
    }[plot]()  # fmt: skip
    root = ET.fromstring(drawn)
    width, size = float(root.attrib["viewBox"].split()[2]), float(root.attrib["font-size"])
    assert 358 / width * size >= 9, "of 390 pixels, 32 are margins"
    for text in root.findall("text"):
        said, at = "".join(t for t in [text.text, *(child.tail for child in text)] if t), float(text.attrib["x"])
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.attrib["text-anchor"]]
        room = text_width(said, size)
        assert at - share * room >= 0 and at + (1 - share) * room <= width, said


def test_bars_start_at_zero_when_all_values_are_far_from_it() -> None:
    root = ET.fromstring(bar_plot(["a", "b"], [100.0, 50.0], x_label="x"))
    wide, narrow = (float(r.attrib["width"]) for r in root.findall("rect"))
    assert wide == pytest.approx(2 * narrow, abs=0.2)


def test_a_histogram_counts_every_value_and_states_what_it_leaves_out() -> None:
    svg = histogram([0.0, 0.0, 1.0, None, NAN], bins=2, x_label="x")
    root = ET.fromstring(svg)
    tall, short = (float(r.attrib["height"]) for r in root.findall("rect"))
    assert tall == pytest.approx(2 * short, abs=0.2)
    assert "2 without a value" in "".join(root.itertext())


def test_plots_of_the_same_numbers_are_the_same_bytes() -> None:
    for plot in PLOTS.values():
        assert plot([1.0, 2.0, None]) == plot([1.0, 2.0, None])
