"""How rows pass through a network: packed or padded, the head fused with its loss or not. Proven before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from luthier.errors import ConfigError, ModelError, Problem
from luthier.models.attention import NotIsolated, PackedRows, is_packed, packed
from luthier.models.gradients import gradient_gap
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
GRADIENT_LENGTHS = (6, 11, 11, 18)
"""Tokens of the rows whose gradients are compared: no multiple of a block, two of one length, two kinds of shelves."""
GRADIENT_TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3, torch.bfloat16: 0.3}
"""Largest difference of a tensor's gradient that rounding may make, as a share of it. Right networks came to 2e-7
(norms in float32), 2e-6 and, with 2 to 24 layers, 0.22; keys and values that took in what is not theirs, to 1.5."""
EXPERTS_TOLERANCE = 0.9
"""The same in bfloat16 with experts: rounding may send a token to another one. A gradient that is lost comes to 1."""

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

    Tried on a few short rows, and a longer one where rows of `longest` tokens would cross a sliding window: their
    log-probabilities and, of the parameters that train, their gradients, in the precision of the run. ConfigError
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
        not_fused = why_not(network, replace(way, is_fused=True), longest=longest)
        if not not_fused:
            return replace(way, is_fused=True), reason
        not_so = why_not(network, way, longest=longest) if way.is_packed else ""
        if not not_so:
            return way, "; ".join([*filter(None, [reason]), f"logits made whole, since {not_fused}"])
        reason = not_so
        if packing == "packed":
            raise ConfigError(
                "this model cannot be trained on packed rows",
                [Problem(where="train.packing", found=f'"packed", but {reason}',
                         expected="rows that pass together as each does alone",
                         fix='set train.packing = "padded" or "auto"')],
            )  # fmt: skip
    raise AssertionError("padded rows always pass")


@torch.no_grad()
def why_not(network: Any, how: Pass, *, longest: int = LONGEST_PROOF) -> str:
    """Why the network cannot be passed that way; empty when it gives each row what it gives it alone."""
    if how.is_fused and head_of(network) is None:
        return "its output head is more than a linear layer"
    with _at_rest(network):
        try:
            return _why_not(network, how, longest) or _why_not_back(network, how, longest)
        except NotIsolated as error:
            return str(error)
        except FOREIGN as error:
            if how == Pass(with_router=how.with_router, autocast=how.autocast):
                raise  # not the unusual way is at fault
            return f"its own code does not take it ({type(error).__name__}: {str(error).partition(chr(10))[0]})"


FOREIGN = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a model's own code raises when it is called in a way that it does not foresee: any of them means "not this way",
and the words of the error are passed on. The plain way is not forgiven anything."""


def _why_not(network: Any, how: Pass, longest: int) -> str:
    config = _text_config(network)
    if how.is_packed and getattr(config, "attention_chunk_size", None):
        return "its attention looks at chunks of fixed places"
    lines = _lines(network, (*PROOF_LENGTHS, *_over_the_window(network, longest)))
    with replace(how, is_packed=False).mode(network):
        expected = [_alone(network, line) for line in lines]
    found = _together(network, lines, how)
    allowed = _tolerance(network, how, expected[0].dtype)
    gaps = [*map(_gap, found, expected)]
    if not all(gap <= allowed for gap in gaps):  # NaN is not
        return f"its rows get other log-probabilities together than alone (by {max(gaps):.1g})"
    changed = [*lines[:1], (lines[1] + 1) % _vocabulary(network), *lines[2:]]
    again = _together(network, changed, how)
    leak = max(_gap(again[i], found[i]) for i in range(len(lines)) if i != 1)
    # Experts see other numbers of tokens, so their sums may round otherwise; without experts not a bit may change.
    return f"a row sees its neighbour (by {leak:.1g})" if leak > (allowed if has_experts(network) else 0.0) else ""


