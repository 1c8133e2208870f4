"""LoRA adapters in peft's format: add, and save with the tokenizer so that the folder serves by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from luthier.errors import ModelError, Problem
from luthier.models.load import Model, quiet_peft


def add_lora(model: Model, *, rank: int, alpha: float, dropout: float, targets: str | tuple[str, ...]) -> Model:
    """The model with a new LoRA adapter (arXiv:2106.09685) on `targets`; everything else is frozen.

    `targets` is "all-linear" (every linear layer but the output head) or names of modules; a name that matches nothing
    is an error. B starts at zero, so the first step starts from the base's own function.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    network = model.network
    if isinstance(network, PeftModel):
        return model  # a tuned adapter trains on: the reference policy is the network as it was given
    names = [name for name, _ in network.named_modules()]
    if not isinstance(targets, str):
        for target in targets:
            if not any(name == target or name.endswith("." + target) for name in names):
                leaves = sorted({name.rpartition(".")[2] for name in names if name and not name[-1].isdigit()})
                raise ModelError(
                    "the adapter cannot be added",
                    [Problem(where="train.lora.targets", found=f"{target!r}, which no module is called",
                             expected="names of modules: " + ", ".join(leaves),
                             fix='use one of these, or "all-linear"')],
                )  # fmt: skip
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, bias="none", task_type="CAUSAL_LM",
        target_modules=targets if isinstance(targets, str) else list(targets),
    )  # fmt: skip
    with quiet_peft():
        adapted = get_peft_model(network, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    adapted.peft_config["default"].base_model_name_or_path = str(model.folder.resolve())
    return replace(model, network=adapted)


def save_model(model: Model, folder: Path) -> None:
    """Write weights (adapter layout for adapters), tokenizer and chat template; loadable by transformers and peft."""
    folder.mkdir(parents=True, exist_ok=True)
    save: Any = model.network.save_pretrained
    with quiet_peft():
        save(folder)
    for stray in folder.glob("README.md"):
        stray.unlink()  # peft's empty model card says nothing about this model
    model.tokenizer.save_pretrained(folder)
