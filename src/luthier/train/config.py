"""What a training run needs to know. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from luthier.config import Config, known_as
from luthier.tasks.mixture import MixtureConfig

MixedBy = Literal["source", "task", "cluster"]
MIXED_BY: tuple[MixedBy, ...] = get_args(MixedBy)


class ModelConfig(Config):
    """Which model to start from."""

    base: str = Field(json_schema_extra=known_as("model_name_or_path", "model_name", "path", "name"))
    """A model folder, a run folder, or a hub name where there is a network."""
    chat_template: Path | None = None
    """A Jinja file to use in place of the model's own chat template."""
    dtype: Literal["float32", "bfloat16"] = Field("float32", json_schema_extra=known_as("torch_dtype", "precision"))
    """Number format of the weights in memory."""
    new_tokens: tuple[str, ...] = Field((), json_schema_extra=known_as("add_tokens", "new_special_tokens"))
    """Tokens to add to the tokenizer; their embeddings begin at the mean of the old ones and train with the rest."""


class OptimConfig(Config):
    """The optimiser, its learning-rate schedule, and the average of the weights."""

    name: Literal["adamw", "adamw_8bit", "adafactor", "muon"] = Field(
        "adamw", json_schema_extra=known_as("optimizer", "optim")
    )
    """"adamw" (arXiv:1711.05101); the same with its state in 8 bits (arXiv:2110.02861); Adafactor (arXiv:1804.04235),
    whose state is about a thousandth; Muon (arXiv:2502.16982) for the matrices inside the layers with AdamW for the
    rest, at the same `lr`, whose state for a matrix is half."""
    lr: float = Field(2e-4, gt=0, json_schema_extra=known_as("learning_rate"))
    """Highest learning rate, reached after warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", json_schema_extra=known_as("lr_scheduler_type"))
    """How the rate falls after warm-up: to a tenth of `lr` along a half cosine, to zero along a line, or not."""
    warmup_steps: int = Field(0, ge=0, json_schema_extra=known_as("num_warmup_steps"))
    """Steps over which the rate rises from zero."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay; matrices only, never norms or biases."""
    beta1: float = Field(0.9, ge=0, lt=1, json_schema_extra=known_as("adam_beta1"))
    """Decay of the running mean of the gradient (not "adafactor", nor the matrices of "muon": 0.95)."""
    beta2: float = Field(0.999, ge=0, lt=1, json_schema_extra=known_as("adam_beta2"))
    """Decay of the running mean of the squared gradient (not "adafactor", nor the matrices of "muon")."""
    max_grad_norm: float | None = Field(1.0, gt=0, json_schema_extra=known_as("grad_clip", "clip_grad_norm"))
    """The gradient of a whole step is scaled down to this norm; "none" never clips."""
    bf16_updates: Literal["masters", "stochastic"] = "masters"
    """How bfloat16 weights keep updates smaller than their last digit: a float32 copy beside them ("masters"), or
    rounding up or down at random so that the mean is exact ("stochastic", arXiv:2010.06192), which needs no memory."""
    ema_decay: float | None = Field(None, gt=0, lt=1, json_schema_extra=known_as("ema", "weight_averaging"))
    """The saved weights are an exponential moving average of those of all steps, with this decay a step."""


class LoraSettings(Config):
    """Low-rank adapters (arXiv:2106.09685); read when `adapter` is not "none"."""

    rank: int = Field(16, ge=1, json_schema_extra=known_as("r", "lora_rank", "lora_r"))
    """Rank of each adapter."""
    alpha: float = Field(32.0, gt=0, json_schema_extra=known_as("lora_alpha"))
    """The adapter's output is scaled by alpha / rank."""
    rank_stabilised: bool = Field(False, json_schema_extra=known_as("use_rslora", "rslora"))
    """Scale by alpha / sqrt(rank) instead (arXiv:2312.03732), so that a high rank does not learn more slowly."""
    dropout: float = Field(0.0, ge=0, lt=1, json_schema_extra=known_as("lora_dropout"))
    """Dropout on the adapter's input (sft, pretrain; dpo and grpo compare log-probabilities and drop nothing)."""
    targets: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", json_schema_extra=known_as("target_modules", "lora_target")
    )
    """Modules that get an adapter: "all-linear" (all but the output head), or names."""
    also_train: tuple[Literal["embeddings", "head"], ...] = Field((), json_schema_extra=known_as("modules_to_save"))
    """Layers that train whole beside the adapter."""


