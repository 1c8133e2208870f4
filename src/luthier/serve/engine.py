"""What the server needs of a model: a name, a digest, a length and two functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from luthier.records import Message, Sampling


class Piece(Protocol):
    """What one decoding step adds to an answer (`luthier.models.generate.Piece`, named here without torch)."""

    @property
    def text(self) -> str:
        """Whole characters only; may be empty."""

    @property
    def token_id(self) -> int:
        """The token that was drawn."""

    @property
    def logprob(self) -> float:
        """Its natural log-probability."""

    @property
    def finish_reason(self) -> str | None:
        """ "stop" or "length" on the last piece, else None."""


PromptIds = Callable[[Sequence[Message]], list[int]]
Stream = Callable[[Sequence[int], Sampling, Callable[[], bool]], Iterator[Piece]]
"""Prompt ids, sampling and "is it cancelled?" to an answer, one piece per decoding step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A model as it is served. Both functions are called on the worker's thread only."""

    name: str
    digest: str
    """Content digest: the model's identity in every response and every trace."""
    max_length: int
    """Prompt and answer together, in tokens."""
    prompt_ids: PromptIds
    stream: Stream
