"""New tokenizers and networks."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from fakes import TINY_TEXT
from luthier.config import load_config
from luthier.errors import ConfigError
from luthier.models.build import build_model, new_network, train_tokenizer
from luthier.models.config import BuildConfig
from luthier.models.load import load_model
from luthier.recipes.pretrain import PretrainRecipe
from luthier.records import Message

SIZES = BuildConfig(vocabulary=320, hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=24, positions=32)


def test_a_built_model_loads_by_the_public_loader_with_the_sizes_asked(tmp_path):
    build_model(SIZES, TINY_TEXT, tmp_path / "a", seed=3)
    config = AutoModelForCausalLM.from_pretrained(tmp_path / "a").config
    assert [config.vocab_size, config.hidden_size, config.num_hidden_layers, config.num_attention_heads,
            config.num_key_value_heads, config.intermediate_size, config.max_position_embeddings] == [320, 16, 1, 2, 1, 24, 32]  # fmt: skip
    model = load_model(tmp_path / "a")
    assert model.max_length == 32 and model.notices == () and len(model.tokenizer) <= 320


def test_the_seed_decides_the_weights(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build_model(SIZES, TINY_TEXT, tmp_path / name, seed=seed)
    a, b, c = (load_model(tmp_path / name) for name in "abc")
    assert a.digest == b.digest != c.digest
    assert not torch.equal(a.network.get_input_embeddings().weight, c.network.get_input_embeddings().weight)


@pytest.mark.parametrize("roles", ["tokens", "words"])
def test_the_chat_format_is_of_tokens_or_of_words_and_answers_end_with_a_token(tmp_path, roles):
    build_model(SIZES.model_copy(update={"roles": roles}), TINY_TEXT, tmp_path, seed=3)
    renderer = load_model(tmp_path).renderer
    said = [Message(role="user", content="Hot?"), Message(role="assistant", content="Cold.")]
    written = {"tokens": "<|user|>Hot?<|end|><|assistant|>Cold.<|end|>", "words": "[user] Hot?\n[assistant] Cold.<|end|>"}
    assert renderer.text(said) == written[roles]
    (row,) = renderer.render(said)
    trained = [i for i, weight in zip(row.token_ids, row.weights, strict=True) if weight]
    assert renderer.tokenizer.decode(trained) == ("" if roles == "tokens" else " ") + "Cold.<|end|>"
    assert renderer.prompt(said[:1]) == list(row.token_ids[: len(row.token_ids) - len(trained)])
    words = build_vocabulary(tmp_path)
    assert {"<|user|>", "<|end|>"} <= words  # so that one format can be changed for the other


def build_vocabulary(folder) -> set[str]:
    return set(load_model(folder).tokenizer.get_vocab())


def test_any_text_can_be_spelled_and_digits_stand_alone():
    tokenizer = train_tokenizer(TINY_TEXT, vocabulary=320, positions=32)
    for text in ("日本\u2028\x00😀", " lead and trail ", "<|end|> in text"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.convert_ids_to_tokens(tokenizer("1234").input_ids) == ["1", "2", "3", "4"]


def test_the_plain_shape_is_drawn_as_llama_with_nothing_between_the_seed_and_the_weights(tmp_path):
    """So that a base which was built before experts and untied heads were there is built again to the bit."""
    build_model(SIZES, TINY_TEXT, tmp_path, seed=3)
    torch.manual_seed(3)
    plain = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=320, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=32, tie_word_embeddings=True, bos_token_id=None,
            eos_token_id=0, pad_token_id=None,
        )
    )  # fmt: skip
    built = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert built.config.model_type == "llama"
    weights = plain.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in built.state_dict().items())


def test_experts_make_a_mixture_with_the_sizes_asked(tmp_path):
    sizes = SIZES.model_copy(update={"experts": 3, "experts_per_token": 2, "layers": 2})
    build_model(sizes, TINY_TEXT, tmp_path, seed=3)
    model = load_model(tmp_path, device="cpu")
    config, network = model.network.config, model.network
    assert [config.model_type, config.num_experts, config.num_experts_per_tok, config.moe_intermediate_size] == ["qwen3_moe", 3, 2, 24]  # fmt: skip
    assert {tuple(layer.mlp.experts.down_proj.shape) for layer in network.model.layers} == {(3, 16, 24)}
    ids = torch.tensor([model.tokenizer(TINY_TEXT[0]).input_ids[:32]])
    out = network(input_ids=ids, labels=ids, output_router_logits=True)
    assert out.router_logits[0].shape == (ids.shape[1], 3) and out.aux_loss > 0
    out.loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_fewer_experts_a_token_give_another_answer_with_the_same_weights():
    ids = torch.arange(20)[None]
    answers = []
    for number in (1, 2):
        torch.manual_seed(0)
        network = new_network(SIZES.model_copy(update={"experts": 4, "experts_per_token": number}), eos_token_id=0)
        answers.append(network(input_ids=ids).logits)
    assert not torch.allclose(*answers)


def test_an_untied_head_has_weights_of_its_own(tmp_path):
    for name, tied in (("tied", True), ("untied", False)):
        build_model(SIZES.model_copy(update={"tied": tied}), TINY_TEXT, tmp_path / name, seed=3)
    tied, untied = (load_model(tmp_path / name, device="cpu") for name in ("tied", "untied"))
    assert untied.num_parameters - tied.num_parameters == 320 * 16
    embeddings, head = untied.network.get_input_embeddings().weight, untied.network.get_output_embeddings().weight
    assert not torch.equal(embeddings, head)


@pytest.mark.parametrize(
    ("build", "key", "expected"),
    [
        ("heads = 12", "heads", "a divisor of hidden = 256"),
        ("hidden = 100", "heads", "heads of an even width"),
        ("kv_heads = 3", "kv_heads", "a divisor of heads = 4"),
        ("experts = 4\nexperts_per_token = 5", "experts_per_token", "at most experts = 4"),
        ("experts_per_token = 1", "experts_per_token", "this key beside build.experts only"),
        ("grow_layers = 1", "grow_layers", "this key beside build.start only"),
        ("remove_layers = [1]", "remove_layers", "this key beside build.start only"),
        ('start = "m"\nhidden = 256', "hidden", "no size beside build.start"),
        ('start = "m"\ntied = true', "tied", "no size beside build.start"),
        ('start = "m"\nprune_layers = 1\nremove_layers = [1]', "prune_layers", "either this key or remove_layers"),
    ],
)
def test_sizes_that_do_not_fit_or_that_nothing_reads_name_their_key(build, key, expected, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'[data]\n[train]\nmethod = "pretrain"\n[run]\ndir = "r"\n[build]\n{build}\n')
    with pytest.raises(ConfigError) as caught:
        load_config(PretrainRecipe, recipe)
    (problem,) = caught.value.problems
    assert problem.where.endswith(f": build.{key}") and problem.where.startswith(f"{recipe}:")
    assert problem.expected.startswith(expected)


def test_every_size_fits_or_is_refused_before_a_network_is_drawn():
    for hidden, heads, kv_heads in ((16, 2, 1), (24, 3, 3), (24, 4, 2), (20, 2, 2), (12, 6, 6)):
        sizes = SIZES.model_copy(update={"hidden": hidden, "heads": heads, "kv_heads": kv_heads})
        assert BuildConfig(**sizes.model_dump(include={"hidden", "heads", "kv_heads"}))
        network = new_network(sizes, eos_token_id=0)
        assert network(input_ids=torch.arange(9)[None]).logits.isfinite().all()
