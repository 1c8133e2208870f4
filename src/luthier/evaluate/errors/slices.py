"""Slices: sets of items that share something one can name, alone or two things at once.

Everything is read from the item, never from what the model said, so that a slice is the same on both halves and among
training rows. The kinds stand in `KINDS`, the more telling before the less: where two kinds pick the same items, the
slice has the name of the first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from luthier.graders.auto import grader_for
from luthier.languages import UNDETERMINED, identify
from luthier.records import Example
from luthier.tasks.task import ROW_LINK

_WORD = re.compile(r"[\u2e80-\u9fff]|[^\W_]+(?:['\u2019][^\W_]+)*")
_GROUP_CHARACTERS = 600
"""Of all answers of a task together, for the language of those that are too short to tell."""
_PLACE = re.compile(r":\d+(?:#\d+)?$")
WITH_TASKS = ("task", "cluster")
"""Kinds that are crossed with every other kind."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What its items have in common: one kind with its value, or two."""

    parts: tuple[tuple[str, str], ...]
    """(kind, value); a pair begins with the task or the cluster."""

    @property
    def name(self) -> str:
        """"task = add" or "task = add, answer words = 5-8"."""
        return ", ".join(f"{kind} = {value}" for kind, value in self.parts)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its parts."""
        return tuple(kind for kind, _ in self.parts)


@dataclass(slots=True)
class Traits:
    """What examples are, by kind; a kind is worked out for those examples that somebody asks about."""

    known: Sequence[Example]
    """Items and training rows: the language of a task's short answers, and which templates are turned around, show
    only in many of them."""
    _answer_languages: Mapping[tuple[str, bool], str] | None = field(default=None, repr=False)
    _inverted: frozenset[str] | None = field(default=None, repr=False)
    _kept: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)

    def of(self, example: Example, kind: str) -> tuple[str, ...]:
        """Its values of the kind; empty where it has none."""
        key = (example.id, kind)
        if key not in self._kept:
            found = _READERS[kind](self, example)
            self._kept[key] = tuple(value for value in found if value)
        return self._kept[key]

    def is_in(self, example: Example, part: Slice) -> bool:
        """Whether the example belongs to the slice."""
        return all(value in self.of(example, kind) for kind, value in part.parts)

    def answer_languages(self) -> Mapping[tuple[str, bool], str]:
        """The language of each task's answers taken together, apart for templates that are turned around."""
        if self._answer_languages is None:
            texts: dict[tuple[str, bool], str] = defaultdict(str)
            for example in self.known:
                if example.task and example.target and not example.choices:
                    key = example.task, example.template in self.inverted()
                    texts[key] += example.target + ". " if len(texts[key]) < _GROUP_CHARACTERS else ""
            self._answer_languages = {key: identify(text).code for key, text in texts.items()}
        return self._answer_languages

    def inverted(self) -> frozenset[str]:
        """Templates that are turned around, as far as items and rows that were made of one row can tell."""
        if self._inverted is None:
            self._inverted = inverted_templates(self.known)
        return self._inverted


@dataclass(frozen=True, slots=True)
class Slices:
    """Slices of some items."""

    items: tuple[Example, ...]
    members: Mapping[Slice, tuple[int, ...]]
    """The positions of each slice's items."""
    aliases: Mapping[Slice, tuple[Slice, ...]]
    """Slices of the very same items, left out of `members`."""


