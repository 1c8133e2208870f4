"""Some steps of a training run, done and timed, so that the whole can be foretold. Run it in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch

from luthier.errors import LuthierError, Problem
from luthier.models.load import Model
from luthier.train import checkpoints
from luthier.train.averaging import Average
from luthier.train.batch import Batch
from luthier.train.config import TrainConfig
from luthier.train.engine import PieceLoss, Step, StepWork, Work, peak_memory_gib, steps
from luthier.train.fit import (
    GIB,
    NOTHING,
    SPARE,
    Load,
    Prediction,
    Timed,
    fit_costs,
    memory_at,
    num_checkpoints,
    num_measurements,
    seconds_for,
)
from luthier.train.loop import CHECKPOINTS_A_RUN, Place
from luthier.train.machine import in_training
from luthier.train.optimisers import make_optimiser, state_tensors
from luthier.train.planned import Planned, Units, planned, shrunk
from luthier.train.ranks import number_of
from luthier.train.training import TrainingData, offloading, prepared, way_through

NO_CHANGE = 1e-12
"""Learning rate of the probe: its steps cost what real ones do and move nothing."""
SHARES = (1 / 16, 1 / 4, 1.0)
"""Shares of the largest micro-batch, tried in this order, so that what does not fit is known before it is tried."""
QUANTILES = (0.5, 0.1, 0.9, 0.3, 0.7)
"""Typical steps of the run, by their size."""
STATE_BYTES = {"adamw": 8, "muon": 4, "adamw_8bit": 2, "adafactor": 0}
"""Bytes of the optimiser's state for each parameter that trains, about."""
MOST_ROUNDS = 12
"""Times that each typical step is done at most."""
MOST_WRITTEN = 256 << 20
"""Bytes of a checkpoint that are written to time the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the probe may use."""

    seconds: float = 7.0
    """For its steps; loading and reading come on top."""
    memory_gib: float = float("inf")
    """What may be filled of the main memory; a device with a memory of its own is filled by that. Nothing is tried that
    would need more."""


class DevGrade(NamedTuple):
    """The grade of answers to dev prompts that `keep_best` asks for, over some of the prompts."""

    measure: Callable[[Model], float]
    times: float
    """All prompts over those."""


def probe(
    model: Model,
    runs: Sequence[TrainingData],
    config: TrainConfig,
    *,
    place: Place,
    budget: Budget,
    loaded_in: float = 0.0,
    grade_all: Any = None,
    grade_dev: DevGrade | None = None,
) -> list[Prediction]:
    """What training the model on each of `runs` will need; the steps of the first are timed.

    `loaded_in`: seconds that loading took. `grade_all`: as `train` takes it.
    """
    started = time.perf_counter()
    model = prepared(model, config, place)
    how = way_through(model.network, config, place, min(config.max_length, model.max_length))
    ready = loaded_in + time.perf_counter() - started
    plans = [planned(model, data, config, how=how, grade_all=grade_all) for data in runs]
    bench = _Bench(model, plans[0], config, budget)
    with in_training(model.network, config):
        largest = max((plan.largest for plan in plans), key=lambda piece: piece.load.positions)
        bench.grow(largest.units)
        bench.sample()
        around = _around(model, plans[0], grade_dev)
        disk = _disk(bench, place)
    costs = fit_costs(bench.equations())
    return [_prediction(plan, config, costs, bench, around, disk, ready=ready) for plan in plans]


