"""The store: a SQLite file that one thread writes in batches while anyone reads."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from luthier.errors import DataError, Problem
from luthier.records import Feedback
from luthier.traces.migrate import upgrade
from luthier.traces.tables import FEEDBACK, TRACES, row_feedback, row_trace, trace_row
from luthier.traces.trace import Trace

DEFAULT_URL = "sqlite:///traces.sqlite"
BATCH_ROWS = 500
"""Most rows that one transaction writes; under load a batch is whatever arrived during the one before it."""
LOCK_TIMEOUT_S = 30
"""How long a write waits for another process that is writing."""


@dataclass(frozen=True, slots=True)
class _Write:
    run: Callable[[sa.Connection], Any]
    on_error: Callable[[Exception], None] = lambda error: None
    done: Future[Any] = field(default_factory=Future)


class Store:
    """Traces and feedback. What a process added, it reads back; other processes see it once it is committed."""

    def __init__(self, engine: sa.Engine, *, where: str, say: Callable[[str], None]) -> None:
        """Use `Store.open`."""
        self._engine = engine
        self._where = where
        self._say = say
        self._writer_engine = engine.execution_options(takes_write_lock=True)
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._last: Future[Any] | None = None
        self._num_lost = 0
        self._thread: threading.Thread | None = threading.Thread(
            target=self._write_until_closed, name="luthier-store", daemon=True
        )
        self._thread.start()

    @classmethod
    def open(cls, url: str = DEFAULT_URL, *, say: Callable[[str], None] = lambda line: None) -> Store:
        """The store at `url` ("sqlite:///FILE"), made or brought up to date if need be.

        DataError when it cannot be used or is newer than this Luthier. `say` is told of traces that could not be
        written, since nobody waits for those.
        """
        path = _path_of(url)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            engine = _engine_of(path)
            try:
                upgrade(engine.execution_options(takes_write_lock=True), where=str(path))
            except BaseException:
                engine.dispose()
                raise
        except (sa.exc.DBAPIError, OSError) as error:
            raise _unusable(str(path), error) from error
        return cls(engine, where=str(path), say=say)

    @classmethod
    def open_existing(cls, url: str, *, say: Callable[[str], None] = lambda line: None) -> Store:
        """As `open`, for readers: DataError when there is no file, where `open` would make an empty store."""
        path = _path_of(url)
        if not path.is_file():
            raise DataError(
                "there is no store of traces",
                [Problem(where=str(path), found="no such file", expected="a store that `luthier serve` wrote",
                         fix="check the address, or serve a model with this store first")],
            )  # fmt: skip
        return cls.open(url, say=say)

    def add_trace(self, trace: Trace) -> None:
        """Queue a trace and return at once. Without consent only its counts and timings are kept."""
        kept = trace if trace.consent else trace.without_text()
        row = trace_row(kept)
        self._enqueue(
            _Write(
                lambda connection: connection.execute(TRACES.insert().values(**row)),
                on_error=lambda error: self._count_loss(trace.id, error),
            )
        )

    def add_feedback(self, feedback: Feedback) -> Feedback:
        """Write an event and return it as it is kept; the earlier one if its idempotency key was seen before.

        DataError when a trace that it names is not in the store.
        """
        write = _Write(lambda connection: _insert_feedback(connection, feedback))
        self._enqueue(write)
        try:
            kept: Feedback = write.done.result()
        except sa.exc.IntegrityError as error:
            raise DataError(
                "feedback for an unknown trace",
                [Problem(where=self._where, found=f"trace {feedback.trace_id!r}"
                         + (f" or {feedback.other_trace_id!r}" if feedback.other_trace_id else ""),
                         expected="traces of this store", fix="send the ids that the answers carried")],
            ) from error  # fmt: skip
        except sa.exc.DBAPIError as error:
            raise _unusable(self._where, error) from error
        return kept

    def trace(self, id: str) -> Trace | None:
        """The trace of that id, or None."""
        rows = self._read(sa.select(TRACES).where(TRACES.c.id == id))
        return row_trace(rows[0]) if rows else None

    def traces(self, since: str | None = None, limit: int | None = None) -> list[Trace]:
        """Traces from `since` (ISO 8601, UTC) on, oldest first; with a limit, the newest that many of them."""
        query = sa.select(TRACES).order_by(TRACES.c.created_at.desc(), TRACES.c.position.desc()).limit(limit)
        if since is not None:
            query = query.where(TRACES.c.created_at >= since)
        return [row_trace(row) for row in reversed(self._read(query))]

    def feedback(self, trace_id: str | None = None) -> list[Feedback]:
        """Every feedback event, or those of one trace, in the order they came."""
        query = sa.select(FEEDBACK).order_by(FEEDBACK.c.position)
        if trace_id is not None:
            query = query.where(FEEDBACK.c.trace_id == trace_id)
        return [row_feedback(row) for row in self._read(query)]

    def flush(self) -> None:
        """Wait until everything added so far is on disk. DataError when some of it could not be written."""
        self._wait()
        with self._lock:
            num_lost, self._num_lost = self._num_lost, 0
        if num_lost:
            raise DataError(
                "traces were lost",
                [Problem(where=self._where, found=f"{num_lost} traces that could not be written",
                         expected="room on the disk and a file nobody else locks", fix="see the lines above")],
            )  # fmt: skip

    def close(self) -> None:
        """Write what is queued and let go of the file; closing twice does no harm."""
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join()
        self._thread = None
        self._engine.dispose()

    def __enter__(self) -> Store:
        """The store itself; leaving closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, whatever happened."""
        self.close()

    def _read(self, query: sa.Select[Any]) -> list[sa.RowMapping]:
        self._wait()
        with self._engine.connect() as connection:
            return list(connection.execute(query).mappings())

    def _wait(self) -> None:
        """The queue is first in, first out, so that the last write is done only after all before it."""
        with self._lock:
            last = self._last
        if last is not None:
            last.exception()

    def _enqueue(self, write: _Write) -> None:
        assert self._thread is not None, "the store is closed"
        with self._lock:
            self._queue.put(write)
            self._last = write.done

    def _write_until_closed(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            is_last = False
            while len(batch) < BATCH_ROWS and not is_last:
                try:
                    write = self._queue.get_nowait()
                except Empty:
                    break
                if write is None:
                    is_last = True
                else:
                    batch.append(write)
            self._commit(batch)
            if is_last:
                return

    def _commit(self, batch: list[_Write]) -> None:
        """One transaction; if it fails, one for each write, so that a bad row does not take others along."""
        try:
            with self._writer_engine.begin() as connection:
                results = [write.run(connection) for write in batch]
        except Exception as error:
            # Whatever it was, it belongs to the row: this thread must live on to write the next one.
            if len(batch) == 1:
                batch[0].on_error(error)
                batch[0].done.set_exception(error)
                return
            for write in batch:
                self._commit([write])
            return
        for write, result in zip(batch, results, strict=True):
            write.done.set_result(result)

    def _count_loss(self, trace_id: str, error: Exception) -> None:
        with self._lock:
            self._num_lost += 1
        cause = getattr(error, "orig", None) or error
        self._say(f"store | trace {trace_id} could not be written to {self._where}: {cause}")


def _insert_feedback(connection: sa.Connection, feedback: Feedback) -> Feedback:
    if feedback.idempotency_key is not None:
        same = sa.select(FEEDBACK).where(FEEDBACK.c.idempotency_key == feedback.idempotency_key)
        row = connection.execute(same).mappings().first()
        if row is not None:
            return row_feedback(row)
    connection.execute(FEEDBACK.insert().values(**dataclasses.asdict(feedback)))
    return feedback


def _path_of(url: str) -> Path:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise DataError(
            "the address of the store cannot be used",
            [Problem(where="store", found=repr(url), expected="sqlite:///FILE",
                     fix=f"write {DEFAULT_URL}, or with a full path sqlite:////folder/traces.sqlite")],
        )  # fmt: skip
    assert parsed.database is not None
    return Path(parsed.database)


def _engine_of(path: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": LOCK_TIMEOUT_S})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # Python's sqlite3 would begin transactions by its own rules, and none before a read or a CREATE TABLE.
        connection.isolation_level = None
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer that first reads and then asks for the lock is refused at once when another wrote in between.
        takes_lock = connection.get_execution_options().get("takes_write_lock", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if takes_lock else "BEGIN")

    return engine


def _use_write_ahead_log(connection: Any) -> None:
    """Readers never wait for the writer then. OperationalError when another process holds the file for 30 seconds.

    The timeout of the connection does not cover this: while one process changes a file to this form, SQLite refuses
    the others at once instead of letting them wait (https://www.sqlite.org/wal.html, "Sometimes Queries Return
    SQLITE_BUSY In WAL Mode").
    """
    give_up_at = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)


def _unusable(where: str, error: Exception) -> DataError:
    cause = getattr(error, "orig", None) or error
    return DataError(
        "the store of traces cannot be used",
        [Problem(where=where, found=str(cause), expected="a SQLite file that can be read and written",
                 fix="check the path, its permissions and the room on the disk, or name another file")],
    )  # fmt: skip
