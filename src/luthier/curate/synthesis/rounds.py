"""Rows that a writer makes: requests go out in rounds, and each ends as accepted, rejected by a rule, or failed.

A method yields a round of requests and is given their ends, as a generator. What it asks depends on the seed, the files
and earlier answers alone, never on who answered first; so a run that was killed, or whose budget was raised, asks again
for nothing that it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.asking.asker import BROKEN, Ask, Asker, Failed, Outcome
from luthier.curate.ledger import by_count, write_lines, write_object
from luthier.records import Example, Message, write_records

Rounds = Generator[Sequence[Ask], list[Outcome | None], None]
"""A method at work: it yields the requests of a round and is sent their ends."""
CUT = "cut off"
EMPTY = "empty"
BROKEN_CHARACTERS = "broken characters"


@dataclass(slots=True)
class Book:
    """The account of all requests, and what they gave."""

    writer: str
    method: str
    rows: list[Example] = field(default_factory=list)
    ends: dict[str, Counter[str]] = field(default_factory=dict)
    """By kind of request: "accepted", "rejected: RULE", "failed: PROBLEM"."""
    turned_away: list[dict[str, Any]] = field(default_factory=list)
    """What was rejected or failed, for people."""
    proposals: Counter[str] = field(default_factory=Counter)
    """Where one answer holds several proposals: how many are "new", and how many each rule rejected."""
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Further parts of the ledger."""

    def accept(self, ask: Ask) -> None:
        """The answer to this request was used."""
        self._end(ask, "accepted")

    def reject(self, ask: Ask, rule: str, said: str) -> None:
        """The answer was refused by a rule."""
        self._end(ask, f"rejected: {rule}")
        self.turned_away.append({"kind": ask.kind, "prompt": ask.digest, "rejected": rule, "said": said})

    def fail(self, ask: Ask, problem: str) -> None:
        """There was no answer."""
        self._end(ask, f"failed: {problem.partition(':')[0]}")
        self.turned_away.append({"kind": ask.kind, "prompt": ask.digest, "failed": problem})

    def text(self, ask: Ask, end: Outcome | None) -> str | None:
        """The whole answer to a request; None where there is none, which is then accounted for."""
        if end is None:
            return None
        if isinstance(end, Failed):
            self.fail(ask, end.problem)
            return None
        text = end.text.strip()
        fault = CUT if end.is_cut else BROKEN_CHARACTERS if BROKEN in text else None if text else EMPTY
        if fault:
            self.reject(ask, fault, text)
            return None
        return text

    def take_new(
        self, ask: Ask, text: str, items: Iterable[str], *, what: str, fault_of: Callable[[str], str | None],
        keep: Callable[[str], None],
    ) -> list[str]:  # fmt: skip
        """The items of an answer that no rule refuses, each kept before the next is looked at; every one is counted.

        The answer is accepted where there is one, else rejected for its commonest fault; `what` names an item.
        """
        new: list[str] = []
        faults: Counter[str] = Counter()
        for item in items:
            fault = fault_of(item)
            faults[fault or "new"] += 1
            if fault is None:
                keep(item)
                new.append(item)
        self.proposals.update(faults)
        if new:
            self.accept(ask)
        else:
            self.reject(ask, f"no new {what}: {faults.most_common(1)[0][0]}" if faults else "no list", text)
        return new

    def commonest(self, *kinds: str) -> str:
        """How most requests of these kinds ended that were not accepted, for people; of all kinds where none is named.

        >>> Book("m", "persona", ends={"answer": Counter({"rejected: refusal": 4, "accepted": 1})}).commonest()
        'rejected: refusal (4)'
        """
        ends = sum((self.ends.get(kind, Counter()) for kind in kinds or self.ends), Counter[str]())
        others = by_count({end: count for end, count in ends.items() if end != "accepted"})
        return next((f"{end} ({count:,})" for end, count in others.items()), "none refused")

    def add(self, ask: Ask, prompt: str, answer: str, *, source: str = "", links: Sequence[str] = ()) -> None:
        """One more row, made by the answer to this request; `source` is where it began, if it began in a file."""
        self.rows.append(Example.of(
            [Message(role="user", content=prompt), Message(role="assistant", content=answer)],
            generator=f"{self.writer} {self.method} {ask.digest}", links=tuple(links),
            source=source or f"synthetic:{ask.digest}",
        ))  # fmt: skip

    def ledger(self) -> dict[str, Any]:
        """The counts, kinds of request apart and together."""
        kinds = {kind: _account(ends) for kind, ends in sorted(self.ends.items())}
        whole = _account(sum(self.ends.values(), Counter()))
        return {**whole, "rows": len(self.rows), "kinds": kinds, "proposals": by_count(self.proposals),
                "notes": self.notes, **self.facts}  # fmt: skip

    def _end(self, ask: Ask, end: str) -> None:
        self.ends.setdefault(ask.kind, Counter())[end] += 1


def synthesise(
    rounds: Rounds, book: Book, asker: Asker, *, out: Path, say: Callable[[str], None],
    before_ledger: Callable[[], None] = lambda: None,
) -> dict[str, Any]:  # fmt: skip
    """Ask round by round until the method is done or the budget spent -> OUT/rows.jsonl; returns OUT/ledger.json.

    `before_ledger` is called when all has been asked: what else a method writes, and tells the book.
    """
    was_spent = False
    try:
        asks = next(rounds)
        while True:
            ends = asker.outcomes(asks)
            was_spent = any(end is None for end in ends)
            if was_spent:
                book.notes.append("the budget was spent before all was asked; raise it, and the run goes on")
            asks = rounds.send(ends)
            if was_spent:
                rounds.close()
                break
    except StopIteration:
        pass
    before_ledger()
    ledger = book.ledger() | {"calls": asker.budget.requests, "tokens": asker.budget.tokens, "is_spent": was_spent}
    if ledger["requests"] != asker.asked:  # not `assert`, which python -O takes away
        raise AssertionError(f"the ledger does not balance: {asker.asked} requests, {ledger['requests']} ends")
    write_records(out / "rows.jsonl", book.rows)
    write_lines(out / "rejected.jsonl", book.turned_away)
    write_object(out / "ledger.json", ledger)
    for note in book.notes:
        say(f"synthesise | {note}")
    say(_line(ledger))
    return ledger


def _account(ends: Mapping[str, int]) -> dict[str, Any]:
    """Requests and how they ended; the parts sum to the whole."""
    found: dict[str, Any] = {"requests": sum(ends.values()), "accepted": ends.get("accepted", 0)}
    for way in ("rejected", "failed"):
        mark = f"{way}: "
        found[way] = by_count({end.removeprefix(mark): n for end, n in ends.items() if end.startswith(mark)})
    assert found["requests"] == found["accepted"] + sum(found["rejected"].values()) + sum(found["failed"].values())
    return found


def _line(ledger: Mapping[str, Any]) -> str:
    parts = [f"rows {ledger['rows']:,}", f"requests {ledger['requests']:,}", f"accepted {ledger['accepted']:,}"]
    parts += [f"{way} {sum(ledger[way].values()):,}" for way in ("rejected", "failed")]
    return "synthesise | " + " | ".join([*parts, f"calls {ledger['calls']:,}", f"tokens {ledger['tokens']:,}"])
