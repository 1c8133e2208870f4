"""A GGUF file says what the network says, to readers that know nothing of Luthier."""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
from pathlib import Path

import gguf
import pytest
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import luthier.demo
from fakes import TINY_TEXT, tiny_tokenizer
from luthier.errors import ModelError
from luthier.models import gguf_file
from luthier.models.build import CHAT_TEMPLATE
from luthier.models.export import PROSE, probes_of
from luthier.models.gguf_tokens import GPT2_WORDS, LLAMA3_WORDS, QWEN2_WORDS, SPLITS, encoder_of, vocabulary_of
from luthier.models.load import load_model
from luthier.recipes.export import main
from luthier.records import Message

DEMO = Path(luthier.demo.__file__).parent / "model"
SIZES = {
    "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.2, "bos_token_id": None,
    "eos_token_id": 0, "pad_token_id": None,
}  # fmt: skip
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 32}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
NETWORKS = {
    "llama": (transformers.LlamaConfig, {"head_dim": 8, "tie_word_embeddings": True}),
    "llama_untied": (transformers.LlamaConfig, {"head_dim": 16, "tie_word_embeddings": False, "rms_norm_eps": 1e-3}),
    "llama_biases": (transformers.LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "llama_of_long_context": (transformers.LlamaConfig, {"rope_parameters": LLAMA3_ROPE}),
    "llama_scaled": (transformers.LlamaConfig,
                     {"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 3.0}}),
    "qwen2": (transformers.Qwen2Config, {"tie_word_embeddings": True}),
    "qwen2_of_long_context": (transformers.Qwen2Config, {"rope_parameters": YARN}),
    "qwen3": (transformers.Qwen3Config, {"head_dim": 8, "tie_word_embeddings": False}),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A model folder of a network in NETWORKS, with biases and norms that matter."""

    def make(name):
        kind, sizes = NETWORKS[name]
        torch.manual_seed(0)
        network = AutoModelForCausalLM.from_config(kind(**SIZES, **sizes))
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.data += torch.randn(parameter.shape) * 0.2
        network.save_pretrained(tmp_path / name)
        # Transformers gives every Qwen2 folder its own way to split and one more token, whatever tokenizer.json says.
        tiny_tokenizer("llama", vocabulary=390 if "qwen2" in name else 400, positions=128).save_pretrained(
            tmp_path / name
        )
        return tmp_path / name

    return make


def run(model, to, **options):
    lines = []
    return main(model, to=to, say=lines.append, **options), "\n".join(lines)


def from_file_alone(path):
    """The network and the tokenizer that transformers makes of the file, without any other file."""
    assert [other.name for other in path.parent.iterdir() if other.suffix in (".json", ".safetensors")] == []
    with contextlib.redirect_stderr(io.StringIO()):
        network = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        return network.eval(), AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


@torch.no_grad()
def logits(network, ids):
    return network.eval()(input_ids=torch.tensor([ids])).logits[0]


class PlainReader:
    """A forward pass from nothing but the file, as the format defines it: written for this test, slow and plain."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items()}
        self.weights = {t.name: torch.tensor(gguf.dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}
        self.arch = self.fields["general.architecture"]

    def size(self, name):
        return self.fields[f"{self.arch}.{name}"]

    def linear(self, x, name):
        bias = self.weights.get(f"{name}.bias")
        return x @ self.weights[f"{name}.weight"].T + (0 if bias is None else bias)

    def norm(self, x, name):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.size("attention.layer_norm_rms_epsilon"))
        return x * scale * self.weights[f"{name}.weight"]

    def angles(self, length):
        """Angle of each pair at each position, and what the turned vectors are multiplied with."""
        dim = self.size("rope.dimension_count")
        pair, base = torch.arange(dim // 2).double(), self.size("rope.freq_base")
        speed = base ** (-2 * pair / dim)
        if "rope_freqs.weight" in self.weights:
            speed = speed / self.weights["rope_freqs.weight"].double()
        gain, kind = 1.0, self.fields.get(f"{self.arch}.rope.scaling.type")
        if kind:
            factor = self.size("rope.scaling.factor")
            share = torch.ones(dim // 2).double()  # how far each pair is slowed down
            if kind == "yarn":
                context = self.size("rope.scaling.original_context_length")
                low, high = (
                    dim * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(base)) for turns in (32, 1)
                )
                low, high = max(0, math.floor(low)), min(dim - 1, math.ceil(high))
                share = ((pair - low) / max(0.001, high - low)).clamp(0, 1)
                gain = 1 + 0.1 * math.log(factor)
            speed = speed * (1 - share) + speed / factor * share
        return torch.arange(length).double()[:, None] * speed, gain

    def turn(self, x):
        """Rotary positions on [T, heads, dim]: Llama turns neighbours together, Qwen the two halves."""
        angles, gain = self.angles(len(x))
        cos, sin = (f(angles).float()[:, None] * gain for f in (torch.cos, torch.sin))
        half = x.shape[-1] // 2
        a, b = (x[..., 0::2], x[..., 1::2]) if self.arch == "llama" else (x[..., :half], x[..., half:])
        turned = (a * cos - b * sin, b * cos + a * sin)
        return torch.stack(turned, -1).flatten(-2) if self.arch == "llama" else torch.cat(turned, -1)

    def attention(self, x, block):
        dim, heads, kv = (self.size(f"attention.{n}") for n in ("key_length", "head_count", "head_count_kv"))
        q, k, v = (self.linear(x, f"{block}.attn_{n}").unflatten(-1, (-1, dim)) for n in "qkv")
        if f"{block}.attn_q_norm.weight" in self.weights:
            q, k = self.norm(q, f"{block}.attn_q_norm"), self.norm(k, f"{block}.attn_k_norm")
        q, k = self.turn(q), self.turn(k).repeat_interleave(heads // kv, 1)
        scores = torch.einsum("thd,shd->hts", q, k) / math.sqrt(dim)
        scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -math.inf).softmax(-1)
        mixed = torch.einsum("hts,shd->thd", scores, v.repeat_interleave(heads // kv, 1)).flatten(1)
        return self.linear(mixed, f"{block}.attn_output")

    def __call__(self, ids):
        x = self.weights["token_embd.weight"][ids]
        for n in range(self.size("block_count")):
            block = f"blk.{n}"
            x = x + self.attention(self.norm(x, f"{block}.attn_norm"), block)
            y = self.norm(x, f"{block}.ffn_norm")
            gate = torch.nn.functional.silu(self.linear(y, f"{block}.ffn_gate"))
            x = x + self.linear(gate * self.linear(y, f"{block}.ffn_up"), f"{block}.ffn_down")
        head = "output" if "output.weight" in self.weights else "token_embd"
        return self.norm(x, "output_norm") @ self.weights[f"{head}.weight"].T


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plain_reader_of_the_file_computes_the_same_logits(folder, tmp_path, name):
    """Sizes, eps, rotary base and scaling, biases, q and k rows, tied or own head: from the file alone."""
    source = folder(name)
    done, said = run(source, tmp_path / "out" / "model.gguf")
    assert done.passed, said
    ids = torch.randint(0, 400, (100,), generator=torch.Generator().manual_seed(1)).tolist()
    wanted = logits(AutoModelForCausalLM.from_pretrained(source), ids)
    found = PlainReader(tmp_path / "out" / "model.gguf")(ids)
    assert torch.allclose(found, wanted, atol=2e-4 * wanted.abs().max().item()), (found - wanted).abs().max()
    assert ("output.weight" in PlainReader(tmp_path / "out" / "model.gguf").weights) == (
        not NETWORKS[name][1].get("tie_word_embeddings", False)
    )


def test_a_wrong_order_of_the_rotary_rows_would_be_noticed(folder, tmp_path, monkeypatch):
    """The proof can fail: rows as transformers has them are another network to readers of the Llama shape."""
    monkeypatch.setattr(gguf_file, "_interleaved", lambda rows, heads: rows)
    done, said = run(folder("llama"), tmp_path / "model.gguf")
    assert not done.passed and "FAILED | reloading" in said and not (tmp_path / "model.gguf").exists()


def test_transformers_reads_the_practice_base_from_the_file_alone(tmp_path):
    """Tokenizer, chat template and weights of a byte-level model, loaded elsewhere, ids compared."""
    path = tmp_path / "practice.gguf"
    assert run(DEMO, path)[0].passed
    network, tokenizer = from_file_alone(path)
    model = load_model(DEMO)
    ids = model.renderer.prompt([Message(role="user", content="Where is the blue lamp of Anna? It cost 12 coins.")])
    assert network.config.tie_word_embeddings and network.config.rms_norm_eps == pytest.approx(1e-6)
    assert tokenizer.apply_chat_template(
        [{"role": "user", "content": "Where is the blue lamp of Anna? It cost 12 coins."}], add_generation_prompt=True,
        return_dict=False,
    ) == ids  # fmt: skip
    assert torch.equal(logits(model.network, ids), logits(network, ids))


def test_transformers_reads_the_real_small_model_from_the_file_alone(real_data, tmp_path):
    """A SentencePiece-like tokenizer; the ids of real stories, by transformers and by llama.cpp's rules."""
    path = tmp_path / "stories.gguf"
    assert run(real_data / "stories260k", path)[0].passed
    network, tokenizer = from_file_alone(path)
    model = load_model(real_data / "stories260k")
    stories = json.loads((real_data / "text" / "tinystories_1000.json").read_text())[:20]
    texts = [story if isinstance(story, str) else next(iter(story.values())) for story in stories]
    encode = encoder_of(gguf_file.fields_of(path))
    for text in texts:
        ids = model.renderer.encode(text[:400])
        assert encode(text[:400]) == ids == tokenizer(text[:400], add_special_tokens=False).input_ids
    ids = model.tokenizer(texts[0]).input_ids[:200]
    assert torch.equal(logits(network, ids), logits(model.network, ids))
    fields = gguf_file.fields_of(path)
    assert fields["tokenizer.ggml.model"] == "llama" and fields["tokenizer.ggml.add_space_prefix"] is True
    assert fields["tokenizer.ggml.add_bos_token"] is True and fields["tokenizer.ggml.bos_token_id"] == 1
    kinds = dict(zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"], strict=True))
    assert (kinds["<unk>"], kinds["<s>"], kinds["<0x41>"], kinds["▁the"]) == (2, 3, 6, 1)


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "F32"), ("bfloat16", "BF16"), ("float16", "F16")])
def test_matrices_have_the_number_format_that_was_asked_for_and_norms_float32(folder, tmp_path, dtype, kind):
    run(folder("llama"), tmp_path / "model.gguf", dtype=dtype)
    kinds = {t.name.split(".")[-2]: t.tensor_type.name for t in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    assert (kinds["attn_q"], kinds["token_embd"], kinds["attn_norm"]) == (kind, kind, "F32")


def test_the_metadata_are_those_of_the_network_and_its_tokenizer(folder, tmp_path):
    source = folder("llama_untied")
    (source / "README.md").write_text("---\nlicense: mit\n---\n")
    run(source, tmp_path / "tuned.gguf", dtype="bfloat16")
    fields = gguf_file.fields_of(tmp_path / "tuned.gguf")
    expected = {
        "general.architecture": "llama", "general.name": "tuned", "general.license": "mit", "general.file_type": 32,
        "llama.vocab_size": 400, "llama.context_length": 128, "llama.embedding_length": 32, "llama.block_count": 2,
        "llama.feed_forward_length": 64, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
        "llama.attention.key_length": 16, "llama.attention.value_length": 16, "llama.rope.dimension_count": 16,
        "llama.rope.freq_base": 10000.0, "llama.attention.layer_norm_rms_epsilon": pytest.approx(1e-3),
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": False,
    }  # fmt: skip
    assert {name: fields.get(name) for name in expected} == expected
    assert "tokenizer.ggml.bos_token_id" not in fields and "llama.rope.scaling.type" not in fields
    tokenizer = load_model(source).tokenizer
    assert fields["tokenizer.ggml.tokens"] == tokenizer.convert_ids_to_tokens(range(400))
    assert fields["tokenizer.ggml.token_type"] == [3] * 4 + [1] * 396


def test_rows_of_the_embeddings_without_a_token_get_a_name_that_no_text_has(folder):
    vocabulary = vocabulary_of(load_model(folder("llama")), size=408)
    assert vocabulary.tokens[400:] == [f"[PAD{i}]" for i in range(400, 408)]
    assert vocabulary.types[400:] == [5] * 8


def test_a_tokenizer_with_more_tokens_than_rows_is_an_error(folder):
    with pytest.raises(ModelError, match="token 399, with 390 rows"):
        vocabulary_of(load_model(folder("llama")), size=390)


def test_the_chat_template_is_written_without_the_markers_that_only_trainers_know(folder, tmp_path):
    """What it writes is the same, white space included."""
    source = folder("llama")
    strict = CHAT_TEMPLATE.replace("{% generation %}", "\n  {%- generation -%}\n ").replace("{% end", " {%- end")
    (source / "chat_template.jinja").write_text(strict)
    model = load_model(source)
    assert run(source, tmp_path / "model.gguf")[0].passed
    template = gguf_file.fields_of(tmp_path / "model.gguf")["tokenizer.chat_template"]
    assert "generation %}" not in template and "generation -%}" not in template and "{%- if true -%}" in template
    messages = [{"role": "user", "content": " a "}, {"role": "assistant", "content": " b\n"}]
    both = [model.tokenizer.apply_chat_template(messages, tokenize=False, chat_template=t) for t in (strict, template)]
    assert both[0] == both[1]


def byte_level(pre, *, ignore_merges=False, normalizer=None):
    """A tokenizer trained with these steps."""
    backend = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    backend.pre_tokenizer, backend.decoder, backend.normalizer = pre, decoders.ByteLevel(), normalizer
    backend.train_from_iterator(
        [*TINY_TEXT, *PROSE, "in 2024, 67890 of 12345", "2024 is not 1999; 67890"] * 3,
        trainers.BpeTrainer(vocab_size=390, special_tokens=["<|end|>"], show_progress=False,
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", model_max_length=128)


def split(expression):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])  # fmt: skip


def with_tokenizer(folder, tokenizer):
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return load_model(folder)


WAYS = {
    "gpt-2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "smollm": lambda: byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
    "llama-bpe": lambda: byte_level(split(LLAMA3_WORDS), ignore_merges=True),
    "smaug-bpe": lambda: byte_level(split(LLAMA3_WORDS)),
    "qwen2": lambda: byte_level(split(QWEN2_WORDS)),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_a_way_to_split_text_is_known_by_its_name_and_gives_the_same_ids(folder, tmp_path, name):
    """Text that these ways split differently."""
    source = folder("llama")
    model = with_tokenizer(source, WAYS[name]())
    assert run(source, tmp_path / "model.gguf")[0].passed
    fields = gguf_file.fields_of(tmp_path / "model.gguf")
    assert fields["tokenizer.ggml.pre"] == name
    probes = probes_of(model)
    encode = encoder_of(fields)
    assert [encode(text) for text in probes.texts] == [model.renderer.encode(text) for text in probes.texts]
    for other in {*WAYS} - ({"llama-bpe", "smaug-bpe"} if name == "qwen2" else set()):  # no merges of digits to tell by
        theirs = encoder_of(fields | {"tokenizer.ggml.pre": other})
        assert SPLITS[other] == SPLITS[name] or any(theirs(text) != encode(text) for text in probes.texts), other


def test_transformers_gives_real_splits_the_same_ids(folder, tmp_path):
    """By another reader of the format, for the two that most models have."""
    for name in ("llama-bpe", "qwen2"):
        source = folder("llama")
        model = with_tokenizer(source, WAYS[name]())
        (tmp_path / name).mkdir()
        run(source, tmp_path / name / "model.gguf")
        theirs = AutoTokenizer.from_pretrained(tmp_path / name, gguf_file="model.gguf")
        for text in PROSE:
            assert theirs(text, add_special_tokens=False).input_ids == model.renderer.encode(text)


def test_a_normalizer_is_stated_and_text_it_changes_is_not_compared(folder, tmp_path):
    source = folder("qwen2")
    with_tokenizer(source, byte_level(split(QWEN2_WORDS), normalizer=normalizers.NFC()))
    done, said = run(source, tmp_path / "model.gguf")
    assert done.passed and "do not compose characters (NFC)" in said


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (lambda: byte_level(pre_tokenizers.Whitespace()), "the pre-tokenizer"),
        (lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)), "the pre-tokenizer"),
        (lambda: byte_level(split(QWEN2_WORDS), ignore_merges=True), "the pre-tokenizer"),
        (lambda: byte_level(split(QWEN2_WORDS), normalizer=normalizers.Lowercase()), "the normalizer Lowercase"),
    ],
)
def test_a_tokenizer_that_the_format_cannot_describe_is_an_error(folder, tmp_path, tokenizer, message):
    source = folder("llama")
    with_tokenizer(source, tokenizer())
    with pytest.raises(ModelError, match=rf"cannot be written as GGUF[\s\S]*{message}[\s\S]*--to DIR"):
        run(source, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_a_token_that_eats_spaces_is_an_error(folder, tmp_path):
    source = folder("llama")
    tokenizer = byte_level(split(QWEN2_WORDS))
    tokenizer.add_tokens([AddedToken("order", rstrip=True)])
    with pytest.raises(ModelError, match="the token 'order', which takes spaces beside it"):
        vocabulary_of(with_tokenizer(source, tokenizer), size=408)


def test_a_file_with_other_merges_would_be_noticed(folder, tmp_path, monkeypatch):
    """The check of the ids can fail."""
    honest = gguf_file.vocabulary_of

    def careless(model, *, size):
        vocabulary = honest(model, size=size)
        vocabulary.merges.reverse()
        return vocabulary

    monkeypatch.setattr(gguf_file, "vocabulary_of", careless)
    done, said = run(folder("llama"), tmp_path / "model.gguf")
    assert not done.passed and "FAILED | token ids" in said and "the GGUF file sees" in said


def test_bos_is_left_to_the_template_and_the_turns_end_is_written(tiny_folder, real_data, tmp_path):
    """Doubled BOS: a reader puts it before a chat prompt only if training had it there."""
    folder = shutil.copytree(real_data / "stories260k", tmp_path / "stories", copy_function=shutil.copyfile)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace("<|end|>", "</s>"))
    vocabulary = vocabulary_of(load_model(folder), size=512)
    assert vocabulary.add_bos is False and "the file says no BOS" in vocabulary.notes[0]
    gemma = load_model(tiny_folder("gemma3"))
    special = vocabulary_of(gemma, size=400).special
    names = {name: gemma.tokenizer.convert_ids_to_tokens(i) for name, i in special.items()}
    assert (names["eos"], names["eot"], names["bos"]) == ("<eos>", "<end_of_turn>", "<bos>")


@pytest.mark.parametrize("shape", ["gemma3", "gpt2"])
def test_an_architecture_that_is_not_covered_is_named_with_those_that_are(tiny_folder, tmp_path, shape):
    wanted = {"gemma3": "gemma3_text", "gpt2": "gpt2"}[shape]
    with pytest.raises(ModelError, match=rf"model_type: found '{wanted}', expected one of llama, qwen2, qwen3"):
        run(tiny_folder(shape), tmp_path / "model.gguf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("llama", {"hidden_act": "gelu"}, "hidden_act: found 'gelu'"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "found 'dynamic'"),
        ("qwen2", {"rope_parameters": LLAMA3_ROPE}, "found 'llama3', expected one of default, linear, yarn"),
        ("qwen2", {"rope_parameters": {**YARN, "beta_fast": 16.0}}, "beta_fast"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}, "layer_types"),
        ("qwen3", {"attention_bias": True}, "attention_bias: found True"),
    ],
)
def test_a_setting_that_the_format_cannot_say_is_an_error(folder, name, changes, message):
    model = load_model(folder(name))
    kind, sizes = NETWORKS[name]
    network = AutoModelForCausalLM.from_config(kind(**SIZES, **(sizes | changes)))
    changed = type(model)(**{part: getattr(model, part) for part in model.__slots__} | {"network": network})
    with pytest.raises(ModelError, match=rf"cannot be written as GGUF[\s\S]*{message}"):
        gguf_file.refuse_unknown(changed)


def test_an_adapter_is_merged_before_it_becomes_a_file(load_tiny, tmp_path):
    from luthier.models.adapters import add_adapter, save_model

    model = add_adapter(load_tiny("qwen3"), rank=2, alpha=4.0, dropout=0.0, targets="all-linear")
    for part, parameter in model.network.named_parameters():
        if "lora_B" in part:
            parameter.data += 0.1
    save_model(model, tmp_path / "adapter")
    done, said = run(tmp_path / "adapter", tmp_path / "model.gguf")
    ids = [5, 6, 7, 8, 9]
    assert done.passed and "passed | merging: merged in float32" in said
    assert torch.allclose(PlainReader(tmp_path / "model.gguf")(ids), logits(model.network, ids), atol=2e-3)


def test_the_words_of_gpt2_are_those_that_tokenizers_has_built_in():
    built_in = pre_tokenizers.ByteLevel(add_prefix_space=False)
    spelled = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(GPT2_WORDS), "isolated"),
                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])  # fmt: skip
    for text in (*PROSE, *TINY_TEXT, " \n\n  x\t y  "):
        assert built_in.pre_tokenize_str(text) == spelled.pre_tokenize_str(text)
