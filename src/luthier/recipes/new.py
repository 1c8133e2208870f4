"""A first recipe: for somebody's files, for a study of tasks, or for rows that a model writes; or a first suite."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from luthier.curate.rows import UNUSABLE, recognise
from luthier.errors import ConfigError, Problem
from luthier.evaluate.suite_file import suite_file
from luthier.tasks import Collection, TasksConfig

TEMPLATE = """# Written by `luthier new`. Every key: docs/recipe.md. Run it with: luthier run {name}
{comments}
[model]
base = {base}

[data]
files = {files}

[train]
method = {method}
adapter = "none"
epochs = 2
batch_rows = 16
max_length = 1024
optim.lr = {lr}

[run]
dir = "runs/{stem}"
"""
SUITE = """# Written by `luthier new suite`. Every key: docs/evaluate.md. Paths are relative to this file.
name = {name}
version = "1"
items = {files}
graders = ["auto"]

[sampling]
max_new_tokens = 64

[prompting]
protocol = "chat"

# Each item may be asked in several phrasings; its score is then the mean over them.
# [[phrasings]]
# name = "as it is"
# prompt = "{{prompt}}"
"""
STUDY = Path(__file__).parent / "study.toml"
"""The practice world's study; one of other tasks begins as a copy."""
SYNTHESISE = Path(__file__).parent / "synthesise.toml"
NUM_CHOICES = 3
HELD_OUT_SHARE = 0.2
"""Of the tasks, about as many as one choice of held-out clusters holds."""


def write_new(kind: str, *, files: Sequence[Path], model: str | None, out: Path | None) -> list[str]:
    """Write a recipe of the kind and return the lines to show. An existing file is never overwritten."""
    if kind == "study":
        return write_study_recipe(out or Path("study.toml"), data=files, model=model)
    if kind == "synthesise":
        return write_synthesise_recipe(out or Path("synthesise.toml"), files=files, model=model)
    if kind == "suite":
        return write_suite(out or Path("suite.toml"), files=files, model=model)
    if kind != "tune":
        raise _unusable("the recipe cannot be written", "luthier new", repr(kind),
                        '"tune", "study", "synthesise" or "suite"', "choose one")  # fmt: skip
    if not files:
        raise _unusable("the recipe cannot be written", "luthier new", "no --data", "at least one file of rows",
                        "add --data FILE; `luthier new study` needs none")  # fmt: skip
    return write_recipe(out or Path("recipe.toml"), files=files, model=model)


def write_recipe(out: Path, *, files: Sequence[Path], model: str | None) -> list[str]:
    """Write a tune recipe and return what was recognised, a line a file."""
    _refuse_to_overwrite(out)
    shapes = recognise(list(files))
    lines = [f"{path}: " + ", ".join(f"{count:,} {shape}" for shape, count in found.items())
             for path, found in shapes.items()]  # fmt: skip
    names = {shape for found in shapes.values() for shape, count in found.items() if shape != UNUSABLE}
    only_preferences = names == {"preference"}
    text = TEMPLATE.format(
        name=out.name,
        comments="".join(f"# {line}\n" for line in lines),
        base=json.dumps(model or "PUT A MODEL FOLDER HERE"),
        files=json.dumps([str(path) for path in files], ensure_ascii=False),
        method=json.dumps("dpo" if only_preferences else "sft"),
        lr="2e-5" if only_preferences else "2e-4",
        stem=out.stem,
    )
    _write(out, text)
    return [*lines, f"wrote {out}; next: luthier check {out}, then luthier run {out}"]


def write_study_recipe(out: Path, *, data: Sequence[Path], model: str | None) -> list[str]:
    """Write a study of the practice world's tasks, or of the collection in a folder, and return what was found."""
    from luthier.recipes.studying.rows import is_super_natural, read_tasks

    _refuse_to_overwrite(out)
    if len(data) > 1:
        raise _unusable("the recipe cannot be written", "--data", f"{len(data)} folders", "one", "name one folder")
    if data and model is None:
        raise _unusable(
            "the recipe cannot be written", "luthier new study", f"--data {data[0]} and no --model",
            "the base to tune on these tasks",
            'add --model FOLDER; --model practice takes the base that ships with Luthier, which knows little but the '
            "practice world's tasks",
        )  # fmt: skip
    config = TasksConfig(collection=data[0]) if data else TasksConfig()
    collection = read_tasks(config)
    text = STUDY.read_text(encoding="utf-8").partition("\n")[2]
    title = "# Written by `luthier new study`. Run it with: luthier run " + out.name
    if not data:
        title += "\n# Does tuning on more clusters of tasks help with clusters that were never trained?"
    text = f"{title}\n{text}".replace('dir = "runs/study"', f'dir = "runs/{out.stem}"')
    if model is not None:
        text = _set(text, "base", json.dumps(model))
    if data:
        text = _set(text, "collection", json.dumps(str(data[0])))
        text = _for_collection(text, collection, is_super_natural=is_super_natural(config))
    _write(out, text)
    tasks, clusters = len(collection.tasks), len(collection.clusters)
    return [f"{data[0] if data else 'the practice world'}: {tasks} tasks in {clusters} clusters",
            f"wrote {out}; next: luthier run {out}"]  # fmt: skip


