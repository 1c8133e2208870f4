"""One training run from rows to a saved model: what the recipes call. Resumes by itself from its last checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from luthier.errors import DataError, Problem
from luthier.models import parity
from luthier.models.adapters import add_lora, save_model
from luthier.models.folders import digest
from luthier.models.load import Model
from luthier.records import Completion, Example, Grade, Preference, write_records
from luthier.runs import Run, write_json
from luthier.train import checkpoints
from luthier.train.batch import Row, rows_of, text_rows
from luthier.train.config import TrainConfig
from luthier.train.engine import Work, make_optimiser, steps
from luthier.train.preference import dpo, pairs_of, reference_logprobs
from luthier.train.rl import GradeAll, grpo
from luthier.train.sft import mean_nll, sft

CHECKPOINTS_A_RUN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a run learns from; each method reads its own part."""

    examples: Sequence[Example] = ()
    """For sft (whole conversations) and grpo (prompts with what their grader needs)."""
    dev: Sequence[Example] = ()
    """Rows whose loss is measured during the run; never trained on."""
    preferences: Sequence[Preference] = ()
    """For dpo."""
    documents: Sequence[str] = ()
    """For pretrain."""
    dev_documents: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a finished run leaves."""

    model: Path
    digest: str
    num_steps: int
    first_loss: float
    last_loss: float
    rows: dict[str, int]
    """The account of the rows: kept, cut, dropped."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run writes, and under which key its checkpoints may be taken up again."""

    run: Run
    folder: Path
    key: str
    kind: str = "train"
    """The kind of its events in metrics.jsonl."""


def train(
    model: Model, data: TrainingData, config: TrainConfig, *, place: Place, grade_all: GradeAll | None = None
) -> Trained:
    """Train and save to `place.folder`/model; after kill -9, the same call goes on from the last checkpoint.

    The resumed run is the uninterrupted one, bit for bit: weights, optimiser, order of the data, every logged value but
    timings. `grade_all` is the reward of grpo.
    """
    started = time.perf_counter()
    place.folder.mkdir(parents=True, exist_ok=True)
    model = _prepared(model, config, place)
    max_length = min(config.max_length, model.max_length)
    if max_length < config.max_length:
        place.run.say(f"{place.kind} | max_length {config.max_length} cut to the model's {max_length} positions")
    work, dev_rows, ledger = _work(model, data, config, place, max_length, grade_all)
    place.run.say(f"{place.kind} | rows: " + " | ".join(f"{name} {n:,}" for name, n in ledger.items() if n))
    losses = _loop(model, work, dev_rows, config, place)
    saved = _save(model, data, place)
    trained = Trained(
        model=saved, digest=digest(saved), num_steps=work.num_steps, first_loss=losses[0],
        last_loss=losses[-1], rows=ledger, seconds=round(time.perf_counter() - started, 2),
    )  # fmt: skip
    write_json(place.folder / "trained.json", {
        "method": config.method, "adapter": config.adapter, "digest": trained.digest, "steps": trained.num_steps,
        "loss_first": trained.first_loss, "loss_last": trained.last_loss, "rows": ledger, "base": model.digest,
    })  # fmt: skip
    return trained


def _prepared(model: Model, config: TrainConfig, place: Place) -> Model:
    """The model with what the method trains: everything, or a new adapter drawn from the seed."""
    torch.manual_seed(config.seed)
    if (model.folder / "adapter_config.json").is_file():
        place.run.say(
            f"{place.kind} | the adapter in {model.folder} trains on, whatever train.adapter and train.lora say"
        )
    if config.adapter == "lora":
        lora = config.lora
        model = add_lora(model, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout, targets=lora.targets)
    elif not (model.folder / "adapter_config.json").is_file():
        for parameter in model.network.parameters():
            parameter.requires_grad_(True)
    trainable = sum(p.numel() for p in model.network.parameters() if p.requires_grad)
    place.run.say(f"{place.kind} | {config.method} | trains {trainable:,} of {model.num_parameters:,} parameters")
    return model


