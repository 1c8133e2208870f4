"""The shapes in which rows are found, and the record that is made of each.

The shape is recognised row by row. To add one, write a function from a row to a record, and give it a line in SHAPES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, Fault, shown
from luthier.curate.names import ANSWER_NAMES, CONVERSATION_NAMES, INPUT_NAMES, NO_INPUT, PROMPT_NAMES, RECORD_NAMES
from luthier.curate.raw import RawRow, Row
from luthier.curate.turns import is_transcript, message_of, messages_of, no_tools, text_of, transcript_messages
from luthier.records import Example, Message, Preference

Record = Example | Preference

UNKNOWN = "unknown"
UNREADABLE = "unreadable"
"""Counted in place of a shape."""


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
        _check_surrogates(row)
        if shape is None:
            raise _unknown(row.data)
        record = shape.record(row.data)
    except BadRow as bad:
        return Converted(shape.name if shape else UNKNOWN, None, bad.fault(row.where))
    record = replace(record, source=record.source or row.where, licence=record.licence or licence)
    return Converted(shape.name, record, None)


def _own(row: Row) -> Example:
    """Our own Example, whole or in part: a conversation with targets, choices, grading, cluster ..."""
    for name in ("targets", "choices", "links"):
        _check_strings(row.get(name), name)
    if not isinstance(row.get("grading"), Mapping | None):
        raise BadRow("wrong field", field="grading", found=shown(row["grading"]), expected="an object",
                     fix='write {"grader": "exact"}, or leave it out')  # fmt: skip
    has_other_answer = bool(row.get("targets") or row.get("grading"))
    messages = messages_of(row["messages"], "messages", last=None if has_other_answer else "assistant")
    return _example(row, messages, row.get("targets") or (), source=_own_source(row))


def _conversation(row: Row) -> Example:
    """Messages with role and content, or ShareGPT's from and value."""
    _check_label(row)
    no_tools(row)
    name = next(name for name in CONVERSATION_NAMES if row.get(name) is not None)
    messages = messages_of(row[name], name, last="assistant")
    if messages[0].role != "system":
        messages = (*_system(row), *messages)
    return _example(row, messages)


def _pair(row: Row) -> Example:
    """A request and its answer; the answer may be a list of accepted ones."""
    _check_label(row)
    no_tools(row)
    prompt = _prompt(row)
    name = _only(row, ANSWER_NAMES)
    if name is None:
        raise BadRow("missing answer", field="", found=f"the fields {_keys(row)}",
                     expected=f"an answer in one of {', '.join(ANSWER_NAMES)}",
                     fix='add the answer, or name its column: curate.columns = {YOURS = "output"}')  # fmt: skip
    answers = _answers(row[name], name)
    return _example(row, (*prompt, Message(role="assistant", content=answers[0])), answers)


def _preference(row: Row) -> Preference:
    """Two answers to one prompt; the prompt may stand before each answer instead of in a field of its own."""
    no_tools(row)
    ending = "_messages" if "chosen_messages" in row else ""
    chosen = _side(row.get("chosen" + ending), "chosen" + ending)
    rejected = _side(row.get("rejected" + ending), "rejected" + ending)
    if _turns(chosen[:-1]) != _turns(rejected[:-1]):
        raise BadRow("two prompts", field="rejected" + ending, found="another prompt than that of chosen",
                     expected="two answers to one prompt", fix="give both the same prompt, or delete the row")  # fmt: skip
    if chosen[-1].content.strip() == rejected[-1].content.strip():
        raise BadRow("no preference", field="rejected" + ending, found="the same answer as chosen",
                     expected="another answer", fix="delete the row: it says nothing about which is better")  # fmt: skip
    prompt = _preference_prompt(row, chosen[:-1])
    origin = row.get("origin")
    fields = _fields(row, ("task", "cluster", "licence", "links"))
    return Preference.of(prompt, chosen=chosen[-1].content, rejected=rejected[-1].content,
                         origin=origin if isinstance(origin, str) and origin else "file",
                         source=_own_source(row) if "origin" in row else "", **fields)  # fmt: skip


def _has(*names: str) -> Callable[[Row], bool]:
    return lambda row: any(row.get(name) is not None for name in names)


def _is_preference(row: Row) -> bool:
    return ("chosen" in row and "rejected" in row) or ("chosen_messages" in row and "rejected_messages" in row)


def _is_pair(row: Row) -> bool:
    # A request that is an object is the root of a tree of replies, which is no shape of ours.
    return any(name in row and not isinstance(row[name], Mapping) for name in (*PROMPT_NAMES, *INPUT_NAMES))


SHAPES = (
    Shape("preference", '{"prompt", "chosen", "rejected"}', _is_preference, _preference),
    Shape("luthier", '{"messages", "targets" ...}',
          lambda row: _has("messages")(row) and _has(*RECORD_NAMES)(row), _own),
    Shape("messages", '{"messages": [{"role", "content"}]}', _has("messages"), _conversation),
    Shape("sharegpt", '{"conversations": [{"from", "value"}]}', _has("conversations", "conversation"), _conversation),
    Shape("prompt/completion", '{"prompt", "completion"}', lambda row: "prompt" in row and _is_pair(row), _pair),
    Shape("super-ni", '{"input", "output": [...]}',
          lambda row: _is_pair(row) and isinstance(row.get("output"), list), _pair),
    Shape("alpaca", '{"instruction", "input", "output"}', _is_pair, _pair),
)  # fmt: skip
"""In order: the first that fits is the row's shape."""


def _prompt(row: Row) -> tuple[Message, ...]:
    """The system message, earlier turns and request of a row that has them in fields of their own."""
    name, about = _only(row, PROMPT_NAMES), _only(row, INPUT_NAMES)
    if name is None:
        name, about = about, None
    if name is None:
        raise BadRow("missing prompt", field="", found=f"the fields {_keys(row)}",
                     expected=f"a request in one of {', '.join(PROMPT_NAMES)}",
                     fix='add the request, or name its column: curate.columns = {YOURS = "prompt"}')  # fmt: skip
    value = row[name]
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and _role_names(value[0]):
        return messages_of(value, name, last="user")
    if is_transcript(value):
        return transcript_messages("\n\n" + value.strip().removesuffix("Assistant:").strip(), name, last="user")
    if isinstance(value, list) and name == "definition":
        value = "\n".join(text_of(line, name, is_answer=False) for line in value)
    request = text_of(value, name, is_answer=False)
    if about is not None and not _is_no_input(row[about]):
        request = f"{request}\n\n{text_of(row[about], about, is_answer=False)}"
    return (*_system(row), *_history(row), Message(role="user", content=request))


def _history(row: Row) -> tuple[Message, ...]:
    """Earlier turns as some instruction sets keep them: [[request, answer], ...]."""
    history = row.get("history")
    if not history:
        return ()
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise BadRow("not a conversation", field="history", found=shown(history),
                     expected='[["request", "answer"], ...]', fix="write earlier turns in pairs")  # fmt: skip
    turns = [{"role": role, "content": text} for pair in history for role, text in zip(("user", "assistant"), pair, strict=True)]
    return messages_of(turns, "history", last="assistant")


def _system(row: Row) -> tuple[Message, ...]:
    system = row.get("system")
    if system is None or (isinstance(system, str) and not system.strip()):
        return ()
    return (Message(role="system", content=text_of(system, "system", is_answer=False)),)


def _answers(value: Any, field: str) -> tuple[str, ...]:
    """The accepted answers: one string, a list of strings, or one message."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value): ...
