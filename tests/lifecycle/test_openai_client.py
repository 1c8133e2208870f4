"""The `openai` client as an independent judge of the API."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from fakes_serve import DIGEST, Running, ScriptedEngine, running
from luthier.traces import Store

KEYS = "LUTHIER_TEST_OPENAI_KEYS"
HELLO = [{"role": "user", "content": "When do you open?"}]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/traces.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEYS, "right-key")
        with running(ScriptedEngine(), store=store, keys_env=KEYS) as server:
            yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="right-key", max_retries=0) as client:
        yield client


def test_a_whole_answer(client: openai.OpenAI, store: Store) -> None:
    answer = client.chat.completions.create(
        model="tuned", messages=HELLO, temperature=0.2, top_p=0.9, max_tokens=10, stop=["END"], seed=1, user="u",
        metadata={"page": "help"}, store=True,
    )  # fmt: skip
    assert answer.choices[0].message.content == "It is open at nine."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == 9
    assert answer.system_fingerprint == DIGEST
    trace = store.trace(answer.id.removeprefix("chatcmpl-"))
    assert trace is not None and trace.answer == "It is open at nine."


def test_a_streamed_answer_with_usage(client: openai.OpenAI) -> None:
    text, reasons, usage = "", [], None
    with client.chat.completions.create(
        model="tuned", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons.append(choice.finish_reason)
    assert text == "It is open at nine."
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}
    assert usage is not None and usage.completion_tokens == 5


def test_the_clients_own_stream_helper_puts_the_answer_together(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="tuned", messages=HELLO, logprobs=True) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "It is open at nine."
    assert final.choices[0].logprobs is not None and final.choices[0].logprobs.content is not None
    assert [token.logprob for token in final.choices[0].logprobs.content] == [-0.5] * 5


def test_an_answer_can_be_sent_back_as_the_client_dumps_it(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="tuned", messages=HELLO)
    history = [*HELLO, first.choices[0].message.model_dump(), {"role": "user", "content": "And on Saturdays?"}]
    assert client.chat.completions.create(model="tuned", messages=history).usage.prompt_tokens == 12
    assert client.chat.completions.create(model="tuned", messages=[*HELLO, first.choices[0].message]).choices


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tuned"]
    assert client.models.retrieve("tuned").owned_by == "luthier"


def test_refusals_arrive_as_the_clients_own_errors(client: openai.OpenAI, server: Running) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.BadRequestError) as bad:
        create(model="tuned", messages=HELLO, tools=[{"type": "function", "function": {"name": "f"}}])
    assert (bad.value.param, bad.value.code) == ("tools", "unsupported_parameter")
    with pytest.raises(openai.BadRequestError) as unknown:
        create(model="tuned", messages=HELLO, extra_body={"top_k": 5})
    assert (unknown.value.param, unknown.value.code) == ("top_k", "unknown_parameter")
    with pytest.raises(openai.BadRequestError) as long:
        create(model="tuned", messages=[{"role": "user", "content": "word " * 100}])
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError) as absent:
        create(model="other", messages=HELLO)
    assert absent.value.code == "model_not_found"
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong-key", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


def test_a_fault_in_mid_stream_is_raised_by_the_client() -> None:
    def fail(step: int) -> None:
        if step == 2:
            raise RuntimeError

    with (
        running(ScriptedEngine(before_step=fail)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
        client.chat.completions.create(model="tuned", messages=HELLO, stream=True) as stream,
        pytest.raises(openai.APIError, match="the server failed"),
    ):
        for _ in stream:
            pass
