"""Turns of a conversation as they are found, to Messages; BadRow names the turn and the field that is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.names import CALL_ROLES, LONGEST_PLACEHOLDER, NO_INPUT, NO_OUTPUT, RESULT_ROLES, ROLE_NAMES
from luthier.curate.shapes.tool_turns import ToolCall, calls_of, result_text
from luthier.records import ROLES, Message
from luthier.records.nouns import Role
from luthier.similarity import INVISIBLE

CLOSE_ENOUGH = 0.75
"""Similarity from which a wrong role gets a hint; a wrong hint is worse than none."""
CONTENT_NAMES = ("content", "value", "text")
CALL_NAMES = ("tool_calls", "function_call")
REASONING_NAMES = ("reasoning_content", "reasoning")
REASONING = "<think>\n{}\n</think>\n\n"
"""How reasoning that stands in a field or a part of its own goes before the answer: as most templates read it."""
PART_TEXTS = ("text", "value")
"""Names under which a part keeps its text."""
WEIGHT_NAMES = ("loss_weight", "weight")
HEAVIEST = 1_000_000
_ROLES: Mapping[str, Role] = {
    **ROLE_NAMES, **dict.fromkeys(CALL_ROLES, "assistant"), **dict.fromkeys(RESULT_ROLES, "tool"),
}  # fmt: skip
_SPEAKERS: Mapping[str, Role] = {"Human": "user", "Assistant": "assistant"}
_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
_WRITTEN_CALL = re.compile(r"<\|?(?:tool|function)_?calls?\b", re.IGNORECASE)
"""A call within the text of a turn, as some sets have it."""


def messages_of(turns: Any, field: str, *, last: Role | None) -> tuple[Message, ...]:
    """The messages of a list of turns, each with role and content or from and value; `field` is the list's place.

    BadRow unless they are an optional system message, then user and assistant in turn, the user first, with the turns
    of tools after a call, and `last` (None is any) the last. An empty system message is a placeholder and is left out.
    Calls that are turns of their own join the assistant's turn before them.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise BadRow(
            "not a conversation", field=field, found=shown(turns), expected="a list of messages",
            fix='write [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]',
        )  # fmt: skip
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        message = message_of(turn, field, index)
        if message is None:
            continue
        before = messages[-1] if messages else None
        due = _due(before)
        if message.role not in due:
            joined = _joined(before, message, turn)
            if joined is None:
                raise _wrong_order(turn, f"{field}[{index}]", message.role, due)
            messages[-1] = joined
            continue
        if message.tool_call_id is not None:
            _check_call_id(messages, message.tool_call_id, f"{field}[{index}].tool_call_id")
        messages.append(message)
    _check_end(messages, field, last)
    return tuple(messages)


def message_of(turn: Any, field: str, index: int | None = None) -> Message | None:
    """The message of one turn, at `field` or at `index` in the list there; None for an empty system message."""
    plain = _plain(turn)
    if plain is not None:
        return plain
    place = field if index is None else f"{field}[{index}]"
    if not isinstance(turn, Mapping):
        raise BadRow("not a conversation", field=place, found=shown(turn), expected="an object with role and content",
                     fix='write {"role": "user", "content": "..."}')  # fmt: skip
    role_name = _role_field(turn)
    said = turn.get(role_name)
    name = next((name for name in CONTENT_NAMES if name in turn), CONTENT_NAMES[0])
    content = turn.get(name)
    role = _role(said, f"{place}.{role_name}")
    weight = _weight(turn, content, role, place)
    if role == "system" and _shows_nothing(content):
        return None
    if role == "tool":
        return _result(turn, content, f"{place}.{name}", weight)
    if role == "assistant":
        return _answer(turn, content, place, name, weight)
    return Message(role=role, content=text_of(content, f"{place}.{name}", is_answer=False), weight=weight)


def _plain(turn: Any) -> Message | None:
    """The message of a turn that is a known role and a text and nothing else, as most are; None for all others."""
    if type(turn) is not dict or len(turn) != 2:
        return None
    said, text = turn.get("role"), turn.get("content")
    if said is None:
        said, text = turn.get("from"), turn.get("value")
    role = ROLE_NAMES.get(said) if type(said) is str else None
    if role is None or type(text) is not str or is_blank(text) or (role == "assistant" and is_no_output(text)):
        return None
    return Message(role=role, content=text)


def transcript_messages(text: str, field: str, *, last: Role | None) -> tuple[Message, ...]:
    """The messages of a transcript, "\\n\\nHuman: ...\\n\\nAssistant: ..."."""
    head, *spoken = _SPEAKER.split(text)
    if head.strip() or not spoken:
        raise BadRow(
            "not a conversation", field=field, found=shown(text),
            expected="a transcript that begins with Human:, or a prompt in a field of its own",
            fix='add the field "prompt", or write the turns as "\\n\\nHuman: ...\\n\\nAssistant: ..."',
        )  # fmt: skip
    turns = zip(spoken[::2], spoken[1::2], strict=True)
    return messages_of([{"role": _SPEAKERS[speaker], "content": said.strip()} for speaker, said in turns], field,
                       last=last)  # fmt: skip


