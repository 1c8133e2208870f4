"""The step that keeps a part of train, through the whole of curation, and its random controls."""

import json

import pytest

import luthier.curate.files.chunks as chunks
from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.curate.subset import NOT_SELECTED
from luthier.errors import ConfigError
from luthier.records import Example, read_records

ANSWERS = ("Yes.", "The lake is cold.", "The lake is cold in winter, and warm in summer when all of the village swims.")


def silent(line):
    pass


def done(tmp_path, name="out", *, rows=200, **config):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(
        json.dumps({"prompt": f"question {k} word{k}", "completion": f"{ANSWERS[k % 3]} {k}", "links": [f"doc {k}"]}) + "\n"
        for k in range(rows)
    ))  # fmt: skip
    options = {"dev_share": 0.1, "held_out_share": 0.1, "workers": 1, **config}
    return curate([data], out=tmp_path / name, config=CurateConfig(**options), say=silent)


def ids(path):
    return [example.id for example in read_records(path, Example)]


def words(path):
    return sum(len(f"{m.content}".split()) for example in read_records(path, Example) for m in example.messages)


def test_a_number_of_rows_is_kept_of_train_and_dev_and_held_out_stay(tmp_path):
    whole = done(tmp_path, "whole")
    curated = done(tmp_path, select={"keep": 30, "methods": ("length",)})
    kept = ids(curated.paths["train"])
    assert len(kept) == 30 == curated.counts["train"] and set(kept) < set(ids(whole.paths["train"]))
    for part in ("dev", "held_out"):
        assert curated.paths[part].read_bytes() == whole.paths[part].read_bytes() and curated.counts[part] > 10
    assert curated.ledger["dropped"] == {NOT_SELECTED: whole.counts["train"] - 30}
    assert curated.ledger["steps"]["select"] == {"rows_in": 200, "rows_out": curated.ledger["kept"]}
    assert set(curated.ledger["certificate"]["links"].values()) == {0}
    answers = [example.target for example in read_records(curated.paths["train"], Example)]
    assert all("swims" in answer for answer in answers)


def test_the_controls_are_written_and_the_ledger_tells_of_all_three(tmp_path):
    curated = done(tmp_path, select={"keep": 0.2, "methods": ("length",)})
    report = curated.ledger["select"]
    assert report["counted_in"] == "words" and report["methods"] == ["length"]
    train = done(tmp_path, "whole").paths["train"]
    assert report["kept"]["rows"] == round(0.2 * len(ids(train)))
    for name, subset in (("kept", "train"), ("control", "random_control"), ("control_tokens", "random_control_tokens")):
        path = curated.paths[subset]
        assert report[name]["rows"] == len(ids(path)) and report[name]["tokens"] == words(path), name
        assert set(ids(path)) <= set(ids(train)) and ids(path) == [x for x in ids(train) if x in set(ids(path))]
        assert 0 < report[name]["word_coverage"] < 1 and report[name]["mean_answer_tokens"] > 0
    assert report["control"]["rows"] == report["kept"]["rows"] < report["control_tokens"]["rows"]
    assert 0 <= report["control_tokens"]["tokens"] - report["kept"]["tokens"] < 30
    assert (tmp_path / "out" / "random_control.jsonl.version.json").is_file()


def test_the_control_does_not_depend_on_the_method(tmp_path):
    one = done(tmp_path, "one", select={"keep": 20, "methods": ("length",)})
    two = done(tmp_path, "two", select={"keep": 20})
    assert two.ledger["select"]["methods"] == ["diversity"]
    assert one.paths["random_control"].read_bytes() == two.paths["random_control"].read_bytes()
    assert one.paths["train"].read_bytes() != two.paths["train"].read_bytes()


def test_pieces_and_workers_change_nothing(tmp_path, monkeypatch):
    select = {"keep": 40, "methods": ("length", "diversity")}
    whole = done(tmp_path, select=select)
    monkeypatch.setattr(chunks, "SMALLEST_BYTES", 5_000)
    parts = done(tmp_path, "parts", select=select)
    for name in ("train", "random_control", "random_control_tokens", "ledger"):
        assert parts.paths[name].read_bytes() == whole.paths[name].read_bytes()


def test_without_the_key_nothing_is_selected_and_old_controls_go(tmp_path):
    with_key = done(tmp_path, select={"keep": 20})
    without = done(tmp_path)
    assert without.ledger["select"] == {} and "random_control" not in without.paths
    assert without.ledger["kept"] == 200 and without.ledger["steps"]["select"] == {"rows_in": 200, "rows_out": 200}
    assert not with_key.paths["random_control"].exists()
    assert not [path for path in (tmp_path / "out").iterdir() if "random_control" in path.name]


def test_more_rows_than_there_are_is_an_error_that_names_the_key(tmp_path):
    with pytest.raises(ConfigError, match=r"curate\.select\.keep"):
        done(tmp_path, rows=30, select={"keep": 31})
