"""Curation by itself: raw files to a folder of trusted examples, or into the run folder of a recipe.

luthier curate --data rows.jsonl --out curated
luthier curate --check-split train.jsonl test.jsonl
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from luthier.curate.config import CurateConfig, DataConfig
from luthier.curate.pipeline import curate
from luthier.curate.split_check import SplitCheck
from luthier.curate.split_check import check_split as check_two_files
from luthier.errors import ConfigError, Problem
from luthier.recipes.tune import TuneRecipe


def main(
    recipe: TuneRecipe | None, *, files: Sequence[Path], out: Path | None, strict: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Curate `files` (or the recipe's) into `out` (or the recipe's RUN/curate); returns the ledger."""
    if recipe is None and (not files or out is None):
        raise ConfigError(
            "there is nothing to curate",
            [Problem(where="command line", found="no files" if not files else "no folder",
                     expected="--data FILE and --out DIR, or a recipe",
                     fix="for example: luthier curate --data rows.jsonl --out curated")],
        )  # fmt: skip
    config = recipe.curate if recipe else CurateConfig()
    if strict:
        config = config.model_copy(update={"strict": True})
    data = recipe.data if recipe else DataConfig(files=tuple(files))
    folder = out or (recipe.run.dir / "curate" if recipe else Path())
    curate(
        list(files) or list(data.files), out=folder, config=config, held_out_files=list(data.held_out),
        allow_overlap=data.allow_overlap, say=say,
    )  # fmt: skip
    ledger: dict[str, Any] = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    return ledger


def check_split(train: Path, test: Path, *, say: Callable[[str], None]) -> SplitCheck:
    """Look for rows of `test` that training on `train` would give away. DataError when a file cannot be used."""
    return check_two_files(train, test, say=say)
