"""Personal data in a record: what kinds it holds, and the record with placeholders in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from luthier.curate.cleaning import remade, remade_preference
from luthier.curate.config import PersonalConfig
from luthier.curate.making import Record
from luthier.privacy import Redaction
from luthier.records import Message, Preference


def redaction_of(config: PersonalConfig) -> Redaction:
    """What the recipe asks to be found."""
    return Redaction(kinds=config.kinds, regions=config.regions)


def found_in(record: Record, redaction: Redaction) -> Counter[str]:
    """How often each kind of personal data stands in the record."""
    return Counter(found.kind for text in _texts(record) for found in redaction.find(text))


def replaced_in(record: Record, redaction: Redaction) -> tuple[Record, Counter[str]]:
    """The record with placeholders, one for each value throughout it; the same object where there was nothing."""
    texts = _texts(record)
    changed, kinds = redaction.redact(texts)
    if not kinds:
        return record, kinds
    now = dict(zip(texts, changed, strict=True))
    if isinstance(record, Preference):
        return remade_preference(
            record, [_message(message, now) for message in record.prompt], now[record.chosen], now[record.rejected]
        ), kinds
    return remade(
        record, [_message(message, now) for message in record.messages], [now[text] for text in record.targets],
        [now[text] for text in record.choices],
    ), kinds  # fmt: skip


def _texts(record: Record) -> list[str]:
    """Every text that is trained on or shown, each once."""
    more: tuple[str, ...]
    if isinstance(record, Preference):
        messages, more = record.prompt, (record.chosen, record.rejected)
    else:
        messages, more = record.messages, (*record.targets, *record.choices)
    return list(dict.fromkeys((*(text for message in messages for text in _texts_of(message)), *more)))


def _texts_of(message: Message) -> Iterator[str]:
    yield message.content
    for call in message.tool_calls:
        yield call["function"]["arguments"]


def _message(message: Message, now: Mapping[str, str]) -> Message:
    calls = tuple(
        {**call, "function": {**call["function"], "arguments": now[call["function"]["arguments"]]}}
        for call in message.tool_calls
    )
    return replace(message, content=now[message.content], tool_calls=calls)
