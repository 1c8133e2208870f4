"""New tokenizers and networks."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM

from fakes import TINY_TEXT
from luthier.models.build import build_model, train_tokenizer
from luthier.models.config import BuildConfig
from luthier.models.load import load_model

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


def test_any_text_can_be_spelled_and_digits_stand_alone():
    tokenizer = train_tokenizer(TINY_TEXT, vocabulary=320, positions=32)
    for text in ("日本\u2028\x00😀", " lead and trail ", "<|end|> in text"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.convert_ids_to_tokens(tokenizer("1234").input_ids) == ["1", "2", "3", "4"]
