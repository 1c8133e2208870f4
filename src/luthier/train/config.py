"""What a training run needs to know. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from luthier.config import Config, known_as


class ModelConfig(Config):
    """Which model to start from."""

    base: str = Field(json_schema_extra=known_as("model_name_or_path", "model_name", "path", "name"))
    """A model folder, a run folder, or a hub name where there is a network."""
    chat_template: Path | None = None
    """A Jinja file to use in place of the model's own chat template."""
    dtype: Literal["float32", "bfloat16"] = Field("float32", json_schema_extra=known_as("torch_dtype", "precision"))
    """Number format of the weights in memory."""


class OptimConfig(Config):
    """AdamW (arXiv:1711.05101) and its learning-rate schedule."""

    lr: float = Field(2e-4, gt=0, json_schema_extra=known_as("learning_rate"))
    """Highest learning rate, reached after warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", json_schema_extra=known_as("lr_scheduler_type"))
    """How the rate falls after warm-up: to a tenth of `lr` along a half cosine, to zero along a line, or not."""
    warmup_steps: int = Field(0, ge=0, json_schema_extra=known_as("num_warmup_steps"))
    """Steps over which the rate rises from zero."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay; matrices only, never norms or biases."""
    beta1: float = Field(0.9, ge=0, lt=1, json_schema_extra=known_as("adam_beta1"))
    """Decay of the running mean of the gradient."""
    beta2: float = Field(0.999, ge=0, lt=1, json_schema_extra=known_as("adam_beta2"))
    """Decay of the running mean of the squared gradient."""
    max_grad_norm: float | None = Field(1.0, gt=0, json_schema_extra=known_as("grad_clip", "clip_grad_norm"))
    """The gradient of a whole step is scaled down to this norm; "none" never clips."""


class LoraSettings(Config):
    """Low-rank adapters (arXiv:2106.09685); read when `adapter = "lora"`."""

    rank: int = Field(16, ge=1, json_schema_extra=known_as("r", "lora_rank", "lora_r"))
    """Rank of each adapter."""
    alpha: float = Field(32.0, gt=0, json_schema_extra=known_as("lora_alpha"))
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1, json_schema_extra=known_as("lora_dropout"))
    """Dropout on the adapter's input (sft, pretrain; dpo and grpo compare log-probabilities and drop nothing)."""
    targets: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", json_schema_extra=known_as("target_modules", "lora_target")
    )
    """Modules that get an adapter: "all-linear" (all but the output head), or names."""


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


class TrainConfig(Config):
    """One training run."""

    method: Literal["sft", "pretrain", "dpo", "grpo"] = "sft"
    """"sft": supervised on conversations. "pretrain": next token on plain text. "dpo": preferences.
    "grpo": reinforcement with a grader as the reward."""
    adapter: Literal["none", "lora"] = Field("none", json_schema_extra=known_as("peft", "finetuning_type"))
    """"none" trains every weight."""
    max_steps: int | None = Field(None, ge=1, json_schema_extra=known_as("num_steps", "steps"))
    """Optimiser steps. Give this or `epochs`; without either, one epoch."""
    epochs: float | None = Field(None, gt=0, json_schema_extra=known_as("num_train_epochs", "num_epochs"))
    """Passes over the data."""
    batch_rows: int = Field(16, ge=1, json_schema_extra=known_as("batch_size", "per_device_train_batch_size"))
    """Rows (pairs for dpo, prompts for grpo) that one optimiser step consumes. Read when `batch_tokens` is not set."""
    batch_tokens: int | None = Field(None, ge=1)
    """Unpadded tokens that one optimiser step consumes; takes the place of `batch_rows`."""
    micro_batch_tokens: int = Field(8192, ge=1)
    """Padded tokens that pass through the network at once. Changes memory and speed, never the result."""
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
    save_every: int | None = Field(None, ge=1, json_schema_extra=known_as("save_steps"))
    """Steps between checkpoints; without it, about ten a run."""
    eval_every: int | None = Field(None, ge=1, json_schema_extra=known_as("eval_steps"))
    """Steps between measurements of the loss on the dev rows (sft, pretrain); without it, only at the end."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Order of the data, dropout, and draws."""

    @model_validator(mode="after")
    def _is_read(self) -> TrainConfig:
        unread = {"batch_tokens": "batch_rows", "max_length": "grpo.max_new_tokens", "overlong": "grpo.max_new_tokens"}
        given = [key for key in unread if key in self.model_fields_set and getattr(self, key) is not None]
        if self.method == "grpo" and given:
            raise ValueError(
                f"{given[0]} is not read by grpo, whose answers have no length yet; set {unread[given[0]]}"
            )
        return self


class RunConfig(Config):
    """Where a run keeps what it makes."""

    dir: Path = Field(json_schema_extra=known_as("output_dir", "out"))
    """The run folder."""
