"""One training run from rows to a saved model: what the recipes call. Resumes by itself from its last checkpoint."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from luthier.errors import ConfigError, DataError, Problem
from luthier.models import parity
from luthier.models.adapters import add_adapter, describe, save_model
from luthier.models.folders import digest
from luthier.models.load import Model
from luthier.models.passes import Pass, has_experts, settle
from luthier.records import Completion, Example, Grade, Preference, write_records
from luthier.runs import write_json
from luthier.train import checkpoints, ranks
from luthier.train.batch import Fit, Row, rows_of, text_rows
from luthier.train.config import TrainConfig
from luthier.train.engine import Work, peak_memory_gib
from luthier.train.freezing import freeze
from luthier.train.loop import Measure, Place, logged_losses, run_steps
from luthier.train.machine import in_training
from luthier.train.mixing import Mixed, mixed
from luthier.train.preference import dpo, pairs_of, reference_logprobs
from luthier.train.rl import GradeAll, grpo
from luthier.train.sft import mean_nll, sft
from luthier.train.sharding import gather, shard


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
    text: Sequence[str] = ()
    """Plain text to mix into sft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a finished run leaves."""

    model: Path
    digest: str
    num_steps: int
    """Steps done; fewer than planned where the run stopped early."""
    best_step: int | None
    """The step whose weights were saved, where the best are kept."""
    first_loss: float
    last_loss: float
    rows: dict[str, int]
    """The account of the rows: kept, cut, dropped."""
    seconds: float
    peak_memory_gib: float


def train(
    model: Model,
    data: TrainingData,
    config: TrainConfig,
    *,
    place: Place,
    grade_all: GradeAll | None = None,
    grade_dev: Callable[[Model], float] | None = None,
) -> Trained:
    """Train and save to `place.folder`/model; after kill -9, the same call goes on from the last checkpoint.

    The resumed run is the uninterrupted one, bit for bit: weights, optimiser, order of the data, every logged value but
    timings. `grade_all` is the reward of grpo; `grade_dev` measures the grader that `keep_best` names.
    """
    started = time.perf_counter()
    ranks.refuse_what_needs_one(config)
    place.folder.mkdir(parents=True, exist_ok=True)
    model = prepared(model, config, place)
    shard(model.network)
    _refuse_unread(model, config)
    max_length = min(config.max_length, model.max_length)
    if max_length < config.max_length:
        place.run.say(f"{place.kind} | max_length {config.max_length} cut to the model's {max_length} positions")
    how = way_through(model.network, config, place, max_length)
    task = _task(model, data, config, place, max_length, how, grade_all)
    place.run.say(f"{place.kind} | rows: " + " | ".join(f"{name} {n:,}" for name, n in task.ledger.items() if n))
    measure = _measure(model, task.dev_rows, config, place, how, grade_dev)
    work = offloading(task.work, config, model.device)
    with in_training(model.network, config):
        ended = run_steps(model.network, work, config, place, measure=measure)
    losses = ranks.from_first(logged_losses(place) if ranks.leads() else (0.0, 0.0))
    device = model.device  # of the steps: gathered weights may lie elsewhere
    gather(model.network)
    saved = _save(model, data, place) if ranks.leads() else place.folder / "model"
    ranks.together()
    trained = Trained(
        model=saved, digest=digest(saved), num_steps=ended.num_steps, best_step=ended.best_step, first_loss=losses[0],
        last_loss=losses[1], rows=task.ledger, seconds=round(time.perf_counter() - started, 2),
        peak_memory_gib=peak_memory_gib(device),
    )  # fmt: skip
    if ranks.leads():
        write_json(place.folder / "trained.json", {
            "method": config.method, "adapter": config.adapter, "digest": trained.digest, "steps": trained.num_steps,
            "best_step": trained.best_step, "loss_first": trained.first_loss, "loss_last": trained.last_loss,
            "rows": task.ledger, "base": model.digest,
            **({"mixture": task.mixed.epochs(ended.num_steps)} if task.mixed else {}),
        })  # fmt: skip
    return trained


def prepared(model: Model, config: TrainConfig, place: Place) -> Model:
    """The model with what the method trains: everything but what is frozen, or a new adapter drawn from the seed."""
    torch.manual_seed(config.seed)
    is_adapter = (model.folder / "adapter_config.json").is_file()
    if is_adapter:
        place.run.say(
            f"{place.kind} | the adapter in {model.folder} trains on, whatever train.adapter, train.lora and "
            "train.freeze say"
        )
    if config.adapter != "none":
        lora = config.lora
        model = add_adapter(
            model, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout, targets=lora.targets,
            rank_stabilised=lora.rank_stabilised, dora=config.adapter == "dora", also_train=lora.also_train,
        )  # fmt: skip
        place.run.say(f"{place.kind} | {describe(model)}")
    elif not is_adapter:
        for parameter in model.network.parameters():
            parameter.requires_grad_(True)
        frozen = freeze(model.network, config.freeze)
        if frozen:
            place.run.say(f"{place.kind} | frozen: {len(frozen)} tensors, such as {frozen[0]}")
    trainable = sum(p.numel() for p in model.network.parameters() if p.requires_grad)
    place.run.say(f"{place.kind} | {config.method} | trains {trainable:,} of {model.num_parameters:,} parameters")
    return model


def _refuse_unread(model: Model, config: TrainConfig) -> None:
    """ConfigError for options that this model on this machine would not read, before any time is spent."""
    problems = []
    if config.offload_activations and model.device.type == "cpu":
        problems.append(Problem(
            where="train.offload_activations", found="a CPU, whose memory is the main memory", expected="a GPU",
            fix="leave the key out, or set train.checkpoint_activations = true",
        ))  # fmt: skip
    if config.autocast and all(p.dtype is torch.bfloat16 for p in model.network.parameters()):
        problems.append(Problem(
            where="train.autocast", found="true for weights in bfloat16, whose products are in bfloat16 already",
            expected="weights in float32", fix='leave the key out, or set model.dtype = "float32"',
        ))  # fmt: skip
    trained = {p.dtype for p in model.network.parameters() if p.requires_grad}
    if config.optim.bf16_updates != "masters" and torch.bfloat16 not in trained:
        problems.append(Problem(
            where="train.optim.bf16_updates", found=f'"{config.optim.bf16_updates}", and no bfloat16 weight trains',
            expected="weights in bfloat16", fix='leave the key out, or set model.dtype = "bfloat16"',
        ))  # fmt: skip
    if problems:
        raise ConfigError("options would be read by nothing", problems)


def way_through(network: Any, config: TrainConfig, place: Place, max_length: int) -> Pass:
    """How the rows pass through this network, proven on it."""
    if config.router_weight is not None and not has_experts(network):
        raise ConfigError(
            "an option would be read by nothing",
            [Problem(where="train.router_weight", found=f"{config.router_weight} for a model without experts",
                     expected="a mixture of experts", fix="leave the key out")],
        )  # fmt: skip
    how, reason = settle(
        network, packing=config.packing, with_router=router_weight(network, config) > 0, autocast=config.autocast,
        longest=max_length,
    )  # fmt: skip
    how, reason = ranks.from_first((how, reason))  # a gap at the limit must not send processes different ways
    kind = "packed, each sees itself alone (tried on this model)" if how.is_packed else "padded"
    place.run.say(f"{place.kind} | rows {kind}{f': {reason}' if reason else ''}")
    return how


def offloading(work: Work, config: TrainConfig, device: torch.device) -> Work:
    """The work with its activations kept in the main memory until the backward pass needs them."""
    if not config.offload_activations:
        return work

    @contextmanager
    def mode() -> Iterator[None]:
        with torch.autograd.graph.save_on_cpu(pin_memory=device.type == "cuda"), work.mode():
            yield

    return replace(work, mode=mode)


def _measure(
    model: Model, rows: Sequence[Row], config: TrainConfig, place: Place, how: Pass,
    grade_dev: Callable[[Model], float] | None,
) -> Measure | None:  # fmt: skip
    """What is measured during the run; None where nothing can be."""
    if config.keep_best == "loss" and not rows:
        raise ConfigError(
            "the best checkpoint cannot be found",
            [Problem(where="train.keep_best", found='"loss", and no dev rows', expected="dev rows to measure it on",
                     fix="leave keep_best out; `luthier run` sets dev rows apart (curate.dev_share, data.dev_share)")],
        )  # fmt: skip
    if not rows and grade_dev is None:
        if config.eval_every is not None:
            place.run.say(f"{place.kind} | no dev rows: train.eval_every measures nothing")
        return None

    def measure() -> dict[str, float]:
        found = {}
        if rows:
            tokens = config.micro_batch_tokens
            found["train/dev_loss"] = mean_nll(model.network, rows, micro_batch_tokens=tokens, how=how)
        if grade_dev is not None:
            found[f"train/dev_{config.keep_best}"] = grade_dev(model)
        return found

    return measure


class _Task(NamedTuple):
    """The method's work, and what belongs to it."""

    work: Work
    ledger: dict[str, int]
    dev_rows: Sequence[Row] = ()
    mixed: Mixed | None = None


