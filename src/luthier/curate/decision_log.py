"""The file of decisions while people decide: lines are only ever added, and each is on the disk before it is answered.

Several windows and several processes may add to one file. Whoever adds holds the file's lock and has first read what
the others added, so no line is lost or torn and nobody overrides a decision that he has not seen. A line that a crash
has torn was never answered; the next one who adds cuts it off.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.decisions import UNDO, Decision, decision_of
from luthier.curate.raw import RawRow
from luthier.errors import ConfigError, DataError, Problem
from luthier.records.jsonl import parse_json

SUFFIXES = (".jsonl", ".ndjson")
MOST_READ = 1 << 20
"""Bytes that are read at once."""


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
    _file: tuple[int, int] | None = None
    """Device and inode of the file that was read."""
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
        with self._guard, contextlib.suppress(FileNotFoundError):
            number = os.open(self.path, os.O_RDONLY)
            try:
                self._take_in(number)
            finally:
                os.close(number)

    def add(self, wanted: Sequence[Wanted]) -> Added:
        """Add decisions, all or none; they are on the disk when this returns. What stands there already is not added.

        Refused when on one of the rows another decision stands than the one that was `seen`.
        """
        with self._locked() as number:
            refused = tuple(one.id for one in wanted if self._is_stale(one))
            new = [one for one in wanted if not self._stands(one)]
            if refused or not new:
                return Added("", (), refused)
            return self._append(number, new)

    def undo(self, stamp: str) -> Added:
        """Take back what an action decided, on each row where nothing was decided after it."""
        with self._locked() as number:
            found = [stack[-1].id for stack in self._stacks.values() if stack and stack[-1].stamp == stamp]
            if not found:
                return Added("", (), ())
            return self._append(number, [Wanted(identity, UNDO) for identity in found])

    def take_back(self, identity: str, *, seen: str) -> Added:
        """Take back the last decision on a row, if it is still the one that was `seen`."""
        with self._locked() as number:
            current = self.current(identity)
            if current is None or current.stamp != seen:
                return Added("", (), (identity,))
            return self._append(number, [Wanted(identity, UNDO)])

    def _is_stale(self, wanted: Wanted) -> bool:
        current = self.current(wanted.id)
        return (current.stamp if current else None) != wanted.seen and not self._stands(wanted)

    def _stands(self, wanted: Wanted) -> bool:
        current = self.current(wanted.id)
        return current is not None and current.says(wanted)

    def _append(self, number: int, wanted: Sequence[Wanted]) -> Added:
        """Write the lines at the end of the locked file, as one piece, and wait until the disk has them."""
        stamp, at = secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="seconds")
        data = memoryview(b"".join(_line(one, stamp, at) for one in wanted))
        end = os.fstat(number).st_size
        try:
            while data:
                data = data[os.write(number, data) :]
            os.fsync(number)
        except OSError:
            os.ftruncate(number, end)  # a full disk must not leave half a line
            raise
        self._take_in(number)
        return Added(stamp, tuple(one.id for one in wanted), ())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, alone: made if need be, what others added taken in, ended with a whole line."""
        with self._guard:
            number = self._opened()
            try:
                self._take_in(number)
                self._end_line(number)
                yield number
            finally:
                os.close(number)

    def _opened(self) -> int:
        """The file open for appending, with its lock. An editor may have put another in its place while we waited."""
        while True:
            is_new = not self.path.exists()
            number = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            with contextlib.suppress(OSError):  # a disk without locks
                fcntl.flock(number, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(number), os.stat(self.path)):
                    if is_new:
                        _sync_folder(self.path.parent)
                    return number
            os.close(number)

    def _take_in(self, number: int) -> None:
        """Read the whole lines that are new. From the beginning when it is another file, or shorter than it was."""
        found = os.fstat(number)
        if self._file != (found.st_dev, found.st_ino) or found.st_size < self._read:
            self._epoch += self._file is not None  # the first file follows on no file without a break
            self._stacks, self._changed, self._read, self._lines = {}, [], 0, 0
            self._file = (found.st_dev, found.st_ino)
        data = _read(number, self._read, found.st_size)
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        problems = [made for line in whole.split(b"\n")[:-1] if (made := self._take_line(line)) is not None]
        if problems:
            raise DataError(f"{self.path} is not a file of decisions", problems)

    def _take_line(self, line: bytes) -> Problem | None:
        self._lines += 1
        self._changed.append("")
        if not line.strip():
            return None
        data = _object(line)
        if data is None:
            return Problem(where=f"{self.path}:{self._lines}", found=repr(line[:60].decode("utf-8", "replace")),
                           expected="one JSON object", fix="repair or delete this line")  # fmt: skip
        made = decision_of(RawRow(str(self.path), self._lines, line, data=data))
        if not isinstance(made, Decision):
            return made
        self._changed[-1] = made.id
        stack = self._stacks.setdefault(made.id, [])
        if made.kind == UNDO:
            del stack[-1:]
            return None
        stamp, at = data.get("action"), data.get("at")
        stack.append(Entry(
            made.id, made.kind, made.reason, data.get("record") if made.kind == "mend" else None,
            stamp if isinstance(stamp, str) and stamp else f"line {self._lines}", at if isinstance(at, str) else "",
        ))  # fmt: skip
        return None

    def _end_line(self, number: int) -> None:
        """Give the last line its end, or cut it off where it is torn."""
        size = os.fstat(number).st_size
        if size == self._read:
            return
        tail = _read(number, self._read, size)
        if _object(tail) is None:
            self.cut_off = tail
            os.ftruncate(number, self._read)
        else:
            os.write(number, b"\n")
        os.fsync(number)
        self._take_in(number)


def _line(wanted: Wanted, stamp: str, at: str) -> bytes:
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


def _read(number: int, start: int, end: int) -> bytes:
    pieces = []
    while start < end:
        piece = os.pread(number, min(MOST_READ, end - start), start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file as durable as what is in it."""
    with contextlib.suppress(OSError):  # some file systems cannot
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
