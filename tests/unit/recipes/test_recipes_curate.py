"""`luthier curate`: into a folder or a recipe's run, and the check of a split with its exit status."""

import json
import sys

import pytest

from luthier.cli import main as cli_main
from luthier.errors import ConfigError
from luthier.recipes.curate import main


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pair(prompt, answer="b"):
    return {"prompt": prompt, "completion": answer}


def luthier(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["luthier", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli_main()
    return end.value.code


def test_without_files_or_a_folder_there_is_nothing_to_curate(tmp_path):
    with pytest.raises(ConfigError, match="--data FILE and --out DIR"):
        main(None, files=[], out=tmp_path, strict=False, say=print)


def test_a_split_without_leaks_ends_with_0_and_one_with_leaks_with_1(tmp_path, monkeypatch, capsys):
    train = write(tmp_path / "train.jsonl", [pair(f"question {k}") for k in range(20)])
    apart = write(tmp_path / "apart.jsonl", [pair(f"riddle {k}") for k in range(5)])
    leaking = write(tmp_path / "leaking.jsonl", [pair("riddle 1"), pair("question  7 ", "other")])
    assert luthier(monkeypatch, "curate", "--check-split", train, apart) == 0
    assert "apart: no prompt, near-duplicate or link is in both" in capsys.readouterr().out
    assert luthier(monkeypatch, "curate", "--check-split", train, leaking) == 1
    said = capsys.readouterr().out
    assert f"{train}:8 and {leaking}:2" in said and "refused" in said
    assert luthier(monkeypatch, "curate", "--check-split", train, leaking, "--json") == 1
    assert json.loads(capsys.readouterr().out)["test_rows"]["the same prompt"] == 1
    assert luthier(monkeypatch, "curate", "--check-split", train, tmp_path / "missing.jsonl") == 2


def test_strict_refuses_a_split_of_which_a_row_cannot_be_used(tmp_path, monkeypatch, capsys):
    train = write(tmp_path / "train.jsonl", [pair(f"question {k}") for k in range(20)])
    test = write(tmp_path / "test.jsonl", [pair("riddle 1"), {"text": "x"}])
    assert luthier(monkeypatch, "curate", "--check-split", train, test) == 0
    assert luthier(monkeypatch, "curate", "--check-split", train, test, "--strict") == 1
    assert f"{test}:2" in capsys.readouterr().out


def test_keys_of_data_and_curate_need_no_recipe(tmp_path, monkeypatch, capsys):
    data = write(tmp_path / "rows.jsonl", [{"Frage": f"question {k}", "completion": "b"} for k in range(20)])
    held = write(tmp_path / "held.jsonl", [pair("riddle")])
    start = ("curate", "--data", data, "--out", tmp_path / "out")
    keys = ('curate.columns={Frage = "prompt"}', "curate.dev_share=0", f'data.held_out=["{held}"]')
    assert luthier(monkeypatch, *start, *keys) == 0
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    assert ledger["splits"] == {"train": 20, "dev": 0, "held_out": 1}
    assert luthier(monkeypatch, *start, "curate.sed=3") == 2
    assert "did you mean curate.seed?" in capsys.readouterr().err
    assert luthier(monkeypatch, "curate", "curate.seed=3") == 2
    assert "there is nothing to curate" in capsys.readouterr().err


def test_the_ledger_can_be_read_by_programs(tmp_path, monkeypatch, capsys):
    data = write(tmp_path / "rows.jsonl", [pair(f"question {k}") for k in range(20)])
    assert luthier(monkeypatch, "curate", "--data", data, "--out", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "ledger.json").read_text())
