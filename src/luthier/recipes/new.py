"""A first recipe for somebody's files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from luthier.curate.rows import UNUSABLE, recognise
from luthier.errors import ConfigError, Problem

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


def write_recipe(out: Path, *, files: Sequence[Path], model: str | None) -> list[str]:
    """Write the recipe and return what was recognised, a line a file. An existing recipe is never overwritten."""
    if out.exists():
        raise ConfigError(
            "the recipe is there already",
            [Problem(where=str(out), found="a file", expected="a name that is free",
                     fix="give another name with --out, or remove the file")],
        )  # fmt: skip
    shapes = recognise(list(files))
    lines = [f"{path}: " + ", ".join(f"{count:,} {shape}" for shape, count in found.items())
             for path, found in shapes.items()]  # fmt: skip
    names = {shape for found in shapes.values() for shape, count in found.items() if shape != UNUSABLE}
    only_preferences = bool(names) and all("rejected" in name for name in names)
    text = TEMPLATE.format(
        name=out.name,
        comments="".join(f"# {line}\n" for line in lines),
        base=json.dumps(model or "PUT A MODEL FOLDER HERE"),
        files=json.dumps([str(path) for path in files], ensure_ascii=False),
        method=json.dumps("dpo" if only_preferences else "sft"),
        lr="2e-5" if only_preferences else "2e-4",
        stem=out.stem,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return [*lines, f"wrote {out}; next: luthier check {out}, then luthier run {out}"]
