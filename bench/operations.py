"""The floating-point operations that a training step cannot do without."""

from __future__ import annotations

from collections.abc import Sequence

from bench.shapes import Shape

# A product with a matrix of P weights multiplies and adds once per weight and token: 2 P operations.


def necessary_operations(
    shape: Shape, lengths: Sequence[int], trained: Sequence[int], *, lora_rank: int | None = None
) -> int:
    """Operations of one forward and one backward pass over rows of `lengths` tokens, `trained` of which are targets.

    Counted: products of matrices alone, on tokens of rows alone. Padding, the head at positions whose next token does
    not train, attention to later tokens, and the second forward pass of activation checkpointing are not necessary.

    Forward, for a row of T tokens with N trained ones, layers of P weights, attention of width W = heads * head_dim, a
    head of H weights:

        layers * (2 P T + 2 W T^2) + 2 H N

    where attention is two products (scores, mix of values) of 2 * W operations for each of the T^2 / 2 pairs of a token
    with an earlier one. Backward: each product needs the gradient of both factors, so twice the forward.

    With adapters of rank r the matrices are frozen: their own gradient falls away, that of their inputs stays, so their
    backward is once the forward; the adapter adds two products of r * (inputs + outputs) weights, which train. In the
    first layer nothing below query, key and value trains, so the gradient of their inputs falls away too.
    """
    tokens = sum(lengths)
    pairs = shape.layers * 2 * shape.heads * shape.head_dim * sum(length * length for length in lengths)
    head = 2 * shape.head_weights * sum(trained)
    if lora_rank is None:
        return 3 * (shape.layers * 2 * shape.layer_weights * tokens + pairs + head)
    frozen = 2 * 2 * shape.layer_weights
    adapter = 3 * 2 * lora_rank * sum(inputs + outputs for inputs, outputs in shape.projections)
    first = sum(2 * inputs * (outputs + lora_rank) for inputs, outputs in shape.projections[:3])
    return (shape.layers * (frozen + adapter) - first) * tokens + 3 * pairs + 2 * head
