"""Serve one model, or two to compare, with the store behind the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from luthier.config import Config, validate
from luthier.models.folders import resolve
from luthier.recipes.monitor import report_over
from luthier.recipes.overriding import assign_to_table
from luthier.serve.config import ServeConfig


class ServeRecipe(Config):
    """What the command line of `luthier serve` may set."""

    serve: ServeConfig


def main(
    models: Sequence[Path], *, settings: dict[str, Any], overrides: Sequence[str], say: Callable[[str], None]
) -> None:
    """Serve until told to stop. Every folder is checked before anything is loaded."""
    data: dict[str, Any] = {"serve": settings}
    assign_to_table(data, overrides, kind=ServeRecipe)
    config = validate(ServeRecipe, data, places={}, default_place="command line").serve
    for path in models:
        resolve(path)

    from luthier.models.load import load_model
    from luthier.serve.engine import Engine
    from luthier.serve.local import engine_for
    from luthier.serve.server import open_store, serve

    engines: dict[str, Engine] = {}
    for path in models:
        model = load_model(path)
        for notice in model.notices:
            say(f"serve | {notice}")
        name = _name(path, taken=set(engines))
        engines[name] = engine_for(model, name)
    opened = open_store(config, say=say)
    operations = None if opened is None else lambda: report_over(opened, run=models[0]).page().html()
    serve(engines, config, store=opened, say=say, operations=operations)


def _name(path: Path, *, taken: set[str]) -> str:
    """The folder's name, or that of the run around a folder called "model"; numbered when two are the same."""
    full = path.resolve()
    name = full.parent.name if full.name == "model" else full.name
    return name if name not in taken else f"{name}-{len(taken) + 1}"
