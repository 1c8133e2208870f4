"""A first recipe suits the rows that it is written for."""

import json
import tomllib
from pathlib import Path

import pytest
from small_collection import write_collection

from luthier.config import load_config
from luthier.errors import ConfigError
from luthier.evaluate.suite_file import suite_file
from luthier.recipes import new
from luthier.recipes.loading import as_synthesise, load_recipe
from luthier.recipes.new import write_new
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.plan import plan
from luthier.recipes.studying.rows import read_tasks

EXAMPLE = {"prompt": "a", "completion": "b"}
PREFERENCE = {"prompt": "a", "chosen": "b", "rejected": "c"}


@pytest.mark.parametrize(
    ("rows", "method"), [([EXAMPLE], "sft"), ([PREFERENCE, {}], "dpo"), ([EXAMPLE, PREFERENCE], "sft")]
)
def test_rows_of_preferences_alone_are_trained_on_as_preferences(tmp_path, rows, method):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = write_new("tune", files=[tmp_path / "rows.jsonl"], model=None, out=tmp_path / "recipe.toml")
    assert tomllib.loads((tmp_path / "recipe.toml").read_text())["train"]["method"] == method
    assert ("1 preference" in lines[0]) == (PREFERENCE in rows)


def test_a_study_of_other_tasks_has_numbers_that_suit_them(tmp_path):
    write_collection(tmp_path / "mine")
    out = tmp_path / "mine.toml"
    write_new("study", files=[tmp_path / "mine"], model="base", out=out)
    recipe = load_config(StudyRecipe, out)
    assert recipe.study.clusters == (1, 2, "all") and recipe.study.tasks == (3,)
    assert plan(read_tasks(recipe.tasks), recipe.study, recipe.tasks, base="base")


def test_a_recipe_for_rows_that_a_model_writes_names_your_files_and_its_own_run(tmp_path):
    out = tmp_path / "more.toml"
    lines = write_new("synthesise", files=[tmp_path / "seeds.jsonl"], model="mine", out=out)
    recipe = as_synthesise(load_recipe(out))
    assert recipe.synthesise.files == (tmp_path / "seeds.jsonl",) and recipe.synthesise.method == "self_instruct"
    assert recipe.writer is not None and recipe.writer.model == "mine" and recipe.run.dir == Path("runs/more")
    assert f"luthier run {out}" in lines[0] and f"luthier run {out}" in out.read_text()
    with pytest.raises(ConfigError, match="the recipe is there already"):
        write_new("synthesise", files=[], model=None, out=out)
    with pytest.raises(ConfigError, match='"tune", "study", "synthesise" or "suite"'):
        write_new("prune", files=[], model=None, out=tmp_path / "other.toml")


def test_a_study_of_other_tasks_asks_for_a_model(tmp_path):
    write_collection(tmp_path / "mine")
    with pytest.raises(ConfigError, match=r"no --model, expected the base .*\n  Fix: add --model FOLDER"):
        write_new("study", files=[tmp_path / "mine"], model=None, out=tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


def test_a_key_that_the_copied_recipe_lacks_is_no_silent_nothing():
    with pytest.raises(AssertionError, match="tasks stands 0 times"):
        new._set("[study]\nseeds = [1]\n", "tasks", "[2]")
    assert new._insert("[study]\nseeds = [1]\n", "tasks", "[2]", after="seeds") == "[study]\nseeds = [1]\ntasks = [2]\n"


def test_a_new_suite_names_its_items_from_where_it_stands_and_overwrites_none(tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text('{"prompt": "Which?", "targets": ["this"]}\n', encoding="utf-8")
    out = tmp_path / "my suite" / "suite.toml"
    lines = write_new("suite", files=[items], model=None, out=out)
    assert str(items) in lines[0] and f"--suite {out}" in lines[-1]
    _, found = suite_file(out.parent)
    assert found.name == "my-suite" and [item.resolve() for item in found.items] == [items]
    for files, model, said in (([items], None, "a name that is free"), ([], None, "no --data"), ([items], "m", "--model m")):
        place = out if said.startswith("a name") else tmp_path / "other.toml"
        with pytest.raises(ConfigError, match=said):
            write_new("suite", files=files, model=model, out=place)
