"""Errors as clients see them: OpenAI's envelope, whatever went wrong and wherever."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from luthier.errors import LuthierError

SERVER_FAULT = "the server failed at this request; its log says how"


class Refusal(LuthierError):
    """A request that is not served, and why. `param` names the parameter at fault."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        """The envelope's type follows from the status."""
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """The HTTP answer that carries it."""
        return JSONResponse(self.envelope(), status_code=self.status, headers=headers)

    def envelope(self) -> dict[str, Any]:
        """{"error": {"message", "type", "param", "code"}}."""
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 500: "server_error"}
        kind = kinds.get(self.status, "invalid_request_error")
        return {"error": {"message": self.summary, "type": kind, "param": self.param, "code": self.code}}


def install(app: FastAPI) -> None:
    """Make every refusal of `app` answer in the envelope; faults of our own are the guard's to catch."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return from_validation(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return Refusal(str(error.detail), status=error.status_code).response(error.headers)


def fault_text(what: str, error: Exception) -> str:
    """What the log says of a fault of our own."""
    return f"serve | {what} failed\n{''.join(traceback.format_exception(error)).rstrip()}"


def from_validation(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """The first of pydantic's findings as a refusal."""
    first = errors[0]
    param = param_of(first["loc"])
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", first["msg"])
        return Refusal(f"the body is not JSON: {reason}", code="invalid_json")
    if param is None:
        return Refusal("the body must be a JSON object, sent with the header Content-Type: application/json")
    if first["type"] == "missing":
        return Refusal(f"you must give the parameter {param!r}", param=param, code="missing_required_parameter")
    message = first["msg"].removeprefix("Value error, ")
    return Refusal(f"invalid {param!r}: {message[:1].lower()}{message[1:]}", param=param, code="invalid_value")


def param_of(location: Sequence[str | int]) -> str | None:
    """("body", "messages", 0, "role") as "messages[0].role"; None for the body itself."""
    text = ""
    for part in location[1:]:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or None
