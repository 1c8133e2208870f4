"""The register of model versions: which model is current, where it came from, and the numbers that decided.

FOLDER/versions.json    every version, and the order in which they were current
FOLDER/history.jsonl    one line per transition, only ever appended to

candidate --promote--> current --(another is promoted, or rollback)--> retired
    '------hold------> held    --promote: a person overrules the gate--> current
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from luthier.errors import DataError, LuthierError, Problem
from luthier.records.whole_files import write_text_whole

Status = Literal["candidate", "current", "held", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One model of the register."""

    name: str
    """v1, v2 ... in the order of registration; never given twice."""
    model: str
    """Folder of the model, as it was named when it was added."""
    digest: str
    """Content digest of the model: its identity in traces and responses."""
    parents: tuple[str, ...] = ()
    """Versions that it was trained from."""
    created: str
    status: Status = "candidate"
    gate: Mapping[str, Any] = field(default_factory=dict)
    """The numbers on which it was promoted or held."""
    data: tuple[str, ...] = ()
    """sha256 of the example files that it learned from."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Books:
    """What versions.json holds."""

    versions: tuple[Version, ...] = ()
    line: tuple[str, ...] = ()
    """Names in the order in which they became current; the last is current. A rollback takes the last one off."""


@dataclass(frozen=True, slots=True)
class Register:
    """The versions kept in one folder. Changes are made under a lock and written whole or not at all."""

    folder: Path

    def list(self) -> tuple[Version, ...]:
        """Every version, oldest first."""
        return self._read().versions

    def current(self) -> Version | None:
        """The version that is served; None before the first is promoted."""
        books = self._read()
        return _find(books, books.line[-1]) if books.line else None

    def add(
        self, *, model: Path | str, digest: str, parents: Sequence[str] = (), data: Sequence[str] = (), note: str = ""
    ) -> Version:
        """A new candidate. A digest that is registered already is the same model: its version comes back unchanged."""
        with self._locked():
            books = self._read()
            known = next((v for v in books.versions if v.digest == digest), None)
            if known is not None:
                return known
            for parent in parents:
                self._known(books, parent, "add")
            version = Version(
                name=f"v{len(books.versions) + 1}", model=str(model), digest=digest, parents=tuple(parents),
                created=_now(), data=tuple(data), note=note,
            )  # fmt: skip
            self._write(dataclasses.replace(books, versions=(*books.versions, version)))
            self._note(version.name, before=None, after="candidate", act="add")
            return version

    def promote(self, name: str, gate: Mapping[str, Any] | None = None) -> Version:
        """`name` becomes current and the one before it retired. `gate`: the numbers that decided, if a gate did."""
        with self._locked():
            books = self._read()
            version = self._known(books, name, "promote")
            if version.status == "current":
                return version
            promoted = dataclasses.replace(version, status="current", gate=version.gate if gate is None else dict(gate))
            changed = [promoted]
            if books.line:
                changed.append(dataclasses.replace(_find(books, books.line[-1]), status="retired"))
            self._write(_Books(_replaced(books, changed), (*books.line, name)))
            self._note(name, before=version.status, after="current", act="promote", gate=promoted.gate)
            if books.line:
                self._note(books.line[-1], before="current", after="retired", act="promote")
            return promoted

    def hold(self, name: str, gate: Mapping[str, Any]) -> Version:
        """`name` does not go live; the numbers of its gate are kept with it."""
        with self._locked():
            books = self._read()
            version = self._known(books, name, "hold")
            if version.status == "current":
                raise LuthierError(
                    "the current version cannot be held",
                    [Problem(where=f"{self._path}: {name}", found="the version that is served",
                             expected="a candidate", fix="`luthier versions rollback` takes it out of service")],
                )  # fmt: skip
            held = dataclasses.replace(version, status="held", gate=dict(gate))
            self._write(_Books(_replaced(books, [held]), books.line))
            self._note(name, before=version.status, after="held", act="hold", gate=held.gate)
            return held

    def rollback(self) -> Version:
        """The version that was current before the current one is current again; the one taken back is retired."""
        with self._locked():
            books = self._read()
            if len(books.line) < 2:
                found = f"only {books.line[0]} was ever current" if books.line else "no version was ever current"
                raise LuthierError(
                    "there is no earlier version to go back to",
                    [Problem(where=str(self._path), found=found, expected="two promoted versions",
                             fix="promote another one: " + _names(books))],
                )  # fmt: skip
            taken_back = dataclasses.replace(_find(books, books.line[-1]), status="retired")
            restored = dataclasses.replace(_find(books, books.line[-2]), status="current")
            self._write(_Books(_replaced(books, [taken_back, restored]), books.line[:-1]))
            self._note(taken_back.name, before="current", after="retired", act="rollback")
            self._note(restored.name, before="retired", after="current", act="rollback")
            return restored

    def history(self) -> tuple[dict[str, Any], ...]:
        """Every transition, oldest first."""
        path = self.folder / "history.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        return tuple(json.loads(line) for line in lines if line)

    @property
    def _path(self) -> Path:
        return self.folder / "versions.json"

    def _read(self) -> _Books:
        if not self._path.is_file():
            return _Books()
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            versions = tuple(
                Version(**{**row, "parents": tuple(row["parents"]), "data": tuple(row["data"])})
                for row in data["versions"]
            )
            books = _Books(versions, tuple(data["line"]))
            for name in books.line:
                _find(books, name)
            return books
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                "the register of versions cannot be read",
                [Problem(where=str(self._path), found=str(error) or type(error).__name__,
                         expected="the file as `luthier versions` writes it",
                         fix="restore the file from a copy; history.jsonl beside it tells what happened")],
            ) from error  # fmt: skip

    def _write(self, books: _Books) -> None:
        data = {"versions": [dataclasses.asdict(version) for version in books.versions], "line": books.line}
        write_text_whole(self._path, json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")

    def _note(
        self, name: str, *, before: str | None, after: Status, act: str, gate: Mapping[str, Any] | None = None
    ) -> None:
        event: dict[str, Any] = {"at": _now(), "act": act, "version": name, "before": before, "after": after}
        if gate:
            event["gate"] = dict(gate)
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False, default=str) + "\n")

    def _known(self, books: _Books, name: str, act: str) -> Version:
        try:
            return _find(books, name)
        except KeyError:
            raise LuthierError(
                f"cannot {act} an unknown version",
                [Problem(where=str(self._path), found=repr(name), expected="one of " + _names(books),
                         fix="`luthier versions list` shows them")],
            ) from None  # fmt: skip

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, over processes too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "versions.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _find(books: _Books, name: str) -> Version:
    for version in books.versions:
        if version.name == name:
            return version
    raise KeyError(f"no version {name}")


def _replaced(books: _Books, changed: Sequence[Version]) -> tuple[Version, ...]:
    by_name = {version.name: version for version in changed}
    return tuple(by_name.get(version.name, version) for version in books.versions)


def _names(books: _Books) -> str:
    return ", ".join(version.name for version in books.versions) or "none: no version is registered yet"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