def _why_not_back(network: Any, how: Pass, longest: int) -> str:
    """Why its gradients are not those of each row alone, by the network's own attention and head.

    Every position has a target, the last one of a row too, which trains nothing in a run: a gradient sets out from each
    place and must reach its own row. Rows within a sliding window are tried apart from one that crosses it, since
    attention over them is not the same code.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return ""
    short = tuple(n for n in GRADIENT_LENGTHS if n <= longest)
    over = tuple(n for n in _over_the_window(network, longest) if n <= LONGEST_PROOF)  # a longer one takes memory
    for lengths in filter(None, (short, (*short[:1], *over) if over else ())):
        lines = _lines(network, lengths)
        sizes = [len(line) - _first_proven(len(line)) for line in lines]
        # Uneven, so that no token can stand for another.
        weights = torch.split(torch.linspace(0.5, 1.5, sum(sizes), device=lines[0].device), sizes)
        gap = gradient_gap(
            network, add=partial(_back_alone, network, lines, weights, how),
            take_away=partial(_back_together, network, lines, weights, how),
        )  # fmt: skip
        if not gap.size <= _gradient_tolerance(network, how):  # NaN is not
            return f"its rows get other gradients together than alone ({gap.name}: off by {gap.size:.1g} of its size)"
    return ""


@torch.no_grad()
def _sees_ahead(network: Any) -> bool:
    """Whether another last token changes the log-probabilities of those before it."""
    with _at_rest(network):
        (line,) = _lines(network, PROOF_LENGTHS[:1])
        other = torch.cat([line[:-1], (line[-1:] + 1) % _vocabulary(network)])
        first, again, changed = (_alone(network, row)[:-2] for row in (line, line, other))
        # Rows of one length round alike, but for the sums of experts and for kernels that add in no fixed order.
        noise = _tolerance(network, Pass(), first.dtype) if has_experts(network) else 10 * _gap(first, again)
        return _gap(first, changed) > noise


@contextmanager
def _at_rest(network: Any) -> Iterator[None]:
    """Inside, nothing drops out; afterwards every module is in its mode again, and nothing has been drawn."""
    modes = [(module, module.training) for module in network.modules()]
    device = next(network.parameters()).device
    network.eval()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        for module, was_training in modes:
            module.training = was_training


def has_experts(network: Any) -> bool:
    """Whether the network is a mixture of experts."""
    config = _text_config(network)
    return any(getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts"))


def _text_config(network: Any) -> Any:
    config = network.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _over_the_window(network: Any, longest: int) -> tuple[int, ...]:
    """The length of a row that a sliding window cuts something off, where rows of the run are as long."""
    window = getattr(_text_config(network), "sliding_window", None) or 0
    return (window + 3,) if 0 < window < longest else ()


def _vocabulary(network: Any) -> int:
    return int(network.get_input_embeddings().weight.shape[0])


def _lines(network: Any, lengths: Sequence[int]) -> list[Tensor]:
    """Rows of random tokens, the same ones each time; the target of a token is the next one, of the last the first."""
    random, vocabulary = torch.Generator().manual_seed(0), _vocabulary(network)
    device = next(network.parameters()).device
    return [torch.randint(vocabulary, (n,), generator=random).to(device) for n in lengths]


def _is_narrow(network: Any, how: Pass) -> bool:
    return how.autocast or any(p.dtype.is_floating_point and p.dtype.itemsize <= 2 for p in network.parameters())


def _tolerance(network: Any, how: Pass, dtype: torch.dtype) -> float:
    return TOLERANCE[torch.bfloat16 if _is_narrow(network, how) else dtype]


def _gradient_tolerance(network: Any, how: Pass) -> float:
    if not _is_narrow(network, how):
        return GRADIENT_TOLERANCE[next(network.parameters()).dtype]
    return EXPERTS_TOLERANCE if has_experts(network) else GRADIENT_TOLERANCE[torch.bfloat16]


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _first_proven(length: int) -> int:
    return max(0, length - PROVEN_POSITIONS)


def _alone(network: Any, line: Tensor) -> Tensor:
    first = _first_proven(len(line))
    chosen = torch.arange(first, len(line), device=line.device)
    return target_logprobs(selected_logits(network, line.unsqueeze(0), chosen), line.roll(-1)[first:])


def _together(network: Any, lines: Sequence[Tensor], how: Pass) -> list[Tensor]:
    with how.mode(network):
        passed, targets = _passed(network, lines, how)
    return list(torch.split(passed.logprobs(targets), [len(line) - _first_proven(len(line)) for line in lines]))


def _passed(network: Any, lines: Sequence[Tensor], how: Pass) -> tuple[Passed, Tensor]:
    """The rows together, inside the mode, and the targets of the positions that are proven."""
    lengths = [len(line) for line in lines]
    device = lines[0].device
    if how.is_packed:
        ids, rows = torch.cat([*lines]).unsqueeze(0), PackedRows.of(lengths).to(device)
        starts = [sum(lengths[:i]) for i in range(len(lines))]
    else:
        ids, rows = torch.nn.utils.rnn.pad_sequence([*lines], batch_first=True), None
        starts = [i * max(lengths) for i in range(len(lines))]
    spans = zip(starts, lengths, strict=True)
    flat = torch.cat([torch.arange(start + _first_proven(n), start + n) for start, n in spans]).to(device)
    targets = torch.cat([line.roll(-1)[_first_proven(len(line)) :] for line in lines])
    return forward(network, ids, flat, how=how, lengths=lengths, rows=rows), targets


def _back_alone(network: Any, lines: Sequence[Tensor], weights: Sequence[Tensor], how: Pass) -> None:
    """Add the gradient of sum w * -log p, row by row."""
    for line, own in zip(lines, weights, strict=True):
        with replace(how, is_packed=False).mode(network):
            (-(_alone(network, line) * own).sum()).backward()  # type: ignore[no-untyped-call]


def _back_together(network: Any, lines: Sequence[Tensor], weights: Sequence[Tensor], how: Pass) -> None:
    """Take away the gradient of the same sum, the rows passed together."""
    with how.mode(network):
        passed, targets = _passed(network, lines, how)
        together = torch.cat([*weights])
        # Half of it by the loss of sft and half by the log-probabilities of dpo: a fused head has a function for each.
        halves = passed.nll(targets, together) - (passed.logprobs(targets) * together).sum()
        (-halves / 2).backward()  # type: ignore[no-untyped-call]
