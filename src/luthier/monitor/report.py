"""One look at the store: what was asked, how it was answered, what people said, and what has drifted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from luthier.monitor.drift import LEAST_PROMPTS, MOST_PROMPTS, Drift, drift, prompt_text
from luthier.monitor.traffic import COMPLETE, Quantiles, Traffic, traffic
from luthier.records import Feedback
from luthier.reports import Interval, Page, Sample, bar_plot, histogram, interval_plot
from luthier.stats.intervals import Estimate
from luthier.traces import Trace

SEED = 7
"""For samples and permutations: the same store and training set give the same report."""
SHOWN_DAYS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """What `luthier monitor` says; `page` shows it, `to_json` is for machines."""

    as_of: str
    days: Mapping[str, int]
    """Requests of each day (UTC) from the first to `as_of`, days without any included."""
    all: Traffic
    models: tuple[Traffic, ...]
    """One for each model digest, busiest first."""
    feedback: Mapping[str, int]
    """Standing feedback by kind, and how much was superseded or is on traces outside this report."""
    drift: Drift | None
    drift_note: str
    """Why there is no drift figure; empty when there is one."""
    latencies_ms: tuple[float, ...]
    """Of complete answers, for the histogram of the page."""

    @property
    def alarms(self) -> tuple[str, ...]:
        """What calls for a look; empty when nothing does."""
        return self.drift.alarms if self.drift else ()

    def to_json(self) -> dict[str, Any]:
        """Everything but single latencies, as a JSON object."""
        data = dataclasses.asdict(self)
        del data["latencies_ms"]
        return {**data, "alarms": list(self.alarms)}

    def lines(self) -> tuple[str, ...]:
        """The report as the terminal shows it."""
        lines = [f"monitor | as of {self.as_of} | {self.all.num_traces:,} requests over {len(self.days)} days"]
        for each in (self.all, *self.models) if len(self.models) > 1 else (self.all,):
            lines.append(f"{each.name} | {each.num_traces:,} requests | " + " | ".join(_figures(each)))
        if self.feedback:
            lines.append("feedback | " + " | ".join(f"{kind} {count:,}" for kind, count in self.feedback.items()))
        if self.drift is None:
            lines.append(f"drift | {self.drift_note}")
        else:
            lines.append(
                f"drift | {self.drift.num_served:,} served against {self.drift.num_training:,} training prompts | "
                f"told apart {self.drift.told_apart:.0%} (p {self.drift.p_words:.3g}) | "
                f"length distance {self.drift.length_gap:.2f} (p {self.drift.p_length:.3g})"
            )
        return (*lines, *(f"alarm | {alarm}" for alarm in self.alarms))

    def page(self) -> Page:
        """The report as a page."""
        page = Page(
            "What the model is asked and how it answers", f"{self.all.num_traces:,} requests, as of {self.as_of}"
        )
        _show_verdict(page, self)
        _show_traffic(page, self)
        _show_quality(page, self)
        _show_drift(page, self)
        return page


def monitor(
    traces: Iterable[Trace], feedback: Iterable[Feedback], *, training_prompts: Sequence[str] | None, now: str
) -> MonitorReport:
    """The report on these traces. `training_prompts` are `prompt_text` of the rows that the model learned from.

    `now` is ISO 8601, UTC. Traces without consent count in every figure that needs no text. Feedback that a newer
    event supersedes counts only as superseded.
    """
    kept = list(traces)
    events = list(feedback)
    standing = _standing(events)
    known = {trace.id for trace in kept}
    by_model: dict[str, list[Trace]] = {}
    for trace in kept:
        by_model.setdefault(trace.model_id, []).append(trace)
    models = [traffic(group, standing, name=group[-1].model_name, model_id=key) for key, group in by_model.items()]
    counts = Counter(event.kind if event.trace_id in known else "elsewhere" for event in standing)
    counts["superseded"] = len(events) - len(standing)
    found, note = _drift(kept, training_prompts)
    return MonitorReport(
        as_of=now,
        days=_days([trace.created_at[:10] for trace in kept], now[:10]),
        all=traffic(kept, standing, name="all models" if len(models) != 1 else models[0].name),
        models=tuple(sorted(models, key=lambda each: -each.num_traces)),
        feedback={kind: count for kind, count in sorted(counts.items()) if count},
        drift=found,
        drift_note=note,
        latencies_ms=tuple(t.latency_ms for t in kept if t.finish_reason in COMPLETE),
    )


def _standing(events: Sequence[Feedback]) -> list[Feedback]:
    """What no newer event on the same trace supersedes."""
    gone = {(event.trace_id, event.supersedes) for event in events if event.supersedes != event.id}
    return [event for event in events if (event.trace_id, event.id) not in gone]


def _days(days: Sequence[str], last: str) -> dict[str, int]:
    counts = Counter(days)
    if not counts:
        return {}
    day, end = date.fromisoformat(min(counts)), date.fromisoformat(max(last, max(counts)))
    filled = {}
    while day <= end:
        filled[day.isoformat()] = counts[day.isoformat()]
        day += timedelta(days=1)
    return filled


def _drift(traces: Sequence[Trace], training_prompts: Sequence[str] | None) -> tuple[Drift | None, str]:
    if training_prompts is None:
        return None, "not looked at: no training set was given"
    served = [(t.id, prompt_text(t.messages)) for t in traces if t.consent]
    served = [(trace_id, text) for trace_id, text in served if text.strip()]
    if min(len(served), len(training_prompts)) < LEAST_PROMPTS:
        return None, (
            f"not enough: {len(served):,} served and {len(training_prompts):,} training prompts, "
            f"{LEAST_PROMPTS} of each are needed"
        )
    return drift(served, training_prompts, seed=SEED), ""


def _figures(each: Traffic) -> list[str]:
    return [
        f"latency {_quantiles(each.latency_ms, ' ms')}",
        f"first token {_quantiles(each.first_token_ms, ' ms')}",
        f"length {_quantiles(each.completion_tokens, ' tokens')}",
        f"truncated {_share(each.truncated)}",
        f"refused {_share(each.refused)}",
        f"thumbs up {_share(each.thumbs_up)}",
    ]


def _quantiles(found: Quantiles | None, unit: str) -> str:
    return f"p50 {found.p50:,.0f}, p95 {found.p95:,.0f}{unit}" if found else "unknown"


def _share(found: Estimate | None) -> str:
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {found.n:,}" if found else "unknown"


def _show_verdict(page: Page, report: MonitorReport) -> None:
    if report.alarms:
        page.verdict("Have a look", "; ".join(report.alarms), "bad")
    elif report.drift is None:
        page.verdict("Drift unknown", report.drift_note, "unsure")
    else:
        page.verdict("No drift found", "Served prompts resemble the training set in words and length.", "good")
    each = report.all
    page.facts(
        {
            "Requests": each.num_traces,
            "With text": each.num_with_text,
            "Latency": _quantiles(each.latency_ms, " ms"),
            "First token": _quantiles(each.first_token_ms, " ms"),
            "Answer length": _quantiles(each.completion_tokens, " tokens"),
            **{f"Feedback: {kind}": count for kind, count in report.feedback.items()},
        }
    )


def _show_traffic(page: Page, report: MonitorReport) -> None:
    page.heading("Traffic")
    days = list(report.days.items())[-SHOWN_DAYS:]
    page.figure(
        bar_plot([day for day, _ in days], [count for _, count in days], x_label="requests"),
        f"Requests a day (UTC), the last {len(days)} of {len(report.days)} days",
    )
    if report.latencies_ms:
        page.figure(
            histogram(report.latencies_ms, bins=40, x_label="milliseconds from request to last token"),
            "Latency of complete answers",
        )
    page.table(
        ["model", "digest", "requests", "p50 ms", "p95 ms", "first token p50", "tokens p50", "log-prob.", "ends"],
        [
            [
                each.name, (each.model_id or "")[:12], each.num_traces,
                round(each.latency_ms.p50) if each.latency_ms else None,
                round(each.latency_ms.p95) if each.latency_ms else None,
                round(each.first_token_ms.p50) if each.first_token_ms else None,
                round(each.completion_tokens.p50) if each.completion_tokens else None,
                each.logprob_mean,
                ", ".join(f"{reason} {count:,}" for reason, count in each.finish_reasons.items()),
            ]
            for each in report.models
        ],
        caption="By model. Times and lengths are those of complete answers.",
    )  # fmt: skip


def _show_quality(page: Page, report: MonitorReport) -> None:
    page.heading("Quality")
    page.text("A refusal is an answer that begins with a declining phrase; the rule is a list of phrases.")
    shares = (("thumbs up", "thumbs_up"), ("truncated", "truncated"), ("refused", "refused"))
    rows = []
    for label, field in shares:
        for each in report.models:
            found: Estimate | None = getattr(each, field)
            if found is not None:
                rows.append(Interval(f"{label}, {each.name}", found.value, found.low, found.high))
    page.figure(interval_plot(rows, x_label="share"), "Shares with 95 % intervals, by model")


def _show_drift(page: Page, report: MonitorReport) -> None:
    page.heading("Drift from the training set")
    found = report.drift
    if found is None:
        page.text(report.drift_note)
        return
    page.text(
        f"{found.num_served:,} served prompts against {found.num_training:,} training prompts (at most "
        f"{MOST_PROMPTS:,} of each, drawn at random). Told apart: the "
        "share of pairs in which the served prompt is recognised by its words. The p values are those of one look, "
        "corrected for two tests; looking every day raises false alarms more often."
    )
    page.table(
        ["measure", "effect", "when alike", "corrected p"],
        [
            ["words: told apart", found.told_apart, 0.5, found.p_words],
            ["length: distance", found.length_gap, 0, found.p_length],
        ],
    )
    page.samples(
        [
            Sample(
                f"trace {far.trace_id}, similarity {far.similarity:.2f}",
                (("Served prompt", far.text), ("Nearest training prompt", far.nearest)),
            )
            for far in found.farthest
        ],
        "The served prompts farthest from the training set",
    )
