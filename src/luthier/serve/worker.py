"""The one thread that owns the models. Answers take turns, a decoding step each; the event loop never computes."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from luthier.serve.refusals import Refusal

EventT = TypeVar("EventT")

Steps = Callable[[Callable[[], bool]], Generator[EventT, None, None]]
"""From "is it cancelled?" to a generator that does one decoding step for each event."""

MAX_RUNNING = 8
"""Answers that take turns; more wait, for each holds a cache of the size of its text."""


class Ticket(Generic[EventT]):
    """One piece of work, seen from the event loop: an async iterator of its events that can be cancelled."""

    def __init__(self, steps: Steps[EventT]) -> None:
        """Made by `Worker.start`, on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[EventT | Exception | None] = asyncio.Queue()
        self._is_cancelled = threading.Event()
        self._steps = steps(self.is_cancelled)

    def cancel(self) -> None:
        """Let the work end before its next step; harmless when it has ended."""
        self._is_cancelled.set()

    def is_cancelled(self) -> bool:
        """Whether nobody waits for this any more."""
        return self._is_cancelled.is_set()

    def __aiter__(self) -> Ticket[EventT]:
        """The ticket itself."""
        return self

    async def __anext__(self) -> EventT:
        """The next event; what the work raised is raised here."""
        event = await self._events.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Exception):
            raise event
        return event

    def step(self) -> bool:
        """On the worker's thread: do one step; False when there are no more."""
        try:
            if self.is_cancelled():
                self._steps.close()
                return self._send(None)
            return self._send(next(self._steps))
        except StopIteration:
            return self._send(None)
        except Exception as error:  # whatever it was belongs to this request; the thread lives on for the others
            self._send(error)
            return False

    def _send(self, event: EventT | Exception | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the loop is closed: a second Ctrl-C
            self.cancel()
        return event is not None


class Worker:
    """Runs tickets on a thread of its own until it is stopped."""

    def __init__(self) -> None:
        """Starts the thread."""
        self._waiting: SimpleQueue[Ticket | None] = SimpleQueue()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="luthier-model", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether new work will be done."""
        return self._thread.is_alive() and not self._is_stopping.is_set()

    def start(self, steps: Steps[EventT]) -> Ticket[EventT]:
        """Queue the work; call this on the event loop. Refused when the server is stopping."""
        if not self.is_ready:
            raise Refusal("the server is stopping", status=503)
        ticket = Ticket(steps)
        self._waiting.put(ticket)
        return ticket

    def stop(self) -> None:
        """Cancel what still runs and wait for the thread; servers drain before they stop."""
        self._is_stopping.set()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        running: deque[Ticket] = deque()
        while self._admit(running) or running:
            ticket = running.popleft()
            if self._is_stopping.is_set():
                ticket.cancel()
            if ticket.step():
                running.append(ticket)

    def _admit(self, running: deque[Ticket]) -> bool:
        """Take waiting tickets in, asleep until there is one when nothing runs; False at the end of the queue."""
        while len(running) < MAX_RUNNING:
            try:
                ticket = self._waiting.get(block=not running)
            except Empty:
                return True
            if ticket is None:
                self._waiting.put(None)  # the end stays the end
                return False
            running.append(ticket)
        return True
