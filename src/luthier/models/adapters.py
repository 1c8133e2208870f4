"""Adapters in peft's format: add, show, and save with the tokenizer so that the folder serves by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from luthier.errors import ModelError, Problem
from luthier.models.load import Model, quiet_peft


def add_adapter(
    model: Model,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: str | tuple[str, ...],
    rank_stabilised: bool = False,
    dora: bool = False,
    also_train: Sequence[str] = (),
) -> Model:
    """The model with a new LoRA adapter (arXiv:2106.09685) on `targets`; everything else is frozen.

    `targets` is "all-linear" (every linear layer but the output head) or names of modules; a name that matches nothing
    is an error. B starts at zero, so the first step starts from the base's own function. `rank_stabilised` scales by
    alpha / sqrt(rank) (arXiv:2312.03732); `dora` trains the weights' magnitude apart (arXiv:2402.09353). "embeddings"
    and "head" in `also_train` train whole and are saved with the adapter; where they are tied they stay so, and either
    word trains the one matrix. Rows of tokens that `add_tokens` added train in any case.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    network = model.network
    if isinstance(network, PeftModel):
        return model  # a tuned adapter trains on: the reference policy is the network as it was given
    layers = _Layers(network)
    whole = layers.whole(also_train)
    if not isinstance(targets, str):
        _need_targets(layers, targets, whole)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, bias="none", task_type="CAUSAL_LM",
        target_modules=targets if isinstance(targets, str) else list(targets), use_rslora=rank_stabilised,
        use_dora=dora, modules_to_save=whole or None, ensure_weight_tying=bool(whole) and layers.tied,
        trainable_token_indices=layers.rows(model.new_token_ids, whole),
    )  # fmt: skip
    with quiet_peft():
        adapted = get_peft_model(network, config)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad and "lora_" in name:  # a layer that trains whole keeps the format of its neighbours
            parameter.data = parameter.data.float()
    adapted.train(network.training)  # its new parts are born in training mode, and would drop out in evaluation
    adapted.peft_config["default"].base_model_name_or_path = str(model.folder.resolve())
    return replace(model, network=adapted)


def matched(model: Model) -> dict[str, tuple[int, int]]:
    """The modules that have an adapter, by name, with their (inputs, outputs); empty when there is none."""
    from peft.tuners.lora.layer import LoraLayer

    return {
        name.removeprefix("base_model.model."): (module.in_features, module.out_features)
        for name, module in model.network.named_modules()
        if isinstance(module, LoraLayer)
    }


def describe(model: Model) -> str:
    """One line on the adapter: kind, rank, alpha, modules by kind with shape and number, and what else trains."""
    settings = model.network.peft_config["default"]
    kinds = Counter((name.rpartition(".")[2], shape) for name, shape in matched(model).items())
    parts = [f"{kind} {inputs}x{outputs} x {count}" for (kind, (inputs, outputs)), count in kinds.items()]
    parts += [f"{name} whole" for name in sorted(settings.modules_to_save or ())]
    rows = getattr(settings, "trainable_token_indices", None) or {}
    parts += [f"{len(ids)} rows of {name}" for name, ids in (
        rows.items() if isinstance(rows, dict) else [("the embeddings", rows)])]  # fmt: skip
    if not matched(model):
        return " | ".join([f"{settings.peft_type.value.lower()} adapter", *parts])  # another kind of another tool
    kind = ("dora" if settings.use_dora else "lora") + (", rank-stabilised" if settings.use_rslora else "")
    return " | ".join([kind, f"rank {settings.r}", f"alpha {settings.lora_alpha:g}", ", ".join(parts)])


def save_model(model: Model, folder: Path) -> None:
    """Write weights (adapter layout for adapters), tokenizer and chat template; loadable by transformers and peft.

    Raises ModelError when a tensor that trained would not be in the folder.
    """
    from peft import PeftModel

    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model.network, PeftModel):
        _save_adapter(model.network, folder)
    else:
        model.network.save_pretrained(folder)
    for stray in folder.glob("README.md"):
        stray.unlink()  # peft's empty model card says nothing about this model
    model.tokenizer.save_pretrained(folder)


