"""Which rows of a data set form one task with options, so that their labels can be judged together.

A row takes part if its answer is short enough to be a label. Rows that name their task are one group a task. Of the
others, those that list options are grouped by the options; rows that list none, or options whose meaning lies in the
question ("yes" and "no"), by the words of the instruction that they share. What is left and lists options is grouped by
labels that are listed together: "animal, tool" and "tool, fruit" are parts of one set of classes.

Groups are found on hashes alone (`LabelKeys`), so that the texts of a large set need not be in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from luthier.curate.labels.asked import listed_options, without_options
from luthier.curate.split import connected
from luthier.records import Example

LONGEST_LABEL = 40
"""Characters; a longer answer is free text."""
MOST_LABEL_WORDS = 5
FEWEST_ROWS = 50
"""A smaller group is not judged: a classifier would learn little from it."""
MOST_LABELS = 200
"""Of one task. The probabilities of all labels of all its rows are held at once."""
FEWEST_ROWS_A_LABEL = 5
"""On average; with fewer, the answers are answers and not classes."""
SHARED_WORDS = 5
"""Words at the beginning or the end of a prompt that make an instruction where no whole line is shared."""
NUM_INSTRUCTIONS = 4
"""Ways in which rows may share one; see `_instruction`."""
_OF_THE_QUESTION = frozenset(
    {"yes", "no", "true", "false", "maybe", "unknown", "neither", "both", "cannot tell", "right", "wrong", "correct",
     "incorrect", "none", "neutral"}
)  # fmt: skip

LABEL = np.dtype([
    ("row", "i8"), ("label", "u8"), ("task", "u8"), ("options", "u8"), ("shared", "u8", NUM_INSTRUCTIONS),
    ("is_sign", "?"),
])  # fmt: skip
"""One row whose answer may be a label, by hashes; 0 where there is nothing. `options`: of all that it lists, in any
order, where these say themselves what they mean. `shared`: see `_instruction`. `is_sign`: the label has one character.
"""
OPTION = np.dtype([("entry", "i8"), ("label", "u8")])
"""One option of a row that lists such: the number of its LABEL, and the hash of the label that it would be."""
TASK, OPTIONS, LISTED_TOGETHER, SHARED = range(4)
"""What the rows of a group have in common; from SHARED on a way to share an instruction."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A row whose answer may be a label."""

    text: str
    """The prompt without its list of options."""
    label: str
    """The answer without case, and without a full stop."""
    options: tuple[str, ...] = ()
    """What may be answered, written like the label; empty where nothing says so."""
    task: str | None = None


class LabelKeys(NamedTuple):
    """What groups are found by."""

    entries: np.ndarray
    """LABEL"""
    options: np.ndarray
    """OPTION, those of one entry beside each other"""

    @classmethod
    def joined(cls, parts: Sequence[LabelKeys], first_rows: Sequence[int]) -> LabelKeys:
        """Those of all parts; rows of a part are counted from `first_rows` on."""
        entries = [np.array(part.entries) for part in parts]
        options = [np.array(part.options) for part in parts]
        start = 0
        for own, listed, first in zip(entries, options, first_rows, strict=True):
            own["row"] += first
            listed["entry"] += start
            start += len(own)
        return cls(np.concatenate([np.zeros(0, LABEL), *entries]), np.concatenate([np.zeros(0, OPTION), *options]))

    def chosen(self, mask: Mask) -> LabelKeys:
        """Those of some entries."""
        number = np.cumsum(mask) - 1
        options = self.options[mask[self.options["entry"]]]
        options["entry"] = number[options["entry"]]
        return LabelKeys(self.entries[mask], options)


class Group(NamedTuple):
    """Rows of one task with options, by their numbers."""

    way: int
    """What they have in common: TASK, OPTIONS, LISTED_TOGETHER, or SHARED and more."""
    rows: npt.NDArray[np.int64]
    """Rising."""


