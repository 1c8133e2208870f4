"""Two evaluations under a judge, from the command line too, with a real server."""

import json

import pytest
from small_suite import make_suite, run
from typer.testing import CliRunner

from fakes_writer import serving
from luthier.cli import app
from luthier.config import validate
from luthier.errors import ConfigError, DataError
from luthier.evaluate.config import EvaluateConfig
from luthier.evaluate.duels import duels
from luthier.graders.judging.judge import Duel
from luthier.recipes.judging import check_judge, graders_of, judge_config, note_agreement

LONG, SHORT = "yes, and that is all that is to be said of it", "yes"


def recipe(folder, url, more=""):
    path = folder / "recipe.toml"
    path.write_text(f'[evaluate.judge]\nmax_requests = 900\n{more}[evaluate.judge.writer]\nmodel = "judge-1"\nbase_url = "{url}"\n')
    return path


def config_of(table):
    return validate(EvaluateConfig, table, places={}, default_place="evaluate")


def two(folder, suite=None):
    """b says the long answer to two items of three, else both say the same."""
    suite = suite or make_suite()
    chosen = {example.id for n, example in enumerate(suite.examples) if n % 3}
    a = run(folder / "a", lambda example: SHORT, suite=suite, model_id="model-a")
    b = run(folder / "b", lambda e: LONG if e.id in chosen else SHORT, suite=suite, model_id="model-b")
    return a, b


def prefers_long(prompt):
    first, second = (LONG in part for part in prompt.partition("<answer-2")[::2])
    return "Verdict: tie" if first == second else f"Verdict: {2 if second else 1}"


def test_the_command_says_who_wins_and_asks_nothing_twice(tmp_path):
    a, b = two(tmp_path)
    with serving(say=prefers_long) as server:
        path = recipe(tmp_path, server.url)
        words = ["compare", str(a.folder), str(b.folder), "--judge", str(path)]
        shown = CliRunner().invoke(app, words)
        assert shown.exit_code == 0, shown.output
        asked = len(server.asked)
        found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["judge"][0]
    assert asked == len(server.asked) == 80, "both orders of the 40 items with unlike answers"
    assert {body["temperature"] for body in server.asked} == {0}
    assert (found["wins"], found["losses"], found["ties"], found["undecided"]) == (40, 0, 20, 0)
    assert found["win_rate"]["value"] == pytest.approx(50 / 60) and "6 tasks" in found["win_rate"]["method"]
    assert (found["consistent"], found["first_wins"], found["people"]) == (1, 0.5, None)
    assert 0.4 < found["length_controlled"]["value"] < 0.7 and found["length_controlled"]["length_effect"] > 0
    assert "judge judge-1 | b wins 0.833 [" in shown.output and "with lengths held equal: b wins 0." in shown.output
    assert "both orders agree on 100% of the items, the answer shown first wins 50%" in shown.output


def test_a_comparison_without_a_judge_is_as_before(tmp_path):
    a, b = two(tmp_path)
    found = CliRunner().invoke(app, ["compare", str(a.folder), str(b.folder), "--json"])
    assert found.exit_code == 0 and "judge" not in json.loads(found.stdout)


def test_verdicts_that_are_missing_are_counted(tmp_path):
    a, b = two(tmp_path, make_suite(2, 10))

    def decide(pairs):
        return [Duel(None, 1.0, None, "cut") if n < 5 else Duel(0.5, 0.0, 1.0) for n, _ in enumerate(pairs)]

    found = duels(a, b, judge="j", decide=decide)
    assert (found.undecided, found.ties, found.win_rate.n) == (5, 15, 15)
    assert found.first_wins == 1 and found.consistent == 0
    nothing = duels(a, b, judge="j", decide=lambda pairs: [Duel(None, None, None, "cut")] * len(pairs))
    assert nothing.win_rate is None and nothing.lines() == ["judge j | no pair has a verdict (20 undecided)"]
    assert nothing.to_json()["win_rate"] is None
    other = run(tmp_path / "c", lambda example: SHORT, suite=make_suite(1, 3, name="x"))
    with pytest.raises(DataError, match="no answered item in common"):
        duels(run(tmp_path / "d", lambda e: "no", suite=make_suite(20, 1)), _without(other, a), judge="j", decide=decide)


def _without(evaluation, other):
    """The evaluation without the items of another."""
    from dataclasses import replace

    return replace(evaluation, items={k: v for k, v in evaluation.items.items() if k not in other.items})


def test_the_judge_is_a_grader_of_an_evaluation_and_is_held_to_people(tmp_path):
    suite = make_suite(1, 12)
    labelled = [example.__class__.of(example.messages, targets=example.targets, task="t",
                                     grading={"people": [{"answer": LONG, "score": 5}, {"answer": SHORT, "score": 2}]})
                for example in suite.examples]  # fmt: skip
    lines = []
    with serving(say=lambda prompt: f"Score: {5 if LONG in prompt else 2}") as server:
        config = config_of({"graders": ["exact", "judge"], "judge": {"writer": {"model": "j", "base_url": server.url}}})
        graders = graders_of(config, journal=tmp_path / "judge.jsonl", say=lines.append)
        evaluation = run(tmp_path / "e", lambda e: LONG, suite=suite.__class__.of("s", labelled), graders=graders)
        note_agreement(graders, labelled, out=tmp_path / "e", say=lines.append)
        assert len(server.asked) == 24
    assert evaluation.kpis["judge"].value == 1 and evaluation.kpis["exact"].value == 0
    found = json.loads((tmp_path / "e" / "judge.json").read_text())["people"]
    assert found["raw"]["n"] == 24 and found["raw"]["value"] == found["kappa"]["value"] == 1
    assert "with people's scores: agreement 1.000" in lines[-1]


def test_a_judge_that_is_not_there_is_told_before_anything_runs(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r'graders has "judge", and there is none[^F]*Fix: write the table \[evaluate\.judge\.writer\]'):
        config_of({"graders": ["judge"]})
    monkeypatch.delenv("NO_KEY", raising=False)
    writer = {"model": "j", "base_url": "http://127.0.0.1:9/v1", "key_env": "NO_KEY"}
    config = config_of({"graders": ["judge"], "judge": {"writer": writer}})
    with pytest.raises(ConfigError, match=r"evaluate\.judge\.writer\.key_env: NO_KEY"):
        check_judge(config)
    empty = tmp_path / "r.toml"
    empty.write_text('[evaluate]\ngraders = ["auto"]\n')
    with pytest.raises(ConfigError, match=r"no table \[evaluate\.judge\]"):
        judge_config(empty)
    with pytest.raises(ConfigError, match=r"recipe\.toml:3: evaluate\.judge\.max_request: found unknown key"):
        judge_config(recipe(tmp_path, "http://127.0.0.1:9/v1", "max_request = 3\n"))
