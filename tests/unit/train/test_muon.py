"""Muon: its numbers against float64, which parameters it steps, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from fakes import TinyRun
from luthier.errors import ConfigError
from luthier.models.load import load_model
from luthier.train import ranks
from luthier.train.config import OptimConfig, TrainConfig
from luthier.train.muon import is_orthogonalised
from luthier.train.optimisers import make_optimiser, state_tensors

SHAPES = {
    "embed.weight": (50, 8), "layers.0.tall.weight": (24, 10), "layers.1.wide.weight": (12, 30),
    "layers.0.norm.weight": (10,), "layers.1.experts": (3, 4, 5), "head.weight": (8, 50),
}  # fmt: skip
LR, DECAY = 0.02, 0.3
OPTIONS = OptimConfig(name="muon", lr=LR, weight_decay=DECAY, beta1=0.8, beta2=0.95)


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [(name, Parameter(torch.randn(shape, generator=generator))) for name, shape in SHAPES.items()]


def orthogonalised(matrix):
    """Five steps X <- a X + (b A + c A A) X with A = X X', from the matrix over its Frobenius norm (K. Jordan 2024)."""
    x = matrix / np.sqrt((matrix**2).sum())
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def plain_muon(value, gradients):
    momentum, update = 0.0, np.zeros_like(value)
    for g in gradients:
        momentum = 0.95 * momentum + 0.05 * g
        update = 0.2 * np.sqrt(max(value.shape)) * orthogonalised(0.05 * g + 0.95 * momentum)
        value = value - LR * DECAY * value - LR * update
    return value


def plain_adamw(value, gradients):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        decay = DECAY if value.ndim >= 2 else 0.0
        value = value - LR * decay * value - LR * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-8)
    return value


@pytest.mark.parametrize("steps", [1, 4])
def test_steps_are_those_of_the_papers_in_float64(steps):
    named = parameters()
    before = {name: p.detach().double().numpy().copy() for name, p in named}
    gradients = {name: [] for name in SHAPES}
    optimiser = make_optimiser(named, OPTIONS)
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        for name, p in named:
            p.grad = torch.randn(p.shape, generator=generator)
            gradients[name].append(p.grad.double().numpy())
        optimiser.step()
    for name, p in named:
        after = p.detach().double().numpy()
        if p.ndim == 2 and name.startswith("layers"):  # five products of matrices in bfloat16: two digits
            wanted = plain_muon(before[name], gradients[name])
            assert np.linalg.norm(after - wanted) < 0.02 * np.linalg.norm(
                wanted - (1 - LR * DECAY) ** steps * before[name]
            )
        else:
            assert np.abs(after - plain_adamw(before[name], gradients[name])).max() < 2e-6


def test_decay_is_apart_from_the_gradient_and_takes_the_rate_alone():
    named = parameters()
    before = {name: p.detach().clone() for name, p in named}
    for _, p in named:
        p.grad = torch.zeros_like(p)
    make_optimiser(named, OPTIONS).step()
    for name, p in named:
        torch.testing.assert_close(p.detach(), before[name] * (1 - LR * DECAY * (p.ndim >= 2)))


@pytest.mark.parametrize("shape", [(40, 40), (40, 160), (160, 40)])
def test_an_update_is_as_large_as_adamws_whatever_the_shape(shape):
    """0.2, the root mean square of AdamW's updates (arXiv:2502.16982); singular values are near 1, not at it."""
    weight = Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    make_optimiser([("layers.0.weight", weight)], OptimConfig(name="muon", lr=1.0)).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [("model.layers.3.self_attn.q_proj.weight", (4, 4), True), ("transformer.h.0.mlp.c_fc.weight", (4, 16), True),
     ("base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight", (2, 4), True),
     ("model.embed_tokens.weight", (9, 4), False), ("lm_head.weight", (9, 4), False),
     ("model.layers.3.input_layernorm.weight", (4,), False), ("model.layers.0.mlp.experts.down_proj", (2, 4, 4), False)],
)  # fmt: skip
def test_muon_steps_the_matrices_inside_the_layers(name, shape, wanted):
    assert is_orthogonalised(name, Parameter(torch.zeros(shape))) is wanted


def test_the_state_of_a_real_model_is_half_of_adamws_inside_the_layers(tiny_folder):
    named = list(load_model(tiny_folder("llama"), device="cpu").network.named_parameters())
    optimiser = make_optimiser(named, OptimConfig(name="muon"))
    for _, p in named:
        p.grad = torch.ones_like(p)
    optimiser.step()
    kinds = {name: set() for name, _ in named}
    for key in state_tensors(optimiser, named):
        name, _, part = key.rpartition("/")
        kinds[name].add(part)
    assert kinds.pop("model.embed_tokens.weight") == {"exp_avg", "exp_avg_sq", "step"}
    assert {frozenset(parts) for name, parts in kinds.items() if "_proj" in name} == {frozenset({"momentum_buffer"})}


@pytest.mark.parametrize(
    "options", [{}, {"adapter": "lora"}, {"adapter": "dora"}, {"freeze": ("embeddings", "*norm*")}], ids=str
)
def test_a_run_learns(tiny_folder, tmp_path, options):
    model = load_model(tiny_folder("llama"), device="cpu")
    run = TinyRun(model, tmp_path, batch_rows=4, max_steps=12, optim=OptimConfig(name="muon", lr=1e-2), **options)
    losses = run.column("train/loss")
    assert losses[-1] < losses[0] - 0.05


def test_without_a_matrix_inside_the_layers_it_is_refused(tiny_folder, tmp_path):
    model = load_model(tiny_folder("llama"), device="cpu")
    with pytest.raises(ConfigError, match="no matrix inside a layer trains") as error:
        TinyRun(model, tmp_path, max_steps=1, freeze=("*layers*",), optim=OptimConfig(name="muon"))
    assert error.value.problems[0].where == "train.optim.name"


def test_several_processes_are_refused_as_each_has_a_part_of_a_matrix():
    with pytest.raises(ConfigError, match='"muon" looks at whole tensors') as error:
        ranks.number_of(TrainConfig(processes=2, optim=OptimConfig(name="muon")))
    assert error.value.problems[0].where == "train.processes"
