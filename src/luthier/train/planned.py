"""The whole plan of a training run, counted before anything is trained: its steps, its micro-batches, the largest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.errors import DataError, Problem
from luthier.models.load import Model
from luthier.models.passes import Pass
from luthier.records import Completion, Example, Grade
from luthier.train.batch import Batch, Row, micro_batches, mix_text, plan_steps, rows_of, text_rows
from luthier.train.config import TrainConfig
from luthier.train.engine import Work
from luthier.train.fit import NOTHING, Load
from luthier.train.mixing import mixed
from luthier.train.preference import dpo, pairs_of, reference_logprobs
from luthier.train.rl import GradeAll, grpo
from luthier.train.sft import mean_nll, sft
from luthier.train.training import TrainingData, router_weight

MOST_READ = 4000
"""Rows that are rendered; of more, so many drawn at random stand for all."""
MOST_COUNTED = 300
"""Steps whose micro-batches are counted; of more, so many evenly spread stand for all, and the extreme ones."""
MOST_POSITIONS = 4_000_000
"""Tokens of the steps that are counted."""

Unit = Any
"""What a plan deals in: a row as a tuple of one, the two rows of a preference, a prompt for grpo."""
Units = Sequence[Unit]


@dataclass(frozen=True, slots=True)
class Piece:
    """One micro-batch."""

    units: Units
    load: Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a run will pass through the network, and how to pass any part of it."""

    num_steps: int
    total: Load
    tokens: int | None
    """Unpadded tokens of all steps; None where they are drawn on the way."""
    epochs: float
    sampled: Sequence[Units]
    """The steps that were counted."""
    largest: Piece
    has_many_pieces: bool
    """Whether some step has more than one micro-batch."""
    one_step: Callable[[Units], Work]
    """A run of one step over these units."""
    pieces: Callable[[Units], list[Piece]]
    how: Pass
    has_dropout: bool = True
    dev_rows: Units = ()
    mean_nll: Callable[[Units], float] = lambda _: 0.0
    reference: Callable[[Units], object] | None = None
    unit: str = "tokens"
    read_in: float = 0.0
    """Seconds that reading all rows takes."""
    notes: tuple[str, ...] = ()

    def unit_size(self, unit: Unit) -> int:
        """Tokens of a unit; 1 for a prompt."""
        return _size(unit)

    def size(self, units: Units) -> float:
        """Positions of these units in one micro-batch, or in as many as they need."""
        return sum(piece.load.positions for piece in self.pieces(units))


