"""The recipe reference, made from the config types, so that it cannot say anything else than what the code reads.

    python -m luthier.recipes.reference > docs/recipe.md
"""

from __future__ import annotations

import json
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from luthier.config import Config, Key, all_keys, nested_config
from luthier.recipes.pretrain import PretrainRecipe
from luthier.recipes.serve import ServeRecipe
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.synthesise import SynthesiseRecipe
from luthier.recipes.tune import TuneRecipe

INTRODUCTION = """# Recipe reference

Made from the config types by `python -m luthier.recipes.reference > docs/recipe.md`; do not edit it by hand.

A recipe is a TOML file. Its key `recipe` names the script that reads it: "tune", which is the default, "pretrain",
"study" or "synthesise".

- The command line goes before the file, and the file before the defaults. Nothing else is read: no environment
  variables, no second file.
- On the command line a key is written in full, `train.optim.lr=1e-4`. In the file it may stand under its table's header
  or be written with dots.
- An unknown key is an error, with a hint where another name or a close spelling gives one away. "Also known as" lists
  the names of other tools that get such a hint; they are no second spelling.
- "none" in quotes switches an optional key off, since TOML has no null.
- Relative paths start in the folder where the command runs.
"""
PARTS: tuple[tuple[str, type[Config]], ...] = (
    ("The tune recipe", TuneRecipe),
    ("The pretrain recipe", PretrainRecipe),
    ("The study recipe", StudyRecipe),
    ("The synthesise recipe", SynthesiseRecipe),
    ("Keys on the command line of luthier serve", ServeRecipe),
)
WORDS = {str: "text", Path: "path", int: "whole number", float: "number", bool: "true or false"}
PLURALS = {str: "texts", Path: "paths", int: "whole numbers", float: "numbers"}
OFF = ' or "none"'
BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "min_length": "at least {}"}
"""Limits of a key, by the names that annotated_types gives them."""


class Table(NamedTuple):
    """One TOML table of a recipe."""

    name: str
    """"train.optim"; "" for the keys above the first header."""
    kind: type[Config]
    meaning: str
    is_list: bool
    """Whether it may stand several times, as [[name]]."""
    is_optional: bool
    """Whether leaving it out switches something off."""
    keys: tuple[Key, ...]


def reference() -> str:
    """The whole page."""
    shown: dict[type[Config], str] = {}
    parts = [INTRODUCTION]
    for title, kind in PARTS:
        parts.append(f"## {title}\n\n{_first_paragraph(kind)}\n")
        done: list[str] = []
        for table in tables(kind):
            if any(table.name.startswith(f"{name}.") for name in done):
                continue  # a table within one that is described elsewhere
            if table.kind in shown and table.kind is not kind:
                done.append(table.name)
            parts.append(_section(table, shown))
            shown.setdefault(table.kind, table.name)
    return "\n".join(parts)


def tables(kind: type[Config]) -> Iterator[Table]:
    """Every table in the order of its keys; the first, without a name, holds the keys above all headers."""
    keys = list(all_keys(kind))
    if plain := _plain_keys(keys, ""):
        yield Table("", kind, "", False, False, plain)
    for key in keys:
        inner = nested_config(key.spec)
        if inner is not None:
            is_list = typing.get_origin(key.spec.annotation) is tuple
            is_optional = not key.spec.is_required() and key.spec.default is None
            meaning = key.spec.description or _first_paragraph(inner)
            yield Table(key.path, inner, meaning, is_list, is_optional, _plain_keys(keys, f"{key.path}."))


def type_in_words(spec: FieldInfo) -> str:
    """The values that a key takes, with their limits."""
    limits = [BOUNDS[name].format(getattr(limit, name)) for limit in spec.metadata for name in BOUNDS
              if hasattr(limit, name)]  # fmt: skip
    words = _in_words(spec.annotation)
    if not limits or not words.endswith(OFF):
        return ", ".join([words, *limits])
    return ", ".join([words.removesuffix(OFF), *limits]) + f",{OFF}"  # a limit is one of the value, not of "none"


def default_in_toml(spec: FieldInfo) -> str:
    """The default as a recipe would write it; "needed" where there is none."""
    if spec.is_required():
        return "needed"
    return f"`{_toml(spec.get_default(call_default_factory=True))}`"


def _section(table: Table, shown: dict[type[Config], str]) -> str:
    title = f"[[{table.name}]]" if table.is_list else f"[{table.name}]"
    lines = [f"### `{title}`\n"] if table.name else []
    lines += [f"{table.meaning}\n"] if table.name else []
    if table.is_optional:
        lines.append("Off unless the table is there.\n")
    known = shown.get(table.kind)
    if known is not None:
        lines.append(f"The keys, inner tables and defaults are those of `[{known}]` above.\n")
        return "\n".join(lines)
    lines.append("| key | takes | default | meaning | also known as |\n| --- | --- | --- | --- | --- |")
    lines += [_row(key) for key in table.keys]
    return "\n".join(lines) + "\n"


def _row(key: Key) -> str:
    names = ", ".join(f"`{name}`" for name in key.known_as)
    cells = (f"`{key.path}`", type_in_words(key.spec), default_in_toml(key.spec), key.spec.description or "", names)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"


def _plain_keys(keys: Sequence[Key], prefix: str) -> tuple[Key, ...]:
    """The keys that stand directly under a prefix and are no tables."""
    return tuple(
        key for key in keys
        if key.path.startswith(prefix) and "." not in key.path[len(prefix) :] and nested_config(key.spec) is None
    )  # fmt: skip


def _first_paragraph(kind: type[Config]) -> str:
    """What the config's docstring says first, without the table's name that some begin with."""
    text = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    text = re.sub(r"^\[\w+\]: ", "", text)
    return text[:1].upper() + text[1:]


def _in_words(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin in (typing.Union, types.UnionType):
        words = " or ".join(_in_words(option) for option in inner if option is not type(None))
        return words + OFF if type(None) in inner else words
    if origin is tuple:
        return f"list of {PLURALS[inner[0]] if inner[0] in PLURALS else _in_words(inner[0])}"
    if origin is dict:
        return f"table of {PLURALS[inner[1]] if inner[1] in PLURALS else _in_words(inner[1])}"
    return WORDS[annotation]


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(reference())
