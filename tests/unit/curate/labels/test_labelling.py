"""The step that looks at answers, through the whole of curation: labels by task, texts by themselves."""

import json
from itertools import islice
from random import Random

import pytest

import luthier.curate.files.chunks as chunks
import luthier.curate.labels.step as labelling
from luthier.curate.config import CurateConfig
from luthier.curate.labels.answers import CUT_OFF, REFUSAL
from luthier.curate.labels.step import FAULTY_ANSWER, WRONG_LABEL
from luthier.curate.pipeline import curate
from luthier.demo.collection import practice_collection
from luthier.demo.raw import Source, write_raw_files
from luthier.demo.rows import Prompts, of_one_turn
from luthier.records import Example, read_records

COLOURS = {
    "red": ["tomato", "cherry", "ruby", "brick", "fire", "rose", "blood", "poppy", "rust", "wine", "lobster", "garnet"],
    "blue": ["sky", "sea", "sapphire", "ink", "denim", "lagoon", "cobalt", "jay", "iris", "lake", "berry", "navy"],
}
SORRY = "I'm sorry, but I can't assist with that."
BROKEN = "The lake lies behind the old mill where the road of the village turns to the left and the"


def silent(line):
    pass


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def coloured(count, *, wrong=(), seed=2, task="colours"):
    """Rows of one task whose words tell the label, some with the other one."""
    rng = Random(seed)
    rows = []
    for number in range(count):
        right, other = rng.sample(list(COLOURS), 2)
        prompt = f"Day {seed}-{number}: {' and '.join(rng.sample(COLOURS[right], 4))}. Which colour is that?"
        rows.append({"prompt": prompt, "completion": other if number in wrong else right, "task": task})
    return rows


def done(tmp_path, rows, name="out", **options):
    data = write(tmp_path / "rows.jsonl", rows)
    config = {"workers": 1, **options.pop("config", {})}
    return curate([data], out=tmp_path / name, config=CurateConfig(**config), say=silent, **options)


def flags(curated, reason=None):
    found = [json.loads(line) for line in curated.paths["flagged"].read_text().splitlines()]
    return [flag for flag in found if flag["step"] == "labels" and reason in (None, flag["reason"])]


def line_of(flag):
    return int(flag["where"].rpartition(":")[2])


def practice_rows(names, count):
    collection = practice_collection()
    tasks = tuple(task for task in collection.tasks if task.name in names)
    prompts = Prompts()
    return islice(
        prompts.rows(Random(1), tasks, lambda t: of_one_turn(t.seen(collection.unseen_templates)), side="train"), count
    )


def test_three_hundred_wrong_labels_among_three_thousand_are_flagged_through_the_whole_pipeline(tmp_path):
    """The target: 0.7 of the planted ones with a precision of 0.7."""
    rng = Random(2)
    rows = [
        {"prompt": row.example.messages[-2].content, "completion": row.answer, "task": "verdict"}
        for row in practice_rows({"verdict"}, 3_000)
    ]
    labels = sorted({row["completion"] for row in rows})
    planted = set(rng.sample(range(3_000), 300))
    for number in planted:
        rows[number]["completion"] = rng.choice([label for label in labels if label != rows[number]["completion"]])
    curated = done(tmp_path, rows)
    found = {line_of(flag) - 1 for flag in flags(curated, WRONG_LABEL)}
    assert len(found & planted) / len(found) >= 0.9 and len(found & planted) / 300 >= 0.85
    (task,) = curated.ledger["labels"]["tasks"]
    assert task["task"] == "verdict" and task["suspects"] == len(found) == curated.ledger["labels"]["suspects"]
    assert curated.ledger["dropped"] == {} and curated.ledger["flagged"]["labels"] >= len(found)


def test_wrong_labels_of_the_practice_worlds_raw_files_are_flagged_though_no_row_names_its_task(tmp_path):
    sources = (Source.of(row) for row in practice_rows({"stars"}, 4_000))
    files, truth = write_raw_files(tmp_path / "raw", Random(4), sources, 1_600)
    planted = {"wrong_label": set(), "conflicting_answer": set()}
    for path in files:
        for row in json.loads(truth.read_text())["files"][path.name]["rows"]:
            if row["kind"] in planted:
                planted[row["kind"]].add(f"{path}:{row['line']}")
    curated = curate(files, out=tmp_path / "out", config=CurateConfig(workers=1), say=silent)
    found = {flag["where"] for flag in flags(curated, WRONG_LABEL)}
    wrong = planted["wrong_label"]
    assert len(wrong) >= 12 and len(found & wrong) >= 0.7 * len(wrong)
    # A second answer to a prompt is a wrong label too.
    assert len(found & (wrong | planted["conflicting_answer"])) >= 0.7 * len(found)


WRONG = {5, 33, 60, 90, 120}


def test_a_suspect_says_which_label_is_likely_how_sure_that_is_and_by_which_task(tmp_path):
    curated = done(tmp_path, coloured(160, wrong=WRONG))
    found = flags(curated, WRONG_LABEL)
    assert {line_of(flag) - 1 for flag in found} == WRONG
    assert all("likely" in flag["detail"] and flag["detail"].endswith("by colours") for flag in found)
    assert all(0.5 < float(flag["detail"].split()[0]) <= 1 for flag in found)
    assert curated.ledger["kept"] == 160


