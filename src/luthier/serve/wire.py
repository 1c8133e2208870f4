"""Requests as they come over the wire: every parameter is honoured or refused by name, none is ignored."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from luthier.records import Message, Sampling, content_id
from luthier.serve.refusals import Refusal

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
# What the model types do not name is kept aside and judged by `_refuse_rest`, which knows more than "forbidden".
JUDGED = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "parallel_tool_calls": (True,),
    "prediction": (),
    "presence_penalty": (0,),
    "prompt_cache_key": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "safety_identifier": (),
    "service_tier": ("auto", "default"),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
"""OpenAI's parameters that are not served, with the values that ask for nothing and may be sent; null always may."""
UNSUPPORTED_IN_MESSAGE = ("annotations", "audio", "function_call", "name", "refusal", "tool_call_id", "tool_calls")
"""Fields of OpenAI's messages that must be null here; clients send them back when they echo an answer."""

LEAST_TEMPERATURE = 1e-4
"""Below this, dividing logits overflows; the limit is the greedy choice, and that is what is drawn."""
LEAST_TOP_P = 1e-6
"""OpenAI allows 0; the smallest set of tokens is then the likeliest one alone."""


def _text_of_parts(value: object) -> object:
    """Content as a string; OpenAI also allows a list of parts, of which text is the one that is served."""
    if not isinstance(value, list):
        return value
    texts = []
    for number, part in enumerate(value):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ValueError(f'part {number} must be {{"type": "text", "text": "..."}}; this server takes text only')
        texts.append(part["text"])
    return "".join(texts)


def _refuse_half_characters(data: object) -> object:
    """JSON can spell half of a surrogate pair; no tokenizer, file or response can hold it."""
    if isinstance(data, dict):
        for name, value in data.items():
            try:
                json.dumps([name, value], ensure_ascii=False).encode()
            except UnicodeEncodeError:
                param = str(name).encode(errors="replace").decode()
                raise Refusal(f"{param!r} holds half a character", param=param, code="invalid_value") from None
    return data


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _system_by_its_newer_name(value: object) -> object:
    return "system" if value == "developer" else value


Stops = Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(max_length=4)]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]


class WireMessage(BaseModel):
    """One turn; the role "developer" is OpenAI's newer name for "system"."""

    model_config = JUDGED
    role: Annotated[Literal["system", "user", "assistant"], BeforeValidator(_system_by_its_newer_name)]
    content: Annotated[str, BeforeValidator(_text_of_parts)]


class StreamOptions(BaseModel):
    """Of a streamed answer."""

    model_config = STRICT
    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class ChatRequest(BaseModel):
    """POST /v1/chat/completions."""

    model_config = JUDGED
    model: str
    messages: list[WireMessage] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stop: Annotated[Stops | None, BeforeValidator(_as_list)] = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    n: int | None = Field(default=None, ge=1, le=16)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    user: str | None = Field(default=None, max_length=512)
    metadata: Metadata | None = None
    store: bool | None = None
    """Whether the text of this answer may be kept; the server's `trace_consent` when it is not given."""

    check_characters = model_validator(mode="before")(_refuse_half_characters)

    def refuse_what_is_not_served(self) -> None:
        """Refusal names the first parameter that this server would otherwise ignore."""
        for name, value in (self.__pydantic_extra__ or {}).items():
            _refuse_rest(name, value, UNSUPPORTED.get(name), place=name)
        for number, message in enumerate(self.messages):
            for name, value in (message.__pydantic_extra__ or {}).items():
                allowed: tuple[object, ...] | None = ([],) if name in UNSUPPORTED_IN_MESSAGE else None
                _refuse_rest(name, value, allowed, place=f"messages[{number}].{name}")
        if self.stream_options is not None and not self.stream:
            raise Refusal("'stream_options' is for streamed answers only", param="stream_options", code="invalid_value")
        limits = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(limits) > 1:
            raise Refusal("'max_tokens' and 'max_completion_tokens' differ; give one of them", param="max_tokens")

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages as records."""
        return tuple(Message(role=turn.role, content=turn.content) for turn in self.messages)

    @property
    def num_choices(self) -> int:
        """How many answers are asked for."""
        return self.n or 1

    def sampling(self, *, max_new_tokens: int) -> Sampling:
        """How to draw, with OpenAI's defaults; a fresh random seed if none is given. The limit is for want of one."""
        temperature = 1.0 if self.temperature is None else self.temperature
        return Sampling(
            max_new_tokens=self.max_completion_tokens or self.max_tokens or max_new_tokens,
            temperature=temperature if temperature >= LEAST_TEMPERATURE else 0.0,
            top_p=1.0 if self.top_p is None else max(self.top_p, LEAST_TOP_P),
            seed=secrets.randbits(32) if self.seed is None else self.seed,
            stop=tuple(self.stop or ()),
        )


def choice_seed(seed: int, index: int) -> int:
    """The seed of one of several answers: the first has the request's own, the others are derived from it."""
    return seed if index == 0 else int(content_id("choice", seed, index)[:8], 16)


class FeedbackRequest(BaseModel):
    """POST /v1/feedback."""

    model_config = STRICT
    kind: Literal["thumb", "edit", "comparison", "score", "comment"]
    trace_id: str = Field(min_length=1, max_length=128)
    """The id of the answer; with or without "chatcmpl-"."""
    value: float | None = Field(default=None, ge=0, le=1)
    text: str | None = Field(default=None, min_length=1)
    other_trace_id: str | None = Field(default=None, min_length=1, max_length=128)
    rater: str | None = Field(default=None, max_length=512)
    source: str = Field(default="api", max_length=64)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=128)
    supersedes: str | None = Field(default=None, max_length=128)
    """The id of an earlier event about the same answer, which this one takes the place of."""

    check_characters = model_validator(mode="before")(_refuse_half_characters)

    def refuse_what_does_not_fit(self) -> None:
        """Refusal names the first field that this kind of feedback needs or has no use for."""
        needs_text = self.kind in ("edit", "comment")
        for name, value, is_wanted in (
            ("value", self.value, not needs_text),
            ("text", self.text, needs_text),
            ("other_trace_id", self.other_trace_id, self.kind == "comparison"),
        ):
            if is_wanted and value is None:
                raise Refusal(f"{self.kind!r} needs {name!r}", param=name, code="missing_required_parameter")
            if not is_wanted and value is not None:
                raise Refusal(f"{self.kind!r} takes no {name!r}", param=name, code="invalid_value")
        steps = {"thumb": (0.0, 1.0), "comparison": (0.0, 0.5, 1.0)}.get(self.kind)
        if steps and self.value not in steps:
            words = ", ".join(f"{step:g}" for step in steps)
            raise Refusal(f"the value of a {self.kind} is one of {words}", param="value", code="invalid_value")
        if self.other_trace_id is not None and bare_id(self.other_trace_id) == bare_id(self.trace_id):
            raise Refusal("an answer cannot be compared with itself", param="other_trace_id", code="invalid_value")


def bare_id(text: str) -> str:
    """The trace id in the id of a response."""
    return text.removeprefix("chatcmpl-")


def _refuse_rest(name: str, value: object, allowed: tuple[object, ...] | None, *, place: str) -> None:
    if allowed is None:
        raise Refusal(f"unknown parameter {place!r}", param=place, code="unknown_parameter")
    if value is None or any(_is_same(value, option) for option in allowed):
        return
    raise Refusal(f"this server does not support {place!r}", param=place, code="unsupported_parameter")


def _is_same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
