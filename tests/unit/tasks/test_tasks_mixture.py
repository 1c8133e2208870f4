"""Shares of tasks in what is trained, and the [tasks] table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config import load_config
from luthier.errors import ConfigError
from luthier.tasks import MixtureConfig, TasksConfig, rates

SIZES = st.dictionaries(st.text(max_size=3), st.integers(1, 10**6), min_size=1, max_size=8)


@given(SIZES, st.integers(1, 10_000))
def test_proportional_shares_are_the_capped_sizes_over_their_sum(sizes, cap):
    total = sum(min(size, cap) for size in sizes.values())
    assert rates(sizes, how="proportional", cap=cap) == {name: min(size, cap) / total for name, size in sizes.items()}


@given(SIZES, st.sampled_from(["proportional", "temperature", "equal"]), st.floats(1, 100))
def test_shares_add_up_to_one(sizes, how, temperature):
    shares = rates(sizes, how=how, cap=None, temperature=temperature)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == list(sizes)


def test_temperature_raises_the_proportional_shares_to_its_inverse():
    sizes = {"a": 8100, "b": 100}
    assert rates(sizes, how="temperature", temperature=2, cap=None) == {"a": 0.9, "b": 0.1}
    assert rates(sizes, how="temperature", temperature=1, cap=None) == rates(sizes, how="proportional", cap=None)
    assert rates(sizes, how="temperature", temperature=2, cap=400)["a"] == pytest.approx(2 / 3)


def test_weights_count_by_their_ratios_and_a_task_without_rows_has_no_share():
    sizes = {"a": 5, "b": 9, "c": 0}
    assert rates(sizes, how="weights", weights={"a": 3, "b": 1, "c": 7}) == {"a": 0.75, "b": 0.25, "c": 0}
    assert rates(sizes, how="equal") == {"a": 0.5, "b": 0.5, "c": 0}


def test_weights_of_other_tasks_than_there_are_are_told():
    with pytest.raises(ConfigError) as caught:
        rates({"a": 1, "b": 1}, how="weights", weights={"a": 1, "x": 1})
    assert [problem.where for problem in caught.value.problems] == [
        "tasks.mixture.weights.b",
        "tasks.mixture.weights.x",
    ]


@pytest.mark.parametrize("sizes", [{}, {"a": 0}])
def test_a_mixture_of_nothing_is_told(sizes):
    with pytest.raises(ConfigError, match="a mixture is empty"):
        rates(sizes)


def config_of(tmp_path: Path, text: str) -> TasksConfig:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(TasksConfig, path)


def test_the_table_of_a_recipe_is_read(tmp_path):
    text = 'collection = "my/tasks"\ntemplates = 3\nwording = "name"\ninverted = false\n[mixture]\ncap = "none"\n'
    config = config_of(tmp_path, text)
    assert config == TasksConfig(
        collection=Path("my/tasks"), templates=3, wording="name", inverted=False, mixture=MixtureConfig(cap=None)
    )
    assert config.mixture.rates({"a": 9000, "b": 3000}) == {"a": 0.75, "b": 0.25}
    assert config_of(tmp_path, "").collection == "practice"
    assert config_of(tmp_path, "wording = 'none'").wording == "none"
    assert json.loads(config.model_dump_json())["collection"] == "my/tasks"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[mixture]\ntemperature = 2.0\n", ":2: mixture.temperature"),
        ("[mixture]\n\nweights = { a = 1.0 }\n", ":3: mixture.weights"),
        ('[mixture]\nhow = "weights"\n', ":1: mixture.weights"),
        ('[mixture]\nhow = "weights"\nweights.a = -1.0\n', "mixture.weights"),
        ('[mixture]\nhow = "equal"\ncap = 100\n', ":3: mixture.cap"),
        ('[mixture]\nhow = "weights"\nweights.a = 1.0\ncap = "none"\n', "mixture.cap"),
        ('wording = "many"\n', ":1: wording"),
        ("templates = 0\n", ":1: templates"),
        ("collection = 3\n", ":1: collection"),
    ],
)
def test_keys_of_the_table_that_do_not_go_together_are_told(tmp_path, text, place):
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, text)
    assert caught.value.problems[0].where.endswith(place)
