"""What arms read: items that no arm trains on, and training rows that hold no item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_collection import recipe_data, small_recipe, write_collection

from fakes import write_tiny_model
from luthier.config import validate
from luthier.errors import ConfigError, DataError
from luthier.recipes.study import checked
from luthier.recipes.study_report.words import arm_name
from luthier.recipes.studying.arms import Bench
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.plan import Arm, plan
from luthier.recipes.studying.rows import (
    few_rows,
    items_of,
    read_tasks,
    shortages,
    shots_of,
    training_rows,
)
from luthier.tasks import Collection

TOKENS_A_ROW = 10


class Study:
    """A plan over a collection, and what its arms read."""

    def __init__(self, tmp_path: Path, **study: object) -> None:
        self.folder = tmp_path / "collection"
        if not self.folder.is_dir():
            write_collection(self.folder)
        self.recipe: StudyRecipe = small_recipe(tmp_path, self.folder, tmp_path / "base", **study)
        self.collection: Collection = read_tasks(self.recipe.tasks)
        arms = plan(self.collection, self.recipe.study, self.recipe.tasks, base="base")
        self.arms: dict[str, Arm] = {arm.name: arm for arm in arms}

    def items(self, name: str):
        return items_of(self.collection, self.arms[name], self.recipe.study)

    def rows(self, name: str):
        items = self.items(name)
        if self.arms[name].kind == "transfer":
            return few_rows(self.collection, self.arms[name], items)
        return training_rows(self.collection, self.arms[name], self.recipe, items,
                             count_tokens=lambda example: TOKENS_A_ROW)  # fmt: skip


def keys(examples) -> set[str]:
    return {link for example in examples for link in example.links if link.startswith("row:")}


def test_no_training_row_is_a_test_row_an_unseen_template_or_of_a_held_out_task(tmp_path):
    study = Study(tmp_path, items_per_task=6, trained_items_per_task=6)
    rows, items = study.rows("clusters-all.s1.h1"), study.items("clusters-all.s1.h1")
    assert {e.task for e in rows.examples} == {"first", "last", "begins", "ends", "plural", "past"}
    assert {e.task for e in items.phrasings} == {"first", "last", "begins", "ends", "plural", "past"}
    assert {e.task for e in items.tasks} == {"second"} and {e.task for e in items.clusters} == {"longer", "shorter"}
    assert keys(rows.examples).isdisjoint(keys(items.all))
    assert {e.template for e in rows.examples}.isdisjoint({e.template for e in items.phrasings})
    assert {e.template.split("/")[1] for e in items.phrasings} == {"2"}
    assert rows.certificate == {"exact": 0, "near": 0, "rows": 0, "sources": 0, "dropped": 0}


def test_arms_of_a_block_answer_the_same_items_and_those_of_another_seed_others(tmp_path):
    study = Study(tmp_path, seeds=[1, 2], items_per_task=4)
    base, one, full = (study.items(f"{name}.s1.h0") for name in ("base", "clusters-1", "clusters-all"))
    assert base == full and one.clusters == full.clusters
    assert {e.id for e in one.phrasings} < {e.id for e in full.phrasings} and len(full.clusters) == 2 * 4 * 2
    assert study.items("clusters-all.s2.h0").clusters != full.clusters


def test_an_arm_draws_enough_rows_for_its_steps_and_the_same_each_time(tmp_path):
    study = Study(tmp_path)
    rows = study.rows("clusters-all.s1.h0")
    assert len(rows.examples) * TOKENS_A_ROW >= study.recipe.train.max_steps * study.recipe.train.batch_tokens
    assert study.rows("clusters-all.s1.h0") == rows
    assert Study(tmp_path, seeds=[2]).rows("clusters-all.s2.h0").examples != rows.examples


def test_a_row_that_says_what_an_item_says_is_dropped_and_counted(tmp_path):
    """A task of a trained cluster that asks, in the same words, for what a held-out task asks."""
    write_collection(tmp_path / "collection")
    held_out = tmp_path / "collection" / "sizes"
    for name in ("longer.toml", "longer.jsonl"):
        text = (held_out / name).read_text().replace('"sizes"', '"lists"').replace("longer.jsonl", "copied.jsonl")
        (tmp_path / "collection" / "lists" / name.replace("longer", "copied")).write_text(text)
    rows = tmp_path / "collection" / "lists" / "copied.jsonl"
    altered = [json.loads(line) | {"note": "x"} for line in rows.read_text().splitlines()]  # rows of other content
    rows.write_text("".join(json.dumps(row) + "\n" for row in altered))
    study = Study(tmp_path, items_per_task=6)
    found = study.rows("clusters-all.s1.h1")
    assert found.certificate["dropped"] > 0 == found.certificate["exact"]
    asked = {e.prompt[-1].content for e in study.items("clusters-all.s1.h1").all}
    assert asked.isdisjoint({e.prompt[-1].content for e in found.examples})


def test_arms_without_templates_or_inversion_train_without_them(tmp_path):
    study = Study(tmp_path, arms=["clusters", "wording", "inversion", "templates"], templates=[1],
                  wordings=["none", "name", "definition"], held_out=[["sizes"]])  # fmt: skip
    full, none, name = (study.rows(f"{arm}.s1.h0").examples for arm in ("clusters-all", "wording-none", "wording-name"))
    assert any(e.template == "begins/3" for e in full)
    assert not any(e.template == "begins/3" for e in study.rows("inversion-none.s1.h0").examples)
    assert {len(e.prompt[0].content.split()) for e in none if e.task == "begins" and e.template != "begins/3"} == {1}
    assert all(e.prompt[0].content.startswith("plural\n\n") for e in name if e.task == "plural")
    assert len({e.template for e in study.rows("templates-1.s1.h0").examples if e.task == "first"}) == 1


def test_an_arm_of_fewer_plain_templates_keeps_the_inverted_ones_in_their_share(tmp_path):
    study = Study(tmp_path, arms=["clusters", "templates"], templates=[1], held_out=[["sizes"]])
    one, full = (study.rows(f"{arm}.s1.h0") for arm in ("templates-1", "clusters-all"))
    assert len({e.template for e in one.examples if e.task == "begins"}) == 2, "one plain, one inverted"
    for rows in (one, full):
        assert rows.inverted == sum(e.template in ("begins/3", "ends/3") for e in rows.examples) > 0
    assert arm_name({"arms": {"t": {"kind": "templates", "templates": 1}}}, "t") == "1 plain template a task"


def weighted(tmp_path, weights, **study):
    data = recipe_data(tmp_path, tmp_path / "collection", tmp_path / "base", held_out=[["sizes"]], **study)
    data["tasks"]["mixture"] = {"how": "weights", "weights": weights}
    recipe = validate(StudyRecipe, data, places={}, default_place="here")
    return recipe, Bench(recipe, tmp_path / "run")


def test_an_arm_of_some_tasks_takes_the_weights_of_these(tmp_path):
    write_tiny_model(tmp_path / "base")
    write_collection(tmp_path / "collection")
    weights = {"first": 1.0, "last": 1.0, "begins": 2.0, "ends": 1.0, "plural": 1.0, "past": 0.0}
    recipe, bench = weighted(tmp_path, weights, clusters=[2, "all"])
    arms = checked(recipe, bench, say=str)
    for arm in (arm for arm in arms if arm.kind == "clusters"):
        items = items_of(bench.collection, arm, recipe.study)
        rows = training_rows(bench.collection, arm, recipe, items, count_tokens=lambda e: 5)
        assert {e.task for e in rows.examples} == {name for name in arm.trained_tasks if weights[name]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"first": None}, r"weights.first: found no weight"), ({"frist": 1.0}, r"weights.frist: found a weight"),
     ({"plural": 0.0, "past": 0.0, "first": 0.0, "last": 0.0}, r"found 0 for every task of clusters-1.s\d.h0")],
)  # fmt: skip
def test_weights_that_cannot_work_are_refused_before_anything_runs(tmp_path, changes, words):
    write_collection(tmp_path / "collection")
    weights = dict.fromkeys(("first", "last", "begins", "ends", "plural", "past"), 1.0) | changes
    given = {name: weight for name, weight in weights.items() if weight is not None}
    recipe, bench = weighted(tmp_path, given, seeds=[1, 2, 3, 4, 5])
    with pytest.raises(ConfigError, match=words):
        checked(recipe, bench, say=str)


def test_arms_of_other_wordings_train_the_same_rows_and_inverted_ones_keep_their_words(tmp_path):
    study = Study(tmp_path, arms=["clusters", "wording"], wordings=["none"], held_out=[["sizes"]])
    full, none = (study.rows(f"{arm}.s1.h0").examples for arm in ("clusters-all", "wording-none"))
    inverted = [e.prompt for e in none if e.template == "begins/3"]
    assert inverted and all(prompt[0].content.startswith("A word that begins in") for prompt in inverted)
    assert set(inverted) <= {e.prompt for e in full if e.template == "begins/3"}
    assert {(e.template, *e.links) for e in none} == {(e.template, *e.links) for e in full}


def cut_to(path: Path, task, *, train: int, test: int) -> None:
    """Keep so many rows of each side of a task's file."""
    rows = [row for side, n in (("train", train), ("test", test))
            for row in [row for row in task.rows if row.split == side][:n]]  # fmt: skip
    path.write_text("".join(json.dumps({**r.fields, **r.lists, "answer": r.answers[0], "options": list(r.options)}) + "\n"
                            for r in rows))  # fmt: skip


