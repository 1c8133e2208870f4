"""A new tokenizer and a new network from a few sizes, in Hugging Face layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from luthier.models.config import BuildConfig

EOS = "<|end|>"
SPECIAL_TOKENS = (EOS, "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The chat format of models that Luthier builds: a role token, the content, an end token; no BOS."""


def build_model(config: BuildConfig, documents: Iterable[str], folder: Path, *, seed: int) -> None:
    """Train a byte-level BPE tokenizer on `documents`, draw a network from `seed`, write both to `folder`."""
    tokenizer = train_tokenizer(documents, vocabulary=config.vocabulary, positions=config.positions)
    torch.manual_seed(seed)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary, hidden_size=config.hidden, intermediate_size=config.feed_forward,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, num_key_value_heads=config.kv_heads,
            max_position_embeddings=config.positions, tie_word_embeddings=True, bos_token_id=None,
            eos_token_id=tokenizer.convert_tokens_to_ids(EOS), pad_token_id=None,
        )
    )  # fmt: skip
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train_tokenizer(documents: Iterable[str], *, vocabulary: int, positions: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text can be spelled, nothing is ever unknown. Digits stand alone, so sums are regular."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator(documents, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=EOS, model_max_length=positions)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[1:])})
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
