"""Feedback over HTTP: checked against the answer it is about, kept once, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from fakes_serve import ScriptedEngine, ask, running
from luthier.traces import Store

PATH = "/v1/feedback"


@dataclass(frozen=True)
class Site:
    client: httpx.Client
    store: Store

    def answer(self, text: str = "When do you open?", **parameters: object) -> str:
        response = self.client.post("/v1/chat/completions", json=ask(text, **parameters))
        return str(response.json()["id"]).removeprefix("chatcmpl-")

    def give(self, status: int = 200, **event: object) -> dict:
        response = self.client.post(PATH, json=event)
        assert response.status_code == status, response.text
        return response.json()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/traces.sqlite") as store,
        running(ScriptedEngine(), store=store) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield Site(client, store)


@pytest.mark.parametrize(
    ("event", "value", "text"),
    [
        ({"kind": "thumb", "value": 1}, 1.0, None),
        ({"kind": "thumb", "value": 0}, 0.0, None),
        ({"kind": "score", "value": 0.3}, 0.3, None),
        ({"kind": "comment", "text": "Too short."}, None, "Too short."),
        ({"kind": "edit", "text": "At nine."}, None, "At nine."),
    ],
    ids=str,
)
def test_what_was_said_turns_up_in_the_store(site: Site, event: dict, value: float | None, text: str | None) -> None:
    id = site.answer()
    given = site.give(trace_id=id, rater="ann", source="app", **event)
    (kept,) = site.store.feedback(id)
    assert (kept.id, kept.trace_id, kept.kind) == (given["id"], id, event["kind"])
    assert (kept.value, kept.text, kept.rater, kept.source) == (value, text, "ann", "app")
    assert kept.created_at == given["created_at"]


def test_the_id_of_a_response_is_taken_as_it_is(site: Site) -> None:
    id = site.answer()
    assert site.give(trace_id=f"chatcmpl-{id}", kind="thumb", value=1)["trace_id"] == id


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_comparison_names_both_answers(site: Site, value: float) -> None:
    a, b = site.answer(), site.answer()
    site.give(trace_id=a, other_trace_id=f"chatcmpl-{b}", kind="comparison", value=value)
    (kept,) = site.store.feedback(a)
    assert (kept.other_trace_id, kept.value) == (b, value)


def test_answers_to_different_questions_cannot_be_compared(site: Site) -> None:
    error = site.give(
        400, trace_id=site.answer("One?"), other_trace_id=site.answer("Two?"), kind="comparison", value=1
    )
    assert error["error"]["param"] == "other_trace_id"


def test_the_same_idempotency_key_again_is_the_same_event(site: Site) -> None:
    id = site.answer()
    event = {"trace_id": id, "kind": "thumb", "value": 1, "idempotency_key": f"key-{id}"}
    assert site.give(**event) == site.give(**event)
    assert len(site.store.feedback(id)) == 1


def test_the_same_idempotency_key_for_another_event_is_a_conflict(site: Site) -> None:
    id = site.answer()
    event = {"trace_id": id, "kind": "thumb", "idempotency_key": f"key-{id}"}
    site.give(value=1, **event)
    error = site.give(409, value=0, **event)["error"]
    assert (error["param"], error["code"]) == ("idempotency_key", "idempotency_conflict")
    assert [kept.value for kept in site.store.feedback(id)] == [1.0]


def test_a_newer_event_may_supersede_an_older_and_both_stay(site: Site) -> None:
    id = site.answer()
    older = site.give(trace_id=id, kind="thumb", value=1)
    site.give(trace_id=id, kind="thumb", value=0, supersedes=older["id"])
    assert [(kept.value, kept.supersedes) for kept in site.store.feedback(id)] == [(1.0, None), (0.0, older["id"])]


def test_an_event_can_supersede_only_one_of_the_same_answer(site: Site) -> None:
    other = site.give(trace_id=site.answer(), kind="thumb", value=1)
    error = site.give(404, trace_id=site.answer(), kind="thumb", value=0, supersedes=other["id"])["error"]
    assert error["param"] == "supersedes"


@pytest.mark.parametrize("field", ["trace_id", "other_trace_id"])
def test_an_unknown_trace_is_a_404(site: Site, field: str) -> None:
    event = {"trace_id": site.answer(), "other_trace_id": site.answer(), "kind": "comparison", "value": 1}
    error = site.give(404, **(event | {field: "nowhere"}))["error"]
    assert (error["param"], error["code"]) == (field, "trace_not_found")


def test_text_is_refused_where_there_is_no_consent_to_keep_it_and_a_thumb_is_not(site: Site) -> None:
    id = site.answer(store=False)
    for kind in ("edit", "comment"):
        error = site.give(400, trace_id=id, kind=kind, text="At nine.")["error"]
        assert (error["param"], error["code"]) == ("text", "no_consent")
    site.give(trace_id=id, kind="thumb", value=1)
    assert [kept.kind for kept in site.store.feedback(id)] == ["thumb"]


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"kind": "thumb"}, "value"),
        ({"kind": "thumb", "value": 0.5}, "value"),
        ({"kind": "thumb", "value": 2}, "value"),
        ({"kind": "thumb", "value": True}, "value"),
        ({"kind": "thumb", "value": 1, "text": "x"}, "text"),
        ({"kind": "thumb", "value": 1, "other_trace_id": "x"}, "other_trace_id"),
        ({"kind": "score", "value": -0.1}, "value"),
        ({"kind": "edit"}, "text"),
        ({"kind": "edit", "text": ""}, "text"),
        ({"kind": "edit", "text": "x", "value": 1}, "value"),
        ({"kind": "comment", "text": 3}, "text"),
        ({"kind": "comparison", "value": 1}, "other_trace_id"),
        ({"kind": "comparison", "value": 0.7, "other_trace_id": "x"}, "value"),
        ({"kind": "comparison", "value": 1, "other_trace_id": "SAME"}, "other_trace_id"),
        ({"kind": "applause", "value": 1}, "kind"),
        ({"value": 1}, "kind"),
        ({"kind": "thumb", "value": 1, "stars": 5}, "stars"),
        ({"kind": "thumb", "value": 1, "trace_id": None}, "trace_id"),
        ({"kind": "comment", "text": "x", "rater": 3}, "rater"),
    ],
    ids=str,
)
def test_feedback_that_does_not_fit_is_refused_by_name(site: Site, event: dict, param: str) -> None:
    id = site.answer()
    event = {"trace_id": id} | {name: id if value == "SAME" else value for name, value in event.items()}
    assert site.give(400, **event)["error"]["param"] == param
    assert site.store.feedback(id) == []


def test_a_server_without_a_store_takes_no_feedback() -> None:
    with running(ScriptedEngine()) as server, httpx.Client(base_url=server.url) as client:
        response = client.post(PATH, json={"trace_id": "x", "kind": "thumb", "value": 1})
        assert response.status_code == 404 and "keeps no answers" in response.json()["error"]["message"]
