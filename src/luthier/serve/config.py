"""What `luthier serve` can be told."""

from __future__ import annotations

from pydantic import Field

from luthier.config import Config, known_as


class ServeConfig(Config):
    """Where a model is served, who may use it and what is kept of the answers."""

    host: str = "127.0.0.1"
    """Address to listen on; "0.0.0.0" is every address of this machine."""
    port: int = Field(default=8000, ge=0, le=65_535)
    """Port to listen on; 0 takes one that is free."""
    host_names: tuple[str, ...] = Field(default=(), json_schema_extra=known_as("allowed_hosts", "trusted_hosts"))
    """Further names by which clients reach this server; a request for any other host is refused (DNS rebinding)."""
    store: str | None = "sqlite:///traces.sqlite"
    """Where traces and feedback are kept; "none" keeps nothing."""
    trace_consent: bool = True
    """Whether the text of an answer is kept when a request does not say (`store`); if not, counts and timings only."""
    keys_env: str | None = Field(default=None, json_schema_extra=known_as("api_key", "api_keys", "api_key_env"))
    """Name of the environment variable that holds the API keys, separated by commas; "none" asks for no key."""
    max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    """A larger request body is refused."""
    max_new_tokens: int = Field(default=1_024, ge=1, json_schema_extra=known_as("max_tokens"))
    """Longest answer, in tokens, for a request that states no limit."""
