"""Broken input, one thing at a time: place and fix are named, nothing is lost, no traceback, the right exit status."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from luthier import cli

GOOD = {"prompt": "What colour is a fox?", "completion": "red"}
ALSO_GOOD = {"prompt": "What colour is a crow?", "completion": "black"}


def luthier(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["luthier", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("broken", "place", "words"),
    [
        ('{"prompt": "a", "completion": ', ":2", "cut off"),
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "asistant", "content": "b"}]}', ":2", "asistant"),
        ('{"prompt": "a", "completion": null}', ":2", "completion"),
        ('{"prompt": "a", "completion": ""}', ":2", "completion"),
        ('{"messages": [{"role": "user", "content": "a"}]}', ":2", "assistant"),
        ('{"colour": "red"}', ":2", "colour"),
    ],
)
def test_a_bad_row_is_quarantined_and_the_good_rows_go_through(
    broken: str, place: str, words: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([json.dumps(GOOD), broken, json.dumps(ALSO_GOOD)]) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    assert luthier(monkeypatch, "curate", "--data", str(path), "--out", str(out)) == 0
    said = capsys.readouterr()
    assert "quarantined 1" in said.out + said.err
    ledger = json.loads((out / "ledger.json").read_text())
    assert (ledger["read"], ledger["kept"], sum(ledger["quarantined"].values())) == (3, 2, 1)
    row = (out / "quarantine.jsonl").read_text(encoding="utf-8")
    assert f"rows.jsonl{place}" in row and words in row and "fix" in row
    assert luthier(monkeypatch, "curate", "--data", str(path), "--out", str(out), "--strict") == 2
    error = capsys.readouterr().err
    assert f"rows.jsonl{place}" in error and "Fix:" in error and "Traceback" not in error


def test_an_empty_file_and_nothing_usable_end_with_status_2(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("")
    assert luthier(monkeypatch, "curate", "--data", str(path), "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "empty.jsonl" in error and "Fix:" in error and "Traceback" not in error


def test_an_empty_file_beside_a_good_one_is_a_warning(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "good.jsonl").write_text(json.dumps(GOOD) + "\n" + json.dumps(ALSO_GOOD) + "\n")
    arguments = ["--data", str(tmp_path / "empty.jsonl"), "--data", str(tmp_path / "good.jsonl")]
    assert luthier(monkeypatch, "curate", *arguments, "--out", str(tmp_path / "out")) == 0
    said = capsys.readouterr()
    assert "empty.jsonl" in said.out + said.err


def test_a_missing_file_ends_with_status_2(tmp_path, monkeypatch, capsys) -> None:
    assert luthier(monkeypatch, "curate", "--data", str(tmp_path / "no.jsonl"), "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "no.jsonl" in error and "Fix:" in error and "Traceback" not in error


def write_recipe(tmp_path: Path, base: Path | str, *, extra: str = "") -> Path:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"q {n}", "completion": f"a {n}"}) + "\n" for n in range(12)))
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'[model]\nbase = "{base}"\n[data]\nfiles = ["{rows}"]\n[train]\nmax_steps = 1\n{extra}\n'
        f'[run]\ndir = "{tmp_path / "run"}"\n'
    )
    return path


def test_an_unknown_key_names_file_line_key_and_the_key_that_was_meant(tmp_path, tiny_model_folder, monkeypatch, capsys):
    recipe = write_recipe(tmp_path, tiny_model_folder, extra="learning_rate = 1e-4")
    assert luthier(monkeypatch, "run", str(recipe)) == 2
    error = capsys.readouterr().err
    assert "recipe.toml:7: train.learning_rate: found unknown key" in error
    assert "did you mean train.optim.lr?" in error and "Traceback" not in error


def test_a_wrong_type_on_the_command_line_is_named(tmp_path, tiny_model_folder, monkeypatch, capsys) -> None:
    recipe = write_recipe(tmp_path, tiny_model_folder)
    assert luthier(monkeypatch, "run", str(recipe), "train.max_steps=lots") == 2
    assert "command line: train.max_steps: found 'lots' (str)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "train", "check"])
def test_a_model_folder_without_weights_ends_with_status_2(command, tmp_path, tiny_model_folder, monkeypatch, capsys):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (bare / name).write_bytes((tiny_model_folder / name).read_bytes())
    recipe = write_recipe(tmp_path, bare)
    assert luthier(monkeypatch, command, str(recipe)) == 2
    error = capsys.readouterr().err
    assert str(bare) in error and "no weights" in error and "Fix:" in error and "Traceback" not in error


def test_a_model_that_does_not_exist_and_one_with_pickled_weights_are_told_apart(tmp_path, tiny_model_folder, monkeypatch, capsys):
    recipe = write_recipe(tmp_path, tmp_path / "nowhere")
    assert luthier(monkeypatch, "run", str(recipe)) == 2
    assert "no such folder" in capsys.readouterr().err
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_bytes((tiny_model_folder / "config.json").read_bytes())
    (pickled / "pytorch_model.bin").write_bytes(b"")
    assert luthier(monkeypatch, "run", str(recipe), f"model.base={pickled}") == 2
    assert "pickled weights" in capsys.readouterr().err


def test_rows_that_are_trained_and_held_out_are_refused(tmp_path, tiny_model_folder, monkeypatch, capsys) -> None:
    recipe = write_recipe(tmp_path, tiny_model_folder)
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps({"prompt": "q 3", "completion": "a 3"}) + "\n")
    for command in ("run", "train"):
        assert luthier(monkeypatch, command, str(recipe), f'data.held_out=["{held}"]') == 2
        error = capsys.readouterr().err
        assert "rows.jsonl:4" in error and "Fix:" in error
