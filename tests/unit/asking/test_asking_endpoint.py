"""Asking an endpoint: patience with a busy server, an end for every request, a key that nobody sees, a budget."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fakes_writer import Clock, answer_to, asks, opened_when_busy, serving
from luthier.asking.asker import Asker, Budget, Failed, Journal, Reply
from luthier.asking.config import WriterConfig
from luthier.asking.endpoint import endpoint, retry_after
from luthier.errors import ConfigError, DataError, LuthierError


def asked(server, number: int, *, budget: Budget | None = None, clock: Clock | None = None, **options):
    clock = clock or Clock()
    config = WriterConfig(model="m", base_url=server.url, **{"concurrency": 1, "timeout_s": 10.0, **options})
    writer = endpoint(config, seed=7, sleep=clock.sleep, clock=clock)
    return dict(writer.answer(asks(number), budget or Budget())), clock


def test_a_request_holds_model_words_and_sampling(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving() as server:
        ends, _ = asked(
            server,
            1,
            key_env="MY_KEY",
            temperature=0.5,
            top_p=0.9,
            max_tokens=33,
            max_tokens_name="max_completion_tokens",
        )
    assert ends == {0: Reply(answer_to("What is 0?"), False, 10, 5, 1)}
    assert server.asked == [{"model": "m", "messages": [{"role": "user", "content": "What is 0?"}], "temperature": 0.5,
                             "top_p": 0.9, "max_completion_tokens": 33, "seed": 7}]  # fmt: skip
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "garbage", "empty"])
def test_a_call_that_may_go_better_is_made_again_after_a_growing_wait(fault):
    with serving({0: fault, 1: fault}) as server:
        ends, clock = asked(server, 1, backoff_s=2.0)
    assert ends[0].text == answer_to("What is 0?") and ends[0].attempts == 3
    first, second = clock.waits
    assert 1.0 <= first <= 2.0 <= second <= 4.0


def test_retry_after_is_honoured_for_all_calls():
    with serving({0: (429, {"Retry-After": "30"})}) as server:
        ends, clock = asked(server, 2)
    assert [ends[n].attempts for n in (0, 1)] == [2, 1] and clock.waits == [30.0]


def test_a_server_that_asks_for_too_long_a_wait_has_failed_the_request():
    with serving({0: (429, {"Retry-After": "3600"})}) as server:
        ends, clock = asked(server, 1)
    assert isinstance(ends[0], Failed) and "asks to wait 3,600 s" in ends[0].problem and clock.waits == []


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
                                                ("Sun, 06 Nov 1994 08:49:00 GMT", 0.0), ("soon", 0.0), (None, 0.0)])  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after(value, now=datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)) == seconds


def test_a_request_that_the_server_refuses_fails_alone_with_what_it_said():
    with serving({0: 400}) as server:
        ends, _ = asked(server, 2)
    assert ends[0] == Failed('status 400: {"error": {"message": "no, None"}}', 1) and isinstance(ends[1], Reply)


def test_attempts_end_and_the_request_fails():
    with serving(dict.fromkeys(range(9), 500)) as server:
        ends, _ = asked(server, 1, max_attempts=3)
    assert ends[0].attempts == len(server.asked) == 3 and ends[0].is_down and ends[0].problem.endswith(", 3 times")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_everything_ends_the_run_and_shows_no_key(status, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving({0: status}) as server, pytest.raises(ConfigError) as error:
        asked(server, 3, key_env="MY_KEY")
    assert "sk-secret" not in error.value.text() and "Bearer ***" in error.value.text()


def test_a_redirect_is_not_followed():
    with serving({0: (307, {"Location": "http://127.0.0.1:9/"})}) as server:
        ends, _ = asked(server, 1)
    assert ends[0].problem.startswith("status 307")


def test_a_key_that_is_not_there_is_told_by_the_name_of_its_variable(monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(ConfigError, match="the endpoint's key is missing") as error:
        endpoint(WriterConfig(model="m", base_url="http://127.0.0.1:9/v1", key_env="NO_KEY"), seed=0)
    assert "writer.key_env: NO_KEY" in error.value.text()


def test_as_many_calls_run_at_once_as_are_wanted_and_no_more():
    with serving() as server:
        writer = endpoint(WriterConfig(model="m", base_url=server.url, concurrency=4, timeout_s=20.0), seed=0)
        with opened_when_busy(server, 4):
            ends = dict(writer.answer(asks(12), Budget()))
    assert sorted(ends) == list(range(12)) and server.most_at_once == 4


def test_the_budget_of_requests_counts_repeated_calls_and_is_never_passed():
    budget = Budget(max_requests=4)
    with serving({0: 500}) as server:
        ends, _ = asked(server, 9, budget=budget)
    assert len(server.asked) == budget.requests == 4 and sorted(ends) == [0, 1, 2]


def test_the_budget_of_tokens_ends_the_asking():
    budget = Budget(max_tokens=40)
    with serving() as server:
        ends, _ = asked(server, 9, budget=budget)
    assert sorted(ends) == [0, 1, 2] and budget.tokens == 45


def test_the_journal_keeps_each_answer_at_once_and_cuts_a_torn_line(tmp_path):
    path = tmp_path / "requests.jsonl"
    with serving() as server:
        writer = endpoint(WriterConfig(model="m", base_url=server.url), seed=0)
        journal = Journal(path)
        first = Asker(writer, journal, Budget(), print).outcomes(asks(3))
        with path.open("ab") as file:
            file.write(b'{"key": "abc", "tex')
        again = Journal(path)
        assert path.read_bytes().endswith(b"}\n") and len(again.entries) == 3
        more = Asker(writer, again, Budget(*[None, None], *again.spent()), print)
        assert more.outcomes(asks(4))[:3] == first
    assert len(server.asked) == 4 and (more.budget.requests, more.budget.tokens) == (4, 60)


def test_what_failed_is_asked_again_by_the_next_run(tmp_path):
    with serving({0: 400}) as server:
        writer = endpoint(WriterConfig(model="m", base_url=server.url), seed=0)
        ends = [Asker(writer, Journal(tmp_path / "r.jsonl"), Budget(), print).outcomes(asks(1))[0] for _ in range(3)]
    assert [type(end) for end in ends] == [Failed, Reply, Reply] and len(server.asked) == 2


def test_a_server_that_is_gone_ends_the_run_with_words(tmp_path):
    with serving() as server:
        url = server.url
    writer = endpoint(
        WriterConfig(model="m", base_url=url, max_attempts=1, concurrency=2), seed=0, sleep=lambda _: None
    )
    with pytest.raises(LuthierError, match="the writer does not answer") as error:
        Asker(writer, Journal(tmp_path / "r.jsonl"), Budget(), print).outcomes(asks(40))
    assert "the same command goes on" in error.value.text()
    assert 8 <= len(Journal(tmp_path / "r.jsonl").entries) <= 10  # the last ones were on their way


def costing(**message) -> tuple[int, dict, bytes]:
    """A response that cost 30 tokens, with these fields of a message, or with no choice at all."""
    choices = [{"message": message, "finish_reason": "length"}] if message else []
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    return 200, {}, json.dumps({"choices": choices, "usage": usage}).encode()


def test_answers_without_text_count_their_tokens_in_this_run_and_the_next(tmp_path):
    path = tmp_path / "r.jsonl"
    with serving(dict.fromkeys(range(99), costing(content=None))) as server:
        writer = endpoint(WriterConfig(model="m", base_url=server.url, concurrency=1), seed=0)
        budget = Budget(max_tokens=90)
        ends = Asker(writer, Journal(path), budget, print).outcomes(asks(9))
    assert len(server.asked) == 3 and budget.tokens == 90
    assert ends[:3] == [Failed("an answer without text", 1, False, 10, 20)] * 3 and ends[3:] == [None] * 6
    assert Journal(path).spent() == (3, 90)


def test_calls_that_are_made_again_count_their_tokens_in_this_run_and_the_next(tmp_path):
    path, clock = tmp_path / "r.jsonl", Clock()
    with serving({0: costing(), 1: costing()}) as server:
        config = WriterConfig(model="m", base_url=server.url, concurrency=1)
        writer = endpoint(config, seed=0, sleep=clock.sleep, clock=clock)
        budget = Budget()
        (end,) = Asker(writer, Journal(path), budget, print).outcomes(asks(1))
    assert isinstance(end, Reply) and end.attempts == 3 and budget.tokens == 75
    assert Journal(path).spent() == (3, 75)


def test_the_last_of_the_calls_that_cost_tokens_for_nothing_counts_too():
    budget = Budget()
    with serving(dict.fromkeys(range(9), costing())) as server:
        ends, _ = asked(server, 1, budget=budget, max_attempts=2)
    assert ends[0].is_down and ends[0].completion_tokens == 20 and budget.tokens == 60


@pytest.mark.parametrize("usage", [[], {"prompt_tokens": True, "completion_tokens": 1}, {"prompt_tokens": 3}, None])
def test_an_answer_without_text_and_without_a_count_costs_nothing_that_is_known(usage):
    body = json.dumps({"choices": [{"message": {"content": None}}], "usage": usage}).encode()
    budget = Budget()
    with serving({0: (200, {}, body)}) as server:
        ends, _ = asked(server, 1, budget=budget)
    assert ends[0] == Failed("an answer without text") and budget.tokens == 0


@pytest.mark.parametrize("line", ['{"key": "b", "lost": [1]}', '{"key": "b", "attempts": 1, "problem": "p", "tokens": "x"}'])
def test_a_line_of_the_journal_with_tokens_that_are_none_is_told(tmp_path, line):
    path = tmp_path / "r.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match="the journal of requests is damaged"):
        Journal(path)


def test_a_call_waits_again_where_another_was_told_to_wait_for_longer():
    clock, waits = Clock(), []
    config = WriterConfig(model="m", base_url="http://127.0.0.1:9/v1", concurrency=1)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.sleep(seconds)
        if len(waits) == 1:
            line._pause(50.0, is_for_all=True)  # another call, meanwhile

    line = endpoint(config, seed=0, sleep=sleep, clock=clock).answer.__self__
    line._pause(5.0, is_for_all=True)
    line._wait_for_turn()
    assert waits == [5.0, 50.0]
