"""What a writer may do to a run: its calls stay counted, its answers kept, its words harmless, and the run has an end."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest
from test_synthesis_methods import balances, made, recipe
from typer.testing import CliRunner

from fakes_writer import Clock, answer_to, asks, opened_when_busy, serving
from luthier.asking import endpoint as asking_endpoint
from luthier.asking.asker import Asker, Budget, Failed, Journal, Reply, Writer
from luthier.asking.config import WriterConfig
from luthier.asking.endpoint import endpoint
from luthier.cli import app
from luthier.curate.synthesis.config import SynthesiseConfig, TemplatesConfig
from luthier.curate.synthesis.methods import Start, inversion
from luthier.curate.synthesis.rounds import Book
from luthier.curate.synthesis.rules import answer_fault, bare, instance, listed, request_fault, score_of
from luthier.curate.synthesis.starts import starts_of
from luthier.curate.synthesis.templating import apply_templates
from luthier.errors import ConfigError, DataError
from luthier.recipes import writers

KEY = "sk-SECRETSECRETSECRETSECRET"


def saying(text: str) -> tuple[int, dict, bytes]:
    """An answer with this text as JSON has it, escapes and all."""
    return 200, {}, b'{"choices": [{"message": {"content": "%s"}, "finish_reason": "stop"}]}' % text.encode()


def writer_at(server, **options) -> Writer:
    clock = Clock()
    config = WriterConfig(model="m", base_url=server.url, **{"timeout_s": 10.0, "concurrency": 1, **options})
    return endpoint(config, seed=7, sleep=clock.sleep, clock=clock)


def ends_of(server, path: Path, number: int, *, most: int | None = None, **options):
    journal = Journal(path)
    asker = Asker(writer_at(server, **options), journal, Budget(most, None, *journal.spent()), print)
    return asker.outcomes(asks(number))


def run_of(folder: Path, method: str, server, **keys):
    return CliRunner().invoke(app, ["synthesise", str(recipe(folder, method, server.url, **keys))])


@pytest.mark.parametrize("concurrency", [1, 3])
def test_calls_that_a_budget_ended_are_counted_by_the_next_run(tmp_path, concurrency):
    path = tmp_path / "r.jsonl"
    with serving(dict.fromkeys(range(99), 503)) as server:
        for most in (5, 6, 7):
            ends_of(server, path, 4, most=most, concurrency=concurrency)
            assert len(server.asked) == Journal(path).spent()[0] == most


def test_calls_of_a_request_that_failed_twice_are_counted_twice(tmp_path):
    path = tmp_path / "r.jsonl"
    with serving(dict.fromkeys(range(99), 400)) as server:
        for most in (5, 7, 9):
            ends_of(server, path, 4, most=most)
        assert len(server.asked) == Journal(path).spent()[0] == 9


def test_a_journal_without_a_line_a_call_still_tells_what_was_spent(tmp_path):
    path = tmp_path / "r.jsonl"
    old = {"key": "k", "kind": "answer", "prompt": "p", "attempts": 3, "text": "a \\ud83d b", "is_cut": False}
    path.write_text(
        "".join(json.dumps(e) + "\n" for e in (old | {"tokens": [4, 2]}, old | {"key": "l", "tokens": [1, 1]}))
    )
    journal = Journal(path)
    assert journal.spent() == (6, 8)


def test_half_a_character_ends_no_run(tmp_path):
    faults = {0: saying("Describe a thing that is \\ud83d called for me now."), 1: saying("A whole \\ud83d\\ude00 one")}
    with serving(faults) as server:
        first, whole = ends_of(server, tmp_path / "r.jsonl", 2)
    assert first.text == "Describe a thing that is \ufffd called for me now." and whole.text == "A whole \U0001f600 one"
    with serving({0: faults[0]}) as server:
        ledger, rows = made(tmp_path, "inversion", server, writer="concurrency = 1")
    assert len(rows) == 4 and ledger["rejected"] == {"broken characters": 1}


def test_half_a_character_in_your_rows_is_told_before_anything_is_asked(tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "The mill \\ud83d stands."}\n{"text": "The inn is open."}\n')
    assert starts_of("inversion", [texts]).account == {"broken characters": 1, "used": 1}
    task = tmp_path / "mood.toml"
    task.write_text('cluster = "mood"\nmetric = "exact"\ntemplates = ["Is this good? {text}"]\n')
    texts.write_text('{"text": "a \\ud83d b", "answer": "good"}\n{"text": "fine", "answer": "good"}\n')
    account = apply_templates(task, [texts], out=tmp_path / "out", config=TemplatesConfig(), seed=0)
    assert account["quarantined"] == {"broken characters": 1} and account["asked"] == 1


def test_half_a_character_of_an_older_journal_is_mended(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"key": "k", "attempts": 1, "text": "a \\ud83d b", "is_cut": false, "tokens": [1, 1]}\n')
    reply = Journal(path).reply("k")
    assert reply is not None and reply.text == "a \ufffd b"


@pytest.mark.parametrize(("method", "kind", "rule"), [
    ("self_instruct", "Write one case", "rejected: no output"), ("persona", "Compare", "rejected: refusal")])  # fmt: skip
def test_a_method_ends_when_no_answer_can_be_used(tmp_path, method, kind, rule):
    """The requests are always new, the rows never there."""
    with serving(
        say=lambda prompt: "I cannot help with that." if prompt.startswith(kind) else answer_to(f"{prompt} {time.perf_counter()}")
    ) as server:
        result = run_of(tmp_path, method, server, rows=2, writer="concurrency = 1")
        assert len(server.asked) < 200
    assert isinstance(result.exception, DataError) and rule in result.exception.text()
    ledger = json.loads((tmp_path / "run/synthesise/ledger.json").read_text())
    assert balances(ledger) and "new requests in a row gave no row, most often: " + rule in ledger["notes"][0]


def test_a_key_that_is_cut_is_hidden_first(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    body = ("z" * 280 + f" Bearer {KEY}").encode()
    with serving({0: (400, {}, body)}) as server:
        (end,) = ends_of(server, tmp_path / "r.jsonl", 1, key_env="MY_KEY")
    assert "sk-" not in end.problem and end.problem.endswith("***")


def test_a_key_at_the_end_of_what_is_read_is_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setattr(asking_endpoint, "REFUSAL_BYTES", 20)
    with serving({0: (400, {}, f"Bearer {KEY}".encode())}) as server:
        (end,) = ends_of(server, tmp_path / "r.jsonl", 1, key_env="MY_KEY")
    assert "sk-" not in end.problem


def test_a_key_that_an_answer_repeats_is_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(say=lambda prompt: f"Describe the thing that {KEY} opens near {answer_to(prompt)[9:40]}.") as server:
        _, rows = made(tmp_path, "inversion", server, writer='key_env = "MY_KEY"')
    assert len(rows) == 5 and "that *** opens" in rows[0].prompt[0].content
    assert [str(p) for p in (tmp_path / "run").rglob("*") if p.is_file() and b"sk-SECRET" in p.read_bytes()] == []


def test_a_word_in_the_place_of_a_key_changes_no_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "EMPTY")
    with serving({0: saying("The set is EMPTY.")}) as server:
        (end,) = ends_of(server, tmp_path / "r.jsonl", 1, key_env="MY_KEY")
    assert end.text == "The set is EMPTY."


@pytest.mark.parametrize("key", ["sk-abc\n", "sk abc", "sk-\u00e9"])
def test_a_key_that_no_header_can_hold_is_told_before_anything_is_asked(monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigError, match="the endpoint's key cannot be sent") as error:
        endpoint(WriterConfig(model="m", base_url="http://127.0.0.1:9/v1", key_env="MY_KEY"), seed=0)
    assert "writer.key_env: MY_KEY" in error.value.text() and "sk" not in error.value.text()


@pytest.mark.parametrize("text", [
    "Input:" + "\n:" * 50_000, "Input" + ":" * 100_000, "Input:" + "\n" * 100_000, "\n" * 100_000 + "x", ":" * 100_000 + "x",
    "Input: a\n" * 11_000, "5" + "\n" * 100_000 + "x", "score" * 20_000, "1 " * 50_000, '"' * 100_000, "request" + "\n" * 100_000 + "x",
])  # fmt: skip
def test_what_a_writer_says_is_read_in_linear_time(text):
    start = time.process_time()
    for read in (
        instance,
        bare,
        score_of,
        listed,
        lambda text: request_fault(text, None),
        lambda text: answer_fault("", text),
    ):
        read(text)
    assert time.process_time() - start < 5


def test_the_marks_of_a_case_are_lines_of_their_own():
    assert instance("Sure.\n- **Input**: a\nb\n\n- **Output**: c\nOutput: d") == ("a\nb", "c\nOutput: d")
    assert instance("Output: a\nInput: b") == ("", "a\nInput: b") and instance("INPUT: none\nOUTPUT:\nx") == ("", "x")
    assert instance("The input: 3") is None and instance("Output of this:\n3") is None


def test_requests_may_speak_of_being_sorry():
    words = "Write a letter to say sorry to my neighbour for the noise."
    book = Book("m", "inversion")
    rounds = inversion(
        [Start("Dear neighbour ...", "a.txt:1")], SynthesiseConfig(method="inversion", files=(Path("a"),)), book
    )
    next(rounds)
    with pytest.raises(StopIteration):
        rounds.send([Reply(words, False, 1, 1)])
    assert [row.prompt[0].content for row in book.rows] == [words]
    assert request_fault("?! ...", None) == "no words" and answer_fault("Hello?", "I am sorry for your loss.") is None
    assert answer_fault("Hello?", "I am sorry, but I cannot help with that.") == "refusal"


@pytest.mark.parametrize("ending", ["401", "Ctrl-C"])
def test_answers_that_were_on_their_way_are_kept_however_the_run_ends(tmp_path, monkeypatch, ending):

    def interrupted(*_) -> None:
        raise KeyboardInterrupt

    if ending == "Ctrl-C":
        monkeypatch.setattr(Asker, "_judge", interrupted)
    path = tmp_path / "r.jsonl"
    with (
        serving({0: 401} if ending == "401" else {}) as server,
        opened_when_busy(server, 4),
        pytest.raises(ConfigError if ending == "401" else KeyboardInterrupt),
    ):
        ends_of(server, path, 4, concurrency=4)
    journal = Journal(path)
    assert len([key for key in journal.entries if journal.reply(key)]) == (3 if ending == "401" else 4)
    assert journal.spent()[0] == 4


def test_a_line_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    room, write = [10**6], os.write

    def short(number: int, data) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "no space left")
        written = write(number, data[: min(10, room[0])])
        room[0] -= written
        return written

    path = tmp_path / "r.jsonl"
    journal = Journal(path)
    (ask,) = asks(1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        journal.add("a", ask, Reply("x" * 50, False, 1, 1))
        room[0] = 30
        with pytest.raises(OSError, match="no space left"):
            journal.add("b", ask, Reply("y" * 50, False, 1, 1))
    journal.add("c", ask, Failed("status 400"))
    assert list(Journal(path).entries) == list(journal.entries) == ["a", "c"]


def test_a_damaged_line_is_told_with_its_place_and_a_torn_end_is_skipped_and_said(tmp_path):
    path, said = tmp_path / "r.jsonl", []
    good = '{"key": "a", "call": 1}\n'
    path.write_text(good + '{"key": "b", "te')
    assert Journal(path, said.append).spent() == (1, 0) and "torn" in said[0] and path.read_text() == good
    for bad in (
        '{"key": "b", "te\x00',
        "[]",
        '{"key": "b", "attempts": 1}',
        '{"key": "b", "attempts": 1, "text": "x", "tokens": [1]}',
        "",
    ):
        path.write_text(f"{good}{bad}\n{good}")
        with pytest.raises(DataError, match="the journal of requests is damaged") as error:
            Journal(path)
        assert f"{path}:2: " in error.value.text() and "delete this line" in error.value.text()


def test_a_last_line_that_lacks_its_end_alone_is_kept(tmp_path):
    path, said = tmp_path / "r.jsonl", []
    call = '{"key": "a", "call": 1}\n'
    end = '{"key": "a", "attempts": 1, "text": "paid for", "is_cut": false, "tokens": [4, 2]}'
    path.write_text(call + end)
    journal = Journal(path, said.append)
    assert journal.reply("a") == Reply("paid for", False, 4, 2) and journal.spent() == (1, 6) and not said
    journal.add_call("b")
    assert path.read_text() == f"{call}{end}\n" + '{"key": "b", "call": 1}\n'


def test_a_writer_that_is_sent_no_seed_is_another_one():
    def identity(**options):
        return endpoint(WriterConfig(model="m", base_url="http://127.0.0.1:9/v1", **options), seed=0).identity

    assert identity(send_seed=False) != identity() == identity(concurrency=2)


def test_seeds_that_cannot_be_read_are_set_aside_with_what_is_wrong(tmp_path):
    data, out = tmp_path / "seeds.jsonl", tmp_path / "quarantine.jsonl"
    data.write_text('{"prompt": "Name a fish.", "completion": "Cod."}\n{"prompt": "x", "comp\n{"prompt": "Name a bird."}\n')
    assert starts_of("self_instruct", [data], quarantine=out).account == {"used": 1, "unusable": 2}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["where"].partition(".jsonl:")[2][0] for line in lines] == ["2", "3"]
    assert all(line["fix"] and line["raw"] for line in lines)
    data.write_text('{"text": "The mill."}\n{"name": "x"}\n{"text": "a \\ud83d b"}\n')
    account = starts_of("inversion", [data], quarantine=out).account
    assert account == {"used": 1, "without a text": 1, "broken characters": 1}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["where"] for line in lines] == [f"{data}:2", f"{data}:3: text"]
    data.write_text('{"name": "x"}\n')
    with pytest.raises(DataError, match=r"seeds\.jsonl:1: found the fields name"):
        starts_of("inversion", [data])


def test_the_same_command_asks_again_for_what_failed(tmp_path):
    with serving({0: 400}) as server:
        calls = []
        for _ in range(3):
            before = len(server.asked)
            ledger, rows = made(tmp_path, "inversion", server, writer="concurrency = 1", rows=9)
            calls.append(len(server.asked) - before)
            manifest = json.loads((tmp_path / "run/manifest.json").read_text())
            assert (manifest["finished"] is None) == ("synthesise" not in manifest["stages"]) == (len(calls) == 1)
    assert calls == [5, 1, 0] and len(rows) == 5 and ledger["failed"] == {}


def test_no_row_is_a_fault_that_says_why(tmp_path):
    with serving(dict.fromkeys(range(5), 400)) as server:
        result = run_of(tmp_path, "inversion", server)
    assert isinstance(result.exception, DataError)
    assert "0 rows of 5 requests, most often: failed: status 400 (5)" in result.exception.text()


def test_another_model_under_the_same_name_makes_other_rows(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")

    def local(config, *, seed, say, where):
        def answer(asked, budget):
            for number, ask in enumerate(asked):
                assert budget.take(ask)
                end = Reply(answer_to(ask.messages[0].content), False, 1, 1)
                budget.end(ask, end)
                yield number, end

        return Writer(name="model", identity=(folder / "config.json").read_text(), answer=answer)

    monkeypatch.setattr(writers, "local_writer", local)
    starts = tmp_path / "texts.txt"
    starts.write_text("The mill stands by the river.\n")
    path = tmp_path / "recipe.toml"
    path.write_text(f'recipe = "synthesise"\n[synthesise]\nmethod = "inversion"\nfiles = ["{starts}"]\n'
                    f'[writer]\nmodel = "{folder}"\n[run]\ndir = "{tmp_path}/run"\n')  # fmt: skip
    generators = []
    for config in ("{}", "{}", '{"a": 1}'):
        (folder / "config.json").write_text(config)
        assert CliRunner().invoke(app, ["synthesise", str(path)]).exit_code == 0
        row = json.loads((tmp_path / "run/synthesise/rows.jsonl").read_text())
        generators.append(row["generator"].split()[0])
    first, again, other = generators
    assert first == again != other and first.startswith("model@") and len(first) == len("model@") + 16


def test_answers_beyond_all_measure_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(asking_endpoint, "MOST_BYTES", 2**20)
    with serving({0: (200, {}, b"[" * 200_000), 1: saying("x" * 2**20)}) as server:
        ends = ends_of(server, tmp_path / "r.jsonl", 2, max_attempts=1)
    assert [end.problem for end in ends] == ["an answer that is not JSON, once", "an answer of more than 1 MiB"]


def test_what_a_server_says_commands_no_terminal(tmp_path):
    with serving({0: (400, {}, b"no \x1b[31mred\x07 \xe2\x80\xae x")}) as server:
        (end,) = ends_of(server, tmp_path / "r.jsonl", 1)
    assert end.problem == "status 400: no [31mred x"


def test_tasks_whose_files_would_be_one_are_refused(tmp_path):
    for folder, name in (("a", "my mood"), ("b", "my_mood"), ("c", "fine")):
        (tmp_path / "tasks" / folder).mkdir(parents=True)
        (tmp_path / "tasks" / folder / "mood.toml").write_text(
            f'name = "{name}"\ncluster = "{folder}"\nmetric = "exact"\nrows = "rows.jsonl"\ntemplates = ["Is this good? {{text}}"]\n'
        )
        (tmp_path / "tasks" / folder / "rows.jsonl").write_text('{"text": "fine", "answer": "good"}\n')
    with serving() as server:
        result = run_of(tmp_path, "paraphrase", server, tasks=str(tmp_path / "tasks"))
        assert server.asked == []
    said = result.exception.text()
    assert isinstance(result.exception, DataError) and said.count("expected a name of its own") == 1
    assert f"{tmp_path}/tasks/b/mood.toml:1: name: found the name 'my_mood', and so the file my_mood.toml" in said
    path = tmp_path / "recipe.toml"
    path.write_text(f'recipe = "synthesise"\n[synthesise]\nmethod = "templates"\ntasks = "{tmp_path}/tasks"\n'
                    f'[run]\ndir = "{tmp_path}/run"\n')  # fmt: skip
    assert str(CliRunner().invoke(app, ["synthesise", str(path)]).exception.text()).count("a name of its own") == 1
