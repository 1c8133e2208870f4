import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import ftfy
import pytest

from luthier.curate.rows import read_examples
from luthier.demo.collection import practice_collection
from luthier.demo.files import DOCUMENT_GAP, PLAIN_DOCUMENTS, PracticeFiles, practice_tasks, write_practice_data
from luthier.demo.rewards import REWARD_TASKS
from luthier.demo.rows import prompt_key
from luthier.demo.text import documents
from luthier.graders import auto
from luthier.records import Completion

ROWS = 700
COLLECTION = practice_collection()
TRAINED, UNSEEN = ([task.name for task in some] for some in (practice_tasks().trained, practice_tasks().unseen))
BY_NAME = {task.name: task for task in (*COLLECTION.tasks, *REWARD_TASKS)}


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


def asked(path: Path) -> list[str]:
    """The prompts of a suite, all turns of each."""
    return [prompt_key([turn["content"] for turn in line["messages"]]) for line in lines(path)]


def trained_prompts(files: PracticeFiles) -> list[str]:
    """Every prompt that an answer of a training file follows."""
    raw = [row for path in files.raw for row in raw_rows(path) if row]
    found = [
        prompt_key([text for pair in zip(prompts, answers, strict=False) for text in pair if text][: 2 * turn + 1])
        for prompts, answers in raw
        for turn in range(len(prompts))
    ]
    found += [prompt_key([prompt]) for prompts, _ in raw for prompt in prompts]
    return found + [prompt_key([turn["content"] for turn in line["prompt"]]) for line in lines(files.preferences)]


def test_no_prompt_is_in_two_files(files: PracticeFiles) -> None:
    suites = (files.unseen_phrasings, files.unseen_tasks, files.rl_held_out, files.rl_train)
    kept = [key for path in suites for key in asked(path)]

    assert len(kept) == len(set(kept))
    assert not set(trained_prompts(files)) & set(kept)


def test_the_leaked_rows_lie_apart_and_give_away_prompts_of_the_suites(files: PracticeFiles) -> None:
    kept = {*asked(files.unseen_phrasings), *asked(files.unseen_tasks)}
    leaked = [prompt_key([turns(line)[0][0]]) for line in lines(files.leaked)]

    assert files.leaked.parent.name == "raw_leaked" and files.leaked not in files.raw
    assert leaked and all(any(key in prompt for key in kept) for prompt in leaked)
    assert 2 * len(kept & set(leaked)) == len(leaked)


def test_no_prompt_of_an_evaluation_is_in_the_text_to_pre_train_on(files: PracticeFiles) -> None:
    text = "\n".join(documents(0, 1000))

    for path in (files.unseen_phrasings, files.unseen_tasks, files.rl_held_out):
        assert [line for line in lines(path) if line["messages"][-1]["content"] in text] == []


def test_suites_hold_the_tasks_and_templates_that_they_name(files: PracticeFiles) -> None:
    phrasings, new = lines(files.unseen_phrasings), lines(files.unseen_tasks)

    assert Counter(line["task"] for line in phrasings) == dict.fromkeys(TRAINED, 5)
    assert Counter(line["task"] for line in new) == dict.fromkeys(UNSEEN, 5)
    for line in (*phrasings, *new, *lines(files.rl_train)):
        task = BY_NAME[line["task"]]
        template = task.templates[int(line["template"].split("/")[1])]
        assert not template.is_inverted
        assert (template in task.unseen(COLLECTION.unseen_templates)) or line["task"] not in TRAINED
        assert len(line["messages"]) == len(template.turns) and line["messages"][-1]["role"] == "user"
        assert (line["licence"], line["cluster"]) == ("Apache-2.0", task.cluster)
        assert line["grading"]["grader"] == task.metric
        assert ("choices" in line) == (task.metric == "choice")
        assert "choices" not in line or line["targets"][0] in line["choices"]


def test_held_out_clusters_and_tasks_are_unseen_and_what_is_too_near_to_them_is_neither(files: PracticeFiles) -> None:
    clusters = COLLECTION.held_out[0]

    assert not set(TRAINED) & set(UNSEEN)
    assert {task.name for task in COLLECTION.members(clusters)} <= set(UNSEEN)
    assert set(COLLECTION.held_out_tasks) <= set(UNSEEN)
    assert not {BY_NAME[name].cluster for name in TRAINED} & set(clusters)
    sources = {source for task in COLLECTION.members(clusters) for source in task.sources}
    assert not sources & {source for name in TRAINED for source in BY_NAME[name].sources}


def test_the_suites_are_read_as_the_examples_that_they_were_made_of(files: PracticeFiles) -> None:
    for path in (files.unseen_phrasings, files.unseen_tasks, files.rl_train, files.rl_held_out):
        read = read_examples([path])
        assert not read.problems and len(read.examples) == len(lines(path))
        for example, line in zip(read.examples, lines(path), strict=True):
            assert (list(example.targets), example.grading, example.template) == (
                line["targets"], line["grading"], line["template"],
            )  # fmt: skip
            right = Completion.of(example_id=example.id, model_id="m", text=line["targets"][0])
            wrong = Completion.of(example_id=example.id, model_id="m", text="xyz")
            assert (auto(example, right).value, auto(example, wrong).value) == (1, 0)


def test_conversations_are_where_the_shape_holds_them(files: PracticeFiles) -> None:
    turns_of = {path.name: [len(row[0]) for row in raw_rows(path) if row] for path in files.raw}

    assert [name for name, found in turns_of.items() if max(found) > 2] == ["chat.jsonl", "sharegpt.json"]


def test_preferences_prefer_the_right_answer_to_another_one(files: PracticeFiles) -> None:
    rows = lines(files.preferences)

    assert len(rows) >= 400
    assert all(row["chosen"].strip() != row["rejected"].strip() for row in rows)
    assert {row["task"] for row in rows} == set(TRAINED)
    assert any(len(row["prompt"]) > 1 for row in rows)


def test_plain_text_falls_apart_into_the_documents_it_was_made_of(files: PracticeFiles) -> None:
    parts = files.plain.read_text(encoding="utf-8").removesuffix("\n").split(DOCUMENT_GAP)

    mixed = [line["text"] for line in lines(files.plain_mixed)]
    assert len(parts) == len(mixed) == PLAIN_DOCUMENTS
    assert not set(parts) & set(mixed)
    assert not {*parts, *mixed} & set(documents(3, 1000))