class DpoSettings(Config):
    """Direct preference optimisation (arXiv:2305.18290); read when `method = "dpo"`."""

    beta: float = Field(0.1, gt=0)
    """Strength with which the model is held to where it started."""


class GrpoSettings(Config):
    """Group-relative policy optimisation (arXiv:2402.03300); read when `method = "grpo"`."""

    grader: str = Field("auto", json_schema_extra=known_as("reward", "reward_fn", "reward_funcs"))
    """The reward: a grader's name, "file.py:function", or "auto" for the grader that each example names."""
    group_size: int = Field(8, ge=2, json_schema_extra=known_as("num_generations", "group"))
    """Completions drawn for each prompt; their mean reward is the baseline."""
    max_new_tokens: int = Field(32, ge=1, json_schema_extra=known_as("max_completion_length"))
    """Longest completion drawn."""
    temperature: float = Field(1.0, gt=0)
    """Temperature of the draws; the loss uses log-probabilities of the same distribution."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of the draws; the loss renormalises over the same nucleus."""
    normalise: Literal["token", "sequence", "constant"] = Field("token", json_schema_extra=known_as("loss_type"))
    """"token": every token of the step weighs the same. "sequence": every completion does, as in the GRPO paper.
    "constant": sum over `max_new_tokens`, as in Dr. GRPO (arXiv:2503.20783)."""


class TextSettings(Config):
    """Plain text mixed into supervised tuning, so that the model keeps what it knew (sft)."""

    files: tuple[Path, ...] = ()
    """Text files: .txt with blank lines between documents, or .jsonl with a "text" in each row."""
    share: float = Field(0.1, gt=0, lt=1)
    """Share of the trained tokens, by weight, that are of this text; it comes on top of `batch_rows` or `batch_tokens`.
    Read when `files` is set."""


