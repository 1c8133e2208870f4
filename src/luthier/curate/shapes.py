"""The shapes in which rows are found, and the record that is made of each.

The shape is recognised row by row. To add one, write a function from a row to a record, and give it a line in SHAPES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, Fault, shown
from luthier.curate.fields import (
    answers_of,
    check_not_disliked,
    check_surrogates,
    keys,
    prompt_of,
    rest_of,
    system_of,
    texts_of,
)
from luthier.curate.names import CONVERSATION_NAMES, INPUT_NAMES, PROMPT_NAMES, RECORD_NAMES
from luthier.curate.raw import RawRow, Row
from luthier.curate.turns import is_transcript, message_of, messages_of, no_tools, text_of, transcript_messages
from luthier.records import Example, Message, Preference

Record = Example | Preference

UNKNOWN = "unknown"
UNREADABLE = "unreadable"
"""Counted in place of a shape."""
EXAMPLE_REST = ("choices", "grading", "task", "cluster", "template", "language", "links", "licence")
PREFERENCE_REST = ("task", "cluster", "links", "licence")


@dataclass(frozen=True, slots=True)
class Shape:
    """One way of writing a row."""

    name: str
    looks_like: str
    """Shown to people whose row has no known shape."""
    fits: Callable[[Row], bool]
    record: Callable[[Row], Record]
    """The record of a row that fits; BadRow when the row is not right in itself."""


class Converted(NamedTuple):
    """What became of a raw row: a record, or a fault."""

    shape: str
    record: Record | None
    fault: Fault | None


def convert(row: RawRow, *, licence: str | None = None) -> Converted:
    """The record that a raw row holds, with `licence` where the row states none; or the row's fault."""
    if row.data is None:
        return Converted(UNREADABLE, None, row.fault)
    shape = next((shape for shape in SHAPES if shape.fits(row.data)), None)
    try:
        check_surrogates(row)
        if shape is None:
            raise _unknown(row.data)
        record = shape.record(row.data)
    except BadRow as bad:
        return Converted(shape.name if shape else UNKNOWN, None, bad.fault(row.where))
    record = replace(record, source=record.source or row.where, licence=record.licence or licence)
    return Converted(shape.name, record, None)


def _own(row: Row) -> Example:
    """Our own Example, whole or in part: a conversation with targets, choices, grading, cluster ..."""
    check_not_disliked(row)
    no_tools(row)
    if not isinstance(row.get("grading"), Mapping | None):
        raise BadRow("wrong field", field="grading", found=shown(row["grading"]), expected="an object",
                     fix='write {"grader": "exact"}, or leave it out')  # fmt: skip
    for name in ("choices", "links"):
        texts_of(row.get(name), name, is_answer=False)
    targets = texts_of(row.get("targets"), "targets", is_answer=True)
    messages = messages_of(row["messages"], "messages", last=None if targets or row.get("grading") else "assistant")
    return _example(row, messages, targets, source=_source(row))


def _conversation(row: Row) -> Example:
    """Messages with role and content, or with ShareGPT's from and value."""
    check_not_disliked(row)
    no_tools(row)
    name = next(name for name in CONVERSATION_NAMES if row.get(name) is not None)
    messages = messages_of(row[name], name, last="assistant")
    return _example(row, _with_system(messages, system_of(row)))


def _pair(row: Row) -> Example:
    """A request and its answer; the answer may be a list of accepted ones."""
    check_not_disliked(row)
    no_tools(row)
    prompt, answers = prompt_of(row), answers_of(row)
    return _example(row, (*prompt, Message(role="assistant", content=answers[0])), answers)


def _preference(row: Row) -> Preference:
    """Two answers to one prompt; the prompt may stand before each answer instead of in a field of its own."""
    no_tools(row)
    ending = "_messages" if _has("chosen_messages", "rejected_messages")(row) else ""
    name, other = f"chosen{ending}", f"rejected{ending}"
    chosen, rejected = _side(row.get(name), name), _side(row.get(other), other)
    if _turns(chosen[:-1]) != _turns(rejected[:-1]):
        raise BadRow("two prompts", field=other, found="another prompt than that of chosen",
                     expected="two answers to one prompt",
                     fix="give both the same prompt, or delete the row")  # fmt: skip
    if chosen[-1].content.strip() == rejected[-1].content.strip():
        raise BadRow("no preference", field=other, found="the same answer as chosen", expected="another answer",
                     fix="delete the row: it does not say which answer is better")  # fmt: skip
    prompt = _preference_prompt(row, chosen[:-1])
    origin = row.get("origin")
    is_own = isinstance(origin, str) and bool(origin)
    return Preference.of(prompt, chosen=chosen[-1].content, rejected=rejected[-1].content,
                         origin=origin if is_own else "file", source=_source(row) if is_own else "",
                         **rest_of(row, PREFERENCE_REST))  # fmt: skip


