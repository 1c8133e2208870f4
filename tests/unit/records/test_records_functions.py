"""The one door through which a user's own function comes in."""

from __future__ import annotations

import pytest

from luthier.errors import ConfigError
from luthier.records import load_callable


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n\n@dataclass\nclass Kept:\n    n: int\n\ndef double(n):\n    return 2 * n\n\nseven = 7\n"
    )
    return path


def test_a_function_is_loaded_by_file_and_name(mine):
    assert load_callable(f"{mine}:double", where="x")(4) == 8
    assert load_callable(f"{mine}:Kept", where="x")(3).n == 3


@pytest.mark.parametrize(
    "spec", ["double", "no.py:double", ":double", "{mine}", "{mine}:", "{mine}:absent", "{mine}:seven"]
)
def test_a_spec_that_names_nothing_says_where_it_was_written(mine, spec):
    with pytest.raises(ConfigError) as error:
        load_callable(spec.format(mine=mine), where="r.toml:3: train.grpo.grader")
    assert error.value.problems[0].where == "r.toml:3: train.grpo.grader"


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"def name():\n    return {folder!r}\n")
    functions = [load_callable(f"{tmp_path / f / 'mine.py'}:name", where="x") for f in ("a", "b")]
    assert [f() for f in functions] == ["a", "b"]


@pytest.mark.parametrize("text", ["def f(:\n", "import absent_module_of_mine\n", "raise RuntimeError('mine')\n"])
def test_a_file_that_cannot_be_run_is_an_error_that_names_it(tmp_path, text):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.py"):
        load_callable(f"{tmp_path / 'mine.py'}:f", where="r.toml:3")
