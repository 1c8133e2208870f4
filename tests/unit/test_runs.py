"""Run folders: what is logged, what is forgotten, and when a finished stage may stand."""

from __future__ import annotations

import json

import pytest

from luthier import runs
from luthier.config import Config
from luthier.runs import Run, sha256


class Options(Config):
    lr: float = 0.1


@pytest.fixture
def run(tmp_path):
    return Run.open(tmp_path / "run", Options())


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("one\n")
    return path


def stage_of(run, source, *, options=None, owner="luthier.errors", base="model digest"):
    return run.stage("train", owner=owner, inputs={"rows": source, "base": base}, options=options or Options())


def finished(run, source):
    stage = stage_of(run, source)
    (stage.folder / "model").mkdir(parents=True)
    (stage.folder / "model" / "weights").write_text("w")
    stage.finish(note="done")
    return stage


def events(run):
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def test_opening_a_run_states_options_command_and_machine(tmp_path):
    run = Run.open(tmp_path / "a" / "run", Options(lr=0.5))
    assert json.loads((run.folder / "config.json").read_text()) == {"lr": 0.5}
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["finished"] is None and manifest["command"][0] == "luthier"
    assert {"torch", "transformers", "pydantic"} <= set(manifest["libraries"])
    assert manifest["machine"]["cores"] >= 1


def test_what_is_said_goes_to_the_terminal_and_the_log(tmp_path):
    said, steps = [], []
    run = Run.open(tmp_path / "run", {}, echo=said.append, step_echo=steps.append)
    run.say("hello")
    run.log({"step": 1}, kind="train", line="step 1")
    run.log({"step": 2}, kind="train")
    assert (said, steps) == (["hello"], ["step 1"])
    assert (run.folder / "log.txt").read_text() == "hello\nstep 1\n"
    assert events(run) == [{"kind": "train", "step": 1}, {"kind": "train", "step": 2}]


def test_forget_after_drops_later_events_of_one_kind(run):
    for step in range(1, 6):
        run.log({"step": step}, kind="train")
        run.log({"step": step}, kind="prefer")
    run.log({"note": "no step"}, kind="train")
    run.forget_after(3, kind="train")
    assert [e["step"] for e in events(run) if e["kind"] == "train" and "step" in e] == [1, 2, 3]
    assert [e["step"] for e in events(run) if e["kind"] == "prefer"] == [1, 2, 3, 4, 5]
    assert {"kind": "train", "note": "no step"} in events(run)


def test_forget_after_drops_the_line_that_a_kill_cut_in_two(run):
    """What follows a torn line stays readable."""
    run.log({"step": 1, "text": "U+2028 \u2028 \u0085"}, kind="train")
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    run.forget_after(1, kind="train")
    run.log({"step": 2}, kind="train")
    assert [json.loads(t)["step"] for t in (run.folder / "metrics.jsonl").read_text().split("\n") if t] == [1, 2]


def test_forget_after_needs_no_file(run):
    run.forget_after(0, kind="train")
    assert not (run.folder / "metrics.jsonl").exists()


def test_a_finished_stage_is_reused_by_the_next_run(run, source):
    """Stale preprocessing cache: same inputs, options, source and libraries."""
    stage = finished(run, source)
    again = stage_of(Run.open(run.folder, Options()), source)
    assert again.is_done() and again.changed() == [] and again.key == stage.key
    assert again.record["note"] == "done" and set(again.record["outputs"]) == {"model/weights"}


def test_a_stage_that_never_finished_is_not_done(run, source):
    assert not stage_of(run, source).is_done()
    assert stage_of(run, source).changed() == []


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("bytes", ["inputs.rows"]),
        ("text input", ["inputs.base"]),
        ("option", ["options.lr"]),
        ("owner", None),
        ("library", ["libraries.torch"]),
    ],
)
def test_whatever_a_result_depends_on_makes_it_stale(run, source, monkeypatch, what, changed):
    """Bytes, options, source files and library versions, each by itself, and it is named."""
    finished(run, source)
    options = {}
    if what == "bytes":
        source.write_text("two\n")
    elif what == "text input":
        options = {"base": "another digest"}
    elif what == "option":
        options = {"options": Options(lr=0.2)}
    elif what == "owner":
        options = {"owner": "luthier.config"}
    else:
        monkeypatch.setattr(runs, "library_versions", lambda: {"torch": "0.1"})
    stage = stage_of(run, source, **options)
    assert not stage.is_done()
    if changed is not None:
        assert set(changed) <= set(stage.changed())
    assert stage.changed()


@pytest.mark.parametrize("damage", ["changed", "deleted"])
def test_outputs_that_are_not_as_they_were_left_make_a_stage_stale(run, source, damage):
    stage = finished(run, source)
    path = stage.folder / "model" / "weights"
    if damage == "changed":
        path.write_text("x")
    else:
        path.unlink()
    assert not stage_of(run, source).is_done()


def test_half_written_files_are_no_outputs(run, source):
    stage = stage_of(run, source)
    stage.folder.mkdir(parents=True)
    (stage.folder / "model.partial").write_text("half")
    (stage.folder / "whole").write_text("w")
    stage.finish()
    assert set(stage.record["outputs"]) == {"whole"}


def test_the_commit_is_no_part_of_the_key(run, source, monkeypatch):
    key = stage_of(run, source).key
    monkeypatch.setattr(runs, "commit", lambda: "another")
    assert stage_of(run, source).key == key


def test_a_finished_run_states_what_its_stages_read_and_wrote(run, source):
    finished(run, source)
    run.finish()
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["finished"] is not None
    assert manifest["inputs"] == {str(source): sha256(source)}
    assert manifest["stages"]["train"]["outputs"]["model/weights"] == sha256(run.folder / "train" / "model" / "weights")


def test_several_owners_count_each(run, source):
    one = stage_of(run, source, owner=["luthier.errors"])
    two = stage_of(run, source, owner=["luthier.errors", "luthier.config"])
    assert one.key != two.key and one.key == stage_of(run, source, owner="luthier.errors").key
