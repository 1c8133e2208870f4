"""The page on which a person works through flagged rows. What a row is and what a decision does, the desk knows."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import uvicorn
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from luthier import __version__
from luthier.errors import LuthierError
from luthier.serve import refusals
from luthier.serve.assets import asset, asset_response
from luthier.serve.config import ServeConfig
from luthier.serve.review_guard import Door, ReviewGuard
from luthier.serve.server import listening, stopped_by_signals

Json = dict[str, Any]
router = APIRouter()


class Desk(Protocol):
    """What the page asks for; plain JSON comes back. Any may raise LuthierError, which the page shows."""

    def start(self) -> Json:
        """What there is to do, and how far it is."""
        ...

    def view(self, chosen: Mapping[str, str], /) -> Json:
        """Numbers and states of the rows that a filter shows."""
        ...

    def rows(self, numbers: Sequence[int], /) -> Json:
        """A line for each of some rows."""
        ...

    def row(self, number: int, /) -> Json:
        """All of one row."""
        ...

    def text(self, identity: str, mend: Mapping[str, Any], /) -> Json:
        """The record as JSON to edit, with new texts in it."""
        ...

    def check(self, identity: str, mend: Mapping[str, Any], /) -> Json:
        """What is wrong with a mended record."""
        ...

    def decide(self, decisions: Sequence[Mapping[str, Any]], /, *, version: str) -> Json:
        """Add decisions, all or none."""
        ...

    def decide_all(self, numbers: Sequence[int], /, *, decision: str, reason: str, version: str) -> Json:
        """Decide the rows with these numbers alike."""
        ...

    def undo(self, stamp: str, /, *, version: str) -> Json:
        """Take back an action."""
        ...

    def take_back(self, identity: str, /, *, seen: str, version: str) -> Json:
        """Take back the last decision on a row."""
        ...

    def changes(self, version: str, /) -> Json:
        """What was decided since."""
        ...


class Body(BaseModel):
    """What the page may send: nothing beyond the fields of each kind, each of its type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*")
    @classmethod
    def _is_whole(cls, value: object, info: ValidationInfo) -> object:
        """A text must be one that a file can hold. Of a mended record its check says where it is at fault."""
        if isinstance(value, str) and info.field_name != "json_text":
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"character {error.start + 1} is half of a character (a lone surrogate); type it again"
                ) from None
        return value


class Texts(Body):
    """A row to edit as JSON, with the new texts that were written already, by their paths."""

    id: str
    texts: dict[str, str]


class Check(Body):
    """A mended record to look at: new texts by their paths, or the whole as JSON."""

    id: str
    texts: dict[str, str] | None = None
    json_text: str | None = None


class Decision(Check):
    """A decision on one row, and which decision was seen there before."""

    decision: str
    reason: str = ""
    seen: str | None = None


class Decisions(Body):
    """Decisions that are made together."""

    decisions: list[Decision]
    version: str


class DecideAll(Body):
    """One decision on every row that was listed as open."""

    numbers: list[int]
    decision: str
    reason: str = ""
    version: str
    """Of the view that listed them."""


class Undo(Body):
    """An action to take back, or the last decision on one row."""

    stamp: str
    id: str | None = None
    version: str


