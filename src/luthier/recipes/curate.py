"""Curation by itself: raw files to a folder of trusted examples, or into the run folder of a recipe.

luthier curate --data rows.jsonl --out curated curate.seed=3
luthier curate --check-split train.jsonl test.jsonl
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.config import Config, assign, parse_override, validate
from luthier.curate.config import CurateConfig, DataConfig
from luthier.curate.pipeline import curate
from luthier.curate.split_check import SplitCheck
from luthier.curate.split_check import check_split as check_two_files
from luthier.errors import ConfigError, Problem
from luthier.recipes.tune import TuneRecipe


class FilesRecipe(Config):
    """What `luthier curate --data FILE` reads without a recipe."""

    data: DataConfig
    curate: CurateConfig = CurateConfig()


def main(
    recipe: TuneRecipe | None, *, files: Sequence[Path], out: Path | None, strict: bool, say: Callable[[str], None],
    overrides: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Curate `files` (or the recipe's) into `out` (or the recipe's RUN/curate); returns the ledger.

    `overrides`, "curate.seed=3", are for where there is no recipe, which has its own applied already.
    """
    if recipe is None and (not files or out is None):
        raise ConfigError(
            "there is nothing to curate",
            [Problem(where="command line", found="no files" if not files else "no folder",
                     expected="--data FILE and --out DIR, or a recipe",
                     fix="for example: luthier curate --data rows.jsonl --out curated")],
        )  # fmt: skip
    settings = recipe or _files_recipe(files, overrides)
    config, data = settings.curate, settings.data
    if strict:
        config = config.model_copy(update={"strict": True})
    folder = out or (recipe.run.dir / "curate" if recipe else Path())
    curate(
        list(files) if recipe and files else list(data.files), out=folder, config=config,
        held_out_files=list(data.held_out), allow_overlap=data.allow_overlap, say=say,
    )  # fmt: skip
    ledger: dict[str, Any] = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    return ledger


def _files_recipe(files: Sequence[Path], overrides: Sequence[str]) -> FilesRecipe:
    """The defaults for these files, with the overrides. ConfigError for other keys than those of data and curate."""
    data: dict[str, Any] = {"data": {"files": [str(path) for path in files]}}
    places: dict[str, str] = {}
    for override in overrides:
        key, value = parse_override(override)
        assign(data, key, value)
        places[key] = "command line"
    return validate(FilesRecipe, data, places=places, default_place="command line")


def check_split(train: Path, test: Path, *, strict: bool = False, say: Callable[[str], None]) -> SplitCheck:
    """Look for rows of `test` that training on `train` would give away. DataError when a file cannot be used."""
    return check_two_files(train, test, strict=strict, say=say)


def refuse_beside_check_split(given: Mapping[str, Any]) -> None:
    """ConfigError for what is given beside --check-split, by its name on the command line: it compares two files."""
    problems = [
        Problem(where=f"command line: {name}", found=str(value), expected="nothing beside --check-split TRAIN TEST",
                fix="leave it out, or run `luthier curate` without --check-split")
        for name, value in given.items() if value
    ]  # fmt: skip
    if problems:
        raise ConfigError("--check-split compares two files as they are, and reads no more", problems)
