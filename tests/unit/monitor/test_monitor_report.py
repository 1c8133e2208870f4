import dataclasses
import json

import pytest

from luthier.monitor import monitor
from luthier.records import Feedback, Message
from luthier.traces import Trace

NOW = "2026-08-22T12:00:00.000+00:00"


def trace(id: str, *, prompt: str = "when do you open", **rest) -> Trace:
    values = {
        "created_at": "2026-08-20T10:00:00.000+00:00", "model_id": "aa", "model_name": "support",
        "messages": (Message(role="user", content=prompt),), "answer": "at nine", "prompt_tokens": 5,
        "completion_tokens": 3, "latency_ms": 100.0, "first_token_ms": 20.0, "finish_reason": "stop", "consent": True,
    }  # fmt: skip
    return Trace(id=id, **{**values, **rest})


def thumb(id: str, trace_id: str, value: float, **rest) -> Feedback:
    return Feedback(id=id, trace_id=trace_id, kind="thumb", value=value, **rest)


def look(traces, feedback=(), training=None):
    return monitor(traces, feedback, training_prompts=training, now=NOW)


def test_an_empty_store_gives_a_report_that_claims_nothing() -> None:
    report = look([])
    assert report.all.num_traces == 0 and report.all.latency_ms is None and report.all.thumbs_up is None
    assert report.alarms == () and report.models == ()
    assert "<html" in report.page().html() and any("unknown" in line for line in report.lines())


def test_days_without_requests_are_counted_as_zero_up_to_now() -> None:
    report = look([trace("a"), trace("b", created_at="2026-08-18T23:59:00.000+00:00")])
    assert dict(report.days) == {"2026-08-18": 1, "2026-08-19": 0, "2026-08-20": 1, "2026-08-21": 0, "2026-08-22": 0}
    assert sum(report.days.values()) == report.all.num_traces


def test_times_and_lengths_are_those_of_complete_answers() -> None:
    traces = [trace(f"t{k}", latency_ms=float(k), completion_tokens=k) for k in range(1, 102)]
    traces += [
        trace("x", latency_ms=1e9, completion_tokens=10**6, finish_reason="cancelled"),
        trace("y", latency_ms=0.0, finish_reason="error"),
    ]
    found = look(traces).all
    assert found.latency_ms is not None and (found.latency_ms.n, found.latency_ms.p50, found.latency_ms.p95) == (
        101,
        51.0,
        96.0,
    )
    assert found.completion_tokens is not None and found.completion_tokens.p50 == 51.0
    assert found.finish_reasons == {"cancelled": 1, "error": 1, "stop": 101}


def test_the_truncated_share_has_its_interval() -> None:
    traces = [trace(f"t{k}", finish_reason="length" if k < 3 else "stop") for k in range(10)]
    found = look([*traces, trace("x", finish_reason="error")]).all.truncated
    assert found is not None and found.value == pytest.approx(0.3) and found.n == 10 and found.low < 0.3 < found.high


def test_thumbs_are_shared_out_by_model_and_superseded_ones_do_not_count() -> None:
    traces = [trace("a1"), trace("a2"), trace("b1", model_id="bb")]
    feedback = [
        thumb("f1", "a1", 0.0),
        thumb("f2", "a1", 1.0, supersedes="f1"),
        thumb("f3", "a2", 1.0),
        thumb("f4", "b1", 0.0),
        thumb("f5", "gone", 1.0),
        Feedback(id="f6", trace_id="a1", kind="comment", text="nice"),
    ]
    report = look(traces, feedback)
    shares = {each.model_id: each.thumbs_up for each in report.models}
    assert (shares["aa"].value, shares["aa"].n, shares["bb"].value, shares["bb"].n) == (1.0, 2, 0.0, 1)
    assert report.all.thumbs_up is not None and report.all.thumbs_up.n == 3
    assert report.feedback == {"comment": 1, "elsewhere": 1, "superseded": 1, "thumb": 3}
    assert sum(report.feedback.values()) == len(feedback)


def test_feedback_cannot_supersede_feedback_on_another_trace() -> None:
    report = look([trace("a"), trace("b")], [thumb("f1", "a", 1.0), thumb("f2", "b", 0.0, supersedes="f1")])
    assert report.all.thumbs_up is not None and report.all.thumbs_up.n == 2


def test_models_are_told_apart_by_digest_even_under_one_name() -> None:
    report = look([trace("a"), trace("b", model_id="bb"), trace("c", model_id="bb")])
    assert [(each.model_id, each.num_traces) for each in report.models] == [("bb", 2), ("aa", 1)]


def test_traces_without_consent_count_but_their_text_is_never_read() -> None:
    hidden = [
        dataclasses.replace(trace(f"h{k}", prompt="secret"), consent=False, answer="I'm sorry, I can't help")
        for k in range(60)
    ]
    report = look(hidden, training=["when do you open"] * 60)
    assert report.all.num_traces == 60 and report.all.latency_ms is not None
    assert report.all.refused is None and report.all.num_with_text == 0
    assert report.drift is None and "secret" not in report.page().html()


def test_drift_needs_enough_prompts_and_says_how_many_there_are() -> None:
    report = look([trace(f"t{k}") for k in range(49)], training=["when do you open"] * 500)
    assert report.drift is None and "49 served and 500 training prompts, 50 of each" in report.drift_note
    assert any("not enough" in line for line in report.lines())
    assert "no training set" in look([trace("a")]).drift_note


def test_drift_reaches_the_lines_the_page_and_the_json() -> None:
    traces = [trace(f"t{k}", prompt=f"compose a sonnet about silver rivers and moon {k % 7}") for k in range(60)]
    report = look(traces, training=[f"when do you open on sunday number {'x' * (k % 5)}" for k in range(80)])
    assert report.alarms and any(line.startswith("alarm | prompts have drifted") for line in report.lines())
    html = report.page().html()
    assert "Have a look" in html and "compose a sonnet" in html
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["alarms"] == list(report.alarms) and data["drift"]["told_apart"] > 0.9


def test_the_report_is_json_whatever_was_measured() -> None:
    json.dumps(look([]).to_json(), allow_nan=False)
    traces = [trace("a", first_token_ms=None, logprob_mean=-1.5), trace("b", finish_reason="error", logprob_mean=None)]
    data = json.loads(json.dumps(look(traces, [thumb("f", "a", 1.0)]).to_json(), allow_nan=False))
    assert data["all"]["logprob_mean"] == -1.5 and data["all"]["thumbs_up"]["n"] == 1
    assert data["all"]["first_token_ms"] is None and data["all"]["latency_ms"] == {"n": 1, "p50": 100.0, "p95": 100.0}


def test_a_script_in_a_prompt_stays_text_on_the_page() -> None:
    traces = [trace(f"t{k}", prompt="<script>alert(1)</script>", model_name="<b>m</b>") for k in range(60)]
    html = look(traces, training=["hello there"] * 60).page().html()
    assert "<script" not in html and "<b>" not in html and "&lt;script&gt;" in html
