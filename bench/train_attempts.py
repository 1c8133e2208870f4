"""The contenders of `bench.train`: Luthier, TRL as it comes, and the settings of TRL among which its best is sought."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One way to run one tool."""

    name: str
    tool: Literal["luthier", "trl"]
    precision: Literal["float32", "bf16"]
    """ "bf16": matrix products in bfloat16 by autocast, weights and updates in float32, in both tools."""
    options: dict[str, Any] = field(default_factory=dict)
    """Luthier: keys of TrainConfig. TRL: "config" (keys of SFTConfig), "micro_rows", "whole_logits"."""
    keeps_rows: bool = True
    """Whether each step trains on the same rows as Luthier's, so that their losses can be compared step by step."""


def luthier(precision: str, *, shape: str) -> Attempt:
    """Luthier with its defaults; the large shape on a card is compiled and packed to 16k tokens, as TRL may be."""
    large = {"compile": True, "micro_batch_tokens": 16_384} if shape == "600m" else {}
    return Attempt(name=f"luthier {precision}", tool="luthier", precision=precision, options=large)  # type: ignore[arg-type]


def trl_defaults(rows_a_step: int) -> Attempt:
    """SFTConfig as it comes: bfloat16 autocast, activation checkpointing, rows padded and, as its examples have it, 8
    at once. Only what defines the run is given: steps, rows and their order, learning rate, constant schedule, seed."""
    rows = max(n for n in range(1, 9) if rows_a_step % n == 0)
    return Attempt(name="trl defaults", tool="trl", precision="bf16", options={"micro_rows": rows})


def trl_attempts(precision: str, *, rows_a_step: int, tokens_a_step: int, cuda: bool) -> list[Attempt]:
    """Settings of TRL 1.16 that can make it faster on this work; whichever proves fastest is its "best".

    All without activation checkpointing and without a checkpoint before the end. The loss on tiles of the vocabulary,
    in the place of Liger's kernel, is always on in this version; "whole logits" takes transformers' own loss instead.
    """
    common = {"bf16": precision == "bf16", "gradient_checkpointing": False, "save_strategy": "no"}
    half = rows_a_step // 2 if rows_a_step % 2 == 0 else rows_a_step
    free = {"padding_free": True, "max_length": None}
    pack = max(1_024, 16_384 if cuda else 1_024)
    packs = {"packing": True, "max_length": pack, "gradient_accumulation_steps": 1,
             "per_device_train_batch_size": max(1, round(tokens_a_step / pack))}  # fmt: skip
    found = [
        _trl(precision, "padded, whole step", common),
        _trl(precision, "padded, half a step at once", common, micro_rows=half),
        _trl(precision, "padded, whole step, whole logits", common, whole_logits=True),
        _trl(precision, "padding-free, whole step", {**common, **free}),
        _trl(precision, "padding-free, whole step, whole logits", {**common, **free}, whole_logits=True),
        _trl(precision, "grouped by length, half a step at once",
             {**common, "train_sampling_strategy": "group_by_length"}, micro_rows=half, keeps_rows=False),
        _trl(precision, "rebalanced by length, half a step at once",
             {**common, "train_sampling_strategy": "batch_rebalance"}, micro_rows=half, keeps_rows=False),
        _trl(precision, f"packed to {pack:,} tokens", {**common, **packs}, keeps_rows=False),
        _trl(precision, "padded, whole step, compiled", {**common, "torch_compile": True}),
    ]  # fmt: skip
    if cuda:
        flash = {"model_init_kwargs": {"attn_implementation": "flash_attention_2"}}
        packs_flash = f"packed to {pack:,} tokens, flash attention"
        found += [
            _trl(precision, "padding-free, whole step, compiled", {**common, **free, "torch_compile": True}),
            _trl(precision, "padding-free, whole step, flash attention", {**common, **free, **flash}),
            _trl(precision, packs_flash, {**common, **packs, **flash}, keeps_rows=False),
        ]  # fmt: skip
    return found


def memory_attempts(rows_a_step: int) -> list[Attempt]:
    """Full tuning with the whole step at once: each tool as it comes and with float32, checkpointing on and off."""
    off = {"bf16": False, "save_strategy": "no"}
    return [
        Attempt(name="luthier float32", tool="luthier", precision="float32"),
        Attempt(name="luthier float32, checkpointed", tool="luthier", precision="float32",
                options={"checkpoint_activations": True}),
        Attempt(name="luthier float32, checkpointed, 512 tokens at once", tool="luthier", precision="float32",
                options={"checkpoint_activations": True, "micro_batch_tokens": 512}),
        Attempt(name="trl defaults", tool="trl", precision="bf16"),
        Attempt(name="trl float32, checkpointed", tool="trl", precision="float32", options={"config": off}),
        Attempt(name="trl float32", tool="trl", precision="float32",
                options={"config": {**off, "gradient_checkpointing": False}}),
    ]  # fmt: skip


def _trl(precision: str, how: str, config: dict[str, Any], *, keeps_rows: bool = True, **options: Any) -> Attempt:
    return Attempt(name=f"trl {precision}: {how}", tool="trl", precision=precision,  # type: ignore[arg-type]
                   options={"config": config, **options}, keeps_rows=keeps_rows)  # fmt: skip