def is_transcript(text: Any) -> bool:
    """Whether a text is a transcript of Human and Assistant."""
    return isinstance(text, str) and text.lstrip().startswith("Human:") and _SPEAKER.search(text) is not None


def text_of(value: Any, field: str, *, is_answer: bool) -> str:
    """The text of a field that must have one: a string, or a list of text parts, which are joined."""
    if not isinstance(value, str):
        if isinstance(value, Sequence) and value:
            value = "".join([_part(part, f"{field}[{index}]") for index, part in enumerate(value)])
        elif value is not None and value != []:
            fix = f'write it in quotes: "{value}"' if isinstance(value, int | float) else "write the text itself"
            raise BadRow("not a string", field=field, found=shown(value), expected="a string", fix=fix)
    if value is None or value == [] or is_blank(value) or (is_answer and is_no_output(value)):
        what = "answer" if is_answer else "message"
        raise BadRow(f"empty {what}", field=field, found=shown(value), expected=f"the text of the {what}",
                     fix=f"write the {what}, or delete the row")  # fmt: skip
    text: str = value
    return text


def is_blank(text: str) -> bool:
    """Whether a text shows nothing."""
    shown = text.strip()
    return not shown or (not shown[0].isalnum() and not INVISIBLE.sub("", shown).strip())


def is_no_output(text: str) -> bool:
    """Whether a text says that there is no answer."""
    said = text.strip()
    return len(said) <= LONGEST_PLACEHOLDER and said.lower() in NO_OUTPUT


def is_no_input(text: str) -> bool:
    """Whether a text says that there is no input, or says nothing."""
    said = text.strip()
    return (len(said) <= LONGEST_PLACEHOLDER and said.casefold() in NO_INPUT) or is_blank(said)


def _due(before: Message | None) -> tuple[str, ...]:
    """Who may speak after a message."""
    if before is None:
        return "system", "user"
    if before.role == "user":
        return ("assistant",)
    if before.role == "tool":
        return "assistant", "tool"
    if before.role == "assistant":
        if before.tool_calls:
            return ("tool",)
        return ("user", "tool") if _WRITTEN_CALL.search(before.content) else ("user",)
    return ("user",)


def _joined(before: Message | None, message: Message, turn: Mapping[str, Any]) -> Message | None:
    """The assistant's message with the calls of the turn after it; None where that is no turn of calls alone."""
    is_one_turn = before is not None and before.role == "assistant" and before.loss_weight == message.loss_weight
    if before is None or not is_one_turn or not _is_call(turn):
        return None
    return replace(before, tool_calls=(*before.tool_calls, *message.tool_calls))


def _answer(turn: Mapping[str, Any], content: Any, place: str, name: str, weight: float | None) -> Message:
    """A turn of the assistant that may hold more than text: calls, reasoning, parts of several kinds."""
    field = f"{place}.{name}"
    if _is_call(turn):
        calls = calls_of(content, field)
        if not calls:
            raise BadRow("empty answer", field=field, found=shown(content), expected="a call of a tool",
                         fix="write the call, or delete the row")  # fmt: skip
        return Message(role="assistant", content="", weight=weight, tool_calls=calls)
    calls = ()
    for call_name in CALL_NAMES:
        calls = calls or calls_of(turn.get(call_name), f"{place}.{call_name}")
    reasoning = next((turn[key] for key in REASONING_NAMES if isinstance(turn.get(key), str) and turn[key].strip()), "")
    if isinstance(content, Sequence) and not isinstance(content, str):
        content, thought, inner = _sorted_parts(content, field)
        reasoning, calls = reasoning or thought, (*calls, *inner)
    text = "" if calls and _shows_nothing(content) else text_of(content, field, is_answer=True)
    if reasoning:
        text = REASONING.format(reasoning.strip()) + text
    return Message(role="assistant", content=text, weight=weight, tool_calls=calls)


def _sorted_parts(parts: Sequence[Any], field: str) -> tuple[list[Any], str, tuple[ToolCall, ...]]:
    """The parts that are text, the reasoning, and the calls."""
    texts: list[Any] = []
    thoughts: list[str] = []
    calls: tuple[ToolCall, ...] = ()
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, Mapping) else None
        held = next((part[name] for name in PART_TEXTS if name in part), None) if kind else None
        if kind in REASONING_NAMES and isinstance(held, str):
            thoughts.append(held)
        elif isinstance(kind, str) and kind in CALL_ROLES:
            calls = (*calls, *calls_of(part if held is None else held, f"{field}[{index}]"))
        else:
            texts.append(_part(part, f"{field}[{index}]"))
    return [{"type": "text", "text": text} for text in texts], "\n\n".join(thoughts), calls


