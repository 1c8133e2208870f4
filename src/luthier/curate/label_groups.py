"""Which rows of a data set form one task with options, so that their labels can be judged together.

A row takes part if its answer is short enough to be a label. Rows that name their task are one group a task. Of the
others, those that list options are grouped by the options; rows that list none, or options whose meaning lies in the
question ("yes" and "no"), by the words of the instruction that they share. What is left and lists options is grouped by
labels that are listed together: "animal, tool" and "tool, fruit" are parts of one set of classes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from luthier.curate.asked import listed_options, without_options
from luthier.records import Example

LONGEST_LABEL = 40
"""Characters; a longer answer is free text."""
MOST_LABEL_WORDS = 5
FEWEST_ROWS = 50
"""A smaller group is not judged: a classifier would learn little from it."""
MOST_LABELS = 100
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


def task_groups(rows: Sequence[LabelRow | None]) -> list[TaskGroup]:
    """The groups of rows with one task, largest first; a row is in one group at most.

    A group has at least FEWEST_ROWS rows and two labels, at most MOST_LABELS, and FEWEST_ROWS_A_LABEL rows a label.
    """
    left = {number: row for number, row in enumerate(rows) if row is not None}
    found = _taken(left, lambda row: row.task)
    found += _taken(left, _all_options)
    classes = _listed_together(left.values())
    found += _taken(left, lambda row: classes.get(row.label) if _says_itself(row) else None)
    for place in range(NUM_INSTRUCTIONS):
        found += _taken(left, partial(_instruction, place))
    return sorted(found, key=lambda group: (-len(group.rows), group.rows))


def _taken(left: dict[int, LabelRow], name: Callable[[LabelRow], str | None]) -> list[TaskGroup]:
    """The groups of rows with one name that are a task; their rows are left no longer."""
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in left.items():
        if (given := name(row)) is not None:
            by_name[given].append(number)
    found = []
    for given, numbers in by_name.items():
        if _is_task([left[number] for number in numbers]):
            found.append(_group(given, {number: left.pop(number) for number in numbers}))
    return found


def _label(text: str) -> str:
    return text.strip().rstrip(".").casefold()


def _says_itself(row: LabelRow) -> bool:
    """Whether the options mean the same under any question: "positive", not "yes" or "B"."""
    return bool(row.options) and not any(option in _OF_THE_QUESTION or len(option) < 2 for option in row.options)


def _all_options(row: LabelRow) -> str | None:
    return f"options: {' | '.join(sorted(row.options))}" if _says_itself(row) else None


def _is_task(rows: Sequence[LabelRow]) -> bool:
    counts = Counter(row.label for row in rows)
    total = counts.total()
    if total < FEWEST_ROWS or not 2 <= len(counts) <= MOST_LABELS or max(map(len, counts)) < 2:
        return False  # labels of one sign, "B" or "3", stand for something else in every row
    return total >= FEWEST_ROWS_A_LABEL * len(counts)


def _group(name: str, members: Mapping[int, LabelRow]) -> TaskGroup:
    rows = members.values()
    sets = {frozenset(row.options) for row in rows}
    return TaskGroup(
        name=name,
        rows=tuple(members),
        texts=tuple(row.text for row in rows),
        labels=tuple(row.label for row in rows),
        options=None if len(sets) == 1 else tuple(row.options or tuple({r.label for r in rows}) for row in rows),
    )


def _instruction(place: int, row: LabelRow) -> str | None:
    """What the row may share with others of its task: first line, last line, first words, last words."""
    text = row.text.strip()
    if place < 2:
        lines = text.split("\n")
        return f"line: {lines[-place]}" if len(lines) > 1 else None
    words = text.split()
    if len(words) <= SHARED_WORDS:
        return None
    some = words[:SHARED_WORDS] if place == 2 else words[-SHARED_WORDS:]
    return f"{'begins' if place == 2 else 'ends'}: {' '.join(some)}"


def _listed_together(rows: Iterable[LabelRow]) -> dict[str, str]:
    """For each label the name of its set of classes: those that some row lists together."""
    rows = [row for row in rows if _says_itself(row)]
    counts = Counter(row.label for row in rows)
    parent = {label: label for label, count in counts.items() if count >= FEWEST_ROWS_A_LABEL}

    def root(label: str) -> str:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    for row in rows:
        roots = sorted(root(option) for option in row.options if option in parent)
        for other in roots[1:]:
            parent[other] = roots[0]
    return {label: f"options with {root(label)!r}" for label in parent}