class TrainConfig(Config):
    """One training run."""

    method: Literal["sft", "pretrain", "dpo", "grpo"] = "sft"
    """"sft": supervised on conversations. "pretrain": next token on plain text. "dpo": preferences.
    "grpo": reinforcement with a grader as the reward."""
    adapter: Literal["none", "lora", "dora", "qlora"] = Field(
        "none", json_schema_extra=known_as("peft", "finetuning_type")
    )
    """"none" trains every weight. "lora": low-rank adapters. "dora": with the weights' magnitude apart
    (arXiv:2402.09353). "qlora": adapters on a base held in 4 bits (arXiv:2305.14314), where a kernel for it exists."""
    freeze: tuple[str, ...] = Field((), json_schema_extra=known_as("freeze_layers"))
    """What does not train, with adapter = "none": "embeddings", "head", "layers.0-5", or patterns of parameter names
    such as "*.norm.*". Each must match something."""
    neftune_alpha: float | None = Field(None, gt=0, json_schema_extra=known_as("neftune_noise_alpha"))
    """Noise on the embeddings while training (arXiv:2310.05914), uniform in +-alpha / sqrt(tokens * width) (sft)."""
    max_steps: int | None = Field(None, ge=1, json_schema_extra=known_as("num_steps", "steps"))
    """Optimiser steps. Give this or `epochs`; without either, one epoch."""
    epochs: float | None = Field(None, gt=0, json_schema_extra=known_as("num_train_epochs", "num_epochs"))
    """Passes over the data."""
    batch_rows: int = Field(16, ge=1, json_schema_extra=known_as("batch_size", "per_device_train_batch_size"))
    """Rows (pairs for dpo, prompts for grpo) that one optimiser step consumes. Read when `batch_tokens` is not set."""
    batch_tokens: int | None = Field(None, ge=1)
    """Unpadded tokens that one optimiser step consumes; takes the place of `batch_rows`."""
    micro_batch_tokens: int = Field(8192, ge=1)
    """Tokens that pass through the network at once. Changes memory and speed, never the result."""
    packing: Literal["auto", "packed", "padded"] = "auto"
    """"packed": rows end to end, each seeing itself alone, its positions counted from 0; an error where the model
    cannot keep them apart. "padded": a line each. "auto": packed where that is proven for this model. Changes memory
    and speed, never the result."""
    autocast: bool = Field(False, json_schema_extra=known_as("bf16", "mixed_precision"))
    """Matrix products in bfloat16, weights and updates in float32."""
    checkpoint_activations: bool = Field(False, json_schema_extra=known_as("gradient_checkpointing"))
    """Compute each layer again in the backward pass in place of keeping it: less memory, about a third more time."""
    offload_activations: bool = Field(False, json_schema_extra=known_as("activation_offloading"))
    """Keep activations in the main memory until the backward pass needs them (GPU only)."""
    compile: bool = Field(False, json_schema_extra=known_as("torch_compile"))
    """Compile each layer with torch.compile: a minute at the start, faster steps."""
    processes: int | None = Field(None, ge=1, json_schema_extra=known_as("num_processes", "num_gpus", "nproc_per_node"))
    """Processes on this machine that share the weights and the rows of each step; without it, one for each GPU, or one
    on a CPU. Changes memory and speed, never the result. Under torchrun its number of processes counts instead."""
    max_length: int = Field(1024, ge=2, json_schema_extra=known_as("max_seq_length", "cutoff_len", "max_seq_len"))
    """Longest row in tokens; cut to the model's positions with a notice."""
    overlong: Literal["cut_prompt", "cut_answer", "drop"] = Field(
        "cut_prompt", json_schema_extra=known_as("truncation")
    )
    """Longer rows lose the beginning of the prompt and keep the answer, lose the end of the answer, or are left
    out. Each is counted."""
    optim: OptimConfig = OptimConfig()
    lora: LoraSettings = LoraSettings()
    dpo: DpoSettings = DpoSettings()
    grpo: GrpoSettings = GrpoSettings()
    text: TextSettings = TextSettings()
    mixture: MixtureConfig | None = None
    """How often each file, task or cluster comes, whatever the number of its rows (sft). Without this table every row
    comes once an epoch."""
    mixture_by: MixedBy = Field("source", json_schema_extra=known_as("mix_by"))
    """What `mixture` is over: the files that rows came from, their tasks, or their clusters."""
    save_every: int | None = Field(None, ge=1, json_schema_extra=known_as("save_steps"))
    """Steps between checkpoints; without it, about ten a run."""
    keep_checkpoints: int = Field(2, ge=1, json_schema_extra=known_as("save_total_limit"))
    """Checkpoints kept while the run goes on, the newest ones."""
    eval_every: int | None = Field(None, ge=1, json_schema_extra=known_as("eval_steps"))
    """Steps between measurements on the dev rows: the loss (sft, pretrain), and the grader in `keep_best` (sft, grpo);
    without it, only at the end."""
    keep_best: str | None = Field(None, json_schema_extra=known_as("metric_for_best_model", "load_best_model_at_end"))
    """Save the weights of the best measurement instead of the last step's: "loss" (of the dev rows; sft, pretrain), or
    the name of a grader, whose mean over answers to the dev prompts is then measured too (sft, grpo). Needs
    `eval_every` and dev rows."""
    stop_after: int | None = Field(None, ge=1, json_schema_extra=known_as("early_stopping_patience", "patience"))
    """Stop after this many measurements in a row without a new best. Needs `keep_best`."""
    router_weight: float | None = Field(None, ge=0, json_schema_extra=known_as("router_aux_loss_coef"))
    """Mixture of experts: weight of the loss that spreads tokens over the experts (sft, pretrain); without it, the
    model's own."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Order of the data, dropout, and draws."""

    @model_validator(mode="after")
    def _is_read(self) -> TrainConfig:
        faults = [*_of_other_methods(self), *_of_other_choices(self), *_of_measurements(self)]
        if faults:
            raise ValueError("\n".join(faults))
        return self


class RunConfig(Config):
    """Where a run keeps what it makes."""

    dir: Path = Field(json_schema_extra=known_as("output_dir", "out"))
    """The run folder."""
    track: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = Field(
        (), json_schema_extra=known_as("report_to", "logger")
    )
    """Services that get copies of the numbers; each needs `.venv/bin/pip install -e ".[track]"`."""


