"""The record types. They import nothing of ours and never change after creation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)
"""The roles a message may have."""

ID_HEX_DIGITS = 16
"""64 bits: among ten million rows the chance that any two collide is about 3e-6."""


def content_id(*parts: object) -> str:
    """The id of some content: the first 16 hex digits of the sha256 of its canonical JSON.

    >>> content_id("a", 1) == content_id("a", 1)
    True
    """
    return hashlib.sha256(_canonical(parts).encode("ascii")).hexdigest()[:ID_HEX_DIGITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    weight: float | None = None
    """Loss weight of the turn's tokens; None is the role's default: 1 for the assistant, 0 for everyone else."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """What the assistant asks to be run, in OpenAI's form: {"type": "function", "function": {"name", "arguments"}} and
    perhaps an "id"; the arguments are a JSON text."""
    tool_call_id: str | None = None
    """Of a tool's turn: the id of the call that it answers."""
    name: str | None = None
    """Who speaks, where the role does not say it: the tool of a tool's turn."""

    @property
    def text(self) -> str:
        """What the turn says, for hashing, similarity and display: its content, and a line for each tool call."""
        if not self.tool_calls:
            return self.content
        calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in self.tool_calls]
        return "\n".join([self.content, *calls] if self.content else calls)

    @property
    def loss_weight(self) -> float:
        """The weight that training gives to this turn."""
        if self.weight is not None:
            return self.weight
        return 1.0 if self.role == "assistant" else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One thing we ask a model, and what we want back. Curate writes it; every other stage reads it."""

    id: str
    """Hash of messages, targets, choices and tools: the same content always has the same id. Made by `Example.of`."""
    messages: tuple[Message, ...]
    """The conversation, oldest first. Training rows end with the assistant's answer; evaluation items may not."""
    targets: tuple[str, ...] = ()
    """Accepted answers; empty when only a judge or a test can tell."""
    choices: tuple[str, ...] = ()
    """The options of a classification item, in the order shown."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """The tools that the model is offered, in OpenAI's form: {"type": "function", "function": {"name", ...}}."""
    grading: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for graders; key "grader" names the grader this item asks for."""
    task: str | None = None
    cluster: str | None = None
    template: str | None = None
    language: str | None = None
    links: tuple[str, ...] = ()
    """Document, conversation or user ids that a split must keep together."""
    source: str = ""
    """Where it came from: "data/faq.jsonl:41" or "trace:9f3c"."""
    licence: str | None = None
    generator: str | None = None
    """What wrote a synthetic row: a model's name."""

    @classmethod
    def of(
        cls,
        messages: Sequence[Message],
        *,
        targets: Sequence[str] = (),
        choices: Sequence[str] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        **rest: Any,
    ) -> Example:
        """An example with its content id. `targets` defaults to the final assistant message, if that says something
        or calls no tool."""
        kept = tuple(messages)
        if not targets and kept and kept[-1].role == "assistant" and (kept[-1].content or not kept[-1].tool_calls):
            targets = (kept[-1].content,)
        # The answer is usually the only target; it need not be hashed twice.
        others = () if kept and len(targets) == 1 and targets[0] == kept[-1].content else targets
        count = len(others) or ("final" if targets else 0)
        head = f"example {len(kept)} {count} {len(choices)} {_canonical(tools) if tools else ''}"
        said = [text for message in kept for text in (_manner(message, message.weight), message.content)]
        identity = _text_id((head, *said, *others, *choices))
        return cls(id=identity, messages=kept, targets=tuple(targets), choices=tuple(choices), tools=tuple(tools),
                   **rest)  # fmt: skip

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What a model is shown: everything but the final assistant message."""
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[:-1]
        return self.messages

    @property
    def target(self) -> str | None:
        """The first accepted answer, or None."""
        return self.targets[0] if self.targets else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model said to one example: an RL rollout, an evaluation answer and a served reply alike."""

    id: str
    example_id: str
    model_id: str
    """Content digest of the model (see models.folders.digest)."""
    text: str
    token_ids: tuple[int, ...] = ()
    """Generated tokens, the stop token included when there was one."""
    logprobs: tuple[float, ...] = ()
    """Natural log-probability of each token under the distribution it was drawn from; one per token id."""
    finish_reason: Literal["stop", "length"] = "stop"

    @classmethod
    def of(cls, *, example_id: str, model_id: str, text: str, sample: int = 0, **rest: Any) -> Completion:
        """A completion with its content id; `sample` tells several draws for one example apart."""
        identity = content_id("completion", example_id, model_id, text, sample)
        return cls(id=identity, example_id=example_id, model_id=model_id, text=text, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What we think of one completion: a reward, a metric, a monitor's score and a thumb alike."""

    completion_id: str
    example_id: str
    grader: str
    value: float | None
    """0 to 1; None means "could not tell": left out of every mean and counted beside it."""
    reason: str = ""
    is_error: bool = False
    """The grader itself failed; value is None. An error is never a zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Two answers to one prompt, and which is better."""

    id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    origin: str = ""
    """Who preferred it: "file", "edit", "thumbs", "comparison"."""
    task: str | None = None
    cluster: str | None = None
    template: str | None = None
    language: str | None = None
    source: str = ""
    licence: str | None = None
    links: tuple[str, ...] = ()
    generator: str | None = None
    """What wrote a synthetic row: a model's name."""

    @classmethod
    def of(cls, prompt: Sequence[Message], *, chosen: str, rejected: str, **rest: Any) -> Preference:
        """A preference with its content id."""
        said = [text for message in prompt for text in (_manner(message, None), message.content)]
        identity = _text_id((f"preference {len(prompt)}", *said, chosen, rejected))
        return cls(id=identity, prompt=tuple(prompt), chosen=chosen, rejected=rejected, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a person said of a served answer. Raw events never change; a newer one may supersede an older."""

    id: str
    trace_id: str
    kind: Literal["thumb", "edit", "comparison", "score", "comment"]
    value: float | None = None
    """Thumb: 1 up, 0 down. Score: 0 to 1. Comparison: 1 when this trace won, 0.5 a tie, 0 when it lost."""
    text: str | None = None
    """Edit: the answer as it should have been. Comment: what was said."""
    other_trace_id: str | None = None
    """Comparison: the trace it was compared with."""
    rater: str | None = None
    source: str = ""
    """Which page or program it came from: "chat", "api"."""
    created_at: str = ""
    """ISO 8601, UTC."""
    idempotency_key: str | None = None
    supersedes: str | None = None


def conversation_text(messages: Sequence[Message]) -> str:
    """The conversation as one string for hashing, similarity and display: a "role: text" line per turn."""
    return "\n".join(f"{m.role}: {m.text}" for m in messages)


def _text_id(texts: Sequence[str]) -> str:
    """The id of some texts in order: each goes into the hash with its length before it, so that no two lists of texts
    are the same bytes. Several times faster than canonical JSON, which escapes every text."""
    data = "".join([f"{len(text)}:{text}" for text in texts]).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:ID_HEX_DIGITS]


def _manner(message: Message, weight: float | None) -> str:
    """All of a message but its content, as an id depends on it."""
    manner: str = message.role
    if weight is not None and weight != (1.0 if manner == "assistant" else 0.0):
        manner = f"{manner} {float(weight)}"
    if message.tool_calls or message.tool_call_id or message.name:
        manner = f"{manner} {_canonical((message.tool_calls, message.tool_call_id, message.name))}"
    return manner


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
