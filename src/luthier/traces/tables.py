"""The tables as the code reads and writes them; the migrations hold how they came to be."""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa

from luthier.records import Feedback, Message
from luthier.traces.trace import Trace

SCHEMA = sa.MetaData()

TRACES = sa.Table(
    "traces",
    SCHEMA,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("created_at", sa.String, nullable=False, index=True),
    sa.Column("model_id", sa.String, nullable=False),
    sa.Column("model_name", sa.String, nullable=False),
    sa.Column("messages", sa.JSON, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("sampling", sa.JSON, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("latency_ms", sa.Float, nullable=False),
    sa.Column("first_token_ms", sa.Float),
    sa.Column("finish_reason", sa.String, nullable=False),
    sa.Column("logprob_mean", sa.Float),
    sa.Column("consent", sa.Boolean, nullable=False),
    sa.Column("user", sa.String),
    sa.Column("metadata", sa.JSON, nullable=False),
)

FEEDBACK = sa.Table(
    "feedback",
    SCHEMA,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("trace_id", sa.String, sa.ForeignKey("traces.id"), nullable=False, index=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("text", sa.Text),
    sa.Column("other_trace_id", sa.String, sa.ForeignKey("traces.id")),
    sa.Column("rater", sa.String),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("idempotency_key", sa.String, unique=True),
    sa.Column("supersedes", sa.String),
)


def trace_row(trace: Trace) -> dict[str, Any]:
    """The trace as a row of `TRACES`."""
    row = {spec.name: getattr(trace, spec.name) for spec in dataclasses.fields(trace)}
    row["messages"] = [{"role": m.role, "content": m.content} for m in trace.messages]
    row["sampling"] = dict(trace.sampling)
    row["metadata"] = dict(trace.metadata)
    return row


def row_trace(row: sa.RowMapping) -> Trace:
    """The trace that `trace_row` made into a row."""
    values = {key: value for key, value in row.items() if key != "position"}
    values["messages"] = tuple(Message(**turn) for turn in values["messages"])
    return Trace(**values)


def row_feedback(row: sa.RowMapping) -> Feedback:
    """The feedback event that is in a row of `FEEDBACK`."""
    return Feedback(**{key: value for key, value in row.items() if key != "position"})
