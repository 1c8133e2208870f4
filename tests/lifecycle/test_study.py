"""A study from its recipe to its report: what is reused, what a crash costs, what a changed option does again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "recipes"))

from small_collection import recipe_data, write_collection

from luthier import cli
from luthier.config import validate
from luthier.recipes.loading import load_recipe
from luthier.recipes.study import main
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.crew import Crew

TRANSFER = {"tasks": 1, "examples": [4], "methods": ["lora"], "epochs": 4}


@pytest.fixture
def run(tmp_path, tiny_model_folder):
    """Runs the small study with keys of [study]; returns its exit status and its lines."""
    collection = write_collection(tmp_path / "collection")

    def go(**study: object) -> tuple[int, list[str]]:
        study = {"arms": ["clusters", "transfer"], "held_out": [["ends"]], "transfer": TRANSFER, **study}
        data = recipe_data(tmp_path, collection, tiny_model_folder, **study)
        lines: list[str] = []
        recipe = validate(StudyRecipe, data, places={}, default_place="study.toml")
        return main(recipe, echo=lines.append), lines

    return go


def finished(folder: Path) -> dict[str, float]:
    """The arms on disk, with the moment when each was written."""
    return {path.stem: path.stat().st_mtime_ns for path in (folder / "run" / "arms").glob("*.json")}


def done(lines: list[str]) -> list[str]:
    """The arms that a call did, by their lines."""
    return [line.split()[3] for line in lines if line.startswith("arm | ") and "/" in line.split()[2]]


def test_a_second_call_does_what_is_missing_and_a_changed_option_only_its_arms(run, tmp_path):
    status, lines = run(max_arms=2, parallel=2)
    assert status == 0 and set(done(lines)) == {"base.s1.h0", "clusters-1.s1.h0"}
    assert any("3 arms are left; the same command goes on" in line for line in lines)
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    left = ["clusters-all.s1.h0", "transfer-past-base-lora-4.s1.h0", "transfer-past-tuned-lora-4.s1.h0"]
    assert f"3 of 5 planned arms are not finished: {', '.join(left)}" in report, "a partial study names what is left"
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["arms"] == ["base.s1.h0", "clusters-1.s1.h0", *left]
    first = finished(tmp_path)

    status, lines = run()
    assert done(lines) == left
    assert "planned arms are not finished" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    second = finished(tmp_path)
    assert {name: second[name] for name in first} == first
    assert not (tmp_path / "run" / "models").exists() and not (tmp_path / "run" / "scratch").exists()
    assert (tmp_path / "run" / "report.html").is_file() and (tmp_path / "run" / "study.json").is_file()

    status, lines = run(transfer={**TRANSFER, "epochs": 6})
    assert set(done(lines)) == {name for name in second if name.startswith("transfer")}
    assert {name: at for name, at in finished(tmp_path).items() if not name.startswith("transfer")} == {
        name: at for name, at in second.items() if not name.startswith("transfer")
    }

    status, lines = run()  # changed back: what was set aside is taken again
    assert done(lines) == [] and finished(tmp_path) == second


def test_a_process_that_ends_costs_its_arm_alone_and_the_next_call_tries_it_again(run, tmp_path, monkeypatch):
    give = Crew._give

    def give_and_end(crew, place, arm):
        give(crew, place, arm)
        if arm.name == "clusters-1.s1.h0":
            crew.workers[place].process.kill()

    with monkeypatch.context() as patched:
        patched.setattr(Crew, "_give", give_and_end)
        status, lines = run(arms=["clusters"], transfer={})
    assert status == 1 and set(finished(tmp_path)) == {"base.s1.h0", "clusters-all.s1.h0"}
    assert any("clusters-1.s1.h0 failed: its process ended with status -9" in line for line in lines)
    assert "clusters-1.s1.h0" in json.loads((tmp_path / "run" / "failures.json").read_text())

    status, lines = run(arms=["clusters"], transfer={})
    assert status == 0 and done(lines) == ["clusters-1.s1.h0"]


def test_kill_9_costs_at_most_the_arms_in_work(tmp_path, tiny_model_folder):
    """Through the command line, as a user starts it; its children end with it."""
    collection = write_collection(tmp_path / "collection")
    data = recipe_data(tmp_path, collection, tiny_model_folder, held_out=[["ends"]])
    recipe = write_toml(tmp_path / "study.toml", data)
    command = [str(Path(sys.executable).with_name("luthier")), "run", str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("arm | "):
                break
        process.kill()
        assert process.wait() == -signal.SIGKILL
    kept = finished(tmp_path)
    assert kept
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert {name: at for name, at in finished(tmp_path).items() if name in kept} == kept
    assert set(finished(tmp_path)) == {"base.s1.h0", "clusters-1.s1.h0", "clusters-all.s1.h0"}
    assert not list((tmp_path / "run").rglob("*.partial"))


def test_new_writes_a_study_that_can_be_read_and_never_overwrites(tmp_path, tiny_model_folder, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, "new", "study") == 0
    assert "20 clusters" in capsys.readouterr().out
    recipe = load_recipe(Path("study.toml"))
    assert recipe.model.base == "practice" and recipe.tasks.collection == "practice"
    assert called(monkeypatch, "new", "study") == 2
    assert "the recipe is there already" in capsys.readouterr().err
    write_collection(tmp_path / "mine")
    (tmp_path / "mine" / "collection.toml").write_text("unseen_templates = 1\n")
    arguments = ("new", "study", "--data", "mine", "--model", str(tiny_model_folder), "--out", "mine.toml")
    assert called(monkeypatch, *arguments) == 0
    recipe = load_recipe(Path("mine.toml"))
    assert recipe.tasks.collection == Path("mine") and recipe.model.base == str(tiny_model_folder)
    assert recipe.study.held_out and "contrast" not in recipe.study.arms and recipe.run.dir == Path("runs/mine")
    assert called(monkeypatch, "check", "mine.toml") == 2
    assert "use `luthier run` for it" in capsys.readouterr().err


def called(monkeypatch, *arguments: str) -> int:
    """The exit status of the command, in this process."""
    monkeypatch.setattr(sys, "argv", ["luthier", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def write_toml(path: Path, data: dict) -> Path:
    """A recipe of plain tables, in TOML."""
    lines = []
    for table, keys in data.items():
        if isinstance(keys, dict):
            lines.append(f"[{table}]")
            lines += [f"{key}.{inner} = {json.dumps(v)}" for key, value in keys.items() if isinstance(value, dict)
                      for inner, v in value.items()]  # fmt: skip
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items() if not isinstance(value, dict)]
        else:
            lines.insert(0, f"{table} = {json.dumps(keys)}")
    path.write_text("\n".join(lines) + "\n")
    return path
