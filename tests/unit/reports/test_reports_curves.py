import math
import re
import xml.etree.ElementTree as ET

from luthier.reports.curves import Curve, Level, Point, curve_plot, standalone

POINTS = [Point(1, 0.1, 0.05, 0.2, (0.08, 0.12)), Point(2, 0.2, None, None), Point(8, 0.4, 0.3, math.inf)]


def test_each_doubling_takes_the_same_room_and_every_x_has_its_tick():
    svg = curve_plot([Curve("a", POINTS)], x_label="clusters", y_label="score")
    xs = [float(x) for x in re.findall(r'<polyline points="([^"]+)"', svg)[0].replace(",", " ").split()[::2]]
    assert abs((xs[2] - xs[0]) - 3 * (xs[1] - xs[0])) < 0.5
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert [text for text in texts if text in ("1", "2", "8")] == ["1", "2", "8"] and {"clusters", "score"} <= {*texts}


def test_intervals_single_runs_and_the_levels_are_drawn():
    levels = [Level("base", 0.05, 0.02, 0.08), Level("copied", 0.5)]
    svg = curve_plot([Curve("a", POINTS), Curve("b", POINTS)], x_label="x", y_label="y", levels=levels)
    assert svg.count('r="5"') == 6 and svg.count('r="2.5"') == 4, "values and single runs"
    assert svg.count("stroke-linecap:round") == 2, "an infinite bound is no interval"
    assert svg.count("<rect") == 1 and svg.count(">base<") == 1 and svg.count(">copied<") == 1
    places = {dash: re.findall(rf'y1="([\d.]+)"[^>]*stroke-dasharray:{dash};', svg) for dash in ("5 4", "2 3")}
    (_, low), (_, high) = places["5 4"], places["2 3"]  # the first of each is in the key
    assert float(high) < float(low), "each level has a look of its own, and the axis holds both"


def test_names_are_cut_only_where_they_do_not_fit():
    def shown(*names: str) -> str:
        return curve_plot([Curve(names[0], POINTS)], x_label="x", y_label="y",
                          levels=[Level(name, 0.1) for name in names[1:]])  # fmt: skip

    def num_lines(svg: str) -> int:
        return len({*re.findall(r'<text x="[\d.]+" y="([\d.]+)"[^>]*>(?:right|base|copied)', svg)})

    names = ("right as generated", "base, better zero-shot reading", "base, few-shot", "copied input")
    assert all(f">{name}<" in shown(*names) for name in names), "what does not fit beside the curves goes below them"
    assert num_lines(shown(*names)) == 2 and num_lines(shown("right", *names[2:])) == 1
    assert shown(*["base, in a reading with a long name"] * 5).count("with a long name<") == 5, "a line for each"
    assert "\u2026" in shown("a name that is too long for a whole line " * 3)


def test_numbers_of_ticks_that_lie_close_are_not_written_over_each_other():
    points = [Point(x, 0.1) for x in (100, 101, 102, 400)]
    texts = re.findall(r">(\d+)</text>", curve_plot([Curve("a", points)], x_label="x", y_label="y"))
    assert texts == ["100", "400"]


def test_one_x_and_nothing_are_drawn_too():
    assert "nan" not in curve_plot([Curve("a", POINTS[:1])], x_label="x", y_label="y")
    assert "nothing to show" in curve_plot([], x_label="x", y_label="y")


def test_text_is_escaped_and_a_file_stands_alone():
    svg = standalone(curve_plot([Curve("<b>&", POINTS)], x_label="x", y_label="y"))
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and "<b>" not in svg
    assert "prefers-color-scheme:dark" in svg and "--series-1:" in svg
