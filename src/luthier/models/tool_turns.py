"""Tools, their calls and their answers, as a chat template is given them; and proof that it writes them.

A template that knows nothing of tools renders such a conversation without a complaint and without the calls, or has the
assistant say what a tool answered. A model trained on that learns to make results up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from luthier.records import Message

Tools = Sequence[Mapping[str, Any]]
Render = Callable[[list[dict[str, Any]], list[dict[str, Any]]], str | None]
"""A chat and its tools to the text that the template makes of them; None where the template refuses."""
PROBE = "luthierprobe"
"""Stands, with a number after it, for a name or a text that the template must write."""


class Lost(NamedTuple):
    """Something of a conversation that a template does not write as it should."""

    place: str
    """Where it is in the row: "messages[2].tool_calls[0]"."""
    what: str


def has_tools(messages: Sequence[Message], tools: Tools) -> bool:
    """Whether tools play a part in a conversation."""
    return bool(tools) or any(message.tool_calls or message.role == "tool" for message in messages)


def chat_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation as transformers' templates are given it: arguments of calls are objects, not texts."""
    return [_turn(message) for message in messages]


def structure_of(messages: Sequence[Message], tools: Tools) -> tuple[Any, ...]:
    """Equal for conversations that differ in their texts only: what a template writes of one it writes of the other."""
    turns = [(m.role, len(m.tool_calls), bool(m.content), m.name is None, m.tool_call_id is None) for m in messages]
    return len(tools), *turns


def lost(messages: Sequence[Message], tools: Tools, render: Render) -> Lost | None:
    """What the template does not write of tools, calls and answers; None where all is there.

    Each is replaced by a text of its own, which must stand in what the template makes of the conversation.
    """
    chat, offered = chat_of(messages), [json.loads(json.dumps(tool)) for tool in tools]
    probes: list[Lost] = []

    def probe(place: str, what: str) -> str:
        probes.append(Lost(place, what))
        return f"{PROBE}{len(probes)}x"

    for index, tool in enumerate(offered):
        tool["function"]["name"] = probe(f"tools[{index}]", "a tool that the model is offered")
    for index, turn in enumerate(chat):
        for number, call in enumerate(turn.get("tool_calls", ())):
            call["function"]["name"] = probe(f"messages[{index}].tool_calls[{number}]", "a call of a tool")
        if turn["role"] == "tool":
            turn["content"] = probe(f"messages[{index}]", "the answer of a tool")
    text = render(chat, offered)
    if text is None:
        return None  # it says itself what it does not take
    for number, missing in enumerate(probes, start=1):
        if f"{PROBE}{number}x" not in text:
            return missing
    as_said = [{**turn, "role": "assistant"} if turn["role"] == "tool" else turn for turn in chat]
    first = next((index for index, turn in enumerate(chat) if turn["role"] == "tool"), None)
    if first is not None and render(as_said, offered) == text:
        return Lost(f"messages[{first}]", "the answer of a tool, written as if the assistant said it,")
    return None


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        turn["name"] = message.name
    return turn


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call["function"])
    with suppress(ValueError):  # then the template gets the text as it stands
        function["arguments"] = json.loads(function["arguments"])
    return {**call, "function": function}
