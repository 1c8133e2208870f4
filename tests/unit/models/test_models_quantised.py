"""A base in 4 bits: where there is a kernel, and what is said where there is none."""

from __future__ import annotations

import json
import shutil
import sys
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from fakes import TinyRun, tiny_examples, tiny_preferences
from luthier.errors import ConfigError
from luthier.models.adapters import add_adapter, matched, save_model
from luthier.models.load import load_model
from luthier.models.quantised import quantisation
from luthier.models.tokens import add_tokens
from luthier.train.batch import collate
from luthier.train.preference import answer_logprobs, pairs_of, reference_logprobs
from luthier.train.training import TrainingData

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])
LEVELS = torch.tensor([
    -1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302,
    0.2461123, 0.33791524, 0.44070983, 0.5626170, 0.7229568, 1.0,
])  # fmt: skip
"""The 16 values of NF4 (arXiv:2305.14314, appendix E)."""


@pytest.fixture
def _kernel():
    pytest.importorskip("bitsandbytes", reason='no bitsandbytes: .venv/bin/pip install -e ".[qlora]"')
    try:
        quantisation(dtype="float32", device="cpu")
    except ConfigError as error:
        pytest.skip(f"no 4-bit kernel here: {error}")


@pytest.fixture(scope="session")
def wide_folder(tiny_folder, tmp_path_factory):
    """The tiny models with layers as wide as the blocks that share a scale."""

    @cache
    def folder(shape="llama"):
        target = tmp_path_factory.mktemp("wide") / shape
        shutil.copytree(tiny_folder(shape), target)
        sizes = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16, "n_embd": 64, "n_inner": 128}
        settings = json.loads((target / "config.json").read_text())
        settings |= {name: size for name, size in sizes.items() if name in settings}
        (target / "config.json").write_text(json.dumps(settings))
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(target)).save_pretrained(target)
        return target

    return folder


def quantised(folder, **options):
    return load_model(folder, device="cpu", quantised=True, **options)


def qlora(folder, **options):
    settings = {"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear", **options}
    return add_adapter(quantised(folder), **settings)


def shake(model):
    generator = torch.Generator().manual_seed(0)
    for parameter in model.network.parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn(parameter.shape, generator=generator) * 0.3
    return model


def logits(model):
    with torch.no_grad():
        return model.network(input_ids=IDS).logits


def problem(folder):
    with pytest.raises(ConfigError, match="cannot be held in 4 bits on this machine") as error:
        quantised(folder)
    (found,) = error.value.problems
    assert "train.adapter" in found.where and '.venv/bin/pip install -e ".[qlora]"' in found.fix and "cpu" in found.found
    return found


