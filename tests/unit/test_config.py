"""Recipes: what they may say, and where an error says that it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from luthier.config import Config, all_keys, known_as, load_config, nested_config, parse_override, read_toml, suggestion
from luthier.errors import ConfigError


class Inner(Config):
    lr: float = Field(1e-3, gt=0, json_schema_extra=known_as("learning_rate"))
    """Rate."""
    schedule: str | None = None
    names: tuple[str, ...] = ()


class Outer(Config):
    model: str
    """Needed."""
    batch_rows: int = Field(16, json_schema_extra=known_as("batch_size"))
    folder: Path = Path("here")
    optim: Inner = Inner()
    judge: Inner | None = None
    mode: str = "plain"


@pytest.fixture
def recipe(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "r.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(path, *overrides):
    with pytest.raises(ConfigError) as error:
        load_config(Outer, path, overrides)
    return error.value.problems


def test_the_command_line_goes_before_the_file_and_the_file_before_defaults(recipe):
    path = recipe('model = "m"\nbatch_rows = 8\n[optim]\nlr = 0.5\n')
    config = load_config(Outer, path, ["optim.lr=2e-4", "optim.names=['a', 'b']", "folder=a/b c", "judge.lr=1.0"])
    assert (config.model, config.batch_rows, config.mode) == ("m", 8, "plain")
    assert (config.optim.lr, config.optim.names, config.folder) == (2e-4, ("a", "b"), Path("a/b c"))
    assert config.judge == Inner(lr=1.0)


def test_a_config_cannot_be_changed_after_it_was_read(recipe):
    config = load_config(Outer, recipe('model = "m"'))
    with pytest.raises(Exception, match="frozen"):
        config.batch_rows = 3


def test_the_word_none_switches_an_optional_key_off(recipe):
    config = load_config(Outer, recipe('model = "m"\njudge = "none"\nmode = "none"\n[optim]\nschedule = "none"'))
    assert (config.judge, config.optim.schedule) == (None, None)
    assert config.mode == "none"  # not optional: the word is the value


def test_the_word_none_is_no_value_for_a_key_that_is_always_on(recipe):
    assert problems(recipe('model = "m"\nbatch_rows = "none"'))[0].found == "'none' (str)"


@pytest.mark.parametrize(
    ("text", "where", "found", "fix"),
    [
        ('model = "m"\n\nbatch_rows = "lots"', "3: batch_rows", "'lots' (str)", "change batch_rows"),
        ('model = "m"\nbatch_rows = 1.5', "2: batch_rows", "1.5 (float)", "change batch_rows"),
        ('model = "m"\nbatch_rows = true', "2: batch_rows", "True (bool)", "change batch_rows"),
        ('model = "m"\n[optim]\n# lr = 1\nlr = -1', "4: optim.lr", "-1 (int)", "change lr"),
        ('model = "m"\noptim.lr = 0', "2: optim.lr", "0 (int)", "change lr"),
        ('model = "m"\n[optim]\nlearning_rate = 1', "3: optim.learning_rate", "unknown key", "did you mean optim.lr?"),
        ('model = "m"\nlr = 1', "2: lr", "unknown key", "did you mean optim.lr?"),
        ('model = "m"\nbatch_row = 1', "2: batch_row", "unknown key", "did you mean batch_rows?"),
        ('model = "m"\nbatch_size = 1', "2: batch_size", "unknown key", "did you mean batch_rows?"),
        ('model = "m"\nzzz = 1', "2: zzz", "unknown key", "remove it; `docs/recipe.md` lists every key"),
        ('model = "m"\noptim = 3', "2: optim", "3 (int)", "change optim"),
        ('model = "m"\n["optim"]\n"lr" = "x"', "3: optim.lr", "'x' (str)", "change lr"),
        ('model = """a\nbatch_rows = 3\n"""\nbatch_rows = "x"', "4: batch_rows", "'x' (str)", "change batch_rows"),
    ],
)
def test_errors_name_file_line_key_finding_and_fix(recipe, text, where, found, fix):
    path = recipe(text)
    problem = problems(path)[0]
    assert (problem.where, problem.found, problem.fix) == (f"{path}:{where}", found, fix)


def test_a_missing_key_is_named_with_the_line_to_add(recipe):
    path = recipe("batch_rows = 3")
    assert str(problems(path)[0]) == f"{path}: model: found nothing, expected the key model.\n  Fix: add `model = ...`"


def test_all_problems_are_told_at_once_each_with_its_own_place(recipe):
    path = recipe('batch_rows = "x"\n[optim]\nlr = 0')
    found = problems(path, "optim.schedule=3", "optim.nope=1")
    assert {p.where for p in found} == {
        f"{path}: model", f"{path}:1: batch_rows", f"{path}:3: optim.lr", "command line: optim.schedule", "command line: optim.nope",
    }  # fmt: skip


@pytest.mark.parametrize("override", ["batch_rows", "=3", " =3", ""])
def test_an_override_without_key_or_value_is_refused(recipe, override):
    assert problems(recipe('model = "m"'), override)[0].expected == "key=value"


def test_an_override_below_a_value_is_refused(recipe):
    found = problems(recipe('model = "m"'), "model.base.x=3")
    assert (found[0].where, found[0].found) == ("command line: model.base.x", "model = 'm'")


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=3", 3), ("a=2e-4", 2e-4), ("a=true", True), ('a="3"', "3"), ("a=[1, 2]", [1, 2]), ("a=plain words", "plain words"),
     ("a=", ""), ("a=x=y", "x=y"), ("a=runs/mine", "runs/mine")],
)  # fmt: skip
def test_values_on_the_command_line_are_toml_where_they_parse(text, value):
    assert parse_override(text) == ("a", value)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"model = ", "Invalid value"), (b"a = 1\na = 2", "Cannot overwrite"), (b"caf\xe9 = 1", "byte 3 is not UTF-8")],
)
def test_a_file_that_is_no_toml_says_where(tmp_path, content, found):
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    problem = problems(path)[0]
    assert found in problem.found and problem.where.startswith(str(path))


def test_a_missing_file_is_an_error(tmp_path):
    assert problems(tmp_path / "no.toml")[0].found == "no such file"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "r.toml"
    path.write_bytes('\ufeffmodel = "m"\r\nbatch_rows = 3\r\n'.encode())
    assert load_config(Outer, path).batch_rows == 3
    assert read_toml(path)[1] == {"model": 1, "batch_rows": 2}


def test_infinity_and_nan_are_no_numbers(recipe):
    assert {p.where.rpartition(" ")[2] for p in problems(recipe('model = "m"\noptim.lr = inf'))} == {"optim.lr"}
    assert problems(recipe('model = "m"\noptim.lr = nan'))


def test_every_key_is_listed_tables_before_what_they_hold():
    keys = list(all_keys(Outer))
    assert [k.path for k in keys] == [
        "model", "batch_rows", "folder", "optim", "optim.lr", "optim.schedule", "optim.names",
        "judge", "judge.lr", "judge.schedule", "judge.names", "mode",
    ]  # fmt: skip
    assert keys[0].spec.description == "Needed."
    assert nested_config(keys[7].spec) is Inner and nested_config(keys[0].spec) is None


def test_a_hint_prefers_the_table_in_which_the_key_was_written():
    assert suggestion(Outer, "judge.learning_rate") == "judge.lr"
    assert suggestion(Outer, "optim.learning_rate") == "optim.lr"
    assert suggestion(Outer, "something.else") is None
