import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.reports.axes import fitted, interval_text, number_text, span, text_width, tick_texts, ticks


def test_ticks_are_round_and_inside_the_range() -> None:
    assert ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3.0, 97.0) == [20.0, 40.0, 60.0, 80.0]
    assert ticks(-0.1, 0.2) == [-0.1, 0.0, 0.1, 0.2]


@given(st.floats(0, 1e9), st.integers(1, 12))
def test_things_that_are_counted_get_whole_ticks(high: float, count: int) -> None:
    found = ticks(0.0, high, count=count, is_whole=True)
    assert found[0] == 0 and all(tick == int(tick) for tick in found) and len(found) <= count + 1
    assert ticks(0.0, 1.02, is_whole=True) == [0.0, 1.0]
    assert ticks(0.0, 12.0, is_whole=True) == [0.0, 5.0, 10.0]


@given(st.floats(-8e307, 8e307), st.floats(-8e307, 8e307))
def test_any_two_values_give_a_usable_axis(a: float, b: float) -> None:
    low, high = span([a, b])
    assert math.isfinite(high - low) and high > low
    found = ticks(low, high)
    assert 1 <= len(found) <= 15 and found == sorted(found)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 5000.0, 10000.0], ["0", "5k", "10k"]),
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([1.00001, 1.00002], ["1.00001", "1.00002"]),
        ([0.0, 2e6], ["0", "2M"]),
    ],
)  # fmt: skip
def test_ticks_of_one_axis_share_a_unit_and_are_told_apart(values: list[float], texts: list[str]) -> None:
    assert tick_texts(values) == texts


def test_numbers_take_few_characters() -> None:
    assert [number_text(v) for v in (0.0, -0.25, 12345.0, -3.2e6, 4.5e9, 1e300)] == [
        "0",
        "-0.25",
        "12.35k",
        "-3.2M",
        "4.5G",
        "1e+300",
    ]


def test_text_is_cut_to_its_room_and_wide_characters_count_double() -> None:
    assert fitted("short", 100, 12) == "short"
    assert text_width(fitted("a" * 200, 100, 12), 12) <= 100
    assert text_width("\u65e5\u672c", 10) == 20


def test_an_interval_is_written_with_the_digits_that_its_width_supports() -> None:
    assert interval_text(0.68182, 0.56213, 0.78194) == "0.68 [0.56, 0.78]"
    assert interval_text(0.501, 0.4998, 0.5021) == "0.5010 [0.4998, 0.5021]"
    assert interval_text(-3.0, -12.0, 6.0) == "-3 [-12, 6]"
    assert interval_text(2e6, 1.5e6, 2.5e6) == "2M [1.5M, 2.5M]"
    assert interval_text(0.5, 0.5, 0.5) == "0.5 [0.5, 0.5]"
