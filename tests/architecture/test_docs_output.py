"""What the pages show as the output of a command is what the command prints."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from luthier import cli

ROOT = Path(__file__).parents[2]
GOOD = {"prompt": "What colour is a fox?", "completion": "red"}
MISSPELT = {"messages": [{"role": "user", "content": "a"}, {"role": "asistant", "content": "b"}]}
RECIPE = """[model]
base = "base"
[data]
files = ["rows.jsonl"]
[train]
optim.learning_rate = 1e-4
max_steps = "many"
[run]
dir = "run"
"""


def fences(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def luthier(tmp_path, monkeypatch, capsys):
    """A command in an empty folder: its exit status and what it wrote to stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["luthier", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, capsys.readouterr().err

    return run


def test_the_errors_of_a_recipe_read_as_on_the_page(luthier, tmp_path):
    (tmp_path / "bad.toml").write_text(RECIPE, encoding="utf-8")
    shown, _ = fences("docs/errors.md", "text")
    assert luthier("run", "bad.toml", "train.batch_tokens=lots") == (2, shown)


def test_the_errors_of_rows_read_as_on_the_page(luthier, tmp_path):
    good = json.dumps(GOOD)
    rows = [good, json.dumps(MISSPELT), good, good, json.dumps(GOOD | {"completion": ""}), good[:-6]]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    _, shown = fences("docs/errors.md", "text")
    assert luthier("curate", "--data", "rows.jsonl", "--out", "out", "--strict") == (2, shown)


def test_the_recipe_of_the_quickstart_is_what_is_written_for_its_rows(luthier, tmp_path):
    (rows,) = fences("docs/quickstart.md", "json")
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    assert luthier("new", "--data", "rows.jsonl", "--model", "path/to/base") == (0, "")
    assert [(tmp_path / "recipe.toml").read_text(encoding="utf-8")] == fences("docs/quickstart.md", "toml")


def test_the_table_of_the_readme_is_in_the_log_of_experiments():
    (table,) = [block.partition("\n\n")[0] for block in fences("README.md", "text") if "against the base" in block]
    assert fences("lab/LOG.md", "text")[-1] == f"{table}\n"