READ_BY: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "batch_tokens": (("sft", "pretrain", "dpo"), {"grpo": "set batch_rows"}),
    "max_length": (("sft", "pretrain", "dpo"), {"grpo": "set grpo.max_new_tokens"}),
    "overlong": (("sft", "dpo"), {"grpo": "set grpo.max_new_tokens"}),
    "neftune_alpha": (("sft",), {}),
    "text.files": (("sft",), {"pretrain": "name the files in data.files"}),
    "mixture": (("sft",), {}),
    "router_weight": (("sft", "pretrain"), {}),
    # Answers are drawn in the weights' own format: a loss in another would not be that of what was drawn.
    "autocast": (("sft", "pretrain", "dpo"), {}),
    "lora.dropout": (("sft", "pretrain"), {}),
    "dpo.beta": (("dpo",), {}),
    **{f"grpo.{name}": (("grpo",), {}) for name in GrpoSettings.model_fields},
}
"""Keys that not every method reads: which do, and what to set instead with another (without it: leave the key out)."""

LENGTHS = ("max_length", "overlong")
WHY = {
    "grpo": "whose answers have no length yet",
    "pretrain": "which cuts long documents into pieces",
}


def _of_other_methods(config: TrainConfig) -> Iterator[str]:
    """What is said against keys that another method reads."""
    for key, (methods, instead) in READ_BY.items():
        if config.method not in methods and _differs(config, key):
            why = f", {WHY[config.method]}" if key in LENGTHS and config.method in WHY else ""
            yield f"{key} is not read by {config.method}{why}; {instead.get(config.method, 'leave it out')}"


def _of_other_choices(config: TrainConfig) -> Iterator[str]:
    """What is said against keys that go with another value of `adapter`, `optim.name` or `text.files`."""
    if config.adapter == "none":
        for key in _given("lora", config.lora):
            yield f'{key} is not read with adapter = "none"; set adapter = "lora", or leave it out'
    elif config.freeze:
        yield f'freeze is not read with adapter = "{config.adapter}", which freezes the base in any case; leave it out'
    if config.optim.name == "adafactor":
        for key in ("optim.beta1", "optim.beta2"):
            if _differs(config, key):
                yield f'{key} is not read by optim.name = "adafactor"; leave it out'
    if not config.text.files and _differs(config, "text.share"):
        yield "text.share is not read without text.files; set it, or leave the share out"
    if config.mixture is None and _differs(config, "mixture_by"):
        yield "mixture_by is not read without the table mixture; write it, or leave mixture_by out"


def _of_measurements(config: TrainConfig) -> Iterator[str]:
    """What is said against measurements that the method does not make, or that nothing acts on."""
    method, best = config.method, config.keep_best
    if best is not None:
        if method == "dpo":
            yield "keep_best is not read by dpo, which measures nothing; leave it out"
        elif best == "loss" and method == "grpo":
            yield 'keep_best = "loss" is not read by grpo, which has no loss of dev rows; name a grader'
        elif best != "loss" and method == "pretrain":
            yield 'keep_best with a grader is not read by pretrain, which answers no prompts; set keep_best = "loss"'
        elif config.eval_every is None:
            yield "keep_best needs measurements during the run; set eval_every"
    if config.eval_every is not None and method == "dpo":
        yield "eval_every is not read by dpo, which measures nothing; leave it out"
    if config.eval_every is not None and method == "grpo" and best is None:
        yield "eval_every is not read by grpo without keep_best; set keep_best to a grader, or leave eval_every out"
    if config.stop_after is not None and best is None:
        yield 'stop_after needs keep_best, which says what is better; set keep_best = "loss" or a grader'


def _given(table: str, settings: Config) -> list[str]:
    """Keys of the table that differ from their default."""
    fields = type(settings).model_fields
    return [f"{table}.{name}" for name, spec in fields.items() if getattr(settings, name) != spec.default]


def _differs(config: TrainConfig, key: str) -> bool:
    """Whether the dotted key differs from its default; one that is only spelt out does no harm."""
    table, _, name = key.rpartition(".")
    settings: Config = getattr(config, table) if table else config
    return bool(getattr(settings, name) != type(settings).model_fields[name].default)
