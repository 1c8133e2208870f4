"""Each method end to end over a real server: what is asked, what is kept, and an account in which every request ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fakes_writer
from fakes_writer import serving
from luthier.cli import app
from luthier.curate.synthesis.rules import bare, instance, is_copied, listed, request_fault, score_of
from luthier.errors import DataError
from luthier.records import Example, read_records
from luthier.tasks import read_collection

SEEDS = [("Name three rivers of France.", "Loire, Seine, Rhone."), ("Translate 'hello' into German.", "Hallo."),
         ("How do I boil an egg for breakfast?", "Ten minutes."), ("Write a haiku that speaks of rain.", "Rain falls.")]  # fmt: skip
STARTS = {
    "self_instruct": [{"prompt": prompt, "completion": answer} for prompt, answer in SEEDS],
    "evol_instruct": [{"prompt": prompt, "completion": answer} for prompt, answer in SEEDS],
    "inversion": [
        {"text": f"The {word} stands by the {word} river and is open daily."}
        for word in ("mill", "inn", "barn", "tower", "abbey")
    ],
    "persona": [
        {"persona": "A retired sailor who repairs clocks."},
        {"persona": "A nurse on night shifts."},
        {"text": "Knots hold ships, and ships hold sailors."},
    ],
}


def starts(folder: Path, method: str) -> Path:
    path = folder / f"{method}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in STARTS[method]))
    return path


def recipe(folder: Path, method: str, url: str, *, run: str = "run", writer: str = "", **keys) -> Path:
    path = folder / "recipe.toml"
    given = {"rows": 5} | keys | ({} if method == "paraphrase" else {"files": [str(starts(folder, method))]})
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    path.write_text("\n".join(['recipe = "synthesise"', "[synthesise]", f'method = "{method}"', *lines, "[writer]", 'model = "scripted"',
                               f'base_url = "{url}"', "backoff_s = 0.001", writer, "[run]", f'dir = "{folder}/{run}"', ""]))  # fmt: skip
    return path


def made(folder: Path, method: str, server, *, run: str = "run", **keys) -> tuple[dict, list[Example]]:
    result = CliRunner().invoke(app, ["synthesise", str(recipe(folder, method, server.url, run=run, **keys)), "--json"])
    assert result.exit_code == 0, result.output + str(result.exception)
    out = folder / run / "synthesise"
    return json.loads((out / "ledger.json").read_text()), list(read_records(out / "rows.jsonl", Example))


def balances(ledger: dict) -> bool:
    parts = [*ledger["kinds"].values(), ledger]
    sums = [p["requests"] == p["accepted"] + sum(p["rejected"].values()) + sum(p["failed"].values()) for p in parts]
    return all(sums) and ledger["requests"] == sum(kind["requests"] for kind in ledger["kinds"].values())


@pytest.mark.parametrize("method", STARTS)
def test_a_method_makes_as_many_rows_as_are_wanted_and_names_what_wrote_them(tmp_path, method):
    with serving() as server:
        ledger, rows = made(tmp_path, method, server)
    assert len(rows) == ledger["rows"] == 5 and balances(ledger)
    assert len({row.prompt[0].content for row in rows}) == 5
    assert all(re.fullmatch(rf"scripted {method} [0-9a-f]{{16}}", row.generator or "") for row in rows)
    assert ledger["calls"] == len(server.asked) and ledger["tokens"] == 15 * len(server.asked)


def test_self_instruct_shows_eight_requests_two_of_them_made(tmp_path):
    with serving() as server:
        ledger, rows = made(tmp_path, "self_instruct", server, rows=14)
    prompts = [
        body["messages"][0]["content"] for body in server.asked if "more tasks" in body["messages"][0]["content"]
    ]
    asked = {prompt for prompt, _ in SEEDS}
    shown = [re.findall(r"^Task \d+: (.*)$", prompt, re.MULTILINE) for prompt in prompts]
    assert set(shown[0]) == asked and len(shown) > 1
    assert all(len(set(tasks) - asked) == 2 and len(tasks) == 6 for tasks in shown[1:])  # there are four seeds
    assert ledger["proposals"]["not in text"] == ledger["proposals"]["too short"] == len(prompts)
    assert rows[0].source.startswith("synthetic:")


def test_inversion_asks_what_each_text_answers_and_keeps_the_text_as_it_is(tmp_path):
    with serving() as server:
        ledger, rows = made(tmp_path, "inversion", server, rows=3)
    texts = [row["text"] for row in STARTS["inversion"]]
    assert [row.targets[0] for row in rows] == texts[:3] and rows[1].source == f"{tmp_path}/inversion.jsonl:2"
    assert rows[0].prompt[0].content.startswith("Describe the ") and rows[0].links[0].startswith("text:")
    assert ledger["starts"] == {"used": 5} and len(server.asked) == 3


def test_inversion_keeps_pairs_with_the_least_score_only(tmp_path):
    with serving() as server:
        ledger, rows = made(tmp_path, "inversion", server, min_score=3)
    scores = ledger["kinds"]["score"]
    assert scores["accepted"] == len(rows) and scores["requests"] == ledger["kinds"]["request"]["accepted"]
    assert sum(scores["rejected"].values()) > 0 and set(scores["rejected"]) == {"score below 3"}


def test_a_request_whose_first_text_is_dropped_is_free_for_a_later_one(tmp_path):
    def say(prompt):
        return ("Score: 1" if "The mill" in prompt else "Score: 5") if "How good is" in prompt else "Where is it, and when is it open?"

    with serving(say=say) as server:
        ledger, rows = made(tmp_path, "inversion", server, rows=1, min_score=4)
    assert [row.targets[0] for row in rows] == [STARTS["inversion"][1]["text"]]
    assert ledger["kinds"]["request"]["accepted"] == 2 and ledger["kinds"]["score"]["rejected"] == {"score below 4": 1}


def test_a_text_becomes_a_persona_first(tmp_path):
    with serving() as server:
        ledger, rows = made(tmp_path, "persona", server)
    assert ledger["kinds"]["persona"]["accepted"] == 1
    assert {row.source.rpartition(":")[2] for row in rows} == {"1", "2", "3"}


def test_evolved_requests_are_tied_to_the_request_that_they_grew_from(tmp_path):
    with serving() as server:
        _, rows = made(tmp_path, "evol_instruct", server, rows=8, rounds=2)
    assert len(rows) == 8 and len({row.links for row in rows}) == 4


def test_paraphrase_writes_a_task_file_with_templates_that_can_be_filled(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mood.toml").write_text('# ours\ncluster = "mood"\ndescription = "Good or bad?"\nrows = "mood.jsonl"\n'
                                              'templates = ["Is this good? {text}", "{text}\\n\\nGood or bad?"]\n')  # fmt: skip
    (tmp_path / "tasks/mood.jsonl").write_text('{"text": "fine", "answer": "good"}\n')
    with serving() as server:
        ledger, rows = made(tmp_path, "paraphrase", server, rows=5, tasks=str(tmp_path / "tasks"))
    beyond = ledger["proposals"].get("new, and more than asked for", 0)
    assert ledger["proposals"]["new"] == 5 and beyond == 1
    (task,) = read_collection(tmp_path / "run/synthesise/tasks").tasks
    assert rows == [] and ledger["templates"] == {"mood": 5} and len(task.templates) == 7 and balances(ledger)
    assert [t.turns[0] for t in task.templates[:2]] == ["Is this good? {text}", "{text}\n\nGood or bad?"]
    assert all(t.slots == ("text",) for t in task.templates)
    assert ledger["proposals"]["other slots"] > 0 and ledger["proposals"]["broken braces"] > 0
    assert task.example(task.rows[0], task.templates[-1]).prompt[0].content.count("fine") == 1


def test_faults_of_the_server_change_no_row(tmp_path):
    with serving() as server:
        _, straight = made(tmp_path, "self_instruct", server, run="straight", writer="concurrency = 1")
    faults = {0: 429, 2: "cut", 3: 500, 5: "garbage", 7: (503, {"Retry-After": "0.001"})}
    with serving(faults) as server:
        ledger, rows = made(tmp_path, "self_instruct", server, run="faulty", writer="concurrency = 3")
    assert rows == straight and ledger["failed"] == {} and ledger["calls"] == ledger["requests"] + len(faults)


def test_what_fails_and_what_is_cut_is_accounted_for(tmp_path):
    with serving({1: 400, 2: "long"}) as server:
        ledger, rows = made(tmp_path, "self_instruct", server, writer="concurrency = 1")
    aside = [json.loads(line) for line in (tmp_path / "run/synthesise/rejected.jsonl").read_text().splitlines()]
    assert balances(ledger) and len(rows) == 5
    assert ledger["failed"] == {"status 400": 1} and ledger["rejected"]["cut off"] == 1
    assert [entry.get("failed", entry.get("rejected"))[:10] for entry in aside] == ["status 400", "cut off"]


def test_a_spent_budget_ends_the_run_and_a_larger_one_goes_on_without_asking_twice(tmp_path):
    with serving() as server:
        ledger, rows = made(tmp_path, "self_instruct", server, max_requests=3)
        assert ledger["is_spent"] and len(server.asked) == 3 and len(rows) == 2 and balances(ledger)
        whole, more = made(tmp_path, "self_instruct", server, max_requests=50)
        assert more[:2] == rows and len(more) == 5 and not whole["is_spent"]
        words = [body["messages"][0]["content"] for body in server.asked]
        assert len(set(words)) == len(words) == whole["calls"]
        made(tmp_path, "self_instruct", server, max_requests=50)
        assert len(server.asked) == len(words)


def test_a_killed_run_asks_nothing_twice(tmp_path):
    """The server and the run are processes of their own; the run is killed after its journal holds seven calls."""
    port, log = tmp_path / "port", tmp_path / "log"
    script = Path(fakes_writer.__file__)
    server = subprocess.Popen([sys.executable, str(script), str(port), str(log)])
    try:
        while not port.is_file():
            assert server.poll() is None
        path = recipe(tmp_path, "self_instruct", port.read_text(), rows=40, writer="concurrency = 2")
        command = [sys.executable, "-c", "from luthier.cli import main; main()", "synthesise", str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        journal = tmp_path / "run/requests.jsonl"
        while not journal.is_file() or journal.read_bytes().count(b'"call"') < 7:
            assert first.poll() is None, "the run ended before it could be killed"
        first.kill()
        first.wait()
        kept = journal.read_bytes()
        kept = kept[: kept.rfind(b"\n") + 1]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        asked = log.read_text().splitlines()
    finally:
        server.kill()
        server.wait()
    assert journal.read_bytes().startswith(kept)
    calls = journal.read_bytes().count(b'"call"')
    # Of the two calls on their way when the run was killed, each may have reached the server or not, and has no end.
    # Nothing else was asked a second time, and every call is counted.
    assert calls - 2 <= len(asked) <= calls and len(asked) - len(set(asked)) <= 2
    rows = list(read_records(tmp_path / "run/synthesise/rows.jsonl", Example))
    ledger = json.loads((tmp_path / "run/synthesise/ledger.json").read_text())
    assert len(rows) == 40 and balances(ledger) and ledger["calls"] == calls


def test_a_model_folder_answers_through_the_same_interface(tmp_path, tiny_model_folder):
    path = tmp_path / "recipe.toml"
    path.write_text(f'recipe = "synthesise"\n[synthesise]\nmethod = "persona"\nrows = 3\nfiles = ["{starts(tmp_path, "persona")}"]\n'
                    f'[writer]\nmodel = "{tiny_model_folder}"\nmax_tokens = 6\nbatch_rows = 2\n[run]\ndir = "{tmp_path}/run"\n')  # fmt: skip
    result = CliRunner().invoke(app, ["synthesise", str(path)])
    # A model of chance never ends its answers.
    assert isinstance(result.exception, DataError) and "most often: rejected: cut off" in result.exception.text()
    ledger = json.loads((tmp_path / "run/synthesise/ledger.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "run/requests.jsonl").read_text().splitlines()]
    calls, entries = [line for line in lines if "call" in line], [line for line in lines if "call" not in line]
    assert balances(ledger) and ledger["requests"] == len(entries) == len(calls) > 0
    assert all(("tokens" in entry) != ("problem" in entry) for entry in entries)


def test_the_rows_go_through_the_whole_of_curation_with_their_generator(tmp_path):
    from luthier.curate.config import CurateConfig
    from luthier.curate.pipeline import curate

    with serving() as server:
        _, rows = made(tmp_path, "self_instruct", server, rows=12)
    made_of = curate(
        [tmp_path / "run/synthesise/rows.jsonl"],
        out=tmp_path / "curated",
        config=CurateConfig(workers=1),
        say=lambda _: None,
    )
    found = list(read_records(tmp_path / "curated/examples.jsonl", Example))
    assert made_of.ledger["read"] == 12 and not made_of.ledger["quarantined"]
    assert found and {row.generator for row in found} <= {row.generator for row in rows}


@pytest.mark.parametrize(("keys", "said"), [
    ({"method": "self_instruct"}, "files is needed by self_instruct"),
    ({"method": "self_instruct", "files": ["a"], "tasks": "t"}, "tasks is not read by self_instruct"),
    ({"method": "inversion", "files": ["a"], "rounds": 3}, "rounds is not read by inversion"),
    ({"method": "templates", "tasks": "t", "max_requests": 3}, "max_requests is not read by templates"),
    ({"method": "templates", "tasks": "t"}, "writer is not read by templates"),
])  # fmt: skip
def test_keys_that_nothing_reads_and_keys_that_are_missing_are_told(tmp_path, keys, said):
    path = tmp_path / "recipe.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    path.write_text(
        "\n".join(['recipe = "synthesise"', "[synthesise]", *lines, '[writer]\nmodel = "m"\n[run]\ndir = "r"\n'])
    )
    result = CliRunner().invoke(app, ["synthesise", str(path)])
    assert said in str(result.exception.text())


def test_the_example_recipe_that_ships_is_one():
    import luthier
    from luthier.recipes.loading import as_synthesise, load_recipe

    example = as_synthesise(load_recipe(Path(luthier.__file__).parent / "recipes/synthesise.toml"))
    assert example.synthesise.method == "self_instruct" and example.writer is not None


def test_lists_instances_scores_and_requests_are_read_from_what_writers_say():
    assert listed("Sure:\n- a b\n* c\n\n1) d\nmore") == ["a b", "c", "d\nmore"]
    assert instance("Input: (none)\nOutput: yes\nand no") == ("", "yes\nand no")
    assert instance("**Input:** 3, 1\n**Output:** 1, 3") == ("3, 1", "1, 3") and instance("no form") is None
    assert bare('Request: "Name a fish."') == "Name a fish." and bare('"A" or "B"?') == '"A" or "B"?'
    assert [score_of(text) for text in ("3 reasons. Score: 4", "Score: **5**", "2", "good")] == [4, 5, 2, None]


@pytest.mark.parametrize(("text", "fault"), [
    ("Name a fish.", "too short"), ("word " * 151, "too long"), ("- what is a fish called", "begins with a sign"),
    ("Plot the graph of x squared", "not in text"), ("Here is the rewritten prompt for you", "speaks of the prompt"), ("What is a fish called?", None),
])  # fmt: skip
def test_requests_are_refused_by_the_published_rules(text, fault):
    assert request_fault(text, None) == fault


def test_a_request_made_of_the_text_is_a_copy():
    text = "The old mill by the river grinds flour for the village every day of the week."
    assert is_copied("The old mill by the river grinds flour for the village", text)
    assert not is_copied("What does the mill by the river do for people who live nearby?", text)
