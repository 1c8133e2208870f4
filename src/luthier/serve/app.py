"""The web application: routes, guard and worker around the engines."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from luthier import __version__
from luthier.errors import ConfigError, DataError, Problem
from luthier.serve import chat, feedback, pages, refusals
from luthier.serve.config import ServeConfig
from luthier.serve.engine import Engine
from luthier.serve.guard import Guard
from luthier.serve.serving import Serving
from luthier.serve.worker import Worker
from luthier.traces import Store


def create_app(
    engines: Mapping[str, Engine],
    *,
    config: ServeConfig,
    store: Store | None,
    say: Callable[[str], None],
    operations: Callable[[], str] | None = None,
) -> FastAPI:
    """The application that serves `engines` by their names. Shutting it down drains the worker and flushes the store.

    ConfigError when the variable that `config.keys_env` names holds no key.
    """
    keys = api_keys(config)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(_finish, app.state.serving)

    # No pages about the API: those of the framework load their scripts from elsewhere.
    app = FastAPI(title="Luthier", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.serving = Serving(
        engines=dict(engines), config=config, store=store, worker=Worker(), keys=keys,
        operations=operations, say=say, started_at=int(time.time()),
    )  # fmt: skip
    refusals.install(app)
    for part in (chat, feedback, pages):
        app.include_router(part.router)
    app.add_middleware(Guard, serving=app.state.serving)
    return app


def api_keys(config: ServeConfig) -> tuple[str, ...]:
    """The keys in the variable that `config.keys_env` names, none when it names none."""
    if config.keys_env is None:
        return ()
    keys = tuple(key.strip() for key in os.environ.get(config.keys_env, "").split(",") if key.strip())
    if not keys:
        raise ConfigError(
            "there is no API key",
            [Problem(where=f"environment variable {config.keys_env}", found="nothing",
                     expected="one or more keys, separated by commas",
                     fix=f"export {config.keys_env}=..., or leave serve.keys_env out to serve without keys")],
        )  # fmt: skip
    return keys


def _finish(serving: Serving) -> None:
    serving.worker.stop()
    if serving.store is not None:
        try:
            serving.store.flush()
        except DataError as error:
            serving.say(f"serve | {error}")
