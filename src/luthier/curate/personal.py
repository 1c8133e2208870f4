"""Personal data in a record: what kinds it holds, and the record with placeholders in their place.

Looked at is every text of a record but its links, its source, its id, licence and language, and the ids of tool calls.
Within tools, arguments and what graders read, a value stands with its name, which may tell what a number is. Of
arguments, which are JSON, the values are replaced and not the text, so that they stay JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from luthier.curate.cleaning import remade, remade_preference
from luthier.curate.config import PersonalConfig
from luthier.curate.files.json_texts import kept_apart
from luthier.curate.shapes.making import Record
from luthier.privacy import Redaction
from luthier.records import Example, Message, Preference

LABELS = ("task", "cluster", "template", "generator")
"""Fields of a record that hold a text of their own."""
LEAST_DIGITS = 7
"""Whole numbers of fewer digits are no personal data."""
LONGEST_FLOAT = 1e19
"""Whole numbers with a point, from here on, are no data of a person: no number of an account or a card is so long."""

_APART = "\n;\n"
"""Between values that are looked at as one text. No rule reads past it, as some do past line ends alone, so what is
found in a value is found in the whole too: a number stays one after "version", a secret after an empty password."""
Change = Callable[[str], str]


def redaction_of(config: PersonalConfig) -> Redaction:
    """What the recipe asks to be found."""
    return Redaction(kinds=config.kinds, regions=config.regions)


def found_in(record: Record, redaction: Redaction) -> Counter[str]:
    """How often each kind of personal data stands in the record."""
    return Counter(found.kind for text in _all_texts(record, redaction) for found in redaction.find(text))


def replaced_in(record: Record, redaction: Redaction) -> tuple[Record, Counter[str]]:
    """The record with placeholders, one for each value throughout it; the same object where there was nothing."""
    texts = _all_texts(record, redaction)
    changed, kinds = redaction.redact(texts)
    if not kinds:
        return record, kinds
    known = dict(zip(texts, changed, strict=True))

    def now(text: str) -> str:
        return known.get(text, text)

    labels: dict[str, Any] = {name: now(value) for name in LABELS if (value := getattr(record, name, None))}
    if isinstance(record, Preference):
        record = replace(record, **labels)
        prompt = [_message(message, now) for message in record.prompt]
        return remade_preference(record, prompt, now(record.chosen), now(record.rejected)), kinds
    tools = tuple(_changed(tool, "", now) for tool in record.tools)
    record = replace(record, **labels, tools=tools, grading=_changed(record.grading, "", now))
    return remade(
        record, [_message(message, now) for message in record.messages], [now(text) for text in record.targets],
        [now(text) for text in record.choices],
    ), kinds  # fmt: skip


def redacted_row(row: str, beside: Sequence[str], redaction: Redaction) -> tuple[str, list[str]]:
    """A row as it stands in its file with placeholders, for people to read, and texts about it with the same ones.

    In a row of JSON a value is looked at with its name, as in a record; any other row is one text.
    """
    try:
        value = json.loads(row, object_pairs_hook=kept_apart)
        inner = list(dict.fromkeys(_values(value, "")))
    except (ValueError, RecursionError):
        value, inner = None, [row]
    texts = [*beside, *inner]
    changed, _ = redaction.redact(texts)
    known = dict(zip(texts, changed, strict=True))
    about = changed[: len(beside)]
    if changed[len(beside) :] == inner:
        return row, about
    if value is None:
        return known[row], about
    shown = json.dumps(_changed(value, "", lambda text: known.get(text, text)), ensure_ascii=False)
    return shown.encode("utf-8", "replace").decode(), about  # half of a surrogate pair cannot be written


def _all_texts(record: Record, redaction: Redaction) -> list[str]:
    """Every text to look at, each once. What stands beside the texts, which is much in rows with tools and seldom holds
    anything, is looked at as a whole first."""
    texts = dict.fromkeys(_texts(record))
    values = dict.fromkeys(_values_of(record))
    beside = _APART.join(values)
    # The word alone widens how accounts are looked for, so with it each value has to be looked at by itself.
    if beside and ("iban" in beside.lower() or redaction.find(beside)):
        texts |= values
    return list(texts)


def _texts(record: Record) -> Iterator[str]:
    """Every text that is trained on or shown."""
    messages = record.prompt if isinstance(record, Preference) else record.messages
    for message in messages:
        yield message.content
    if isinstance(record, Preference):
        yield from (record.chosen, record.rejected)
    else:
        yield from (*record.targets, *record.choices)


def _values_of(record: Record) -> Iterator[str]:
    """Names and values beside the texts, as `_changed` looks them up."""
    for name in LABELS:
        if value := getattr(record, name, None):
            yield value
    for message in record.prompt if isinstance(record, Preference) else record.messages:
        if message.name:
            yield message.name
        for call in message.tool_calls:
            value = _arguments(call)
            yield call["function"]["name"]
            yield from [call["function"]["arguments"]] if value is None else _values(value, "")
    if isinstance(record, Example):
        yield from _values([*record.tools, record.grading], "")


def _values(value: Any, name: str) -> Iterator[str]:
    """Every text and long whole number within a value, with the name that it stands under."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _values(item, key)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _values(item, name)
    elif (text := _said(value)) is not None:
        yield _named(name, text)


def _changed(value: Any, name: str, now: Change) -> Any:
    """The value with placeholders; what holds none stays as it is."""
    if isinstance(value, Mapping):
        return kept_apart([(now(key), _changed(item, key, now)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return [_changed(item, name, now) for item in value]
    text = _said(value)
    if text is None:
        return value
    before, after = _named(name, text), now(_named(name, text))
    if after == before:
        return value
    beginning = _named(now(name), "")
    return after.removeprefix(beginning) if after.startswith(beginning) else after


def _said(value: Any) -> str | None:
    """A text, or a long whole number as one, with a point or without; None for what cannot be personal."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < LONGEST_FLOAT:
        value = int(value)
    is_long = isinstance(value, int) and abs(value) >= 10 ** (LEAST_DIGITS - 1)
    return str(value) if is_long else None


def _named(name: str, text: str) -> str:
    return f"{name}: {text}" if name else text


def _arguments(call: Mapping[str, Any]) -> Any:
    """The arguments of a call where they are a JSON object or list; else None, and they are a text like others."""
    try:
        value = json.loads(call["function"]["arguments"])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _message(message: Message, now: Change) -> Message:
    calls = tuple(_call(call, now) for call in message.tool_calls)
    name = now(message.name) if message.name else message.name
    return replace(message, content=now(message.content), tool_calls=calls, name=name)


def _call(call: Mapping[str, Any], now: Change) -> Mapping[str, Any]:
    function = call["function"]
    arguments, value = function["arguments"], _arguments(call)
    if value is None:
        arguments = now(arguments)
    elif (changed := _changed(value, "", now)) != value:
        arguments = json.dumps(changed, ensure_ascii=False)
    return {**call, "function": {**function, "name": now(function["name"]), "arguments": arguments}}
