"""Labelled tables in the words of templates: every row asked or set aside, the same rows each time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from luthier.cli import app
from luthier.curate.config import CurateConfig
from luthier.curate.synthesis.config import TemplatesConfig
from luthier.curate.synthesis.templating import _at_source, apply_templates
from luthier.errors import DataError, Problem
from luthier.records import Example, read_records
from luthier.tasks import read_collection

TASK = """cluster = "sentiment"
description = "Say whether the review is positive or negative."
metric = "choice"
sources = ["reviews"]
templates = [
  "Is this review positive or negative?\\n\\n{text}",
  "{text}\\n\\nHow does the writer feel?",
  "Review: {text}\\nSentiment:",
  "{options}\\n\\nWhich of these is the review? {text}",
]
[[inverted]]
prompt = "Write a {answer} review of {place}."
answer = "{text}"
"""
LABELS = {"0": "negative", "1": "positive"}
ROWS = [
    ("I loved it, truly", 1, "the inn"),
    ("Dreadful.", 0, "the inn"),
    ('A {mess}, "really"\nno', 0, "the bar"),
    ("Fine", 1, "the bar"),
]


def task_file(folder: Path, text: str = TASK) -> Path:
    path = folder / "sentiment.toml"
    path.write_text(text, encoding="utf-8")
    return path


def csv_file(folder: Path, rows=ROWS, header="text,label,place") -> Path:
    path = folder / "reviews.csv"
    quoted = ['"{}",{},{}'.format(text.replace('"', '""'), label, place) for text, label, place in rows]
    path.write_text("\n".join([header, *quoted]) + "\n", encoding="utf-8")
    return path


def asked(
    tmp_path: Path, *files: Path, seed: int = 0, task: Path | None = None, **settings
) -> tuple[dict, list[Example]]:
    out = tmp_path / "out"
    config = TemplatesConfig(**{"labels": LABELS, **settings})
    account = apply_templates(task or task_file(tmp_path), files, out=out, config=config, seed=seed)
    return account, list(read_records(out / "rows.jsonl", Example))


def test_each_row_is_asked_in_as_many_templates_as_wanted(tmp_path):
    account, examples = asked(tmp_path, csv_file(tmp_path), per_row=2)
    by_row = {}
    for example in examples:
        by_row.setdefault(example.source, []).append(example)
    assert {name: sum("/4" not in e.template for e in found) for name, found in by_row.items()} == {
        f"{tmp_path}/reviews.csv:{line}": 2 for line in (2, 3, 4, 6)
    }
    assert len({(e.source, e.template) for e in examples}) == len(examples) == account["made"] == 12
    assert account["read"] == account["asked"] == 4


def test_a_prompt_holds_the_row_as_it_stands_and_the_options_follow_it(tmp_path):
    _, examples = asked(tmp_path, csv_file(tmp_path), per_row=None)
    prompts = {(e.source.rpartition(":")[2], e.template): e for e in examples}
    first = prompts["4", "sentiment/0"]
    assert first.messages[0].content == (
        'Is this review positive or negative?\n\nA {mess}, "really"\nno\n\nOPTIONS:\n- negative\n- positive'
    )
    assert (first.targets, first.choices, first.cluster, first.grading) == (
        ("negative",),
        ("negative", "positive"),
        "sentiment",
        {"grader": "choice"},
    )
    assert prompts["4", "sentiment/3"].messages[0].content.startswith("OPTIONS:\n- negative\n- positive\n\nWhich")
    inverted = prompts["2", "sentiment/4"]
    assert [m.content for m in inverted.messages] == ["Write a positive review of the inn.", "I loved it, truly"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_requests(tmp_path, suffix):
    rows = [(text.replace("\n", " "), label, place) for text, label, place in ROWS]
    tables = [{"text": text, "label": label, "place": place} for text, label, place in rows]
    path = tmp_path / f"table.{suffix}"
    if suffix == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(tables), path)
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in tables))
    elif suffix == "tsv":
        path.write_text("text\tlabel\tplace\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    else:
        path = csv_file(tmp_path, rows)
    _, examples = asked(tmp_path, path)
    _, expected = asked(tmp_path, csv_file(tmp_path, rows))
    assert [e.id for e in examples] == [e.id for e in expected]


def test_a_table_of_two_columns_is_read_by_its_header(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("review;stars\nnice;1\nbad;0\n")
    task = task_file(tmp_path, TASK.partition("[[inverted]]")[0])
    _, examples = asked(tmp_path, path, task=task, columns={"review": "text", "stars": "answer"}, per_row=1)
    assert [e.targets for e in examples] == [("positive",), ("negative",)]


@pytest.mark.parametrize("name", ["rev.csv.jsonl", "rev.tsv.v2.csv"])
def test_a_file_is_read_by_the_last_part_of_its_name(tmp_path, name):
    path = tmp_path / name
    rows = [{"text": text, "label": label, "place": place} for text, label, place in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if name.endswith("jsonl")
                    else csv_file(tmp_path).read_text())  # fmt: skip
    _, examples = asked(tmp_path, path)
    assert len({example.source for example in examples}) == len(ROWS)


@pytest.mark.parametrize("header", ["text,text,place", "text,,place"])
def test_a_table_without_a_name_for_each_column_is_an_error(tmp_path, header):
    with pytest.raises(DataError, match="a name of its own for each column"):
        asked(tmp_path, csv_file(tmp_path, header=header))


def test_rows_that_cannot_be_asked_are_set_aside_with_what_is_wrong(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [{"text": "a", "label": 1, "place": "p"}, {"text": "b", "label": 2, "place": "p"}, {"label": 1, "place": "p"},
             {"text": "c", "place": "p"}, {"text": {"x": 1}, "label": 1, "place": "p"}]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    account, examples = asked(tmp_path, path)
    aside = [json.loads(line) for line in (tmp_path / "out/quarantine.jsonl").read_text().splitlines()]
    assert {e.source for e in examples} == {f"{path}:1"}
    assert [entry["where"].removeprefix(str(path)) for entry in aside] == [
        ":2: answer",
        ":3: text",
        ":4: answer",
        ":5: text",
        ":6",
    ]
    assert account["read"] == 6 == account["asked"] + sum(account["quarantined"].values())
    assert aside[0]["fix"] == 'write labels = {"2" = "..."}'


def test_the_same_seed_gives_the_same_bytes_and_another_row_changes_no_other(tmp_path):
    first = asked(tmp_path, csv_file(tmp_path), per_row=1)[1]
    again = asked(tmp_path, csv_file(tmp_path), per_row=1)[1]
    more = asked(tmp_path, csv_file(tmp_path, [*ROWS, ("new", 1, "the hall")]), per_row=1)[1]
    others = [[e.template for e in asked(tmp_path, csv_file(tmp_path), per_row=1, seed=seed)[1]] for seed in range(5)]
    assert first == again and more[: len(first)] == first
    assert len({tuple(templates) for templates in others}) > 1


def test_of_an_inverted_prompt_that_repeats_only_the_first_is_kept(tmp_path):
    account, examples = asked(tmp_path, csv_file(tmp_path, [("a", 1, "x"), ("b", 1, "x"), ("c", 0, "x")]))
    assert [e.targets[0] for e in examples if e.template == "sentiment/4"] == ["a", "c"]
    assert account["repeated"] == 1


def test_what_is_wrong_with_a_task_file_is_told_of_that_file(tmp_path):
    task = task_file(tmp_path, TASK.replace("Sentiment:", "Sentiment: {"))
    with pytest.raises(DataError) as error:
        asked(tmp_path, csv_file(tmp_path), task=task)
    (problem,) = error.value.problems
    assert problem.where == f"{task}:8: templates.2"


def test_a_slot_that_no_column_fills_ends_the_command_with_the_rows(tmp_path):
    with pytest.raises(DataError, match="the rows cannot be put into words") as error:
        asked(tmp_path, csv_file(tmp_path, header="txt,label,place"))
    assert error.value.problems[0].fix == "did you mean 'txt'?"


def test_a_folder_of_tasks_brings_its_rows_and_comes_out_as_a_collection(tmp_path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(folder, 'rows = "reviews.csv"\noptions = ["negative", "positive"]\n' + TASK)
    csv_file(folder)
    (folder / "legs.toml").write_text('cluster = "facts"\nrows = "legs.jsonl"\ntemplates = ["Legs of a {animal}?"]\n')
    (folder / "legs.jsonl").write_text('{"animal": "fox", "answer": ["4", "four"]}\n')
    account, examples = asked(tmp_path, task=folder)
    written = read_collection(tmp_path / "out/tasks")
    assert {task.name: len(task.rows) for task in written.tasks} == {"legs": 1, "sentiment": 4}
    assert {name: found["rows"] for name, found in account["tasks"].items()} == {"legs": 1, "sentiment": 4}
    assert next(e for e in examples if e.task == "legs").targets == ("4", "four")


def test_the_rows_go_through_the_whole_of_curation_with_task_and_template(tmp_path):
    from luthier.curate.pipeline import curate

    rows = [(f"Review {word}: the {thing} was {word} beyond words", number % 2, f"the {thing} {word}")
            for number, (word, thing) in enumerate((w, t) for w in ("plain", "odd", "warm", "grim") for t in ("soup", "bed", "room"))]  # fmt: skip
    _, examples = asked(tmp_path, csv_file(tmp_path, rows), per_row=2)
    made_of = curate(
        [tmp_path / "out/rows.jsonl"],
        out=tmp_path / "curated",
        config=CurateConfig(held_out_share=0.3, workers=1),
        say=lambda _: None,
    )
    found = list(read_records(tmp_path / "curated/examples.jsonl", Example))
    assert made_of.ledger["read"] == len(examples) and not made_of.ledger["quarantined"]
    assert {(e.task, e.cluster) for e in found} == {("sentiment", "sentiment")}
    assert {e.source for e in found} <= {e.source for e in examples}
    parts = {
        name: {link for e in read_records(tmp_path / f"curated/{name}.jsonl", Example) for link in e.links}
        for name in ("train", "held_out")
    }
    assert parts["train"] and parts["held_out"] and not parts["train"] & parts["held_out"]


def test_the_command_makes_the_rows_and_reuses_them(tmp_path, capsys):
    from typer.testing import CliRunner

    csv_file(tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'recipe = "synthesise"\n[synthesise]\nmethod = "templates"\ntasks = "{task_file(tmp_path)}"\nfiles = ["{tmp_path}/reviews.csv"]\n'
                      f'templates.labels = {{ "0" = "negative", "1" = "positive" }}\n[run]\ndir = "{tmp_path}/run"\n')  # fmt: skip
    first = CliRunner().invoke(app, ["synthesise", str(recipe)])
    again = CliRunner().invoke(app, ["run", str(recipe)])
    assert first.exit_code == again.exit_code == 0, first.output
    assert "4 rows | 16 examples in 5 templates" in first.output
    assert "reused" in again.output
    assert len((tmp_path / "run/synthesise/rows.jsonl").read_text().splitlines()) == 16


ODD = [
    ({"options": "yes, no"}, "options", "write a list"),
    ({"options": ["yes", "yes", "no"]}, "options", "what is twice"),
    ({"options": ["yes", " "]}, "options", "what is empty"),
    ({"answer": [""]}, "answer", "what is empty"),
    ({"answer": ["yes", ""]}, "answer", "what is empty"),
    ({"answer": "es", "options": "yes, no"}, "options", "write a list"),
    ({"answer": "es", "options": ["yes", "no"]}, "answer", "did you mean 'yes'?"),
    ({"answer": []}, "answer", "fill it in"),
]


@pytest.mark.parametrize(("odd", "field", "fix"), ODD)
def test_an_odd_row_is_set_aside_under_its_own_place_and_the_others_are_asked(tmp_path, odd, field, fix):
    path = tmp_path / "odd.jsonl"
    rows = [{"text": "a", "answer": "yes"}, {"text": "b", "answer": "yes"} | odd, {"text": "c", "answer": "no"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = task_file(tmp_path, 'cluster = "c"\ntemplates = ["Is {text} good?"]\n')
    account = apply_templates(task, [path], out=tmp_path / "out", config=TemplatesConfig(), seed=1)
    assert (account["read"], account["asked"], sum(account["quarantined"].values())) == (3, 2, 1)
    told = json.loads((tmp_path / "out/quarantine.jsonl").read_text())
    assert f"{path}:2: {field}" in json.dumps(told) and fix in json.dumps(told)


def test_options_in_a_cell_of_a_table_are_set_aside(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('text,answer,options\nfoo,es,"yes, no"\nbar,no,\n')
    task = task_file(tmp_path, 'cluster = "c"\ntemplates = ["Is {text} good?"]\n')
    account = apply_templates(task, [path], out=tmp_path / "out", config=TemplatesConfig(), seed=1)
    assert (account["asked"], account["quarantined"]) == (1, {"wrong field": 1})


def test_a_row_that_no_task_can_hold_is_told_with_its_own_place(tmp_path):
    path, task = tmp_path / "odd.jsonl", tmp_path / "task.toml"
    found = Problem(where=f"{tmp_path / 'task.jsonl'}:2: text", found="x", expected="y", fix="z")
    own = _at_source(found, tmp_path / "task.jsonl", [f"{path}:2", f"{path}:3"])
    assert own.where == f"{path}:3: text"
    inner = replace(found, where=f"{task}: task.jsonl:1")
    assert _at_source(inner, tmp_path / "task.jsonl", [f"{path}:2", f"{path}:3"]).where == f"{path}:2"
    other = replace(found, where=f"{task}:3: templates")
    assert _at_source(other, tmp_path / "task.jsonl", []) == other
