"""A server that speaks the chat API and answers as the prompt asks, with faults when it is told so.

python fakes_writer.py PORT_FILE LOG_FILE    serves until it is killed, and logs a line a request
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from luthier.asking.asker import Ask
from luthier.records import Message

STARTS, ENDS = (
    "babecedifoguhajekilomunaperosuta",
    ("rk", "lm", "nd", "st", "mp", "x", "sh", "ll", "ng", "th", "ck", "pt", "ft", "rd", "v", "zz"),
)
WORDS = [STARTS[n : n + 2] + end for n in range(0, 32, 2) for end in ENDS]


def answer_to(prompt: str, seed: int = 7) -> str:
    """What the prompt asks for, made of words that depend on all of it and on the seed."""
    digest = hashlib.sha256(f"{seed} {prompt}".encode()).digest()
    words = [WORDS[byte] for byte in digest]
    if "more tasks, numbered" in prompt:
        lines = [
            f"Task {9 + n}: Explain how a {words[n]} differs from the {words[n + 8]} near {words[n + 16]} and {words[n + 20]}."
            for n in range(6)
        ]
        return "\n".join([*lines, "Task 15: Draw a picture of a boat.", "Task 16: Sing."])
    if "Write one case of this task" in prompt:
        return f"Input: none\nOutput: A {words[0]} is not a {words[1]}."
    if "more ways, numbered" in prompt:
        return "\n".join([f"1. {words[0]} {words[7]} {words[8]}: is {{text}} good for {words[1]}?", "2. No braces here at all.", "3. {text} is {broken",
                          f"4. {words[2].title()} {words[3]} {words[5]} asks what the {words[6]} writer of {{text}} felt about {words[4]}."])  # fmt: skip
    if "best possible answer" in prompt:
        return f'"Describe the {words[0]} and the {words[1]} for a visitor from {words[2]}."'
    if "How good is the answer" in prompt:
        return f"It is fine. Score: {1 + digest[0] % 5}"
    if "Describe this person" in prompt:
        return f"A keeper of {words[0]} who writes of {words[1]}."
    return f"Compare {words[0]} with {words[1]} in {words[2]} and say which {words[3]} suits {words[4]}."


def asks(number: int) -> list[Ask]:
    return [Ask(kind="answer", messages=(Message(role="user", content=f"What is {n}?"),)) for n in range(number)]


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now, self.waits = 100.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Server:
    """The server in a thread, its script of faults, and what it was asked."""

    def __init__(
        self, faults: dict[int, Any] | None = None, log: Path | None = None, say: Callable[[str], str] | None = None
    ) -> None:
        """`faults` by the number of the request from 0: a status, (status, headers), (status, headers, body), "cut",
        "garbage", "empty"; `say` answers a prompt in the place of `answer_to`.
        """
        self.faults, self.log, self.say = faults or {}, log, say
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = self._at_once = 0
        self.gate: Event | None = None
        """Where there is one, answers wait for it."""
        self._lock = Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.handle(self)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = len(self.asked)
            self.asked.append(body)
            self.headers.append(dict(handler.headers))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() + "\n")
        if self.gate is not None:
            self.gate.wait(10)
        with self._lock:
            self._at_once -= 1
        self._answer(handler, body, self.faults.get(number))

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], fault: Any) -> None:
        given = fault if isinstance(fault, tuple) else (fault if isinstance(fault, int) else 200, {})
        status, headers = given[:2]
        prompt = body["messages"][-1]["content"]
        text = self.say(prompt) if self.say is not None else answer_to(prompt, body["seed"])
        data = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "length" if fault == "long" else "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5}}  # fmt: skip
        if status != 200:
            data = {"error": {"message": f"no, {handler.headers.get('Authorization')}"}}
        payload = b'{"choices": [' if fault == "garbage" else json.dumps({} if fault == "empty" else data).encode()
        payload = given[2] if len(given) == 3 else payload
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(payload) + (100 if fault == "cut" else 0)))
        handler.end_headers()
        handler.wfile.write(payload)
        if fault == "cut":
            handler.close_connection = True


@contextmanager
def opened_when_busy(server: Server, calls: int) -> Iterator[None]:
    """Holds every answer back until so many calls wait for one at once."""
    server.gate = Event()

    def open_when_busy() -> None:
        while server.most_at_once < calls:
            if server.gate.wait(0.01):
                return
        server.gate.set()

    opener = Thread(target=open_when_busy)
    opener.start()
    try:
        yield
    finally:
        server.gate.set()
        opener.join(10)


@contextmanager
def serving(faults: dict[int, Any] | None = None, say: Callable[[str], str] | None = None) -> Iterator[Server]:
    server = Server(faults, say=say)
    thread = Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)


if __name__ == "__main__":
    alone = Server(log=Path(sys.argv[2]))
    Path(sys.argv[1] + ".partial").write_text(alone.url)
    Path(sys.argv[1] + ".partial").rename(sys.argv[1])
    alone.serve()
