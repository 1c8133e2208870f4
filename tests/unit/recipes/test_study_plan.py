"""The plan of a study: which arms there are, in which order, and what each is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_collection import recipe_data, small_recipe, write_collection

from luthier.config import validate
from luthier.errors import ConfigError, DataError
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.plan import Arm, plan
from luthier.recipes.studying.rows import read_tasks

EXTRAS = ["clusters", "transfer", "tasks", "templates", "wording", "inversion", "cap", "size", "specialist"]


def planned(tmp_path: Path, *, say: Callable[[str], None] = str, **study: object) -> list[Arm]:
    collection = tmp_path / "collection"
    if not collection.is_dir():
        write_collection(collection)
    recipe = small_recipe(tmp_path, collection, tmp_path / "base", **study)
    return list(plan(read_tasks(recipe.tasks), recipe.study, recipe.tasks, base=recipe.model.base, say=say))


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


def test_the_order_of_clusters_is_drawn_anew_for_each_choice_of_held_out_clusters_too(tmp_path):
    arms = planned(tmp_path, seeds=[1, 2, 3, 4, 5, 6], held_out=[["sizes"], ["sizes", "ends"]])
    orders = {arm.block: arm.trained_clusters for arm in arms if arm.name.startswith("clusters-all")}
    shared = {block: [c for c in order if c in ("lists", "letters")] for block, order in orders.items()}
    assert any(shared[seed, 0] != shared[seed, 1] for seed in (1, 2, 3, 4, 5, 6))


def test_the_order_of_clusters_is_drawn_anew_by_each_seed_and_the_plan_is_the_same_each_time(tmp_path):
    arms = planned(tmp_path, seeds=[1, 2, 3, 4, 5, 6], held_out=[["sizes"]])
    assert len({arm.trained_clusters for arm in arms if arm.name.startswith("clusters-all")}) > 1
    assert planned(tmp_path, seeds=[1, 2, 3, 4, 5, 6], held_out=[["sizes"]]) == arms


def test_every_other_arm_differs_from_that_of_all_clusters_in_one_thing(tmp_path):
    arms = planned(tmp_path, arms=EXTRAS, tasks=[2], templates=[1], bases=["other"], specialists=2,
                   held_out=[["sizes"], ["ends"]], rows_per_task=40,
                   transfer={"tasks": 1, "examples": [4], "methods": ["full"]})  # fmt: skip
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


def test_arms_that_differ_in_nothing_are_left_out_and_it_is_said_why(tmp_path):
    lines: list[str] = []
    arms = planned(tmp_path, say=lines.append, arms=[*EXTRAS[2:], "clusters"], tasks=[2, 4, 5], templates=[1, 2, 3],
                   bases=["other", str(tmp_path / "base")], specialists=1, held_out=[["ends"]], seeds=[1, 2],
                   rows_per_task=40)  # fmt: skip
    kinds = {arm.name.removesuffix(".s1.h0") for arm in arms if arm.seed == 1}
    assert "tasks-2" in kinds and {"tasks-4", "tasks-5", "templates-2", "inversion-none"}.isdisjoint(kinds)
    assert {"base-1-other", "size-1-other", "cap-none"} <= kinds and "base-2-base" not in kinds
    same = ", so it would be the arm of all clusters"
    assert lines == [
        f"tasks-4 is left out: there are 4 tasks{same}", f"tasks-5 is left out: there are 4 tasks{same}",
        f"templates-2 is left out: no task has more than 2 templates that are trained{same}",
        f"templates-3 is left out: no task has more than 2 templates that are trained{same}",
        f"inversion-none is left out: no task has a template that is turned around{same}",
        f"size-2-base is left out: the base of the study is {tmp_path / 'base'} too{same}",
    ]  # fmt: skip


def test_a_transfer_from_more_examples_than_its_task_has_is_left_out_and_it_is_said_why(tmp_path):
    lines: list[str] = []
    arms = planned(tmp_path, say=lines.append, arms=["clusters", "transfer"], held_out=[["sizes"]],
                   transfer={"tasks": 1, "examples": [4, 512], "methods": ["full"]})  # fmt: skip
    (task,) = {arm.task for arm in arms if arm.kind == "transfer"}
    assert {arm.examples for arm in arms if arm.kind == "transfer"} == {4} and len(lines) == 1
    assert lines[0].startswith(f"transfer-{task} from 512 examples is left out: the task has ")


def test_without_a_task_of_more_rows_than_the_cap_an_arm_without_it_is_left_out(tmp_path):
    write_collection(tmp_path / "collection")
    for path in (tmp_path / "collection").rglob("*.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:10]))
    lines: list[str] = []
    arms = planned(tmp_path, say=lines.append, arms=["cap"])
    assert not [arm for arm in arms if arm.kind == "cap"]
    assert lines == ["cap-none is left out: the mixture's cap changes no share, so it would be the arm of all clusters"]


def test_more_clusters_than_there_are_to_train_are_refused_and_fewer_in_one_block_are_said(tmp_path):
    with pytest.raises(ConfigError, match=r"study.clusters: found 4, expected at most 3, .*\n  Fix: leave it out"):
        planned(tmp_path, clusters=[1, 4])
    lines: list[str] = []
    arms = planned(tmp_path, say=lines.append, clusters=[1, 2])  # with "ends" held out there are two
    assert [arm.name for arm in arms if arm.name.startswith("clusters-2")] == ["clusters-2.s1.h1"]
    assert lines == ["clusters-2 is left out: with ends held out there are 2 clusters, so it would be the arm of all "
                     "clusters"]  # fmt: skip


@pytest.mark.parametrize("study", [{"arms": ["specialist"]}, {"arms": ["transfer"], "transfer": {"examples": [4]}}])
def test_a_task_that_cannot_name_a_file_is_refused(tmp_path, study):
    write_collection(tmp_path / "collection")
    for path in (tmp_path / "collection").rglob("*.toml"):
        if path.name != "collection.toml":
            path.write_text(f'name = "{path.parent.name}/{path.stem}"\n{path.read_text()}')
    settings = tmp_path / "collection" / "collection.toml"
    settings.write_text(settings.read_text().replace('"second"', '"lists/second"'))
    assert planned(tmp_path)
    with pytest.raises(DataError, match=r"toml: found the name '\w+/\w+', expected a name without /"):
        planned(tmp_path, **study)


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
        ({"study": {"seeds": [1, 1]}}, "study.seeds: found seeds names something twice, 1"),
        ({"study": {"arms": ["tasks"], "tasks": [8, 8]}}, "study.tasks: found tasks names something twice, 8"),
        ({"study": {"arms": ["templates"], "templates": [2, 2]}}, "templates names something twice, 2"),
        ({"study": {"arms": ["wording"], "wordings": ["name", "name"]}}, 'wordings names something twice, "name"'),
        (
            {"study": {"arms": ["transfer"], "transfer": {"examples": [4, 4]}}},
            "study.transfer.examples: found transfer.examples names something twice, 4",
        ),
        ({"study": {"clusters": [0, "all"]}}, "study.clusters: found clusters holds 0, where a number is at least 1"),
        (
            {"study": {"arms": ["tasks"], "tasks": [0]}},
            "study.tasks: found tasks holds 0, where a number is at least 1",
        ),
    ],
)
def test_a_recipe_whose_arms_would_not_be_equal_or_that_reads_a_key_nowhere_is_refused(tmp_path, changes, words):
    data = recipe_data(tmp_path, tmp_path, tmp_path) | changes
    with pytest.raises(ConfigError) as error:
        validate(StudyRecipe, data, places={}, default_place="study.toml")
    assert words in error.value.text()
