"""One request's answers, drawn step by step on the worker's thread, and the trace that each leaves."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from luthier.errors import LuthierError
from luthier.records import Message, Sampling
from luthier.serve.engine import Engine, Piece
from luthier.serve.refusals import Refusal
from luthier.serve.wire import choice_seed
from luthier.traces import Trace, new_id, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that passed the checks, and the model that it stays with to its end."""

    engine: Engine
    messages: tuple[Message, ...]
    sampling: Sampling
    num_choices: int
    consent: bool
    user: str | None
    metadata: dict[str, str]
    id: str = field(default_factory=new_id)
    arrived_at: str = field(default_factory=now)
    arrived_s: float = field(default_factory=time.perf_counter)
    """On the monotonic clock, for durations."""

    def trace_id(self, index: int) -> str:
        """The trace of one choice: the first has the request's id."""
        return self.id if index == 0 else f"{self.id}-{index}"


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt was read and fits."""

    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of one choice."""

    index: int
    piece: Piece


@dataclass(slots=True)
class _Draft:
    """What was said so far."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    first_token_ms: float | None = None
    finish_reason: str = "cancelled"
    """What it stays unless the answer comes to an end."""


def answer(
    ask: Ask, *, keep: Callable[[Trace], None], is_cancelled: Callable[[], bool]
) -> Generator[Started | Said, None, None]:
    """Each step of each choice. Every choice that was begun is kept as a trace, also when it was broken off."""
    prompt_ids = _prompt_ids(ask)
    room = ask.engine.max_length - len(prompt_ids)
    yield Started(len(prompt_ids))
    for index in range(ask.num_choices):
        sampling = dataclasses.replace(
            ask.sampling,
            seed=choice_seed(ask.sampling.seed, index),
            max_new_tokens=min(ask.sampling.max_new_tokens, room),
        )
        draft = _Draft()
        try:
            for piece in ask.engine.stream(prompt_ids, sampling, is_cancelled):
                if draft.first_token_ms is None:
                    draft.first_token_ms = _ms_since(ask.arrived_s)
                draft.texts.append(piece.text)
                draft.logprobs.append(piece.logprob)
                if piece.finish_reason is not None:
                    draft.finish_reason = piece.finish_reason
                yield Said(index, piece)
        except Exception:
            draft.finish_reason = "error"
            raise
        finally:
            keep(_trace(ask, index, sampling, draft, prompt_tokens=len(prompt_ids)))
        if is_cancelled():
            return


def _prompt_ids(ask: Ask) -> list[int]:
    try:
        ids = ask.engine.prompt_ids(ask.messages)
    except LuthierError as error:
        # A template may refuse a conversation: no system turn, say, or two user turns in a row.
        raise Refusal(error.summary + "".join(f": {p.found}" for p in error.problems), param="messages") from error
    if len(ids) >= ask.engine.max_length:
        raise Refusal(
            f"this model's context length is {ask.engine.max_length} tokens, "
            f"but the messages are {len(ids)} tokens and leave no room for an answer",
            param="messages", code="context_length_exceeded",
        )  # fmt: skip
    return ids


def _trace(ask: Ask, index: int, sampling: Sampling, draft: _Draft, *, prompt_tokens: int) -> Trace:
    return Trace(
        id=ask.trace_id(index),
        created_at=ask.arrived_at,
        model_id=ask.engine.digest,
        model_name=ask.engine.name,
        messages=ask.messages,
        answer="".join(draft.texts),
        sampling=dataclasses.asdict(sampling),
        prompt_tokens=prompt_tokens,
        completion_tokens=len(draft.logprobs),
        latency_ms=_ms_since(ask.arrived_s),
        first_token_ms=draft.first_token_ms,
        finish_reason=draft.finish_reason,
        logprob_mean=sum(draft.logprobs) / len(draft.logprobs) if draft.logprobs else None,
        consent=ask.consent,
        user=ask.user,
        metadata=ask.metadata,
    )


def _ms_since(start_s: float) -> float:
    return round((time.perf_counter() - start_s) * 1000, 3)
