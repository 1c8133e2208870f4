"""Requests to a writer, and the journal that keeps each answer the moment it comes.

A request is known by its content: what is asked, of whom, how it is drawn. The journal is a file of lines: one for each
call before it is made, one for each end the moment it comes. A run that was killed reads it, asks only for what is not
in it, and knows what was spent.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from luthier.errors import DataError, LuthierError, Problem
from luthier.records import Message, content_id
from luthier.records.appending import AppendedFile

MOST_DOWN = 8
"""So many requests in a row that nobody answered end the run: the writer is not there."""
CHARACTERS_A_TOKEN = 4
"""Where a writer does not count its tokens, they are taken to have so many characters."""
HALF = re.compile(r"[\ud800-\udfff]")
"""Half of a character: JSON may state it, no file can hold it."""
BROKEN = "\ufffd"
"""What stands for a character that was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request."""

    kind: str
    """What is asked for: "instructions", "instance", "answer" ..."""
    messages: tuple[Message, ...]
    draw: int = 0
    """Tells requests of the same words apart; another draw is another answer."""

    @property
    def digest(self) -> str:
        """Of the words alone."""
        return content_id("prompt", [[message.role, message.content] for message in self.messages])


class Reply(NamedTuple):
    """What a writer said."""

    text: str
    is_cut: bool
    """Whether it ran into the limit of tokens."""
    prompt_tokens: int
    completion_tokens: int
    attempts: int = 1


class Failed(NamedTuple):
    """A request that got no usable answer."""

    problem: str
    attempts: int = 1
    is_down: bool = False
    """Whether nobody answered at all, or only to say that it is not the time."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """What the last call cost all the same, where the writer told it: a model that only thought, up to the limit."""


Outcome = Reply | Failed


def _nothing(*_: Any) -> None:
    return None


@dataclass(slots=True)
class Budget:
    """What may be spent; counted over all runs that share a journal."""

    max_requests: int | None = None
    """Calls of the writer, repeated ones included."""
    max_tokens: int | None = None
    """Tokens of requests and answers."""
    requests: int = 0
    tokens: int = 0
    on_call: Callable[[Ask], None] = _nothing
    """Told of each call before it is made."""
    on_end: Callable[[Ask, Outcome], None] = _nothing
    """Told of each end the moment it comes."""
    on_lost: Callable[[Ask, tuple[int, int]], None] = _nothing
    """Told of the tokens of each call that cost some and is made again."""
    _lock: Lock = field(default_factory=Lock)

    def take(self, ask: Ask) -> bool:
        """Count one more call, if it may be made. Tokens of calls on their way are not known yet."""
        with self._lock:
            if self.is_spent():
                return False
            self.on_call(ask)
            self.requests += 1
            return True

    def is_spent(self) -> bool:
        """Whether nothing more may be asked."""
        return (self.max_requests is not None and self.requests >= self.max_requests) or (
            self.max_tokens is not None and self.tokens >= self.max_tokens
        )

    def end(self, ask: Ask, outcome: Outcome) -> None:
        """Count the tokens of what came, usable or not, and pass the end on. Writers call it, from any thread."""
        with self._lock:
            self.tokens += outcome.prompt_tokens + outcome.completion_tokens
            self.on_end(ask, outcome)

    def lose(self, ask: Ask, tokens: tuple[int, int]) -> None:
        """Count the tokens of a call that has to be made again: of the request and of what came."""
        if any(tokens):
            with self._lock:
                self.tokens += sum(tokens)
                self.on_lost(ask, tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who answers: an endpoint or a model of one's own."""

    name: str
    """As rows name it."""
    identity: str
    """Of everything that decides an answer beside the words: address, model, sampling."""
    answer: Callable[[Sequence[Ask], Budget], Generator[tuple[int, Outcome], None, None]]
    """Answers in the order in which they come, by the number of their request; fewer where the budget is spent. Each
    call is taken from the budget, and each end told to it."""
    where: str = "writer"
    """The recipe's table that names it, for errors."""

    def key(self, ask: Ask) -> str:
        """The id of a request to this writer."""
        return content_id("ask", self.identity, ask.digest, ask.draw)