class _Bench:
    """The network with its optimiser, and steps made of any units, one at a time."""

    def __init__(self, model: Model, plan: Planned, config: TrainConfig, budget: Budget) -> None:
        self.model, self.plan, self.config, self.budget = model, plan, config, budget
        own = _device_memory_gib(model.device)
        self.room_gib = budget.memory_gib if own is None else SPARE * own
        """Of the memory in which `peak_memory_gib` counts."""
        self.named = [(name, p) for name, p in model.network.named_parameters() if p.requires_grad]
        still = config.optim.model_copy(update={"lr": NO_CHANGE, "schedule": "constant"})
        self.optimiser = make_optimiser(self.named, still)
        self.average = Average.start(self.named, config.optim.ema_decay) if config.optim.ema_decay else None
        self.groups: list[Units] = []
        self.owners: dict[int, Work] = {}
        work = offloading(
            Work(num_steps=1 << 40, prepare=self._prepare, loss=self._loss, has_dropout=plan.has_dropout,
                 mode=lambda: plan.how.mode(model.network)), config, model.device,
        )  # fmt: skip
        self.steps: Iterator[Step] = steps(
            model.network, work, optimiser=self.optimiser, config=still, seed=config.seed,
            after_update=self.average.update if self.average else lambda: None,
        )  # fmt: skip
        self.spent = 0.0
        self.first_seconds: float | None = None
        """Of the step that makes the optimiser's state, and compiles where that is asked for."""
        self.points: list[tuple[float, float]] = []
        self.timed: dict[str, tuple[Load, list[float]]] = {}
        self.tokens: list[tuple[int, float]] = []
        self.notes: list[str] = []

    def _prepare(self, _: int) -> StepWork:
        self.owners = {}
        batches: list[Batch] = []
        count = 0.0
        for units in self.groups:
            work = self.plan.one_step(units)
            todo = work.prepare(1)
            self.owners |= {id(batch.rows): work for batch in todo.batches}
            batches += todo.batches
            count += todo.count
        return StepWork(batches, count)

    def _loss(self, batch: Batch) -> PieceLoss:
        return self.owners[id(batch.rows)].loss(batch)

    def step(self, name: str, groups: Sequence[Units]) -> float:
        """One step over the groups, each passed as the micro-batches of its own; returns its seconds."""
        self.groups = list(groups)
        load = NOTHING._replace(steps=1)
        for units in groups:
            for piece in self.plan.pieces(units):
                load = load.plus(piece.load)
        began = time.perf_counter()
        done = next(self.steps)
        seconds = time.perf_counter() - began
        self.spent += seconds
        if self.first_seconds is None:
            self.first_seconds = seconds
            return seconds
        self.timed.setdefault(name, (load, []))[1].append(seconds)
        self.tokens.append((done.tokens, seconds))
        return seconds

    def grow(self, units: Units) -> None:
        """Up to the largest micro-batch, as far as memory and time allow."""
        plan, device = self.plan, self.model.device
        self._need_room(peak_memory_gib(device))
        full = plan.size(units)
        beside = [shrunk(units, SHARES[0])] if plan.has_many_pieces else []  # gradients are there already
        self.step("first", [shrunk(units, SHARES[0])])
        self.points.append((0.0, peak_memory_gib(device)))
        for share in SHARES:
            some = units if share == 1.0 else shrunk(units, share)
            now = plan.size(some)
            if now <= self.points[-1][0]:
                continue
            expected = memory_at(self.points, now)
            if expected > self.room_gib:
                self.notes.append(f"the largest micro-batch was not tried: it would take {expected:,.1f} GiB")
                break
            if len(self.points) > 1 and self._expected(now) > 0.5 * (self.budget.seconds - self.spent):
                words = f"of the largest micro-batch {self.points[-1][0]:,.0f} of {full:,.0f} {plan.unit} were passed"
                self.notes.append(f"{words}, the rest reckoned: the whole takes {self._expected(full):,.0f} s")
                break
            for _ in range(2 if share == 1.0 else 1):  # with the optimiser's state there
                self.step(f"{share} of the largest", [*beside, some])
            self.points.append((now, peak_memory_gib(device)))

    def _need_room(self, held_gib: float) -> None:
        """LuthierError where gradients and the optimiser's state alone are more than there is."""
        state = STATE_BYTES[self.config.optim.name]
        needed = held_gib + sum(p.numel() * (p.element_size() + state) for _, p in self.named) / GIB
        if needed > self.room_gib:
            raise LuthierError(
                "the training does not fit into memory",
                [Problem(where="train", found=f"{needed:,.1f} GiB for weights, gradients and optimiser alone",
                         expected=f"at most {self.room_gib:,.1f} GiB",
                         fix='set train.adapter = "lora", train.optim.name = "adafactor" or model.dtype = "bfloat16"')],
            )  # fmt: skip

    def sample(self) -> None:
        """Typical steps of the run, each as much of it as there is room and time for, until the time is used."""
        ordered = sorted(self.plan.sampled, key=lambda units: sum(map(self.plan.unit_size, units)))
        typical = [ordered[int(q * (len(ordered) - 1))] for q in QUANTILES[: len(ordered)]]
        smallest = min(typical[0], key=self.plan.unit_size)
        left = (self.budget.seconds - self.spent) / (2 * len(typical))
        wanted = [("smallest", self._within([[smallest]]))]
        for n, units in enumerate(typical):
            groups: list[Units] = self._within([piece.units for piece in self.plan.pieces(units)])
            fits = max(1, sum(1 for n in range(len(groups)) if self._expected_of(groups[: n + 1]) <= left))
            if fits < len(groups):
                self.notes.append(f"a step is some {len(groups)} micro-batches, not all of which were timed")
            wanted.append((f"typical {n}", groups[:fits]))
        rounds = 0
        while rounds < 1 or (self.spent < self.budget.seconds and rounds < MOST_ROUNDS):
            for name, groups in wanted:
                if rounds == 0 or self.spent < self.budget.seconds:
                    self.step(name, groups)
            rounds += 1

    def _within(self, groups: Sequence[Units]) -> list[Units]:
        """The groups, each cut to the largest size that was tried."""
        most = self.points[-1][0]
        return [shrunk(units, most / max(self.plan.size(units), 1)) for units in groups]

    def equations(self) -> list[Timed]:
        """Each kind of step with the median of its times."""
        return [Timed(load, median(seconds)) for load, seconds in self.timed.values()]

    def _expected(self, size: float) -> float:
        """Seconds of a micro-batch of this size, by what the last ones took; 0 where not even the smallest had room."""
        if not self.timed:
            return 0.0
        load, seconds = list(self.timed.values())[-1]
        return seconds[-1] * size / max(load.positions, 1)

    def _expected_of(self, groups: Sequence[Units]) -> float:
        return self._expected(sum(self.plan.size(units) for units in groups))


