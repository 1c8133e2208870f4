"""What a pattern freezes, in each shape of network; and patterns that are refused."""

from __future__ import annotations

import pytest
import torch
import transformers

from fakes import tiny_network
from luthier.errors import ConfigError
from luthier.train.freezing import freeze

EMBEDDINGS = {"gpt2": "transformer.wte.weight"}
LAYERS = {"gpt2": "transformer.h"}


def untied_network():
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2,
            tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, pad_token_id=None,
        )
    )  # fmt: skip


def frozen(network):
    return {name for name, p in network.named_parameters(remove_duplicate=False) if not p.requires_grad}


def test_embeddings_that_are_tied_to_the_head_freeze_it_and_say_so(shape):
    network = tiny_network(shape)
    name = EMBEDDINGS.get(shape, "model.embed_tokens.weight")
    assert freeze(network, ["embeddings"]) == [name, f"lm_head.weight (tied to {name})"]
    assert frozen(network) == {name, "lm_head.weight"}


def test_a_tied_head_freezes_the_embeddings_and_says_so():
    network = tiny_network("llama")
    names = freeze(network, ["lm_head.*"])
    assert names == ["model.embed_tokens.weight", "lm_head.weight (tied to model.embed_tokens.weight)"]


@pytest.mark.parametrize(("word", "name"), [("embeddings", "model.embed_tokens.weight"), ("head", "lm_head.weight")])
def test_embeddings_and_head_that_are_apart_freeze_apart(word, name):
    network = untied_network()
    assert freeze(network, [word]) == [name]
    assert frozen(network) == {name}


def test_a_layer_is_frozen_whole_and_alone(shape):
    network = tiny_network(shape)
    prefix = LAYERS.get(shape, "model.layers")
    names = freeze(network, ["layers.1"])
    assert set(names) == frozen(network) == {n for n, _ in network.named_parameters() if n.startswith(f"{prefix}.1.")}
    assert names


def test_a_range_of_layers_includes_its_last():
    network = untied_network()
    freeze(network, ["layers.1-2"])
    assert {name.split(".")[2] for name in frozen(network)} == {"1", "2"}


def test_experts_of_a_layer_are_not_taken_for_layers():
    torch.manual_seed(0)
    network = transformers.MixtralForCausalLM(
        transformers.MixtralConfig(
            vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, num_local_experts=2, num_experts_per_tok=1, bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    freeze(network, ["layers.1"])
    assert frozen(network) == {name for name, _ in network.named_parameters() if name.startswith("model.layers.1.")}


def test_a_pattern_is_matched_with_whole_names():
    network = tiny_network("llama")
    names = freeze(network, ["*norm*", "model.layers.0.mlp.up_proj.weight"])
    wanted = {n for n, _ in network.named_parameters() if "norm" in n} | {"model.layers.0.mlp.up_proj.weight"}
    assert set(names) == frozen(network) == wanted and len(wanted) == 6
    with pytest.raises(ConfigError):
        freeze(network, ["up_proj"])


def test_what_is_frozen_gets_no_gradient_and_the_rest_does(shape):
    network = tiny_network(shape)
    freeze(network, ["embeddings", "layers.0"])
    ids = torch.arange(12)[None]
    network(input_ids=ids, labels=ids).loss.backward()
    for name, p in network.named_parameters():
        assert (p.grad is None) == (name in frozen(network))


@pytest.mark.parametrize("pattern", ["layers.2", "layers.1-7", "layers.1-0", "model.layer.*", "Embeddings", ""])
def test_a_pattern_that_matches_nothing_is_named_with_its_place_and_nothing_is_frozen(pattern):
    network = tiny_network("llama")
    with pytest.raises(ConfigError) as caught:
        freeze(network, ["embeddings", pattern])
    (problem,) = caught.value.problems
    assert problem.where == "train.freeze[1]" and repr(pattern) in problem.found
    assert '"layers.A-B" from 0 to 1' in problem.expected
    assert not frozen(network)


def test_every_bad_pattern_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        freeze(tiny_network("llama"), ["wrong", "head", "layers.9"])
    assert [problem.where for problem in caught.value.problems] == ["train.freeze[0]", "train.freeze[2]"]


def test_freezing_everything_is_refused():
    network = tiny_network("llama")
    with pytest.raises(ConfigError, match="freeze every parameter"):
        freeze(network, ["embeddings", "*"])
    assert not frozen(network)


def test_no_pattern_freezes_nothing():
    network = tiny_network("llama")
    assert freeze(network, []) == [] and not frozen(network)