def slices_of(items: Sequence[Example], traits: Traits, *, min_items: int) -> Slices:
    """Every slice of at least `min_items` items, and of not all of them; of several with the same items one."""
    found: dict[Slice, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        single = [(kind, value) for kind in KINDS for value in traits.of(item, kind)]
        for one in single:
            found[Slice((one,))].append(place)
        for first in single:
            if first[0] in WITH_TASKS:
                for second in single:
                    if second[0] not in WITH_TASKS and not (first[0] == "cluster" and second[0] == "template"):
                        found[Slice((first, second))].append(place)
    by_items: dict[tuple[int, ...], list[Slice]] = defaultdict(list)
    for part, places in found.items():
        if min_items <= len(places) < len(items):
            by_items[tuple(places)].append(part)
    members, aliases = {}, {}
    for key, same in by_items.items():
        best, *others = sorted(same, key=_rank)
        members[best] = key
        aliases[best] = tuple(others)
    ordered = sorted(members, key=_rank)
    return Slices(tuple(items), {part: members[part] for part in ordered}, aliases)


def inverted_templates(examples: Iterable[Example]) -> frozenset[str]:
    """Templates that ask the other way round: given the answer, for the input.

    Two templates turn each other round when, of one row, each one's answer stands in the other's request. Of a task's
    templates that do, the fewer are the inverted ones.
    """
    by_row: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in examples:
        for link in example.links:
            if link.startswith(ROW_LINK) and example.task and example.template and example.target:
                by_row[example.task, link].append(example)
    turned: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for (task, _), same in by_row.items():
        for a in same:
            for b in same:
                if a.template and b.template and a.template < b.template and _turns_round(a, b):
                    turned[task].add((a.template, b.template))
    return frozenset(name for pairs in turned.values() for name in _smaller_side(pairs))


def words(text: str) -> list[str]:
    """The words of a text; an ideogram is a word."""
    return _WORD.findall(text)


def request_of(example: Example) -> str:
    """The last turn of the prompt."""
    return example.prompt[-1].content if example.prompt else ""


def size_bin(count: int) -> str:
    """Counts in bins that double: 0, 1, 2, 3-4, 5-8, 9-16, ...

    >>> [size_bin(count) for count in (0, 1, 2, 3, 4, 5, 8, 9, 100)]
    ['0', '1', '2', '3-4', '3-4', '5-8', '5-8', '9-16', '65-128']
    """
    if count <= 2:
        return str(count)
    high = 1 << (count - 1).bit_length()
    return f"{high // 2 + 1}-{high}"


def _rank(part: Slice) -> tuple[int, list[int], str]:
    return len(part.parts), [KINDS.index(kind) for kind in part.kinds], part.name


def _turns_round(a: Example, b: Example) -> bool:
    """Whether each one's answer stands in the other's request, and not both in their own."""
    answers = a.target or "", b.target or ""
    crossed = _holds(request_of(a), answers[1]) and _holds(request_of(b), answers[0])
    own = _holds(request_of(a), answers[0]) and _holds(request_of(b), answers[1])
    return answers[0] != answers[1] and crossed and not own


def _holds(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text as it is written, as whole words."""
    before, after = (r"\b" if sign.isalnum() else "" for sign in (phrase[:1], phrase[-1:]))
    return bool(phrase) and re.search(f"{before}{re.escape(phrase)}{after}", text) is not None


def _smaller_side(pairs: set[tuple[str, str]]) -> set[str]:
    """Of templates in two camps, the camp of fewer; of equal ones that of the later names."""
    side: dict[str, int] = {}
    near: dict[str, set[str]] = defaultdict(set)
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    for start in sorted(near, key=lambda name: (-len(near[name]), name)):
        if start in side:
            continue
        side[start], queue = 0, [start]
        while queue:
            at = queue.pop()
            for other in sorted(near[at]):
                if other not in side:
                    side[other] = 1 - side[at]
                    queue.append(other)
    first, second = (sorted(name for name, of in side.items() if of == camp) for camp in (0, 1))
    if len(first) != len(second):
        return set(first if len(first) < len(second) else second)
    return set(max(first, second, key=lambda camp: [_number(name) for name in camp]))


def _number(template: str) -> int:
    digits = re.search(r"\d+$", template)
    return int(digits[0]) if digits else 0


def _language(traits: Traits, example: Example) -> tuple[str, ...]:
    code = example.language or identify(request_of(example)).code
    return () if code == UNDETERMINED else (code,)


def _answer_language(traits: Traits, example: Example) -> tuple[str, ...]:
    if not example.target or example.choices:
        return ()
    code = identify(example.target).code if len(example.target.split()) > 3 else UNDETERMINED
    if code == UNDETERMINED and example.task:
        key = example.task, example.template in traits.inverted()
        code = traits.answer_languages().get(key, UNDETERMINED)
    return () if code == UNDETERMINED else (code,)


def _form(traits: Traits, example: Example) -> tuple[str, ...]:
    """How the request ends: with a question, with a name and a colon, ..."""
    end = request_of(example).rstrip()[-1:]
    names = {"?": "ends with a question mark", "\uff1f": "ends with a question mark", ":": "ends with a colon",
             ".": "ends with a period", "!": "ends with an exclamation mark"}  # fmt: skip
    return (names.get(end, "ends without a mark"),)


def _turns(traits: Traits, example: Example) -> tuple[str, ...]:
    count = sum(message.role == "user" for message in example.prompt)
    return ("3 or more" if count > 2 else str(count),)


def _constraints(traits: Traits, example: Example) -> tuple[str, ...]:
    return tuple(sorted(key for key in example.grading if key != "grader"))


_READERS: Mapping[str, Callable[[Traits, Example], tuple[str, ...]]] = {
    "task": lambda traits, example: (example.task or "",),
    "cluster": lambda traits, example: (example.cluster or "",),
    "answer language": _answer_language,
    "language": _language,
    "inverted template": lambda traits, example: (("yes" if example.template in traits.inverted() else "no"),)
    if example.template and traits.inverted() else (),
    "template": lambda traits, example: (example.template or "",),
    "answer words": lambda traits, example: (size_bin(len(words(example.target))),) if example.target else (),
    "request words": lambda traits, example: (size_bin(sum(len(words(m.content)) for m in example.prompt)),),
    "user turns": _turns,
    "constraint": _constraints,
    "options": lambda traits, example: ("given" if example.choices else "none",),
    "grader": lambda traits, example: (grader_for(example),),
    "request form": _form,
    "source": lambda traits, example: (_PLACE.sub("", example.source),),
}  # fmt: skip
KINDS = tuple(_READERS)
"""The kinds of slices, the more telling before the less."""
