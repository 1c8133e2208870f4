"""Adapters: where they go, and what is saved."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file

from luthier.errors import ModelError
from luthier.models.adapters import add_adapter, describe, matched, save_model
from luthier.models.load import load_model, quiet_peft
from luthier.models.tokens import add_tokens

RELOAD = """
import sys, torch
from pathlib import Path
from peft import AutoPeftModelForCausalLM
from safetensors.torch import save_file
for adapter in map(Path, sys.argv[1:]):
    network = AutoPeftModelForCausalLM.from_pretrained(adapter).eval()
    logits = network(input_ids=torch.tensor([[5, 6, 7, 8, 400, 401] if "new" in adapter.name else [5, 6, 7, 8]])).logits
    keys = {f"key {name}": torch.zeros(1) for name in network.state_dict()}
    save_file({"logits": logits.detach(), **keys}, adapter / "theirs.safetensors")
"""
KINDS = {
    "lora": {},
    "dora": {"dora": True},
    "rank-stabilised": {"rank_stabilised": True},
    "whole embeddings": {"also_train": ("embeddings",)},
    "new tokens": {"new": ("<order>", "<lamp>")},
    "new tokens, whole": {"new": ("<order>", "<lamp>"), "also_train": ("head",)},
}


def adapter(model, *, new=(), **options):
    model = add_tokens(model, new)
    return add_adapter(model, **{"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear", **options})


def shake(model):
    """Trained weights of some size: B begins at zero, which would hide a lost adapter."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.network.parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn(parameter.shape, generator=generator).to(parameter.dtype) * 0.3
    return model


def logits(model, *more):
    with torch.no_grad():
        return model.network(input_ids=torch.tensor([[5, 6, 7, 8, *more]])).logits


def untied(folder, tmp_path):
    """The tiny Llama with a head of its own."""
    network = load_model(folder).network
    network.config.tie_word_embeddings = False
    network.lm_head.weight = torch.nn.Parameter(torch.randn_like(network.lm_head.weight) * 0.2)
    network.save_pretrained(tmp_path / "untied")
    load_model(folder).tokenizer.save_pretrained(tmp_path / "untied")
    return load_model(tmp_path / "untied")


@pytest.mark.parametrize(
    ("name", "options"),
    [*product(["llama", "qwen3", "gemma3", "gpt2"], [{}, {"dora": True}]), ("llama", {"also_train": ("embeddings",)}),
     ("gemma3", {"also_train": ("head",)})],
)  # fmt: skip
def test_a_new_adapter_does_not_change_the_function(load_tiny, name, options):
    model = load_tiny(name)
    before = logits(model)
    adapted = adapter(model, **options)
    torch.testing.assert_close(logits(adapted), before, atol=1e-5 if "dora" in options else 0, rtol=0)
    trainable = [n for n, p in adapted.network.named_parameters() if p.requires_grad]
    assert trainable and all("lora_" in name or options.get("also_train") for name in trainable)


def test_a_new_adapter_drops_nothing_out_in_evaluation(load_tiny):
    model = shake(adapter(load_tiny("llama"), dropout=0.5))
    assert torch.equal(logits(model), logits(model))
    model.network.train()
    assert not torch.equal(logits(model), logits(model))


def test_a_target_that_matches_nothing_is_an_error(load_tiny):
    """Adapters on the wrong modules."""
    with pytest.raises(ModelError, match=r"'q_prj', which no module is called") as error:
        adapter(load_tiny("llama"), targets=("v_proj", "q_prj"))
    assert "q_proj" in error.value.problems[0].expected and "train.lora.targets" in error.value.problems[0].where
    assert "norm" not in error.value.problems[0].expected  # no adapter goes there


@pytest.mark.parametrize(
    ("target", "found"),
    [("mlp", "which is a LlamaMLP"), ("input_layernorm", "which is a LlamaRMSNorm"),
     ("lm_head", "a matrix that embeddings and head share"), ("embed_tokens", "a matrix that embeddings and head share")],
)  # fmt: skip
def test_a_target_that_cannot_have_an_adapter_is_an_error(load_tiny, target, found):
    """What it is, and what could be named instead."""
    with pytest.raises(ModelError) as error:
        adapter(load_tiny("llama"), targets=("v_proj", target))
    (problem,) = error.value.problems
    assert found in problem.found and "v_proj" in problem.expected


def test_a_layer_cannot_train_whole_and_by_an_adapter(tiny_model_folder, tmp_path):
    model = untied(tiny_model_folder, tmp_path)
    with pytest.raises(ModelError, match="'lm_head', which trains whole"):
        adapter(model, targets=("lm_head", "q_proj"), also_train=("head",))
    assert "lm_head" in matched(adapter(model, targets=("lm_head", "q_proj")))


