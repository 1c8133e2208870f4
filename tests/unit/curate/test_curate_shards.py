"""A shard is whole or not there, says what was put in, and is used again under its key alone."""

import json

import numpy as np
import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.files.chunks import chunks
from luthier.curate.gathered import Gathered
from luthier.curate.labels.endings import may_break_off
from luthier.curate.mapping import Job, link_key, make_shard
from luthier.curate.pipeline import curate
from luthier.curate.shards import EDGE, ROW, Notes, Shard, Writer, read_notes
from luthier.records import Example, read_records


def entries(count, **columns):
    found = np.zeros(count, ROW)
    for name, values in columns.items():
        found[name] = values
    return found


def no_edges():
    return np.zeros(0, EDGE)


def test_a_shard_says_what_was_put_in(tmp_path):
    edges = np.zeros(1, EDGE)
    edges["row"], edges["is_link"], edges["key"] = 1, True, [5, 6]
    with Writer(tmp_path / "s") as writer:
        assert writer.add([b'{"a":1}\n', b'{"b":22}\n'], entries(2, line=[4, 5]), edges) == 0
        assert writer.add([b'{"c":3}\n'], entries(1, line=[9]), no_edges()) == 2
        writer.tell("flagged", 1, {"reason": "odd"})
        assert not (tmp_path / "s").exists()
        writer.finish(Notes("key", 3))
    shard = Shard(tmp_path / "s")
    assert [shard.record(number) for number in range(3)] == [{"a": 1}, {"b": 22}, {"c": 3}]
    assert shard.rows["line"].tolist() == [4, 5, 9]
    assert [(int(edge["row"]), bool(edge["is_link"])) for edge in shard.edges] == [(1, True)]
    assert list(shard.lines("flagged")) == [(1, {"reason": "odd"})] and list(shard.lines("leaks")) == []
    assert (shard.notes.key, shard.notes.num_inputs) == ("key", 3)


def test_edges_of_a_later_batch_count_from_the_first_record(tmp_path):
    edges = np.zeros(2, EDGE)
    edges["row"] = [0, 1]
    with Writer(tmp_path / "s") as writer:
        writer.add([b"{}\n"] * 3, entries(3), edges.copy())
        writer.add([b"{}\n"] * 2, entries(2), edges.copy())
        writer.finish(Notes("key"))
    shard = Shard(tmp_path / "s")
    assert shard.edges["row"].tolist() == [0, 1, 3, 4]
    table = Gathered([tmp_path / "a", tmp_path / "b"], 2, [])
    assert len(table) == 0 and len(table.edges()) == 0 and table.column("exact").shape == (0, 2)


def test_a_shard_is_empty_where_no_row_could_be_used(tmp_path):
    with Writer(tmp_path / "s") as writer:
        writer.finish(Notes("key", 7))
    shard = Shard(tmp_path / "s")
    assert len(shard.rows) == len(shard.edges) == len(shard.records) == 0


def test_what_is_not_finished_is_not_there_and_does_not_disturb(tmp_path):
    with Writer(tmp_path / "s") as writer:
        writer.tell("leaks", 0, {})
    assert read_notes(tmp_path / "s").key == ""
    with Writer(tmp_path / "s") as writer:
        writer.finish(Notes("new"))
    assert read_notes(tmp_path / "s").key == "new" and [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_shard_is_used_again_while_its_rows_and_its_job_are_the_same(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"q {k}", "completion": "a"}) + "\n" for k in range(5)))

    def made(key):
        (chunk,) = chunks([path], columns={}, size=10**6)
        return make_shard(chunk, Job(CurateConfig(), tmp_path / "work", 1, key))

    assert [made("one").is_reused, made("one").is_reused, made("two").is_reused, made("two").is_reused] == [
        False, True, False, True,
    ]  # fmt: skip
    path.write_text(path.read_text() + '{"prompt": "x", "completion": "y"}\n')
    done = made("two")
    assert not done.is_reused and done.num_inputs == 6


def test_a_row_with_several_records_counts_once_and_the_others_are_made(tmp_path):
    row = {"instruction": "Add one.", "instances": [{"input": str(k), "output": str(k + 1)} for k in range(4)]}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({"prompt": "Add one.\n\n2", "completion": "3"}) + "\n")
    curated = curate([path], out=tmp_path / "out", config=CurateConfig(), say=lambda line: None)
    ledger = curated.ledger
    assert (ledger["read"], ledger["kept"], ledger["merged"], ledger["made"]) == (2, 1, {"duplicate": 1}, 3)
    assert ledger["records"] == {"kept": 4, "merged": 1}
    sources = [example.source for example in read_records(curated.paths["examples"], Example)]
    assert sorted(sources) == [f"{path}:1", f"{path}:1#2", f"{path}:1#3", f"{path}:1#4"]
    (merged,) = [json.loads(line) for line in curated.paths["merged"].read_text().splitlines()]
    assert (merged["where"], merged["into_where"]) == (f"{path}:2", f"{path}:1#3")


ENDS = [
    ("Because the sky scatters blue light more than red and", True),
    ("Because the sky scatters blue light more than red, and so:", True),
    ("Because the sky scatters blue light more than red.", False),
    ("Paris, the capital", False),
    ("1 2 3 4 5 6 7 8 9", False),
    ("def f(a, b, c, d, e, f, g, h, i):\n    return (a)", False),
    ("", False),
]


@pytest.mark.parametrize(("answer", "is_broken_off"), ENDS)
def test_an_answer_breaks_off_where_a_sentence_goes_on(answer, is_broken_off):
    assert may_break_off(answer) is is_broken_off


def test_links_have_keys_of_their_own():
    assert len({link_key("a"), link_key("b"), link_key("")}) == 3
