"""`key=value` on the command line of `luthier evaluate` and `luthier serve`, which read one table and no recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.config import Config, assign, parse_override, suggestion
from luthier.errors import ConfigError, Problem


def assign_to_table(data: dict[str, Any], overrides: Sequence[str], *, kind: type[Config]) -> None:
    """Put the overrides into `data`; ConfigError that names every key outside the one table of `kind`."""
    (table,) = kind.model_fields
    given = [parse_override(text) for text in overrides]
    problems = []
    for key, _ in given:
        if not key.startswith(f"{table}."):
            meant = suggestion(kind, key)
            problems.append(
                Problem(where=f"command line: {key}", found="a key that nothing here reads",
                        expected=f"{table}.KEY=VALUE",
                        fix=f"did you mean {meant}?" if meant else "put it into a recipe and use `luthier run`")
            )  # fmt: skip
    if problems:
        raise ConfigError("this command does not read that key", problems)
    for key, value in given:
        assign(data, key, value)
