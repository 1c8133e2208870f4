"""A real model behind the server: its prompts have the tokens of training, and nobody's seed moves another's answer."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fakes_serve import running
from luthier.errors import ModelError
from luthier.models import generate, parity
from luthier.models.load import Model, load_model
from luthier.models.render import Renderer
from luthier.records import Example, Message, Sampling
from luthier.serve.local import engine_for

PATH = "/v1/chat/completions"
QUESTION = [Message(role="user", content="Once upon a time there was a dog.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = os.environ.get("LUTHIER_TEST_DATA")
    if not data:
        pytest.skip("needs the small model in LUTHIER_TEST_DATA")
    copy = tmp_path_factory.mktemp("model") / "stories"
    shutil.copytree(Path(data) / "stories260k", copy)
    for path in (copy, *copy.iterdir()):
        path.chmod(0o755)
    return copy


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load_model(folder, device="cpu")


@pytest.fixture(scope="module")
def client(model: Model) -> Iterator[httpx.Client]:
    engine = engine_for(model, "stories")
    with running({"stories": engine}) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


def said(client: httpx.Client, **parameters: object) -> dict:
    body = {"model": "stories", "messages": [{"role": m.role, "content": m.content} for m in QUESTION]} | parameters
    response = client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def text(answer: dict, index: int = 0) -> str:
    return answer["choices"][index]["message"]["content"]


def test_a_served_prompt_has_the_tokens_of_a_trained_prompt(model: Model) -> None:
    trained = model.renderer.render_answer(QUESTION, "It was red.")
    served = engine_for(model, "stories").prompt_ids(QUESTION)
    assert trained.token_ids[: len(served)] == tuple(served)
    assert not any(trained.weights[: len(served)]) and trained.weights[len(served)] > 0


def test_a_model_whose_template_is_not_that_of_training_does_not_go_live(model: Model, folder: Path) -> None:
    example = Example.of([*QUESTION, Message(role="assistant", content="It was red.")])
    parity.write(folder, model.renderer, [example])
    try:
        engine_for(model, "stories")
        tokenizer = load_model(folder, device="cpu").tokenizer
        tokenizer.chat_template = tokenizer.chat_template.replace("User", "Human")
        changed = dataclasses.replace(model, renderer=Renderer(tokenizer, name=str(folder)))
        with pytest.raises(ModelError, match=r"parity\.json"):
            engine_for(changed, "stories")
    finally:
        (folder / parity.FILE).unlink()


def test_the_greedy_answer_is_that_of_the_batch_generator(model: Model, client: httpx.Client) -> None:
    sampling = Sampling(max_new_tokens=30)
    (completion,) = generate.generator(model)([Example.of(QUESTION)], sampling)
    answer = said(client, temperature=0, max_tokens=30, logprobs=True)
    assert text(answer) == completion.text
    assert answer["usage"]["completion_tokens"] == len(completion.token_ids)
    logprobs = [token["logprob"] for token in answer["choices"][0]["logprobs"]["content"]]
    assert logprobs == pytest.approx(list(completion.logprobs), abs=1e-4)


def test_a_streamed_answer_is_the_whole_answer(client: httpx.Client) -> None:
    whole = text(said(client, seed=4, max_tokens=40))
    body = {"model": "stories", "messages": [{"role": "user", "content": QUESTION[0].content}], "seed": 4,
            "max_tokens": 40, "stream": True}  # fmt: skip
    lines = client.post(PATH, json=body).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == whole


def test_a_stop_text_ends_the_answer_and_is_no_part_of_it(client: httpx.Client) -> None:
    whole = text(said(client, temperature=0, max_tokens=40))
    stop = whole[10:13]
    cut = said(client, temperature=0, max_tokens=40, stop=[stop])
    assert text(cut) == whole[: whole.index(stop)]
    assert cut["choices"][0]["finish_reason"] == "stop"


def test_a_seed_gives_the_same_answer_alone_and_beside_other_requests(client: httpx.Client) -> None:
    alone = {seed: text(said(client, seed=seed, max_tokens=40)) for seed in (1, 2)}
    assert alone[1] != alone[2]
    requests = [(1, 1.0), (2, 1.0), (1, 1.0), (3, 0.3), (2, 1.0)]
    with ThreadPoolExecutor(len(requests)) as pool:
        together = list(
            pool.map(lambda r: text(said(client, seed=r[0], temperature=r[1], max_tokens=40)), requests)
        )
    assert [together[i] for i in (0, 1, 2, 4)] == [alone[1], alone[2], alone[1], alone[2]]


def test_each_request_is_drawn_by_its_own_settings_also_beside_others(client: httpx.Client) -> None:
    greedy = text(said(client, temperature=0, max_tokens=40))
    with ThreadPoolExecutor(4) as pool:
        waiting = [
            pool.submit(said, client, max_tokens=40, seed=7, temperature=temperature) for temperature in (2, 0, 1, 0)
        ]
        answers = [text(future.result()) for future in waiting]
    assert answers[1] == answers[3] == greedy
    assert greedy not in (answers[0], answers[2]) and answers[0] != answers[2]


def test_several_choices_of_one_request_differ(client: httpx.Client) -> None:
    answer = said(client, n=3, seed=1, max_tokens=40)
    assert len({text(answer, index) for index in range(3)}) == 3
    assert text(answer) == text(said(client, seed=1, max_tokens=40))


def test_an_answer_ends_where_the_context_ends(model: Model) -> None:
    engine = engine_for(model, "stories")
    room = 5
    short = dataclasses.replace(engine, max_length=len(engine.prompt_ids(QUESTION)) + room)
    with running({"stories": short}) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        answer = said(client, temperature=0, max_tokens=100_000)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == room and answer["usage"]["total_tokens"] == short.max_length
