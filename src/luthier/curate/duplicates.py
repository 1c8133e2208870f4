"""Rows that say the same, and rows that contradict each other: told by hashes, without looking at the texts again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from luthier.records import ROLES, Example, Message, Preference
from luthier.similarity import normal_form

KEY_BYTES = 16
"""128 bits: equal keys are taken for equal texts, so they must not collide at any size of data."""
ANSWER_KEY_BYTES = 8
"""Answers are compared within the rows of one prompt only."""
NO_ANSWER = bytes(ANSWER_KEY_BYTES)


class Keys(NamedTuple):
    """What a record is compared by. Two keys are equal where a reader cannot tell the texts apart."""

    exact: bytes
    """Of everything that the record teaches: prompt, answers, weights, choices, tools and grading."""
    prompt: bytes
    """Of what it asks."""
    answer: bytes
    """Of its first accepted answer; NO_ANSWER where it has none, and for a preference."""
    earlier: tuple[bytes, ...]
    """Of the prompts of earlier answers in the conversation, which are trained on too."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the place of the row that it was made of."""

    where: str
    record: Example | Preference
    prompt_key: str
    """Equal for two prompts that a reader cannot tell apart."""
    earlier_keys: tuple[str, ...]
    """Of the prompts of earlier answers in the conversation, which are trained on too."""

    @classmethod
    def of(cls, where: str, record: Example | Preference) -> Placed:
        """The record at `where`, with the keys of its prompts."""
        keys = keys_of(record)
        return cls(where, record, keys.prompt.hex(), tuple(key.hex() for key in keys.earlier))


def keys_of(record: Example | Preference) -> Keys:
    """The keys of a record."""
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    earlier = []
    for message in record.prompt:
        if message.role == "assistant":
            earlier.append(digest.digest())
        digest.update(_ROLES[message.role])
        digest.update(_form(message.text))
    prompt = digest.digest()
    if isinstance(record, Preference):
        digest.update(b"preference" + _form(record.chosen) + _form(record.rejected))
        return Keys(digest.digest(), prompt, NO_ANSWER, ())
    return Keys(*_taught(record, digest), tuple(earlier))


def first_of(keys: np.ndarray, *, most_rows: int | None = None) -> np.ndarray:
    """For each row of keys [N, 2] the number of the first row with the same key, [N] int64.

    With `most_rows` about so many keys are sorted at a time: a key's value chooses with which others.
    """
    first = np.arange(len(keys))
    parts = max(1, -(-len(keys) // most_rows)) if most_rows else 1
    for part in range(parts):
        rows = np.flatnonzero(keys[:, 0] % np.uint64(parts) == part)
        some = keys[rows]
        order = np.lexsort((some[:, 1], some[:, 0]))  # stable: among equal keys the first row stays first
        begins = np.ones(len(order), bool)
        begins[1:] = (some[order[1:]] != some[order[:-1]]).any(axis=1)
        first[rows[order]] = rows[order][begins][np.cumsum(begins) - 1]
    return first


def pairs_of(digests: list[bytes]) -> np.ndarray:
    """Keys of 16 bytes as two numbers each, [N, 2] uint64, which sort like the bytes do."""
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 2)


def hex_of(key: np.ndarray) -> str:
    """A key of two numbers as `bytes.hex` writes it."""
    return f"{int(key[0]):016x}{int(key[1]):016x}"


def _taught(example: Example, digest: hashlib.blake2b) -> tuple[bytes, bytes, bytes]:
    """The exact, prompt and answer keys of an example whose prompt `digest` has taken in."""
    prompt = digest.digest()
    said = example.messages[len(example.prompt) :]
    forms = {text: _form(text) for text in (*(message.text for message in said), *example.targets)}
    weights = _weights(example.messages)
    grading = json.dumps(example.grading, sort_keys=True, default=str) if example.grading else ""
    tools = json.dumps(example.tools, sort_keys=True, default=str) if example.tools else ""
    counts = f"example {len(said)} {len(example.targets)} {len(example.choices)} {weights}"
    digest.update(b"".join([
        _framed(counts), *(forms[message.text] for message in said), *(forms[target] for target in example.targets),
        *(_form(choice) for choice in example.choices), _framed(grading), _framed(tools),
    ]))  # fmt: skip
    answer = NO_ANSWER
    if example.target is not None:
        answer = hashlib.blake2b(forms[example.target], digest_size=ANSWER_KEY_BYTES).digest()
    elif said and said[-1].tool_calls:
        answer = hashlib.blake2b(forms[said[-1].text], digest_size=ANSWER_KEY_BYTES).digest()
    return digest.digest(), prompt, answer


def _weights(messages: tuple[Message, ...]) -> str:
    """The loss weights, where one is not what its role has anyway."""
    if all(message.weight is None for message in messages):
        return ""
    weights = [message.loss_weight for message in messages]
    usual = [1.0 if message.role == "assistant" else 0.0 for message in messages]
    return "" if weights == usual else " ".join(map(str, weights))


def _form(text: str) -> bytes:
    """The normal form of a text, framed."""
    return _framed(normal_form(text))


def _framed(text: str) -> bytes:
    """A text after its length, so that no two lists of texts are the same bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "big") + data


_ROLES = {role: _framed(role) for role in ROLES}
