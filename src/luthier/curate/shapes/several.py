"""Rows that hold several conversations: trees of replies, and requests with several inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import Row
from luthier.curate.names import DEFINITION_NAMES, INSTANCE_NAMES, PROMPT_NAMES
from luthier.curate.shapes.fields import answers_of, prompt_of
from luthier.curate.shapes.turns import CONTENT_NAMES, message_of
from luthier.records import Message

TREE_ID_NAMES = ("message_tree_id", "tree_id", "conversation_id", "message_id", "id")
LANGUAGE_NAMES = ("language", "lang")


class Way(NamedTuple):
    """One way through a tree, from its root to an answer that nothing follows."""

    messages: tuple[Message, ...]
    row: Row
    """What a record is told beside its messages."""


class Instance(NamedTuple):
    """One input of a request, and its accepted outputs."""

    prompt: tuple[Message, ...]
    answers: tuple[str, ...]
    row: Row
    """What a record is told beside its messages."""


class _Node(NamedTuple):
    """A message of a tree on the way that is followed."""

    turn: Mapping[str, Any]
    field: str
    messages: tuple[Message, ...]
    """From the root to here."""


def is_tree(row: Row) -> bool:
    """Whether a row is a message with replies, or holds one under "prompt"."""
    root = row.get("prompt")
    root = root if isinstance(root, Mapping) else row
    return isinstance(root.get("replies"), list) and any(name in root for name in CONTENT_NAMES)


def tree_paths(row: Row) -> list[Way]:
    """The ways through the tree of a row, in the order of its replies.

    Deleted and rejected messages are left out with all that hangs on them, and so are requests that nobody answered.
    """
    prompt = row.get("prompt")
    root, field = (prompt, "prompt") if isinstance(prompt, Mapping) else (row, "")
    told = _told(row, root)
    ways = list(_leaves(root, field))
    if not ways:
        raise BadRow("missing answer", field=field, found="a tree without an answer that was kept",
                     expected="a reply of the assistant that is neither deleted nor rejected",
                     fix="delete the row")  # fmt: skip
    return [Way(node.messages, {**told, **_generator(node.turn)}) for node in ways]


def has_instances(row: Row) -> bool:
    """Whether a row is a request with a list of inputs and outputs."""
    name = next((name for name in INSTANCE_NAMES if name in row), None)
    if name is None or not isinstance(row[name], list) or not row[name]:
        return False
    return any(row.get(name) for name in (*PROMPT_NAMES, *DEFINITION_NAMES))


def instances_of(row: Row) -> Iterator[Instance]:
    """Each input of the request with its outputs; BadRow names the instance that is not right."""
    name = next(name for name in INSTANCE_NAMES if name in row)
    shared = {("definition" if key == "Definition" else key): value for key, value in row.items() if key != name}
    if "task" not in shared and isinstance(row.get("name"), str):
        shared["task"] = row["name"]
    categories = row.get("Categories")
    if "cluster" not in shared and isinstance(categories, list) and categories:
        shared["cluster"] = categories[0]
    for index, instance in enumerate(row[name]):
        field = f"{name}[{index}]"
        if not isinstance(instance, Mapping):
            raise BadRow("wrong field", field=field, found=shown(instance), expected='{"input": ..., "output": ...}',
                         fix="write the instance as an object")  # fmt: skip
        whole = {**shared, **instance}
        try:
            yield Instance(prompt_of(whole), answers_of(whole), whole)
        except BadRow as bad:
            if bad.field.partition("[")[0] in instance or not bad.field:
                bad.field = f"{field}.{bad.field}".removesuffix(".")
            raise


def _leaves(root: Mapping[str, Any], field: str) -> Iterator[_Node]:
    """The answers that no answer follows. A stack of its own: a tree may be deeper than Python's."""
    waiting = [_Node(root, field, ())]
    while waiting:
        node = waiting.pop()
        if not _is_kept(node.turn):
            continue
        message = _message(node)
        messages = (*node.messages, message)
        inside = f"{node.field}.replies" if node.field else "replies"
        below = [
            _Node(reply, f"{inside}[{index}]", messages)
            for index, reply in enumerate(_replies(node.turn, inside))
        ]  # fmt: skip
        if message.role == "assistant" and not any(_is_answered(reply.turn, reply.field) for reply in below):
            yield _Node(node.turn, node.field, messages)
        waiting += reversed(below)


def _is_answered(turn: Mapping[str, Any], field: str) -> bool:
    """Whether the message is kept and some answer stands below it."""
    return _is_kept(turn) and any(_is_kept(reply) for reply in _replies(turn, f"{field}.replies"))


def _message(node: _Node) -> Message:
    message = message_of(node.turn, node.field)
    before = node.messages[-1].role if node.messages else None
    due = {None: ("system", "user"), "system": ("user",), "user": ("assistant",)}.get(before, ("user",))
    if message is None or message.role not in due:
        found = "an empty system message" if message is None else shown(message.role)
        raise BadRow("wrong order", field=f"{node.field}.role".removeprefix("."), found=found,
                     expected=" or ".join(due),
                     fix="let user and assistant alternate on every way, the user first")  # fmt: skip
    return message


def _replies(turn: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    replies = turn.get("replies") or []
    if not isinstance(replies, list):
        raise BadRow("not a conversation", field=field, found=shown(replies), expected="a list of messages",
                     fix="write the replies as a list")  # fmt: skip
    for index, reply in enumerate(replies):
        if not isinstance(reply, Mapping):
            raise BadRow("not a conversation", field=f"{field}[{index}]", found=shown(reply),
                         expected="a message with role and text", fix="write the reply as an object")  # fmt: skip
    return replies


def _is_kept(turn: Mapping[str, Any]) -> bool:
    return turn.get("deleted") is not True and turn.get("review_result") is not False


def _told(row: Row, root: Mapping[str, Any]) -> dict[str, Any]:
    """What the tree says of all its ways; its id links them."""
    told = {name: value for name, value in row.items() if name not in ("prompt", "replies", *CONTENT_NAMES)}
    identity = next((each[name] for each in (row, root) for name in TREE_ID_NAMES if each.get(name)), None)
    if "links" not in told and isinstance(identity, str | int):
        told["links"] = [f"tree:{identity}"]
    language = next((each[name] for each in (row, root) for name in LANGUAGE_NAMES if each.get(name)), None)
    return {**told, "language": language}


def _generator(turn: Mapping[str, Any]) -> dict[str, Any]:
    return {"generator": turn.get("model_name")} if turn.get("synthetic") is True else {}
