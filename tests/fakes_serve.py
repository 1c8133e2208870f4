"""An engine that says what the test wrote, and a real server around it on a free port."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn

from luthier.records import Message, Sampling
from luthier.serve.app import create_app
from luthier.serve.config import ServeConfig
from luthier.serve.engine import Engine
from luthier.serve.server import listening
from luthier.traces import Store

DIGEST = "0123456789abcdef"


WAIT_S = 30


class ScriptedPiece(NamedTuple):
    text: str
    token_id: int
    logprob: float
    finish_reason: str | None


@dataclass
class ScriptedEngine:
    """Answers with the words of `answer`, one a step; a word is a token, and so is a prompt's word."""

    answer: str | Callable[[str, Sampling], str] = "It is open at nine."
    name: str = "tuned"
    digest: str = DIGEST
    max_length: int = 64
    seen: list[Sampling] = field(default_factory=list)
    prompts: list[tuple[Message, ...]] = field(default_factory=list)
    num_steps: int = 0
    threads: set[str] = field(default_factory=set)
    num_steps_begun_when_cancelled: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when an answer is over, however it ended."""
    before_prompt: Callable[[], None] = lambda: None
    before_step: Callable[[int], None] = lambda step: None
    waits_to_be_cancelled_at: int | None = None
    """At this step the answer waits until the server has noticed that its client has gone."""

    def engine(self) -> Engine:
        return Engine(
            name=self.name, digest=self.digest, max_length=self.max_length, prompt_ids=self.prompt_ids,
            stream=self.stream,
        )  # fmt: skip

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        self.threads.add(threading.current_thread().name)
        self.before_prompt()
        self.prompts.append(tuple(messages))
        return [len(word) for message in messages for word in message.content.split()]

    def stream(
        self, prompt_ids: Sequence[int], sampling: Sampling, is_cancelled: Callable[[], bool]
    ) -> Iterator[ScriptedPiece]:
        self.threads.add(threading.current_thread().name)
        self.seen.append(sampling)
        question = self.prompts[-1][-1].content
        text = self.answer if isinstance(self.answer, str) else self.answer(question, sampling)
        words = text.split(" ")
        pieces = [word if i == 0 else f" {word}" for i, word in enumerate(words)][: sampling.max_new_tokens]
        is_cut = len(pieces) < len(words)
        try:
            for index, piece in enumerate(pieces):
                self.before_step(index)
                deadline = time.monotonic() + WAIT_S
                while index == self.waits_to_be_cancelled_at and not is_cancelled():
                    assert time.monotonic() < deadline, "the server did not notice"
                    threading.Event().wait(0.005)
                self.num_steps_begun_when_cancelled += is_cancelled()
                self.num_steps += 1
                is_last = index == len(pieces) - 1
                yield ScriptedPiece(piece, index, -0.5, ("length" if is_cut else "stop") if is_last else None)
                if is_cancelled():
                    return
        finally:
            self.ended.set()


@dataclass(frozen=True)
class Running:
    """A server that is up."""

    url: str
    port: int
    server: uvicorn.Server
    said: list[str]


@contextmanager
def running(
    engines: Mapping[str, Engine] | ScriptedEngine,
    *,
    store: Store | None = None,
    operations: Callable[[], str] | None = None,
    **options: object,
) -> Iterator[Running]:
    """A server on a free port of this machine, in a thread, up on entry and down on exit."""
    named = {engines.name: engines.engine()} if isinstance(engines, ScriptedEngine) else engines
    config = ServeConfig(port=0, **options)
    said: list[str] = []
    app = create_app(named, config=config, store=store, say=said.append, operations=operations)
    is_up = threading.Event()
    with listening(config) as listener:
        server = _Announcing(uvicorn.Config(app, log_config=None, access_log=False, ws="none"), is_up)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="test-server")
        thread.start()
        assert is_up.wait(30), "the server did not come up"
        port = listener.getsockname()[1]
        try:
            yield Running(f"http://127.0.0.1:{port}", port, server, said)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the server did not stop"


class _Announcing(uvicorn.Server):
    """Says when it is up, so that no test has to ask again and again."""

    def __init__(self, config: uvicorn.Config, is_up: threading.Event) -> None:
        super().__init__(config)
        self._is_up = is_up

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self._is_up.set()


def chromium_path() -> str:
    """Where Chromium is; skips the test where it is not."""
    found = "/usr/bin/chromium" if Path("/usr/bin/chromium").is_file() else shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium on this machine (apt install chromium)")
    return found


def ask(text: str = "When do you open?", **parameters: object) -> dict[str, object]:
    """The body of a chat request."""
    return {"model": "tuned", "messages": [{"role": "user", "content": text}], **parameters}