def create_review_app(desk: Desk, *, door: Door, host: str, say: Callable[[str], None]) -> FastAPI:
    """The application around a desk. `door` knows who may come in, `say` gets faults and new links."""
    app = FastAPI(title="Luthier review", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    refusals.install(app)

    @app.exception_handler(LuthierError)
    async def refused(request: Request, error: LuthierError) -> Response:
        problems = [
            {"where": problem.where, "found": problem.found, "expected": problem.expected, "fix": problem.fix}
            for problem in error.problems
        ]
        return JSONResponse({"error": {"message": error.text(), "problems": problems}}, status_code=400)

    @app.exception_handler(OSError)
    async def unwritten(request: Request, error: OSError) -> Response:
        text = f"{error.filename or 'the disk'}: {error.strerror or error}; nothing of this was decided"
        return JSONResponse({"error": {"message": text, "problems": []}}, status_code=507)

    app.include_router(router)
    app.add_middleware(ReviewGuard, door=door, host=host, say=say)
    return app


@contextmanager
def review_at(desk: Desk, config: ServeConfig, *, say: Callable[[str], None]) -> Iterator[ReadyServer]:
    """A server that is ready to run, and its link with a token that lets one browser in."""
    with listening(config) as listener:
        door = Door(address_of(config.host, listener))
        app = create_review_app(desk, door=door, host=config.host, say=say)
        settings = uvicorn.Config(app, log_config=None, access_log=False, ws="none", server_header=False)
        yield ReadyServer(uvicorn.Server(settings), listener, door.new_link() or door.address)


class ReadyServer(NamedTuple):
    """A server on a socket that clients may already connect to."""

    server: uvicorn.Server
    listener: socket.socket
    link: str

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, or until the server is told to exit."""
        with stopped_by_signals():
            self.server.run(sockets=[self.listener])


def address_of(host: str, listener: socket.socket) -> str:
    """How this machine's browser reaches the listener: "http://127.0.0.1:8123"."""
    name = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


@router.get("/")
def page() -> Response:
    """The page itself; the guard has let its reader in."""
    return HTMLResponse(asset("review.html"))


@router.get("/static/{name}")
def static(name: str) -> Response:
    """The page's style, and its program in its parts."""
    return asset_response(name)


@router.get("/api/start")
def start(request: Request) -> Json:
    """How much there is and how far it is."""
    return _desk(request).start()


@router.get("/api/view")
def view(request: Request, state: str = "open", step: str = "", reason: str = "", words: str = "") -> Json:
    """Numbers and states of the rows that fit."""
    return _desk(request).view({"state": state, "step": step, "reason": reason, "words": words})


@router.get("/api/rows")
def rows(request: Request, number: list[int] = Query(default=[])) -> Json:  # noqa: B008 - how the framework reads lists
    """A line for each of some rows."""
    return _desk(request).rows(number)


@router.get("/api/row")
def row(request: Request, number: int) -> Json:
    """All of one row."""
    return _desk(request).row(number)


@router.post("/api/text")
def text(request: Request, body: Texts) -> Json:
    """A row's record as JSON to edit, with what was written into its fields."""
    return _desk(request).text(body.id, {"texts": body.texts})


@router.get("/api/changes")
def changes(request: Request, version: str) -> Json:
    """What was decided since, in this window or another."""
    return _desk(request).changes(version)


@router.post("/api/check")
def check(request: Request, body: Check) -> Json:
    """What is wrong with a mended record."""
    return _desk(request).check(body.id, _mend(body))


@router.post("/api/decide")
def decide(request: Request, body: Decisions) -> Response:
    """Add decisions, all or none; 409 where somebody else was faster."""
    wanted = [
        {"id": one.id, "decision": one.decision, "reason": one.reason, "seen": one.seen, **_mend(one)}
        for one in body.decisions
    ]
    return _added(_desk(request).decide(wanted, version=body.version))


@router.post("/api/decide-all")
def decide_all(request: Request, body: DecideAll) -> Response:
    """Decide the rows that were listed, all or none; 409 where they are not what was listed any more."""
    desk = _desk(request)
    return _added(desk.decide_all(body.numbers, decision=body.decision, reason=body.reason, version=body.version))


@router.post("/api/undo")
def undo(request: Request, body: Undo) -> Response:
    """Take back an action of this window, or the decision on a row."""
    desk = _desk(request)
    if body.id is not None:
        return _added(desk.take_back(body.id, seen=body.stamp, version=body.version))
    return _added(desk.undo(body.stamp, version=body.version))


def _added(found: Json) -> Response:
    return JSONResponse(found, status_code=409 if found["is_refused"] else 200)


def _mend(body: Check) -> Json:
    if body.json_text is not None:
        return {"json": body.json_text}
    return {} if body.texts is None else {"texts": body.texts}


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk
