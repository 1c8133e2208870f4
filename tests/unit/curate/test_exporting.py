"""What other tools read of an export is what was curated; what a shape cannot carry is counted; nothing is lost."""

import json
import subprocess
from pathlib import Path

import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.exporting import axolotl_rows, export
from luthier.curate.pipeline import curate
from luthier.curate.workplace import MARK
from luthier.errors import ConfigError

ORACLE = Path(__file__).parents[3] / ".venv-oracle" / "bin" / "python"
NAMES = ("trl", "llama-factory", "axolotl")
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
TALK = [
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "First \u00e9."}, {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Second."},
]  # fmt: skip
ROWS = {
    "plain": {"prompt": "Capital of France?", "completion": "Paris."},
    "talk": {"messages": TALK},
    "half": {"messages": [*TALK[:2], TALK[2] | {"weight": 0}, {"role": "user", "content": "Three?"}, TALK[4]]},
    "fraction": {"messages": [{"role": "user", "content": "Four?"},
                              {"role": "assistant", "content": "Yes.", "weight": 0.5}]},
    "tools": {"tools": [TOOL], "messages": [
        {"role": "user", "content": "1 + 2?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_call_id": "c1"}, {"role": "assistant", "content": "It is 3."}]},
    "targets": {"messages": [{"role": "user", "content": "Largest city of Australia?"},
                             {"role": "assistant", "content": "Sydney"}], "targets": ["Sydney", "Greater Sydney"]},
    "pair": {"prompt": "Say hello to the guests.", "chosen": "Hello, and welcome!", "rejected": "No."},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("export")
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS.values()))
    config = CurateConfig(export=NAMES, dev_share=0, held_out_share=0)
    curate([out / "rows.jsonl"], out=out / "out", config=config, say=lambda line: None)
    return out / "out"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def told(folder, name):
    return json.loads((folder / "ledger.json").read_text())["export"][name]


def said(turns):
    return [(turn["role"], turn["content"]) for turn in turns]


def test_every_record_is_written_or_told(folder):
    records = len(lines(folder / "examples.jsonl")) + len(lines(folder / "preferences.jsonl"))
    assert records == len(ROWS)
    for name, written in (("llama-factory", 5), ("axolotl", 6)):
        found = told(folder, name)
        left_out = sum(count for reason, count in found["told"].items() if reason.startswith("left out"))
        assert sum(found["rows"].values()) == written and written + left_out == records, name
        assert found["told"]["lost: accepted answers beyond the first"] == 1
    assert told(folder, "trl")["told"]["left out: a loss weight that is neither 0 nor 1"] == 1


def test_trl_gets_a_row_for_each_answer_that_is_trained(folder):
    rows = lines(folder / "export" / "trl" / "train.jsonl")
    asked = {(row["prompt"][-1]["content"], row["completion"][0]["content"]) for row in rows}
    assert asked >= {("One?", "First \u00e9."), ("Two?", "Second."), ("Three?", "Second."),
                     ("Capital of France?", "Paris."), ("3", "It is 3.")}  # fmt: skip
    assert len(rows) == 1 + 2 + 1 + 2 + 1
    (call,) = [row for row in rows if row["completion"][0].get("tool_calls")]
    assert call["completion"][0]["tool_calls"][0]["function"]["arguments"] == {"a": 1, "b": 2}
    assert json.loads(call["tools"]) == [TOOL]


def test_axolotl_is_told_turn_by_turn_what_trains(folder):
    rows = lines(folder / "export" / "axolotl" / "train.jsonl")
    (half,) = [row for row in rows if row["messages"][-2]["content"] == "Three?"]
    assert [turn["train"] for turn in half["messages"]] == [False, False, False, False, True]
    (talk,) = [row for row in rows if row["messages"][-2]["content"] == "Two?"]
    assert said(talk["messages"]) == said(TALK)
    assert [turn["train"] for turn in talk["messages"]] == [False, False, True, False, True]
    assert "message_field_training: train" in (folder / "export" / "axolotl" / "config.yaml").read_text()


