"""The recipe in a file, as the kind of recipe that it names, and as the kind that a command takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luthier.config import load_config, read_toml
from luthier.errors import ConfigError, Problem
from luthier.recipes.pretrain import PretrainRecipe
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.synthesise import SynthesiseRecipe
from luthier.recipes.tune import TuneRecipe

Recipe = TuneRecipe | PretrainRecipe | StudyRecipe | SynthesiseRecipe
KINDS: dict[str, type[Recipe]] = {
    "tune": TuneRecipe, "pretrain": PretrainRecipe, "study": StudyRecipe, "synthesise": SynthesiseRecipe,
}  # fmt: skip
"""What the key `recipe` of a file may say."""


def load_recipe(path: Path, overrides: Sequence[str] | None = None) -> Recipe:
    """The recipe of the kind that its `recipe` key names ("tune" unless it says otherwise).

    ConfigError for another kind, and for keys that this kind does not have.
    """
    data, lines = read_toml(path)
    kind = data.get("recipe", "tune")
    if isinstance(kind, str) and kind in KINDS:
        return load_config(KINDS[kind], path, overrides or [])
    raise ConfigError(
        "the recipe cannot be run",
        [Problem(where=f"{path}:{lines.get('recipe', 1)}: recipe", found=repr(kind),
                 expected='"tune", "pretrain", "study" or "synthesise"', fix="correct the name")],
    )  # fmt: skip


def as_tune(recipe: Recipe) -> TuneRecipe:
    """The recipe, if it tunes; else ConfigError."""
    if isinstance(recipe, TuneRecipe):
        return recipe
    raise _other_recipe(recipe, '"tune"')


def as_checkable(recipe: Recipe) -> TuneRecipe | PretrainRecipe:
    """The recipe, if `luthier check` has proofs for it; else ConfigError."""
    if isinstance(recipe, TuneRecipe | PretrainRecipe):
        return recipe
    raise _other_recipe(recipe, '"tune" or "pretrain"')


def as_synthesise(recipe: Recipe) -> SynthesiseRecipe:
    """The recipe, if it makes rows; else ConfigError."""
    if isinstance(recipe, SynthesiseRecipe):
        return recipe
    raise _other_recipe(recipe, '"synthesise"')


def _other_recipe(recipe: Recipe, expected: str) -> ConfigError:
    return ConfigError(
        "this command does not read that recipe",
        [Problem(where="recipe", found=f'"{recipe.recipe}"', expected=expected, fix="use `luthier run` for it")],
    )