@dataclass(frozen=True, slots=True)
class _Around:
    """Seconds of what happens beside the steps."""

    dev: float
    """One measurement of the dev rows."""
    reference: float
    """The reference log-probabilities of one position."""


def _around(model: Model, plan: Planned, grade_dev: DevGrade | None) -> _Around:
    def timed(act: Callable[[], object]) -> float:
        began = time.perf_counter()
        act()
        return time.perf_counter() - began

    dev = reference = 0.0
    if plan.dev_rows:
        some = shrunk(plan.dev_rows, min(1.0, 2 * plan.largest.load.positions / plan.size(plan.dev_rows)))
        share = plan.size(plan.dev_rows) / plan.size(some)
        dev += timed(lambda: plan.mean_nll(some)) * share
    if grade_dev is not None:
        dev += timed(lambda: grade_dev.measure(model)) * grade_dev.times
    if plan.reference is not None:
        piece = plan.sampled[0]
        reference = timed(lambda: plan.reference and plan.reference(piece)) / plan.size(piece)
    return _Around(dev, reference)


@dataclass(frozen=True, slots=True)
class _Disk:
    checkpoint_bytes: int
    weight_bytes: int
    """What trains."""
    model_bytes: int
    seconds_per_byte: float


def _disk(bench: _Bench, place: Place) -> _Disk:
    """The size of a checkpoint and of the model, and how fast they are written where the run will write them."""
    network = bench.model.network
    weights = {name: p.detach() for name, p in bench.named}
    extra = bench.average.tensors() if bench.average else {}
    tensors = {**weights, **state_tensors(bench.optimiser, bench.named), **extra}
    written: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if written and sum(map(_bytes, written.values())) + _bytes(tensor) > MOST_WRITTEN:
            break
        written[name] = tensor
    began = time.perf_counter()
    checkpoints.save(written, place.folder / "written.safetensors")
    seconds = time.perf_counter() - began
    (place.folder / "written.safetensors").unlink()
    is_adapter = type(network).__module__.startswith("peft")
    saved = weights.values() if is_adapter else network.parameters()
    return _Disk(
        sum(map(_bytes, tensors.values())), sum(map(_bytes, weights.values())), sum(map(_bytes, saved)),
        seconds / max(1, sum(map(_bytes, written.values()))),
    )  # fmt: skip


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _prediction(
    plan: Planned, config: TrainConfig, costs: Load, bench: _Bench, around: _Around, disk: _Disk, *, ready: float
) -> Prediction:
    device = bench.model.device
    in_steps = seconds_for(costs, plan.total)
    writes = num_checkpoints(
        plan.num_steps, save_every=config.save_every or max(1, plan.num_steps // CHECKPOINTS_A_RUN)
    )
    measurements = num_measurements(plan.num_steps, eval_every=config.eval_every)
    best = 2 if config.keep_best else 0  # the best, and the one that the last checkpoint refers to
    kept = min(config.keep_checkpoints + 1, writes)  # the newest is whole before the oldest goes
    processes, _ = number_of(config)
    alone = () if processes == 1 else (f"{processes} processes will share the run; one alone was measured",)
    tokens = plan.tokens
    if tokens is None:  # answers are drawn: as many as in the steps that were done
        drawn, seconds = (sum(column) for column in zip(*bench.tokens, strict=True))
        tokens = round(drawn / seconds * in_steps)
    return Prediction(
        num_steps=plan.num_steps,
        tokens=tokens,
        tokens_per_s=tokens / max(in_steps, 1e-9),
        seconds={
            "start": ready + plan.read_in + (bench.first_seconds or 0.0),
            "steps": in_steps,
            "dev": around.dev * measurements,
            "reference": around.reference * plan.total.positions / max(plan.epochs, 1e-9),
            "checkpoints": writes * disk.checkpoint_bytes * disk.seconds_per_byte,
            "model": disk.model_bytes * disk.seconds_per_byte,
        },
        peak_memory_gib=max(memory_at(bench.points, plan.largest.load.positions), peak_memory_gib(device)),
        disk_gib=(kept * disk.checkpoint_bytes + best * disk.weight_bytes + disk.model_bytes) / GIB,
        device_memory_gib=_device_memory_gib(device),
        notes=tuple(dict.fromkeys((*plan.notes, *bench.notes, *alone))),
        num_processes=processes,
    )


def _device_memory_gib(device: torch.device) -> float | None:
    return torch.cuda.get_device_properties(device).total_memory / GIB if device.type == "cuda" else None
