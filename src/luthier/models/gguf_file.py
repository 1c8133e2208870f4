"""One GGUF file from a network and its tokenizer, as llama.cpp and what is built on it read it, and the proof of it.

Covered: the shapes in `SHAPES`, with weights in float32, bfloat16 or float16; norms and biases are always float32.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from luthier.errors import ModelError, Problem
from luthier.models.export import Check, Probes, compare_ids
from luthier.models.gguf_tokens import Vocabulary, encoder_of, vocabulary_of
from luthier.models.load import Model

SHAPES = ("llama", "qwen2", "qwen3")
"""Architectures that are written, by their name in config.json (`model_type`) and in GGUF alike."""
PARTS = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
KINDS = {
    "float32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "bfloat16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "float16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
}
OTHER_WAY = "export a folder (--to DIR) and convert it with llama.cpp's own converter"
YARN_OWN = {"attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow", "truncate"}
"""Settings of YaRN that the format writes otherwise than transformers means them."""


def refuse_unknown(model: Model) -> None:
    """ModelError that names what the file could not say of this network: its architecture, or a setting of it."""
    config, where = model.network.config, f"{model.folder}/config.json"
    if config.model_type not in SHAPES:
        raise ModelError(
            "this architecture cannot be written as GGUF",
            [Problem(where=f"{where}: model_type", found=f"{config.model_type!r}",
                     expected="one of " + ", ".join(SHAPES), fix=OTHER_WAY)],
        )  # fmt: skip
    rope = config.rope_parameters
    scalings = ("default", "linear", "yarn", *(["llama3"] if config.model_type == "llama" else []))
    problems = [
        Problem(where=f"{where}: {key}", found=repr(found), expected=expected,
                fix=OTHER_WAY)
        for key, found, expected, is_right in (
            ("hidden_act", config.hidden_act, '"silu"', config.hidden_act == "silu"),
            ("rope_parameters.rope_type", rope["rope_type"], "one of " + ", ".join(scalings),
             rope["rope_type"] in scalings),
            ("rope_parameters", sorted(YARN_OWN & set(rope)), "none of these",
             rope["rope_type"] != "yarn" or not YARN_OWN & set(rope)),
            ("rope_parameters.partial_rotary_factor", rope.get("partial_rotary_factor", 1.0), "1.0",
             rope.get("partial_rotary_factor", 1.0) == 1.0),
            ("layer_types", "sliding_attention", "full attention in every layer",
             "sliding_attention" not in (getattr(config, "layer_types", None) or ())),
            ("attention_bias", True, "false",
             config.model_type != "qwen3" or not getattr(config, "attention_bias", False)),
        ) if not is_right
    ]  # fmt: skip
    if problems:
        raise ModelError("this network cannot be written as GGUF", problems)


def write(model: Model, path: Path, *, dtype: str, name: str) -> Vocabulary:
    """Write the network (its weights as they are, matrices in `dtype`) and the tokenizer to `path`."""
    network = model.network
    refuse_unknown(model)
    vocabulary = vocabulary_of(model, size=network.get_input_embeddings().weight.shape[0])
    # The format has one name per shape, and the shape's name is its own in transformers.
    writer = gguf.GGUFWriter(None, network.config.model_type)
    _add_sizes(writer, network.config)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    if model.licence:
        writer.add_license(model.licence)
    matrix_kind, file_kind = KINDS[dtype]
    writer.add_file_type(file_kind)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_vocabulary(writer, vocabulary)
    tensors = dict(_tensors(network))
    for key, tensor in tensors.items():
        kind = matrix_kind if tensor.dim() > 1 else gguf.GGMLQuantizationType.F32
        num_bytes = tensor.numel() * (4 if kind == gguf.GGMLQuantizationType.F32 else 2)
        writer.add_tensor_info(key, list(tensor.shape), np.dtype(np.float32), num_bytes, raw_dtype=kind)
    try:
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors.values():  # one at a time, so that a second copy of the network is never held
            writer.write_tensor_data(_raw(tensor, matrix_kind if tensor.dim() > 1 else gguf.GGMLQuantizationType.F32))
    finally:
        writer.close()
    return vocabulary


def reload(path: Path, model: Model) -> Any:
    """The network as transformers reads the file's tensors, in float32, with the sizes that `model` has."""
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that cannot be switched off
        network = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, config=model.network.config, dtype=torch.float32
        )
    return network.eval()