def _task(
    model: Model, data: TrainingData, config: TrainConfig, place: Place, max_length: int, how: Pass,
    grade_all: GradeAll | None,
) -> _Task:  # fmt: skip
    renderer, network = model.renderer, model.network
    if config.method == "dpo":
        pairs = pairs_of(data.preferences, renderer, max_length=max_length, overlong=config.overlong)
        _need(pairs.rows, "preference pairs", place)
        reference = _reference(model, pairs.rows, config, place, how)
        return _Task(dpo(network, pairs.rows, reference, config, how=how), pairs.ledger)
    if config.method == "grpo":
        _need(data.examples, "prompts", place)
        assert grade_all is not None
        work = grpo(model, data.examples, grade_all, config, on_rollout=_keep_rollouts(place), how=how)
        return _Task(work, {"prompts": len(data.examples)})

    def read(texts: Sequence[str]) -> Fit:
        return text_rows(texts, renderer.encode, eos_id=int(model.tokenizer.eos_token_id), bos_ids=model.bos_ids,
                         max_length=max_length)  # fmt: skip

    if config.method == "pretrain":
        rows, dev = read(data.documents), read(data.dev_documents)
    else:
        rows, dev = (
            rows_of(examples, renderer, max_length=max_length, overlong=config.overlong)
            for examples in (data.examples, data.dev)
        )
    _need(rows.rows, "rows", place)
    text = read(data.text) if data.text else None
    if text:
        _need(text.rows, "pieces of text", place)
    order = mixed(data.examples, rows.rows, config)
    for line in order.lines() if order else ():
        place.run.say(f"{place.kind} | {line}")
    work = sft(
        network, rows.rows, config, how=how, text=text.rows if text else (),
        router_weight=router_weight(network, config), plan=order.plan if order else None,
    )  # fmt: skip
    ledger = rows.ledger | ({"pieces of text": text.ledger["kept"]} if text else {})
    return _Task(work, ledger, dev.rows, order)


