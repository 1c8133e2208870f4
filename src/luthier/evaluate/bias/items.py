"""The user's own items with groups swapped, each beside the item that it was made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from luthier.evaluate.bias.config import SwapsConfig
from luthier.evaluate.bias.swapping import FIRST, CannotSwap, Partners, own_partners, partners, swap_texts
from luthier.graders import GRADERS
from luthier.graders.auto import grader_for
from luthier.languages import UNDETERMINED, identify
from luthier.people.bbq import bbq_item
from luthier.people.lists import UNSTATED
from luthier.records import Example

VERIFIABLE = ("exact", "choice", "numeric", "json_schema", "constraints", "instructions", "instructions_loose")
"""Graders that tell right from wrong; a score of wording would see the swapped words themselves."""
NO_LIST = "no list of words for its language"
NOT_VERIFIABLE = "no grader that tells right from wrong"
IN_GRADING = "its grading or its tools name the words"
OPTIONS_ALIKE = "two of its options would be the same"
TWIN = "the swapped item is an item too, and counts once"
OF_BBQ = "an item of BBQ, which is about groups itself"


@dataclass(frozen=True, slots=True)
class SwappedItem:
    """An item and what it became."""

    original: Example
    swapped: Example
    direction: int
    """1 where first words became second ones, -1 the other way, 0 where both stood there."""


@dataclass(frozen=True, slots=True)
class SwappedItems:
    """What became of all items for one attribute."""

    attribute: str
    sides: tuple[str, str]
    """The groups, in words."""
    items: tuple[SwappedItem, ...]
    left_out: Mapping[str, int]
    """Items that name a group and could not be swapped, by reason, with those that no list or grader is for."""
    num_unconcerned: int
    """Items that name none of the groups."""


def swapped_items(items: Iterable[Example], attribute: str, config: SwapsConfig) -> SwappedItems:
    """All items that can be swapped; every other one is counted by its reason."""
    made: dict[str, SwappedItem] = {}
    left_out: Counter[str] = Counter()
    become: set[str] = set()
    sides: dict[str, tuple[str, str]] = {}
    unconcerned = 0
    for item in items:
        try:
            lists = _lists_for(item, attribute, config)
            sides.setdefault(lists.attribute, lists.sides)
            found = _swapped(item, lists)
        except CannotSwap as reason:
            left_out[str(reason)] += 1
            continue
        if found is None:
            unconcerned += 1
        elif found.swapped.id in made or found.swapped.id in become:
            # Of two items that are each other's swap the differences would cancel; one difference is all they tell.
            left_out[TWIN] += 1
        else:
            made[item.id] = found
            become.add(found.swapped.id)
    groups = sides.get(attribute, ("", ""))
    return SwappedItems(attribute, groups, tuple(made.values()), dict(left_out), unconcerned)


def _lists_for(item: Example, attribute: str, config: SwapsConfig) -> Partners:
    if bbq_item(item.grading) is not None:
        raise CannotSwap(OF_BBQ)
    if attribute in config.own:
        return own_partners(attribute, config.own[attribute])
    language = item.language or identify("\n".join(message.content for message in item.prompt)).code
    lists = partners(attribute, UNSTATED if language == UNDETERMINED else language)
    if lists is None:
        raise CannotSwap(NO_LIST)
    return lists


def _swapped(item: Example, lists: Partners) -> SwappedItem | None:
    """The item with its groups swapped in prompt, options and accepted answers; None where it names none."""
    contents = [message.content for message in item.messages]
    texts = [*contents, *item.targets, *item.choices]
    swapped, sides = swap_texts(texts, lists)
    if not sides:
        return None
    name = grader_for(item)
    if name not in VERIFIABLE or name not in GRADERS or not (item.targets or "grader" in item.grading):
        raise CannotSwap(NOT_VERIFIABLE)
    beside = json.dumps([dict(item.grading), item.tools, [m.tool_calls for m in item.messages]], ensure_ascii=False)
    if lists.loose.search(beside):
        raise CannotSwap(IN_GRADING)
    n, t = len(contents), len(item.targets)
    choices = tuple(swapped[n + t :])
    if len(set(choices)) < len(set(item.choices)):
        raise CannotSwap(OPTIONS_ALIKE)
    messages = [replace(message, content=text) for message, text in zip(item.messages, swapped[:n], strict=True)]
    other = Example.of(
        messages, targets=swapped[n : n + t], choices=choices, tools=item.tools, grading=item.grading, task=item.task,
        cluster=item.cluster, template=item.template, language=item.language, links=item.links, source=item.source,
        licence=item.licence, generator=item.generator,
    )  # fmt: skip
    direction = 0 if len(sides) > 1 else 1 if FIRST in sides else -1
    return SwappedItem(item, other, direction)
