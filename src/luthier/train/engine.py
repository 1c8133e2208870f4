"""The loop, as a generator of steps. Every method is a `Work` for it: what a step consumes, and the loss of a piece."""

from __future__ import annotations

import math
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from luthier.errors import LuthierError, Problem
from luthier.train import ranks
from luthier.train.batch import Batch
from luthier.train.config import OptimConfig
from luthier.train.losses import learning_rate
from luthier.train.optimisers import Widened, changed_share
from luthier.train.sharding import held


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
    extra: Tensor | None = None
    """A further sum that trains (the load of experts, say) and is not part of the logged loss."""


@dataclass(frozen=True, slots=True)
class Work:
    """A training method as the loop sees it."""

    num_steps: int
    prepare: Callable[[int], StepWork]
    """The work of step `step` (from 1), a function of the step and the weights alone."""
    loss: Callable[[Batch], PieceLoss]
    has_dropout: bool = True
    """False where the loss compares log-probabilities with those measured without dropout."""
    mode: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Around each forward and backward pass."""


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
            "num_steps": self.num_steps,
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


def steps(
    network: Any,
    work: Work,
    *,
    optimiser: torch.optim.Optimizer,
    config: OptimConfig,
    seed: int,
    first: int = 1,
    after_update: Callable[[], None] = lambda: None,
) -> Iterator[Step]:
    """Do the steps from `first` on, yielding each when its update is made; `after_update` is called right after it.

    The sum over all pieces is divided once by the step's count, so the split into pieces changes nothing
    (the mean of means that other loops take weighs short answers more), nor does the number of processes: each passes
    the batches that `work` prepares for it, and what a step says of itself is over all of them.
    """
    mine = held(network)
    started = time.perf_counter()
    for index in range(first, work.num_steps + 1):
        # Dropout draws from a state of its own step, so a resumed run draws the same.
        torch.manual_seed(ranks.seed_of(seed, index))
        todo = work.prepare(index)
        network.train(work.has_dropout)
        optimiser.zero_grad(set_to_none=True)
        mine.forget_gradients()
        done = _accumulate(network, work, todo)
        mine.take_gradients()
        lr = learning_rate(
            index, peak=config.lr, schedule=config.schedule, warmup_steps=config.warmup_steps, num_steps=work.num_steps
        )
        for group in optimiser.param_groups:
            group["lr"] = lr
        norm = _clip(mine.parameters, config.max_grad_norm)
        if todo.count > 0 and not (math.isfinite(done.loss) and math.isfinite(norm)):
            raise _diverged(index, done.loss, norm, config.lr)
        if todo.count > 0:  # a step without a trained token changes nothing, and is logged as such
            optimiser.step()
            after_update()
        share = _changed_share(optimiser)
        moment = time.perf_counter()
        yield Step(
            index=index, num_steps=work.num_steps, loss=done.loss, tokens=done.tokens,
            trained_tokens=done.trained_tokens, seconds=moment - started, lr=lr, grad_norm=norm,
            metrics={**done.metrics, **todo.metrics, **({} if share is None else {"train/changed_share": share})},
        )  # fmt: skip
        started = moment  # what the caller does with a step (log, checkpoint) counts towards the next


class _Done(NamedTuple):
    """What the passes of a step came to, over all processes."""

    loss: float
    tokens: int
    trained_tokens: int
    metrics: dict[str, float]


def _accumulate(network: Any, work: Work, todo: StepWork) -> _Done:
    """Leave the gradients of the whole step; returns its loss, what it consumed and the means of the measured sums."""
    device = next(network.parameters()).device
    totals: list[Tensor] = []
    measured: dict[str, float] = {}
    for batch in todo.batches if todo.count else ():
        counts = _counts(batch)
        if not counts and ranks.share().number == 1:
            continue
        with work.mode():
            piece = work.loss(on_device(batch if counts else _with_a_target(batch), device))
            whole = piece.total if piece.extra is None else piece.total + piece.extra
            # Processes pass in step, so what counts for nothing is passed too, for a gradient of zeros.
            (whole / todo.count if counts else whole * 0.0).backward()  # type: ignore[no-untyped-call]
        totals += [piece.total.detach()] * counts  # read at the end: reading waits for the device
        for name, value in piece.metrics.items():
            measured[name] = measured.get(name, 0.0) + (value / todo.count if counts else 0.0)
    own = [b for b in todo.batches if not b.is_idle]
    total, tokens, trained, computed, silent, *means = ranks.total([
        sum(float(t) for t in totals), sum(b.num_tokens for b in own), sum(len(b.positions_N) for b in own),
        sum(b.input_ids_BT.numel() for b in todo.batches), sum(not len(b.positions_N) for b in own), *measured.values(),
    ])  # fmt: skip
    return _Done(
        loss=total / todo.count if todo.count else 0.0, tokens=int(tokens), trained_tokens=int(trained),
        metrics={**dict(zip(measured, means, strict=True)), **_use(tokens, computed, silent)},
    )  # fmt: skip


def _counts(batch: Batch) -> bool:
    return not batch.is_idle and len(batch.positions_N) > 0


def _with_a_target(batch: Batch) -> Batch:
    """The batch with a position to train on, of no weight, where it has none: each tensor then has its gradient."""
    if len(batch.positions_N):
        return batch
    place = torch.zeros(1, dtype=torch.int64)
    return replace(batch, positions_N=place, target_ids_N=place, weights_N=torch.zeros(1), row_N=place)


def _use(tokens: float, computed: float, silent: float) -> dict[str, float]:
    """How well the passes were used: real tokens over computed positions, and batches without a target."""
    use = {"train/utilisation": round(tokens / computed, 4)} if computed else {}
    return use | ({"train/skipped_batches": silent} if silent else {})


def _changed_share(optimiser: torch.optim.Optimizer) -> float | None:
    """Share of the bfloat16 tensors in which the step changed a number, in whichever process."""
    if isinstance(optimiser, Widened) and ranks.share().number > 1:
        optimiser.changed = [torch.tensor(n > 0) for n in ranks.total([float(c) for c in optimiser.changed])]
    return changed_share(optimiser)


def _diverged(step: int, loss: float, norm: float, lr: float) -> LuthierError:
    return LuthierError(
        "training has diverged",
        [Problem(where=f"step {step}", found=f"loss {loss}, gradient norm {norm}", expected="finite numbers",
                 fix=f"lower optim.lr (now {lr:g}), or raise optim.warmup_steps; the last checkpoint is untouched")],
    )  # fmt: skip


def _clip(parameters: Sequence[Tensor], max_norm: float | None) -> float:
    """Norm of the step's gradient before it is scaled down, over all processes."""
    live = [p for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in live if p.grad is not None])
    if ranks.share().number > 1:  # each has its rows of every gradient
        norm = norm.new_tensor(math.sqrt(ranks.total([float(norm) * float(norm)])[0]))
    torch.nn.utils.clip_grads_with_norm_(live, max_norm if max_norm is not None else float("inf"), norm)
    return float(norm)


def peak_memory_gib(device: torch.device) -> float:
    """The most memory that this process has held: of the device where it counts itself, else resident.

    The counter of getrusage begins with what the parent held, so Linux's own is taken where it is.
    """
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**30
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii")) if status.is_file() else None
    if found is not None:
        return int(found[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


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
        packed=None if batch.packed is None else batch.packed.to(device),
    )
