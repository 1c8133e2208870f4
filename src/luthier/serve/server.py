"""Runs the application until it is told to stop; what is in flight then finishes."""

from __future__ import annotations

import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn

from luthier.errors import LuthierError, Problem
from luthier.serve.app import create_app
from luthier.serve.config import ServeConfig
from luthier.serve.engine import Engine
from luthier.traces import Store


def open_store(config: ServeConfig, *, say: Callable[[str], None]) -> Store | None:
    """The store that the config names, or None when it names none."""
    return None if config.store is None else Store.open(config.store, say=say)


def serve(
    engines: Mapping[str, Engine],
    config: ServeConfig,
    *,
    store: Store | None,
    say: Callable[[str], None],
    operations: Callable[[], str] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is in flight and close the store.

    `say` gets one line with the address, and faults as they happen. LuthierError when the address cannot be used.
    """
    try:
        with listening(config) as listener, stopped_by_signals():
            app = create_app(engines, config=config, store=store, say=say, operations=operations)
            say(_greeting(engines, config, listener))
            settings = uvicorn.Config(app, log_config=None, access_log=False, ws="none", server_header=False)
            uvicorn.Server(settings).run(sockets=[listener])
    finally:
        if store is not None:
            store.close()


@contextmanager
def listening(config: ServeConfig) -> Iterator[socket.socket]:
    """A socket bound to the configured address; LuthierError with a fix when it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except socket.gaierror as error:
        raise _unusable(config, str(error.strerror), "name an address of this machine in serve.host") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen()  # from here on clients wait in line: the address is said before the first is served
        except OSError as error:
            fix = "stop the program that listens there, or choose another port with serve.port (0 takes a free one)"
            raise _unusable(config, str(error.strerror), fix) from None
        yield listener


def _unusable(config: ServeConfig, found: str, fix: str) -> LuthierError:
    return LuthierError(
        "the server cannot listen",
        [Problem(where=f"{config.host}:{config.port}", found=found.lower(), expected="an address that is free",
                 fix=fix)],
    )  # fmt: skip


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """After its drain uvicorn raises the signal again, which would end the process before the store is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.signal(kind, lambda *_: None) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _greeting(engines: Mapping[str, Engine], config: ServeConfig, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    name = f"[{config.host}]" if ":" in config.host else config.host
    names = ", ".join(f"{engine.name} ({engine.digest})" for engine in engines.values())
    line = f"serve | {names} | http://{name}:{port} | API http://{name}:{port}/v1 | Ctrl-C stops"
    if config.keys_env is None and not _is_loopback(listener.getsockname()[0]):
        line += " | no key is asked for: anyone who reaches this address can use it (serve.keys_env)"
    return line


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
