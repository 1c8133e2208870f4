"""How rows pass through a network: packed or padded, the head fused with its loss or not. Proven before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from luthier.errors import ConfigError, Problem
from luthier.models.attention import NotIsolated, PackedRows, is_packed, packed
from luthier.models.head import Head, head_logprobs, head_nll, head_of
from luthier.models.logprobs import head_only_at, target_logprobs

PROOF_LENGTHS = (6, 11, 3)
"""Tokens of the rows that a network is tried on; a longer one is added where a short sliding window must be crossed."""
LONGEST_PROOF = 512
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3, torch.bfloat16: 0.2}
"""Largest difference of a log-probability that rounding may make."""

# Shape letters: B rows, T positions, N selected positions (flat over B*T), H width, V vocabulary.


@dataclass(frozen=True, slots=True)
class Pass:
    """How rows pass through one network."""

    is_packed: bool = False
    is_fused: bool = False
    """Head and loss are one function; else the logits of the selected positions are made whole."""
    with_router: bool = False
    """Whether the loss that spreads tokens over experts is wanted."""
    autocast: bool = False
    """Matrix products in bfloat16, the rest in float32."""

    @contextmanager
    def mode(self, network: Any) -> Iterator[None]:
        """The context of a forward pass and of its backward pass."""
        with ExitStack() as stack:
            if self.is_packed:
                stack.enter_context(packed(network))
            if self.autocast:
                device = next(network.parameters()).device.type
                stack.enter_context(torch.autocast(device, dtype=torch.bfloat16, cache_enabled=True))
            yield


@dataclass(frozen=True, slots=True)
class Passed:
    """What a forward pass leaves of the selected positions."""

    logits_NV: Tensor | None
    hidden_NH: Tensor | None
    """With a fused head, in place of the logits."""
    head: Head | None
    router_loss: Tensor | None
    """The model's own loss of load balance over the tokens of this pass; None where it has no experts."""

    def nll(self, targets_N: Tensor, weights_N: Tensor) -> Tensor:
        """sum_n w_n * -log p(target_n), a scalar: 0 when nothing is trained, never NaN."""
        if self.head is not None and self.hidden_NH is not None:
            return head_nll(self.hidden_NH, self.head, targets_N, weights_N)
        return -(self.logprobs(targets_N) * weights_N).sum()

    def logprobs(self, targets_N: Tensor) -> Tensor:
        """log p(target_n), shape [N]."""
        if self.head is not None and self.hidden_NH is not None:
            return head_logprobs(self.hidden_NH, self.head, targets_N)
        assert self.logits_NV is not None
        return target_logprobs(self.logits_NV, targets_N)