def test_without_the_library_the_error_says_what_to_install(tiny_model_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert "no usable package bitsandbytes" in problem(tiny_model_folder).found


class BrokenLayer(torch.nn.Linear):
    """A 4-bit layer as a library offers it on a machine for which it has no kernel."""

    def __init__(self, *sizes, fails, **options):
        super().__init__(*sizes, bias=False)
        self.fails = fails

    def forward(self, x):
        if self.fails:
            raise NotImplementedError("no kernel was compiled")
        return super().forward(x)


@pytest.mark.parametrize(
    ("fails", "found"),
    [(True, "a kernel that fails (no kernel was compiled)"), (False, "a kernel that is off by")],
)
def test_a_kernel_that_does_not_work_is_found_before_anything_is_loaded(tiny_model_folder, monkeypatch, fails, found):
    def weight(values, **_):
        parameter = torch.nn.Parameter(values, requires_grad=False)
        parameter.quant_state = None
        return parameter

    library = SimpleNamespace(
        nn=SimpleNamespace(Linear4bit=lambda *sizes, **options: BrokenLayer(*sizes, fails=fails, **options),
                           Params4bit=weight),
        functional=SimpleNamespace(dequantize_4bit=lambda weight, state: weight * 1.5),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "bitsandbytes", library)
    assert found in problem(tiny_model_folder).found


@pytest.mark.usefixtures("_kernel")
def test_every_linear_layer_but_the_head_is_held_in_4_bits(wide_folder, shape):
    plain, model = load_model(wide_folder(shape), device="cpu"), quantised(wide_folder(shape))
    small = {n for n, m in model.network.named_modules() if hasattr(getattr(m, "weight", None), "quant_state")}
    assert small == set(matched(add_adapter(plain, rank=2, alpha=2, dropout=0.0, targets="all-linear")))
    assert model.num_parameters == load_model(wide_folder(shape)).num_parameters
    assert model.digest == plain.digest
    assert {p.dtype for p in model.network.parameters()} == {torch.uint8, torch.float32}


@pytest.mark.usefixtures("_kernel")
def test_a_weight_becomes_the_nearest_of_16_levels_times_its_blocks_largest(wide_folder):
    import bitsandbytes

    name = "model.layers.0.mlp.up_proj"
    weight = load_model(wide_folder()).network.get_submodule(name).weight.detach()
    held = quantised(wide_folder()).network.get_submodule(name).weight
    blocks = weight.reshape(-1, 64)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    nearest = LEVELS[(blocks / scale).unsqueeze(-1).sub(LEVELS).abs().argmin(dim=-1)] * scale
    found = bitsandbytes.functional.dequantize_4bit(held.data, held.quant_state)
    torch.testing.assert_close(found.reshape(-1, 64), nearest, atol=0.01 * float(scale.max()), rtol=0)


@pytest.mark.usefixtures("_kernel")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_and_evaluation_are_the_same_function(wide_folder, dtype):
    """The library would round its scales at the first evaluation, and change the policy under its reference."""
    model = quantised(wide_folder(), dtype=dtype)
    first = model.network.train()(input_ids=IDS).logits
    model.network.eval()
    assert torch.equal(logits(model), first)
    assert torch.equal(model.network.train()(input_ids=IDS).logits, first)
    assert first.dtype == getattr(torch, dtype)


@pytest.mark.usefixtures("_kernel")
def test_the_reference_is_the_policy_at_the_first_step(wide_folder, tmp_path):
    """Wrong reference policy: a quantised base with a new adapter, and with a tuned one."""
    new = qlora(wide_folder())
    save_model(shake(qlora(wide_folder())), tmp_path)
    for model in (new, quantised(tmp_path)):
        rows = pairs_of(tiny_preferences(4), model.renderer, max_length=128, overlong="drop").rows
        reference = reference_logprobs(model.network, rows, micro_batch_tokens=1 << 20)
        model.network.train()
        policy = answer_logprobs(model.network, collate(rows, range(len(rows))))
        torch.testing.assert_close(policy.detach().flatten(), reference.flatten().to(policy.dtype), atol=1e-4, rtol=0)


@pytest.mark.usefixtures("_kernel")
def test_an_adapter_on_4_bits_trains_and_is_saved_and_the_base_stays(wide_folder, tmp_path, shape):
    model = add_tokens(quantised(wide_folder(shape)), ("<order>",))
    model = add_adapter(model, rank=4, alpha=8.0, dropout=0.0, targets="all-linear")
    base = {n: p.detach().clone() for n, p in model.network.named_parameters() if not p.requires_grad}
    data = TrainingData(examples=tiny_examples(8))
    run = TinyRun(model, tmp_path, data=data, adapter="lora", epochs=6, batch_rows=8)
    losses = run.column("train/loss")
    assert losses[-1] < losses[0]
    for name, parameter in model.network.named_parameters():
        assert name not in base or torch.equal(parameter, base[name])
    again = quantised(run.trained.model)
    assert torch.equal(logits(again), logits(model))
    whole = load_model(run.trained.model, device="cpu")  # served on the base in full precision
    assert not torch.equal(logits(whole), logits(model))
    assert len(whole.tokenizer) == 401 and matched(whole) == matched(again)


@pytest.mark.usefixtures("_kernel")
def test_a_width_at_which_the_kernel_is_wrong_is_an_error(tiny_model_folder):
    """bitsandbytes 0.50 on CPUs reads another block's scale where a row is no whole number of blocks."""
    assert "for layers 32 wide" in problem(tiny_model_folder).found