def planned(
    model: Model, data: TrainingData, config: TrainConfig, *, how: Pass, grade_all: GradeAll | None = None
) -> Planned:
    """The plan of training the model on the data."""
    if config.method == "grpo":
        return _of_prompts(model, data, config, how, grade_all)
    began = time.perf_counter()
    read = _Reader(model, config)
    units: list[Unit]
    text: list[Unit] = []
    dev: list[Unit] = []
    if config.method == "dpo":
        units = read.pairs(data.preferences)
    elif config.method == "pretrain":
        units, dev = read.text(data.documents), read.text(data.dev_documents)
    else:
        units, dev = read.examples(data.examples), read.examples(data.dev)
        text = read.text(data.text)
    _need(units)
    seconds = (time.perf_counter() - began) * read.share
    network, together = model.network, len(units[0])

    def rows(chosen: Units) -> list[Row]:
        return [row for unit in chosen for row in unit]

    def pieces(chosen: Units) -> list[Piece]:
        batches = micro_batches(
            rows(chosen), micro_batch_tokens=config.micro_batch_tokens, keep_together=together,
            is_packed=how.is_packed, is_filled=how.is_filled
        )
        return [Piece([chosen[r // together] for r in batch.rows[::together]], _load(batch)) for batch in batches]

    def one_step(chosen: Units) -> Work:
        one = config.model_copy(
            update={"max_steps": 1, "epochs": None, "batch_rows": len(chosen), "batch_tokens": None}
        )
        if config.method == "dpo":
            return dpo(network, rows(chosen), torch.zeros(2 * len(chosen)), one, how=how)
        return sft(network, rows(chosen), one, how=how, router_weight=router_weight(network, config))

    order = mixed(data.examples, [unit[0] for unit in units], config)
    steps = _steps(units, text, config, order.plan if order else None)
    sampled, load, largest = _counted(steps, pieces)
    tokens = sum(map(_size, (unit for step in steps for unit in step)))
    return Planned(
        num_steps=len(steps), total=load._replace(steps=len(steps)), tokens=tokens,
        epochs=sum(map(len, steps)) / len(units), sampled=sampled, largest=largest,
        has_many_pieces=load.batches > len(steps), one_step=one_step, pieces=pieces, how=how,
        has_dropout=config.method != "dpo", dev_rows=dev, read_in=seconds, notes=tuple(read.notes),
        mean_nll=lambda some: mean_nll(network, rows(some), micro_batch_tokens=config.micro_batch_tokens, how=how),
        reference=None if config.method != "dpo" else lambda some: reference_logprobs(
            network, rows(some), micro_batch_tokens=config.micro_batch_tokens, how=how),
    )  # fmt: skip


def shrunk(units: Units, share: float) -> Units:
    """About this share of the units' tokens: whole units while they last, else the end of the first."""
    if share >= 1.0:
        return units
    wanted = share * sum(map(_size, units))
    taken: list[Unit] = []
    tokens = 0
    for unit in sorted(units, key=_size):
        if taken and tokens + _size(unit) > wanted:
            break
        taken.append(unit)
        tokens += _size(unit)
    if tokens <= 1.5 * wanted or isinstance(taken[0], Example):
        return taken
    return [tuple(_ending(row, max(2, round(wanted / len(taken[0])))) for row in taken[0])]


def _ending(row: Row, number: int) -> Row:
    """The last tokens of a row, with something that trains."""
    weights = row.weights[-number:]
    return Row(row.example_id, row.token_ids[-number:], weights if sum(weights[1:]) else (1.0,) * len(weights))


@dataclass(slots=True)
class _Reader:
    """Renders rows; of many, some that stand for all."""

    model: Model
    config: TrainConfig
    notes: list[str] = field(default_factory=list)
    share: float = 1.0
    """All rows over those that were read."""

    def examples(self, examples: Sequence[Example]) -> list[Unit]:
        some = self._some(examples)
        found = rows_of(some, self.model.renderer, max_length=self._longest, overlong=self.config.overlong).rows
        return self._all([(row,) for row in found], of=len(some), number=len(examples))

    def pairs(self, preferences: Sequence[Any]) -> list[Unit]:
        some = self._some(preferences)
        rows = pairs_of(some, self.model.renderer, max_length=self._longest, overlong=self.config.overlong).rows
        pairs = [*zip(rows[0::2], rows[1::2], strict=True)]
        return self._all(pairs, of=len(some), number=len(preferences))

    def text(self, documents: Sequence[str]) -> list[Unit]:
        if not documents:
            return []
        some = self._some(documents)
        found = text_rows(
            some, self.model.renderer.encode, eos_id=int(self.model.tokenizer.eos_token_id),
            bos_ids=self.model.bos_ids, max_length=self._longest,
        ).rows  # fmt: skip
        return self._all([(row,) for row in found], of=len(some), number=len(documents))

    @property
    def _longest(self) -> int:
        return min(self.config.max_length, self.model.max_length)

    def _some(self, rows: Sequence[Any]) -> Sequence[Any]:
        if len(rows) <= MOST_READ:
            return rows
        self.notes.append(f"{MOST_READ:,} of {len(rows):,} rows were read, drawn at random; they stand for all")
        self.share = max(self.share, len(rows) / MOST_READ)
        drawn = np.random.Generator(np.random.PCG64(0)).choice(len(rows), MOST_READ, replace=False)
        return [rows[i] for i in sorted(drawn.tolist())]

    @staticmethod
    def _all(units: list[Unit], *, of: int, number: int) -> list[Unit]:
        """As many as all rows give, those that were read again and again."""
        wanted = len(units) if of == number else round(len(units) * number / of)
        return [units[i % len(units)] for i in range(wanted)] if units else []


def _steps(
    units: Units, text: Units, config: TrainConfig, given: Sequence[NDArray[np.int64]] | None = None
) -> list[Units]:
    """The units of each step, as the method's own plan, or the one of a mixture, takes them."""
    plan = given or plan_steps(
        [_size(unit) for unit in units], batch_rows=config.batch_rows, batch_tokens=config.batch_tokens,
        max_steps=config.max_steps, epochs=config.epochs, seed=config.seed,
    )  # fmt: skip
    texts: list[list[int]] = [[]] * len(plan)
    if text:
        texts = mix_text(
            plan, weights=[unit[0].weight for unit in units], text_weights=[unit[0].weight for unit in text],
            share=config.text.share, seed=config.seed,
        )  # fmt: skip
    return [[*(units[i] for i in own), *(text[i] for i in more)] for own, more in zip(plan, texts, strict=True)]


def _counted(steps: Sequence[Units], pieces: Callable[[Units], list[Piece]]) -> tuple[list[Units], Load, Piece]:
    """Steps evenly spread, the load of all steps, and the largest micro-batch, which is looked for in extreme ones."""
    tokens = [sum(map(_size, step)) for step in steps]
    most = min(MOST_COUNTED, max(8, int(MOST_POSITIONS * len(steps) / max(1, sum(tokens)))))
    spread = [*range(len(steps))] if len(steps) <= most else [i * len(steps) // most for i in range(most)]
    extreme = {
        max(range(len(steps)), key=tokens.__getitem__),
        max(range(len(steps)), key=lambda i: max(map(_size, steps[i]))),
    }
    counted, load, largest = {*spread}, NOTHING, Piece((), NOTHING)
    for index in [*spread, *sorted(extreme - {*spread})]:
        for piece in pieces(steps[index]):
            largest = max(largest, piece, key=lambda p: (p.load.positions, p.load.trained))
            load = load.plus(piece.load) if index in counted else load
    return [steps[i] for i in spread], load.times(sum(tokens) / sum(tokens[i] for i in spread)), largest


def _of_prompts(
    model: Model, data: TrainingData, config: TrainConfig, how: Pass, grade_all: GradeAll | None
) -> Planned:
    """The plan of grpo, which draws what it trains on: a prompt counts as one, whatever its answers come to."""
    prompts = list(data.examples)
    _need(prompts)
    assert grade_all is not None
    grade = grade_all

    def graded(examples: Sequence[Example], completions: Sequence[Completion]) -> list[Grade]:
        return [replace(g, value=float(n % 2), is_error=False) for n, g in enumerate(grade(examples, completions))]

    def one_step(chosen: Units) -> Work:
        one = config.model_copy(update={"max_steps": 1, "epochs": None, "batch_rows": len(chosen)})
        return grpo(model, list(chosen), graded, one, on_rollout=lambda *_: None, how=how)

    steps = _steps(prompts, (), config)
    biggest = max(steps, key=len)
    return Planned(
        num_steps=len(steps), total=Load(sum(map(len, steps)), 0, 0, len(steps)), tokens=None,
        epochs=sum(map(len, steps)) / len(prompts), sampled=steps[:MOST_COUNTED],
        largest=Piece(biggest, Load(len(biggest), 0, 0, 0)), has_many_pieces=False, one_step=one_step,
        pieces=lambda chosen: [Piece(chosen, Load(len(chosen), 0, 0, 0))], how=how, has_dropout=False, unit="prompts",
        notes=("every group is counted as one that teaches: an upper bound",),
    )  # fmt: skip


def _load(batch: Batch) -> Load:
    return Load(batch.input_ids_BT.numel(), len(batch.positions_N), 1, 0)


def _size(unit: Unit) -> int:
    return 1 if isinstance(unit, Example) else sum(len(row.token_ids) for row in unit)


def _need(units: Units) -> None:
    if not units:
        raise DataError(
            "there is nothing to train on",
            [Problem(where="train", found="no row with a trained token", expected="at least one",
                     fix="check data.files, and max_length against the rows' lengths")],
        )  # fmt: skip