def _has(*names: str) -> Callable[[Row], bool]:
    return lambda row: any(row.get(name) is not None for name in names)


def _is_own(row: Row) -> bool:
    return row.get("messages") is not None and _has(*RECORD_NAMES)(row)


def _is_preference(row: Row) -> bool:
    # A table of several shapes has all columns in every row, null where they do not apply.
    pairs = (("chosen", "rejected"), ("chosen_messages", "rejected_messages"))
    return any(row.keys() >= set(pair) and _has(*pair)(row) for pair in pairs)


def _is_pair(row: Row) -> bool:
    # A request that is an object is the root of a tree of replies, which is no shape here.
    return any(name in row and not isinstance(row[name], Mapping) for name in (*PROMPT_NAMES, *INPUT_NAMES))


def _is_prompt_pair(row: Row) -> bool:
    return "prompt" in row and _is_pair(row)


def _is_task_item(row: Row) -> bool:
    return _is_pair(row) and isinstance(row.get("output"), list)


SHAPES = (
    Shape("preference", '{"prompt", "chosen", "rejected"}', _is_preference, _preference),
    Shape("luthier", '{"messages", "targets", "task" ...}', _is_own, _own),
    Shape("messages", '{"messages": [{"role", "content"}]}', _has("messages"), _conversation),
    Shape("sharegpt", '{"conversations": [{"from", "value"}]}', _has(*CONVERSATION_NAMES), _conversation),
    Shape("prompt/completion", '{"prompt", "completion"}', _is_prompt_pair, _pair),
    Shape("super-ni", '{"input", "output": [...]}', _is_task_item, _pair),
    Shape("alpaca", '{"instruction", "input", "output"}', _is_pair, _pair),
)
"""In order: the first that fits is the row's shape."""


def _example(row: Row, messages: Sequence[Message], targets: Sequence[str] = (), source: str = "") -> Example:
    return Example.of(messages, targets=targets, source=source, **rest_of(row, EXAMPLE_REST))


def _source(row: Row) -> str:
    source = row.get("source")
    return source if isinstance(source, str) else ""


def _side(value: Any, field: str) -> tuple[Message, ...]:
    """One answer of a preference, after the turns that stand before it in the same field."""
    if is_transcript(value):
        return transcript_messages(value, field, last="assistant")
    if isinstance(value, list) and len(value) > 1:
        return messages_of(value, field, last="assistant")
    turn = value[0] if isinstance(value, list) and value else value
    message = message_of(turn, field) if isinstance(turn, Mapping) else None
    if message is not None and message.role != "assistant":
        raise BadRow("wrong role", field=field, found=shown(message.role), expected="assistant",
                     fix="let the field hold the answer")  # fmt: skip
    return (message or Message(role="assistant", content=text_of(turn, field, is_answer=True)),)


def _preference_prompt(row: Row, before: tuple[Message, ...]) -> tuple[Message, ...]:
    """The prompt in a field of its own, or the turns before the answers; both, if they agree."""
    name = next((name for name in CONVERSATION_NAMES if row.get(name) is not None), None)
    if name is not None:
        prompt = _with_system(messages_of(row[name], name, last="user"), system_of(row))
    elif _is_pair(row):
        prompt = prompt_of(row)
    elif before:
        return _with_system(before, system_of(row))
    else:
        raise BadRow("missing prompt", field="", found=f"the fields {keys(row)}",
                     expected="a prompt, or the conversation before each answer",
                     fix='add the field "prompt"')  # fmt: skip
    if before and prompt[-1].content.strip() != before[-1].content.strip():
        raise BadRow("two prompts", field=name or "prompt", found=shown(prompt[-1].content),
                     expected=f"the last request before the answers, {shown(before[-1].content)}",
                     fix="leave the field out, or make it agree with chosen and rejected")  # fmt: skip
    return _with_system(before, prompt[:1]) if before else prompt


def _with_system(messages: tuple[Message, ...], first: Sequence[Message]) -> tuple[Message, ...]:
    """The messages after the system message that `first` begins with, unless they have one."""
    if first and first[0].role == "system" and messages[0].role != "system":
        return (first[0], *messages)
    return messages


def _turns(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content.strip()) for message in messages]


def _unknown(row: Row) -> BadRow:
    return BadRow("unknown shape", field="", found=f"the fields {keys(row)}",
                  expected="one of " + ", ".join(shape.looks_like for shape in SHAPES),
                  fix='rename the fields, or say what they are: curate.columns = {YOURS = "prompt", ...}')  # fmt: skip
