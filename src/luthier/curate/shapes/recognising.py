"""The shapes in which rows are found, and the records that are made of each.

The shape is recognised row by row. To add one, write a function from a row to records, and give it a line in SHAPES.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from luthier.curate.faults import BadRow, Fault, shown
from luthier.curate.files.raw import RawRow, Row
from luthier.curate.names import CONVERSATION_NAMES, INPUT_NAMES, INSTANCE_NAMES, PROMPT_NAMES, RECORD_NAMES
from luthier.curate.shapes.bbq_rows import bbq_item_of, is_bbq
from luthier.curate.shapes.fields import (
    answers_of,
    check_surrogates,
    is_disliked,
    keys,
    prompt_of,
    system_of,
    texts_of,
    with_system,
)
from luthier.curate.shapes.instruction_rows import has_instructions, instructed
from luthier.curate.shapes.making import Given, Record, example, source_of
from luthier.curate.shapes.plain_rows import Plan, plain_example, plan_of
from luthier.curate.shapes.preferences import has_preference, preferences_of
from luthier.curate.shapes.several import has_instances, instances_of, is_tree, tree_paths
from luthier.curate.shapes.tool_turns import tools_of
from luthier.curate.shapes.turns import messages_of
from luthier.records import Message
from luthier.records.nouns import ID_HEX_DIGITS

UNKNOWN = "unknown"
UNREADABLE = "unreadable"
"""Counted in place of a shape."""
MARKED_AS_BAD = "marked as bad"
"""The rule that leaves out rows which say of themselves that their answer is a bad one."""
LOOKED_INTO = frozenset({"messages", "replies", *INSTANCE_NAMES})
"""Fields whose content matters to the shape."""
MOST_KNOWN = 1000
_KNOWN: dict[tuple[Any, ...], tuple[Shape | None, Plan | None]] = {}
_OWN_ID = re.compile(f"[0-9a-f]{{{ID_HEX_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Shape:
    """One way of writing a row."""

    name: str
    looks_like: str
    """Shown to people whose row has no known shape."""
    fits: Callable[[Row], bool]
    records: Callable[[Row, Given], Sequence[Record]]
    """The records of a row that fits, one at least; BadRow when the row is not right in itself."""


class Converted(NamedTuple):
    """What became of a raw row: records, or a fault."""

    shape: str
    records: tuple[Record, ...]
    """One, or several of a tree or of a task with its instances; none where there is a fault."""
    fault: Fault | None
    dropped: str | None = None
    """The rule by which the records must not be learnt, usable as they are; None where they may be."""


def convert(row: RawRow, *, licence: str | None = None) -> Converted:
    """The records that a raw row holds, with `licence` where the row states none; or the row's fault."""
    data = row.data
    if data is None:
        return Converted(UNREADABLE, (), row.fault)
    shape, plan = _way_of(data)
    where = f"{row.file}:{row.line}"
    try:
        check_surrogates(row)
        if shape is None:
            raise _unknown(data)
        if plan is not None and (made := plain_example(data, plan, where, licence)) is not None:
            return Converted(shape.name, (made,), None)
        records = tuple(shape.records(data, Given(where, licence)))
    except BadRow as bad:
        return Converted(shape.name if shape else UNKNOWN, (), bad.fault(where))
    return Converted(shape.name, records, None, MARKED_AS_BAD if is_disliked(data) else None)


def _way_of(row: Row) -> tuple[Shape | None, Plan | None]:
    """The first shape that a row fits, and the short way to its record if there is one.

    Of most rows only the names and the types of their fields are asked, and that once.
    """
    if not LOOKED_INTO.isdisjoint(row) or type(row.get("prompt")) is dict:
        return _first_that_fits(row), None
    looks = (*row, *map(type, row.values()))
    way = _KNOWN.get(looks)
    if way is None:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        shape = _first_that_fits(row)
        is_pair = shape is not None and shape.records is _pair
        way = _KNOWN[looks] = shape, plan_of({name: type(row[name]) for name in row}) if is_pair else None
    return way


def _first_that_fits(row: Row) -> Shape | None:
    for shape in SHAPES:
        if shape.fits(row):
            return shape
    return None