def test_held_out_tasks_with_few_test_rows_are_noted_and_those_without_any_refused(tmp_path):
    study = Study(tmp_path, items_per_task=4)
    task = next(task for task in study.collection.tasks if task.name == "longer")
    path = study.folder / "sizes" / "longer.jsonl"
    cut_to(path, task, train=5, test=1)
    few = Study(tmp_path, items_per_task=4, trained_items_per_task=1)
    arm, items = few.arms["clusters-all.s1.h1"], few.items("clusters-all.s1.h1")
    assert shortages(few.collection, items, arm, few.recipe.study) == [
        "longer: 1 test rows asked where study.items_per_task is 4; it has no more"]  # fmt: skip
    cut_to(path, task, train=5, test=0)
    with pytest.raises(DataError, match=r"longer.toml: found longer without a test row, expected at least one"):
        Study(tmp_path).items("base.s1.h1")


def test_a_larger_transfer_holds_the_smaller_one_and_no_test_row(tmp_path):
    study = Study(tmp_path, arms=["transfer"], transfer={"tasks": 1, "examples": [3, 8]})
    small, large = (next(n for n in study.arms if n.endswith(f"base-full-{k}.s1.h0")) for k in (3, 8))
    few, more = study.rows(small).examples, study.rows(large).examples
    assert more[:3] == few and len(more) == 8
    assert keys(more).isdisjoint(keys(study.items(large).all))


def test_shots_are_training_rows_of_tasks_that_may_be_trained(tmp_path):
    study = Study(tmp_path)
    shots = shots_of(study.collection, study.arms["base.s1.h0"], number=3)
    assert {e.task for e in shots} == {"first", "last", "longer", "shorter"}
    assert keys(shots).isdisjoint(keys(study.items("base.s1.h0").all))


def test_a_task_whose_rows_are_all_test_rows_is_named(tmp_path):
    study = Study(tmp_path)
    task = next(task for task in study.collection.tasks if task.name == "first")
    only = next(row for row in task.rows if row.split == "test")
    path = study.folder / "lists" / "first.jsonl"
    path.write_text(json.dumps({**only.fields, "answer": only.answers[0]}) + "\n")
    study = Study(tmp_path)
    with pytest.raises(DataError, match=r"first.toml: found no training row"):
        study.rows("clusters-all.s1.h0")
