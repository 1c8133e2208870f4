"""The whole of curation: outputs, the ledger that balances, splits that stay, and what is an error."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.config import CurateConfig
from luthier.curate.parting import IN_HELD_OUT_FILE, ON_HELD_OUT_PROMPT
from luthier.curate.pipeline import curate
from luthier.errors import DataError
from luthier.records import Example, Preference, read_records


def silent(line):
    pass


def write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def pair(number, answer="b", **rest):
    return {"prompt": f"question {number}", "completion": answer, **rest}


def preferred(number):
    return {"prompt": f"question {number}", "chosen": "b", "rejected": "c"}


def examples(curated, name):
    return list(read_records(curated.paths[name], Example))


def lines(curated, name):
    return [json.loads(line) for line in curated.paths[name].read_text().splitlines()]


def prompts(records):
    return {record.prompt[-1].content for record in records}


def test_every_row_ends_in_exactly_one_place_and_is_written_there(tmp_path):
    bad = ['{"prompt": "x", ', {"text": "x"}, pair(1, "")]
    rows = [*(pair(k) for k in range(50)), pair(3), pair(4, "b\u200b"), pair(5, "other"), preferred("p"), *bad]
    data = write(tmp_path / "rows.jsonl", rows)
    said = []
    curated = curate([data], out=tmp_path / "out", config=CurateConfig(licence="MIT"), say=said.append)
    ledger = json.loads(curated.paths["ledger"].read_text())
    assert ledger == curated.ledger
    assert (ledger["read"], ledger["kept"], ledger["merged"]) == (57, 52, {"duplicate": 2})
    assert ledger["quarantined"] == {"cut off": 1, "empty answer": 1, "unknown shape": 1}
    assert ledger["files"] == {str(data): {"prompt/completion": 54, "preference": 1, "unknown": 1, "unreadable": 1}}
    assert ledger["conflicts"] == {"prompts": 1, "answers": 2, "preferences": 0}
    assert ledger["repaired"] == {"invisible characters": 1}
    assert ledger["licences"] == {"MIT": 52}
    parts = {name: len(examples(curated, name)) for name in ("train", "dev", "held_out")}
    assert parts == ledger["splits"] and sum(parts.values()) == 51
    assert [e.id for n in parts for e in examples(curated, n)] == [e.id for e in examples(curated, "examples")]
    assert [p.licence for p in read_records(curated.paths["preferences"], Preference)] == ["MIT"]
    merged = [(m["where"], m["into_where"]) for m in lines(curated, "merged")]
    assert merged == [(f"{data}:51", f"{data}:4"), (f"{data}:52", f"{data}:5")]
    assert [entry["where"].removeprefix(f"{data}:")[:2] for entry in lines(curated, "quarantine")] == ["55", "56", "57"]
    assert curated.counts == {**parts, "preferences": 1}
    assert f"curate | {data} | 57 rows | prompt/completion 54, preference 1, unknown 1, unreadable 1" in said
    quarantine = curated.paths["quarantine"]
    assert f"curate | read 57 | kept 52 | duplicate 2 | quarantined 3 (see {quarantine})" in said


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "N/A", "user", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["role", "content", "from", "value", "type", "text"]), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip
TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.sampled_from("ab")}),
    max_size=3,
)
ROWS = st.dictionaries(
    st.sampled_from([
        "instruction", "input", "output", "prompt", "completion", "question", "messages", "conversations", "targets",
        "chosen", "rejected", "label", "links", "system", "history", "weight", "grading", "tools", "choices", "raw",
        "where", "reason",
    ]),
    JSON_VALUES | TURNS | st.sampled_from("ab"), max_size=4,
) | st.sampled_from([pair(1), pair(2), pair(1, "c"), preferred(1), "not json", '{"prompt": "cut'])  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(ROWS, max_size=12), st.lists(ROWS, max_size=4))
def test_the_ledger_balances_whatever_the_rows_hold(rows, held_out_rows):
    with tempfile.TemporaryDirectory() as folder:
        data = write(Path(folder) / "rows.jsonl", [pair("first"), *rows])
        held_out = write(Path(folder) / "held.jsonl", [pair("held"), *held_out_rows])
        curated = curate([data], out=Path(folder) / "out", config=CurateConfig(), held_out_files=[held_out],
                         allow_overlap=True, say=silent)  # fmt: skip
        ledger = curated.ledger
        assert ledger["read"] == 2 + len(rows) + len(held_out_rows)
        written = sum(
            len(lines(curated, name)) for name in ("examples", "preferences", "merged", "dropped", "quarantine")
        )
        assert written == ledger["read"]
        assert len(lines(curated, "examples")) + len(lines(curated, "preferences")) == ledger["kept"]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = [*(pair(k, links=[f"doc {k % 7}"]) for k in range(60)), pair(3), preferred(1), "oops", pair(5, "c")]
    data = write(tmp_path / "rows.jsonl", rows)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        curate([data], out=folder, config=CurateConfig(seed=5), say=silent)
    names = {path.name for path in folders[0].iterdir()} - {"timings.json"}
    assert len(names) == 19  # fourteen files, of which five have a version beside them
    for name in names:
        one, two = ((folder / name).read_bytes() for folder in folders)
        assert one == two, name


def test_adding_rows_leaves_every_old_row_in_its_part(tmp_path):
    old = write(tmp_path / "old.jsonl", [pair(k, links=[f"doc {k}"] if k % 3 else []) for k in range(200)])
    new = write(tmp_path / "new.jsonl", [*(pair(k) for k in range(200, 400)), *(pair(k, "again") for k in range(50))])
    before = curate([old], out=tmp_path / "before", config=CurateConfig(), say=silent)
    after = curate([new, old], out=tmp_path / "after", config=CurateConfig(), say=silent)
    for part in ("train", "dev", "held_out"):
        assert prompts(examples(before, part)) <= prompts(examples(after, part))
        assert examples(before, part)


def test_no_prompt_and_no_link_is_in_two_parts(tmp_path):
    rows = [pair(k % 90, f"answer {k}", links=[f"doc {k % 40}"] if k % 2 else []) for k in range(300)]
    config = CurateConfig(dev_share=0.3, held_out_share=0.3)
    curated = curate([write(tmp_path / "rows.jsonl", rows)], out=tmp_path / "out", config=config, say=silent)
    assert all(curated.counts[part] for part in ("train", "dev", "held_out"))
    parts = [examples(curated, part) for part in ("train", "dev", "held_out")]
    for one in range(3):
        for two in range(one):
            assert not prompts(parts[one]) & prompts(parts[two])
            assert not {x for e in parts[one] for x in e.links} & {x for e in parts[two] for x in e.links}
    assert set(curated.ledger["certificate"]["prompts"].values()) == {0}
    assert set(curated.ledger["certificate"]["links"].values()) == {0}


def test_preferences_on_held_out_prompts_are_dropped_and_others_are_kept(tmp_path):
    rows = [*(pair(k) for k in range(100)), *(preferred(k) for k in range(120))]
    curated = curate([write(tmp_path / "rows.jsonl", rows)], out=tmp_path / "out", config=CurateConfig(), say=silent)
    held_out = prompts(examples(curated, "held_out"))
    kept = prompts(read_records(curated.paths["preferences"], Preference))
    assert kept == {f"question {k}" for k in range(120)} - held_out
    assert curated.ledger["dropped"] == {ON_HELD_OUT_PROMPT: len(held_out)}
    assert {entry["rule"] for entry in lines(curated, "dropped")} == {ON_HELD_OUT_PROMPT}


def test_held_out_files_make_held_out_and_their_preferences_are_dropped(tmp_path):
    data = write(tmp_path / "rows.jsonl", [pair(k) for k in range(100)])
    tests = write(tmp_path / "test.jsonl", [{"messages": [{"role": "user", "content": "new"}], "targets": ["b"]},
                                           preferred("new")])  # fmt: skip
    curated = curate([data], out=tmp_path / "out", config=CurateConfig(), held_out_files=[tests], say=silent)
    (item,) = examples(curated, "held_out")
    assert (item.prompt[-1].content, item.messages[-1].content, item.source) == ("new", "b", f"{tests}:1")
    assert curated.counts["train"] + curated.counts["dev"] == 100
    assert curated.ledger["dropped"] == {IN_HELD_OUT_FILE: 1}


def test_a_prompt_in_both_sets_is_an_error_unless_it_is_allowed(tmp_path):
    data = write(tmp_path / "rows.jsonl", [pair(1), pair(2), preferred(3)])
    tests = write(tmp_path / "test.jsonl", [pair("2 ", "other"), pair(3), pair(4)])
    config = CurateConfig(dev_share=0.0)
    options = {"out": tmp_path / "out", "config": config, "held_out_files": [tests], "say": silent}
    with pytest.raises(DataError, match="2 held-out prompts are among the rows to learn from") as caught:
        curate([data], **options)
    problem = caught.value.problems[0]
    assert (problem.where, problem.found) == (f"{tests}:1", f"the prompt of {data}:2")
    assert "allow_overlap" in problem.fix
    ledger = curate([data], **options, allow_overlap=True).ledger
    assert ledger["certificate"]["prompts"]["train/held_out"] == 1
    assert ledger["certificate"]["prompts"]["preferences/held_out"] == 1


def test_a_held_out_prompt_that_an_earlier_turn_asks_is_an_overlap_too(tmp_path):
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, "abcd", strict=True)]
    data = write(tmp_path / "rows.jsonl", [{"messages": turns}])
    options = {"out": tmp_path / "out", "config": CurateConfig(), "say": silent}
    with pytest.raises(DataError, match="1 held-out prompt is among"):
        curate([data], **options, held_out_files=[write(tmp_path / "test.jsonl", [{"prompt": "a", "completion": "x"}])])
    # The other way round nothing leaks: an examination asks only the last question.
    curate([write(tmp_path / "test.jsonl", [{"prompt": "a", "completion": "x"}])], **options, held_out_files=[data])


def test_strict_is_an_error_after_the_outputs_were_written(tmp_path):
    data = write(tmp_path / "rows.jsonl", [pair(1), pair(2, "")])
    with pytest.raises(DataError, match=r"rows\.jsonl:2: completion"):
        curate([data], out=tmp_path / "out", config=CurateConfig(strict=True), say=silent)
    assert json.loads((tmp_path / "out" / "ledger.json").read_text())["kept"] == 1


def test_an_empty_file_is_a_warning_and_nothing_kept_at_all_an_error(tmp_path):
    empty = write(tmp_path / "empty.jsonl", [])
    said = []
    curated = curate([empty, write(tmp_path / "rows.jsonl", [pair(1)])], out=tmp_path / "out", config=CurateConfig(),
                     say=said.append)  # fmt: skip
    assert any(line.startswith(f"curate | warning: {empty}: found an empty file") for line in said)
    assert [problem.where for problem in curated.problems] == [str(empty)]
    with pytest.raises(DataError, match="no row of the data can be used"):
        curate(
            [empty, write(tmp_path / "bad.jsonl", [pair(1, "")])],
            out=tmp_path / "none",
            config=CurateConfig(),
            say=silent,
        )
    assert (tmp_path / "none" / "quarantine.jsonl").read_text()


@pytest.mark.parametrize("rows", [[pair(7, ""), {"text": "x"}], [preferred(7)]])
def test_held_out_files_of_which_no_row_is_left_are_an_error_after_the_outputs_were_written(tmp_path, rows):
    data, held_out = write(tmp_path / "rows.jsonl", [pair(k) for k in range(5)]), write(tmp_path / "bad.jsonl", rows)
    with pytest.raises(DataError, match=r"no row of data\.held_out can be used") as caught:
        curate([data], out=tmp_path / "out", config=CurateConfig(), held_out_files=[held_out], say=silent)
    assert caught.value.problems[0].where == str(held_out)
    assert len(caught.value.problems) == 1 + (len(rows) if "text" in rows[-1] else 0)
    assert json.loads((tmp_path / "out" / "ledger.json").read_text())["splits"]["held_out"] == 0


def test_a_missing_file_is_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match=r"missing\.jsonl: found no such file"):
        curate([tmp_path / "missing.jsonl"], out=tmp_path / "out", config=CurateConfig(), say=silent)
    assert not (tmp_path / "out").exists()


def test_a_curated_folder_can_be_curated_again_and_stays_what_it_is(tmp_path):
    rows = [*(pair(k, links=[f"doc {k}"], task="t") for k in range(30)), preferred(7)]
    first = curate([write(tmp_path / "rows.jsonl", rows)], out=tmp_path / "one", config=CurateConfig(), say=silent)
    second = curate([first.paths["examples"], first.paths["preferences"]], out=tmp_path / "two", config=CurateConfig(),
                    say=silent)  # fmt: skip
    for name in ("train", "dev", "held_out", "examples", "preferences"):
        assert first.paths[name].read_bytes() == second.paths[name].read_bytes(), name


def test_mended_rows_of_quarantine_can_be_fed_back(tmp_path):
    data = write(tmp_path / "rows.csv", ["prompt,completion", "question 1,b", "question 2,"])
    first = curate([data], out=tmp_path / "one", config=CurateConfig(), say=silent)
    text = first.paths["quarantine"].read_text().replace('\\"completion\\": \\"\\"', '\\"completion\\": \\"now full\\"')
    mended = tmp_path / "mended.jsonl"
    mended.write_text(text)
    second = curate([data, mended], out=tmp_path / "two", config=CurateConfig(), say=silent)
    assert {e.prompt[-1].content: e.target for e in examples(second, "examples")} == {
        "question 1": "b",
        "question 2": "now full",
    }


def test_columns_and_shares_are_read_from_the_config(tmp_path):
    data = write(tmp_path / "rows.jsonl", [{"Frage": f"q {k}", "Antwort": "b"} for k in range(40)])
    config = CurateConfig(columns={"Frage": "prompt", "Antwort": "completion"}, dev_share=0.0, held_out_share=0.0)
    curated = curate([data], out=tmp_path / "out", config=config, say=silent)
    assert curated.ledger["splits"] == {"train": 40, "dev": 0, "held_out": 0}
    seeds = [CurateConfig(columns=config.columns, held_out_share=0.5, seed=seed) for seed in (1, 2)]
    held_out = [
        prompts(examples(curate([data], out=tmp_path / f"{c.seed}", config=c, say=silent), "held_out")) for c in seeds
    ]
    assert held_out[0] != held_out[1]
