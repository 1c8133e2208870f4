import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import ftfy
import pytest

from luthier.demo.files import DOCUMENT_GAP, PLAIN_DOCUMENTS, PracticeFiles, write_practice_data
from luthier.demo.rows import prompt_key
from luthier.demo.tasks import HELD_OUT_TASKS, REWARD_TASKS, TASKS, TRAINED_TASKS
from luthier.demo.text import documents

ROWS = 700
BY_NAME = {task.name: task for task in (*TASKS, *REWARD_TASKS)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> PracticeFiles:
    return write_practice_data(tmp_path_factory.mktemp("practice"), seed=3, train_rows=ROWS, items_per_task=5)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def raw_rows(path: Path) -> list[tuple[tuple[str, ...], tuple[Any, ...]] | None]:
    """Prompts and answers of each row of a raw file; None for a row that is not JSON."""
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".csv":
        return [((r["prompt"],), (r["completion"],)) for r in csv.DictReader(text.splitlines(keepends=True))]
    if path.suffix == ".md":
        cells = [re.split(r"(?<!\\)\|", line)[1:3] for line in text.splitlines()[2:]]
        unescaped = [[c.strip().replace("<br>", "\n").replace("\\|", "|") for c in row] for row in cells]
        return [((prompt,), (answer,)) for prompt, answer in unescaped]
    entries = json.loads(text) if path.suffix == ".json" else [parsed(line) for line in text.splitlines()]
    return [entry if entry is None else turns(entry) for entry in entries]


def parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def turns(entry: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    if "instruction" in entry:
        rest = entry["input"] if entry["input"] not in ("", "N/A", "<noinput>") else ""
        return ((entry["instruction"] + ("\n" + rest if rest else ""),), (entry["output"],))
    messages = entry.get("messages") or entry["conversations"]
    contents = [m.get("content", m.get("value")) for m in messages]
    return tuple(contents[::2]), tuple(contents[1::2])


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, files: PracticeFiles) -> None:
    write_practice_data(tmp_path, seed=3, train_rows=ROWS, items_per_task=5)
    first = {p.relative_to(files.truth.parent): p.read_bytes() for p in files.truth.parent.rglob("*") if p.is_file()}
    again = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    assert first == again


def test_the_suites_do_not_change_with_the_number_of_training_rows(tmp_path: Path, files: PracticeFiles) -> None:
    other = write_practice_data(tmp_path, seed=3, train_rows=200, items_per_task=5)

    assert other.unseen_tasks.read_bytes() == files.unseen_tasks.read_bytes()
    assert other.unseen_phrasings.read_bytes() == files.unseen_phrasings.read_bytes()


def test_the_truth_balances_and_counts_what_the_files_hold(files: PracticeFiles) -> None:
    truth = json.loads(files.truth.read_text())

    assert truth["total"]["good"] == ROWS
    for path in files.raw:
        told = truth["files"][path.name]
        rows = raw_rows(path)
        assert told["read"] == len(rows) == told["good"] + told["exact_duplicates"] + sum(told["quarantine"].values())
        unreadable = told["quarantine"].get("broken_json", 0) + told["quarantine"].get("cut_in_two", 0)
        assert unreadable == sum(row is None for row in rows)
        whole = [row for row in rows if row]
        answers = Counter(repr(answer) for _, said in whole for answer in said)
        assert told["quarantine"].get("null_answer", 0) == answers["None"]
        assert told["quarantine"].get("empty_answer", 0) == answers["''"]
        assert told["quarantine"].get("ends_on_user", 0) == sum(len(p) > len(a) for p, a in whole)
        assert told["exact_duplicates"] == len(whole) - len(set(whole))
        text = path.read_text(encoding="utf-8")
        assert told["quarantine"].get("wrong_role", 0) == text.count('"asistant"')
        assert told["mended"].get("zero_width", 0) == text.count("\u200b")
        assert text.count('"N/A"') + text.count('"<noinput>"') == told["placeholder_inputs"]


def test_mojibake_can_be_mended(files: PracticeFiles) -> None:
    truth = json.loads(files.truth.read_text())
    for path in files.raw:
        broken = [row for row in raw_rows(path) if row and "\u00c3" in json.dumps(row, ensure_ascii=False)]
        assert len(broken) == truth["files"][path.name]["mended"].get("mojibake", 0)
        assert all("\u00c3" not in ftfy.fix_text(json.dumps(row, ensure_ascii=False)) for row in broken)


def test_one_raw_file_has_carriage_returns_and_one_a_byte_order_mark(files: PracticeFiles) -> None:
    assert [path.name for path in files.raw if b"\r\n" in path.read_bytes()] == ["chat.jsonl"]
    assert [path.name for path in files.raw if path.read_bytes().startswith(b"\xef\xbb\xbf")] == ["completions.csv"]


def test_no_prompt_of_an_evaluation_is_in_a_training_file(files: PracticeFiles) -> None:
    trained = {prompt_key(p) for path in files.raw for row in raw_rows(path) if row for p in row[0]}
    trained |= {prompt_key(line["prompt"][0]["content"]) for line in lines(files.preferences)}
    trained |= {prompt_key(line["messages"][0]["content"]) for line in lines(files.rl_train)}
    asked = [
        prompt_key(line["messages"][0]["content"])
        for path in (files.unseen_phrasings, files.unseen_tasks, files.rl_held_out)
        for line in lines(path)
    ]

    assert len(asked) == len(set(asked))
    assert not trained & set(asked)


def test_no_prompt_of_an_evaluation_is_in_the_text_to_pre_train_on(files: PracticeFiles) -> None:
    text = "\n".join(documents(0, 2000))

    for path in (files.unseen_phrasings, files.unseen_tasks, files.rl_held_out):
        assert [line for line in lines(path) if line["messages"][0]["content"] in text] == []


def test_suites_hold_the_tasks_and_templates_that_they_name(files: PracticeFiles) -> None:
    phrasings, new = lines(files.unseen_phrasings), lines(files.unseen_tasks)

    assert Counter(line["task"] for line in phrasings) == {task.name: 5 for task in TRAINED_TASKS}
    assert Counter(line["task"] for line in new) == dict.fromkeys(HELD_OUT_TASKS, 5)
    assert all(int(line["template"].split("/")[1]) in BY_NAME[line["task"]].unseen for line in phrasings)
    for line in (*phrasings, *new, *lines(files.rl_train)):
        assert line["licence"] == "Apache-2.0"
        assert line["cluster"] == BY_NAME[line["task"]].cluster
        assert ("choices" in line) == (line["grading"] == {"grader": "choice"})
        assert "choices" not in line or line["targets"][0] in line["choices"]


def test_preferences_prefer_the_right_answer_to_another_one(files: PracticeFiles) -> None:
    rows = lines(files.preferences)

    assert len(rows) >= 400
    assert all(row["chosen"].strip() != row["rejected"].strip() for row in rows)
    assert {row["task"] for row in rows} == {task.name for task in TRAINED_TASKS}


def test_plain_text_falls_apart_into_the_documents_it_was_made_of(files: PracticeFiles) -> None:
    parts = files.plain.read_text(encoding="utf-8").removesuffix("\n").split(DOCUMENT_GAP)

    assert len(parts) == PLAIN_DOCUMENTS
    assert not set(parts) & set(documents(3, 2000))
