"""The server as a process: its greeting, its refusal to start, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fakes_serve import ScriptedEngine, ask, running
from luthier.errors import DataError, LuthierError
from luthier.serve.config import ServeConfig
from luthier.serve.server import listening, open_store, serve
from luthier.traces import Store

PROGRAM = """
import sys
from fakes_serve import ScriptedEngine
from luthier.serve.config import ServeConfig
from luthier.serve.server import open_store, serve

say = lambda line: print(line, flush=True)
config = ServeConfig(port=0, store=sys.argv[1], host=sys.argv[2])
scripted = ScriptedEngine(before_step=lambda step: sys.stdin.readline() if step == 2 else None)
serve({"tuned": scripted.engine()}, config, store=open_store(config, say=say), say=say)
say("closed")
"""


@contextmanager
def process(url: str, host: str = "127.0.0.1") -> Iterator[subprocess.Popen[str]]:
    tests = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, host],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(tests)},
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_flight_finish_and_the_store_be_written(tmp_path: Path, kind: signal.Signals) -> None:
    url = f"sqlite:///{tmp_path}/traces.sqlite"
    with process(url) as child:
        assert child.stdin is not None and child.stdout is not None
        greeting = child.stdout.readline()
        address = greeting.split(" | ")[2]
        port = int(address.rpartition(":")[2])
        with httpx.Client(timeout=60) as client, client.stream(
            "POST", f"{address}/v1/chat/completions", json=ask(stream=True)
        ) as response:
            lines = response.iter_lines()
            while '"content":" is"' not in next(lines):
                pass  # the answer is half said, and its third word waits for a line from us
            child.send_signal(kind)
            while accepts(port):
                pass
            child.stdin.write("go on\n")
            child.stdin.flush()
            rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        said, errors = child.communicate(timeout=60)
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in rest) == " open at nine."
    assert (child.returncode, said, errors) == (0, "closed\n", "")
    with Store.open_existing(url) as store:
        assert [(trace.answer, trace.finish_reason) for trace in store.traces()] == [("It is open at nine.", "stop")]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:
        pass  # it was let in and then put out: the door is about to close
    return True


def test_the_greeting_is_one_line_with_the_model_the_address_and_how_to_stop(tmp_path: Path) -> None:
    with process(f"sqlite:///{tmp_path}/traces.sqlite") as child:
        assert child.stdout is not None
        greeting = child.stdout.readline()
    assert "tuned (0123456789abcdef)" in greeting and "http://127.0.0.1:" in greeting and "Ctrl-C stops" in greeting
    assert "no key" not in greeting


def test_the_greeting_warns_when_anyone_may_come_in_without_a_key(tmp_path: Path) -> None:
    with process(f"sqlite:///{tmp_path}/traces.sqlite", host="0.0.0.0") as child:
        assert child.stdout is not None
        assert "no key is asked for" in child.stdout.readline()


def test_a_port_that_is_taken_is_an_error_with_a_fix_and_the_store_is_closed(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/traces.sqlite")
    said: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LuthierError, match=rf"127\.0\.0\.1:{port}(.|\n)*already in use(.|\n)*serve\.port"):
            serve({"tuned": ScriptedEngine().engine()}, ServeConfig(port=port), store=store, say=said.append)
    assert said == []
    assert "luthier-store" not in {thread.name for thread in threading.enumerate()}


def test_a_host_that_is_not_ours_is_an_error_with_a_fix() -> None:
    with pytest.raises(LuthierError, match=r"serve\.(host|port)"), listening(ServeConfig(host="192.0.2.1", port=0)):
        pass


def test_the_store_is_the_one_that_the_config_names(tmp_path: Path) -> None:
    assert open_store(ServeConfig(store=None), say=print) is None
    url = f"sqlite:///{tmp_path}/here.sqlite"
    store = open_store(ServeConfig(store=url), say=print)
    assert store is not None and (tmp_path / "here.sqlite").is_file()
    store.close()
    with pytest.raises(DataError, match="sqlite:///FILE"):
        open_store(ServeConfig(store="here.db"), say=print)


def test_going_down_waits_for_the_store_and_says_what_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        raise DataError("traces were lost")

    with Store.open(f"sqlite:///{tmp_path}/traces.sqlite") as store:
        monkeypatch.setattr(store, "flush", lose)
        with running(ScriptedEngine(), store=store) as server:
            assert server.said == []
    assert server.said == ["serve | traces were lost"]
