"""What an arm leaves on disk: its file, and the model that others start from."""

from __future__ import annotations

import shutil
import threading

from small_collection import small_recipe, write_collection

from luthier.recipes.study import missing
from luthier.recipes.studying import arms as study_arms
from luthier.recipes.studying.arms import Bench, do
from luthier.recipes.studying.plan import plan

TRANSFER = {"tasks": 1, "examples": [4], "methods": ["lora"], "epochs": 4}


def bench_of(tmp_path, base, **study):
    if not (tmp_path / "collection").is_dir():
        write_collection(tmp_path / "collection")
    bench = Bench(small_recipe(tmp_path, tmp_path / "collection", base, **study), tmp_path / "run")
    arms = plan(bench.collection, bench.recipe.study, bench.recipe.tasks, base=str(base))
    return bench, {arm.name: arm for arm in arms}


def test_two_workers_that_need_one_start_train_it_once_and_it_is_never_removed(
    tmp_path, tiny_model_folder, monkeypatch
):
    bench, arms = bench_of(tmp_path, tiny_model_folder, arms=["transfer"], transfer=TRANSFER)
    full = arms["clusters-all.s1.h0"]
    others: list[threading.Thread] = []
    trained = []

    def fake(arm, bench, items, start, scratch):
        trained.append(arm.name)
        folder = scratch / f"model-{len(trained)}"
        if not others:  # while the first trains, a second asks
            others.append(threading.Thread(target=study_arms._start, args=(full, bench), daemon=True))
            others[0].start()
            others[0].join(timeout=0.3)
        folder.mkdir(parents=True)
        return folder, {}

    monkeypatch.setattr(study_arms, "_trained", fake)
    kept = study_arms._start(full, bench)
    others[0].join(timeout=10)
    assert not others[0].is_alive() and trained == [full.name]
    assert study_arms.kept_key(kept) == bench.key(full, {})


def test_a_kept_model_of_the_same_key_stays_where_it_is(tmp_path):
    for name in ("first", "second", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    target = tmp_path / "models" / "kept"
    for name, key, left in (("first", "k", "first"), ("second", "k", "first"), ("other", "l", "other")):
        study_arms._keep(tmp_path / name, target, key)
        assert (target / "which").read_text() == left


def test_an_arm_keeps_its_counts_of_rows_and_is_done_only_with_its_model_of_the_same_key(tmp_path, tiny_model_folder):
    bench, arms = bench_of(tmp_path, tiny_model_folder, held_out=[["ends"]], clusters=["all"], keep_models=True,
                           items_per_task=50)  # fmt: skip
    for arm in arms.values():
        found = do(arm, bench, arms)
        assert any("where study.items_per_task is 50" in note for note in found["notes"])
    ledger = found["train"]["ledger"]
    assert ledger["kept"] + ledger["prompt cut"] == found["train"]["rows"] and ledger["dropped"] == 0
    assert missing(bench, list(arms.values()), say=str) == []
    model = bench.model_folder("clusters-all.s1.h0")
    (model / "arm.key").write_text("of another recipe")
    assert [arm.name for arm in missing(bench, list(arms.values()), say=str)] == ["clusters-all.s1.h0"]
    shutil.rmtree(model)
    assert [arm.name for arm in missing(bench, list(arms.values()), say=str)] == ["clusters-all.s1.h0"]