def test_llama_factory_finds_its_files_and_turns_alternate(folder):
    at = folder / "export" / "llama-factory"
    info = json.loads((at / "dataset_info.json").read_text())
    assert info.keys() == {"luthier_train", "luthier_preferences"}
    assert info["luthier_preferences"]["ranking"] is True
    rows = json.loads((at / info["luthier_train"]["file_name"]).read_text())
    (tools,) = [row for row in rows if row["tools"]]
    assert [turn["from"] for turn in tools["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert json.loads(tools["conversations"][1]["value"]) == {"name": "add", "arguments": {"a": 1, "b": 2}}
    assert json.loads(tools["tools"]) == [TOOL["function"]]
    (talk,) = [row for row in rows if row["system"]]
    assert [turn["value"] for turn in talk["conversations"]] == ["One?", "First \u00e9.", "Two?", "Second."]
    assert told(folder, "llama-factory")["told"]["left out: an assistant turn that is not trained on"] == 1
    (pair,) = json.loads((at / "preferences.json").read_text())
    assert (pair["chosen"]["value"], pair["rejected"]["value"]) == ("Hello, and welcome!", "No.")


def test_the_readme_says_how_many_rows_and_what_was_lost(folder):
    for name in NAMES:
        text = (folder / "export" / name / "README.md").read_text()
        for reason, count in told(folder, name)["told"].items():
            assert f"- {reason}: {count}" in text
        for file, count in told(folder, name)["rows"].items():
            assert f"| `{file}` | {count} |" in text and (folder / "export" / name / file).is_file()


def test_an_export_that_is_no_longer_wanted_is_gone(folder, tmp_path):
    for name in ("examples", "train", "dev", "held_out", "preferences"):
        (tmp_path / f"{name}.jsonl").write_bytes((folder / f"{name}.jsonl").read_bytes())
    export(tmp_path, ["trl", "axolotl"])
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"trl", "axolotl"}
    export(tmp_path, ["trl"])
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"trl"}
    assert (tmp_path / "export" / "trl" / "train.jsonl").read_bytes() == (
        folder / "export" / "trl" / "train.jsonl"
    ).read_bytes()


def test_a_folder_that_no_export_made_is_never_deleted_nor_written_to(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROWS["plain"]) + "\n")
    mine = tmp_path / "out" / "export" / "axolotl" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("a: 1\n")

    def done(*names):
        config = CurateConfig(export=names, dev_share=0, held_out_share=0)
        curate([tmp_path / "rows.jsonl"], out=tmp_path / "out", config=config, say=lambda line: None)

    done("trl")
    assert mine.is_file()
    with pytest.raises(ConfigError, match=f"export/axolotl: found .* no {MARK}"):
        done("axolotl")
    assert [path.name for path in mine.parent.iterdir()] == ["mine.yaml"]
    assert (tmp_path / "out" / "export" / "trl" / "train.jsonl").is_file()  # refused before anything was done


def test_what_was_put_beside_an_export_stays_when_the_export_goes(folder, tmp_path):
    for name in ("train", "dev", "held_out", "preferences"):
        (tmp_path / f"{name}.jsonl").write_bytes((folder / f"{name}.jsonl").read_bytes())
    for name in NAMES:
        export(tmp_path, [name])
    mine = tmp_path / "export" / "axolotl" / "mine.yaml"
    mine.write_text("a: 1\n")
    export(tmp_path, [])
    assert {path.name for path in mine.parent.iterdir()} == {"mine.yaml", MARK}
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["axolotl"]
    export(tmp_path, ["axolotl"])
    assert mine.is_file() and (mine.parent / "train.jsonl").is_file()


READ = """
import json, sys
from datasets import load_dataset
from trl.data_utils import is_conversational
from pathlib import Path
at = Path(sys.argv[1])
data = {name: load_dataset("json", data_files=str(at / f"{name}.jsonl"), split="train", cache_dir=sys.argv[2])
        for name in ("train", "preferences")}
assert all(is_conversational(row) for split in data.values() for row in split)
print(json.dumps({name: [row for row in split] for name, split in data.items()}))
"""


@pytest.mark.skipif(not ORACLE.is_file(), reason="TRL is not installed beside the project")
def test_trl_reads_what_was_written(folder, tmp_path):
    at = folder / "export" / "trl"
    done = subprocess.run([ORACLE, "-c", READ, at, tmp_path], capture_output=True, text=True, check=False,
                          env={"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    written = lines(at / "train.jsonl")
    assert [said(row["prompt"]) + said(row["completion"]) for row in read["train"]] == [
        said(row["prompt"]) + said(row["completion"]) for row in written
    ]
    assert [row["chosen"] for row in read["preferences"]] == [row["chosen"] for row in lines(at / "preferences.jsonl")]


def test_axolotl_gets_the_calls_and_names_of_a_preference_too(tmp_path):
    turns = [{"role": "user", "content": "1 + 2?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]},
             {"role": "tool", "content": "3", "tool_call_id": "c1", "name": "add"}]  # fmt: skip
    (row,) = axolotl_rows({"prompt": turns, "chosen": "It is 3.", "rejected": "No."}, True)
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool"]
    assert row["messages"][1]["tool_calls"][0]["function"]["name"] == CALL["function"]["name"]
    assert (row["messages"][2]["tool_call_id"], row["messages"][2]["name"]) == ("c1", "add")


def test_links_are_counted_as_lost(tmp_path):
    curate_rows = tmp_path / "rows.jsonl"
    curate_rows.write_text(json.dumps(ROWS["plain"] | {"links": ["doc:1"]}) + "\n")
    config = CurateConfig(export=NAMES, dev_share=0, held_out_share=0)
    curate([curate_rows], out=tmp_path / "out", config=config, say=lambda line: None)
    assert all(told(tmp_path / "out", name)["told"].get("lost: links") == 1 for name in NAMES)
