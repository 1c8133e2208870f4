"""Files as found in the wild: every row is understood or accounted for, with the exact counts of each shape."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from luthier.curate.files.reading import data_files
from luthier.curate.ledger import quarantine_entry
from luthier.curate.rows import converted_rows, recognise
from luthier.records.jsonl import from_json, parse_json, to_bytes

DATA = os.environ.get("LUTHIER_TEST_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")

# Rows by shape, by the rule that drops them, or by what is wrong with them.
FILES = {
    "formats/alpaca_en_demo.json": {"alpaca": 999},
    "formats/alpaca_zh_demo.json": {"alpaca": 1000},
    "formats/dpo_en_demo.json": {"preference": 299},
    "formats/glaive_toolcall_en_demo.json": {"sharegpt": 300},
    "formats/kto_en_demo.json": {"messages": 150, "marked as bad": 150},
    "formats/reason_tool_use_demo_50.jsonl": {"messages": 50},
    "formats/self_instruct_seed_tasks.jsonl": {"instances": 175},
    "formats/v1_dpo_demo.jsonl": {"preference": 10},
    "formats/v1_sft_demo.jsonl": {"messages": 500},
    "dolly/dolly_15k.jsonl.gz": {"alpaca": 15015},
    "openassistant/en_100_tree.jsonl": {"tree": 100},
    "superni/instances.jsonl.gz": {"super-ni": 57878, "empty answer": 1},
    "superni/tasks.json": {"missing answer": 214},  # definitions, which tasks are read with
    "bbq/Age.jsonl.gz": {"bbq": 3680},
    "bbq/Nationality.jsonl.gz": {"bbq": 3080},
    "bbq/Religion.jsonl.gz": {"bbq": 1200},
    "gsm8k/test.jsonl.gz": {"alpaca": 1319},
    "gsm8k/train.jsonl.gz": {"alpaca": 7473},
    "hh_rlhf/harmless-base/test.jsonl.gz": {"preference": 2299, "empty answer": 4, "wrong order": 9},
    "hh_rlhf/helpful-base/test.jsonl.gz": {"preference": 2333, "empty answer": 4, "wrong order": 15, "no preference": 2},
    "hh_rlhf/helpful-online/test.jsonl.gz": {"preference": 1129, "empty answer": 4, "missing answer": 2, "no preference": 2},
    "hh_rlhf/helpful-rejection-sampled/test.jsonl.gz": {"preference": 2714, "wrong order": 3, "no preference": 32},
    "bbh/word_sorting.json": {"alpaca": 250},
    "ifeval/en_input_data.jsonl": {"ifeval": 541},
}  # fmt: skip
FOLDERS = ("formats", "dolly", "openassistant", "superni", "gsm8k", "hh_rlhf")


def values_of(path):
    """The rows of a file as the standard library reads them."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        if path.suffix == ".json":
            value = json.load(file)
            return value if isinstance(value, list) else value["examples"]
        return [json.loads(line) for line in file]


def test_every_file_of_the_folders_is_counted_here():
    found = {str(path.relative_to(DATA)) for path in data_files([Path(DATA) / folder for folder in FOLDERS])}
    assert found == {name for name in FILES if name.partition("/")[0] in FOLDERS}


@pytest.mark.parametrize("name", FILES)
def test_every_row_is_understood_or_accounted_for(name):
    path = Path(DATA) / name
    values = values_of(path)
    counts, number = Counter(), 0
    for number, (row, converted) in enumerate(converted_rows(path), start=1):
        assert dict(row.data) == values[number - 1]
        assert bool(converted.records) != bool(converted.fault)
        counts[converted.dropped or (converted.fault.reason if converted.fault else converted.shape)] += 1
        if converted.fault:
            assert quarantine_entry(row, converted.fault)["raw"]
        for record in converted.records:
            assert from_json(type(record), parse_json(to_bytes(record))) == record
    assert number == len(values)
    assert counts == FILES[name]


def answered(message, before=()):
    """The ways of a tree, written down once more: those that end in an answer which no answered request follows."""
    said = (*before, message["text"])
    if message["role"] == "assistant":
        followed = [reply for reply in message["replies"] if reply["replies"]]
        return [said] if not followed else [way for reply in followed for way in answered(reply, said)]
    return [way for reply in message["replies"] for way in answered(reply, said)]


def test_the_examples_of_conversation_trees_are_their_answered_ways():
    path = Path(DATA) / "openassistant" / "en_100_tree.jsonl"
    total = 0
    for value, (_, converted) in zip(values_of(path), converted_rows(path), strict=True):
        ways = [tuple(m.content for m in record.messages) for record in converted.records]
        assert ways == answered(value["prompt"])
        assert {record.links for record in converted.records} == {(f"tree:{value['message_tree_id']}",)}
        total += len(ways)
    assert total == 546


def test_calls_of_tools_are_all_there():
    for name, is_call in (("glaive_toolcall_en_demo.json", lambda turn: turn.get("from") == "function_call"),
                          ("reason_tool_use_demo_50.jsonl", None)):  # fmt: skip
        path = Path(DATA) / "formats" / name
        for value, (_, converted) in zip(values_of(path), converted_rows(path), strict=True):
            (record,) = converted.records
            turns = value.get("conversations") or value["messages"]
            parts = [part for turn in turns for part in (turn["content"] if is_call is None else [])]
            expected = sum(map(is_call, turns)) if is_call else sum(part["type"] == "tool_call" for part in parts)
            assert sum(len(message.tool_calls) for message in record.messages) == expected
            assert [t["function"]["name"] for t in record.tools] == [
                tool.get("function", tool)["name"] for tool in json.loads(value["tools"])
            ]
            for part in parts:
                assert part["type"] == "tool_call" or any(part["value"].strip() in m.content for m in record.messages)


def test_recognise_says_how_many_rows_of_each_shape_there_are():
    path = Path(DATA) / "formats" / "kto_en_demo.json"
    assert recognise([path]) == {str(path): {"messages": 150, "marked as bad": 150}}
