"""The versions of a run: which is current, and making another one current."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from luthier.recipes import stages
from luthier.versions import Register, Version


def listed(run: Path) -> list[str]:
    """One line a version, oldest first."""
    versions = Register(run / "versions").list()
    return [_line(version) for version in versions] or [f"{run} has no versions; `luthier run` registers the first"]


def to_json(run: Path) -> list[dict[str, Any]]:
    """The versions as JSON objects."""
    return [dataclasses.asdict(version) for version in Register(run / "versions").list()]


def promote(run: Path, name: str) -> str:
    """Make `name` current and RUN/model it."""
    return _made_current(run, Register(run / "versions").promote(name))


def rollback(run: Path) -> str:
    """Make the version before the current one current again."""
    return _made_current(run, Register(run / "versions").rollback())


def _made_current(run: Path, version: Version) -> str:
    stages.stand(Path(version.model), run)
    return f"{version.name} ({version.digest}) is current, in {run / 'model'}; restart `luthier serve` to serve it"


def _line(version: Version) -> str:
    word = version.gate.get("word") or version.gate.get("answer") or "no gate"
    reasons = version.gate.get("reasons") or [""]
    parents = f" from {', '.join(version.parents)}" if version.parents else ""
    mark = "*" if version.status == "current" else " "
    return f"{mark} {version.name:4} {version.status:9} {version.digest}{parents} | {word} | {reasons[0]}".rstrip(" |")