def fields_of(path: Path) -> dict[str, Any]:
    """The metadata of a GGUF file."""
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def check_tokens(path: Path, model: Model, probes: Probes) -> Check:
    """Whether the file's tokenizer and chat template, by llama.cpp's rules, give the ids that training saw."""
    fields = fields_of(path)
    encode = encoder_of(fields)
    pairs = []
    for conversation in probes.conversations:
        text = model.tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in conversation], tokenize=False,
            chat_template=fields["tokenizer.chat_template"], add_generation_prompt=True,
        )  # fmt: skip
        pairs.append((model.renderer.prompt(conversation), encode(text)))
    is_composed = not any("NFC" in json_part for json_part in [str(model.tokenizer.backend_tokenizer.normalizer)])
    pairs += [(model.renderer.encode(text), encode(text)) for text in probes.texts if is_composed or text.isascii()]
    return compare_ids(pairs, reader="the GGUF file")


def _tensors(network: Any) -> Iterator[tuple[str, Tensor]]:
    """The network's weights under their GGUF names, with heads' rows in the order of the format."""
    config = network.config
    rotary = network.model.rotary_emb
    if config.rope_parameters["rope_type"] == "llama3":
        # By how much each frequency was lowered: the format has a tensor for what config.json has four numbers for.
        steps = torch.arange(0, config.head_dim, 2).double() / config.head_dim
        plain = config.rope_parameters["rope_theta"] ** -steps
        yield "rope_freqs.weight", (plain / rotary.inv_freq.double().cpu()).float()
    for name, parameter in network.named_parameters():  # a tied head is the embeddings, and is listed once
        place, _, ending = name.rpartition(".")
        layer = LAYER.fullmatch(place)
        part = PARTS.get(layer[2]) if layer else OUTER.get(place)
        if part is None:
            raise ModelError(
                "this network cannot be written as GGUF",
                [Problem(where=name, found="a tensor that this shape does not have elsewhere",
                         expected="the tensors of " + ", ".join(SHAPES), fix=OTHER_WAY)],
            )  # fmt: skip
        tensor = parameter.detach()
        if config.model_type == "llama" and part in ("attn_q", "attn_k"):
            heads = config.num_attention_heads if part == "attn_q" else config.num_key_value_heads
            tensor = _interleaved(tensor, heads=heads)
        yield (f"blk.{layer[1]}.{part}.{ending}" if layer else f"{part}.{ending}"), tensor


def _interleaved(rows: Tensor, *, heads: int) -> Tensor:
    """The rows of each head with the two halves of its rotary pairs side by side: 0, d/2, 1, d/2 + 1, ...

    transformers turns dimension i together with i + d/2, readers of the Llama shape i together with i + 1.
    """
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _raw(tensor: Tensor, kind: gguf.GGMLQuantizationType) -> np.ndarray[Any, Any]:
    """The bytes of a tensor in the number format `kind`."""
    tensor = tensor.cpu().contiguous()
    if kind == gguf.GGMLQuantizationType.BF16:
        return tensor.to(torch.bfloat16).view(torch.int16).numpy()
    return tensor.to(torch.float16 if kind == gguf.GGMLQuantizationType.F16 else torch.float32).numpy()


def _add_sizes(writer: gguf.GGUFWriter, config: Any) -> None:
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.kind)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    writer.add_token_merges(vocabulary.merges)
    for name, i in vocabulary.special.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", i)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(False)
    if vocabulary.add_space_prefix is not None:
        writer.add_add_space_prefix(vocabulary.add_space_prefix)
    writer.add_chat_template(vocabulary.chat_template)
