"""The versions of a run: which is current, and making another one current."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from luthier.errors import ModelError, Problem
from luthier.recipes import stages
from luthier.recipes.model_card import write_model_card
from luthier.runs import holding
from luthier.versions import Register, Version


def listed(run: Path) -> list[str]:
    """One line a version, oldest first."""
    versions = _register(run).list()
    return [_line(version) for version in versions] or [f"{run} has no versions; `luthier run` registers the first"]


def to_json(run: Path) -> list[dict[str, Any]]:
    """The versions as JSON objects."""
    return [dataclasses.asdict(version) for version in _register(run).list()]


def promote(run: Path, name: str) -> str:
    """Make `name` current and RUN/model it."""
    register = _register(run)
    for version in register.list():
        if version.name == name:
            _folder(run, version)  # before anything is written
    return _made_current(run, register.promote(name))


def rollback(run: Path) -> str:
    """Make the version before the current one current again."""
    register = _register(run)
    for version in register.list():
        if version.status == "retired":
            _folder(run, version)
    return _made_current(run, register.rollback())


def _register(run: Path) -> Register:
    if not run.is_dir():
        raise ModelError(
            "there is no such run",
            [Problem(where=f"--run {run}", found="no such folder", expected="a run folder", fix="check the path")],
        )
    return Register(run / "versions")


def _folder(run: Path, version: Version) -> Path:
    """Where the run keeps the version's model, whatever folder the command runs in."""
    folder = run / "versions" / version.digest
    if not folder.is_dir():
        raise ModelError(
            "the version's model is missing",
            [Problem(where=str(folder), found="no such folder", expected=f"the model of {version.name}",
                     fix="restore it, or choose another version")],
        )  # fmt: skip
    return folder


def _made_current(run: Path, version: Version) -> str:
    with holding(run):
        write_model_card(run, _folder(run, version))  # its verdict may be younger than the copy
        stages.stand(_folder(run, version), run)
    return f"{version.name} ({version.digest}) is current, in {run / 'model'}; restart `luthier serve` to serve it"


def _line(version: Version) -> str:
    word = version.gate.get("word") or version.gate.get("answer") or "no gate"
    reasons = version.gate.get("reasons") or [""]
    parents = f" from {', '.join(version.parents)}" if version.parents else ""
    mark = "*" if version.status == "current" else " "
    return f"{mark} {version.name:4} {version.status:9} {version.digest}{parents} | {word} | {reasons[0]}".rstrip(" |")
