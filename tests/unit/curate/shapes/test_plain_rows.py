"""The short way from a row to its record gives what the long way gives."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.files.raw import RawRow
from luthier.curate.names import ANSWER_NAMES, INPUT_NAMES, PROMPT_NAMES
from luthier.curate.shapes import recognising as shapes
from luthier.curate.shapes.plain_rows import MEANINGFUL, TEXT_FIELDS, plan_of
from luthier.curate.shapes.recognising import convert

TEXTS = ["a", "", " ", "N/A", "<noinput>", " none ", "<nooutput>", "\u200b", "  b\n", "None" + " " * 40, "\n\nHuman: x\n\nAssistant:",
         "Human: x", "caf\u00e9", "!", "false"]  # fmt: skip
names = st.sampled_from(
    [*PROMPT_NAMES, *INPUT_NAMES, *ANSWER_NAMES, *TEXT_FIELDS, *sorted(MEANINGFUL), "id", "source", "extra"]
)
values = st.one_of(
    st.sampled_from(TEXTS),
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.lists(st.one_of(st.sampled_from(TEXTS), st.none()), max_size=2),
)
usual = st.fixed_dictionaries(
    {"instruction": st.sampled_from(TEXTS), "output": st.one_of(st.sampled_from(TEXTS), st.lists(st.sampled_from(TEXTS), max_size=2))},
    optional={"input": st.one_of(st.sampled_from(TEXTS), st.none()), "task": st.sampled_from(TEXTS), "licence": st.sampled_from(TEXTS),
              "license": st.sampled_from(TEXTS), "extra": st.integers()},
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(row=st.one_of(st.dictionaries(names, values, max_size=6), usual), licence=st.sampled_from([None, "CC0"]))
def test_the_short_way_gives_what_the_long_way_gives(row, licence):
    raw = RawRow("rows.jsonl", 7, json.dumps(row).encode(), row)
    shapes._KNOWN.clear()
    short = convert(raw, licence=licence)
    again = convert(raw, licence=licence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "_way_of", lambda row: (shapes._first_that_fits(row), None))
        assert short == again == convert(raw, licence=licence)


def test_rows_as_most_files_hold_them_go_the_short_way():
    for row in ({"instruction": "a", "input": "", "output": "b"}, {"question": "a", "answer": "b", "n": 3},
                {"prompt": "a", "completion": "b", "task": "t", "licence": "MIT"}, {"input": "a", "output": ["b"]},
                {"instruction": "a", "context": None, "response": "b"}):  # fmt: skip
        assert plan_of({name: type(value) for name, value in row.items()}) is not None


def test_how_many_looks_of_rows_are_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_KNOWN", 5)
    for number in range(20):
        row = {"prompt": "a", "completion": "b", f"column {number}": ""}
        assert convert(RawRow("x", 1, b"{}", row)).shape == "prompt/completion"
        assert len(shapes._KNOWN) <= 5