class Journal:
    """Answers by the key of their request, in a file that grows by a line a call and a line an end."""

    def __init__(self, path: Path, say: Callable[[str], None] = _nothing) -> None:
        """Read what is there; the line that was being written when a run was killed is cut off, and `say` told of it. A
        last line that lacks its end alone is an answer that was paid for: it stays.

        DataError with the place of every other line that is none of a journal.
        """
        self.path = path
        self.entries: dict[str, dict[str, Any]] = {}
        self._calls = self._tokens = 0
        self._open = Counter[str]()
        """Calls of a request since it last ended."""
        self._lock = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with AppendedFile.alone(path) as file:
            if file.end_last_line(0, is_whole=lambda line: _entry(line) is not None):
                say(f"{path}: the last line was torn, as when a run is killed; it is left out")
            whole = file.read(0, file.stat().st_size)
        problems = []
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            entry = _entry(line)
            if entry is None:
                problems.append(Problem(where=f"{path}:{number}", found=ascii(line[:80].decode("utf-8", "replace")),
                                        expected="a line of the journal",
                                        fix="delete this line; its request is asked again"))  # fmt: skip
            else:
                self._take(entry)
        if problems:
            raise DataError("the journal of requests is damaged", problems)

    def reply(self, key: str) -> Reply | None:
        """The answer that was kept for a request; what failed is asked again."""
        entry = self.entries.get(key)
        if entry is None or "text" not in entry:
            return None
        prompt_tokens, completion_tokens = entry["tokens"]
        return Reply(entry["text"], entry["is_cut"], prompt_tokens, completion_tokens, entry["attempts"])

    def add_call(self, key: str) -> None:
        """Keep that a call is about to be made: when this returns, its line is on the disk."""
        with self._lock:
            self._write({"key": key, "call": self._open[key] + 1})

    def add(self, key: str, ask: Ask, outcome: Outcome) -> None:
        """Keep an end: when this returns, its line is on the disk."""
        entry: dict[str, Any] = {"key": key, "kind": ask.kind, "prompt": ask.digest, "attempts": outcome.attempts,
                                 "tokens": [outcome.prompt_tokens, outcome.completion_tokens]}  # fmt: skip
        if isinstance(outcome, Reply):
            entry |= {"text": outcome.text, "is_cut": outcome.is_cut}
        else:
            entry |= {"problem": outcome.problem}
        with self._lock:
            self._write(entry)

    def add_lost(self, key: str, tokens: tuple[int, int]) -> None:
        """Keep what a call cost that is made again: when this returns, its line is on the disk."""
        with self._lock:
            self._write({"key": key, "lost": list(tokens)})

    def spent(self) -> tuple[int, int]:
        """Calls made and tokens used so far, those of requests without an end and of earlier failures among them."""
        return self._calls, self._tokens

    def _write(self, entry: dict[str, Any]) -> None:
        with AppendedFile.alone(self.path) as file:
            file.append(json.dumps(entry).encode("ascii") + b"\n")
        self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        key = entry["key"]
        if "call" in entry:
            self._calls += 1
            self._open[key] += 1
            return
        if "lost" in entry:
            self._tokens += sum(entry["lost"])
            return
        # Journals were once without a line a call: an end then tells of its calls alone.
        self._calls += max(0, entry["attempts"] - self._open.pop(key, 0))
        self._tokens += sum(entry.get("tokens", ()))
        self.entries[key] = entry


def mended(text: str) -> str:
    """The text with BROKEN in the place of each half of a character, which no file can hold.

    >>> mended("a \\ud83d b") == "a \\ufffd b"
    True
    """
    return HALF.sub(BROKEN, text)


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line of the journal says; None where it is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
        return None
    if "call" in entry:
        return entry
    if "lost" in entry:
        return entry if _are_tokens(entry["lost"]) else None
    if "tokens" in entry and not _are_tokens(entry["tokens"]):
        return None
    is_reply = "tokens" in entry and "is_cut" in entry
    said = entry.get("text" if is_reply else "problem")
    if not isinstance(said, str) or type(entry.get("attempts")) is not int:
        return None
    return entry | {"text" if is_reply else "problem": mended(said)}


def _are_tokens(value: Any) -> bool:
    """Whether these are numbers of tokens, of a request and of its answer."""
    return isinstance(value, list) and [type(n) for n in value] == [int, int]


@dataclass(slots=True)
class Asker:
    """Asks a writer, keeps what it says, and counts."""

    writer: Writer
    journal: Journal
    budget: Budget
    say: Callable[[str], None]
    say_every: int = 50
    asked: int = 0
    """Requests with an end, those that the journal answered among them."""
    _in_a_row: int = 0

    def __post_init__(self) -> None:
        """The budget tells the journal of calls and ends, so that none is lost however the run ends."""
        self.budget.on_call = lambda ask: self.journal.add_call(self.writer.key(ask))
        self.budget.on_end = lambda ask, outcome: self.journal.add(self.writer.key(ask), ask, outcome)
        self.budget.on_lost = lambda ask, tokens: self.journal.add_lost(self.writer.key(ask), tokens)

    def outcomes(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        """The end of each request, in their order; None for those that the budget left no room for."""
        keys = [self.writer.key(ask) for ask in asks]
        assert len(set(keys)) == len(keys), "two requests are the same"
        ends: list[Outcome | None] = [self.journal.reply(key) for key in keys]
        missing = [i for i, end in enumerate(ends) if end is None]
        with closing(self.writer.answer([asks[i] for i in missing], self.budget)) as answers:
            for number, outcome in answers:
                ends[missing[number]] = outcome
                self._judge(outcome)
        before = self.asked
        self.asked += sum(end is not None for end in ends)
        if self.asked // self.say_every > before // self.say_every:
            self.say(f"{self.asked:,} requests | {self.budget.requests:,} calls | {self.budget.tokens:,} tokens")
        return ends

    def _judge(self, outcome: Outcome) -> None:
        """LuthierError when nobody has answered for a while: the other requests would only fail too."""
        is_down = isinstance(outcome, Failed) and outcome.is_down
        self._in_a_row = self._in_a_row + 1 if is_down else 0
        if self._in_a_row >= MOST_DOWN:
            assert isinstance(outcome, Failed)
            raise LuthierError(
                "the writer does not answer",
                [Problem(where=self.writer.where,
                         found=f"{MOST_DOWN} requests in a row without an answer: {outcome.problem}",
                         expected="answers", fix="see that it runs; the same command goes on where this one was")],
            )  # fmt: skip


def tokens_of(text: str) -> int:
    """About how many tokens a text has, where nobody counts them."""
    return -(-len(text) // CHARACTERS_A_TOKEN)


def usage_of(data: Mapping[str, Any], ask: Ask, text: str) -> tuple[int, int]:
    """Tokens of the request and of the answer, as the writer states them, else by their length."""
    told = told_usage(data)
    return told or (sum(tokens_of(message.content) for message in ask.messages), tokens_of(text))


def told_usage(data: Any) -> tuple[int, int] | None:
    """Tokens of the request and of the answer as a response states them; None where it does not."""
    usage = data.get("usage") if isinstance(data, Mapping) else None
    told = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, Mapping) else []
    numbers = [number for number in told if type(number) is int and number >= 0]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None