def router_weight(network: Any, config: TrainConfig) -> float:
    """Weight of the loss that spreads tokens over experts: the recipe's, else the model's own; 0 without experts."""
    if not has_experts(network) or config.method not in ("sft", "pretrain"):
        return 0.0
    if config.router_weight is not None:
        return config.router_weight
    text_config = network.config.get_text_config() if hasattr(network.config, "get_text_config") else network.config
    return float(getattr(text_config, "router_aux_loss_coef", None) or 0.0)


def _need(rows: Sequence[object], what: str, place: Place) -> None:
    if not rows:
        raise DataError(
            "there is nothing to train on",
            [Problem(where=f"{place.kind}: {place.folder}", found=f"no {what} with a trained token",
                     expected="at least one", fix="check data.files, and max_length against the rows' lengths")],
        )  # fmt: skip


def _reference(model: Model, rows: Sequence[Row], config: TrainConfig, place: Place, how: Pass) -> torch.Tensor:
    """Reference log-probabilities, computed once before the first step and kept for a resumed run."""
    path = place.folder / "checkpoints" / f"reference-{place.key[:16]}.safetensors"
    if not path.is_file():
        values = reference_logprobs(model.network, rows, micro_batch_tokens=config.micro_batch_tokens, how=how)
        checkpoints.write_tensors(path, {"logprobs": values})
    return load_file(path)["logprobs"]


def _keep_rollouts(place: Place):  # type: ignore[no-untyped-def]
    def keep(step: int, completions: Sequence[Completion], grades: Sequence[Grade]) -> None:
        write_records(place.folder / "rollouts" / f"completions-{step:06d}.jsonl", completions)
        write_records(place.folder / "rollouts" / f"grades-{step:06d}.jsonl", grades)

    return keep


def _save(model: Model, data: TrainingData, place: Place) -> Path:
    """The model folder, whole or not at all."""
    target = place.folder / "model"
    temporary = place.folder / "model.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    model.network.eval()
    with checkpoints.room_for(target):
        save_model(model, temporary)
    prompts = [*data.examples, *(Example.of(p.prompt) for p in data.preferences)]
    parity.write(temporary, model.renderer, prompts)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    return target


def discard_checkpoints(place: Place) -> None:
    """Remove what only a resumed run would need; called once the stage is recorded as finished."""
    shutil.rmtree(place.folder / "checkpoints", ignore_errors=True)
