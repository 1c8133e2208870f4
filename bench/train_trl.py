"""One training run by TRL's SFTTrainer, in a process and an environment of its own, where Luthier is not installed.

`.venv-oracle/bin/python -m bench.train_trl JOB.json RESULT.json`; the job's options are those of an `Attempt`.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback, Trainer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from bench.measuring import (
    cuda_facts,
    digest_of_targets,
    matrix_rates,
    peak_memory_mib,
    synchronise,
    versions,
)


class Record(TrainerCallback):
    """Keeps loss, tokens, time and memory at the end of each step."""

    def __init__(self, device: str) -> None:
        """Begins to count the time."""
        self.device = device
        self.losses: list[float] = []
        self.total_tokens: list[int] = []
        self.ends: list[float] = []
        self.cpu_ends: list[float] = []
        self.peaks: list[float] = []
        self.started = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Called after each step, since every step is logged."""
        if logs is None or "loss" not in logs:
            return
        synchronise(self.device)
        self.ends.append(time.perf_counter() - self.started)
        self.cpu_ends.append(time.process_time())
        self.losses.append(float(logs["loss"]))
        self.total_tokens.append(round(logs["num_tokens"]))
        self.peaks.append(peak_memory_mib())


class WholeLogits(SFTTrainer):
    """SFTTrainer with the loss of transformers itself: all logits at once, in place of TRL's tiles."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], **options: Any) -> Any:
        """The loss of `Trainer`, and the count of tokens that SFTTrainer would have logged."""
        mask = inputs.get("attention_mask")
        self._total_train_tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return Trainer.compute_loss(self, model, {**inputs, "use_cache": False}, **options)


def config_of(job: dict[str, Any], device: str) -> SFTConfig:
    """Defaults of SFTConfig but for what the job and the attempt name.

    A CPU must be asked for by `use_cpu`, or the defaults (bf16) are refused there.
    """
    options = job["options"]
    micro = options.get("micro_rows", job["rows_a_step"])
    assert job["rows_a_step"] % micro == 0, "a step is a whole number of micro-batches"
    given = {
        "output_dir": job["folder"], "use_cpu": device == "cpu", "max_steps": job["steps"], "seed": job["seed"],
        "per_device_train_batch_size": micro, "gradient_accumulation_steps": job["rows_a_step"] // micro,
        "learning_rate": job["lr"], "lr_scheduler_type": "constant", "train_sampling_strategy": "sequential",
        "logging_steps": 1, "report_to": "none", "disable_tqdm": True,
    }  # fmt: skip
    return SFTConfig(**{**given, **options.get("config", {})})


def dataset_of(job: dict[str, Any]) -> Dataset:
    """Rows as prompt and completion, in the order in which the steps take them."""
    rows = [json.loads(line) for line in Path(job["rows"]).read_text(encoding="utf-8").splitlines()]
    chosen = [rows[i]["messages"] for step in job["order"] for i in step]
    return Dataset.from_list([{"prompt": m[:-1], "completion": m[-1:]} for m in chosen])


def targets_of(trainer: SFTTrainer, job: dict[str, Any]) -> str | None:
    """Digest of what trains, in the order of the rows' file; None where packing has joined the rows."""
    data = trainer.train_dataset
    order = [i for step in job["order"] for i in step]
    if len(data) != len(order):
        return None
    rows = sorted(zip(order, data["input_ids"], data["labels"], strict=True), key=lambda row: row[0])
    return digest_of_targets((ids, [label != -100 for label in labels]) for _, ids, labels in rows)


def main() -> None:
    """Do the job and write what was measured."""
    warnings.filterwarnings("ignore")
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rates = matrix_rates(device)
    idle = peak_memory_mib()
    adapter = None
    if job["adapter"] == "lora":
        adapter = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    record = Record(device)
    kind = WholeLogits if job["options"].get("whole_logits") else SFTTrainer
    trainer = kind(
        model=job["model"], args=config_of(job, device), train_dataset=dataset_of(job), peft_config=adapter,
        callbacks=[record],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model()
    whole = time.perf_counter() - record.started
    args = trainer.args
    totals = [0, *record.total_tokens]
    Path(sys.argv[2]).write_text(json.dumps({
        "losses": record.losses, "tokens": [after - before for before, after in pairwise(totals)],
        "ends": record.ends, "cpu_ends": record.cpu_ends, "seconds_whole": whole, "peak_mib": record.peaks[-1],
        "peak_with_saving_mib": peak_memory_mib(), "idle_mib": idle, "matrix_rates": rates,
        "threads": torch.get_num_threads(), **cuda_facts(device), "targets": targets_of(trainer, job),
        "versions": versions(["trl", "torch", "transformers", "accelerate", "datasets", "peft"]),
        "settings": {
            "bf16": args.bf16, "gradient_checkpointing": args.gradient_checkpointing, "optim": str(args.optim),
            "packing": args.packing, "padding_free": trainer.padding_free, "max_length": args.max_length,
            "per_device_train_batch_size": args.per_device_train_batch_size,
            "gradient_accumulation_steps": args.gradient_accumulation_steps, "loss_type": args.loss_type,
            "completion_only_loss": trainer.completion_only_loss, "torch_compile": args.torch_compile,
            "train_sampling_strategy": args.train_sampling_strategy, "weight_decay": args.weight_decay,
            "max_grad_norm": args.max_grad_norm, "adam": [args.adam_beta1, args.adam_beta2, args.adam_epsilon],
            "attention": trainer.model.config._attn_implementation, "trainer": kind.__name__,
        },
    }))  # fmt: skip


if __name__ == "__main__":
    main()
