"""The loop, as a generator of steps. Every method is a `Work` for it: what a step consumes, and the loss of a piece."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from luthier.errors import LuthierError, Problem
from luthier.train.batch import Batch
from luthier.train.config import OptimConfig
from luthier.train.losses import learning_rate


@dataclass(frozen=True, slots=True)
class StepWork:
    """What one optimiser step consumes."""

    batches: Sequence[Batch]
    count: float
    """The loss of the step is the sum over its batches divided by this, once."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured while preparing (rewards, say); logged with the step."""


class PieceLoss(NamedTuple):
    """What the loss of one batch gives back."""

    total: Tensor
    metrics: Mapping[str, float] = {}
    """Sums over the batch; the step logs them divided by its count."""


@dataclass(frozen=True, slots=True)
class Work:
    """A training method as the loop sees it."""

    num_steps: int
    prepare: Callable[[int], StepWork]
    """The work of step `step` (from 1), a function of the step and the weights alone."""
    loss: Callable[[Batch], PieceLoss]
    has_dropout: bool = True
    """False where the loss compares log-probabilities with those measured without dropout."""


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser update, as logged."""

    index: int
    num_steps: int
    loss: float
    tokens: int
    """Unpadded tokens consumed."""
    trained_tokens: int
    """Tokens with weight."""
    seconds: float
    lr: float
    grad_norm: float
    metrics: dict[str, float] = field(default_factory=dict)

    def event(self) -> dict[str, Any]:
        """The step as metrics.jsonl holds it."""
        return {
            "step": self.index,
            "train/loss": self.loss,
            "train/tokens": self.tokens,
            "train/trained_tokens": self.trained_tokens,
            "train/tokens_per_s": round(self.tokens / max(self.seconds, 1e-9), 1),
            "train/lr": self.lr,
            "train/grad_norm": self.grad_norm,
            **self.metrics,
        }

    def line(self) -> str:
        """The one log line of the step."""
        left = int(self.seconds * (self.num_steps - self.index))
        extra = "".join(f" | {name.rpartition('/')[2]} {value:.4g}" for name, value in self.metrics.items())
        return (
            f"step {self.index:5d}/{self.num_steps} | loss {self.loss:.4f}{extra} | lr {self.lr:.1e} | "
            f"grad {self.grad_norm:.2f} | tokens/s {self.tokens / max(self.seconds, 1e-9):,.0f} | "
            f"left {left // 3600:02d}:{left // 60 % 60:02d}:{left % 60:02d}"
        )


def make_optimiser(network: Any, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; decay on matrices only."""
    trainable = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=config.lr, betas=(config.beta1, config.beta2), fused=True
    )


def steps(
    network: Any,
    work: Work,
    *,
    optimiser: torch.optim.Optimizer,
    config: OptimConfig,
    seed: int,
    first: int = 1,
) -> Iterator[Step]:
    """Do the steps from `first` on, yielding each when its update is made.

    The sum over all pieces is divided once by the step's count, so the split into pieces changes nothing
    (the mean of means that other loops take weighs short answers more).
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    started = time.perf_counter()
    for index in range(first, work.num_steps + 1):
        # Dropout draws from a state of its own step, so a resumed run draws the same.
        torch.manual_seed(seed * 1_000_003 + index)
        todo = work.prepare(index)
        network.train(work.has_dropout)
        optimiser.zero_grad(set_to_none=True)
        loss, trained, measured = _accumulate(network, work, todo)
        lr = learning_rate(
            index, peak=config.lr, schedule=config.schedule, warmup_steps=config.warmup_steps, num_steps=work.num_steps
        )
        for group in optimiser.param_groups:
            group["lr"] = lr
        norm = _clip(parameters, config.max_grad_norm)
        if todo.count > 0 and not (math.isfinite(loss) and math.isfinite(norm)):
            raise _diverged(index, loss, norm, config.lr)
        if todo.count > 0:  # a step without a trained token changes nothing, and is logged as such
            optimiser.step()
        moment = time.perf_counter()
        yield Step(
            index=index, num_steps=work.num_steps, loss=loss, tokens=sum(b.num_tokens for b in todo.batches),
            trained_tokens=trained, seconds=moment - started, lr=lr, grad_norm=norm,
            metrics={**measured, **todo.metrics},
        )  # fmt: skip
        started = moment  # what the caller does with a step (log, checkpoint) counts towards the next


def _accumulate(network: Any, work: Work, todo: StepWork) -> tuple[float, int, dict[str, float]]:
    """Gradients of the whole step; returns its loss, trained tokens and the means of the measured sums."""
    device = next(network.parameters()).device
    total = 0.0
    trained = 0
    measured: dict[str, float] = {}
    for batch in todo.batches:
        if not len(batch.positions_N):
            continue
        piece = work.loss(on_device(batch, device))
        (piece.total / todo.count).backward()  # type: ignore[no-untyped-call]
        total += float(piece.total.detach())
        trained += len(batch.positions_N)
        for name, value in piece.metrics.items():
            measured[name] = measured.get(name, 0.0) + value / todo.count
    return total / todo.count if todo.count else 0.0, trained, measured


def _diverged(step: int, loss: float, norm: float, lr: float) -> LuthierError:
    return LuthierError(
        "training has diverged",
        [Problem(where=f"step {step}", found=f"loss {loss}, gradient norm {norm}", expected="finite numbers",
                 fix=f"lower optim.lr (now {lr:g}), or raise optim.warmup_steps; the last checkpoint is untouched")],
    )  # fmt: skip


def _clip(parameters: Sequence[Tensor], max_norm: float | None) -> float:
    """Norm of the step's gradient before it is scaled down."""
    limit = max_norm if max_norm is not None else float("inf")
    return float(torch.nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], limit))


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    return replace(
        batch,
        input_ids_BT=batch.input_ids_BT.to(device),
        positions_N=batch.positions_N.to(device),
        target_ids_N=batch.target_ids_N.to(device),
        weights_N=batch.weights_N.to(device),
        row_N=batch.row_N.to(device),
    )