def _result(turn: Mapping[str, Any], content: Any, field: str, weight: float | None) -> Message:
    is_parts = (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content)
    )
    text = (
        "".join([_part(part, f"{field}[{i}]") for i, part in enumerate(content)]) if is_parts else result_text(content)
    )
    call_id, name = turn.get("tool_call_id"), turn.get("name")
    return Message(role="tool", content=text, weight=weight, name=name if isinstance(name, str) and name else None,
                   tool_call_id=str(call_id) if call_id not in (None, "") else None)  # fmt: skip


def _shows_nothing(content: Any) -> bool:
    return content is None or content == [] or (isinstance(content, str) and is_blank(content))


def _check_call_id(messages: Sequence[Message], call_id: str, field: str) -> None:
    """BadRow when a tool answers a call that was not made in the last turn of calls."""
    asked = next((message for message in reversed(messages) if message.role == "assistant"), None)
    known = [call["id"] for call in asked.tool_calls if "id" in call] if asked is not None else []
    if known and call_id not in known:
        raise BadRow("wrong tool call id", field=field, found=shown(call_id),
                     expected=f"one of {', '.join(map(repr, known))}",
                     fix="write the id of the call that the tool answers")  # fmt: skip


def _wrong_order(turn: Mapping[str, Any], field: str, role: str, due: Sequence[str]) -> BadRow:
    return BadRow("wrong order", field=f"{field}.{_role_field(turn)}", found=shown(role), expected=" or ".join(due),
                  fix="let user and assistant alternate, the user first; join turns of one speaker, put a system "
                      "message at the very beginning, and a tool's answer after its call")  # fmt: skip


def _check_end(messages: Sequence[Message], field: str, last: Role | None) -> None:
    if not messages or messages[-1].role == "system":
        raise BadRow("empty conversation", field=field, found="no messages", expected="a user and an assistant message",
                     fix="write the conversation, or delete the row")  # fmt: skip
    if last == "assistant" and messages[-1].role != "assistant":
        raise BadRow("missing answer", field=field,
                     found=f"a conversation in which the {messages[-1].role} has the last word",
                     expected="an assistant message at the end, or targets",
                     fix="add the answer, or delete the row")  # fmt: skip
    if last == "user" and messages[-1].role == "assistant":
        raise BadRow("wrong order", field=field, found="a prompt that ends with the assistant",
                     expected="a prompt that ends with the user",
                     fix="move the last message into the answers")  # fmt: skip


def _role_field(turn: Mapping[str, Any]) -> str:
    return "role" if "role" in turn or "from" not in turn else "from"


def _is_call(turn: Mapping[str, Any]) -> bool:
    said = turn.get(_role_field(turn))
    return isinstance(said, str) and said.strip().casefold() in CALL_ROLES


def _role(value: Any, field: str) -> Role:
    name = value.strip().casefold() if isinstance(value, str) else ""
    if name in _ROLES:
        return _ROLES[name]
    close = difflib.get_close_matches(name, _ROLES, n=1, cutoff=CLOSE_ENOUGH)
    fix = f"did you mean {close[0]!r}? Write that" if close else "write one of these roles"
    raise BadRow("wrong role", field=field, found=shown(value), expected=f"one of {', '.join(ROLES)}", fix=fix)


def _part(part: Any, field: str) -> str:
    kind = part.get("type", "text") if isinstance(part, Mapping) else None
    text = next((part[name] for name in PART_TEXTS if name in part), None) if isinstance(part, Mapping) else None
    if kind != "text" or not isinstance(text, str):
        raise BadRow("not text", field=field, found=shown(kind) if kind != "text" else shown(part),
                     expected='a part {"type": "text", "text": "..."}',
                     fix="leave out what is not text, or delete the row")  # fmt: skip
    return text


def _weight(turn: Mapping[str, Any], content: Any, role: Role, field: str) -> float | None:
    """The turn's loss weight, or that of its parts, or None where it is what its role has anyway."""
    name = next((name for name in WEIGHT_NAMES if turn.get(name) is not None), None)
    if name is not None:
        return _number(turn[name], f"{field}.{name}", role)
    weights = []
    for index, part in enumerate(content if isinstance(content, list) else ()):
        name = next((n for n in WEIGHT_NAMES if part.get(n) is not None), None) if isinstance(part, Mapping) else None
        if name is not None:
            weights.append(_number(part[name], f"{field}.content[{index}].{name}", role))
    if len(set(weights)) > 1 or 0 < len(weights) < len(content):
        raise BadRow("wrong weight", field=f"{field}.content", found="parts of one turn with different weights",
                     expected="one weight for all parts of a turn",
                     fix="give the turn one weight; only whole turns can be left out of training")  # fmt: skip
    return weights[0] if weights else None


def _number(weight: Any, field: str, role: Role) -> float | None:
    """A weight of a turn or a part; None where it is what the role has anyway."""
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= HEAVIEST:
        raise BadRow("wrong weight", field=field, found=shown(weight), expected=f"a number from 0 to {HEAVIEST:,}",
                     fix="write 0 for a turn that must not train, 1 for one that must")  # fmt: skip
    return None if weight == (1.0 if role == "assistant" else 0.0) else float(weight)
