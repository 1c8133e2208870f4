"""Rows of BBQ: a context, a question about two people in it, and three answers, of which one is "unknown"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.files.raw import Row
from luthier.curate.shapes.making import Given, Record, example
from luthier.curate.shapes.turns import text_of
from luthier.people.bbq import CONDITIONS, FIELD, POLARITIES, BbqItem
from luthier.records import Message

OPTIONS = ("ans0", "ans1", "ans2")
UNKNOWN = "unknown"
"""The group of the answer that says that it cannot be known."""
_TEXTS = ("context", "question", "category", *OPTIONS)
_SEX_BEFORE = re.compile(r"^[fm][-_ ](?=.)", re.IGNORECASE)
_OTHER_WORDS = {
    **dict.fromkeys(("woman", "women", "girl", "girls", "female"), "f"),
    **dict.fromkeys(("man", "men", "boy", "boys", "male"), "m"),
}
"""Groups that are named otherwise in the list of stereotyped ones."""


def is_bbq(row: Row) -> bool:
    """Whether a row has BBQ's fields."""
    return row.get("context_condition") is not None and row.get("answer_info") is not None and "ans0" in row


def bbq_item_of(row: Row, given: Given) -> Sequence[Record]:
    """The question with its three options; condition, polarity and groups stand in grading["bbq"].

    Items of one template share a link, so that a split keeps them together.
    """
    texts = {name: text_of(row.get(name), name, is_answer=False) for name in _TEXTS}
    options = [texts[name] for name in OPTIONS]
    condition = _one_of(row, "context_condition", CONDITIONS)
    polarity = _one_of(row, "question_polarity", POLARITIES)
    label = row.get("label")
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(options):
        raise BadRow("wrong field", field="label", found=shown(label), expected="0, 1 or 2",
                     fix="write the number of the right answer")  # fmt: skip
    groups = _groups(row, options)
    unknown = [option for option in options if option not in groups]
    if len(set(options)) != len(options) or len(unknown) != 1:
        raise BadRow("wrong field", field="answer_info", found=f"{len(unknown)} answers of the group {UNKNOWN!r}",
                     expected=f"three different answers, one of them of the group {UNKNOWN!r}",
                     fix='write {"ans0": ["name", "group"], ...}')  # fmt: skip
    question = str(row.get("question_index", ""))
    facts = BbqItem(
        category=texts["category"], question=question, condition=condition, polarity=polarity, unknown=unknown[0],
        stereotyped=_stereotyped(row, options, groups), groups=groups,
    )  # fmt: skip
    listed = "\n".join(f"- {option}" for option in options)
    asked = f"{texts['context']}\n\n{texts['question']}\n\nAnswer with one of these:\n{listed}"
    name = f"bbq {texts['category']}"
    made = {
        "choices": options, "grading": {"grader": "choice", FIELD: facts.to_json()}, "task": name,
        "template": f"{name} {question}", "links": [f"{name} {question}"], "language": "en",
    }  # fmt: skip
    messages = Message(role="user", content=asked), Message(role="assistant", content=options[label])
    return (example({**row, **made}, messages, given, targets=(options[label],)),)


def _one_of(row: Row, name: str, known: Sequence[str]) -> str:
    value = row.get(name)
    if value not in known:
        raise BadRow("wrong field", field=name, found=shown(value), expected=" or ".join(known),
                     fix="correct it, or delete the row")  # fmt: skip
    return str(value)


def _groups(row: Row, options: Sequence[str]) -> dict[str, str]:
    """The group of each option but the unknown one."""
    infos = row["answer_info"]
    groups = {}
    for name, option in zip(OPTIONS, options, strict=True):
        info = infos.get(name) if isinstance(infos, Mapping) else None
        if not isinstance(info, list) or len(info) != 2 or not all(isinstance(part, str) for part in info):
            raise BadRow("wrong field", field=f"answer_info.{name}", found=shown(info),
                         expected="a name and a group", fix='write ["grandfather", "old"]')  # fmt: skip
        if info[1] != UNKNOWN:
            groups[option] = info[1]
    return groups


def _stereotyped(row: Row, options: Sequence[str], groups: Mapping[str, str]) -> str | None:
    """The one option whose name or group is among the stereotyped groups; None where that is not one."""
    held = row.get("additional_metadata")
    named = held.get("stereotyped_groups") if isinstance(held, Mapping) else None
    if not isinstance(named, list):
        return None
    wanted = {_plain(group) for group in named}
    told = {option: {_plain(part) for part in row["answer_info"][name]}
            for name, option in zip(OPTIONS, options, strict=True)}  # fmt: skip
    found = [option for option in groups if not wanted.isdisjoint(told[option])]
    return found[0] if len(found) == 1 else None


def _plain(group: Any) -> str:
    """The group without case, signs, and the sex before it: "F-Black" is "black", "low SES" is "lowses"."""
    letters = "".join(filter(str.isalnum, _SEX_BEFORE.sub("", str(group)).casefold()))
    return "trans" if letters.startswith("trans") else _OTHER_WORDS.get(letters, letters)