def _own(row: Row, given: Given) -> Sequence[Record]:
    """Our own Example, whole or in part: a conversation with targets, choices, grading, cluster ..."""
    if not isinstance(row.get("grading"), Mapping | None):
        raise BadRow("wrong field", field="grading", found=shown(row["grading"]), expected="an object",
                     fix='write {"grader": "exact"}, or leave it out')  # fmt: skip
    for name in ("choices", "links"):
        texts_of(row.get(name), name, is_answer=False)
    targets = texts_of(row.get("targets"), "targets", is_answer=True)
    messages = messages_of(row["messages"], "messages", last=None if targets or row.get("grading") else "assistant")
    return (example(row, messages, given, targets=targets, tools=tools_of(row), source=source_of(row)),)


def _conversation(row: Row, given: Given) -> Sequence[Record]:
    """Messages with role and content, or with ShareGPT's from and value."""
    name = next(name for name in CONVERSATION_NAMES if row.get(name) is not None)
    messages = messages_of(row[name], name, last="assistant")
    return (example(row, with_system(messages, system_of(row)), given, tools=tools_of(row)),)


def _pair(row: Row, given: Given) -> Sequence[Record]:
    """A request and its answer; the answer may be a list of accepted ones."""
    prompt, answers = prompt_of(row), answers_of(row)
    messages = (*prompt, Message(role="assistant", content=answers[0]))
    return (example(row, messages, given, targets=answers, tools=tools_of(row)),)


def _instances(row: Row, given: Given) -> Sequence[Record]:
    """A request with several inputs and their outputs: a record for each."""
    return [
        example(each.row, (*each.prompt, Message(role="assistant", content=each.answers[0])), given.part(number),
                targets=each.answers)
        for number, each in enumerate(instances_of(row))
    ]  # fmt: skip


def _tree(row: Row, given: Given) -> Sequence[Record]:
    """A tree of replies: a record for each way from its root to an answer that nothing follows."""
    return [
        example(way.row, way.messages, given.part(number), tools=tools_of(row))
        for number, way in enumerate(tree_paths(row))
    ]


def _is_own(row: Row) -> bool:
    if row.get("messages") is None:
        return False
    if any(row.get(name) is not None for name in RECORD_NAMES):
        return True
    # One that ends in calls of tools alone has no targets.
    identity = row.get("id")
    return isinstance(identity, str) and isinstance(row.get("source"), str) and bool(_OWN_ID.fullmatch(identity))


def _has_messages(row: Row) -> bool:
    return row.get("messages") is not None


def _has_conversation(row: Row) -> bool:
    return any(row.get(name) is not None for name in CONVERSATION_NAMES)


def _is_pair(row: Row) -> bool:
    return any(name in row and not isinstance(row[name], Mapping) for name in (*PROMPT_NAMES, *INPUT_NAMES))


def _is_prompt_pair(row: Row) -> bool:
    return "prompt" in row and _is_pair(row)


def _is_task_item(row: Row) -> bool:
    return isinstance(row.get("output"), list) and _is_pair(row)


SHAPES = (
    Shape("preference", '{"prompt", "chosen", "rejected"}', has_preference, preferences_of),
    Shape("ifeval", '{"prompt", "instruction_id_list", "kwargs"}', has_instructions, instructed),
    Shape("bbq", '{"context", "question", "ans0", "ans1", "ans2", "label"}', is_bbq, bbq_item_of),
    Shape("luthier", '{"messages", "targets", "task" ...}', _is_own, _own),
    Shape("messages", '{"messages": [{"role", "content"}]}', _has_messages, _conversation),
    Shape("sharegpt", '{"conversations": [{"from", "value"}]}', _has_conversation, _conversation),
    Shape("tree", '{"prompt": {"text", "role", "replies": [...]}}', is_tree, _tree),
    Shape("instances", '{"instruction", "instances": [{"input", "output"}]}', has_instances, _instances),
    Shape("prompt/completion", '{"prompt", "completion"}', _is_prompt_pair, _pair),
    Shape("super-ni", '{"input", "output": [...]}', _is_task_item, _pair),
    Shape("alpaca", '{"instruction", "input", "output"}', _is_pair, _pair),
)
"""In order: the first that fits is the row's shape."""


def _unknown(row: Row) -> BadRow:
    return BadRow("unknown shape", field="", found=f"the fields {keys(row)}",
                  expected="one of " + ", ".join(shape.looks_like for shape in SHAPES),
                  fix='rename the fields, or say what they are: curate.columns = {YOURS = "prompt", ...}')  # fmt: skip
