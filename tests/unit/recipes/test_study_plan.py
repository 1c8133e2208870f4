"""The plan of a study: which arms there are, in which order, and what each is trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_collection import recipe_data, small_recipe, write_collection

from luthier.config import validate
from luthier.errors import ConfigError
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.plan import Arm, plan
from luthier.recipes.studying.rows import read_tasks

EXTRAS = ["clusters", "transfer", "tasks", "templates", "wording", "inversion", "cap", "size", "specialist"]


def planned(tmp_path: Path, **study: object) -> list[Arm]:
    collection = tmp_path / "collection"
    if not collection.is_dir():
        write_collection(collection)
    recipe = small_recipe(tmp_path, collection, tmp_path / "base", **study)
    return list(plan(read_tasks(recipe.tasks), recipe.study, recipe.tasks, base=recipe.model.base))


def test_each_block_has_its_base_then_arms_of_growing_numbers_of_clusters(tmp_path):
    names = [arm.name for arm in planned(tmp_path, seeds=[1, 2])]
    assert names == [f"{kind}.s{seed}.h{choice}" for seed in (1, 2) for choice in (0, 1)
                     for kind in ("base", "clusters-1", "clusters-all")]  # fmt: skip


def test_an_arm_of_more_clusters_holds_those_of_fewer_and_never_what_is_held_out_or_excluded(tmp_path):
    for arm in planned(tmp_path, seeds=[1, 2, 3], clusters=[1, 2, "all"]):
        if arm.kind != "clusters":
            continue
        closed = {"ends": {"ends", "letters"}, "sizes": {"sizes"}}[arm.held_out[0]]
        assert closed.isdisjoint(arm.trained_clusters) and "second" not in arm.trained_tasks
        assert arm.trained_tasks
        fewer = [a for a in planned(tmp_path, seeds=[1, 2, 3], clusters=[1, 2, "all"])
                 if a.block == arm.block and a.kind == "clusters" and a.trained_clusters < arm.trained_clusters]  # fmt: skip
        assert all(arm.trained_clusters[: len(a.trained_clusters)] == a.trained_clusters for a in fewer)


def test_the_order_of_clusters_is_drawn_anew_by_each_seed_and_the_plan_is_the_same_each_time(tmp_path):
    arms = planned(tmp_path, seeds=[1, 2, 3, 4, 5, 6], held_out=[["sizes"]])
    assert len({arm.trained_clusters for arm in arms if arm.name.startswith("clusters-all")}) > 1
    assert planned(tmp_path, seeds=[1, 2, 3, 4, 5, 6], held_out=[["sizes"]]) == arms


def test_every_other_arm_differs_from_that_of_all_clusters_in_one_thing(tmp_path):
    arms = planned(tmp_path, arms=EXTRAS, tasks=[2], templates=[1], bases=["other"], specialists=2,
                   rows_per_task=20, transfer={"tasks": 1, "examples": [4], "methods": ["full"]})  # fmt: skip
    full = next(arm for arm in arms if arm.name == "clusters-all.s1.h0")
    same = {"name": "", "kind": "", "keeps": False}
    changes = {"templates": {"templates": 1}, "inversion": {"inverted": False}, "cap": {"cap": None},
               "size": {"base": "other"}}  # fmt: skip
    for kind, change in changes.items():
        (arm,) = [arm for arm in arms if arm.kind == kind]
        assert replace(arm, **same) == replace(full, **same, **change)
    assert [arm.wording for arm in arms if arm.kind == "wording"] == ["none", "name"]
    assert [len(arm.trained_tasks) for arm in arms if arm.kind in ("tasks", "specialist")] == [2, 1, 1]
    assert all(arm.choice == 0 for arm in arms if arm.kind not in ("base", "clusters"))
    assert [arm.base for arm in arms if arm.kind == "base" and arm.choice == 0] == [full.base, "other"]


def test_a_transfer_from_the_tuned_model_needs_the_arm_that_makes_it(tmp_path):
    arms = planned(tmp_path, arms=["clusters", "transfer"], transfer={"tasks": 1, "examples": [4, 8, 10_000]})
    transfers = [arm for arm in arms if arm.kind == "transfer"]
    assert {(a.start, a.method, a.examples) for a in transfers} == {
        (start, method, count) for start in ("base", "tuned") for method in ("full", "lora") for count in (4, 8)
    }  # 10,000 rows are more than the task has
    assert {arm.needs for arm in transfers} == {None, "clusters-all.s1.h0"}
    assert [arm.name for arm in arms if arm.keeps] == ["clusters-all.s1.h0"]


def test_a_held_out_cluster_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"study.held_out: found 'endings', expected one of"):
        planned(tmp_path, held_out=[["endings"]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": {"batch_tokens": 200}}, "train.max_steps is needed"),
        ({"train": {"max_steps": 4}}, "train.batch_tokens is needed"),
        ({"train": {"max_steps": 4, "batch_tokens": 200, "seed": 3}}, "train.seed is not read by a study"),
        ({"train": {"max_steps": 4, "batch_tokens": 200, "method": "pretrain"}}, 'train.method is "pretrain"'),
        ({"study": {"bases": ["other"]}}, 'study.bases: found bases is not read without "size" in arms'),
        ({"study": {"arms": ["clusters", "size"]}}, 'arms names "size", and no bases are given'),
        ({"study": {"arms": ["cap"], "rows_per_task": 10}}, "tasks.mixture.cap is not below study.rows_per_task"),
        ({"study": {"seeds": [1, 1]}}, "study.seeds: found seeds names something twice"),
    ],
)
def test_a_recipe_whose_arms_would_not_be_equal_or_that_reads_a_key_nowhere_is_refused(tmp_path, changes, words):
    data = recipe_data(tmp_path, tmp_path, tmp_path) | changes
    with pytest.raises(ConfigError) as error:
        validate(StudyRecipe, data, places={}, default_place="study.toml")
    assert words in error.value.text()
