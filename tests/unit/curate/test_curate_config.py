"""The tables [data] and [curate]: strict about types, and shares that leave something to train on."""

from pathlib import Path

import pytest

from luthier.config import validate
from luthier.curate.config import CurateConfig, DataConfig
from luthier.errors import ConfigError


def made(kind, data):
    return validate(kind, data, places={}, default_place="recipe.toml")


def test_files_are_required_and_become_paths():
    assert made(DataConfig, {"files": ["a.jsonl"], "held_out": ["b.csv"]}).held_out == (Path("b.csv"),)
    for data in ({}, {"files": []}):
        with pytest.raises(ConfigError, match="files"):
            made(DataConfig, data)


@pytest.mark.parametrize(
    "data", [{"dev_share": 1.0}, {"held_out_share": -0.1}, {"dev_share": 0.5, "held_out_share": 0.5}]
)
def test_shares_that_leave_nothing_to_train_on_are_refused(data):
    with pytest.raises(ConfigError):
        made(CurateConfig, data)


def test_names_of_other_tools_get_a_hint():
    with pytest.raises(ConfigError, match="did you mean held_out_share"):
        made(CurateConfig, {"test_size": 0.1})
    with pytest.raises(ConfigError, match="did you mean licence"):
        made(CurateConfig, {"license": "MIT"})


@pytest.mark.parametrize("keep", [0, -3, 1.0, 1.5, 0.0, True, "half"])
def test_what_is_neither_a_number_of_rows_nor_a_share_is_refused(keep):
    with pytest.raises(ConfigError, match="keep"):
        made(CurateConfig, {"select": {"keep": keep}})


def test_rows_to_keep_are_a_number_or_a_share():
    assert made(CurateConfig, {"select": {"keep": 1000}}).select.keep == 1000
    assert made(CurateConfig, {"select": {"keep": 0.25}}).select.keep == 0.25
    assert made(CurateConfig, {"select": {"keep": "none"}}).select.keep is None
    with pytest.raises(ConfigError, match="methods"):
        made(CurateConfig, {"select": {"keep": 5, "methods": []}})