def test_wrong_labels_can_be_dropped_and_balance_in_the_ledger(tmp_path):
    curated = done(tmp_path, [*coloured(160, wrong=WRONG)], config={"labels": {"action": "drop"}})
    assert curated.ledger["dropped"] == {WRONG_LABEL: 5} and curated.ledger["steps"]["labels"]["rows_out"] == 155
    assert flags(curated, WRONG_LABEL) == []
    dropped = [json.loads(line) for line in curated.paths["dropped"].read_text().splitlines()]
    assert {line_of(row) - 1 for row in dropped} == WRONG and {row["rule"] for row in dropped} == {WRONG_LABEL}


def test_a_suspect_that_is_hardly_more_probably_wrong_than_right_is_flagged_and_never_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "SURE", 1.01)
    curated = done(tmp_path, coloured(160, wrong=WRONG), config={"labels": {"action": "drop"}})
    assert curated.ledger["dropped"] == {} and len(flags(curated, WRONG_LABEL)) == 5


@pytest.mark.parametrize("action", ["flag", "drop"])
def test_what_a_person_keeps_is_neither_flagged_nor_dropped(tmp_path, action):
    rows = [*coloured(160, wrong=WRONG), {"prompt": "Where is the lake?", "completion": BROKEN}]
    first = done(tmp_path, rows)
    decisions = [{"id": flag["id"], "decision": "keep"} for flag in flags(first)]
    assert len(decisions) == 6
    config = {"labels": {"action": action}, "decisions": write(tmp_path / "review.jsonl", decisions)}
    again = done(tmp_path, rows, "again", config=config)
    assert flags(again) == [] and again.ledger["kept"] == 161 and again.ledger["dropped"] == {}
    assert again.ledger["labels"]["suspects"] == 0 and again.ledger["labels"]["answers"] == {}


def test_faulty_answers_are_flagged_with_the_answer_or_dropped(tmp_path):
    rows = [
        {"prompt": "Where is the lake?", "completion": BROKEN}, {"prompt": "May I swim?", "completion": SORRY},
        {"prompt": "What is it called?", "completion": "Long Lake"},
        {"prompt": "And the mill?", "chosen": SORRY, "rejected": "No."},
    ]  # fmt: skip
    flagged = done(tmp_path, rows)
    assert [(line_of(f), f["reason"], f["detail"]) for f in flags(flagged)] == [
        (1, CUT_OFF, BROKEN),
        (2, REFUSAL, SORRY),
    ]
    ids = {example.prompt[-1].content: example.id for example in read_records(flagged.paths["examples"], Example)}
    assert [flag["id"] for flag in flags(flagged)] == [ids["Where is the lake?"], ids["May I swim?"]]
    dropped = done(
        tmp_path, rows, "drop", config={"labels": {"action": "drop"}, "held_out_share": 0.0, "dev_share": 0.0}
    )
    assert dropped.ledger["dropped"] == {FAULTY_ANSWER: 2} and dropped.ledger["kept"] == 2
    without = done(tmp_path, rows, "without", config={"steps": ("clean", "exact")})
    assert without.ledger["labels"] == {} and flags(without) == []


def test_held_out_rows_are_judged_by_each_other_and_flagged_but_never_dropped(tmp_path):
    held = write(tmp_path / "held.jsonl", [*coloured(120, wrong={7, 50}, seed=5), {"prompt": "x", "completion": SORRY}])
    rows = coloured(160, wrong=WRONG)
    curated = done(tmp_path, rows, config={"labels": {"action": "drop"}}, held_out_files=[held])
    assert curated.counts["held_out"] == 121 and sum(curated.ledger["dropped"].values()) == 5
    assert {line_of(flag) - 1 for flag in flags(curated)} == {7, 50, 120}
    assert [(task["of"], task["rows"]) for task in curated.ledger["labels"]["tasks"]] == [
        ("data.files", 160), ("data.held_out", 120),
    ]  # fmt: skip
    alone = done(tmp_path, rows, "alone", config={"labels": {"action": "drop"}})
    ours, theirs = (
        [json.loads(x)["id"] for x in c.paths["dropped"].read_text().splitlines()] for c in (curated, alone)
    )
    assert ours == theirs


def test_pieces_workers_and_fetched_texts_change_nothing(tmp_path, monkeypatch):
    rows = [*coloured(160, wrong=WRONG), {"prompt": "May I swim?", "completion": SORRY}]
    rows += coloured(80, wrong={3}, seed=3, task="others")
    whole = done(tmp_path, rows)
    monkeypatch.setattr(chunks, "SMALLEST_BYTES", 4_000)
    parts = done(tmp_path, rows, "parts")
    two = done(tmp_path, rows, "two", config={"workers": 2})
    monkeypatch.setattr(labelling, "MOST_AT_ONCE", 10)  # texts are then fetched when they are asked for
    fetched = done(tmp_path, rows, "fetched")
    assert len(flags(whole)) == 7
    for other in (parts, two, fetched):
        for name in ("flagged", "examples", "ledger"):
            assert other.paths[name].read_bytes() == whole.paths[name].read_bytes()


def test_a_row_whose_record_only_the_standard_library_reads_is_judged_all_the_same(tmp_path):
    rows = coloured(160, wrong=WRONG)
    rows[5]["grading"] = {"weight": float("nan")}
    curated = done(tmp_path, rows, config={"steps": ("exact", "labels")})
    assert {line_of(flag) - 1 for flag in flags(curated)} == WRONG
