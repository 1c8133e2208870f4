"""Imports only go down, torch stays where it is needed, and packages show what they mean to show."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import luthier

SRC = Path(luthier.__file__).parent
ROOT = Path(__file__).parents[2]
LAYERS = [
    ["errors"],
    ["config", "provenance", "languages", "refusals", "records", "stats", "similarity", "privacy", "people"],
    ["runs", "versions", "tasks", "tracking", "live", "asking"],
    ["models", "graders", "traces", "reports", "terminal"],
    ["curate", "select", "train", "evaluate", "serve", "monitor", "improve"],
    ["demo"],
    ["recipes"],
    ["cli"],
]
LEVEL = {name: depth for depth, names in enumerate(LAYERS) for name in names}
MAY_USE_TORCH = {"models", "train", "serve"}
FILES = sorted(path for path in SRC.rglob("*.py") if path != SRC / "__init__.py")


def part_of(path: Path) -> str:
    """ "train" for src/luthier/train/sft.py, "runs" for src/luthier/runs.py."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[tuple[str, str | None]]:
    """Every (module, name) that the file imports, at any depth; name is None for `import module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}:{node.lineno}: write imports in full"
            for alias in node.names:
                yield node.module, alias.name


def parts_imported(path: Path) -> set[str]:
    parts = set()
    for module, name in imports_of(path):
        names = module.split(".")
        if names[0] == "luthier" and len(names) > 1:
            parts.add(names[1])
        elif module == "luthier" and name in LEVEL:
            parts.add(name)
    return parts


def test_every_part_has_a_layer():
    on_disk = {part_of(path) for path in FILES}
    assert on_disk <= set(LEVEL), f"give {on_disk - set(LEVEL)} a layer here, in docs/design.md and in README.md"


def fence_below(heading: str, page: str) -> str:
    """The first fenced block of a section."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("```text\n")[2].partition("```")[0]


def test_the_design_page_shows_these_layers_and_where_torch_may_be():
    shown = [line.split() for line in fence_below("Layers", "docs/design.md").splitlines()]
    assert [level for level, *_ in shown] == [str(depth) for depth in range(len(LAYERS))]
    names = [{name.rstrip("*") for name in names} for _, *names in shown]
    assert names == [set(layer) for layer in LAYERS]
    assert {name.rstrip("*") for _, *names in shown for name in names if name.endswith("*")} == MAY_USE_TORCH


def test_the_tree_of_the_readme_has_every_part():
    tree = fence_below("What is where", "README.md").partition("src/luthier/\n")[2].partition("\ntests/")[0]
    shown = re.findall(r"^ +((?:\w+(?:/|\.py) +)+)", tree, re.MULTILINE)
    assert sorted(re.split(r"/|\.py", name)[0] for line in shown for name in line.split()) == sorted(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_imports_only_go_down(path):
    here = part_of(path)
    for target in parts_imported(path) - {here}:
        assert LEVEL[target] < LEVEL[here], (
            f"{path}: {here} may not import {target}. Stages meet through records; "
            "to use another stage, take a callable and let the recipe pass it in."
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_torch_is_named_only_where_weights_are_touched(path):
    if part_of(path) not in MAY_USE_TORCH:
        named = {module.split(".")[0] for module, _ in imports_of(path)} & {
            "torch",
            "transformers",
            "peft",
            "safetensors",
            "tokenizers",
        }
        assert not named, f"{path}: {part_of(path)} may not import {named}; take a callable"


@pytest.mark.parametrize("part", sorted(MAY_USE_TORCH))
def test_a_torch_package_begins_with_its_docstring_alone(part):
    body = ast.parse((SRC / part / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr), "or its config could not be imported without torch"


def test_no_torch_comes_with_configs_the_command_line_or_the_torch_free_parts():
    """In a fresh process, one module after another: the first that brings torch in is named."""
    modules = [
        module_of(path)
        for path in FILES
        if part_of(path) not in MAY_USE_TORCH or path.name in ("config.py", "folders.py")
    ]
    modules = [name for name in modules if ".migrations.env" not in name]  # alembic runs this one; it is no module
    assert {"luthier.cli", "luthier.train.config", "luthier.recipes.tune"} <= set(modules)
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n importlib.import_module(name)\n assert 'torch' not in sys.modules, name"
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]


def public_names(package: str) -> tuple[str, ...] | None:
    names = getattr(importlib.import_module(package), "__all__", None)
    return tuple(names) if names is not None else None


PACKAGES = sorted(
    module_of(path) for path in FILES if path.name == "__init__.py" and part_of(path) not in MAY_USE_TORCH
)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_exist_and_are_no_more_than_25(package):
    names = public_names(package) or ()
    module = importlib.import_module(package)
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(names) == len(set(names)) <= 25


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_only_public_names_cross_from_part_to_part(path):
    """From a package that lists its public names, others import those names or its modules, and never a private one."""
    for module, name in imports_of(path):
        parts = module.split(".")
        if parts[0] != "luthier" or len(parts) < 2 or parts[1] == part_of(path) or name is None:
            continue
        assert not name.startswith("_"), f"{path}: {module}.{name} is private to {parts[1]}"
        if module in PACKAGES and (shown := public_names(module)) is not None:
            is_module = (SRC.joinpath(*parts[1:]) / f"{name}.py").is_file()
            assert is_module or name in shown, f"{path}: {name} is not among the public names of {module}"
