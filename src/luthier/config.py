"""Recipes: TOML and `key=value` in, a frozen and typed config out, errors with file:line:key.

Order of precedence: defaults, then the file, then the command line; nothing else. Relative paths in a recipe are
relative to the folder in which the command runs, as on the command line.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pydantic
from pydantic.fields import FieldInfo

from luthier.errors import ConfigError, Problem

CLOSE_ENOUGH = 0.8
"""Similarity (difflib ratio) from which a hint is given; a wrong hint is worse than none."""


class Config(pydantic.BaseModel):
    """The one parent of every config: frozen, strict about types, unknown keys are errors."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


ConfigT = TypeVar("ConfigT", bound=Config)


class Key(NamedTuple):
    """One key that a recipe may hold."""

    path: str
    """Full dotted path: "train.optim.lr"."""
    spec: FieldInfo
    known_as: tuple[str, ...]
    """Other names that people know it by; used for hints."""


def known_as(*names: str) -> dict[str, Any]:
    """For `Field(json_schema_extra=...)`: names other tools use for this key, so that a hint can be given."""
    return {"known_as": list(names)}


def load_config(kind: type[ConfigT], path: Path, overrides: Sequence[str] = ()) -> ConfigT:
    """The recipe at `path` with `key=value` overrides applied. ConfigError names file, line, key, finding and fix."""
    data, lines = read_toml(path)
    places = {key: f"{path}:{line}" for key, line in lines.items()}
    for override in overrides:
        key, value = parse_override(override)
        assign(data, key, value)
        places[key] = "command line"
    return validate(kind, data, places=places, default_place=str(path))


def validate(
    kind: type[ConfigT], data: Mapping[str, Any], *, places: Mapping[str, str], default_place: str
) -> ConfigT:
    """`data` as a config. `places` maps a dotted key to where it was written, for errors."""
    try:
        # JSON mode: strict about int, str and bool, yet it takes a string for a Path and a list for a tuple.
        return kind.model_validate_json(json.dumps(_without_none_words(kind, data), default=str))
    except pydantic.ValidationError as error:
        problems = [
            problem
            for item in error.errors(include_url=False)
            for problem in _problems(kind, item, data=data, places=places, default_place=default_place)
        ]
        problems = list({problem.where: problem for problem in reversed(problems)}.values())[::-1]
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in the recipe"
        raise ConfigError(count, problems) from None


def read_toml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The file's content, and the line on which each dotted key stands. ConfigError when it cannot be read."""
    if not path.is_file():
        raise ConfigError(
            "the recipe is missing",
            [Problem(where=str(path), found="no such file", expected="a recipe in TOML",
                     fix="check the path, or write one with `luthier new --data FILE`")],
        )  # fmt: skip
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text), _key_lines(text)
    except UnicodeDecodeError as error:
        raise ConfigError(
            "the recipe cannot be read",
            [Problem(where=str(path), found=f"byte {error.start} is not UTF-8", expected="UTF-8 text",
                     fix="save the file as UTF-8")],
        ) from None  # fmt: skip
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{path}:{place[1]}:{place[2]}" if place else str(path)
        raise ConfigError(
            "the recipe cannot be read",
            [Problem(where=where, found=str(error), expected="TOML", fix="repair this line")],
        ) from None


def parse_override(text: str) -> tuple[str, Any]:
    """"train.optim.lr=2e-4" as key and value; the value is TOML where it parses, else a string."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(
            "the command line cannot be read",
            [Problem(where="command line", found=repr(text), expected="key=value",
                     fix="write the full key, for example train.optim.lr=2e-4")],
        )  # fmt: skip
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def all_keys(kind: type[Config], prefix: str = "") -> Iterator[Key]:
    """Every key that a recipe of this type may hold, tables before what they hold."""
    for name, spec in kind.model_fields.items():
        extra = spec.json_schema_extra if isinstance(spec.json_schema_extra, dict) else {}
        names = extra.get("known_as", [])
        yield Key(prefix + name, spec, tuple(str(n) for n in names) if isinstance(names, list) else ())
        inner = nested_config(spec)
        if inner is not None:
            yield from all_keys(inner, f"{prefix}{name}.")


def nested_config(spec: FieldInfo) -> type[Config] | None:
    """The config type of a key that is a table, or None."""
    for option in (spec.annotation, *typing.get_args(spec.annotation)):
        if isinstance(option, type) and issubclass(option, Config):
            return option
    return None


def _without_none_words(kind: type[Config], data: Mapping[str, Any]) -> dict[str, Any]:
    """The word "none" switches an optional key off, since TOML has no null."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        spec = kind.model_fields.get(key)
        inner = nested_config(spec) if spec is not None else None
        if inner is not None and isinstance(value, Mapping):
            result[key] = _without_none_words(inner, value)
        elif spec is not None and value == "none" and _allows_none(spec):
            result[key] = None
        else:
            result[key] = value
    return result


