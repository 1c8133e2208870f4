"""A file that is only added to: what was added is on the disk, whole, or it is not there at all.

    with AppendedFile.alone(path) as file:
        torn = file.end_last_line(0, is_whole=lambda line: False)
        file.append(b'{"id":"a"}\\n')

Threads and processes may add to one file at once: each is alone with it for as long as it holds it. A crash may leave
a torn last line; who holds the file next ends it or cuts it off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_READ = 1 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True)
class AppendedFile:
    """A file that is open. Places are bytes from its beginning."""

    number: int
    """Its descriptor."""

    @classmethod
    @contextlib.contextmanager
    def alone(cls, path: Path) -> Iterator[AppendedFile]:
        """The file, made if need be, with its lock: nobody else adds to it inside. On a disk without locks others can.

        Threads are kept apart too. Not to be entered twice at once by one thread, which would wait for itself.
        """
        number = _opened(path)
        try:
            yield cls(number)
        finally:
            os.close(number)  # and the lock with it

    @classmethod
    @contextlib.contextmanager
    def to_read(cls, path: Path) -> Iterator[AppendedFile]:
        """The file without its lock: its last line may be half written. FileNotFoundError where there is none."""
        number = os.open(path, os.O_RDONLY)
        try:
            yield cls(number)
        finally:
            os.close(number)

    def stat(self) -> os.stat_result:
        """Of the open file, whatever stands at its path by now."""
        return os.fstat(self.number)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end`, or to the end of the file, some at a time."""
        while start < end:
            piece = os.pread(self.number, min(MOST_READ, end - start), start)
            if not piece:
                return
            yield piece
            start += len(piece)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, or to the end of the file."""
        return b"".join(self.pieces(start, end))

    def append(self, data: bytes) -> None:
        """Add the bytes, and wait until the disk has them. Whatever goes wrong, as a full disk, none of them stays."""
        end, left = self.stat().st_size, memoryview(data)
        try:
            while left:
                left = left[os.write(self.number, left) :]
            os.fsync(self.number)
        except BaseException:
            os.ftruncate(self.number, end)  # half a line would spoil the next one
            raise

    def end_last_line(self, start: int, *, is_whole: Callable[[bytes], bool]) -> bytes:
        """Give a last line without an end its end where it `is_whole`, else cut it off; returns what was cut off.

        `start` is a place before which every line is known to have its end.
        """
        size = self.stat().st_size
        tail = self.read(start, size)
        tail = tail[tail.rfind(b"\n") + 1 :]
        if not tail:
            return b""
        if is_whole(tail):
            self.append(b"\n")
            return b""
        os.ftruncate(self.number, size - len(tail))
        os.fsync(self.number)
        return tail


def _opened(path: Path) -> int:
    """The file open for appending, with its lock. An editor may have put another in its place while we waited."""
    while True:
        is_new = not path.exists()
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            with contextlib.suppress(OSError):  # a disk without locks
                fcntl.flock(number, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(number), os.stat(path)):
                    if is_new:
                        _sync_folder(path.parent)
                    return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file as durable as what is in it."""
    with contextlib.suppress(OSError):  # some file systems cannot
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
