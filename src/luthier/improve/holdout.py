"""The permanent holdout: what may be used for evaluation is never trained on, in any cycle, and the alpha it spends.

A conversation is on one side by the hash of its normalised root, the first user turn; so all its turns, its
rewordings in case, punctuation or digits, and its later reappearances are on the same side. Near-duplicates join the
side of the earlier conversations that they resemble, and what is earlier does not change as the store grows.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from luthier.errors import ConfigError, DataError, Problem
from luthier.records import Example, Message, content_id
from luthier.records.whole_files import write_text_whole

Side = Literal["train", "holdout", "neither"]
"""neither: near to conversations of both sides, so of no use to either."""

NearSearch = Callable[[Sequence[str]], Callable[[str], Iterable[str]]]
"""Of some texts, what finds those that another text is nearly the same as. It must not matter which of two is asked,
nor which others there are: else a conversation might change its side as the store grows."""


class Sides(NamedTuple):
    """The sides of conversations, by their roots."""

    by_root: dict[str, Side]
    repeating: frozenset[str]
    """Roots that stand where they do because of an earlier one that is nearly the same."""


def conversation_root(messages: Sequence[Message]) -> str:
    """The first user turn without case, punctuation and spacing, every number as 0; "" without a user turn.

    >>> conversation_root([Message(role="user", content="Where is  order #1234?")])
    'where is order 0'
    """
    first = next((m.content for m in messages if m.role == "user"), "")
    plain = unicodedata.normalize("NFKC", first).casefold()
    words = re.findall(r"\w+", re.sub(r"\d+", "0", plain))
    # A turn of signs only (":)") is its own root.
    return " ".join(words) or plain.strip()


def is_holdout(messages: Sequence[Message], share: float, salt: str) -> bool:
    """Whether this conversation is on the holdout's side by its hash."""
    return _is_held_out(conversation_root(messages), share, salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """The rule of one project, and its books in holdout.json: conversations it evaluated on, and alpha spent."""

    path: Path
    share: float
    salt: str
    alpha: float

    @classmethod
    def open(cls, path: Path, *, share: float, salt: str, alpha: float) -> Holdout:
        """The holdout kept at `path`. ConfigError when the rule is not that of the gates already on its books."""
        holdout = cls(path=path, share=share, salt=salt, alpha=alpha)
        books = holdout._read()
        now = {"share": share, "salt": salt, "alpha": alpha}
        problems = [
            Problem(where=f"{path}: {key}", found=f"{value!r} in the recipe", expected=repr(books[key]),
                    fix=f"set it back to {books[key]!r}; a holdout is permanent only under one rule")
            for key, value in now.items() if books and books[key] != value
        ]  # fmt: skip
        if problems:
            raise ConfigError("the rule of the permanent holdout has changed", problems)
        return holdout

    def members(self) -> frozenset[str]:
        """Roots of the conversations that a gate has evaluated on."""
        return frozenset(self._read().get("members", ()))

    def gates(self) -> tuple[Mapping[str, Any], ...]:
        """The gates so far, with the alpha that each spent."""
        return tuple(self._read().get("gates", ()))

    def sides(self, roots: Sequence[str], *, trained_on: Sequence[str] = (), near: NearSearch | None = None) -> Sides:
        """The side of every root. `roots` and `trained_on` are roots of conversations; `roots` oldest first.

        What a gate has evaluated on stays in the holdout, and what is near to it too although its trace may be gone.
        What was trained on can no longer join. Without `near` only equal roots belong together.
        """
        members = self.members()
        decided: dict[str, Side] = {**dict.fromkeys(trained_on, "train"), **dict.fromkeys(members, "holdout")}
        order = list(dict.fromkeys([*trained_on, *sorted(members.difference(roots)), *roots]))
        earlier = _earlier_near(order, [root for root in order if root not in decided], near)
        sides: dict[str, Side] = {}
        repeating = set()
        for root in order:
            met = {sides[other] for other in earlier.get(root, ())} - {"neither"}
            if root in decided:
                sides[root] = decided[root]
            elif met:
                sides[root] = "neither" if len(met) == 2 else met.pop()
                repeating.add(root)
            else:
                sides[root] = "holdout" if _is_held_out(root, self.share, self.salt) else "train"
        return Sides(sides, frozenset(repeating))

    def spend(self, items: Sequence[Example], *, baseline: str, candidate: str) -> float:
        """The alpha of the next gate, alpha / (k (k + 1)) for the k-th, entered in the books before it looks.

        Over all k this sums to alpha. Looking again at the same models on the same items is the same gate and costs
        nothing.
        """
        books = self._read()
        gates = list(books.get("gates", ()))
        key = content_id("gate", baseline, candidate, sorted(item.id for item in items))
        for gate in gates:
            if gate["key"] == key:
                return float(gate["alpha"])
        turn = len(gates) + 1
        alpha = self.alpha / (turn * (turn + 1))
        gates.append(
            {"turn": turn, "key": key, "alpha": alpha, "baseline": baseline, "candidate": candidate,
             "items": len(items), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        )  # fmt: skip
        members = sorted(self.members() | {conversation_root(item.messages) for item in items})
        self._write({"share": self.share, "salt": self.salt, "alpha": self.alpha, "gates": gates, "members": members})
        return alpha

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {}
        try:
            books: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            if set(books) != {"share", "salt", "alpha", "gates", "members"}:
                raise ValueError(f"the keys {sorted(books)}")
            return books
        except (ValueError, TypeError) as error:
            raise DataError(
                "the books of the permanent holdout cannot be read",
                [Problem(where=str(self.path), found=str(error), expected="the file as `luthier improve` writes it",
                         fix="restore it from a copy: without it nobody knows what was evaluated on")],
            ) from error  # fmt: skip

    def _write(self, books: Mapping[str, Any]) -> None:
        write_text_whole(self.path, json.dumps(books, indent=2, ensure_ascii=False) + "\n")


def _earlier_near(order: Sequence[str], open_roots: Sequence[str], near: NearSearch | None) -> dict[str, list[str]]:
    """For each open root the earlier ones that it is near to. Only the open ones are indexed: the others may be all
    rows of a large training."""
    if near is None:
        return {}
    place = {root: number for number, root in enumerate(order)}
    near_to = near(open_roots)
    found: dict[str, list[str]] = {}
    for root in order:
        for other in near_to(root):
            if place[root] < place[other]:
                found.setdefault(other, []).append(root)
    return found


def _is_held_out(root: str, share: float, salt: str) -> bool:
    digest = hashlib.sha256(f"{salt}\0{root}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
