"""Sizes of a new model. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from luthier.config import Config, known_as


class BuildConfig(Config):
    """Sizes of a decoder of the Llama shape with tied embeddings."""

    vocabulary: int = Field(2048, ge=300, json_schema_extra=known_as("vocab_size"))
    """Tokens, special ones included."""
    hidden: int = Field(256, ge=8, json_schema_extra=known_as("hidden_size"))
    """Width of the residual stream."""
    layers: int = Field(6, ge=1, json_schema_extra=known_as("num_hidden_layers", "depth"))
    """Transformer blocks."""
    heads: int = Field(4, ge=1, json_schema_extra=known_as("num_attention_heads"))
    """Attention heads."""
    kv_heads: int = Field(2, ge=1, json_schema_extra=known_as("num_key_value_heads"))
    """Key and value heads, shared by groups of heads (arXiv:2305.13245)."""
    feed_forward: int = Field(704, ge=8, json_schema_extra=known_as("intermediate_size"))
    """Width of the gated feed-forward layer."""
    positions: int = Field(512, ge=16, json_schema_extra=known_as("max_position_embeddings"))
    """Longest context."""
