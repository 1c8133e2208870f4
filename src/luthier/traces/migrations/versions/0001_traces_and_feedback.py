"""Traces and feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables, and forbid changes to what was written."""
    op.create_table(
        "traces",
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
    op.create_table(
        "feedback",
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
    # Rows may be erased, for a person may ask for that; they may not be rewritten.
    for table in ("traces", "feedback"):
        op.execute(
            f"CREATE TRIGGER {table}_never_change BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'raw events never change'); END"
        )