def test_targets_name_the_modules_that_get_an_adapter(load_tiny):
    """These modules and no others, with their shapes."""
    model = adapter(load_tiny("llama"), targets=("k_proj", "model.layers.1.mlp.up_proj"))
    assert matched(model) == {
        "model.layers.0.self_attn.k_proj": (32, 16),
        "model.layers.1.self_attn.k_proj": (32, 16),
        "model.layers.1.mlp.up_proj": (32, 64),
    }
    places = {n.split(".lora_")[0] for n, p in model.network.named_parameters() if p.requires_grad}
    assert {name.removeprefix("base_model.model.") for name in places} == set(matched(model))
    assert describe(model) == "lora | rank 4 | alpha 8 | k_proj 32x16 x 2, up_proj 32x64 x 1"
    assert matched(load_tiny("llama")) == {}


def test_every_linear_layer_but_the_head_gets_an_adapter(load_tiny):
    """GPT-2 keeps its linear layers in a type of its own."""
    for shape, per_layer in {"llama": 7, "qwen3": 7, "gemma3": 7, "gpt2": 4}.items():
        model = adapter(load_tiny(shape))
        places = {n.split(".lora_")[0] for n, p in model.network.named_parameters() if p.requires_grad}
        assert len(places) == len(matched(model)) == 2 * per_layer


def test_the_line_on_an_adapter_says_all_that_trains(load_tiny):
    model = adapter(load_tiny("llama"), rank_stabilised=True, dora=True, targets=("q_proj",), new=("<order>",))
    assert describe(model) == (
        "dora, rank-stabilised | rank 4 | alpha 8 | q_proj 32x32 x 2, 1 rows of model.embed_tokens"
    )
    whole = adapter(load_tiny("llama"), targets=("q_proj",), also_train=("embeddings",))
    assert describe(whole).endswith("q_proj 32x32 x 2, model.embed_tokens whole")


def test_the_line_on_an_adapter_of_another_tool_names_its_kind(load_tiny):
    model = load_tiny("llama")
    foreign = {
        "ia3 adapter": IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"], feedforward_modules=[]),
        "lora | rank 2 | alpha 8 | q_proj 32x32 x 2, 3 rows of the embeddings": LoraConfig(
            r=2, target_modules=["q_proj"], trainable_token_indices=[1, 2, 3]
        ),
    }
    for line, settings in foreign.items():
        with quiet_peft():
            network = get_peft_model(load_tiny("llama").network, settings)
        assert describe(replace(model, network=network)) == line


def test_the_scale_is_alpha_over_rank_or_its_square_root(load_tiny):
    plain, stable = (
        {
            module.scaling["default"]
            for module in adapter(load_tiny("llama"), rank_stabilised=choice).network.modules()
            if hasattr(module, "lora_A")
        }
        for choice in (False, True)
    )
    assert plain == {8 / 4} and stable == {8 / math.sqrt(4)}


def test_dora_trains_a_magnitude_for_every_output(load_tiny):
    """y = m * (W + s B A) x / |W + s B A|, norms over each output's weights (arXiv:2402.09353)."""
    model = shake(adapter(load_tiny("llama"), dora=True))
    layer = model.network.base_model.model.model.layers[0].self_attn.q_proj
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    weight = layer.base_layer.weight + layer.scaling["default"] * b @ a
    magnitude = layer.lora_magnitude_vector["default"].weight
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(x), x @ (magnitude[:, None] * weight / weight.norm(dim=1, keepdim=True)).T)
    assert magnitude.shape == (32,) and magnitude.requires_grad


