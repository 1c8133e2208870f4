"""Who may use the review page: a browser that came by a link of the terminal, for this host, from this page itself."""

from __future__ import annotations

import html
import ipaddress
import secrets
import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from luthier.serve.guard import HEADERS, SAFE_METHODS
from luthier.serve.refusals import SERVER_FAULT, Refusal, fault_text

LARGEST_BODY = 16 * 2**20
"""Bytes of one request. A mended row may be long."""
OPEN_PATHS = "/static/"
"""Served to anyone on this host: the same in every copy of Luthier."""
_NO_ENTRY = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Luthier review</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/review.css"></head>
<body class="no-entry"><main><h1>This needs a link</h1>
<p>A link opens the page in one browser, once. {line}</p></main></body></html>"""


class Door:
    """Links that each let one browser in, and the browsers that are in. For threads at once."""

    def __init__(self, address: str) -> None:
        """`address` is where the page is, "http://127.0.0.1:8123"."""
        self.address = address
        # Cookies do not tell ports apart: another review on this machine must not take this one's.
        self.cookie = f"luthier_review_{urlsplit(address).port or 80}"
        self._token = ""
        self._sessions: set[str] = set()
        self._guard = threading.Lock()

    def new_link(self) -> str | None:
        """A link that has not been used yet; None where one is waiting already."""
        with self._guard:
            if self._token:
                return None
            self._token = secrets.token_urlsafe(24)
            return f"{self.address}/?token={self._token}"

    def let_in(self, token: str) -> str | None:
        """A new session for the token of the link, which is used up with that; else None."""
        with self._guard:
            if not self._token or not secrets.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token = ""
            session = secrets.token_urlsafe(24)
            self._sessions.add(session)
            return session

    def is_in(self, session: str) -> bool:
        """Whether a browser is in."""
        given = session.encode()
        with self._guard:
            # Every session is compared, so that the time taken does not tell which one was near.
            matches = [secrets.compare_digest(given, one.encode()) for one in self._sessions]
        return any(matches)


class ReviewGuard:
    """ASGI middleware: host, origin, session and size, the headers of every response, and faults as envelopes."""

    def __init__(self, app: ASGIApp, *, door: Door, host: str, say: Callable[[str], None]) -> None:
        """`app` sees only requests that may be served; `say` gets new links and faults."""
        self._app, self._door, self._host, self._say = app, door, host.lower(), say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, refuse, or turn a fault into an envelope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False
        session: str | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if session is not None:
                    cookie = f"{self._door.cookie}={session}; HttpOnly; SameSite=Strict; Path=/"
                    headers.append("Set-Cookie", cookie)
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check(scope, headers)
            if not scope["path"].startswith(OPEN_PATHS) and not self._is_in(headers):
                # What only looks at a link, as a program that previews it with HEAD, must not use it up.
                is_visit = scope["path"] == "/" and scope["method"] == "GET"
                session = self._door.let_in(_token(scope)) if is_visit else None
                if session is None:
                    await self._no_entry(scope)(scope, receive, send_with_headers)
                    return
            await self._app(scope, receive, send_with_headers)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send_with_headers)
        except Exception as error:  # the server's edge: one faulty request must not show its inside or end the process
            self._say(fault_text(f"{scope['method']} {scope['path']}", error))
            if not is_started:
                await Refusal(SERVER_FAULT, status=500).response()(scope, receive, send_with_headers)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse what does not come from our own page on our own host, and what is too large."""
        host = headers.get("host", "")
        if not self._is_known_host(host):
            raise Refusal(f"the host {host!r} is not this server", status=403, code="host_not_allowed")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refusal(f"pages of {origin!r} may not use this server", status=403, code="origin_not_allowed")
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") and scope["path"] != "/":
            raise Refusal("other pages may not use this server", status=403, code="origin_not_allowed")
        if scope["method"] in SAFE_METHODS:
            return
        length = headers.get("content-length", "")
        if not length.isdigit():
            raise Refusal("say how long the body is: Content-Length", status=411, code="length_required")
        if int(length) > LARGEST_BODY:
            raise Refusal(f"the body is larger than {LARGEST_BODY} bytes", status=413, code="body_too_large")

    def _is_known_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in {"localhost", "127.0.0.1", "::1", self._host}:
            return True
        # On all addresses, a bare address is fine: DNS rebinding needs a name that changes what it points to.
        return self._host in ("0.0.0.0", "::") and _is_address(name)

    def _is_in(self, headers: Headers) -> bool:
        """Whether one of the cookies is ours. The others come from any program on this machine, in any form."""
        pairs = (pair.strip().partition("=") for line in headers.getlist("cookie") for pair in line.split(";"))
        return any(name == self._door.cookie and self._door.is_in(value) for name, _, value in pairs)

    def _no_entry(self, scope: Scope) -> Response:
        """For a page one that says what to do, and a new link on the terminal; for a program a refusal."""
        if scope["path"] != "/" or scope["method"] != "GET":
            return Refusal("open the link that the terminal shows", status=401, code="no_session").response()
        link = self._door.new_link()
        if link is not None:
            self._say(f"review | somebody opened {self._door.address} without a link; a new one: {link}")
        line = "The terminal in which luthier review runs shows a new one." if link else \
            "The terminal in which luthier review runs shows one that was not used yet."  # fmt: skip
        return HTMLResponse(_NO_ENTRY.format(line=html.escape(line)), status_code=401)


def _token(scope: Scope) -> str:
    query: bytes = scope.get("query_string", b"")
    return parse_qs(query.decode("latin-1")).get("token", [""])[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
