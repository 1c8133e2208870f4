"""The model's thread: answers take turns, nobody stalls the event loop, and who goes away frees the slot at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fakes_serve import Running, ScriptedEngine, ask, running
from luthier.serve.refusals import Refusal
from luthier.serve.worker import MAX_RUNNING, Worker
from luthier.traces import Store

PATH = "/v1/chat/completions"
WAIT_S = 30
ENDLESS = " ".join(["word"] * 200_000)


def counted(name: str, num_steps: int, log: list[str]) -> Callable[[Callable[[], bool]], Generator[str, None, None]]:
    def steps(is_cancelled: Callable[[], bool]) -> Generator[str, None, None]:
        try:
            for index in range(num_steps):
                log.append(f"{name}{index}")
                yield f"{name}{index}"
        finally:
            log.append(f"{name} end")

    return steps


def held(gate: threading.Event) -> Callable[[Callable[[], bool]], Generator[str, None, None]]:
    """Work whose only step waits, so that what is queued behind it begins together."""

    def steps(is_cancelled: Callable[[], bool]) -> Generator[str, None, None]:
        assert gate.wait(WAIT_S)
        yield "held"

    return steps


def test_answers_take_turns_step_by_step() -> None:
    log: list[str] = []
    gate = threading.Event()

    async def main() -> list[list[str]]:
        worker = Worker()
        worker.start(held(gate))
        tickets = [worker.start(counted(name, 3, log)) for name in "ab"]
        gate.set()
        events = [[event async for event in ticket] for ticket in tickets]
        worker.stop()
        return events

    assert asyncio.run(main()) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    assert log == ["a0", "b0", "a1", "b1", "a2", "b2", "a end", "b end"]


def test_no_more_answers_run_at_once_than_may_and_the_rest_follow() -> None:
    log: list[str] = []
    gate = threading.Event()
    names = [chr(ord("a") + index) for index in range(MAX_RUNNING + 2)]

    async def main() -> None:
        worker = Worker()
        worker.start(held(gate))
        tickets = [worker.start(counted(name, 2, log)) for name in names]
        gate.set()
        for ticket in tickets:
            assert len([event async for event in ticket]) == 2
        worker.stop()

    asyncio.run(main())
    running_now: set[str] = set()
    most = 0
    for entry in log:
        (running_now.discard if entry.endswith("end") else running_now.add)(entry[0])
        most = max(most, len(running_now))
    assert most == MAX_RUNNING
    assert sum(entry.endswith("end") for entry in log) == len(names)


def test_work_that_is_cancelled_before_its_turn_is_never_begun() -> None:
    log: list[str] = []
    gate = threading.Event()

    async def main() -> list[str]:
        worker = Worker()
        worker.start(held(gate))
        ticket = worker.start(counted("a", 3, log))
        ticket.cancel()
        gate.set()
        events = [event async for event in ticket]
        worker.stop()
        return events

    assert asyncio.run(main()) == [] and log == []


def test_cancelled_work_is_closed_before_its_next_step() -> None:
    log: list[str] = []

    async def main() -> None:
        worker = Worker()
        gate = threading.Event()
        ticket = worker.start(counted("a", 1_000_000, log))
        assert await anext(ticket) == "a0"
        other = worker.start(held(gate))  # the worker takes turns, so it is now at most one step further
        ticket.cancel()
        gate.set()
        assert [event async for event in other] == ["held"]
        async for _ in ticket:
            pass
        worker.stop()

    asyncio.run(main())
    assert log[-1] == "a end" and log.count("a end") == 1


def test_an_error_reaches_the_one_who_asked_and_the_thread_lives_on() -> None:
    def broken(is_cancelled: Callable[[], bool]) -> Generator[str, None, None]:
        yield "first"
        raise ZeroDivisionError

    async def main() -> None:
        worker = Worker()
        ticket = worker.start(broken)
        assert await anext(ticket) == "first"
        with pytest.raises(ZeroDivisionError):
            await anext(ticket)
        assert [event async for event in worker.start(counted("a", 1, []))] == ["a0"]
        worker.stop()

    asyncio.run(main())


def test_stopping_ends_what_runs_and_refuses_what_comes() -> None:
    log: list[str] = []

    async def main() -> None:
        worker = Worker()
        assert worker.is_ready
        ticket = worker.start(counted("a", 1_000_000, log))
        await anext(ticket)
        await asyncio.get_running_loop().run_in_executor(None, worker.stop)
        async for _ in ticket:
            pass
        assert not worker.is_ready
        with pytest.raises(Refusal) as refused:
            worker.start(counted("b", 1, log))
        assert refused.value.status == 503

    asyncio.run(main())
    assert log[-1] == "a end" and "b0" not in log


@pytest.mark.parametrize("stream", [False, True])
def test_tokenising_and_decoding_do_not_stall_the_event_loop(stream: bool) -> None:
    is_tokenising, tokenise, is_decoding, decode = (threading.Event() for _ in range(4))

    def hold_prompt() -> None:
        is_tokenising.set()
        assert tokenise.wait(WAIT_S)

    def hold_step(step: int) -> None:
        is_decoding.set()
        assert decode.wait(WAIT_S)

    scripted = ScriptedEngine(before_prompt=hold_prompt, before_step=hold_step)
    with (
        running(scripted) as server,
        httpx.Client(base_url=server.url) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(httpx.post, server.url + PATH, json=ask(stream=stream), timeout=WAIT_S)
        assert is_tokenising.wait(WAIT_S)
        assert client.get("/health").status_code == 200
        assert client.get("/v1/models").status_code == 200
        tokenise.set()
        assert is_decoding.wait(WAIT_S)
        assert client.get("/ready").json()["status"] == "ready"
        decode.set()
        assert asked.result(WAIT_S).status_code == 200


def test_ready_says_when_no_more_is_answered() -> None:
    with running(ScriptedEngine()) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/ready").json() == {"status": "ready", "models": ["tuned"]}
        server.server.config.app.state.serving.worker.stop()
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200
        assert client.post(PATH, json=ask()).status_code == 503


def test_a_client_that_leaves_a_stream_frees_its_slot_within_one_step(tmp_path: Path) -> None:
    scripted = ScriptedEngine(answer=ENDLESS, max_length=10**9)
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running(scripted, store=store, max_new_tokens=10**6) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        with client.stream("POST", PATH, json=ask(stream=True)) as response:
            lines = response.iter_lines()
            while '"content":" word"' not in next(lines):
                pass
        assert scripted.ended.wait(WAIT_S)
        assert scripted.num_steps < 200_000 and scripted.num_steps_begun_when_cancelled == 0
        assert client.post(PATH, json=ask(max_tokens=1)).status_code == 200
        traces = store.traces()
    assert [trace.finish_reason for trace in traces] == ["cancelled", "length"]
    assert traces[0].completion_tokens == len(traces[0].answer.split()) <= scripted.num_steps


@contextlib.contextmanager
def asking(server: Running, **parameters: object) -> Iterator[None]:
    """A client that has asked, and goes away on exit without having read a word."""
    body = json.dumps(ask(**parameters)).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        yield


def test_a_client_that_leaves_before_a_whole_answer_frees_its_slot_within_one_step(tmp_path: Path) -> None:
    is_decoding = threading.Event()
    scripted = ScriptedEngine(answer=ENDLESS, max_length=10**9, before_step=lambda step: is_decoding.set())
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running(scripted, store=store, max_new_tokens=10**6) as server,
    ):
        with asking(server, n=2):
            assert is_decoding.wait(WAIT_S)
        assert scripted.ended.wait(WAIT_S)
        assert scripted.num_steps < 200_000 and scripted.num_steps_begun_when_cancelled == 0
        with httpx.Client(base_url=server.url) as client:
            assert client.post(PATH, json=ask(max_tokens=1)).status_code == 200
        assert [trace.finish_reason for trace in store.traces()] == ["cancelled", "length"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_while_it_waits_costs_no_decoding(stream: bool) -> None:
    is_tokenising, tokenise = threading.Event(), threading.Event()

    def hold_prompt() -> None:
        is_tokenising.set()
        assert tokenise.wait(WAIT_S)

    scripted = ScriptedEngine(before_prompt=hold_prompt)
    with running(scripted) as server:
        with asking(server, stream=stream):
            assert is_tokenising.wait(WAIT_S)
        deadline_s = time.monotonic() + WAIT_S
        while server.server.server_state.connections:  # until the server has seen it go
            assert time.monotonic() < deadline_s
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/health").status_code == 200  # the event loop has gone round since
            tokenise.set()
            assert client.post(PATH, json=ask()).status_code == 200
        assert len(scripted.prompts) == 2 and len(scripted.seen) == 1
