"""Runs from outside: listed as they are, compared key by key, and cleaned of nothing that is a result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import add_evaluations, write_model, write_run

from luthier.errors import ConfigError, DataError
from luthier.recipes.cleaning import QUIET_S, clean, is_being_written, removable, size_on_disk
from luthier.recipes.runs import (
    clean_lines,
    cleaned,
    compare_lines,
    compared,
    find_runs,
    list_lines,
    listed,
    size_text,
)
from luthier.runs import write_json


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_model(tmp_path / "base", "base")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make_quiet(folder: Path) -> None:
    """As if nothing had been written for long."""
    before = time.time() - 2 * QUIET_S
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (before, before))


def test_the_list_states_what_each_run_is_and_came_to(runs, base):
    add_evaluations(write_run(runs / "a", base))
    write_run(runs / "deep" / "b", base, is_finished=False, train={"max_steps": 8, "method": "sft", "adapter": "lora"})
    make_quiet(runs / "deep" / "b")
    rows = {Path(row["run"]).name: row for row in listed(runs)}
    a, b = rows["a"], rows["b"]
    assert (a["state"], a["verdict"], a["loss"], a["dev_loss"]) == ("finished", "ship", 1.0, 1.25)
    assert a["stages"]["train"]["tokens_per_s"] == 20.0 and a["stages"]["train"]["num_steps"] == 3
    assert (b["state"], b["verdict"], b["method"]) == ("unfinished", None, "sft, lora")
    text = "\n".join(list_lines([a, b]))
    assert "3/3" in text and "3/8" in text and "1.2500" in text and "unfinished, can be continued" in text
    json.dumps([a, b])


def test_a_folder_without_runs_says_so_and_a_missing_folder_is_an_error(runs):
    with pytest.raises(DataError, match="no such folder"):
        listed(runs)
    runs.mkdir()
    assert "no runs here" in list_lines(listed(runs))[0]


def test_a_manifest_of_something_else_makes_no_run(runs, base):
    write_json(runs / "app" / "manifest.json", {"name": "a web app", "icons": []})
    write_json(runs / "app" / "config.json", {})
    (runs / "list").mkdir()
    (runs / "list" / "manifest.json").write_text("[1]")
    write_run(runs / "a", base)
    (runs / "link").symlink_to(runs / "a")
    assert find_runs(runs) == [runs / "a"]


def test_a_torn_line_of_a_killed_run_does_not_hide_the_run(runs, base):
    run = write_run(runs / "a", base)
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    assert listed(runs)[0]["loss"] == 1.0


def test_compare_names_every_key_that_differs_and_no_other(runs, base):
    write_run(runs / "a", base)
    write_run(runs / "b", base, train={"max_steps": 3, "optim": {"lr": 0.5}, "adapter": "lora"}, licence="cc0-1.0")
    found = compared([runs / "a", runs / "b"])
    assert found["config"] == {"train.adapter": ["none", "lora"], "train.optim.lr": [0.1, 0.5]}
    assert list(found["inputs"]) == ["RUN/rows/train.jsonl"] and len(set(found["inputs"]["RUN/rows/train.jsonl"])) == 2
    assert found["libraries"] == {} and found["numbers"]["train/loss"] == [1.0, 1.0]
    text = "\n".join(compare_lines(found))
    assert "libraries: no difference" in text and "train.optim.lr" in text and "luthier compare" not in text


def test_compare_names_a_library_that_differs(runs, base):
    for name in "ab":
        write_run(runs / name, base)
    manifest = json.loads((runs / "b" / "manifest.json").read_text())
    write_json(runs / "b" / "manifest.json", {**manifest, "libraries": {**manifest["libraries"], "torch": "1.0"}})
    assert list(compared([runs / "a", runs / "b"])["libraries"]) == ["torch"]


def test_compare_sets_kpis_beside_one_another_and_points_to_the_paired_comparison_of_the_same_items(runs, base):
    for name, items in (("a", 40), ("b", 40), ("c", 30)):
        add_evaluations(write_run(runs / name, base), items=items)
    found = compared([runs / "a", runs / "b", runs / "c"])
    kpis = found["numbers"]["evaluate/tuned/held_out: exact"]
    assert [kpi["n"] for kpi in kpis] == [40, 40, 30] and kpis[0]["low"] < kpis[0]["value"] == 1.0
    folders = [str(runs / name / "evaluate" / "tuned" / "held_out") for name in "ab"]
    assert tuple(folders) in found["same_items"] and not any("/c/" in b for _, b in found["same_items"])
    lines = compare_lines(found)
    assert f"  luthier compare {folders[0]} {folders[1]}" in lines
    assert any("1.000 [0.9" in line and "n 40" in line for line in lines)
    json.dumps(found)


def test_compare_refuses_what_is_no_run(runs, base):
    write_run(runs / "a", base)
    with pytest.raises(DataError, match="no run folder"):
        compared([runs / "a", runs])


def test_compare_of_one_run_says_that_there_is_nothing_to_compare_with(runs, base):
    write_run(runs / "a", base)
    with pytest.raises(ConfigError, match="nothing to compare with"):
        compared([runs / "a"])


def test_a_verdict_on_a_model_that_was_since_trained_anew_is_not_listed(runs, base):
    run = write_run(runs / "a", base)
    add_evaluations(run)
    gate = json.loads((run.folder / "gate.json").read_text())
    write_json(run.folder / "gate.json", {**gate, "model": "another"})
    assert listed(runs)[0]["verdict"] is None


def test_cleaning_removes_leftovers_and_nothing_else(runs, base):
    run = write_run(runs / "a", base).folder
    leftovers = ["model.partial/x", "metrics.jsonl.partial", "versions/abc.partial/x", "train/untrained-12/x",
                 "train/checkpoints/partial-00000003/x"]  # fmt: skip
    before = {k: v for k, v in everything(run).items() if "checkpoints" not in k and k != "run.lock"}
    for name in leftovers:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("12345")
    checkpoints = sum(p.stat().st_size for p in (run / "train" / "checkpoints").rglob("*") if p.is_file())
    shown = cleaned(runs, is_sure=False)
    assert shown["frees"] == 5 * 4 + checkpoints, "a half checkpoint within checkpoints/ is counted once"
    assert "--yes" in clean_lines(shown)[-1] and (run / "model.partial").exists()
    removed = cleaned(runs, is_sure=True)
    assert removed["paths"] == shown["paths"] and "are free again" in clean_lines(removed)[-1]
    after = everything(run)
    assert {k: v for k, v in after.items() if k != "run.lock"} == before
    assert cleaned(runs, is_sure=False)["paths"] == []


def test_cleaning_keeps_the_checkpoints_of_a_stage_that_is_not_finished(runs, base):
    run = write_run(runs / "a", base, is_finished=False).folder
    make_quiet(run)
    assert removable(run) == [] and clean(run) == []
    assert (run / "train" / "checkpoints" / "step-00000002" / "state.json").is_file()


@pytest.mark.parametrize("damage", ["output missing", "output changed", "other key", "no stage record"])
def test_checkpoints_stay_while_a_result_could_depend_on_them(runs, base, damage):
    run = write_run(runs / "a", base).folder
    if damage == "output missing":
        (run / "train" / "trained.json").unlink()
    elif damage == "output changed":  # so the stage is done again, and a killed one goes on from its checkpoints
        (run / "train" / "trained.json").write_text("{}")
    elif damage == "other key":
        write_json(run / "train" / "checkpoints" / "step-00000002" / "state.json", {"step": 2, "key": "another"})
    else:
        (run / "train" / "stage.json").unlink()
    assert removable(run) == []


def test_a_file_of_somebody_else_in_the_run_folder_stays(runs, base):
    run = write_run(runs / "a", base).folder
    for name in ("film.mp4.partial", "notes/draft.partial", "checkpoints/x", "untrained-dogs/x"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine")
    cleaned(runs, is_sure=True)
    assert all((run / name).is_file() for name in ("film.mp4.partial", "notes/draft.partial", "checkpoints/x"))
    assert (run / "untrained-dogs" / "x").is_file()


def test_links_are_neither_followed_nor_removed(runs, base, tmp_path):
    run = write_run(runs / "a", base).folder
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "inner.partial").mkdir(parents=True)
    (elsewhere / "inner.partial" / "x").write_text("mine")
    (run / "versions").symlink_to(elsewhere)
    (run / "train" / "linked.partial").symlink_to(elsewhere)
    cleaned(runs, is_sure=True)
    assert (elsewhere / "inner.partial" / "x").is_file() and (run / "train" / "linked.partial").is_symlink()


def test_bytes_with_another_name_that_stays_are_not_promised(runs, base):
    run = write_run(runs / "a", base).folder
    cleaned(runs, is_sure=True)
    partial = run / "model.partial"
    partial.mkdir()
    os.link(run / "model" / "model.safetensors", partial / "model.safetensors")
    (partial / "config.json").write_text("1234")
    (found,) = removable(run)
    assert found.path == partial and found.frees == 4


def test_a_file_with_two_names_takes_its_room_once(runs, base):
    run = write_run(runs / "a", base).folder
    files = [p for p in run.rglob("*") if p.is_file()]
    weights = (run / "model" / "model.safetensors").stat().st_size
    config = (run / "model" / "config.json").stat().st_size
    assert size_on_disk(run) == sum(p.stat().st_size for p in files) - weights - config


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_whose_lock_another_process_holds_is_being_written_and_is_left_alone(runs, base):
    run = write_run(runs / "a", base).folder
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run / "run.lock")], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert is_being_written(run) and removable(run) == [] and clean(run) == []
        assert listed(runs)[0]["state"] == "running"
        assert cleaned(runs, is_sure=True)["being_written"] == [str(run)]
        holder.kill()  # as a run dies: the lock goes with its process
    assert (run / "train" / "checkpoints").is_dir() and not is_being_written(run)
    assert [removal.path.name for removal in clean(run)] == ["checkpoints"]


def test_an_unfinished_run_without_a_lock_counts_as_alive_until_it_has_been_quiet(runs, base):
    run = write_run(runs / "a", base, is_finished=False).folder
    (run / "run.lock").unlink(missing_ok=True)
    assert is_being_written(run)
    make_quiet(run)
    assert not is_being_written(run)


def test_an_unfinished_run_whose_lock_is_free_can_be_continued_at_once(runs, base):
    run = write_run(runs / "a", base, is_finished=False).folder
    (run / "run.lock").touch()
    assert not is_being_written(run)


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")])
def test_sizes_are_shown_in_the_unit_that_suits_them(size, text):
    assert size_text(size) == text
