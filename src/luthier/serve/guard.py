"""The gate that every request passes: host, origin, key and size, and the headers of every response."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from luthier.serve.assets import asset_names
from luthier.serve.pages import page_response
from luthier.serve.refusals import SERVER_FAULT, Refusal, fault_text
from luthier.serve.serving import Serving

OPEN_PATHS = frozenset({"/health", *(f"/static/{name}" for name in asset_names())})
"""Served without a key. The files are the same in every copy of Luthier; the page needs them to ask for a key."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For /operations: a report is one file with its style inside, and no script at all."""


class Guard:
    """ASGI middleware, written without a framework's buffering so that streams and disconnects pass untouched."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        """`app` sees only requests that may be served."""
        self._app = app
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, refuse, or turn a fault into an envelope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if scope["path"] == "/operations":
                    headers["Content-Security-Policy"] = REPORT_POLICY
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, send_with_headers)
                return
            body = await self._body(scope, receive)
            await self._app(scope, _replayed(body, receive), send_with_headers)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send_with_headers)
        except Exception as error:  # the server's edge: one faulty request must not show its inside or end the process
            self._serving.say(fault_text(f"{scope['method']} {scope['path']}", error))
            if not is_started:
                await Refusal(SERVER_FAULT, status=500).response()(scope, receive, send_with_headers)

    def _refused(self, scope: Scope) -> Response | None:
        """The response to a request that may not be served, or None."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_known_host(host):
            return Refusal(
                f"the host {host!r} is not this server; name it in serve.host_names if it is",
                status=403, code="host_not_allowed",
            ).response()  # fmt: skip
        if scope["path"] not in OPEN_PATHS and not self._has_key(scope, headers):
            return self._key_wanted(scope)
        origin = headers.get("origin")
        if scope["method"] not in SAFE_METHODS and origin is not None and origin.partition("://")[2] != host:
            return Refusal(
                f"pages of {origin!r} may not use this server", status=403, code="origin_not_allowed"
            ).response()
        return None

    def _is_known_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        config = self._serving.config
        if name in {"localhost", "127.0.0.1", "::1", config.host.lower(), *map(str.lower, config.host_names)}:
            return True
        # On all addresses, a bare address is fine: DNS rebinding needs a name that changes what it points to.
        return _is_address(config.host) and ipaddress.ip_address(config.host).is_unspecified and _is_address(name)

    def _has_key(self, scope: Scope, headers: Headers) -> bool:
        if not self._serving.keys:
            return True
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and scope["path"] == "/operations":
            # A page that is opened by its address carries no header of ours; browsers ask for this one themselves.
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                return False
        elif scheme.lower() != "bearer":
            return False
        given = value.strip().encode()
        # Every key is compared, so that the time taken does not tell which one was near.
        matches = [secrets.compare_digest(given, key.encode()) for key in self._serving.keys]
        return any(matches)

    def _key_wanted(self, scope: Scope) -> Response:
        if scope["path"] == "/" and scope["method"] == "GET":
            return page_response(self._serving, status=401)
        scheme = 'Basic realm="luthier"' if scope["path"] == "/operations" else "Bearer"
        refusal = Refusal("send an API key: `Authorization: Bearer KEY`", status=401, code="invalid_api_key")
        return refusal.response({"WWW-Authenticate": scheme})

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body; refused with 413 as soon as it is known to be too large."""
        limit = self._serving.config.max_body_bytes
        too_large = Refusal(f"the body is larger than {limit} bytes", status=413, code="body_too_large")
        stated = Headers(scope=scope).get("content-length", "0")
        if stated.isdigit() and int(stated) > limit:
            raise too_large
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > limit:
                raise too_large
            if not message.get("more_body", False):
                return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` as it was before the body was read."""
    is_pending = True

    async def replayed() -> Message:
        nonlocal is_pending
        if is_pending:
            is_pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
