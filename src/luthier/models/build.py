"""A new tokenizer and a new network from a few sizes, in Hugging Face layout; and a tokenizer that learns on."""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3MoeConfig, Qwen3MoeForCausalLM

from luthier.errors import ModelError, Problem
from luthier.models.config import BuildConfig

transformers.logging.disable_progress_bar()

EOS = "<|end|>"
SPECIAL_TOKENS = (EOS, "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""A chat format in tokens: a role token, the content, an end token; no BOS."""
WORDS_TEMPLATE = (
    "{% for message in messages %}{{ '[' + message['role'] + ']' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ ' ' + message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ ' ' + message['content'] + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
"""A chat format in words, whose answers alone end with a token. The blank before an answer is the answer's: most words
are one token with it and another without."""
CHAT_TEMPLATES = {"tokens": CHAT_TEMPLATE, "words": WORDS_TEMPLATE}
"""By `build.roles`. The role tokens are in the vocabulary either way."""


def build_model(config: BuildConfig, documents: Iterable[str], folder: Path, *, seed: int) -> None:
    """Train a byte-level BPE tokenizer on `documents`, draw a network from `seed`, write both to `folder`."""
    tokenizer = train_tokenizer(documents, vocabulary=config.vocabulary, positions=config.positions)
    tokenizer.chat_template = CHAT_TEMPLATES[config.roles]
    torch.manual_seed(seed)
    network = new_network(config, eos_token_id=tokenizer.convert_tokens_to_ids(EOS))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def new_network(config: BuildConfig, *, eos_token_id: int) -> Any:
    """A network of these sizes, drawn from torch's default generator.

    Llama's shape; with experts Qwen3-MoE's, whose heads are normed, and whose router weighs the chosen experts by a
    softmax over them, as Mixtral's does (arXiv:2401.04088).
    """
    sizes: dict[str, Any] = {
        "vocab_size": config.vocabulary, "hidden_size": config.hidden, "intermediate_size": config.feed_forward,
        "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads, "max_position_embeddings": config.positions,
        "tie_word_embeddings": config.tied, "bos_token_id": None, "eos_token_id": eos_token_id, "pad_token_id": None,
    }  # fmt: skip
    if config.experts is None:
        return LlamaForCausalLM(LlamaConfig(**sizes))
    return Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            **sizes, head_dim=config.hidden // config.heads, moe_intermediate_size=config.feed_forward,
            num_experts=config.experts, num_experts_per_tok=config.experts_per_token, norm_topk_prob=True,
        )
    )  # fmt: skip


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


def extend_tokenizer(folder: Path, documents: Iterable[str], *, number: int) -> dict[int, tuple[int, ...]]:
    """Teach the byte-pair tokenizer in `folder` `number` further merges of `documents`; the ids of each one's parts.

    Its file is written anew. New merges come after all old ones, so a text is cut where it was cut before or at fewer
    places, and no old token changes its id. ModelError where the tokenizer is of another kind or the text has no more.
    """
    path = folder / "tokenizer.json"
    backend = Tokenizer.from_file(str(path))
    spec = json.loads(backend.to_str())
    model = spec["model"]
    if model["type"] != "BPE" or backend.pre_tokenizer is None or model.get("end_of_word_suffix") or (
        model.get("continuing_subword_prefix")
    ):  # fmt: skip
        raise _cannot_grow(f"a tokenizer of another kind ({model['type']})", "byte-pair merges within words",
                           "leave the key out, or start from a model with such a tokenizer")  # fmt: skip
    old = backend.get_vocab(with_added_tokens=True)
    learned = _learned_merges(_cut_words(backend, documents), number=number, taken=set(old))
    if len(learned) < number:
        raise _cannot_grow(f"{number:,}, yet the text repeats only {len(learned):,} more pairs of tokens",
                           "a smaller number", "lower it, or add text")  # fmt: skip
    # Without holes: added tokens may stand between the old merges and the new ones.
    model["vocab"] |= {token: id_ for token, id_ in old.items() if token not in model["vocab"]}
    parts: dict[str, tuple[int, ...]] = {token: (id_,) for token, id_ in old.items()}
    first = max(old.values()) + 1
    for id_, (left, right) in enumerate(learned, start=first):
        model["vocab"][left + right] = id_
        model["merges"].append([left, right])
        parts[left + right] = parts[left] + parts[right]
    path.write_text(json.dumps(spec, ensure_ascii=False, indent=2), encoding="utf-8")
    return {first + n: parts[left + right] for n, (left, right) in enumerate(learned)}


def _cut_words(backend: Tokenizer, documents: Iterable[str]) -> Counter[tuple[str, ...]]:
    """The words of the documents as the tokenizer cuts them, with how often each occurs."""
    words: Counter[str] = Counter()
    for text in documents:
        plain = backend.normalizer.normalize_str(text) if backend.normalizer is not None else text
        words.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(plain))
    cut = {word: tuple(token.value for token in backend.model.tokenize(word)) for word in words}
    # A word that needed a stand-in for something unknown cannot be put together from its tokens.
    return Counter({cut[word]: number for word, number in words.items() if "".join(cut[word]) == word})


def _learned_merges(words: Mapping[tuple[str, ...], int], *, number: int, taken: set[str]) -> list[tuple[str, str]]:
    """The most frequent pair of neighbours, again and again; none that would spell a token which is there already."""
    cut, counts = [list(word) for word in words], list(words.values())
    pairs: Counter[tuple[str, str]] = Counter()
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for place, word in enumerate(cut):
        for pair in pairwise(word):
            pairs[pair] += counts[place]
            places[pair].add(place)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(queue)
    learned: list[tuple[str, str]] = []
    while queue and len(learned) < number:
        count, best = heapq.heappop(queue)
        # A count that has changed since stands in the queue again.
        if -count != pairs[best] or -count < 2 or "".join(best) in taken:
            continue
        learned.append(best)
        taken.add("".join(best))
        changed: set[tuple[str, str]] = set()
        for place in places.pop(best):
            for pair in pairwise(cut[place]):
                pairs[pair] -= counts[place]
                changed.add(pair)
            cut[place] = _joined(cut[place], best)
            for pair in pairwise(cut[place]):
                pairs[pair] += counts[place]
                places[pair].add(place)
                changed.add(pair)
        for pair in changed:
            heapq.heappush(queue, (-pairs[pair], pair))
    return learned


def _joined(word: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for token in word:
        if result and (result[-1], token) == pair:
            result[-1] += token
        else:
            result.append(token)
    return result


def _cannot_grow(found: str, expected: str, fix: str) -> ModelError:
    return ModelError("the vocabulary cannot grow",
                      [Problem(where="build.grow_vocabulary", found=found, expected=expected, fix=fix)])  # fmt: skip
