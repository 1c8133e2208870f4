"""Every request that is not served is refused in OpenAI's envelope, naming the parameter at fault."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes_serve import ScriptedEngine, ask, running
from luthier.serve.wire import UNSUPPORTED, ChatRequest

PATH = "/v1/chat/completions"
JSON = {"Content-Type": "application/json"}

WANTS = {
    "audio": {"voice": "alloy"},
    "frequency_penalty": 0.5,
    "function_call": {"name": "f"},
    "functions": [{"name": "f"}],
    "logit_bias": {"50": 1},
    "modalities": ["text", "audio"],
    "moderation": {"model": "m"},
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": -1,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"ttl": 1},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "high",
    "response_format": {"type": "json_object"},
    "safety_identifier": "s",
    "service_tier": "priority",
    "tool_choice": "required",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 5,
    "verbosity": "low",
    "web_search_options": {},
}
"""For each parameter of OpenAI's that is not served, a value that asks for something."""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(ScriptedEngine(), max_body_bytes=4_096) as server, httpx.Client(base_url=server.url) as client:
        yield client


def refusal(response: httpx.Response, status: int = 400) -> dict:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return body["error"]


def test_every_parameter_that_is_not_served_is_tested_here() -> None:
    assert set(WANTS) == set(UNSUPPORTED)


def test_every_parameter_that_the_openai_client_can_send_is_known_here() -> None:
    from openai.resources.chat.completions import Completions

    of_client = set(inspect.signature(Completions.create).parameters) - {
        "self", "extra_headers", "extra_query", "extra_body", "timeout",
    }  # fmt: skip
    assert of_client <= set(ChatRequest.model_fields) | set(UNSUPPORTED)


@pytest.mark.parametrize(("name", "value"), WANTS.items())
def test_a_known_parameter_that_is_not_served_is_refused_by_name(
    client: httpx.Client, name: str, value: object
) -> None:
    error = refusal(client.post(PATH, json=ask(**{name: value})))
    assert (error["param"], error["code"]) == (name, "unsupported_parameter")
    assert name in error["message"] and error["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", ["temprature", "top_k", "max_token", "repetition_penalty"])
def test_an_unknown_parameter_is_refused_by_name(client: httpx.Client, name: str) -> None:
    error = refusal(client.post(PATH, json=ask(**{name: None})))
    assert (error["param"], error["code"]) == (name, "unknown_parameter")


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"stop": 3}, "stop"),
        ({"stop": ""}, "stop[0]"),
        ({"stop": ["a", 1]}, "stop[1]"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream_options": {"include_all": True}, "stream": True}, "stream_options.include_all"),
        ({"stream_options": {"include_obfuscation": True}, "stream": True}, "stream_options.include_obfuscation"),
        ({"logprobs": 3}, "logprobs"),
        ({"user": 7}, "user"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"store": "yes"}, "store"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "asistant", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": 3}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": "x", "colour": "red"}]}, "messages[0].colour"),
        ({"model": 3}, "model"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name(client: httpx.Client, parameters: dict, param: str) -> None:
    error = refusal(client.post(PATH, json=ask() | parameters))
    assert error["param"] == param and error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("field", "param"),
    [
        (r'"messages": [{"role": "user", "content": "\ud800"}]', "messages"),
        (r'"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}]', "messages"),
        (r'"user": "\udfff"', "user"),
        (r'"metadata": {"\ud800": "x"}', "metadata"),
        (r'"odd\ud800": 1', "odd?"),
    ],
)
def test_half_a_character_is_refused_for_nothing_can_hold_it(client: httpx.Client, field: str, param: str) -> None:
    body = f'{{"model": "tuned", "messages": [], {field}}}'
    assert refusal(client.post(PATH, content=body.encode(), headers=JSON))["param"] == param


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_missing_parameter_is_named(client: httpx.Client, name: str) -> None:
    body = ask()
    del body[name]
    error = refusal(client.post(PATH, json=body))
    assert (error["param"], error["code"]) == (name, "missing_required_parameter")


def test_an_unknown_model_is_a_404_that_says_what_there_is(client: httpx.Client) -> None:
    error = refusal(client.post(PATH, json=ask() | {"model": "gpt-4"}), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "'tuned'" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[1, 2]", b'"hello"', b"null", b"\xff\xfe", b"[" * 2_000, b'{"model": ' + b"9" * 4_000 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, body: bytes) -> None:
    refusal(client.post(PATH, content=body, headers=JSON))


def test_json_sent_as_something_else_is_refused_and_told_of_the_header(client: httpx.Client) -> None:
    response = client.post(PATH, content=b'{"model": "tuned"}', headers={"Content-Type": "text/plain"})
    assert "Content-Type: application/json" in refusal(response)["message"]


def test_a_body_that_is_too_large_is_refused_when_its_length_is_stated(client: httpx.Client) -> None:
    response = client.post(PATH, json=ask("x" * 5_000))
    assert "4096 bytes" in refusal(response, 413)["message"]


def test_a_body_that_is_too_large_is_refused_when_its_length_is_not_stated(client: httpx.Client) -> None:
    chunks = (b" " * 1_000 for _ in range(5))
    refusal(client.post(PATH, content=chunks, headers=JSON), 413)


def test_a_body_of_just_the_limit_is_served(client: httpx.Client) -> None:
    body = httpx.Request("POST", "http://x", json=ask()).content
    padded = body + b" " * (4_096 - len(body))
    assert client.post(PATH, content=padded, headers=JSON).status_code == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", PATH, 405), ("PUT", "/", 405)])
def test_what_there_is_not_is_refused_in_the_envelope(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    refusal(client.request(method, path), status)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*ChatRequest.model_fields, *UNSUPPORTED]) | st.text(max_size=8)
TURNS = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | VALUES, "content": st.text() | VALUES},
    optional={"name": VALUES, "tool_calls": VALUES},
)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd=st.dictionaries(NAMES, VALUES, max_size=2), messages=st.lists(TURNS, max_size=2) | st.none())
def test_whatever_is_sent_is_answered_or_refused_and_never_a_fault(
    client: httpx.Client, odd: dict, messages: list | None
) -> None:
    body = ask(**({} if messages is None else {"messages": messages})) | odd
    response = client.post(PATH, content=json.dumps(body).encode(), headers=JSON)
    if response.status_code != 200:
        assert response.status_code in (400, 404, 413), response.text
        refusal(response, response.status_code)
