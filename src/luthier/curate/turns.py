"""Turns of a conversation as they are found, to Messages; BadRow names the turn and the field that is wrong."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.names import NO_OUTPUT, ROLE_NAMES, TOOL_ROLES
from luthier.records import ROLES, Message
from luthier.records.nouns import Role
from luthier.similarity import INVISIBLE

CLOSE_ENOUGH = 0.75
"""Similarity from which a wrong role gets a hint; a wrong hint is worse than none."""
CALLS = ("tool_calls", "function_call")
PART_TEXTS = ("text", "value")
"""Names under which a part of type "text" keeps its text."""
_SPEAKER = re.compile(r"\n\n(Human|Assistant):")


def messages_of(turns: Any, field: str, *, last: Role | None) -> tuple[Message, ...]:
    """The messages of a list of turns, each with role and content or from and value; `field` is the list's place.

    BadRow unless they are an optional system message, then user and assistant in turn, the user first, and `last` (None
    is either) the last. An empty system message is a placeholder and is left out.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise BadRow(
            "not a conversation", field=field, found=shown(turns), expected="a list of messages",
            fix='write [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]',
        )  # fmt: skip
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        message = message_of(turn, f"{field}[{index}]")
        if message is None:
            continue
        due = ("system", "user") if not messages else ("assistant" if messages[-1].role == "user" else "user",)
        if message.role not in due:
            raise BadRow("wrong order", field=f"{field}[{index}].{_role_field(turn)}", found=shown(message.role),
                         expected=" or ".join(due),
                         fix="let user and assistant alternate, the user first; join turns of one speaker, and put a "
                             "system message at the very beginning")  # fmt: skip
        messages.append(message)
    _check_end(messages, field, last)
    return tuple(messages)


def message_of(turn: Any, field: str) -> Message | None:
    """The message of one turn; None for an empty system message."""
    if not isinstance(turn, Mapping):
        raise BadRow("not a conversation", field=field, found=shown(turn), expected="an object with role and content",
                     fix='write {"role": "user", "content": "..."}')  # fmt: skip
    role_name = _role_field(turn)
    role = _role(turn.get(role_name), f"{field}.{role_name}")
    for call in CALLS:
        if turn.get(call):
            raise _tools(f"{field}.{call}", shown(turn[call]))
    content_name = "content" if "content" in turn or "value" not in turn else "value"
    content = turn.get(content_name)
    if role == "system" and (content is None or (isinstance(content, str) and is_blank(content))):
        return None
    text = text_of(content, f"{field}.{content_name}", is_answer=role == "assistant")
    return Message(role=role, content=text, weight=_weight(turn, role, field))


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
    return messages_of([{"role": speaker, "content": said.strip()} for speaker, said in turns], field, last=last)


def is_transcript(text: Any) -> bool:
    """Whether a text is a transcript of Human and Assistant."""
    return isinstance(text, str) and text.lstrip().startswith("Human:") and _SPEAKER.search(text) is not None


def text_of(value: Any, field: str, *, is_answer: bool) -> str:
    """The text of a field that must have one: a string, or a list of text parts, which are joined."""
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        parts = [_part(part, f"{field}[{index}]") for index, part in enumerate(value)]
        value = "".join(parts)
    if value is not None and not isinstance(value, str) and value != []:
        fix = f'write it in quotes: "{value}"' if isinstance(value, int | float) else "write the text itself"
        raise BadRow("not a string", field=field, found=shown(value), expected="a string", fix=fix)
    if not isinstance(value, str) or is_blank(value) or (is_answer and value.strip().lower() in NO_OUTPUT):
        what = "answer" if is_answer else "message"
        raise BadRow(f"empty {what}", field=field, found=shown(value), expected=f"the text of the {what}",
                     fix=f"write the {what}, or delete the row")  # fmt: skip
    return value


def is_blank(text: str) -> bool:
    """Whether a text shows nothing."""
    shown = text.strip()
    return not shown or (not shown[0].isalnum() and not INVISIBLE.sub("", shown).strip())


def no_tools(row: Mapping[str, Any]) -> None:
    """BadRow for a row that offers tools to the model."""
    for name in ("tools", "functions"):
        tools = row.get(name)
        if tools and not (isinstance(tools, str) and tools.strip() in ("[]", "{}", "null", "")):
            raise _tools(name, shown(tools))


def _check_end(messages: Sequence[Message], field: str, last: Role | None) -> None:
    if not messages or messages[-1].role == "system":
        raise BadRow("empty conversation", field=field, found="no messages", expected="a user and an assistant message",
                     fix="write the conversation, or delete the row")  # fmt: skip
    if last == "assistant" and messages[-1].role == "user":
        raise BadRow("missing answer", field=field, found="a conversation in which the user has the last word",
                     expected="an assistant message at the end, or targets",
                     fix="add the answer, or delete the row")  # fmt: skip
    if last == "user" and messages[-1].role == "assistant":
        raise BadRow("wrong order", field=field, found="a prompt that ends with the assistant",
                     expected="a prompt that ends with the user",
                     fix="move the last message into the answers")  # fmt: skip


def _role_field(turn: Mapping[str, Any]) -> str:
    return "role" if "role" in turn or "from" not in turn else "from"


def _role(value: Any, field: str) -> Role:
    name = value.strip().casefold() if isinstance(value, str) else ""
    if name in ROLE_NAMES:
        return ROLE_NAMES[name]
    if name in TOOL_ROLES:
        raise _tools(field, shown(value))
    close = difflib.get_close_matches(name, ROLE_NAMES, n=1, cutoff=CLOSE_ENOUGH)
    fix = f"did you mean {close[0]!r}? Write that" if close else "write one of these roles"
    raise BadRow("wrong role", field=field, found=shown(value), expected=f"one of {', '.join(ROLES)}", fix=fix)


def _part(part: Any, field: str) -> str:
    kind = part.get("type", "text") if isinstance(part, Mapping) else None
    text = next((part[name] for name in PART_TEXTS if name in part), None) if isinstance(part, Mapping) else None
    if isinstance(kind, str) and kind in TOOL_ROLES:
        raise _tools(f"{field}.type", shown(kind))
    if kind != "text" or not isinstance(text, str):
        raise BadRow("not text", field=field, found=shown(kind) if kind != "text" else shown(part),
                     expected='a part {"type": "text", "text": "..."}',
                     fix="leave out what is not text, or delete the row")  # fmt: skip
    return text


def _weight(turn: Mapping[str, Any], role: Role, field: str) -> float | None:
    """The turn's loss weight, or None where it is what its role has anyway."""
    name = next((name for name in ("loss_weight", "weight") if turn.get(name) is not None), None)
    if name is None:
        return None
    weight = turn[name]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not (math.isfinite(weight) and weight >= 0):
        raise BadRow("wrong weight", field=f"{field}.{name}", found=shown(weight), expected="a number, 0 or more",
                     fix="write 0 for a turn that must not train, 1 for one that must")  # fmt: skip
    return None if weight == (1.0 if role == "assistant" else 0.0) else float(weight)


def _tools(field: str, found: str) -> BadRow:
    return BadRow("tool calls", field=field, found=found, expected="a conversation without tools",
                  fix="leave rows with tools out: training on tool calls is not supported yet")  # fmt: skip