def _allows_none(spec: FieldInfo) -> bool:
    is_union = typing.get_origin(spec.annotation) in (typing.Union, types.UnionType)
    return is_union and type(None) in typing.get_args(spec.annotation)


def assign(data: dict[str, Any], key: str, value: Any) -> None:
    """Put `value` at the dotted `key` of nested tables; ConfigError where a value stands in a table's place."""
    *tables, last = key.split(".")
    for table in tables:
        inner = data.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                "the command line cannot be applied",
                [Problem(where=f"command line: {key}", found=f"{table} = {inner!r}", expected=f"a table [{table}]",
                         fix="check the key")],
            )  # fmt: skip
        data = inner
    data[last] = value


def _key_lines(text: str) -> dict[str, int]:
    """Line of each dotted key, found by reading headers and assignments line by line (tomllib keeps no places)."""
    lines: dict[str, int] = {}
    table = ""
    fence = None  # the quotes of a multi-line string that is open
    for number, line in enumerate(text.splitlines(), start=1):
        if fence:
            fence = None if line.count(fence) % 2 else fence
            continue
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line)
        assignment = re.match(r"\s*([\w.\-\"' ]+?)\s*=", line)
        if header and not assignment:
            table = _bare(header[1]) + "."
            lines.setdefault(table[:-1], number)
        elif assignment:
            lines.setdefault(table + _bare(assignment[1]), number)
            for quotes in ('"""', "'''"):
                if line.count(quotes) % 2:
                    fence = quotes
    return lines


def _bare(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _problems(
    kind: type[Config],
    item: Any,
    *,
    data: Mapping[str, Any],
    places: Mapping[str, str],
    default_place: str,
) -> list[Problem]:
    """What pydantic says as problems; a rule over several keys says a line for each, "KEY is ...; FIX"."""
    if item["type"] != "value_error":
        return [_problem(kind, item, data=data, places=places, default_place=default_place)]
    table = ".".join(str(part) for part in item["loc"])
    found = []
    for words in str(item["ctx"]["error"]).split("\n"):
        said, _, fix = words.partition("; ")
        key = ".".join(filter(None, (table, said.partition(" ")[0])))
        found.append(
            Problem(where=f"{_place(key, places, default_place)}: {key}", found=said,
                    expected="keys that go together", fix=fix or "change one of them")
        )  # fmt: skip
    return found


def _problem(
    kind: type[Config],
    item: Any,
    *,
    data: Mapping[str, Any],
    places: Mapping[str, str],
    default_place: str,
) -> Problem:
    # The branch of a union is part of pydantic's location, and no key of the user's.
    parts = itertools.takewhile(lambda part: isinstance(part, int) or re.fullmatch(r"\w+", part), item["loc"])
    key = ".".join(str(part) for part in parts)
    place = _place(key, places, default_place)
    where = f"{place}: {key}" if key else place
    if item["type"] == "extra_forbidden":
        hint = suggestion(kind, key)
        fix = f"did you mean {hint}?" if hint else "remove it; `docs/recipe.md` lists every key"
        return Problem(where=where, found="unknown key", expected="a key of the recipe", fix=fix)
    if item["type"] == "missing":
        last = key.rpartition(".")[2]
        return Problem(where=where, found="nothing", expected=f"the key {last}", fix=f"add `{last} = ...`")
    found = item.get("input")
    return Problem(
        where=where,
        found=f"{found!r} ({type(found).__name__})",
        expected=item["msg"][0].lower() + item["msg"][1:],
        fix=f"change {key.rpartition('.')[2] or 'the value'}",
    )


def _place(key: str, places: Mapping[str, str], default_place: str) -> str:
    """Where the key, or the nearest table around it, was written."""
    while key:
        if key in places:
            return places[key]
        key = key.rpartition(".")[0]
    return default_place


def suggestion(kind: type[Config], key: str) -> str | None:
    """The key that was probably meant, or None: by another name it is known by, then by close spelling."""
    last = key.rpartition(".")[2]
    keys = list(all_keys(kind))
    named = [k.path for k in keys if last in k.known_as]
    if named:
        return max(named, key=lambda path: difflib.SequenceMatcher(None, path, key).ratio())
    by_name = [k.path for k in keys if k.path.rpartition(".")[2] == last]
    if by_name:
        return max(by_name, key=lambda path: difflib.SequenceMatcher(None, path, key).ratio())
    close = difflib.get_close_matches(key, [k.path for k in keys], n=1, cutoff=CLOSE_ENOUGH)
    return close[0] if close else None