class TaskGroup(NamedTuple):
    """Rows of one task with options, as `judge_labels` takes them."""

    name: str
    """The task, the options, or the instruction that the rows share."""
    rows: tuple[int, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    options: tuple[tuple[str, ...], ...] | None
    """The options of each row; None where all rows have the same."""


def label_row(example: Example) -> LabelRow | None:
    """The row as a text with a label; None where the answer is none or too long to be one."""
    answer = example.target if example.messages[-1].role != "assistant" else example.messages[-1].content
    if answer is None or len(answer) > LONGEST_LABEL:
        return None
    label = _label(answer)
    if not label or "\n" in label or label.count(" ") >= MOST_LABEL_WORDS:
        return None
    prompt = "\n".join(message.content for message in example.prompt)
    options = example.choices or listed_options(prompt)
    return LabelRow(without_options(prompt), label, tuple(dict.fromkeys(map(_label, options))), example.task)


def keys_of(rows: Mapping[int, LabelRow]) -> LabelKeys:
    """The keys of rows by their numbers."""
    entries = np.zeros(len(rows), LABEL)
    options: list[tuple[int, int]] = []
    for place, (number, row) in enumerate(rows.items()):
        says_itself = _says_itself(row)
        shared = tuple(_hash(_instruction(way, row)) for way in range(NUM_INSTRUCTIONS))
        listed = _hash("\n".join(sorted(row.options))) if says_itself else 0
        entries[place] = (number, _hash(row.label), _hash(row.task), listed, shared, len(row.label) < 2)
        if says_itself:
            options += [(place, _hash(option)) for option in row.options]
    return LabelKeys(entries, np.array(options, OPTION))


def found_groups(keys: LabelKeys) -> list[Group]:
    """The groups of rows with one task, largest first; a row is in one group at most.

    A group has at least FEWEST_ROWS rows and two labels, at most MOST_LABELS, and FEWEST_ROWS_A_LABEL rows a label.
    """
    entries = keys.entries
    is_left = np.ones(len(entries), bool)
    found = _taken(TASK, entries, entries["task"], is_left)
    found += _taken(OPTIONS, entries, entries["options"], is_left)
    found += _taken(LISTED_TOGETHER, entries, _listed_together(keys, is_left), is_left)
    for way in range(NUM_INSTRUCTIONS):
        found += _taken(SHARED + way, entries, entries["shared"][:, way], is_left)
    return sorted(found, key=lambda group: (-len(group.rows), int(group.rows[0])))


def task_groups(rows: Sequence[LabelRow | None]) -> list[TaskGroup]:
    """The groups of rows that are all in memory; see `found_groups`."""
    known = {number: row for number, row in enumerate(rows) if row is not None}
    found = []
    for group in found_groups(keys_of(known)):
        numbers = group.rows.tolist()
        members = [known[number] for number in numbers]
        labels = tuple(row.label for row in members)
        found.append(TaskGroup(
            name=group_name(group.way, members[0], labels), rows=tuple(numbers), labels=labels,
            texts=tuple(row.text for row in members), options=options_of([row.options for row in members], labels),
        ))  # fmt: skip
    return found


def group_name(way: int, row: LabelRow, labels: Sequence[str]) -> str:
    """What a group is called: by what one of its rows has in common with the others, and by all their labels."""
    if way == TASK:
        return row.task or ""
    if way == OPTIONS:
        return f"options: {' | '.join(sorted(row.options))}"
    if way == LISTED_TOGETHER:
        return f"options with {min(labels)!r}"
    return _instruction(way - SHARED, row) or ""


def options_of(listed: Sequence[tuple[str, ...]], labels: Sequence[str]) -> tuple[tuple[str, ...], ...] | None:
    """The options of each row of a group, all its labels for a row that lists none; None where all list the same."""
    if len({frozenset(options) for options in set(listed)}) == 1:
        return None
    all_labels = tuple(sorted(set(labels)))
    return tuple(options or all_labels for options in listed)


def _taken(way: int, entries: np.ndarray, keys: np.ndarray, is_left: Mask) -> list[Group]:
    """The groups of entries with one key that are a task; these are left no longer."""
    order = np.flatnonzero(is_left & (keys != 0))
    if not len(order):
        return []
    order = order[np.lexsort((order, entries["label"][order], keys[order]))]
    begins, is_new = np.ones(len(order), bool), np.ones(len(order), bool)
    begins[1:] = np.diff(keys[order]) != 0
    is_new[1:] = begins[1:] | (np.diff(entries["label"][order]) != 0)
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=len(order))
    num_labels = np.add.reduceat(is_new.astype(np.int64), starts)
    # Labels of one sign, "B" or "3", stand for something else in every row.
    has_words = np.logical_or.reduceat(~entries["is_sign"][order], starts)
    is_task = (sizes >= FEWEST_ROWS) & (num_labels >= 2) & (num_labels <= MOST_LABELS) & has_words
    is_task &= sizes >= FEWEST_ROWS_A_LABEL * num_labels
    found = []
    for start, size in zip(starts[is_task].tolist(), sizes[is_task].tolist(), strict=True):
        members = np.sort(order[start : start + size])
        is_left[members] = False
        found.append(Group(way, entries["row"][members]))
    return found


def _listed_together(keys: LabelKeys, is_left: Mask) -> np.ndarray:
    """For each entry the set of classes that its label belongs to, counted from 1: those that some row lists together.

    0 where its row lists none, or where fewer than FEWEST_ROWS_A_LABEL rows have the label.
    """
    entries = keys.entries
    found = np.zeros(len(entries), np.int64)
    lists = is_left & (entries["options"] != 0)
    labels, counts = np.unique(entries["label"][lists], return_counts=True)
    labels = labels[counts >= FEWEST_ROWS_A_LABEL]
    if not len(labels):
        return found
    options = keys.options[lists[keys.options["entry"]] & np.isin(keys.options["label"], labels)]
    number = np.searchsorted(labels, options["label"])
    is_next = options["entry"][1:] == options["entry"][:-1]
    classes = connected(len(labels), np.stack([number[:-1][is_next], number[1:][is_next]], axis=1))
    mine = lists & np.isin(entries["label"], labels)
    found[mine] = classes[np.searchsorted(labels, entries["label"][mine])] + 1
    return found


def _label(text: str) -> str:
    return text.strip().rstrip(".").casefold()


def _says_itself(row: LabelRow) -> bool:
    """Whether the options mean the same under any question: "positive", not "yes" or "B"."""
    return bool(row.options) and not any(option in _OF_THE_QUESTION or len(option) < 2 for option in row.options)


def _instruction(way: int, row: LabelRow) -> str | None:
    """What the row may share with others of its task: first line, last line, first words, last words."""
    text = row.text.strip()
    if way < 2:
        line = text.partition("\n")[0] if way == 0 else text.rpartition("\n")[2]
        return f"line: {line}" if len(line) < len(text) else None
    words = text.split(None, SHARED_WORDS) if way == 2 else text.rsplit(None, SHARED_WORDS)
    if len(words) <= SHARED_WORDS:
        return None
    return f"begins: {' '.join(words[:-1])}" if way == 2 else f"ends: {' '.join(words[1:])}"


def _hash(text: str | None) -> int:
    """8 bytes as a number; 0 stands for nothing."""
    if text is None:
        return 0
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
