"""A suite on the command line and in a recipe: asked and graded as it says, by every model of a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import luthier as luthier_package

ANIMALS = {"fox": "red", "frog": "green", "crow": "black", "swan": "white", "canary": "yellow", "whale": "grey"}
SUITE = """name = "zoo"
version = "2"
items = ["items.jsonl"]
graders = ["exact"]
[sampling]
max_new_tokens = 4
[prompting]
protocol = "plain"
shots = 2
shot_items = "shots.jsonl"
[[phrasings]]
name = "as it is"
prompt = "{prompt}"
[[phrasings]]
name = "polite"
prompt = "Please: {prompt}"
"""


def rows(path: Path, made: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


@pytest.fixture
def place(tmp_path: Path, tiny_model_folder: Path) -> Path:
    """A folder with a base, training rows, a recipe of two steps, and the suite "zoo"."""
    shutil.copytree(tiny_model_folder, tmp_path / "base")
    rows(tmp_path / "rows.jsonl", [{"instruction": f"{ask} {animal}", "output": colour} for animal, colour in ANIMALS.items()
                                   for ask in ("Colour of", "Tell me the colour of")])  # fmt: skip
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    rows(zoo / "items.jsonl", [{"prompt": f"Which colour has a {a}?", "targets": [c], "choices": [c, "blue"], "task": "zoo"}
                               for a, c in ANIMALS.items()])  # fmt: skip
    rows(zoo / "shots.jsonl", [{"prompt": f"Which colour has a {a}?", "response": c}
                               for a, c in (("bat", "brown"), ("sky", "blue"), ("sun", "gold"))])  # fmt: skip
    (zoo / "suite.toml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(
        '[model]\nbase = "base"\n[data]\nfiles = ["rows.jsonl"]\n[curate]\nheld_out_share = 0.3\n[train]\nmax_steps = 2\n'
        'batch_rows = 8\n[evaluate]\nmax_new_tokens = 4\nshots = 2\nsuites = ["zoo"]\n[[gate.guardrails]]\nkpi = "exact"\n'
        'suite = "zoo"\n[run]\ndir = "run"\n',
        encoding="utf-8",
    )
    return tmp_path


def luthier(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from luthier.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip


def test_evaluate_asks_what_the_suite_says_and_says_what_it_asked(place) -> None:
    given = ("evaluate", "--model", "base", "--suite", "zoo", "--out", "out", "--junit", "ci/j.xml", "--markdown", "ci/m.md")
    done = luthier(*given, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "evaluate | suite zoo, version 2, digest" in done.stdout
    assert "phrasings | exact | zoo | median" in done.stdout and "of 2 phrasings" in done.stdout
    summary = json.loads((place / "out" / "summary.json").read_text())
    assert summary["model"]["prompting"].startswith("plain text, 2 shots (")
    assert summary["sampling"]["max_new_tokens"] == 4 and summary["kpis"]["exact"]["n"] == 6
    suite = json.loads((place / "out" / "suite.json").read_text())
    assert suite["digest"] == summary["suite"]["digest"] and suite["version"] == "2"
    asked = [json.loads(line) for line in (place / "out" / "phrased" / "items.jsonl").read_text().splitlines()]
    assert [row["messages"][0]["content"] for row in asked][::6] == ["Which colour has a fox?", "Please: Which colour has a fox?"]
    assert {one["task"] for one in json.loads((place / "out" / "phrasings.json").read_text())} == {"all", "zoo"}
    names = [case.get("name") for case in ElementTree.parse(place / "ci" / "j.xml").getroot().iter("testcase")]
    assert names == list(summary["kpis"]) == ["exact", "rank", "rank_per_byte"]
    assert "luthier evaluate --model base --suite zoo --out out" in (place / "ci" / "m.md").read_text()
    more = luthier("evaluate", "--model", "base", "--suite", "zoo/suite.toml", "--out", "out", 'evaluate.graders=["numeric"]',
                   cwd=place)  # fmt: skip
    assert more.returncode == 0 and "12 of 12 items reused" in more.stdout, "a grader more asks nothing again"
    kpis = json.loads((place / "out" / "summary.json").read_text())["kpis"]
    assert list(kpis)[:2] == ["exact", "numeric"]


def test_what_evaluate_cannot_take_beside_a_suite_ends_with_status_2(place) -> None:
    for given, said in (
        (("--suite", "zoo", "evaluate.max_new_tokens=9"), "evaluate.max_new_tokens: found a value beside --suite"),
        (("--suite", "zoo", "--data", "rows.jsonl"), "found both --data and --suite"),
        ((), "found neither --data nor --suite"),
        (("--suite", "nowhere"), "nowhere: found no such file"),
    ):
        done = luthier("evaluate", "--model", "base", "--out", "out", *given, cwd=place)
        assert done.returncode == 2 and said in done.stderr, done.stderr


@pytest.mark.slow
def test_every_model_of_a_run_is_asked_as_the_suite_says_and_a_changed_grader_asks_nothing_again(place) -> None:
    given = ("run", "recipe.toml", "--junit", "j.xml", "--markdown", "m.md")
    done = luthier(*given, cwd=place)
    assert done.returncode in (0, 1, 3), done.stderr
    for model in ("base/readings/zoo/chat", "tuned/zoo"):
        summary = json.loads((place / "run" / "evaluate" / model / "summary.json").read_text())
        assert summary["model"]["prompting"].startswith("plain text, 2 shots ("), model
        assert list(summary["kpis"])[:2] == ["exact", "auto"] and summary["suite"]["phrasings"] == 2
    assert not (place / "run" / "evaluate" / "base" / "readings" / "zoo" / "plain").exists()
    root = ElementTree.parse(place / "j.xml").getroot()
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert ("luthier.gate", "guardrail exact on zoo") in names and ("luthier.kpi.zoo", "exact") in names
    assert (done.returncode == 1) == (root.get("failures") != "0")
    assert "luthier run recipe.toml" in (place / "m.md").read_text()
    suite = place / "zoo" / "suite.toml"
    suite.write_text(SUITE.replace('["exact"]', '["exact", "chrf"]'), encoding="utf-8")
    graded = luthier(*given, cwd=place)
    assert "12 of 12 items reused" in graded.stdout and "evaluate-tuned | reused" not in graded.stdout
    suite.write_text(SUITE.replace("Please:", "Kindly:"), encoding="utf-8")
    asked = luthier(*given, cwd=place)
    assert "zoo: completions | 12 of 12 items\n" in asked.stdout, asked.stdout


def test_an_option_for_ci_is_refused_where_no_gate_is(place) -> None:
    study = Path(luthier_package.__file__).parent / "recipes" / "study.toml"
    done = luthier("run", str(study), "--junit", "j.xml", cwd=place)
    assert done.returncode == 2 and 'found "study", expected "tune"' in done.stderr, done.stderr
    assert not (place / "j.xml").exists() and not (place / "runs").exists()
