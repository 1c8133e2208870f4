"""Parts of a row by the names they are known under: its request, its answers, and what goes with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import RawRow, Row
from luthier.curate.names import ANSWER_NAMES, INPUT_NAMES, LABEL_NAMES, PROMPT_NAMES
from luthier.curate.shapes.turns import (
    is_blank,
    is_no_input,
    is_transcript,
    message_of,
    messages_of,
    text_of,
    transcript_messages,
)
from luthier.records import Message

SHOWN_KEYS = 8
_ONE_ANSWER = tuple(name for name in ANSWER_NAMES if name != "targets")


def prompt_of(row: Row) -> tuple[Message, ...]:
    """The system message, earlier turns and request of a row that keeps them in fields of their own."""
    name, about = only(row, PROMPT_NAMES), only(row, INPUT_NAMES)
    if name is None:
        name, about = about, None
    if name is None:
        raise BadRow("missing prompt", field="", found=f"the fields {keys(row)}",
                     expected=f"a request in one of {', '.join(PROMPT_NAMES)}",
                     fix='add the request, or name its column: curate.columns = {YOURS = "prompt"}')  # fmt: skip
    value = row[name]
    if _is_turns(value):
        return with_system(messages_of(value, name, last="user"), system_of(row))
    if is_transcript(value):
        spoken = "\n\n" + value.strip().removesuffix("Assistant:").rstrip()
        return with_system(transcript_messages(spoken, name, last="user"), system_of(row))
    if isinstance(value, list) and name == "definition":
        value = "\n".join(text_of(line, name, is_answer=False) for line in value)
    request = text_of(value, name, is_answer=False)
    if about is not None and not _is_no_input(row[about]):
        request = f"{request}\n\n{text_of(row[about], about, is_answer=False)}"
    asked = Message(role="user", content=request)
    if "system" not in row and "history" not in row:
        return (asked,)
    return (*system_of(row), *_history(row), asked)


def system_of(row: Row) -> tuple[Message, ...]:
    """The system message of a row that keeps it in a field of its own, or nothing."""
    system = row.get("system")
    if system is None or (isinstance(system, str) and is_blank(system)):
        return ()
    return (Message(role="system", content=text_of(system, "system", is_answer=False)),)


def with_system(messages: tuple[Message, ...], first: Sequence[Message]) -> tuple[Message, ...]:
    """The messages after the system message that `first` begins with, unless they have one."""
    if first and first[0].role == "system" and messages[0].role != "system":
        return (first[0], *messages)
    return messages


def answers_of(row: Row) -> tuple[str, ...]:
    """The accepted answers of a row, the one to train on first."""
    name = only(row, _ONE_ANSWER)
    targets = texts_of(row.get("targets"), "targets", is_answer=True)
    if name is None and not targets:
        raise BadRow("missing answer", field="", found=f"the fields {keys(row)}",
                     expected=f"an answer in one of {', '.join(ANSWER_NAMES)}",
                     fix='add the answer, or name its column: curate.columns = {YOURS = "output"}')  # fmt: skip
    if name is None:
        return targets
    value = row[name]
    if _is_turns(value):
        answers: tuple[str, ...] = (_only_turn(value, name),)
    elif isinstance(value, list) and value and not isinstance(value[0], Mapping):
        answers = texts_of(value, name, is_answer=True)
    else:
        answers = (text_of(value, name, is_answer=True),)
    return (*answers, *(target for target in targets if target not in answers))


def texts_of(value: Any, field: str, *, is_answer: bool) -> tuple[str, ...]:
    """The texts of a list of strings; nothing where there is no list."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRow("wrong field", field=field, found=shown(value), expected="a list of strings",
                     fix='write ["...", "..."]')  # fmt: skip
    return tuple(text_of(text, f"{field}[{index}]", is_answer=is_answer) for index, text in enumerate(value))


def rest_of(row: Row, names: Sequence[str]) -> dict[str, Any]:
    """What else a row says that a record has a field for, where it is of the field's type."""
    values: dict[str, Any] = {}
    for name in names:
        if name not in row:
            continue
        value = row[name]
        if name == "grading":
            if isinstance(value, Mapping):
                values[name] = dict(value)
        elif name in ("choices", "links"):
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                values[name] = tuple(value)
        elif isinstance(value, str) and not is_blank(value):
            values["licence" if name == "license" else name] = value
    return values


def only(row: Row, names: Sequence[str]) -> str | None:
    """The one name of `names` under which the row has something; BadRow when it has different things under two.

    Where all are empty it is the first that is there, and None where none is.
    """
    there = [name for name in row if name in names]
    if len(there) < 2:
        return there[0] if there else None
    there = [name for name in names if name in row]
    filled = [name for name in there if not _is_nothing(row[name])]
    if any(row[name] != row[filled[0]] for name in filled[1:]):
        raise BadRow("ambiguous fields", field=filled[1], found=f"{' and '.join(filled)} in one row",
                     expected="one of them", fix="say what they are, or leave one out, for example "
                     f'curate.columns = {{{filled[1]} = "input"}}')  # fmt: skip
    return next(iter(filled or there), None)


def keys(row: Row) -> str:
    """The names of a row's fields, as a finding shows them."""
    names = [str(name) for name in row]
    more = f" and {len(names) - SHOWN_KEYS} more" if len(names) > SHOWN_KEYS else ""
    return (", ".join(names[:SHOWN_KEYS]) or "none at all") + more


def is_disliked(row: Row) -> bool:
    """Whether a row is marked as a bad answer (KTO's label): it must not be learnt."""
    for name in LABEL_NAMES:
        label = row.get(name)
        if label is False or (isinstance(label, str) and label.strip().casefold() == "false"):
            return True
    return False


def check_surrogates(row: RawRow) -> None:
    """BadRow when a text of the row holds half of a surrogate pair, which no file can keep as UTF-8."""
    assert row.data is not None
    if row.is_whole or (row.raw and b"\\ud" not in row.raw and b"\\uD" not in row.raw):
        return
    for field, text in _texts(row.data, ""):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadRow(
                "lone surrogate", field=field, found=shown(text[error.start]), expected="whole characters",
                fix="write the row again with a tool that cuts between characters, or delete it",
            ) from None  # fmt: skip


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every string within a value, and its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(name, path)
            yield from _texts(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")


def _history(row: Row) -> tuple[Message, ...]:
    """Earlier turns as some instruction sets keep them: [[request, answer], ...]."""
    history = row.get("history")
    if not history:
        return ()
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise BadRow("not a conversation", field="history", found=shown(history),
                     expected='[["request", "answer"], ...]', fix="write earlier turns in pairs")  # fmt: skip
    messages = []
    for index, (request, answer) in enumerate(history):
        messages.append(Message(role="user", content=text_of(request, f"history[{index}][0]", is_answer=False)))
        messages.append(Message(role="assistant", content=text_of(answer, f"history[{index}][1]", is_answer=True)))
    return tuple(messages)


def _is_turns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], Mapping)
        and bool({"role", "from"} & value[0].keys())
    )


def _only_turn(turns: list[Any], field: str) -> str:
    message = message_of(turns[0], f"{field}[0]")
    if len(turns) > 1 or message is None or message.role != "assistant":
        raise BadRow("wrong order", field=field, found=f"{len(turns)} messages", expected="one assistant message",
                     fix="move all turns but the last into the prompt")  # fmt: skip
    return message.content


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and is_blank(value)) or value == []


def _is_no_input(value: Any) -> bool:
    return is_no_input(value) if isinstance(value, str) else _is_nothing(value)
