"""How a model answers: times, lengths, ends, refusals and thumbs, over a set of traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.records import Feedback
from luthier.refusals import begins_with_refusal
from luthier.stats.intervals import Estimate, proportion_interval
from luthier.traces import Trace

COMPLETE = ("stop", "length")
"""Ends of answers that ran their course; a client that went away and an error say nothing of speed or length."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The median and the 95th percentile of n values."""

    n: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one model, or all together, did. None where nothing could be measured."""

    name: str
    model_id: str | None
    """Content digest; None for all models together."""
    num_traces: int
    num_with_text: int
    """Traces whose text may be read (consent was given)."""
    finish_reasons: Mapping[str, int]
    latency_ms: Quantiles | None
    first_token_ms: Quantiles | None
    completion_tokens: Quantiles | None
    logprob_mean: float | None
    """Mean over complete answers of their mean log-probability; falls when prompts become strange to the model."""
    truncated: Estimate | None
    """Share of complete answers that ran into the length limit."""
    refused: Estimate | None
    """Share of complete answers with text that begin with a refusal (see `luthier.refusals`)."""
    thumbs_up: Estimate | None
    """Share of thumbs that point up."""


def traffic(
    traces: Sequence[Trace], feedback: Sequence[Feedback], *, name: str, model_id: str | None = None
) -> Traffic:
    """The figures of these traces; `feedback` is what stands, of these traces and of others."""
    complete = [t for t in traces if t.finish_reason in COMPLETE]
    with_text = [t for t in complete if t.consent and t.answer]
    logprobs = [t.logprob_mean for t in complete if t.logprob_mean is not None]
    ids = {t.id for t in traces}
    thumbs = [f.value >= 0.5 for f in feedback if f.kind == "thumb" and f.value is not None and f.trace_id in ids]
    return Traffic(
        name=name,
        model_id=model_id,
        num_traces=len(traces),
        num_with_text=sum(t.consent and bool(t.messages) for t in traces),
        finish_reasons=dict(sorted(Counter(t.finish_reason for t in traces).items())),
        latency_ms=_quantiles([t.latency_ms for t in complete]),
        first_token_ms=_quantiles([t.first_token_ms for t in complete if t.first_token_ms is not None]),
        completion_tokens=_quantiles([t.completion_tokens for t in complete]),
        logprob_mean=float(np.mean(logprobs)) if logprobs else None,
        truncated=_share([t.finish_reason == "length" for t in complete]),
        refused=_share([begins_with_refusal(t.answer) for t in with_text]),
        thumbs_up=_share(thumbs),
    )


def _quantiles(values: Sequence[float]) -> Quantiles | None:
    if not values:
        return None
    p50, p95 = np.quantile(np.asarray(values, dtype=np.float64), (0.5, 0.95))
    return Quantiles(len(values), float(p50), float(p95))


def _share(flags: Sequence[bool]) -> Estimate | None:
    return proportion_interval(sum(flags), len(flags)) if flags else None
