"""POST /v1/feedback: what a person said of an answer, checked against the answer before it is kept."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from luthier.records import Feedback
from luthier.serve.refusals import Refusal
from luthier.serve.serving import serving_of
from luthier.serve.wire import FeedbackRequest, bare_id
from luthier.traces import Store, Trace, new_id, now

router = APIRouter()


@router.post("/v1/feedback")
async def give_feedback(request: Request, body: FeedbackRequest) -> dict[str, Any]:
    """Keep one event; the same idempotency key again gives the same event, not a second one."""
    store = serving_of(request).store
    if store is None:
        raise Refusal("this server keeps no answers, so there is nothing to give feedback on", status=404)
    body.refuse_what_does_not_fit()
    kept = await run_in_threadpool(_keep, store, body)
    return {"object": "feedback", "id": kept.id, "trace_id": kept.trace_id, "kind": kept.kind,
            "created_at": kept.created_at}  # fmt: skip


def _keep(store: Store, body: FeedbackRequest) -> Feedback:
    trace = _known(store, body.trace_id, param="trace_id")
    if body.text is not None and not trace.consent:
        raise Refusal("this answer was given without consent to keep text; only numbers can be kept of it",
                      param="text", code="no_consent")  # fmt: skip
    other = None
    if body.other_trace_id is not None:
        other = _known(store, body.other_trace_id, param="other_trace_id")
        if trace.consent and other.consent and trace.messages != other.messages:
            raise Refusal("answers can be compared only if they answer the same messages",
                          param="other_trace_id", code="invalid_value")  # fmt: skip
    if body.supersedes is not None and body.supersedes not in {event.id for event in store.feedback(trace.id)}:
        raise Refusal("no such feedback on this answer", status=404, param="supersedes", code="feedback_not_found")
    asked = Feedback(
        id=new_id(),
        trace_id=trace.id,
        kind=body.kind,
        value=body.value,
        text=body.text,
        other_trace_id=other.id if other else None,
        rater=body.rater,
        source=body.source,
        created_at=now(),
        idempotency_key=body.idempotency_key,
        supersedes=body.supersedes,
    )
    kept = store.add_feedback(asked)
    if _content(kept) != _content(asked):
        raise Refusal("this idempotency key belongs to another event",
                      status=409, param="idempotency_key", code="idempotency_conflict")  # fmt: skip
    return kept


def _known(store: Store, id: str, *, param: str) -> Trace:
    trace = store.trace(bare_id(id))
    if trace is None:
        raise Refusal(f"no answer of this server has the id {id!r}", status=404, param=param, code="trace_not_found")
    return trace


def _content(event: Feedback) -> tuple[object, ...]:
    return event.trace_id, event.kind, event.value, event.text, event.other_trace_id
