"""How rows pass through a network: what is refused, what it falls back to, and that the fallback is right."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from fakes import ALL_SHAPES, tiny_network
from luthier.errors import ConfigError, ModelError
from luthier.models import attention, passes
from luthier.models.attention import PackedRows, is_packed
from luthier.models.passes import Pass, forward, has_experts, settle, why_not

V = 120
NAMES = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "vocab_size": V, "initializer_range": 0.2}
WIDTHS = NAMES | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES = WIDTHS | {"intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": 256}
EXPERTS = {"num_experts_per_tok": 2}
OLD = NAMES | {"n_embd": 32, "n_layer": 2, "n_head": 4}

UNPACKABLE = {
    "soft cap (Gemma 2)": (
        lambda: transformers.Gemma2Config(**SIZES, head_dim=8, sliding_window=24, query_pre_attn_scalar=8), "softcap"),
    "attention sinks (GPT-OSS)": (
        lambda: transformers.GptOssConfig(**SIZES, **EXPERTS, head_dim=8, num_local_experts=4, sliding_window=24), "s_aux"),
    "chunked attention (Llama 4)": (
        lambda: transformers.Llama4TextConfig(**SIZES, head_dim=8, intermediate_size_mlp=64, attention_chunk_size=16,
                                              num_local_experts=2, moe_layers=[]), "chunks of fixed places"),
    "its own mask (BLOOM)": (
        lambda: transformers.BloomConfig(**NAMES, hidden_size=32, n_layer=2, n_head=4), "together than alone"),
    "no attention interface (GPT-J)": (
        lambda: transformers.GPTJConfig(**OLD, rotary_dim=4, n_positions=256), "together than alone"),
    "code that needs a mask (Falcon)": (
        lambda: transformers.FalconConfig(**WIDTHS, alibi=True), "its own code does not take it"),
    "a recurrent model (Mamba)": (
        lambda: transformers.MambaConfig(**NAMES, hidden_size=32, num_hidden_layers=2, state_size=4),
        "together than alone"),
    "convolutions (LFM 2)": (
        lambda: transformers.Lfm2Config(**SIZES, layer_types=["conv", "full_attention"]), "together than alone"),
}  # fmt: skip


def network_of(config) -> torch.nn.Module:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config)


def rows_of(*lengths) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randint(V, (n,), generator=random) for n in lengths]


def alone(network, row) -> torch.Tensor:
    """Log-probabilities of the row's tokens after the first, from the library's forward pass over it."""
    logits = network(input_ids=row[None]).logits[0, :-1]
    return torch.log_softmax(logits, -1)[torch.arange(len(row) - 1), row[1:]]


def passed(network, rows, how: Pass, *, padding: int = 0) -> passes.Passed:
    """The rows through `forward`, every token but the first a target."""
    lengths = [len(row) for row in rows]
    if how.is_packed:
        ids, packed = torch.cat(rows)[None], PackedRows.of(lengths)
        starts = packed.bounds.tolist()
    else:
        ids, packed = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=padding), None
        starts = [i * ids.shape[1] for i in range(len(rows))]
    flat = torch.cat([torch.arange(s, s + n - 1) for s, n in zip(starts, lengths, strict=False)])
    return forward(network, ids, flat, how=how, lengths=lengths, rows=packed)


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("autocast", [False, True])
def test_every_shape_is_packed_and_fused(shape, autocast):
    """The windows of Mistral and Gemma 3 are crossed by the rows that they are tried on."""
    network = tiny_network(shape, vocabulary=V)
    with_router = has_experts(network)
    assert with_router == (shape in ("qwen3_moe", "mixtral"))
    how, reason = settle(network, with_router=with_router, autocast=autocast)
    assert (how, reason) == (Pass(is_packed=True, is_fused=True, with_router=with_router, autocast=autocast), "")
    padded = Pass(is_fused=True, with_router=with_router, autocast=autocast)
    assert settle(network, packing="padded", with_router=with_router, autocast=autocast) == (padded, "")


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_bfloat16_weights_are_packed_too(shape):
    assert settle(tiny_network(shape, vocabulary=V).bfloat16())[0] == Pass(is_packed=True, is_fused=True)


@pytest.mark.parametrize("kind", UNPACKABLE)
def test_a_network_that_cannot_keep_rows_apart_is_refused_and_right_when_padded(kind):
    """An error names train.packing; "auto" falls back to padded rows, which are those of each row alone."""
    config, why = UNPACKABLE[kind]
    network = network_of(config())
    with pytest.raises(ConfigError, match=why) as caught:
        settle(network, packing="packed")
    assert caught.value.problems[0].where == "train.packing" and "padded" in caught.value.problems[0].fix
    how, reason = settle(network)
    assert how == Pass(is_fused=True) and why in reason and "\n" not in reason
    assert not is_packed(network) and network.training
    rows = rows_of(31, 4, 12)
    network.eval()
    expected = torch.cat([alone(network, row) for row in rows])
    wanted = torch.autograd.grad(
        expected.sum(), [p for p in network.parameters() if p.requires_grad], allow_unused=True
    )
    for padding in (0, 3):
        found = passed(network, rows, how, padding=padding).logprobs(torch.cat([row[1:] for row in rows]))
        assert torch.allclose(found, expected, atol=1e-4)
        grads = torch.autograd.grad(found.sum(), [*network.parameters()], allow_unused=True)
        for a, b in zip(grads, wanted, strict=True):
            assert (a is None) == (b is None)
            assert a is None or float((a - b).abs().max()) <= 1e-4 * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("packing", ["auto", "packed", "padded"])
def test_a_model_that_sees_the_tokens_to_come_is_refused(packing):
    """It would learn to copy: its loss falls, and it cannot speak."""
    config = transformers.BertConfig(**WIDTHS, intermediate_size=64, is_decoder=False)
    network = network_of(config)
    with pytest.raises(ModelError, match="tokens to come") as caught:
        settle(network, packing=packing)
    assert caught.value.problems[0].where == "model.base"
    network.config.is_decoder = True
    assert settle(network_of(network.config), packing="padded")[0] == Pass(is_fused=True)


def test_windows_of_some_layers_only_are_kept_apart_from_the_others():
    """EXAONE 4 carries its window on the layers that see everything too; Qwen2-MoE never hands it down."""
    for config in (
        transformers.Exaone4Config(**SIZES, sliding_window=24, sliding_window_pattern=2),
        transformers.Qwen2MoeConfig(**SIZES, **EXPERTS, num_experts=4, moe_intermediate_size=32, sliding_window=24,
                                    shared_expert_intermediate_size=32, use_sliding_window=True, max_window_layers=1),
    ):  # fmt: skip
        assert sorted(config.layer_types) == ["full_attention", "sliding_attention"]
        assert settle(network_of(config), packing="packed")[0].is_packed


def test_a_window_is_crossed_in_the_proof_when_the_rows_will_cross_it(monkeypatch):
    """Were the window not kept, rows longer than it would tell; shorter ones cannot, and need not."""
    network = tiny_network("mistral", vocabulary=V)
    monkeypatch.setattr(attention, "_band", lambda n, window, device: torch.ones(n, n, dtype=torch.bool).tril())
    assert settle(network, longest=24)[0].is_packed
    how, reason = settle(network, longest=25)
    assert not how.is_packed and "together than alone" in reason


def test_positions_that_do_not_restart_are_found_out(monkeypatch):
    """Learned and rotary positions that run on over the line are another model."""
    of = PackedRows.of

    def running_on(lengths):
        rows = of(lengths)
        return replace(rows, positions_1T=torch.arange(sum(lengths))[None])

    monkeypatch.setattr(PackedRows, "of", staticmethod(running_on))
    reason = why_not(tiny_network("gpt2", vocabulary=V), Pass(is_packed=True))
    assert "together than alone" in reason


def test_a_neighbour_that_shines_through_is_found_out(monkeypatch):
    """Less than any tolerance, yet not nothing."""
    network = tiny_network("llama", vocabulary=V)
    by_length = attention._by_length

    def leaking(query, key, value, lengths, **options):
        return by_length(query, key, value, lengths, **options) + 1e-5 * value.mean()

    monkeypatch.setattr(attention, "_by_length", leaking)
    assert "sees its neighbour" in why_not(network, Pass(is_packed=True))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks under an old name
def test_a_head_that_does_more_than_its_weights_say_is_not_fused():
    network = tiny_network("mistral", vocabulary=V)
    network.lm_head.register_forward_hook(lambda module, inputs, out: out * 1.1)
    assert settle(network)[0] == Pass(is_packed=True)
    adapted = get_peft_model(tiny_network("mistral", vocabulary=V), LoraConfig(r=2, target_modules=["lm_head"]))
    assert settle(adapted)[0] == Pass(is_packed=True)
    assert "more than a linear layer" in why_not(adapted, Pass(is_fused=True))


@pytest.mark.parametrize("config", ["CohereConfig", "GraniteConfig", "Gemma2Config"])
def test_scaled_and_capped_logits_are_fused(config):
    """With the scale of Cohere, the divisor of Granite and the cap of Gemma 2."""
    extra = {
        "CohereConfig": {"logit_scale": 0.3}, "GraniteConfig": {"logits_scaling": 4.0},
        "Gemma2Config": {"head_dim": 8, "final_logit_softcapping": 2.0},
    }[config]  # fmt: skip
    network = network_of(getattr(transformers, config)(**SIZES, **extra))
    how, _ = settle(network)
    assert how.is_fused
    network.eval()
    rows = rows_of(9, 5)
    expected = torch.cat([alone(network, row) for row in rows])
    targets = torch.cat([row[1:] for row in rows])
    with how.mode(network):
        found = passed(network, rows, how)
    assert torch.allclose(found.logprobs(targets), expected, atol=1e-5)
    unscaled = replace(found, head=found.head._replace(scale=1.0, cap=None))
    assert not torch.allclose(unscaled.logprobs(targets), expected, atol=1e-2)


def test_numbers_that_are_not_finite_are_no_proof():
    network = tiny_network("llama", vocabulary=V)
    torch.nn.init.constant_(network.model.norm.weight, float("nan"))
    assert "by nan" in why_not(network, Pass(is_packed=True))


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_packed_rows_belong_inside_the_mode_and_padded_rows_outside(shape):
    """Either mistake would let rows see each other."""
    network = tiny_network(shape, vocabulary=V)
    rows = rows_of(5, 3)
    packed, padded = Pass(is_packed=True), Pass()
    with pytest.raises(RuntimeError, match=r"inside Pass\.mode"):
        passed(network, rows, packed)
    with packed.mode(network), pytest.raises(RuntimeError, match="outside"):
        passed(network, rows, padded)
    ids, flat = torch.cat(rows)[None], torch.tensor([0])
    with packed.mode(network), pytest.raises(RuntimeError, match="inside"):
        forward(network, ids, flat, how=packed, lengths=[5, 3])  # packed, but nobody says where the rows are
    with pytest.raises(RuntimeError, match="outside"):
        forward(network, ids, flat, how=padded, lengths=[5, 3], rows=PackedRows.of([5, 3]))
    with packed.mode(network):
        assert passed(network, rows, packed).logits_NV.shape == (6, V)
    assert passed(network, rows, padded).logits_NV.shape == (6, V)


def test_a_plain_call_inside_the_mode_raises():
    """Whoever forgets the rows (generation, say) gets no attention over the whole line."""
    network = tiny_network("llama", vocabulary=V)
    with Pass(is_packed=True).mode(network), pytest.raises(attention.NotIsolated, match="without its rows"):
        network(input_ids=torch.cat(rows_of(5, 3))[None])


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_network_is_left_as_it_was_found(is_training, autocast):
    """Its mode, module by module, gradients that are there already, and the state of what will be drawn."""
    for network in (tiny_network("gpt2", vocabulary=V, dropout=0.5), network_of(UNPACKABLE["soft cap (Gemma 2)"][0]())):
        network.train(is_training)
        body = network.base_model
        body.train(not is_training)
        before, state = network.config._attn_implementation, torch.get_rng_state()
        parameters = dict(network.named_parameters())
        for name in list(parameters)[::2]:
            parameters[name].grad = torch.full_like(parameters[name], 0.5)
        grads = {name: p.grad for name, p in parameters.items()}
        values = {name: p.detach().clone() for name, p in parameters.items()}
        settle(network, autocast=autocast)
        assert network.config._attn_implementation == before
        assert network.training == is_training and all(m.training != is_training for m in body.modules())
        assert not network.get_output_embeddings()._forward_pre_hooks
        assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()
        for name, p in parameters.items():
            assert p.grad is grads[name] and (p.grad is None or bool((p.grad == 0.5).all()))
            assert torch.equal(p.detach(), values[name])


def test_a_fused_pass_never_makes_the_whole_logits():
    """The network's own forward pass runs on, but its head is given nothing."""
    network = tiny_network("llama", vocabulary=V)
    seen = []
    network.lm_head.register_forward_hook(lambda module, inputs, out: seen.append(out.numel()))
    found = passed(network, rows_of(5, 3), Pass(is_fused=True))
    assert seen == [0] and found.logits_NV is None and found.hidden_NH.shape == (6, 32)
    passed(network, rows_of(5, 3), Pass())
    assert seen == [0, 6 * V]


@pytest.mark.parametrize("is_fused", [False, True])
def test_a_pass_without_trained_positions_has_loss_0(is_fused):
    """And its backward pass gives zeros, never NaN."""
    network = tiny_network("qwen3", vocabulary=V)
    none = torch.tensor([], dtype=torch.int64)
    found = forward(network, rows_of(7)[0][None], none, how=Pass(is_fused=is_fused), lengths=[7])
    loss = found.nll(none, torch.tensor([]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in network.parameters())
