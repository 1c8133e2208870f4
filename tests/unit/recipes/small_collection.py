"""A made-up collection of four clusters, and a recipe of a study on it that takes seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.config import validate
from luthier.recipes.studying.config import StudyRecipe

THINGS = ("fox", "frog", "crow", "swan", "lamp", "shop", "house", "coin", "box", "bell", "tree", "boat", "ring", "cup",
          "door", "wall", "road", "hill", "fish", "bird", "moon", "star", "leaf", "rope", "hat", "shoe", "fork", "bowl",
          "bag", "key")  # fmt: skip
PLACES = ("first", "last", "second")


def write_collection(folder: Path) -> Path:
    """Clusters lists, letters, sizes and ends of two or three tasks; "second" is never trained, nor a last template.

    Letters and ends exclude one another.
    """
    for name, task in _tasks().items():
        _write_task(folder / task["cluster"], name, task)
    lines = ['held_out_tasks = ["second"]', "unseen_templates = 1", 'held_out = [["ends"], ["sizes"]]',
             'exclusions = [["letters", "ends"]]']  # fmt: skip
    (folder / "collection.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def small_recipe(folder: Path, collection: Path, base: Path, **study: Any) -> StudyRecipe:
    """Arms of four steps over the small collection, in FOLDER/run; `study` are keys of [study]."""
    return validate(StudyRecipe, recipe_data(folder, collection, base, **study), places={}, default_place="here")


def recipe_data(folder: Path, collection: Path, base: Path, **study: Any) -> dict[str, Any]:
    """The same before it is validated."""
    return {
        "recipe": "study",
        "model": {"base": str(base)},
        "tasks": {"collection": str(collection), "mixture": {"cap": 10}},
        "train": {"max_steps": 4, "batch_tokens": 200, "max_length": 96, "optim": {"lr": 1e-3}},
        "evaluate": {"max_new_tokens": 4, "shots": 2},
        "study": {"seeds": [1], "items_per_task": 2, "templates_per_item": 2, "clusters": [1, "all"], **study},
        "run": {"dir": str(folder / "run")},
    }


def _tasks() -> dict[str, dict[str, Any]]:
    tasks: dict[str, dict[str, Any]] = {}
    for number, place in enumerate(PLACES):
        rows = []
        for n, word in enumerate(THINGS):
            words = [word, THINGS[(n + 7) % len(THINGS)], THINGS[(n + 13) % len(THINGS)]]
            answer = {"first": words[0], "last": words[2], "second": words[1]}[place]
            rows.append({"words": ", ".join(words), "answer": answer})
        tasks[place] = {"cluster": "lists", "rows": rows, "templates": [
            f"Name the {place} of {{words}}.", f"{{words}}: the {place} word?", f"{number}. {place} in {{words}}"]}  # fmt: skip
    for name, index in (("begins", 0), ("ends", -1)):
        rows = [{"word": word, "answer": word[index]} for word in THINGS]
        tasks[name] = {"cluster": "letters", "rows": rows, "templates": [
            f"Which letter {name} {{word}}?", f"{{word}} {name} with", f"Letter that {name} the word {{word}}"],
            "inverted": [{"prompt": f"A word that {name} in {{answer}}?", "answer": "{word}"}]}  # fmt: skip
    for name in ("longer", "shorter"):
        rows = []
        for n, word in enumerate(THINGS):
            other = THINGS[(n + 11) % len(THINGS)] + "es"
            answer = other if name == "longer" else word
            rows.append({"a": word, "b": other, "answer": answer, "options": [word, other]})
        tasks[name] = {"cluster": "sizes", "metric": "choice", "rows": rows, "templates": [
            f"Which is {name}, {{a}} or {{b}}?", f"The {name} of {{a}} and {{b}}", f"{{a}}, {{b}}: {name}?"]}  # fmt: skip
    for name, end in (("plural", "s"), ("past", "ed")):
        rows = [{"word": word, "answer": word + end} for word in THINGS]
        tasks[name] = {"cluster": "ends", "rows": rows, "templates": [
            f"Write the {name} of {{word}}.", f"{{word}} in the {name}:", f"{name} form, {{word}}"]}  # fmt: skip
    return tasks


def _write_task(folder: Path, name: str, task: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{key} = {json.dumps(task.get(key, default))}"
             for key, default in (("cluster", ""), ("metric", "exact"), ("templates", []))]  # fmt: skip
    lines += [f'description = "Do what {name} says."', f'rows = "{name}.jsonl"']
    for inverted in task.get("inverted", ()):
        lines += ["[[inverted]]", *(f"{key} = {json.dumps(value)}" for key, value in inverted.items())]
    (folder / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = "".join(json.dumps(row) + "\n" for row in task["rows"])
    (folder / f"{name}.jsonl").write_text(rows, encoding="utf-8")
