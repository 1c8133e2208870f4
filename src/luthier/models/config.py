"""Sizes of a new model, or how one that exists changes its shape. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from luthier.config import Config, known_as


class BuildConfig(Config):
    """The network to pre-train: a new decoder of the Llama shape from its sizes (with experts, of the Qwen3-MoE
    shape), or the model at `start`, which keeps its sizes but for what the four keys after it change."""

    vocabulary: int = Field(2048, ge=300, json_schema_extra=known_as("vocab_size"))
    """Tokens, special ones included."""
    hidden: int = Field(256, ge=8, json_schema_extra=known_as("hidden_size"))
    """Width of the residual stream."""
    layers: int = Field(6, ge=1, json_schema_extra=known_as("num_hidden_layers", "depth"))
    """Transformer blocks."""
    heads: int = Field(4, ge=1, json_schema_extra=known_as("num_attention_heads"))
    """Attention heads; they divide `hidden` into even widths."""
    kv_heads: int = Field(2, ge=1, json_schema_extra=known_as("num_key_value_heads"))
    """Key and value heads, shared by groups of heads (arXiv:2305.13245); they divide `heads`."""
    feed_forward: int = Field(704, ge=8, json_schema_extra=known_as("intermediate_size", "moe_intermediate_size"))
    """Width of the gated feed-forward layer, or of each expert."""
    experts: int | None = Field(None, ge=2, json_schema_extra=known_as("num_experts", "num_local_experts"))
    """Mixture of experts: feed-forward layers to choose from, in every block; without it, one for all tokens."""
    experts_per_token: int = Field(2, ge=1, json_schema_extra=known_as("num_experts_per_tok", "top_k"))
    """Experts that each token passes through. Read when `experts` is set."""
    tied: bool = Field(True, json_schema_extra=known_as("tie_word_embeddings"))
    """The output head is the embedding matrix; else it has weights of its own."""
    positions: int = Field(512, ge=16, json_schema_extra=known_as("max_position_embeddings"))
    """Longest context."""
    roles: Literal["tokens", "words"] = "tokens"
    """How the chat template says who speaks. "tokens": by tokens of their own, which tuning has to teach from nothing
    and no user can write. "words": by "[user]" and "[assistant]", which a base reads as it reads any text; tuned
    briefly, a small base then carries over far more of what it knows, but a user can write such words too."""
    start: str | None = Field(None, json_schema_extra=known_as("init_from", "base", "model_name_or_path"))
    """A model folder, run folder or hub name to go on from. Takes the place of every key above; neither its layers
    nor its tokenizer change unless a key below says so."""
    remove_layers: tuple[int, ...] = Field((), json_schema_extra=known_as("drop_layers"))
    """Layers of `start` to take out, counted from 0."""
    prune_layers: int | None = Field(None, ge=1, json_schema_extra=known_as("num_layers_to_prune"))
    """How many layers of `start` to take out: those that change the hidden states of this recipe's text least, by
    the cosine of what goes in and what comes out (ShortGPT, arXiv:2403.03853)."""
    grow_layers: int | None = Field(None, ge=1, json_schema_extra=known_as("expand_layers", "num_new_layers"))
    """How many layers to put in, spread evenly, after any are taken out: copies of the layer below that add nothing
    until they have trained (LLaMA Pro, arXiv:2401.02415)."""
    grow_vocabulary: int | None = Field(None, ge=1, json_schema_extra=known_as("num_new_tokens"))
    """How many tokens to add: further merges of the tokenizer of `start`, learned from this recipe's text."""

    @model_validator(mode="after")
    def _fits_and_is_read(self) -> BuildConfig:
        wrong = [*(self._sizes_that_do_not_fit() if self.start is None else ()), *self._keys_that_nothing_reads()]
        if wrong:
            raise ValidationError.from_exception_data(
                "BuildConfig",
                [InitErrorDetails(type=PydanticCustomError("build", "{expected}", {"expected": expected}), loc=(key,),
                                  input=getattr(self, key)) for key, expected in wrong],
            )  # fmt: skip
        return self

    def _sizes_that_do_not_fit(self) -> Iterator[tuple[str, str]]:
        if self.hidden % self.heads:
            yield "heads", f"a divisor of hidden = {self.hidden}"
        elif self.hidden // self.heads % 2:
            yield "heads", (f"heads of an even width, since positions turn pairs of numbers; hidden = {self.hidden} "
                            f"gives each {self.hidden // self.heads}")  # fmt: skip
        if self.heads % self.kv_heads:
            yield "kv_heads", f"a divisor of heads = {self.heads}"
        if self.experts is not None and self.experts_per_token > self.experts:
            yield "experts_per_token", f"at most experts = {self.experts}"

    def _keys_that_nothing_reads(self) -> Iterator[tuple[str, str]]:
        given = [key for key in BuildConfig.model_fields if getattr(self, key) != BuildConfig.model_fields[key].default]
        if self.start is None:
            yield from ((key, "this key beside build.start only, whose model it changes")
                        for key in given if key in CHANGES)  # fmt: skip
            if self.experts is None and "experts_per_token" in self.model_fields_set:
                yield "experts_per_token", "this key beside build.experts only"
            return
        sizes = [key for key in BuildConfig.model_fields if key not in (*CHANGES, "start")]
        yield from ((key, "no size beside build.start, whose model has its own") for key in sizes
                    if key in self.model_fields_set)  # fmt: skip
        if self.remove_layers and self.prune_layers is not None:
            yield "prune_layers", "either this key or remove_layers"


CHANGES = ("remove_layers", "prune_layers", "grow_layers", "grow_vocabulary")
"""What may change the model at `start`, in the order in which it happens."""
