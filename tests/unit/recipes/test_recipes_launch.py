"""Training in processes that torchrun starts: what they make, say and refuse is what one process would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes import TINY_TEXT, tiny_examples, tiny_preferences
from luthier.config import load_config
from luthier.errors import ConfigError, DataError, LuthierError, Problem
from luthier.models.load import load_model
from luthier.recipes import launch
from luthier.recipes.train import main
from luthier.recipes.tune import TuneRecipe
from luthier.runs import Run
from luthier.train.config import ModelConfig, TrainConfig
from luthier.train.training import TrainingData


@pytest.fixture
def recipe(tmp_path, tiny_model_folder):
    """The recipe of a run with so many processes."""
    rows = [{"messages": [{"role": m.role, "content": m.content} for m in e.messages]} for e in tiny_examples(8)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def made(name: str, **keys: object) -> TuneRecipe:
        settings = {"model.base": str(tiny_model_folder), "run.dir": str(tmp_path / name), "data.files": [str(data)],
                    "train.max_steps": 3, "train.batch_rows": 4, "train.optim.lr": 1e-3}  # fmt: skip
        toml = tmp_path / f"{name}.toml"
        toml.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in (settings | keys).items()))
        return load_config(TuneRecipe, toml)

    return made


def job_of(folder: Path, base: Path, **options) -> launch.Job:
    return launch.Job(
        start=base, model=ModelConfig(base=str(base)), train=TrainConfig(**options), run=folder, folder=folder / "train",
        key="key", kind="train",
    )  # fmt: skip


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [e["train/loss"] for e in events if e["kind"] == "train"]


def test_luthier_train_starts_its_processes_and_passes_on_what_they_say(recipe, tmp_path):
    said: dict[str, list[str]] = {"two": [], "one": []}
    shown: list[str] = []
    for name, number in (("one", 1), ("two", 2)):
        status = main(recipe(name, **{"train.processes": number}), echo=said[name].append, step_echo=shown.append)
        assert status == 0
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert len(losses(tmp_path / "two")) == 3
    assert "train | 2 processes share the weights and the rows of each step" in said["two"]
    for line in ("train | rows: kept 8", "train | sft | trains"):
        assert [line in "\n".join(said[name]) for name in said] == [True, True]
    assert (tmp_path / "two" / "log.txt").read_text().count("step     3/3") == 1
    assert [line[:12] for line in shown] == [f"step     {n}/3" for n in (1, 2, 3)] * 2
    assert load_model(tmp_path / "two", device="cpu").num_parameters > 1000
    left = sorted(p.name for p in (tmp_path / "two" / "train").iterdir())
    assert left == sorted(p.name for p in (tmp_path / "one" / "train").iterdir())
    # The number of processes is no part of what the result depends on.
    again: list[str] = []
    main(recipe("two", **{"train.processes": 1}), echo=again.append, step_echo=None)
    assert any("reused" in line for line in again)


def test_an_error_in_a_process_is_the_error_of_the_run(tmp_path, tiny_model_folder):
    job = job_of(tmp_path, tiny_model_folder, max_length=2, overlong="drop", processes=2)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="there is nothing to train on") as error:
        launch.trained(job, TrainingData(examples=tiny_examples(4)), Run(tmp_path))
    assert error.value.problems[0].found == "no rows with a trained token"
    assert list((tmp_path / "train").iterdir()) == []


def test_a_job_reaches_the_processes_as_it_was_given(tmp_path, tiny_model_folder, monkeypatch):
    data = TrainingData(
        examples=tiny_examples(3), dev=tiny_examples(1), preferences=tiny_preferences(2), documents=[*TINY_TEXT],
        dev_documents=[], text=["a\u2028b"],
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    job = job_of(Path("."), tiny_model_folder, max_steps=3, freeze=("embeddings",))
    launch._write(tmp_path / "job", job, data)
    monkeypatch.chdir("/")
    read = launch.Job.model_validate_json((tmp_path / "job" / "job.json").read_text())
    assert read.train == job.train and read.folder == tmp_path / "train"
    assert launch._read(tmp_path / "job") == data


def test_the_first_error_stands(tmp_path):
    first = ConfigError("first", [Problem(where="a", found="b", expected="c", fix="d")])
    launch._leave_word(tmp_path, first)
    launch._leave_word(tmp_path, LuthierError("second"))
    found = launch._error(json.loads((tmp_path / "error.json").read_text()))
    assert type(found) is ConfigError and found.text() == first.text()


def test_a_library_that_prints_is_passed_on_too(tmp_path):
    said: list[str] = []
    steps: list[str] = []
    run = Run(tmp_path, echo=said.append, step_echo=steps.append)
    for line in ('{"kind": "step", "text": "s"}\n', '{"kind": "say", "text": "t"}\n', "warning: x\n", '["y"]\n'):
        launch._pass_on(line, run)
    assert (said, steps) == (["t", "warning: x", '["y"]'], ["s"])
    assert list(tmp_path.iterdir()) == []  # the process that said it has written it


def test_only_further_processes_of_torchrun_follow(monkeypatch):
    assert not launch.is_follower()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, follows in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        assert launch.is_follower() is follows
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launch.is_follower()


def test_torchrun_is_refused_where_nobody_leads_its_processes(tmp_path, tiny_model_folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="luthier train"):
        launch.trained(job_of(tmp_path, tiny_model_folder), TrainingData(), Run(tmp_path))
