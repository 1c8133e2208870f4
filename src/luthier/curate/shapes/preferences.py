"""Rows of two answers to one prompt, of which one is preferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import Row
from luthier.curate.names import CONVERSATION_NAMES, INPUT_NAMES, PROMPT_NAMES
from luthier.curate.shapes.fields import keys, prompt_of, system_of, with_system
from luthier.curate.shapes.making import Given, Record, preference, source_of
from luthier.curate.shapes.tool_turns import tools_of
from luthier.curate.shapes.turns import is_transcript, message_of, messages_of, text_of, transcript_messages
from luthier.records import Message

LAST_ANSWER, NEXT_REQUEST = "\n\nAssistant:", "\n\nHuman:"
PAIRS = (("chosen", "rejected"), ("chosen_messages", "rejected_messages"))


def has_preference(row: Row) -> bool:
    """Whether a row holds a pair of answers."""
    # A table of several shapes has all columns in every row, null where they do not apply.
    for chosen, rejected in PAIRS:
        if chosen in row and rejected in row and (row[chosen] is not None or row[rejected] is not None):
            return True
    return False


def preferences_of(row: Row, given: Given) -> Sequence[Record]:
    """Two answers to one prompt; the prompt may stand before each answer instead of in a field of its own."""
    if tools_of(row):
        raise _with_tools("tools")
    name, other = next((pair for pair in reversed(PAIRS) if any(row.get(side) is not None for side in pair)), PAIRS[0])
    chosen, rejected = _shared_transcript(row.get(name), row.get(other), name) or (
        _side(row.get(name), name), _side(row.get(other), other)
    )  # fmt: skip
    if _turns(chosen[:-1]) != _turns(rejected[:-1]):
        raise BadRow("two prompts", field=other, found="another prompt than that of chosen",
                     expected="two answers to one prompt",
                     fix="give both the same prompt, or delete the row")  # fmt: skip
    if chosen[-1].content.strip() == rejected[-1].content.strip():
        raise BadRow("no preference", field=other, found="the same answer as chosen", expected="another answer",
                     fix="delete the row: it does not say which answer is better")  # fmt: skip
    prompt = _prompt(row, chosen[:-1])
    origin = row.get("origin")
    is_own = isinstance(origin, str) and bool(origin)
    return (preference(row, prompt, given, chosen=chosen[-1].content, rejected=rejected[-1].content,
                       origin=str(origin) if is_own else "file", source=source_of(row) if is_own else ""),)  # fmt: skip


def _shared_transcript(
    chosen: Any, rejected: Any, field: str
) -> tuple[tuple[Message, ...], tuple[Message, ...]] | None:
    """Both sides of two transcripts that are one up to their last answers; None for all others, and for broken ones."""
    if not (is_transcript(chosen) and is_transcript(rejected)):
        return None
    head, mark, answer = chosen.rpartition(LAST_ANSWER)
    other_head, _, other_answer = rejected.rpartition(LAST_ANSWER)
    if head != other_head or not mark or not (answer.strip() and other_answer.strip()):
        return None
    if NEXT_REQUEST in answer or NEXT_REQUEST in other_answer:
        return None
    prompt = transcript_messages(head, field, last="user")
    sides = [Message(role="assistant", content=text_of(text.strip(), field, is_answer=True))
             for text in (answer, other_answer)]  # fmt: skip
    return (*prompt, sides[0]), (*prompt, sides[1])


def _side(value: Any, field: str) -> tuple[Message, ...]:
    """One answer, after the turns that stand before it in the same field."""
    if is_transcript(value):
        return transcript_messages(value, field, last="assistant")
    if isinstance(value, list) and len(value) > 1:
        messages = messages_of(value, field, last="assistant")
    else:
        turn = value[0] if isinstance(value, list) and value else value
        message = message_of(turn, field) if isinstance(turn, Mapping) else None
        if message is not None and message.role != "assistant":
            raise BadRow("wrong role", field=field, found=shown(message.role), expected="assistant",
                         fix="let the field hold the answer")  # fmt: skip
        messages = (message or Message(role="assistant", content=text_of(turn, field, is_answer=True)),)
    if messages[-1].tool_calls:
        raise _with_tools(field)
    return messages


def _prompt(row: Row, before: tuple[Message, ...]) -> tuple[Message, ...]:
    """The prompt in a field of its own, or the turns before the answers; both, if they agree."""
    name = next((name for name in CONVERSATION_NAMES if row.get(name) is not None), None)
    if name is not None:
        prompt = with_system(messages_of(row[name], name, last="user"), system_of(row))
    elif any(n in row and not isinstance(row[n], Mapping) for n in (*PROMPT_NAMES, *INPUT_NAMES)):
        prompt = prompt_of(row)
    elif before:
        return with_system(before, system_of(row))
    else:
        raise BadRow("missing prompt", field="", found=f"the fields {keys(row)}",
                     expected="a prompt, or the conversation before each answer",
                     fix='add the field "prompt"')  # fmt: skip
    if before and prompt[-1].content.strip() != before[-1].content.strip():
        raise BadRow("two prompts", field=name or "prompt", found=shown(prompt[-1].content),
                     expected=f"the last request before the answers, {shown(before[-1].content)}",
                     fix="leave the field out, or make it agree with chosen and rejected")  # fmt: skip
    return with_system(before, prompt[:1]) if before else prompt


def _turns(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text.strip()) for message in messages]


def _with_tools(field: str) -> BadRow:
    return BadRow("tool calls", field=field, found="tools", expected="answers that are text alone",
                  fix="leave preferences between calls of tools out: they cannot be trained on yet")  # fmt: skip
