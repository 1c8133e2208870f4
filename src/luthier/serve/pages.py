"""Everything that is only read: models, health, and the two pages for people."""

from __future__ import annotations

import html
import json
import string
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, Response

from luthier.serve.assets import asset, asset_response
from luthier.serve.engine import Engine
from luthier.serve.refusals import Refusal
from luthier.serve.serving import Serving, serving_of

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """Whether the process is alive."""
    return {"status": "alive"}


@router.get("/ready")
async def ready(request: Request) -> Response:
    """Whether models are loaded and new requests will be answered; 503 when not."""
    serving = serving_of(request)
    if not serving.worker.is_ready:
        return JSONResponse({"status": "stopping"}, status_code=503)
    return JSONResponse({"status": "ready", "models": sorted(serving.engines)})


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """Every model that is served."""
    serving = serving_of(request)
    return {"object": "list", "data": [_model(serving, engine) for engine in serving.engines.values()]}


@router.get("/v1/models/{name:path}")
async def model(request: Request, name: str) -> dict[str, Any]:
    """One model by the name it is served under."""
    serving = serving_of(request)
    return _model(serving, serving.engine(name))


@router.get("/")
async def chat_page(request: Request) -> Response:
    """The page to talk to the models on."""
    return page_response(serving_of(request))


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """The page's style, and its program in its parts."""
    return asset_response(name)


@router.get("/operations")
async def operations(request: Request) -> Response:
    """What monitoring makes of the traces, as a page."""
    make = serving_of(request).operations
    if make is None:
        raise Refusal("this server has no operations page", status=404)
    return HTMLResponse(await run_in_threadpool(make))


def page_response(serving: Serving, *, status: int = 200) -> HTMLResponse:
    """The chat page; it asks for a key by itself where keys are set."""
    settings = {
        "consent": serving.config.trace_consent,
        "hasStore": serving.store is not None,
        "hasOperations": serving.operations is not None,
        "needsKey": bool(serving.keys),
    }
    page = string.Template(asset("chat.html")).substitute(settings=html.escape(json.dumps(settings)))
    return HTMLResponse(page, status_code=status)


def _model(serving: Serving, engine: Engine) -> dict[str, Any]:
    return {
        "id": engine.name,
        "object": "model",
        "created": serving.started_at,
        "owned_by": "luthier",
        "max_model_len": engine.max_length,
        "digest": engine.digest,
    }
