"""What a result depends on: the bytes that it was made from, the source that made it, the libraries and the machine."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem

LIBRARIES = (
    "torch", "transformers", "tokenizers", "safetensors", "peft", "pydantic", "pyarrow", "numpy", "scipy",
    "jinja2", "ftfy", "sacrebleu", "fastapi", "sqlalchemy",
)  # fmt: skip
"""The libraries whose versions a manifest states and a stage's key covers."""

SOURCE = Path(__file__).parent
"""The folder of the package `luthier`."""


def sha256(path: Path) -> str:
    """sha256 of a file's bytes, or of the names and bytes of every file in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise DataError(
            "a file is missing",
            [Problem(where=str(path), found="no such file", expected="a file or folder to read",
                     fix="check the path")],
        )  # fmt: skip
    total = hashlib.sha256()
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file_path.relative_to(path).as_posix()}\0{sha256(file_path)}\n".encode())
    return total.hexdigest()


@cache
def source_digest(module: str) -> str:
    """sha256 over the source files that `module` imports, itself included, transitively, within Luthier.

    A stage's result is stale exactly when this, its inputs, its options or its libraries change; a commit that touches
    something else leaves it valid.
    """
    seen: dict[str, str] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        path = _source_of(name)
        if path is None:
            continue
        text = path.read_text(encoding="utf-8")
        seen[name] = hashlib.sha256(text.encode()).hexdigest()
        queue.extend(_imports_of(text))
        if "." in name:
            queue.append(name.rpartition(".")[0])
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(seen.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that results depend on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@cache
def machine() -> dict[str, Any]:
    """The machine as a result should state it."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


@cache
def commit() -> str | None:
    """The commit of the source in use; None where it is no working copy."""
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=SOURCE, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return result.stdout.strip() or None


def _source_of(module: str) -> Path | None:
    if module != "luthier" and not module.startswith("luthier."):
        return None
    parts = module.split(".")[1:]
    for path in (SOURCE.joinpath(*parts).with_suffix(".py") if parts else SOURCE / "__init__.py",
                 SOURCE.joinpath(*parts) / "__init__.py"):  # fmt: skip
        if path.is_file():
            return path
    return None


def _imports_of(text: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
