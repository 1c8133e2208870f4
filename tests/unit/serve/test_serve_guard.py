"""Who may use the server: keys on every path, known hosts, own pages only; and the headers of every response."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from fakes_serve import Running, ScriptedEngine, ask, running
from luthier.errors import ConfigError
from luthier.serve.app import create_app
from luthier.serve.assets import asset_names
from luthier.serve.config import ServeConfig

KEYS = "LUTHIER_TEST_KEYS"
PATH = "/v1/chat/completions"
OPEN = {"/health", *(f"/static/{name}" for name in asset_names())}


@pytest.fixture(scope="module")
def locked() -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEYS, "first-key, second-key ,")
        with running(ScriptedEngine(), keys_env=KEYS, operations=lambda: "<p>fine</p>") as server:
            yield server


@pytest.fixture(scope="module")
def client(locked: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked.url) as client:
        yield client


@pytest.fixture(scope="module")
def unlocked() -> Iterator[httpx.Client]:
    with (
        running(ScriptedEngine(), host_names=("Box.example",), operations=lambda: "<style>p {}</style>") as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield client


def every_route(server: Running) -> list[tuple[str, str]]:
    app = server.server.config.app
    found = []
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if hasattr(route, "path") and getattr(route, "methods", None):
            path = route.path.replace("{name:path}", "tuned")
            names = sorted(asset_names()) if "{name}" in path else [""]
            found += [(method, path.replace("{name}", name)) for method in route.methods for name in names]
        waiting += getattr(getattr(route, "original_router", None), "routes", [])
    return sorted(found)


def test_every_path_but_health_and_the_pages_files_asks_for_a_key(locked: Running, client: httpx.Client) -> None:
    routes = every_route(locked)
    assert {path for _, path in routes} >= OPEN | {
        "/", "/ready", "/operations", "/v1/models", "/v1/models/tuned", "/v1/feedback", PATH, "/openapi.json",
    }  # fmt: skip
    others = ["/nowhere", "//health", "/static/", "/static/chat.html", "/static/nothing.js", "/static/%2e%2e/guard.py"]
    for method, path in [*routes, ("POST", "/health/"), *(("GET", other) for other in others)]:
        response = client.request(method, path)
        assert (response.status_code == 401) == (path not in OPEN), (method, path, response.status_code)


@pytest.mark.parametrize("key", ["first-key", "second-key"])
def test_each_key_opens(client: httpx.Client, key: str) -> None:
    assert client.post(PATH, json=ask(), headers={"Authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong", "Bearer", "first-key", "Basic first-key", "Bearer first-key,second-key",
        "Bearer first-ke", "Bearer first-key2", "Bearer first-k\u00e9y",
        "Basic " + base64.b64encode(b":first-key").decode(),
    ],
)  # fmt: skip
def test_any_other_header_does_not(client: httpx.Client, header: str) -> None:
    response = client.get("/v1/models", headers={"Authorization": header.encode()})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_chat_page_comes_with_the_refusal_so_that_it_can_ask_for_the_key(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.status_code == 401 and "key-dialog" in response.text


def test_a_browser_may_give_the_key_for_the_operations_page_as_a_password(client: httpx.Client) -> None:
    assert client.get("/operations").headers["www-authenticate"].startswith("Basic")
    assert client.get("/operations", auth=("", "first-key")).text == "<p>fine</p>"
    assert client.get("/operations", auth=("", "wrong")).status_code == 401
    assert client.get("/operations", headers={"Authorization": b"Basic \xff!"}).status_code == 401


@pytest.mark.parametrize("value", ["", " , "])
def test_a_variable_without_a_key_stops_the_server_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(KEYS, value)
    with pytest.raises(ConfigError, match=KEYS):
        create_app({}, config=ServeConfig(keys_env=KEYS), store=None, say=print)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("LOCALHOST", 200), ("box.example:8000", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost@evil.example", 403), ("10.0.0.7", 403),
        ("", 403), ("[", 403), ("box.example.evil", 403),
    ],
)  # fmt: skip
def test_only_a_host_that_is_this_server_is_served(unlocked: httpx.Client, host: str, status: int) -> None:
    assert unlocked.get("/health", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [("0.0.0.0", "10.0.0.7:8000", 200), ("0.0.0.0", "evil.example", 403), ("127.0.0.1", "127.0.0.2", 403)],
)
def test_a_server_on_every_address_takes_addresses_but_no_unknown_names(bound: str, host: str, status: int) -> None:
    with running(ScriptedEngine(), host=bound) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/health", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "", "http://["])
def test_pages_of_another_origin_may_not_ask(unlocked: httpx.Client, origin: str) -> None:
    for path, body in ((PATH, ask()), ("/v1/feedback", {})):
        response = unlocked.post(path, json=body, headers={"Origin": origin})
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "origin_not_allowed"


def test_the_servers_own_pages_may_ask(unlocked: httpx.Client) -> None:
    origin = f"http://{unlocked.base_url.netloc.decode()}"
    assert unlocked.post(PATH, json=ask(), headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/chat.js", "/health", "/nowhere", "/v1/models"])
def test_every_response_carries_the_security_headers(unlocked: httpx.Client, path: str) -> None:
    headers = unlocked.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_refusals_carry_the_security_headers_too(unlocked: httpx.Client) -> None:
    refused = unlocked.get("/", headers={"Host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_the_operations_page_may_hold_style_but_no_script(unlocked: httpx.Client) -> None:
    response = unlocked.get("/operations")
    assert response.text == "<style>p {}</style>"
    policy = response.headers["content-security-policy"]
    assert "style-src 'unsafe-inline'" in policy and "script-src" not in policy and "default-src 'none'" in policy


def test_pages_load_nothing_from_elsewhere(unlocked: httpx.Client) -> None:
    files = [unlocked.get(path) for path in ("/", *(path for path in OPEN if path != "/health"))]
    assert {file.status_code for file in files} == {200}
    text = "".join(file.text for file in files)
    assert "https://" not in text
    assert text.count("http://") == text.count("http://www.w3.org/2000/svg")  # a name, not an address
    assert "innerHTML" not in text and "<script>" not in text and "style=" not in text


def test_a_server_without_an_operations_page_says_so() -> None:
    with running(ScriptedEngine()) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/operations").status_code == 404


def test_a_fault_in_the_operations_page_is_an_envelope_without_its_inside() -> None:
    def fail() -> str:
        raise RuntimeError("secret detail")

    with running(ScriptedEngine(), operations=fail) as server, httpx.Client(base_url=server.url) as client:
        response = client.get("/operations")
    assert response.status_code == 500 and response.json()["error"]["type"] == "server_error"
    assert "secret detail" not in response.text and "secret detail" in server.said[0]