def _work(
    model: Model, data: TrainingData, config: TrainConfig, place: Place, max_length: int, grade_all: GradeAll | None
) -> tuple[Work, Sequence[Row], dict[str, int]]:
    """The method's work, the dev rows, and the account of the rows."""
    renderer = model.renderer
    if config.method == "dpo":
        pairs = pairs_of(data.preferences, renderer, max_length=max_length, overlong=config.overlong)
        _need(pairs.rows, "preference pairs", place)
        return dpo(model.network, pairs.rows, _reference(model, pairs.rows, config, place), config), (), pairs.ledger
    if config.method == "grpo":
        _need(data.examples, "prompts", place)
        assert grade_all is not None
        return (
            grpo(model, data.examples, grade_all, config, on_rollout=_keep_rollouts(place)),
            (),
            {"prompts": len(data.examples)},
        )
    if config.method == "pretrain":
        fits = [
            text_rows(texts, renderer.encode, eos_id=int(model.tokenizer.eos_token_id), bos_ids=model.bos_ids,
                      max_length=max_length)
            for texts in (data.documents, data.dev_documents)
        ]  # fmt: skip
    else:
        fits = [
            rows_of(examples, renderer, max_length=max_length, overlong=config.overlong)
            for examples in (data.examples, data.dev)
        ]
    _need(fits[0].rows, "rows", place)
    return sft(model.network, fits[0].rows, config), fits[1].rows, fits[0].ledger


def _need(rows: Sequence[object], what: str, place: Place) -> None:
    if not rows:
        raise DataError(
            "there is nothing to train on",
            [Problem(where=f"{place.kind}: {place.folder}", found=f"no {what} with a trained token",
                     expected="at least one", fix="check data.files, and max_length against the rows' lengths")],
        )  # fmt: skip


def _reference(model: Model, rows: Sequence[Row], config: TrainConfig, place: Place) -> torch.Tensor:
    """Reference log-probabilities, computed once before the first step and kept for a resumed run."""
    path = place.folder / "checkpoints" / f"reference-{place.key[:16]}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        values = reference_logprobs(model.network, rows, micro_batch_tokens=config.micro_batch_tokens)
        save_file({"logprobs": values}, path.with_suffix(".partial"))
        os.replace(path.with_suffix(".partial"), path)
    return load_file(path)["logprobs"]


def _keep_rollouts(place: Place):  # type: ignore[no-untyped-def]
    def keep(step: int, completions: Sequence[Completion], grades: Sequence[Grade]) -> None:
        write_records(place.folder / "rollouts" / f"completions-{step:06d}.jsonl", completions)
        write_records(place.folder / "rollouts" / f"grades-{step:06d}.jsonl", grades)

    return keep


def _loop(model: Model, work: Work, dev_rows: Sequence[Row], config: TrainConfig, place: Place) -> tuple[float, float]:
    """Do the steps that are left; returns the losses of the first and the last step."""
    network = model.network
    optimiser = make_optimiser(network, config.optim)
    folder = place.folder / "checkpoints"
    found = checkpoints.newest(folder, key=place.key)
    if found is not None:
        checkpoints.restore(found, network=network, optimiser=optimiser)
        place.run.say(f"{place.kind} | continues after step {found.step} of {work.num_steps}")
    else:
        for stale in folder.glob("step-*"):
            shutil.rmtree(stale)
    first = found.step + 1 if found else 1
    place.run.forget_after(first - 1, kind=place.kind)
    place.run.forget_after(first - 1, kind=f"{place.kind}_dev")
    save_every = config.save_every or max(1, work.num_steps // CHECKPOINTS_A_RUN)
    for step in steps(network, work, optimiser=optimiser, config=config.optim, seed=config.seed, first=first):
        place.run.log(step.event(), kind=place.kind, line=step.line())
        is_last = step.index == work.num_steps
        if dev_rows and (is_last or (config.eval_every and step.index % config.eval_every == 0)):
            loss = mean_nll(network, dev_rows, micro_batch_tokens=config.micro_batch_tokens)
            place.run.log({"step": step.index, "train/dev_loss": loss}, kind=f"{place.kind}_dev",
                          line=f"step {step.index:5d} | dev loss {loss:.4f}")  # fmt: skip
        if is_last or step.index % save_every == 0:
            checkpoints.write(folder, step=step.index, network=network, optimiser=optimiser, key=place.key)
    return _logged_losses(place)


def _logged_losses(place: Place) -> tuple[float, float]:
    """First and last loss of this run's steps, as metrics.jsonl holds them (a resumed run logged only its own part)."""
    losses = []
    with (place.run.folder / "metrics.jsonl").open(encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event["kind"] == place.kind:
                losses.append(event["train/loss"])
    return losses[0], losses[-1]


def _save(model: Model, data: TrainingData, place: Place) -> Path:
    """The model folder, whole or not at all."""
    target = place.folder / "model"
    temporary = place.folder / "model.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    model.network.eval()
    save_model(model, temporary)
    prompts = [*data.examples, *(Example.of(p.prompt) for p in data.preferences)]
    parity.write(temporary, model.renderer, prompts)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    return target


def discard_checkpoints(place: Place) -> None:
    """Remove what only a resumed run would need; called once the stage is recorded as finished."""
    shutil.rmtree(place.folder / "checkpoints", ignore_errors=True)
