"""Chat completions over HTTP: what comes back, what each parameter does, and the trace that stays."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fakes_serve import DIGEST, Running, ScriptedEngine, ask, running
from luthier.errors import ModelError, Problem
from luthier.records import Message
from luthier.serve.engine import Engine
from luthier.traces import Store

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/traces.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def scripted() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def server(scripted: ScriptedEngine, store: Store) -> Iterator[Running]:
    with running(scripted, store=store, max_new_tokens=40) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def said(client: httpx.Client, **parameters: object) -> dict:
    response = client.post(PATH, json=ask(**parameters))
    assert response.status_code == 200, response.text
    return response.json()


def events(client: httpx.Client, **parameters: object) -> list[dict]:
    response = client.post(PATH, json=ask(stream=True, **parameters))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = response.text.split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]


def test_an_answer_has_the_shape_of_openai_and_names_the_model_by_its_digest(client: httpx.Client) -> None:
    answer = said(client)
    assert answer["object"] == "chat.completion" and answer["model"] == "tuned"
    assert answer["system_fingerprint"] == DIGEST
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is open at nine.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}


def test_a_stream_has_a_role_then_the_text_then_the_reason_then_done(client: httpx.Client) -> None:
    chunks = events(client)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["system_fingerprint"] for chunk in chunks} == {DIGEST}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta["content"] for delta in deltas) == "It is open at nine."
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 5 + ["stop"]
    assert all("usage" not in chunk for chunk in chunks)


def test_include_usage_adds_a_last_chunk_without_choices(client: httpx.Client) -> None:
    *chunks, last = events(client, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}


def test_the_id_of_a_response_is_the_id_of_its_trace(client: httpx.Client, store: Store) -> None:
    answer = said(client, temperature=0.25, seed=11, top_p=0.5, stop=["END"], user="u-7", metadata={"page": "help"})
    trace = store.trace(answer["id"].removeprefix("chatcmpl-"))
    assert trace is not None
    assert trace.model_id == DIGEST and trace.model_name == "tuned"
    assert trace.messages == (Message(role="user", content="When do you open?"),)
    assert trace.answer == "It is open at nine." and trace.finish_reason == "stop"
    assert trace.sampling == {
        "temperature": 0.25, "top_p": 0.5, "seed": 11, "stop": ["END"], "max_new_tokens": 40, "num_samples": 1,
    }  # fmt: skip
    assert (trace.prompt_tokens, trace.completion_tokens, trace.logprob_mean) == (4, 5, -0.5)
    assert trace.first_token_ms is not None and 0 < trace.first_token_ms <= trace.latency_ms
    assert trace.user == "u-7" and trace.metadata == {"page": "help"} and trace.consent


def test_store_false_keeps_counts_and_no_text(client: httpx.Client, store: Store) -> None:
    trace = store.trace(said(client, store=False, user="u-7")["id"].removeprefix("chatcmpl-"))
    assert trace is not None and not trace.consent
    assert (trace.messages, trace.answer, trace.user) == ((), "", None)
    assert (trace.prompt_tokens, trace.completion_tokens) == (4, 5)


def test_several_choices_have_seeds_and_traces_of_their_own(
    client: httpx.Client, scripted: ScriptedEngine, store: Store
) -> None:
    scripted.seen.clear()
    answer = said(client, n=3, seed=5)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    seeds = [sampling.seed for sampling in scripted.seen]
    assert seeds[0] == 5 and len(set(seeds)) == 3
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 15, "total_tokens": 19}
    id = answer["id"].removeprefix("chatcmpl-")
    traces = [store.trace(trace_id) for trace_id in (id, f"{id}-1", f"{id}-2")]
    assert [trace.sampling["seed"] for trace in traces if trace] == seeds


def test_several_choices_stream_each_under_its_index(client: httpx.Client) -> None:
    chunks = events(client, n=2)
    for index in (0, 1):
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in mine) == "It is open at nine."
        assert mine[-1]["finish_reason"] == "stop"


def test_log_probabilities_come_with_every_token(client: httpx.Client) -> None:
    content = said(client, logprobs=True)["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in content) == "It is open at nine."
    assert bytes(b for token in content for b in token["bytes"]).decode() == "It is open at nine."
    assert [token["logprob"] for token in content] == [-0.5] * 5
    streamed = [chunk["choices"][0]["logprobs"] for chunk in events(client, logprobs=True)]
    assert [token for logprobs in streamed if logprobs for token in logprobs["content"]] == content


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 40, "stop": ()}),
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"temperature": 2}, {"temperature": 2.0}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"temperature": 1e-300}, {"temperature": 0.0}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"max_tokens": 3}, {"max_new_tokens": 3}),
        ({"max_completion_tokens": 3}, {"max_new_tokens": 3}),
        ({"max_tokens": 3, "max_completion_tokens": 3}, {"max_new_tokens": 3}),
        ({"max_tokens": 10_000}, {"max_new_tokens": 60}),  # what the context has room for
        ({"stop": "\n"}, {"stop": ("\n",)}),
        ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"seed": -9}, {"seed": -9}),
    ],
)  # fmt: skip
def test_sampling_is_as_asked(
    client: httpx.Client, scripted: ScriptedEngine, parameters: dict, expected: dict
) -> None:
    scripted.seen.clear()
    said(client, **parameters)
    found = {name: getattr(scripted.seen[0], name) for name in expected}
    assert found == expected


def test_top_p_of_nought_leaves_the_likeliest_token_rather_than_none(
    client: httpx.Client, scripted: ScriptedEngine
) -> None:
    scripted.seen.clear()
    said(client, top_p=0)
    assert 0 < scripted.seen[0].top_p < 1e-3


def test_without_a_seed_each_request_has_another(client: httpx.Client, scripted: ScriptedEngine) -> None:
    scripted.seen.clear()
    for _ in range(4):
        said(client)
    assert len({sampling.seed for sampling in scripted.seen}) == 4


def test_a_limit_on_tokens_ends_the_answer_with_length(client: httpx.Client) -> None:
    answer = said(client, max_tokens=2)
    assert answer["choices"][0]["message"]["content"] == "It is"
    assert answer["choices"][0]["finish_reason"] == "length"


def test_null_is_the_same_as_leaving_a_parameter_out(client: httpx.Client) -> None:
    names = (
        "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "n", "stream", "stream_options",
        "logprobs", "top_logprobs", "user", "metadata", "store", "tools", "response_format", "frequency_penalty",
    )  # fmt: skip
    assert said(client, **dict.fromkeys(names))["choices"][0]["message"]["content"] == "It is open at nine."


@pytest.mark.parametrize(
    "parameters",
    [
        {"frequency_penalty": 0}, {"presence_penalty": 0.0}, {"logit_bias": {}}, {"tools": []}, {"tool_choice": "none"},
        {"response_format": {"type": "text"}}, {"top_logprobs": 0}, {"modalities": ["text"]}, {"service_tier": "auto"},
        {"parallel_tool_calls": True}, {"stream_options": {"include_obfuscation": False}, "stream": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_parameter_that_asks_for_nothing_may_be_sent(client: httpx.Client, parameters: dict) -> None:
    assert client.post(PATH, json=ask(**parameters)).status_code == 200


def test_text_parts_and_the_developer_role_and_echoed_answers_are_understood(
    client: httpx.Client, scripted: ScriptedEngine
) -> None:
    parts = [{"type": "text", "text": "When do "}, {"type": "text", "text": "you open?"}]
    echoed = {"role": "assistant", "content": "Yes.", "refusal": None, "tool_calls": None, "annotations": []}
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}, echoed,
                {"role": "user", "content": parts}]  # fmt: skip
    assert client.post(PATH, json={"model": "tuned", "messages": messages}).status_code == 200
    assert scripted.prompts[-1] == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hello"),
        Message(role="assistant", content="Yes."),
        Message(role="user", content="When do you open?"),
    )


def test_all_model_work_is_done_on_the_workers_thread(client: httpx.Client, scripted: ScriptedEngine) -> None:
    said(client)
    assert scripted.threads == {"luthier-model"}


def test_a_prompt_that_fills_the_context_is_refused_and_one_token_less_is_answered(client: httpx.Client) -> None:
    full = client.post(PATH, json=ask("word " * 64))
    assert full.status_code == 400
    error = full.json()["error"]
    assert error["code"] == "context_length_exceeded" and error["param"] == "messages"
    assert "64 tokens" in error["message"]
    streamed = client.post(PATH, json=ask("word " * 64, stream=True))
    assert streamed.status_code == 400 and streamed.json() == full.json()
    assert said(client, text="word " * 63)["choices"][0]["finish_reason"] == "length"


def test_a_conversation_that_the_template_refuses_is_the_clients_error() -> None:
    def refuse(messages: object) -> list[int]:
        raise ModelError("no", [Problem(where="template", found="two user turns", expected="turns", fix="mend")])

    engine = Engine(name="tuned", digest=DIGEST, max_length=8, prompt_ids=refuse, stream=lambda *_: iter(()))
    with running({"tuned": engine}) as server, httpx.Client(base_url=server.url) as client:
        error = client.post(PATH, json=ask()).json()["error"]
    assert error["param"] == "messages" and "two user turns" in error["message"]


def test_models_are_listed_by_name_with_their_digest(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert model["id"] == "tuned" and model["digest"] == DIGEST and model["max_model_len"] == 64
    assert client.get("/v1/models/tuned").json() == model
    assert client.get("/v1/models/other").status_code == 404


def test_a_model_may_have_a_slash_in_its_name() -> None:
    with running(ScriptedEngine(name="team/tuned")) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/v1/models/team/tuned").json()["id"] == "team/tuned"


def test_each_request_is_answered_by_the_model_that_it_names(tmp_path: Path) -> None:
    engines = [ScriptedEngine(name=name, digest=name * 8, answer=name) for name in ("a", "b")]
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running({e.name: e.engine() for e in engines}, store=store) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        for name in ("b", "a", "b"):
            answer = client.post(PATH, json=ask() | {"model": name}).json()
            assert answer["choices"][0]["message"]["content"] == name
            assert answer["system_fingerprint"] == name * 8
        assert [(t.model_name, t.model_id) for t in store.traces()] == [(n, n * 8) for n in "bab"]


def test_the_servers_default_decides_where_a_request_says_nothing_of_consent(tmp_path: Path) -> None:
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running(ScriptedEngine(), store=store, trace_consent=False) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        said(client)
        said(client, store=True)
        assert [trace.consent for trace in store.traces()] == [False, True]
        assert [trace.answer for trace in store.traces()] == ["", "It is open at nine."]


def test_asking_a_server_without_a_store_to_store_is_refused() -> None:
    with running(ScriptedEngine()) as server, httpx.Client(base_url=server.url) as client:
        assert client.post(PATH, json=ask(store=True)).json()["error"]["param"] == "store"
        assert client.post(PATH, json=ask(store=False)).status_code == 200


def test_a_fault_of_the_model_is_an_envelope_without_its_inside_and_the_next_request_is_served(tmp_path: Path) -> None:
    def fail(step: int) -> None:
        if step == 2:
            raise RuntimeError("secret detail")

    scripted = ScriptedEngine(before_step=fail)
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running(scripted, store=store) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        whole = client.post(PATH, json=ask())
        assert whole.status_code == 500 and whole.json()["error"]["type"] == "server_error"
        streamed = client.post(PATH, json=ask(stream=True))
        *_, error, done, end = streamed.text.split("\n\n")
        assert json.loads(error.removeprefix("data: "))["error"]["type"] == "server_error"
        assert (done, end) == ("data: [DONE]", "")
        assert "secret detail" not in whole.text + streamed.text
        assert sum("secret detail" in line for line in server.said) == 2
        scripted.before_step = lambda step: None
        assert client.post(PATH, json=ask()).status_code == 200
        traces = store.traces()
    assert [t.finish_reason for t in traces] == ["error", "error", "stop"]
    assert [t.completion_tokens for t in traces] == [2, 2, 5]


def test_numbers_that_json_does_not_know_are_refused(client: httpx.Client) -> None:
    body = json.dumps(ask(temperature=math.nan))
    response = client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400 and "temperature" in response.json()["error"]["message"]
