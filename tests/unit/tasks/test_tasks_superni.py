"""Super-NaturalInstructions as a collection."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from random import Random

import pytest

from luthier.errors import DataError
from luthier.tasks import certificate, read_super_natural_instructions, without_overlap

DATA = os.environ.get("LUTHIER_TEST_DATA", "")
ENTRY = {"task": "t1", "category": "Sums", "definition": "Add {both}.\n", "source": ["s"]}
INSTANCE = {"task": "t1", "id": "1", "input": "1 {x}", "output": ["2", "two"]}


def write(folder: Path, entries, instances) -> Path:
    (folder / "tasks.json").write_text(json.dumps(entries), encoding="utf-8")
    with gzip.open(folder / "instances.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(instance) + "\n" for instance in instances))
    return folder


def test_a_definition_with_braces_is_the_template(tmp_path):
    instances = [INSTANCE, {**INSTANCE, "output": [" "]}, {**INSTANCE, "input": "2"}]
    collection = read_super_natural_instructions(write(tmp_path, [ENTRY], instances))
    (task,) = collection.tasks
    assert (task.name, task.clusters, task.sources, task.metric) == ("t1", ("Sums",), ("s",), "rouge_l")
    assert [row.source for row in task.rows] == ["instances.jsonl.gz:1", "instances.jsonl.gz:3"]
    example = task.example(task.rows[0], task.templates[0])
    assert example.messages[0].content == "Add {both}.\n\n1 {x}"
    assert example.messages[0] == task.example(task.rows[0], task.templates[0], wording="definition").messages[0]
    assert example.targets == ("2", "two")
    capped = read_super_natural_instructions(tmp_path, max_rows=1)
    assert len(capped.tasks[0].rows) == 1
    assert capped.digest != collection.digest


@pytest.mark.parametrize(
    ("entries", "instances", "where"),
    [
        ([{"category": "x"}], [], "tasks.json"),
        ([{**ENTRY, "definition": None}], [INSTANCE], "tasks.json: t1"),
        ([ENTRY], [INSTANCE, {**INSTANCE, "task": "t2"}], "instances.jsonl.gz:2"),
        ([ENTRY], [{**INSTANCE, "output": [3]}], "instances.jsonl.gz:1"),
    ],
)
def test_an_entry_that_cannot_be_read_is_told_with_its_place(tmp_path, entries, instances, where):
    with pytest.raises(DataError) as caught:
        read_super_natural_instructions(write(tmp_path, entries, instances))
    assert caught.value.problems[0].where == str(tmp_path / where)


def test_a_file_that_is_cut_off_or_missing_is_told(tmp_path):
    write(tmp_path, [ENTRY], [INSTANCE] * 1000)
    path = tmp_path / "instances.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read_super_natural_instructions(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        read_super_natural_instructions(tmp_path)


@pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")
def test_the_real_tasks_are_read_and_parted():
    collection = read_super_natural_instructions(Path(DATA) / "superni", max_rows=20)
    assert len(collection.tasks) == 214
    assert len(collection.clusters) == 38
    held_out = list(collection.clusters[:3])
    trained = collection.trainable(held_out)
    assert 0 < len(trained) < 214
    kept_sources = {source for task in trained for source in task.sources}
    assert kept_sources.isdisjoint(source for task in collection.members(held_out) for source in task.sources)
    rng = Random(0)
    sides = [
        [task.example(row, task.templates[0]) for task in tasks for row in task.draw(rng, set())]
        for tasks in (trained, collection.members(held_out))
    ]
    parted = without_overlap(*sides)
    assert certificate(parted.kept, sides[1]).is_clean
    assert len(parted.kept) + len(parted.dropped) == len(sides[0])
    assert len(parted.dropped) < 0.05 * len(sides[0])
