"""The file of decisions while people decide: lines are only ever added, and each is on the disk before it is answered.

Several windows and several processes may add to one file. Whoever adds holds the file's lock and has first read what
the others added, so no line is lost or torn and nobody overrides a decision that he has not seen. A line that a crash
has torn was never answered; the next one who adds cuts it off.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.files.raw import RawRow
from luthier.curate.review.decisions import UNDO, Decision, decision_of
from luthier.errors import ConfigError, DataError, Problem
from luthier.records.appending import AppendedFile
from luthier.records.jsonl import parse_json

SUFFIXES = (".jsonl", ".ndjson")
SETTLED_NS = 2_000_000_000
"""Nanoseconds. A file written more recently may be written again without its time changing: the coarsest clock of a
file system ticks every two seconds."""


class Wanted(NamedTuple):
    """A decision that somebody wants to add."""

    id: str
    kind: str
    reason: str = ""
    record: Mapping[str, Any] | None = None
    seen: str | None = None
    """The stamp of the decision that stood on the row when this one was made; None where there was none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision that stands in the file."""

    id: str
    kind: str
    reason: str
    record: Mapping[str, Any] | None
    stamp: str
    """Which action wrote it: lines of one action share a stamp, and no two actions have one."""
    at: str
    """When, ISO 8601 in UTC; empty where the line does not say."""

    def says(self, wanted: Wanted) -> bool:
        """Whether adding `wanted` would change nothing."""
        return (self.kind, self.reason, self.record) == (wanted.kind, wanted.reason, wanted.record)


class _Line(NamedTuple):
    """A line that is a decision."""

    decision: Decision
    data: Mapping[str, Any]


class Added(NamedTuple):
    """What came of adding."""

    stamp: str
    """Of the action, to undo it by; empty where nothing was added."""
    ids: tuple[str, ...]
    """The rows about which something was added."""
    refused: tuple[str, ...]
    """The rows that somebody else has decided meanwhile. If there are any, nothing was added."""


@dataclass(slots=True)
class DecisionLog:
    """The decisions in a file of JSON Lines, which need not exist yet. For threads and processes at once."""

    path: Path
    cut_off: bytes = b""
    """A torn last line that was removed."""
    _stacks: dict[str, list[Entry]] = field(default_factory=dict)
    _changed: list[str] = field(default_factory=list)
    """The id of each line in order: `changed_since` reads its end."""
    _read: int = 0
    """Bytes of whole lines that have been read."""
    _lines: int = 0
    _hash: hashlib.blake2b = field(default_factory=hashlib.blake2b)
    """Of the bytes that have been read."""
    _file: tuple[int, int] | None = None
    """Device and inode of the file that was read."""
    _settled: tuple[int, int] | None = None
    """Size and time of change that show that nothing is new; None where they cannot show it."""
    _epoch: int = 0
    """How often the file was read anew, from its beginning."""
    _guard: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def open(cls, path: Path) -> DecisionLog:
        """Read the file, if there is one. DataError names the lines that are no decisions, ConfigError other files."""
        if path.suffix not in SUFFIXES:
            raise ConfigError("decisions cannot be added to this file", [
                Problem(where=str(path), found=f"a file that ends in {path.suffix or 'nothing'}",
                        expected=f"a file that ends in {' or '.join(SUFFIXES)}",
                        fix="name one; the old decisions can be written into it as lines of JSON"),
            ])  # fmt: skip
        log = cls(path)
        if path.exists():
            with log._locked():
                pass
        return log

    def current(self, identity: str) -> Entry | None:
        """The decision that counts for a row, as far as the file was read."""
        with self._guard:
            stack = self._stacks.get(identity)
            return stack[-1] if stack else None

    def decided(self) -> dict[str, Entry]:
        """Every decision that counts, by the id of its row."""
        with self._guard:
            return {identity: stack[-1] for identity, stack in self._stacks.items() if stack}

    def version(self) -> tuple[int, int]:
        """Where the file was read to: of two equal versions nothing was decided between them."""
        with self._guard:
            return self._epoch, self._lines

    def changed_since(self, version: tuple[int, int]) -> set[str] | None:
        """The rows about which lines were added since; None when the file was read anew."""
        with self._guard:
            epoch, lines = version
            return set(self._changed[lines:]) if epoch == self._epoch else None

    def refresh(self) -> None:
        """Read what others have added. DataError where that is no decision."""
        with self._guard:
            try:
                with AppendedFile.to_read(self.path) as file:
                    self._take_in(file)
            except FileNotFoundError:
                self._forget()

    def add(self, wanted: Sequence[Wanted]) -> Added:
        """Add decisions, all or none; they are on the disk when this returns. What stands there already is not added.

        Refused when on one of the rows another decision stands than the one that was `seen`.
        """
        with self._locked() as file:
            refused = tuple(one.id for one in wanted if self._is_stale(one))
            new = [one for one in wanted if not self._stands(one)]
            if refused or not new:
                return Added("", (), refused)
            return self._append(file, new)

    def undo(self, stamp: str) -> Added:
        """Take back what an action decided, on each row where nothing was decided after it."""
        with self._locked() as file:
            found = [stack[-1].id for stack in self._stacks.values() if stack and stack[-1].stamp == stamp]
            if not found:
                return Added("", (), ())
            return self._append(file, [Wanted(identity, UNDO) for identity in found])

    def take_back(self, identity: str, *, seen: str) -> Added:
        """Take back the last decision on a row, if it is still the one that was `seen`."""
        with self._locked() as file:
            current = self.current(identity)
            if current is None or current.stamp != seen:
                return Added("", (), (identity,))
            return self._append(file, [Wanted(identity, UNDO)])

    def _is_stale(self, wanted: Wanted) -> bool:
        current = self.current(wanted.id)
        return (current.stamp if current else None) != wanted.seen and not self._stands(wanted)

    def _stands(self, wanted: Wanted) -> bool:
        current = self.current(wanted.id)
        return current is not None and current.says(wanted)

    def _append(self, file: AppendedFile, wanted: Sequence[Wanted]) -> Added:
        """Write the lines at the end of the file that is held, all or none."""
        stamp, at = secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="seconds")
        file.append(b"".join(_line_of(one, stamp, at) for one in wanted))
        self._take_in(file)
        return Added(stamp, tuple(one.id for one in wanted), ())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[AppendedFile]:
        """The file, alone: made if need be, what others added taken in, ended with a whole line."""
        with self._guard, AppendedFile.alone(self.path) as file:
            self._take_in(file)
            if file.stat().st_size != self._read:
                self.cut_off = file.end_last_line(self._read, is_whole=_is_object) or self.cut_off
                self._take_in(file)
            yield file

    def _take_in(self, file: AppendedFile) -> None:
        """Read the whole lines that are new; from the beginning where what was read does not stand there any more.

        Lines count together or not at all: as long as one is no decision, each call raises DataError and what was read
        before stays.
        """
        found = file.stat()
        which, written = (found.st_dev, found.st_ino), (found.st_size, found.st_mtime_ns)
        if (self._file, self._settled) == (which, written):
            return
        goes_on = self._file in (None, which) and _hash_of(file, self._read).digest() == self._hash.digest()
        start, count = (self._read, self._lines) if goes_on else (0, 0)
        data = file.read(start, found.st_size)
        whole = data[: data.rfind(b"\n") + 1]
        made = [self._line(count + at, line) for at, line in enumerate(whole.split(b"\n")[:-1], start=1)]
        problems = [one for one in made if isinstance(one, Problem)]
        if problems:
            raise DataError(f"{self.path} is not a file of decisions", problems)
        if not goes_on:
            self._forget()
        for one in made:
            self._put(one if isinstance(one, _Line) else None)
        self._hash.update(whole)
        self._read, self._file = start + len(whole), which
        self._settled = written if time.time_ns() - found.st_mtime_ns > SETTLED_NS else None

    def _forget(self) -> None:
        """Begin anew, as if nothing had been read."""
        self._epoch += self._file is not None  # the first file follows on no file without a break
        self._stacks, self._changed, self._read, self._lines = {}, [], 0, 0
        self._hash, self._file, self._settled = hashlib.blake2b(), None, None

    def _line(self, number: int, line: bytes) -> _Line | Problem | None:
        """What a line says; None where it is blank."""
        if not line.strip():
            return None
        data = _object(line)
        if data is None:
            return Problem(where=f"{self.path}:{number}", found=repr(line[:60].decode("utf-8", "replace")),
                           expected="one JSON object", fix="repair or delete this line")  # fmt: skip
        made = decision_of(RawRow(str(self.path), number, line, data=data))
        return _Line(made, data) if isinstance(made, Decision) else made

    def _put(self, line: _Line | None) -> None:
        """Count one line more."""
        self._lines += 1
        self._changed.append(line.decision.id if line else "")
        if line is None:
            return
        made, data = line
        stack = self._stacks.setdefault(made.id, [])
        if made.kind == UNDO:
            del stack[-1:]
            return
        stamp, at = data.get("action"), data.get("at")
        stack.append(Entry(
            made.id, made.kind, made.reason, data.get("record") if made.kind == "mend" else None,
            stamp if isinstance(stamp, str) and stamp else f"line {self._lines}", at if isinstance(at, str) else "",
        ))  # fmt: skip


def has_locks(path: Path) -> bool:
    """Whether the disk of a file, which need not exist yet, keeps programs apart that add to it at once."""
    # A file without a name, beside it: what looks must not write.
    with path.open("rb+") if path.exists() else tempfile.TemporaryFile(dir=path.parent) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True  # somebody holds it
        except OSError:
            return False
    return True


def _line_of(wanted: Wanted, stamp: str, at: str) -> bytes:
    line: dict[str, Any] = {"id": wanted.id, "decision": wanted.kind}
    if wanted.reason:
        line["reason"] = wanted.reason
    if wanted.record is not None:
        line["record"] = wanted.record
    text = json.dumps({**line, "at": at, "action": stamp}, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8") + b"\n"


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        data = parse_json(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _is_object(line: bytes) -> bool:
    return _object(line) is not None


def _hash_of(file: AppendedFile, end: int) -> hashlib.blake2b:
    """Of the bytes before `end`; of fewer where the file is shorter."""
    made = hashlib.blake2b()
    for piece in file.pieces(0, end):
        made.update(piece)
    return made