class _Layers:
    """What an adapter may go on: modules by name, and the two that hold a row for each token."""

    def __init__(self, network: Any) -> None:
        self.modules = dict(network.named_modules())
        names = {module: name for name, module in self.modules.items()}
        self.embeddings = names[network.get_input_embeddings()]
        self.head = names[network.get_output_embeddings()]
        self.tied = network.get_output_embeddings().weight is network.get_input_embeddings().weight

    def whole(self, also_train: Sequence[str]) -> list[str]:
        """Names of the modules that train whole; of tied ones the first, which the other follows."""
        asked = [{"embeddings": self.embeddings, "head": self.head}[word] for word in also_train]
        if not asked or not self.tied:
            return asked
        if self.embeddings.rpartition(".")[2] != "embed_tokens":
            raise _error(
                where="train.lora.also_train", found=f"tied embeddings called {self.embeddings!r}",
                expected='the name "embed_tokens", by which peft keeps embeddings and head tied',
                fix='leave lora.also_train out, or train every weight with adapter = "none"',
            )  # fmt: skip
        return [self.embeddings]

    def rows(self, ids: Sequence[int], whole: Sequence[str]) -> dict[str, list[int]] | None:
        """Rows that train alone, by module: those of new tokens, where the module does not train whole."""
        if not ids or (self.tied and whole):
            return None
        names = [name for name in ([self.embeddings] if self.tied else [self.embeddings, self.head])
                 if name not in whole]  # fmt: skip
        if self.head in names and getattr(self.modules[self.head], "bias", None) is not None:
            raise _error(
                where="model.new_tokens", found="a head with a bias, whose rows cannot train alone",
                expected="a head without", fix='add "head" to train.lora.also_train',
            )  # fmt: skip
        return {name: list(ids) for name in names} or None


def _need_targets(layers: _Layers, targets: Sequence[str], whole: Sequence[str]) -> None:
    from transformers.pytorch_utils import Conv1D

    linear = {name for name, module in layers.modules.items() if isinstance(module, (torch.nn.Linear, Conv1D))}
    usable = linear if layers.tied else {*linear, layers.embeddings}
    usable -= {layers.head, layers.embeddings} if layers.tied else set(whole)
    problems = []
    for target in targets:
        found = {name for name in layers.modules if name == target or name.endswith("." + target)}
        if not found:
            fault = "which no module is called"
        elif found & set(whole):
            fault = "which trains whole (train.lora.also_train)"
        elif layers.tied and found & {layers.head, layers.embeddings}:
            fault = "a matrix that embeddings and head share, on which an adapter would part them"
        elif found - usable:
            fault = f"which is a {type(layers.modules[min(found - usable)]).__name__}"
        else:
            continue
        problems.append(Problem(
            where="train.lora.targets", found=f"{target!r}, {fault}",
            expected="names of linear layers: " + ", ".join(sorted({name.rpartition(".")[2] for name in usable})),
            fix='use one of these, or "all-linear"' + (
                '; lora.also_train = ["embeddings"] trains the shared matrix whole' if "share" in fault else ""),
        ))  # fmt: skip
    if problems:
        raise ModelError("the adapter cannot be added", problems)


def _save_adapter(network: Any, folder: Path) -> None:
    """The adapter and all that trained beside it; peft leaves the base and, unless told, resized embeddings out."""
    from peft import get_peft_model_state_dict
    from peft.utils.other import AuxiliaryTrainingWrapper

    # Rows that train are in the adapter by themselves; embeddings that came whole with a loaded adapter are not.
    embeddings: bool | str = False if isinstance(network.get_input_embeddings(), AuxiliaryTrainingWrapper) else "auto"
    with quiet_peft():
        state = get_peft_model_state_dict(network, save_embedding_layers=embeddings)
        network.save_pretrained(folder, save_embedding_layers=embeddings)
    places = {tensor.data_ptr() for tensor in state.values() if tensor.numel()}
    lost = {n for n, p in network.named_parameters() if p.requires_grad and p.data_ptr() not in places}
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        lost |= state.keys() - set(file.keys())
    if lost or not state:
        raise _error(
            where=str(folder / "adapter_model.safetensors"),
            found=f"no {min(lost)} ({len(lost)} trained tensors missing)" if lost else "no tensor at all",
            expected="every tensor that trained",
            fix='name what trains in lora.targets and lora.also_train, or train every weight with adapter = "none"',
        )


def _error(*, where: str, found: str, expected: str, fix: str) -> ModelError:
    return ModelError("the adapter cannot be used", [Problem(where=where, found=found, expected=expected, fix=fix)])