def write_suite(out: Path, *, files: Sequence[Path], model: str | None) -> list[str]:
    """Write a suite of the files; returns what was recognised in each, and the line that uses it."""
    _refuse_to_overwrite(out)
    if not files or model is not None:
        found = "no --data" if not files else f"--model {model}"
        raise _unusable("the suite cannot be written", "luthier new suite", found, "files of items, and no model",
                        "name items with --data; a model is named where the suite is used")  # fmt: skip
    shapes = recognise(list(files))
    lines = [f"{path}: " + ", ".join(f"{count:,} {shape}" for shape, count in found.items())
             for path, found in shapes.items()]  # fmt: skip
    places = [os.path.relpath(path, out.parent) for path in files]
    place = out.resolve().parent.name if out.name == "suite.toml" else out.stem
    name = re.sub(r"[^\w.-]+", "-", place).strip("-.") or "suite"
    _write(out, SUITE.format(name=json.dumps(name, ensure_ascii=False), files=json.dumps(places, ensure_ascii=False)))
    suite_file(out)
    return [*lines, f"wrote {out}; next: luthier evaluate --model DIR --suite {out} --out evaluation"]


def write_synthesise_recipe(out: Path, *, files: Sequence[Path], model: str | None) -> list[str]:
    """Write a recipe for rows that a server's model makes; returns the line to show."""
    _refuse_to_overwrite(out)
    text = SYNTHESISE.read_text(encoding="utf-8").replace("luthier synthesise synthesise.toml", f"luthier run {out}")
    if files:
        text = _set(text, "files", json.dumps([str(path) for path in files], ensure_ascii=False))
    if model is not None:
        text = _set(text, "model", json.dumps(model, ensure_ascii=False))
    _write(out, _set(text, "dir", json.dumps(f"runs/{out.stem}", ensure_ascii=False)))
    return [f"wrote {out}; next: name your files and your server in it, then luthier run {out}"]


def _for_collection(text: str, collection: Collection, *, is_super_natural: bool) -> str:
    """The recipe with numbers that suit the collection; choices of held-out clusters where it brings none."""
    choices = collection.held_out or suggested_choices(collection)
    trainable = [collection.trainable(choice) for choice in choices]
    clusters = max((len({task.cluster for task in tasks}) for tasks in trainable), default=1)
    fewest = min(map(len, trainable), default=0)
    steps = [count for count in (1, 2, 4, 8, 16) if count < clusters]
    text = _set(text, "clusters", json.dumps([*steps, "all"]))
    counts = [count for count in (clusters, 2 * clusters, 4 * clusters) if count < fewest]
    arms = ["clusters", "transfer", "tasks", "templates", "wording", "inversion", "cap", "specialist"]
    if is_super_natural:
        arms = ["clusters", "tasks", "transfer"]  # one template a task, none of them inverted
        text = _set(text, "templates_per_item", "1")
        text = _set(text, "max_length", "512")
        text = _set(text, "max_new_tokens", "48")
    if counts:
        text = _insert(text, "tasks", json.dumps(counts), after="clusters")
    else:
        arms.remove("tasks")
    text = _set(text, "arms", json.dumps(arms))
    if collection.held_out:
        return text
    return _insert(
        text, "held_out", json.dumps([list(choice) for choice in choices], ensure_ascii=False), after="seeds"
    )


def suggested_choices(collection: Collection) -> list[tuple[str, ...]]:
    """Three choices of held-out clusters without a cluster in common, each of about a fifth of the tasks.

    Those are left out that would exclude more than half of the tasks. Fewer choices where there are few clusters.
    """
    clusters = list(collection.clusters)
    Random("held-out clusters").shuffle(clusters)
    wanted = HELD_OUT_SHARE * len(collection.tasks)
    choices: list[tuple[str, ...]] = []
    current: tuple[str, ...] = ()
    for cluster in clusters:
        tried = (*current, cluster)
        if len(collection.trainable(tried)) < len(collection.tasks) / 2:
            continue
        current = tried
        if len(collection.members(current)) >= wanted:
            choices.append(current)
            current = ()
        if len(choices) == NUM_CHOICES:
            break
    return choices or ([current] if current else [])


def _set(text: str, key: str, value: str) -> str:
    """The line of a key with another value; its comment, which spoke of the first, goes."""
    changed, count = re.subn(rf"^{re.escape(key)} = .*$", lambda _: f"{key} = {value}", text, flags=re.MULTILINE)
    assert count == 1, f"{key} stands {count} times in the recipe"
    return changed


def _insert(text: str, key: str, value: str, *, after: str) -> str:
    """A line more, below that of another key."""
    assert not re.search(rf"^{re.escape(key)} = ", text, re.MULTILINE), f"{key} stands in the recipe already"
    at = re.search(rf"^{re.escape(after)} = .*\n", text, re.MULTILINE)
    assert at is not None, f"{after} is not in the recipe"
    return f"{text[: at.end()]}{key} = {value}\n{text[at.end() :]}"


def _refuse_to_overwrite(out: Path) -> None:
    if out.exists():
        raise _unusable("the recipe is there already", str(out), "a file", "a name that is free",
                        "give another name with --out, or remove the file")  # fmt: skip


def _write(out: Path, text: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")


def _unusable(summary: str, where: str, found: str, expected: str, fix: str) -> ConfigError:
    return ConfigError(summary, [Problem(where=where, found=found, expected=expected, fix=fix)])