def test_adapter_weights_are_float32_on_a_bfloat16_base(tiny_model_folder):
    model = adapter(load_model(tiny_model_folder, dtype="bfloat16"))
    kinds = {(p.requires_grad, p.dtype) for p in model.network.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_adapter_computes_on_a_bfloat16_base(tiny_model_folder, tmp_path, kind):
    model = shake(adapter(load_model(tiny_model_folder, dtype="bfloat16"), **KINDS[kind]))
    logits(model).float().sum()
    save_model(model, tmp_path)
    assert torch.equal(logits(load_model(tmp_path, dtype="bfloat16")), logits(model))


def test_also_train_keeps_embeddings_and_head_one_matrix(load_tiny):
    for word in ("embeddings", "head"):
        model = adapter(load_tiny("llama"), also_train=(word,))
        network = model.network
        matrix = network.get_input_embeddings().weight
        assert matrix is network.get_output_embeddings().weight and matrix.requires_grad
        optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
        before = matrix.detach().clone()
        network(input_ids=torch.tensor([[5, 6, 7]])).logits.square().sum().backward()
        optimiser.step()
        assert network.get_output_embeddings().weight is matrix and not torch.equal(matrix, before)


def test_also_train_of_an_untied_model_trains_what_it_names(tiny_model_folder, tmp_path):
    for words in (("embeddings",), ("head",), ("embeddings", "head")):
        model = adapter(untied(tiny_model_folder, tmp_path), also_train=words)
        network = model.network
        assert network.get_input_embeddings().weight.requires_grad == ("embeddings" in words)
        assert network.get_output_embeddings().weight.requires_grad == ("head" in words)
        save_model(shake(model), tmp_path / "adapter")
        again = load_model(tmp_path / "adapter")
        assert torch.equal(logits(again), logits(model))
        assert again.network.get_output_embeddings().weight.requires_grad == ("head" in words)


def test_a_tie_that_could_not_be_kept_is_an_error(load_tiny):
    with pytest.raises(ModelError, match=r'train.lora.also_train(.|\n)*"none"') as error:
        adapter(load_tiny("gpt2"), also_train=("embeddings",))
    assert "transformer.wte" in error.value.problems[0].found


@pytest.mark.parametrize("kind", KINDS)
def test_a_tuned_adapter_trains_on_and_is_not_stacked(load_tiny, tmp_path, kind):
    model = shake(adapter(load_tiny("llama"), **{**KINDS[kind], "rank": 3}))
    save_model(model, tmp_path / "first")
    first = load_model(tmp_path / "first")
    again = adapter(first, rank=9)
    assert again is first
    assert {p.shape[0] for n, p in again.network.named_parameters() if "lora_A" in n} == {3}
    trained, still = (
        {n for n, p in network.named_parameters() if p.requires_grad} for network in (model.network, again.network)
    )
    assert trained == still
    save_model(shake(again), tmp_path / "second")
    assert torch.equal(logits(load_model(tmp_path / "second")), logits(again))
    assert not torch.equal(logits(again), logits(model))


def test_a_saved_adapter_reloads_in_a_fresh_process_with_equal_logits(load_tiny, tmp_path):
    """Saved adapter is empty: peft's own loader in another process, keys and logits."""
    models = {}
    for name in ("llama", "gpt2", "gemma3"):
        for kind, options in KINDS.items():
            if name != "gpt2" or "also_train" not in options:
                folder = tmp_path / f"{name}, {kind}"
                models[folder] = shake(adapter(load_tiny(name), **options))
                save_model(models[folder], folder)
    subprocess.run([sys.executable, "-W", "ignore", "-c", RELOAD, *map(str, models)], check=True)
    for folder, model in models.items():
        more = model.new_token_ids
        assert bool(more) == ("new" in folder.name)
        theirs = load_file(folder / "theirs.safetensors")
        assert torch.equal(theirs.pop("logits"), logits(model, *more))
        assert {name.removeprefix("key ") for name in theirs} == set(model.network.state_dict())
        ours = load_model(folder)
        assert torch.equal(logits(ours, *more), logits(model, *more))
        assert set(ours.network.state_dict()) == set(model.network.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_adapter_is_the_same_function(load_tiny, kind):
    model = shake(adapter(load_tiny("llama"), **KINDS[kind]))
    model.network.double()
    before = logits(model, *model.new_token_ids)
    merged = model.network.merge_and_unload()
    torch.testing.assert_close(logits(replace(model, network=merged), *model.new_token_ids), before)
    assert merged.get_input_embeddings().weight.data_ptr() == merged.get_output_embeddings().weight.data_ptr()


def test_what_trained_and_is_not_in_the_adapter_is_an_error_when_saving(load_tiny, tmp_path):
    """Peft would leave the base's weights out without a word."""
    model = adapter(load_tiny("llama"))
    model.network.base_model.model.model.norm.weight.requires_grad_(True)
    with pytest.raises(ModelError, match=r"no base_model.model.model.norm.weight \(1 trained tensors missing\)"):
        save_model(model, tmp_path / "a")


def test_an_empty_adapter_is_an_error_when_saving(load_tiny, tmp_path, monkeypatch):
    """No adapter passes for one that was loaded."""
    model = adapter(load_tiny("llama"))
    for parameter in model.network.parameters():
        parameter.requires_grad_(False)
    monkeypatch.setattr("peft.get_peft_model_state_dict", lambda *_, **__: {})
    with pytest.raises(ModelError, match="no tensor at all"):
        save_model(model, tmp_path / "a")


def test_a_saved_folder_serves_by_itself(load_tiny, tmp_path, shape):
    """Tokenizer and template travel with the weights; nothing else is left in the folder."""
    model = load_tiny(shape)
    save_model(model, tmp_path / "full")
    again = load_model(tmp_path / "full")
    assert again.notices == ()
    assert again.renderer.template == model.renderer.template
    assert torch.equal(logits(again), logits(model))
    save_model(adapter(load_tiny(shape)), tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(
        model.folder
    )
    assert not (tmp_path / "adapter" / "README.md").exists()
    assert load_model(tmp_path / "adapter").renderer.template == model.renderer.template
