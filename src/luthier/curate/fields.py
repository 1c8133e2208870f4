"""Parts of a row by the names they are known under: its request, its answers, and what goes with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.names import ANSWER_NAMES, INPUT_NAMES, NO_INPUT, PROMPT_NAMES
from luthier.curate.raw import RawRow, Row
from luthier.curate.turns import is_blank, is_transcript, message_of, messages_of, text_of, transcript_messages
from luthier.records import Message

LICENCE_NAMES = ("licence", "license")
SHOWN_KEYS = 8


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
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and {"role", "from"} & value[0].keys():
        return messages_of(value, name, last="user")
    if is_transcript(value):
        spoken = "\n\n" + value.strip().removesuffix("Assistant:").rstrip()
        return transcript_messages(spoken, name, last="user")
    if isinstance(value, list) and name == "definition":
        value = "\n".join(text_of(line, name, is_answer=False) for line in value)
    request = text_of(value, name, is_answer=False)
    if about is not None and not _is_no_input(row[about]):
        request = f"{request}\n\n{text_of(row[about], about, is_answer=False)}"
    return (*system_of(row), *_history(row), Message(role="user", content=request))


def system_of(row: Row) -> tuple[Message, ...]:
    """The system message of a row that keeps it in a field of its own, or nothing."""
    system = row.get("system")
    if system is None or (isinstance(system, str) and is_blank(system)):
        return ()
    return (Message(role="system", content=text_of(system, "system", is_answer=False)),)


def answers_of(row: Row) -> tuple[str, ...]:
    """The accepted answers of a row, the one to train on first."""
    name = only(row, tuple(name for name in ANSWER_NAMES if name != "targets"))
    targets = texts_of(row.get("targets"), "targets", is_answer=True)
    if name is None and not targets:
        raise BadRow("missing answer", field="", found=f"the fields {keys(row)}",
                     expected=f"an answer in one of {', '.join(ANSWER_NAMES)}",
                     fix='add the answer, or name its column: curate.columns = {YOURS = "output"}')  # fmt: skip
    if name is None:
        return targets
    value = row[name]
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "role" in item for item in value):
        turns = messages_of([{"role": "user", "content": "?"}, *value], name, last="assistant")
        if len(turns) != 2: ...
    if isinstance(value, list) and value and not isinstance(value[0], Mapping):
        answers = texts_of(value, name, is_answer=True)
    else:
        answers = (text_of(value, name, is_answer=True),)
    return answers
