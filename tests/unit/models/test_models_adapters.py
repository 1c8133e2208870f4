"""Adapters: where they go, and what is saved."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from luthier.errors import ModelError
from luthier.models.adapters import add_lora, save_model
from luthier.models.load import load_model

RELOAD = """
import sys, torch
from pathlib import Path
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
for adapter, base in zip(map(Path, sys.argv[1::2]), sys.argv[2::2]):
    network = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
    ids = AutoTokenizer.from_pretrained(adapter)("the blue lamp", return_tensors="pt", add_special_tokens=False).input_ids
    logits = network(input_ids=ids).logits.detach()
    keys = {f"key {name}": torch.zeros(1) for name in network.state_dict()}
    save_file({"logits": logits, **keys}, adapter / "theirs.safetensors")
"""


def lora(model, **options):
    return add_lora(model, **{"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear", **options})


def shake(model):
    """Trained weights of some size: B begins at zero, which would hide a lost adapter."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.network.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3


def test_a_new_adapter_does_not_change_the_function(load_tiny, shape):
    model = load_tiny(shape)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = model.network(input_ids=ids).logits
        adapted = lora(model)
        assert torch.equal(adapted.network(input_ids=ids).logits, before)
    trainable = [n for n, p in adapted.network.named_parameters() if p.requires_grad]
    assert trainable and all("lora_" in name for name in trainable)
    assert not any("lm_head" in name for name in trainable)


def test_a_target_that_matches_nothing_is_an_error(load_tiny):
    """PITFALL 16, adapters on the wrong modules."""
    with pytest.raises(ModelError, match=r"'q_prj', which no module is called") as error:
        lora(load_tiny("llama"), targets=("v_proj", "q_prj"))
    assert "q_proj" in error.value.problems[0].expected and "train.lora.targets" in error.value.problems[0].where


def test_targets_name_the_modules_that_get_an_adapter(load_tiny):
    """PITFALL 16: these modules and no others."""
    model = lora(load_tiny("llama"), targets=("q_proj", "model.layers.1.mlp.up_proj"))
    places = {
        n.split(".lora_")[0].removeprefix("base_model.model.")
        for n, p in model.network.named_parameters()
        if p.requires_grad
    }
    assert places == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    }


def test_every_linear_layer_but_the_head_gets_an_adapter(load_tiny):
    """PITFALL 16: GPT-2 keeps its linear layers in a type of its own."""
    for shape, per_layer in {"llama": 7, "qwen3": 7, "gemma3": 7, "gpt2": 4}.items():
        model = lora(load_tiny(shape))
        places = {n.split(".lora_")[0] for n, p in model.network.named_parameters() if p.requires_grad}
        assert len(places) == 2 * per_layer


def test_adapter_weights_are_float32_on_a_bfloat16_base(tiny_model_folder):
    model = lora(load_model(tiny_model_folder, dtype="bfloat16"))
    kinds = {(p.requires_grad, p.dtype) for p in model.network.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}


def test_a_tuned_adapter_trains_on_and_is_not_stacked(load_tiny, tmp_path):
    model = lora(load_tiny("llama"), rank=3)
    shake(model)
    save_model(model, tmp_path / "first")
    again = lora(load_model(tmp_path / "first"), rank=9)
    assert {p.shape[0] for n, p in again.network.named_parameters() if "lora_A" in n} == {3}
    assert all(p.requires_grad for n, p in again.network.named_parameters() if "lora_" in n)


def test_a_saved_adapter_reloads_in_a_fresh_process_with_equal_logits(load_tiny, tmp_path):
    """PITFALL 18, saved adapter is empty: peft's own loader in another process, keys and logits."""
    models = {shape: lora(load_tiny(shape)) for shape in ("llama", "gpt2")}
    places = []
    for shape, model in models.items():
        shake(model)
        save_model(model, tmp_path / shape)
        places += [str(tmp_path / shape), str(model.folder)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", RELOAD, *places], check=True)
    for shape, model in models.items():
        theirs = load_file(tmp_path / shape / "theirs.safetensors")
        ids = torch.tensor([model.renderer.encode("the blue lamp")])
        with torch.no_grad():
            ours = model.network(input_ids=ids).logits
        assert torch.equal(theirs.pop("logits"), ours)
        assert {name.removeprefix("key ") for name in theirs} == set(model.network.state_dict())


def test_a_saved_folder_serves_by_itself(load_tiny, tmp_path, shape):
    """PITFALL 33: tokenizer and template travel with the weights; nothing else is left in the folder."""
    model = load_tiny(shape)
    save_model(model, tmp_path / "full")
    again = load_model(tmp_path / "full")
    assert again.notices == ()
    assert again.renderer.template == model.renderer.template
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(again.network(input_ids=ids).logits, model.network(input_ids=ids).logits)
    save_model(lora(load_tiny(shape)), tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(
        model.folder
    )
    assert not (tmp_path / "adapter" / "README.md").exists()
    assert load_model(tmp_path / "adapter").renderer.template == model.renderer.template
