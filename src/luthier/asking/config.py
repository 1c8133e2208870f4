"""Who answers requests: the table `[writer]` of a recipe. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from luthier.config import Config, known_as


class WriterConfig(Config):
    """Who answers requests: a server that speaks the OpenAI chat API, or a model folder on this machine."""

    model: str = Field(json_schema_extra=known_as("model_name", "engine"))
    """The model's name at the server; without `base_url`, a model folder or a run folder."""
    base_url: str | None = Field(
        None, pattern=r"https?://.+", json_schema_extra=known_as("api_base", "endpoint", "url")
    )
    """The server's address up to /v1, as "http://127.0.0.1:8000/v1"."""
    key_env: str | None = Field(None, json_schema_extra=known_as("api_key", "api_key_env"))
    """The environment variable that holds the server's key. The key itself is written nowhere."""
    temperature: float = Field(1.0, ge=0)
    """Of the draws; 0 always takes the likeliest token."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of the draws."""
    max_tokens: int = Field(512, ge=1, json_schema_extra=known_as("max_new_tokens", "max_completion_tokens"))
    """Tokens after which an answer is cut; cut answers are rejected."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls this limit."""
    send_seed: bool = True
    """Send a seed, so that a server that honours it draws the same again."""
    concurrency: int = Field(8, ge=1, json_schema_extra=known_as("num_workers", "max_concurrency", "parallel"))
    """Calls at a time."""
    timeout_s: float = Field(120.0, gt=0, json_schema_extra=known_as("timeout"))
    """Seconds without a byte after which a call counts as unanswered."""
    max_attempts: int = Field(6, ge=1, json_schema_extra=known_as("max_retries", "retries"))
    """Calls for one request, where the server is busy (429, 5xx), cuts the connection or sends what is not JSON."""
    backoff_s: float = Field(1.0, gt=0)
    """Seconds before the second call, twice as many before each next one; Retry-After of the server goes before."""
    max_wait_s: float = Field(120.0, gt=0)
    """Longest wait before a call; a server that asks for more has failed the request."""
    batch_rows: int = Field(16, ge=1, json_schema_extra=known_as("batch_size"))
    """Requests that a model folder answers side by side."""

    @model_validator(mode="after")
    def _is_read(self) -> WriterConfig:
        unread = ("batch_rows",) if self.base_url else OF_ENDPOINTS
        why = "with base_url" if self.base_url else "without base_url, by a model folder"
        faults = [f"{key} is not read {why}; leave it out" for key in unread
                  if getattr(self, key) != WriterConfig.model_fields[key].default]  # fmt: skip
        if faults:
            raise ValueError("\n".join(faults))
        return self


OF_ENDPOINTS = (
    "key_env", "max_tokens_name", "send_seed", "concurrency", "timeout_s", "max_attempts", "backoff_s", "max_wait_s"
)  # fmt: skip
"""Keys that only a server's address makes sense of."""
