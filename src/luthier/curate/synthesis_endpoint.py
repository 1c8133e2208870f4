"""A writer behind an OpenAI-compatible endpoint: many requests at once, patient with a server that is busy."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from random import Random
from threading import Event, Lock
from typing import Any, NamedTuple

from luthier.curate.synthesis_asking import Ask, Budget, Failed, Outcome, Reply, Writer, usage_of
from luthier.curate.synthesis_config import WriterConfig
from luthier.errors import ConfigError, Problem
from luthier.records import content_id

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses that may be another a moment later."""
HOPELESS = {401: "the key", 403: "the key", 404: "the address or the model"}
"""Statuses that every further request would get too, and what is wrong."""
SHOWN_CHARACTERS = 300


class _Again(NamedTuple):
    """A call that may be repeated."""

    problem: str
    wait_s: float = 0.0
    """What the server asks for."""


def endpoint(
    config: WriterConfig, *, seed: int, sleep: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Writer:  # fmt: skip
    """The writer that `[writer]` names; ConfigError where the variable that should hold its key is empty.

    `sleep` and `clock` (seconds) stand in for time.
    """
    assert config.base_url is not None
    key = os.environ.get(config.key_env, "") if config.key_env else ""
    if config.key_env and not key:
        raise ConfigError(
            "the endpoint's key is missing",
            [Problem(where=f"writer.key_env: {config.key_env}", found="no such environment variable, or an empty one",
                     expected="a variable that holds the key",
                     fix=f"export {config.key_env}=..., or correct the name")],
        )  # fmt: skip
    stopped = Event()
    line = _Line(config, seed, key, sleep or stopped.wait, clock, stopped)
    identity = content_id(config.base_url, config.model, config.temperature, config.top_p, config.max_tokens, seed)
    return Writer(name=config.model, identity=identity, answer=line.answer)


@dataclass(slots=True)
class _Line:
    """The way to one endpoint."""

    config: WriterConfig
    seed: int
    key: str = field(repr=False)
    sleep: Callable[[float], object]
    clock: Callable[[], float]
    stopped: Event
    """Set when the run ends before its requests: those that wait for their turn end too."""
    busy_until: float = 0.0
    """No call is made before this moment: the server has told one that it is busy, and means all."""
    lock: Lock = field(default_factory=Lock)

    def answer(self, asks: Sequence[Ask], budget: Budget) -> Iterator[tuple[int, Outcome]]:
        """Answers as they come, `concurrency` calls at a time."""
        waiting: dict[Future[Outcome | None], int] = {}
        upcoming = iter(enumerate(asks))
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
        """The end of one request; None where the budget is spent."""
        random = Random(f"{ask.digest} {ask.draw}")
        tried = _Again("")
        for attempt in range(1, self.config.max_attempts + 1):
            self._wait_for_turn()
            if self.stopped.is_set() or not budget.take():
                return None
            outcome = self._called(ask, attempt)
            if not isinstance(outcome, _Again):
                if isinstance(outcome, Reply):
                    budget.add_tokens(outcome.prompt_tokens + outcome.completion_tokens)
                return outcome
            tried = outcome
            if tried.wait_s > self.config.max_wait_s:
                problem = f"{tried.problem}; it asks to wait {tried.wait_s:,.0f} s"
                return Failed(problem, attempt, is_down=True)
            if attempt < self.config.max_attempts:
                # Doubling, and parted by chance, so that calls that failed together do not come back together.
                pause = self.config.backoff_s * 2 ** (attempt - 1) * (0.5 + random.random() / 2)
                self._pause(max(tried.wait_s, min(pause, self.config.max_wait_s)), is_for_all=tried.wait_s > 0)
        return Failed(f"{tried.problem}, {self.config.max_attempts} times", self.config.max_attempts, is_down=True)

    def _pause(self, seconds: float, *, is_for_all: bool) -> None:
        if is_for_all:
            with self.lock:
                self.busy_until = max(self.busy_until, self.clock() + seconds)
        else:
            self.sleep(seconds)

    def _wait_for_turn(self) -> None:
        left = self.busy_until - self.clock()
        if left > 0:
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
                data = json.loads(response.read())
        except urllib.error.HTTPError as error:
            return self._refused(error, attempt)
        except (OSError, HTTPException) as error:  # no connection, one that was cut, a time-out
            return _Again(self._hidden(f"no answer: {error or type(error).__name__}"))
        except ValueError:
            return _Again("an answer that is not JSON")
        return _reply(data, ask, attempt)

    def _refused(self, error: urllib.error.HTTPError, attempt: int) -> Failed | _Again:
        """What a status other than 200 means."""
        try:
            said = error.read().decode("utf-8", "replace")
        except (OSError, HTTPException):
            said = ""
        problem = self._hidden(f"status {error.code}: {' '.join(said.split())[:SHOWN_CHARACTERS]}".rstrip(": "))
        if error.code in HOPELESS:
            raise ConfigError(
                "the endpoint refuses every request",
                [Problem(where=f"writer.base_url: {self.config.base_url}", found=problem,
                         expected="an answer", fix=f"check {HOPELESS[error.code]}")],
            ) from None  # fmt: skip
        if error.code in AGAIN:
            return _Again(problem, retry_after(error.headers.get("Retry-After"), now=datetime.now(UTC)))
        return Failed(problem, attempt)

    def _hidden(self, text: str) -> str:
        """The text without the key, which some servers send back."""
        return text.replace(self.key, "***") if self.key else text


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
        return _Again("an answer without choices[0].message.content")
    if not isinstance(text, str):
        return Failed("an answer without text", attempt)
    prompt_tokens, completion_tokens = usage_of(data, ask, text)
    return Reply(text, choice.get("finish_reason") == "length", prompt_tokens, completion_tokens, attempt)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would send the key elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
