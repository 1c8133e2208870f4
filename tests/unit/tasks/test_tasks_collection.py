"""Collections: what excludes what, what may be trained, and the example of the docs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random

import pytest

from luthier.errors import DataError
from luthier.tasks import Collection, Task, TaskRow, Template, read_collection

DOCS = Path(__file__).parents[3] / "docs/tasks.md"
TASK = 'cluster = "{cluster}"\nrows = "../rows.jsonl"\ntemplates = ["{{a}}?", "{{a}}!"]\n'


def task_of(name: str, *clusters: str, sources: tuple[str, ...] = ()) -> Task:
    return Task(name=name, clusters=clusters, sources=sources, templates=(Template(turns=("{a}",), index=0),),
                rows=(TaskRow({"a": name}, ("x",)),))  # fmt: skip


COLLECTION = Collection(
    tasks=(
        task_of("entail", "entailment", sources=("news",)),
        task_of("same", "paraphrase"),
        task_of("read", "reading", sources=("books",)),
        task_of("summarise", "summaries", sources=("news", "letters")),
        task_of("read_sense", "reading", "sense"),
        task_of("sense", "sense"),
        task_of("sense_last", "sense"),
    ),
    exclusions=(("entailment", "paraphrase"),),
    held_out_tasks=("sense_last",),
)


@pytest.mark.parametrize(
    ("held_out", "trained"),
    [
        (["entailment"], ["read", "read_sense", "sense"]),
        (["paraphrase"], ["read", "summarise", "read_sense", "sense"]),
        (["sense"], ["entail", "same", "read", "summarise"]),
        (["reading"], ["entail", "same", "summarise", "sense"]),
        (["summaries", "sense"], ["same", "read"]),
        ([], ["entail", "same", "read", "summarise", "read_sense", "sense"]),
    ],
)
def test_trainable_leaves_out_whatever_meets_a_held_out_cluster(held_out, trained):
    """Hybrids, both directions of an exclusion, shared sources, and the unseen tasks in any case."""
    assert [task.name for task in COLLECTION.trainable(held_out)] == trained


def test_an_unknown_cluster_is_answered_with_the_one_that_was_meant():
    with pytest.raises(DataError, match="did you mean 'reading'"):
        COLLECTION.trainable(["readin"])


def test_members_of_a_cluster_are_its_hybrids_too():
    assert [task.name for task in COLLECTION.members(["sense"])] == ["read_sense", "sense", "sense_last"]
    assert COLLECTION.clusters == ("entailment", "paraphrase", "reading", "summaries", "sense")


@pytest.fixture
def folder(tmp_path):
    for cluster in ("words", "facts"):
        (tmp_path / cluster).mkdir()
        (tmp_path / cluster / f"{cluster}_one.toml").write_text(TASK.format(cluster=cluster), encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"a": "b", "answer": "c"}\n', encoding="utf-8")
    return tmp_path


def settings_problem(folder, text):
    (folder / "collection.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_collection(folder)
    problem = caught.value.problems[0]
    return problem.where.removeprefix(f"{folder}/"), problem.found, problem.fix


@pytest.mark.parametrize(
    ("text", "where", "found", "fix"),
    [
        ('\nexclusions = [["words", "fact"]]\n', "collection.toml:2: exclusions", "'fact'", "did you mean 'facts'?"),
        ('held_out = [["wrods"]]\n', "collection.toml:1: held_out", "'wrods'", "did you mean 'words'?"),
        ('held_out_tasks = ["zebra"]\n', "collection.toml:1: held_out_tasks", "'zebra'", "one of facts_one, words_one"),
        ("unseen_templates = 2\n", "collection.toml:1: unseen_templates", "facts_one with 2 plain templates",
         "write more templates in "),
        ("unseen_templates = -1\n", "collection.toml:1: unseen_templates", "-1 (int)", "change unseen_templates"),
        ('exclusions = [["words"]]\n', "collection.toml:1: exclusions.0.1", "nothing", ""),
        ('held_out = [["words", "facts"]]\n', "collection.toml:1: held_out",
         "['words', 'facts'], which leaves no task to train", "hold out other clusters"),
        ("held_out = [[]]\n", "collection.toml:1: held_out", "an empty choice", "hold out other clusters"),
        ("unseen = 1\n", "collection.toml:1: unseen", "unknown key", ""),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_told_with_its_line_and_key(folder, text, where, found, fix):
    said = settings_problem(folder, text)
    assert (said[0], said[1]) == (where, found)
    assert said[2].startswith(fix)
    assert "recipe" not in said[2]


def test_two_tasks_of_one_name_are_told(folder):
    (folder / "again.toml").write_text('name = "facts_one"\n' + TASK.format(cluster="facts").replace("../", ""))
    with pytest.raises(DataError, match=r"the name 'facts_one', which .*again\.toml has"):
        read_collection(folder)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_folder_without_tasks_is_told(tmp_path, name):
    with pytest.raises(DataError, match="a collection of tasks is missing"):
        read_collection(tmp_path / name)


def test_the_digest_is_that_of_the_content_wherever_it_lies(folder, tmp_path):
    before = read_collection(folder)
    assert before.digest == read_collection(folder).digest
    assert [task.name for task in before.tasks] == ["facts_one", "words_one"]
    copy = folder / "copy"
    for path in [path for path in folder.rglob("*.*") if path.is_file()]:
        target = copy / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert read_collection(copy).digest == before.digest
    (copy / "rows.jsonl").write_text('{"a": "b", "answer": "d"}\n', encoding="utf-8")
    assert read_collection(copy).digest != before.digest


def docs_files() -> dict[str, str]:
    """The files of the page's example: a path in a line of its own, and the block after it."""
    found = re.findall(r"^`(animals/[\w/.]+)`\n\n```\w+\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return dict(found)


def test_the_example_of_the_docs_runs(tmp_path, monkeypatch, capsys):
    for name, text in docs_files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(program, "tasks.md", "exec"), {})
    (shown,) = re.findall(r"^```text\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert capsys.readouterr().out in (shown, shown.replace("fox", "crow"))

    collection = read_collection(tmp_path / "animals")
    assert collection.clusters == ("facts", "animals", "words")
    assert [task.name for task in collection.trainable(["words"])] == ["can_fly"]
    for task in collection.tasks:
        for row in task.draw(Random(0), set()):
            for template in task.templates:
                assert "{" not in task.example(row, template).messages[0].content


def test_the_tables_of_the_docs_name_every_key():
    from luthier.tasks.collection import CollectionFile
    from luthier.tasks.files import TaskFile

    page = DOCS.read_text("utf-8")
    for key in (*TaskFile.model_fields, *CollectionFile.model_fields):
        assert re.search(rf"^\|.*`(\[\[)?{key}(\]\])?`.*\|", page, re.MULTILINE), key
    assert all(tomllib.loads(text) for name, text in docs_files().items() if name.endswith(".toml"))
