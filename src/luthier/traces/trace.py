"""One served answer, as it is kept."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from luthier.records import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One served answer: what was asked of which model, what it said, and how long that took."""

    id: str
    created_at: str
    """When the request arrived: ISO 8601, UTC, milliseconds."""
    model_id: str
    """Content digest of the model that answered."""
    model_name: str
    """The name under which it was served."""
    messages: tuple[Message, ...]
    """The conversation that was answered; empty without consent."""
    answer: str
    """What was said, up to where the client went away if it did; empty without consent."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """How the answer was drawn, the seed included, so that it can be drawn again."""
    prompt_tokens: int
    completion_tokens: int
    """Generated tokens, the stop token included when there was one."""
    latency_ms: float
    """From the request's arrival to the last token, the wait in the queue included."""
    first_token_ms: float | None = None
    """From the request's arrival to the first token; None when there was none."""
    finish_reason: str
    """ "stop", "length", "cancelled" (the client went away) or "error"."""
    logprob_mean: float | None = None
    """Mean natural log-probability of the generated tokens; None when there was none."""
    consent: bool
    """Whether the person let the text be kept."""
    user: str | None = None
    """The end user that the application named; None without consent."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What the application attached to the request; empty without consent."""

    def without_text(self) -> Trace:
        """The same counts and timings, with nothing left of what was said or by whom."""
        return dataclasses.replace(self, messages=(), answer="", user=None, metadata={})


def new_id() -> str:
    """A fresh random id for an event: 96 bits, so that it cannot be guessed either."""
    return secrets.token_hex(12)


def now() -> str:
    """The present moment as events carry it: ISO 8601, UTC, milliseconds, so that text order is time order."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
