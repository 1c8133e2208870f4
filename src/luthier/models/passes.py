"""How rows pass through a network: packed or padded, the head fused with its loss or not. Proven before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from luthier.errors import ConfigError, ModelError, Problem
from luthier.models.attention import NotIsolated, PackedRows, is_packed, packed
from luthier.models.head import Head, head_logprobs, head_nll, head_of
from luthier.models.logprobs import head_only_at, selected_logits, target_logprobs

PROOF_LENGTHS = (6, 11, 3)
"""Tokens of the rows that a network is tried on; a longer one is added where a sliding window must be crossed."""
LONGEST_PROOF = 512
"""Tokens of the longest row that a network is tried on, unless told of longer ones."""
PROVEN_POSITIONS = 64
"""The last positions of a row that are compared: those of a long row that a window or a neighbour would change."""
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

    @property
    def is_filled(self) -> bool:
        """Whether a packed line may end in tokens that nothing reads: not where they count as load of the experts."""
        return self.is_packed and not self.with_router

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
    autocast: bool = False, longest: int = LONGEST_PROOF,
) -> tuple[Pass, str]:  # fmt: skip
    """The best way through this network that gives what it gives each row alone, and why not a better one.

    Tried on a few short rows, and a longer one where rows of `longest` tokens would cross a sliding window. ConfigError
    when `packing` is "packed" and the network cannot keep rows apart; ModelError when it sees the tokens to come.
    """
    if _sees_ahead(network):
        raise ModelError(
            "this model cannot be trained on its next token",
            [Problem(where="model.base", found="log-probabilities that change with the tokens to come",
                     expected="a model that sees only what came before", fix="choose a causal language model")],
        )  # fmt: skip
    padded = Pass(with_router=with_router, autocast=autocast)
    reason = ""
    ways = [replace(padded, is_packed=True)] if packing != "padded" else []
    for way in (*ways, padded):
        fused = replace(way, is_fused=True)
        if way.is_packed:
            reason = why_not(network, way, longest=longest)
            if reason and packing == "packed":
                raise ConfigError(
                    "this model cannot be trained on packed rows",
                    [Problem(where="train.packing", found=f'"packed", but {reason}',
                             expected="attention that keeps rows apart", fix='set train.packing = "padded" or "auto"')],
                )  # fmt: skip
        if way.is_packed and reason:
            continue
        return (fused if not why_not(network, fused, longest=longest) else way), reason
    raise AssertionError("padded rows always pass")


@torch.no_grad()
def why_not(network: Any, how: Pass, *, longest: int = LONGEST_PROOF) -> str:
    """Why the network cannot be passed that way; empty when it gives each row what it gives it alone."""
    if how.is_fused and head_of(network) is None:
        return "its output head is more than a linear layer"
    was_training = network.training
    network.eval()
    try:
        return _why_not(network, how, longest)
    except NotIsolated as error:
        return str(error)
    except FOREIGN as error:
        if how == Pass(with_router=how.with_router, autocast=how.autocast):
            raise  # not the unusual way is at fault
        return f"its own code does not take it ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
    finally:
        network.train(was_training)


FOREIGN = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a model's own code raises when it is called in a way that it does not foresee: any of them means "not this way",
and the words of the error are passed on. The plain way is not forgiven anything."""


def _why_not(network: Any, how: Pass, longest: int) -> str:
    config = _text_config(network)
    if how.is_packed and getattr(config, "attention_chunk_size", None):
        return "its attention looks at chunks of fixed places"
    device = next(network.parameters()).device
    random = torch.Generator().manual_seed(0)
    vocabulary = network.get_input_embeddings().weight.shape[0]
    window = getattr(config, "sliding_window", None) or 0
    lengths = (*PROOF_LENGTHS, *((window + 3,) if 0 < window < longest else ()))
    lines = [torch.randint(vocabulary, (n,), generator=random).to(device) for n in lengths]
    with replace(how, is_packed=False).mode(network):
        expected = [_alone(network, line) for line in lines]
    found = _together(network, lines, how)
    allowed = _tolerance(network, how, expected[0].dtype)
    gaps = [*map(_gap, found, expected)]
    if not all(gap <= allowed for gap in gaps):  # NaN is not
        return f"its rows get other log-probabilities together than alone (by {max(gaps):.1g})"
    changed = [*lines[:1], (lines[1] + 1) % vocabulary, *lines[2:]]
    again = _together(network, changed, how)
    leak = max(_gap(again[i], found[i]) for i in range(len(lines)) if i != 1)
    # Experts see other numbers of tokens, so their sums may round otherwise; without experts not a bit may change.
    return f"a row sees its neighbour (by {leak:.1g})" if leak > (allowed if has_experts(network) else 0.0) else ""


@torch.no_grad()
def _sees_ahead(network: Any) -> bool:
    """Whether another last token changes the log-probabilities of those before it."""
    was_training = network.training
    network.eval()
    try:
        vocabulary, device = network.get_input_embeddings().weight.shape[0], next(network.parameters()).device
        line = torch.randint(vocabulary, (PROOF_LENGTHS[0],), generator=torch.Generator().manual_seed(0)).to(device)
        other = torch.cat([line[:-1], (line[-1:] + 1) % vocabulary])
        first, again, changed = (_alone(network, row)[:-1] for row in (line, line, other))
        # Rows of one length round alike, but for the sums of experts and for kernels that add in no fixed order.
        noise = _tolerance(network, Pass(), first.dtype) if has_experts(network) else 10 * _gap(first, again)
        return _gap(first, changed) > noise
    finally:
        network.train(was_training)


def has_experts(network: Any) -> bool:
    """Whether the network is a mixture of experts."""
    config = _text_config(network)
    return any(getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts"))


def _text_config(network: Any) -> Any:
    config = network.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _tolerance(network: Any, how: Pass, dtype: torch.dtype) -> float:
    narrow = how.autocast or next(network.parameters()).dtype.itemsize <= 2
    return TOLERANCE[torch.bfloat16 if narrow else dtype]


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _alone(network: Any, line: Tensor) -> Tensor:
    first = _first_proven(len(line))
    chosen = torch.arange(first, len(line) - 1, device=line.device)
    return target_logprobs(selected_logits(network, line.unsqueeze(0), chosen), line[first + 1 :])


def _first_proven(length: int) -> int:
    return max(0, length - 1 - PROVEN_POSITIONS)


def _together(network: Any, lines: Sequence[Tensor], how: Pass) -> list[Tensor]:
    lengths = [len(line) for line in lines]
    device = lines[0].device
    if how.is_packed:
        ids, rows = torch.cat([*lines]).unsqueeze(0), PackedRows.of(lengths).to(device)
        starts = [sum(lengths[:i]) for i in range(len(lines))]
    else:
        ids, rows = torch.nn.utils.rnn.pad_sequence([*lines], batch_first=True), None
        starts = [i * max(lengths) for i in range(len(lines))]
    firsts = [_first_proven(n) for n in lengths]
    spans = zip(starts, firsts, lengths, strict=True)
    flat = torch.cat([torch.arange(start + first, start + n - 1) for start, first, n in spans]).to(device)
    targets = torch.cat([line[first + 1 :] for line, first in zip(lines, firsts, strict=True)])
    with how.mode(network):
        passed = forward(network, ids, flat, how=how, lengths=lengths, rows=rows)
    return list(torch.split(passed.logprobs(targets), [n - 1 - f for n, f in zip(lengths, firsts, strict=True)]))
