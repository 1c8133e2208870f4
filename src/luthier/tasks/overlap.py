"""Proof that what is trained and what is held out have nothing in common, or where they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from luthier.records import Example
from luthier.similarity import normal_form
from luthier.similarity.near_index import NearIndex
from luthier.tasks.task import ROW_LINK, SOURCE_LINK

Kind = Literal["exact", "near", "row", "source"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The same prompt, a prompt nearly the same, the same row in other words, a task made from the same source."""

SHOWN_PAIRS = 3
"""First pairs of each kind that a certificate keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A training example and the first held-out example that it has something in common with."""

    kind: Kind
    train: Example
    held_out: Example
    similarity: float = 1.0
    """Jaccard similarity of the prompts' shingles, for near-duplicates."""

    def __str__(self) -> str:
        """One line: what is shared, and the two prompts."""
        return (
            f"{self.kind} ({self.similarity:.2f}): {self.train.template or self.train.id} {prompt_text(self.train)!r}"
            f" and {self.held_out.template or self.held_out.id} {prompt_text(self.held_out)!r}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How many training examples overlap with a held-out one, by kind. One example may be counted in several kinds."""

    num_train: int
    num_held_out: int
    kinds: tuple[Kind, ...]
    """What was looked for; the count of any other kind is 0."""
    exact: int = 0
    near: int = 0
    """Near-duplicates that are not exact."""
    rows: int = 0
    sources: int = 0
    pairs: tuple[Overlap, ...] = ()
    """The first of each kind."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.exact or self.near or self.rows or self.sources)


class Parted(NamedTuple):
    """Training examples without those that overlap, and these with the first reason of each."""

    kept: list[Example]
    dropped: list[Overlap]


def certificate(train: Sequence[Example], held_out: Sequence[Example], *, kinds: Sequence[Kind] = KINDS) -> Certificate:
    """What the two sides have in common. Rows and sources are read from the links that `Task.example` sets.

    Unseen phrasings and unseen tasks of a trained cluster share sources with what is trained, by their nature: leave
    "source" out of `kinds` there.
    """
    index = _HeldOut(held_out, kinds)
    found = [overlap for example in train for overlap in index.overlaps(example)]
    counts = Counter(overlap.kind for overlap in found)
    shown = [[overlap for overlap in found if overlap.kind == kind][:SHOWN_PAIRS] for kind in KINDS]
    return Certificate(
        num_train=len(train), num_held_out=len(held_out), kinds=tuple(kinds), exact=counts["exact"],
        near=counts["near"], rows=counts["row"], sources=counts["source"],
        pairs=tuple(overlap for some in shown for overlap in some),
    )  # fmt: skip


def without_overlap(train: Sequence[Example], held_out: Sequence[Example], *, kinds: Sequence[Kind] = KINDS) -> Parted:
    """The training examples that have nothing in common with a held-out one, in order, and those that have."""
    index = _HeldOut(held_out, kinds)
    parted = Parted([], [])
    for example in train:
        overlap = next(iter(index.overlaps(example)), None)
        if overlap is None:
            parted.kept.append(example)
        else:
            parted.dropped.append(overlap)
    return parted


def prompt_text(example: Example) -> str:
    """All turns of the prompt but the system's, a line each: what a person would compare."""
    return "\n".join(message.content for message in example.prompt if message.role != "system")


class _HeldOut:
    """The held-out side, ready to be asked about one training example after another."""

    def __init__(self, held_out: Sequence[Example], kinds: Sequence[Kind]) -> None:
        self.kinds = kinds
        self.by_form: dict[str, Example] = {}
        self.by_link: dict[str, Example] = {}
        self.by_text: dict[str, Example] = {}
        for example in held_out:
            text = prompt_text(example)
            self.by_text.setdefault(text, example)
            self.by_form.setdefault(normal_form(text), example)
            for link in example.links:
                self.by_link.setdefault(link, example)
        self.near = NearIndex(self.by_text) if "near" in kinds else None
        self.known: dict[str, tuple[Kind, Example, float] | None] = {}

    def overlaps(self, example: Example) -> Iterable[Overlap]:
        """One overlap of each kind that there is, the gravest first."""
        text = prompt_text(example)
        if text not in self.known:
            self.known[text] = self._alike(text)
        alike = self.known[text]
        if alike is not None:
            kind, other, similarity = alike
            yield Overlap(kind=kind, train=example, held_out=other, similarity=similarity)
        for kind, prefix in _LINKS:
            shared = next((link for link in example.links if link.startswith(prefix) and link in self.by_link), None)
            if kind in self.kinds and shared is not None:
                yield Overlap(kind=kind, train=example, held_out=self.by_link[shared])

    def _alike(self, text: str) -> tuple[Kind, Example, float] | None:
        form = normal_form(text)
        if form in self.by_form:
            return ("exact", self.by_form[form], 1.0) if "exact" in self.kinds else None
        found = next(self.near.near_to(text), None) if self.near is not None else None
        return None if found is None else ("near", self.by_text[found.text], found.similarity)


_LINKS: tuple[tuple[Kind, str], ...] = (("row", ROW_LINK), ("source", SOURCE_LINK))
