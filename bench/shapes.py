"""The sizes of the networks that are measured. Imports nothing, so that every contender's environment can read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder with rotary positions, gated feed-forward layers and an output head tied to the embeddings."""

    kind: str
    """ "llama" or "qwen3": the network of transformers that is built."""
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    vocabulary: int
    positions: int

    @property
    def projections(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of the matrices of one layer: query, key, value, output, gate, up, down."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return (
            (self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden),
            (self.hidden, self.feed_forward), (self.hidden, self.feed_forward), (self.feed_forward, self.hidden),
        )  # fmt: skip

    @property
    def layer_weights(self) -> int:
        """Weights of the matrices of one layer."""
        return sum(inputs * outputs for inputs, outputs in self.projections)

    @property
    def head_weights(self) -> int:
        """Weights of the output head, which are those of the embeddings."""
        return self.hidden * self.vocabulary


SHAPES = {
    "tiny": Shape(kind="llama", hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, feed_forward=128,
                  vocabulary=2_000, positions=2_048),
    "15m": Shape(kind="llama", hidden=288, layers=6, heads=6, kv_heads=6, head_dim=48, feed_forward=768,
                 vocabulary=32_000, positions=2_048),
    "135m": Shape(kind="llama", hidden=576, layers=30, heads=9, kv_heads=3, head_dim=64, feed_forward=1_536,
                  vocabulary=49_152, positions=2_048),
    "600m": Shape(kind="qwen3", hidden=1_024, layers=28, heads=16, kv_heads=8, head_dim=128, feed_forward=3_072,
                  vocabulary=151_936, positions=32_768),
}  # fmt: skip
"""By name. "tiny" is there to try the benchmark itself; 135m has the sizes of SmolLM-135M, 600m those of Qwen3-0.6B."""
