"""Rows that state which checkable instructions their request holds: the shape of IFEval's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import Row
from luthier.curate.names import ANSWER_NAMES
from luthier.curate.shapes.fields import answers_of, prompt_of
from luthier.curate.shapes.making import Given, Record, example
from luthier.graders.instructions.asking import BadInstruction, read_instructions
from luthier.graders.instructions.grading import FIELD, STRICT
from luthier.records import Message

IDS, ARGUMENTS = "instruction_id_list", "kwargs"


def has_instructions(row: Row) -> bool:
    """Whether a row is a request with a list of the instructions in it."""
    return row.get(IDS) is not None and "prompt" in row


def instructed(row: Row, given: Given) -> Sequence[Record]:
    """The request, graded by its instructions; its answer too, where the row has one."""
    asked = _asked(row)
    try:
        read_instructions(asked)
    except BadInstruction as bad:
        place = bad.field.partition("[")[2]
        index, _, rest = place.partition("].")
        field = f"{IDS}[{index}]" if rest == "id" else f"{ARGUMENTS}[{index}].{rest}"
        raise BadRow("wrong instruction", field=field, found=bad.found, expected=bad.expected,
                     fix="correct the instruction, or take it out of both lists") from bad  # fmt: skip
    messages = prompt_of(row)
    if any(row.get(name) is not None for name in ANSWER_NAMES):
        messages = (*messages, Message(role="assistant", content=answers_of(row)[0]))
    grading = {"grader": STRICT, FIELD: asked}
    return (example({**row, "grading": grading}, messages, given),)


def _asked(row: Row) -> list[dict[str, Any]]:
    """Both lists as one; null arguments, with which some copies fill every key, are left out."""
    ids, arguments = row[IDS], row.get(ARGUMENTS)
    if not isinstance(ids, list) or not ids or not all(isinstance(name, str) for name in ids):
        raise BadRow("wrong field", field=IDS, found=shown(ids), expected="a list of ids, one at least",
                     fix='write ["punctuation:no_comma"]')  # fmt: skip
    is_list = isinstance(arguments, list) and all(isinstance(each, Mapping | None) for each in arguments)
    if not is_list or len(arguments or ()) != len(ids):
        raise BadRow("wrong field", field=ARGUMENTS, found=shown(arguments),
                     expected=f"a list of {len(ids)} objects, one for each of {IDS}",
                     fix="write {} for an instruction without arguments")  # fmt: skip
    return [
        {"id": name.removeprefix("en:"), **{key: value for key, value in (each or {}).items() if value is not None}}
        for name, each in zip(ids, arguments or (), strict=True)
    ]
