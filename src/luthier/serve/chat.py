"""POST /v1/chat/completions: an ask to the worker, its events back in OpenAI's words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from luthier.serve.answers import Ask, Said, Started, answer
from luthier.serve.engine import Piece
from luthier.serve.refusals import SERVER_FAULT, Refusal, fault_text
from luthier.serve.serving import Serving, serving_of
from luthier.serve.wire import ChatRequest
from luthier.serve.worker import Ticket

router = APIRouter()
DONE = "data: [DONE]\n\n"

Events = Ticket[Started | Said]


@router.post("/v1/chat/completions")
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Answer a conversation, at once or as a stream of server-sent events."""
    serving = serving_of(request)
    body.refuse_what_is_not_served()
    ask = _ask(serving, body)
    events = _start(serving, ask)
    request.state.watching = asyncio.create_task(_cancel_on_disconnect(request, events))
    first = await anext(events, None)
    if not isinstance(first, Started):
        return Response(status_code=499)  # the client went away while it waited; nobody reads this
    reply = _Reply(ask, prompt_tokens=first.prompt_tokens, has_logprobs=bool(body.logprobs))
    if not body.stream:
        async for event in events:
            reply.add(event)
        return JSONResponse(reply.whole())
    wants_usage = body.stream_options is not None and body.stream_options.include_usage
    return StreamingResponse(
        _server_sent(serving, events, reply, wants_usage=wants_usage), media_type="text/event-stream"
    )


def _ask(serving: Serving, body: ChatRequest) -> Ask:
    if body.store and serving.store is None:
        raise Refusal("this server keeps no answers", param="store", code="unsupported_value")
    return Ask(
        engine=serving.engine(body.model),
        messages=body.conversation,
        sampling=body.sampling(max_new_tokens=serving.config.max_new_tokens),
        num_choices=body.num_choices,
        consent=serving.config.trace_consent if body.store is None else body.store,
        user=body.user,
        metadata=body.metadata or {},
    )


def _start(serving: Serving, ask: Ask) -> Events:
    store = serving.store
    keep = store.add_trace if store is not None else lambda trace: None
    return serving.worker.start(lambda is_cancelled: answer(ask, keep=keep, is_cancelled=is_cancelled))


async def _cancel_on_disconnect(request: Request, events: Events) -> None:
    """Free the slot of a client that goes away. Ends with the request: a finished one counts as disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    events.cancel()


async def _server_sent(serving: Serving, events: Events, reply: _Reply, *, wants_usage: bool) -> AsyncIterator[str]:
    """The stream as text."""
    try:
        for index in range(reply.ask.num_choices):
            yield reply.chunk(index, {"role": "assistant", "content": ""}, wants_usage=wants_usage)
        async for event in events:
            assert isinstance(event, Said)
            reply.add(event)
            delta = {"content": event.piece.text} if event.piece.text else {}
            if delta or reply.has_logprobs or event.piece.finish_reason:
                yield reply.chunk(event.index, delta, piece=event.piece, wants_usage=wants_usage)
        if wants_usage:
            yield _data({**reply.head("chat.completion.chunk"), "choices": [], "usage": reply.usage()})
    except Exception as error:  # the status is sent; what is left is to say so within the stream
        serving.say(fault_text(f"answer {reply.ask.id}", error))
        yield _data(Refusal(SERVER_FAULT, status=500).envelope())
    yield DONE


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None


class _Reply:
    """A response as it grows."""

    def __init__(self, ask: Ask, *, prompt_tokens: int, has_logprobs: bool) -> None:
        self.ask = ask
        self.has_logprobs = has_logprobs
        self._prompt_tokens = prompt_tokens
        self._completion_tokens = 0
        self._choices = [_Choice() for _ in range(ask.num_choices)]
        self._created = int(time.time())

    def add(self, event: Started | Said) -> None:
        assert isinstance(event, Said)
        choice = self._choices[event.index]
        choice.texts.append(event.piece.text)
        choice.logprobs.append(_logprob(event.piece))
        choice.finish_reason = event.piece.finish_reason
        self._completion_tokens += 1

    def usage(self) -> dict[str, int]:
        total = self._prompt_tokens + self._completion_tokens
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": total,
        }

    def head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.ask.id}",
            "object": kind,
            "created": self._created,
            "model": self.ask.engine.name,
            "system_fingerprint": self.ask.engine.digest,
        }

    def whole(self) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": "".join(choice.texts), "refusal": None},
                "logprobs": {"content": choice.logprobs, "refusal": None} if self.has_logprobs else None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(self._choices)
        ]
        return {**self.head("chat.completion"), "choices": choices, "usage": self.usage()}

    def chunk(self, index: int, delta: dict[str, Any], *, wants_usage: bool, piece: Piece | None = None) -> str:
        has_logprobs = self.has_logprobs and piece is not None
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": {"content": [_logprob(piece)], "refusal": None} if has_logprobs and piece else None,
            "finish_reason": piece.finish_reason if piece else None,
        }
        usage = {"usage": None} if wants_usage else {}
        return _data({**self.head("chat.completion.chunk"), "choices": [choice], **usage})


def _logprob(piece: Piece) -> dict[str, Any]:
    """A token's log-probability; its text is what it added to the answer, so that the texts joined are the answer."""
    return {
        "token": piece.text,
        "logprob": piece.logprob,
        "bytes": list(piece.text.encode()),
        "top_logprobs": [],
    }


def _data(event: dict[str, Any]) -> str:
    # ASCII: some clients take U+2028 and its like for the end of a line.
    return f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
