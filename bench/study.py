"""Does tuning on more tasks help with tasks that were never trained? On the practice world, and on real tasks.

`practice` runs the study that ships (recipes/study.toml). `superni` first pre-trains a small base on the plain text of
the test data and on the inputs of tasks that may be trained (train rows only; no output, no definition), then tunes it
on 4, 16, 64 and all of these tasks of Super-NaturalInstructions and asks it tasks of categories that were held out:
ROUGE-L against the number of tasks, beside the base and the copied input (figure "tasks").

    python -m bench.study practice --out runs/study
    python -m bench.study superni --out runs/superni
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from random import Random
from typing import Any

from luthier.config import assign, parse_override, read_toml, validate
from luthier.recipes import pretrain, study
from luthier.recipes.pretrain import PretrainRecipe
from luthier.recipes.study import StudyRecipe
from luthier.runs import library_versions, machine, now, write_json
from luthier.tasks import read_super_natural_instructions

HERE = Path(__file__).parent
RECIPES = Path(study.__file__).parent
FIGURES = HERE.parent / "docs" / "figures"

HELD_OUT = ("Title Generation", "Coreference Resolution", "Question Rewriting", "Keyword Tagging",
            "Cause Effect Classification")  # fmt: skip
"""The categories of the published test set (arXiv:2204.07705) that the test data has."""


def practice(out: Path, overrides: list[str]) -> Path:
    """The shipped study, in `out`."""
    data, lines = read_toml(RECIPES / "study.toml")
    _run_study(data, out, overrides, places={k: f"study.toml:{line}" for k, line in lines.items()})
    return out


def superni(out: Path, overrides: list[str]) -> Path:
    """A base of `out`/base, then its study in `out`."""
    folder = Path(os.environ["LUTHIER_TEST_DATA"])
    text = written(_text(folder), out)
    base = out / "base"
    recipe = {
        "recipe": "pretrain",
        "data": {"files": [str(text)]},
        "build": {"vocabulary": 4096, "hidden": 256, "layers": 6, "heads": 4, "kv_heads": 2, "feed_forward": 704,
                  "positions": 512},
        "train": {"method": "pretrain", "max_steps": 700, "batch_tokens": 8192, "micro_batch_tokens": 4096,
                  "max_length": 384, "autocast": True, "save_every": 100, "eval_every": 100, "seed": 7,
                  "optim": {"name": "muon", "lr": 3e-3, "warmup_steps": 50, "weight_decay": 0.1, "beta2": 0.95}},
        "run": {"dir": str(base)},
    }  # fmt: skip
    checked = validate(PretrainRecipe, recipe, places={}, default_place="bench.study")
    pretrain.main(checked, echo=print, step_echo=None)
    data = {
        "recipe": "study",
        "model": {"base": str(base / "model")},
        "tasks": {"collection": str(folder / "superni"), "mixture": {"cap": 300}},
        "train": {"max_steps": 100, "batch_tokens": 4096, "micro_batch_tokens": 4096, "max_length": 448,
                  "autocast": True, "optim": {"lr": 5e-4, "warmup_steps": 10}},
        "evaluate": {"max_new_tokens": 24, "shots": 1},
        "study": {"seeds": [1, 2, 3], "held_out": [list(HELD_OUT)], "arms": ["tasks"], "tasks": [4, 16, 64],
                  "items_per_task": 10, "trained_items_per_task": 1, "templates_per_item": 1, "rows_per_task": 300,
                  "parallel": 2},
    }  # fmt: skip
    _run_study(data, out / "study", overrides, places={})
    return out / "study"


def written(documents: list[str], folder: Path) -> Path:
    """The documents as FOLDER/text-DIGEST.jsonl, whole or not at all; other documents are another file."""
    content = "".join(json.dumps({"text": text}) + "\n" for text in documents)
    path = folder / f"text-{hashlib.sha256(content.encode()).hexdigest()[:12]}.jsonl"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, path)
    return path


def _text(folder: Path) -> list[str]:
    """Documents: the plain text that ships with the test data, and inputs of tasks that may be trained."""
    documents = []
    for path in sorted((folder / "text").iterdir()):
        content = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            documents += _stories(json.loads(content))
        elif path.suffix == ".txt":
            paragraphs = [part.strip() for part in content.split("\n\n") if part.strip()]
            documents += ["\n\n".join(paragraphs[k : k + 6]) for k in range(0, len(paragraphs), 6)]
    collection = read_super_natural_instructions(folder / "superni")
    documents += [row.fields["input"] for task in collection.trainable(HELD_OUT) for row in task.rows
                  if task.row_split(row) == "train"]  # fmt: skip
    Random("order of documents").shuffle(documents)
    return documents


def _stories(data: Any) -> list[str]:
    return [item if isinstance(item, str) else item.get("story") or item["text"] for item in data]


def _run_study(data: dict[str, Any], out: Path, overrides: list[str], *, places: dict[str, str]) -> None:
    data["run"] = {"dir": str(out)}
    for override in overrides:
        assign(data, *parse_override(override))
    study.main(validate(StudyRecipe, data, places=places, default_place="bench.study"), echo=print)


def main() -> None:
    """Run one of the studies; its numbers to bench/results, its figures to docs/figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("practice", "superni"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="key=value of the study recipe")
    chosen = parser.parse_intermixed_args()  # else no override may follow --out
    folder = (practice if chosen.which == "practice" else superni)(chosen.out, chosen.overrides)
    numbers = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    arms = {path.stem: _without_items(path) for path in sorted((folder / "arms").glob("*.json"))}
    write_json(HERE / "results" / f"study_{chosen.which}.json", {
        "command": f"python -m bench.study {' '.join(sys.argv[1:])}", "study": numbers, "arms": arms,
        "machine": machine(), "versions": library_versions(), "written": now(),
    })  # fmt: skip
    FIGURES.mkdir(parents=True, exist_ok=True)
    for figure in sorted((folder / "figures").glob("*.svg")):
        shutil.copy(figure, FIGURES / f"study_{chosen.which}_{figure.name}")


def _without_items(path: Path) -> dict[str, Any]:
    """An arm without its single answers, which would be megabytes."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {k: v for k, v in data.items() if k not in ("items", "readings", "plain_text", "promises")}


if __name__ == "__main__":
    main()
