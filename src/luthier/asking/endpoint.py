"""A writer behind an OpenAI-compatible endpoint: many requests at once, patient with a server that is busy."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from random import Random
from threading import Event, Lock
from typing import Any, NamedTuple

from luthier.asking.asker import Ask, Budget, Failed, Outcome, Reply, Writer, mended, told_usage, usage_of
from luthier.asking.config import WriterConfig
from luthier.errors import ConfigError, Problem
from luthier.records import content_id

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses that may be another a moment later."""
HOPELESS = {401: "the key", 403: "the key", 404: "the address or the model"}
"""Statuses that every further request would get too, and what is wrong."""
SHOWN_CHARACTERS = 300
MOST_BYTES = 16 * 2**20
"""A longer answer is none; of a refusal, which is shown to people, REFUSAL_BYTES are read."""
REFUSAL_BYTES = 2**16
LEAST_SECRET = 8
"""Characters of a key that is hidden in answers too: servers that want none are given words such as "EMPTY"."""


class _Again(NamedTuple):
    """A call that may be repeated."""

    problem: str
    wait_s: float = 0.0
    """What the server asks for."""
    tokens: tuple[int, int] = (0, 0)
    """Of the request and of what came, where the server tells what the call cost."""


def endpoint(
    config: WriterConfig, *, seed: int, where: str = "writer", sleep: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Writer:  # fmt: skip
    """The writer that the table `where` names; ConfigError where the variable of its key holds none that can be sent.

    `sleep` and `clock` (seconds) stand in for time.
    """
    assert config.base_url is not None
    key = os.environ.get(config.key_env, "") if config.key_env else ""
    if config.key_env and not key:
        raise ConfigError(
            "the endpoint's key is missing",
            [Problem(where=f"{where}.key_env: {config.key_env}", found="no such environment variable, or an empty one",
                     expected="a variable that holds the key",
                     fix=f"export {config.key_env}=..., or correct the name")],
        )  # fmt: skip
    if key and not re.fullmatch("[!-~]+", key):  # never shown, not even in part
        raise ConfigError(
            "the endpoint's key cannot be sent",
            [Problem(where=f"{where}.key_env: {config.key_env}",
                     found="a key with a line end, a space or a sign beyond ASCII", expected="signs of ASCII alone",
                     fix=f"export {config.key_env} anew, without what is around the key")],
        )  # fmt: skip
    stopped = Event()
    line = _Line(config, where, seed, key, sleep or stopped.wait, clock, stopped)
    drawn = (config.base_url, config.model, config.temperature, config.top_p, config.max_tokens, seed)
    # A server that is sent no seed is another writer; named only then, so that journals keep their keys.
    identity = content_id(*drawn) if config.send_seed else content_id(*drawn, "no seed")
    return Writer(name=config.model, identity=identity, answer=line.answer, where=where)


@dataclass(slots=True)
class _Line:
    """The way to one endpoint."""

    config: WriterConfig
    where: str
    seed: int
    key: str = field(repr=False)
    sleep: Callable[[float], object]
    clock: Callable[[], float]
    stopped: Event
    """Set when the run ends before its requests: those that wait for their turn end too."""
    busy_until: float = 0.0
    """No call is made before this moment: the server has told one that it is busy, and means all."""
    lock: Lock = field(default_factory=Lock)

    def answer(self, asks: Sequence[Ask], budget: Budget) -> Generator[tuple[int, Outcome], None, None]:
        """Answers as they come, `concurrency` calls at a time.

        However it ends, it waits for the calls on their way, and each of them tells the budget its own end.
        """
        waiting: dict[Future[Outcome | None], int] = {}
        # The first call of each is taken here, so that what a budget has no room for are the last ones.
        upcoming = (item for item in enumerate(asks) if budget.take(item[1]))
        with ThreadPoolExecutor(self.config.concurrency) as pool:
            try:
                while True:
                    while len(waiting) < self.config.concurrency and (item := next(upcoming, None)) is not None:
                        waiting[pool.submit(self._asked, item[1], budget)] = item[0]
                    if not waiting:
                        return
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in sorted(done, key=waiting.__getitem__):
                        number, outcome = waiting.pop(future), future.result()
                        if outcome is not None:
                            yield number, outcome
            except BaseException:
                self.stopped.set()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _asked(self, ask: Ask, budget: Budget) -> Outcome | None:
        """The end of one request, whose first call is taken; None where the budget or the run ends before it."""
        random = Random(f"{ask.digest} {ask.draw}")
        for attempt in range(1, self.config.max_attempts + 1):
            self._wait_for_turn()
            if self.stopped.is_set() or (attempt > 1 and not budget.take(ask)):
                return None
            outcome = self._called(ask, attempt)
            if isinstance(outcome, _Again) and outcome.wait_s > self.config.max_wait_s:
                problem = f"{outcome.problem}; it asks to wait {outcome.wait_s:,.0f} s"
                outcome = Failed(problem, attempt, True, *outcome.tokens)
            elif isinstance(outcome, _Again) and attempt == self.config.max_attempts:
                times = "once" if attempt == 1 else f"{attempt} times"
                outcome = Failed(f"{outcome.problem}, {times}", attempt, True, *outcome.tokens)
            if not isinstance(outcome, _Again):
                budget.end(ask, outcome)
                return outcome
            budget.lose(ask, outcome.tokens)
            # Doubling, and parted by chance, so that calls that failed together do not come back together.
            pause = self.config.backoff_s * 2 ** (attempt - 1) * (0.5 + random.random() / 2)
            self._pause(max(outcome.wait_s, min(pause, self.config.max_wait_s)), is_for_all=outcome.wait_s > 0)
        raise AssertionError("the last attempt ends")

    def _pause(self, seconds: float, *, is_for_all: bool) -> None:
        if is_for_all:
            with self.lock:
                self.busy_until = max(self.busy_until, self.clock() + seconds)
        else:
            self.sleep(seconds)

    def _wait_for_turn(self) -> None:
        # Again and again: while this call slept, another may have been told to wait for longer.
        while (left := self.busy_until - self.clock()) > 0 and not self.stopped.is_set():
            self.sleep(left)

    def _called(self, ask: Ask, attempt: int) -> Outcome | _Again:
        """One call."""
        config = self.config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": message.role, "content": message.content} for message in ask.messages],
            "temperature": config.temperature, "top_p": config.top_p, config.max_tokens_name: config.max_tokens,
        }  # fmt: skip
        if config.send_seed:
            body["seed"] = self.seed + ask.draw
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{str(config.base_url).rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers, method="POST")
        try:
            with _OPENER.open(request, timeout=config.timeout_s) as response:
                body_read = response.read(MOST_BYTES + 1)
                if len(body_read) > MOST_BYTES:
                    return Failed(f"an answer of more than {MOST_BYTES // 2**20} MiB", attempt)
                if response.length:  # what is missing of the length that was told
                    raise IncompleteRead(body_read, response.length)
            data = json.loads(body_read)
        except urllib.error.HTTPError as error:
            return self._refused(error, attempt)
        except (OSError, HTTPException) as error:  # no connection, one that was cut, a time-out
            return _Again(self._shown(f"no answer: {error or type(error).__name__}"))
        except (ValueError, RecursionError):  # the second: nested too deep
            return _Again("an answer that is not JSON")
        outcome = _reply(data, ask, attempt)
        if isinstance(outcome, Reply):
            text = self._hidden(outcome.text) if len(self.key) >= LEAST_SECRET else outcome.text
            return outcome._replace(text=mended(text))
        return outcome

    def _refused(self, error: urllib.error.HTTPError, attempt: int) -> Failed | _Again:
        """What a status other than 200 means."""
        try:
            body = error.read(REFUSAL_BYTES)
        except (OSError, HTTPException):
            body = b""
        said = self._hidden(body.decode("utf-8", "replace"))
        if self.key and len(body) == REFUSAL_BYTES:
            said = said[: -len(self.key)]  # it may end within the key
        problem = f"status {error.code}: {self._shown(said)}".rstrip(": ")
        if error.code in HOPELESS:
            raise ConfigError(
                "the endpoint refuses every request",
                [Problem(where=f"{self.where}.base_url: {self.config.base_url}", found=problem,
                         expected="an answer", fix=f"check {HOPELESS[error.code]}")],
            ) from None  # fmt: skip
        if error.code in AGAIN:
            return _Again(problem, retry_after(error.headers.get("Retry-After"), now=datetime.now(UTC)))
        return Failed(problem, attempt)

    def _hidden(self, text: str) -> str:
        """The text without the key, which some servers send back: as it is, or as JSON or an address writes it."""
        if not self.key:
            return text
        as_json = json.dumps(self.key)[1:-1]
        forms = {self.key, as_json, as_json.replace("/", "\\/"), urllib.parse.quote(self.key, safe="")}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text

    def _shown(self, text: str) -> str:
        """The beginning of a text for people: no key, and nothing that a terminal would obey."""
        printable = "".join(sign if sign.isprintable() else " " for sign in self._hidden(text))
        return " ".join(printable.split())[:SHOWN_CHARACTERS]


def retry_after(value: str | None, *, now: datetime) -> float:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110); 0 where it says neither.

    >>> retry_after("2.5", now=datetime.now(UTC))
    2.5
    """
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _reply(data: Any, ask: Ask, attempt: int) -> Outcome | _Again:
    """The answer in a response of the chat API."""
    try:
        choice: Mapping[str, Any] = data["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return _Again("an answer without choices[0].message.content", tokens=told_usage(data) or (0, 0))
    if not isinstance(text, str):
        return Failed("an answer without text", attempt, False, *(told_usage(data) or (0, 0)))
    prompt_tokens, completion_tokens = usage_of(data, ask, text)
    return Reply(text, choice.get("finish_reason") == "length", prompt_tokens, completion_tokens, attempt)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would send the key elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