def forward(
    network: Any, input_ids_BT: Tensor, positions_N: Tensor, *, how: Pass, lengths: Sequence[int],
    rows: PackedRows | None = None,
) -> Passed:  # fmt: skip
    """Pass right-padded rows [B, T] or packed rows [1, T] through the network, up to the loss.

    `lengths` are the rows' tokens without padding. Packed rows need the network inside `how.mode`, and padded rows
    need it outside: either mistake is an error, since both would let rows see each other.
    """
    if how.is_packed != is_packed(network) or how.is_packed != (rows is not None):
        raise RuntimeError("packed rows belong inside Pass.mode, padded rows outside")
    options: dict[str, Any] = {"use_cache": False}
    if rows is not None:
        options |= {"position_ids": rows.positions_1T, "packed_rows": rows}
    if how.with_router:
        options["output_router_logits"] = True
        if rows is None:  # only to keep padding out of the experts' load: causal attention never sees it
            limits = torch.tensor(lengths, device=input_ids_BT.device)
            places = torch.arange(input_ids_BT.shape[1], device=input_ids_BT.device)
            options["attention_mask"] = (places < limits.unsqueeze(1)).to(torch.int64)
    head = head_of(network) if how.is_fused else None
    if head is None:
        with head_only_at(network, positions_N):
            output = network(input_ids=input_ids_BT, **options)
        logits = output.logits[0]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return Passed(logits, None, None, getattr(output, "aux_loss", None))
    kept: list[Tensor] = []

    def take(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        kept.append(inputs[0].reshape(-1, inputs[0].shape[-1]))
        return (inputs[0][:, :0], *inputs[1:])  # the head itself computes nothing

    handle = network.get_output_embeddings().register_forward_pre_hook(take)
    try:
        output = network(input_ids=input_ids_BT, **options)
    finally:
        handle.remove()
    head = head_of(network)  # asked again: where processes share the weights, they are whole only after a forward pass
    return Passed(None, kept[0].index_select(0, positions_N), head, getattr(output, "aux_loss", None))


def settle(
    network: Any, *, packing: Literal["auto", "packed", "padded"] = "auto", with_router: bool = False,
    autocast: bool = False,
) -> tuple[Pass, str]:  # fmt: skip
    """The best way through this network that gives what it gives each row alone, and why not a better one.

    Tried on a few short rows. ConfigError when `packing` is "packed" and the network cannot keep rows apart.
    """
    padded = Pass(with_router=with_router, autocast=autocast)
    reason = ""
    ways = [replace(padded, is_packed=True)] if packing != "padded" else []
    for way in (*ways, padded):
        fused = replace(way, is_fused=True)
        if way.is_packed:
            reason = why_not(network, way)
            if reason and packing == "packed":
                raise ConfigError(
                    "this model cannot be trained on packed rows",
                    [Problem(where="train.packing", found=f'"packed", but {reason}',
                             expected="attention that keeps rows apart", fix='set train.packing = "padded" or "auto"')],
                )  # fmt: skip
        if way.is_packed and reason:
            continue
        return (fused if not why_not(network, fused) else way), reason
    raise AssertionError("padded rows always pass")


@torch.no_grad()
def why_not(network: Any, how: Pass) -> str:
    """Why the network cannot be passed that way; empty when it gives each row what it gives it alone."""
    if how.is_fused and head_of(network) is None:
        return "its output head is more than a linear layer"
    was_training = network.training
    network.eval()
    try:
        return _why_not(network, how)
    except NotIsolated as error:
        return str(error)
    finally:
        network.train(was_training)


def _why_not(network: Any, how: Pass) -> str:
    config = _text_config(network)
    if how.is_packed and getattr(config, "attention_chunk_size", None):
        return "its attention looks at chunks of fixed places"
    device = next(network.parameters()).device
    random = torch.Generator().manual_seed(0)
    vocabulary = network.get_input_embeddings().weight.shape[0]
    window = getattr(config, "sliding_window", None) or 0
    lengths = (*PROOF_LENGTHS, *((window + 3,) if 0 < window < LONGEST_PROOF else ()))
    lines = [torch.randint(vocabulary, (n,), generator=random).to(device) for n in lengths]
    with replace(how, is_packed=False).mode(network):
        expected = [_alone(network, line) for line in lines]
    found = _together(network, lines, how)
    narrow = how.autocast or next(network.parameters()).dtype.itemsize <= 2
    allowed = TOLERANCE[torch.bfloat16 if narrow else expected[0].dtype]
    gap = max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
    if not gap <= allowed:
        return f"its rows get other log-probabilities together than alone (by {gap:.1g})"
    changed = [*lines[:1], (lines[1] + 1) % vocabulary, *lines[2:]]
    again = _together(network, changed, how)
    leak = max(float((again[i] - found[i]).abs().max()) for i in range(len(lines)) if i != 1)
    # Experts see other numbers of tokens, so their sums may round otherwise; without experts not a bit may change.
    return f"a row sees its neighbour (by {leak:.1g})" if leak > (allowed if has_experts(network) else 0.0) else ""


def has_experts(network: Any) -> bool:
    """Whether the network is a mixture of experts."""
    config = _text_config(network)
    return any(getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts"))


def _text_config(network: Any) -> Any:
    config = network.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _alone(network: Any, line: Tensor) -> Tensor:
    logits = network(input_ids=line.unsqueeze(0), use_cache=False).logits[0, :-1]
    return target_logprobs(logits.to(torch.promote_types(logits.dtype, torch.float32)), line[1:])


def _together(network: Any, lines: Sequence[Tensor], how: Pass) -> list[Tensor]:
    lengths = [len(line) for line in lines]
    device = lines[0].device
    if how.is_packed:
        ids, rows = torch.cat([*lines]).unsqueeze(0), PackedRows.of(lengths).to(device)
        starts = [sum(lengths[:i]) for i in range(len(lines))]
    else:
        ids, rows = torch.nn.utils.rnn.pad_sequence([*lines], batch_first=True), None
        starts = [i * max(lengths) for i in range(len(lines))]
    flat = torch.cat([torch.arange(s, s + n - 1) for s, n in zip(starts, lengths, strict=True)]).to(device)
    targets = torch.cat([line[1:] for line in lines])
    with how.mode(network):
        passed = forward(network, ids, flat, how=how, lengths=lengths, rows=rows)
    return list(torch.split(passed.logprobs(targets), [n - 1 for n in lengths]))
