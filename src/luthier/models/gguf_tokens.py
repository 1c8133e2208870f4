"""A tokenizer as the metadata of a GGUF file, and read back from one by the rules of llama.cpp.

Two kinds exist there. "gpt2": byte-level BPE, where a name ("pre") stands for the expressions that split text first.
"llama": SentencePiece-like BPE over characters with bytes for what has no token, where scores stand for the merges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

from luthier.errors import ModelError, Problem
from luthier.models.load import Model

GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS = {
    "gpt-2": (GPT2_WORDS,),
    "smollm": (r"\p{N}", GPT2_WORDS),
    "llama-bpe": (LLAMA3_WORDS,),
    "smaug-bpe": (LLAMA3_WORDS,),
    "qwen2": (QWEN2_WORDS,),
}
"""What each name means: expressions that cut text one after another, before bytes are merged."""
WHOLE_WORDS = ("llama-bpe",)
"""Names under which a piece that is a token as it stands is never built from merges."""
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "▁"
MARKER = re.compile(r"\{%([-+]?)\s*(generation|endgeneration)\s*([-+]?)%\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Everything that a GGUF file says about a tokenizer."""

    kind: str
    """"gpt2" or "llama"."""
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    """Pairs in the order in which they merge; readers of "llama" files may leave them aside."""
    scores: list[float]
    """The higher, the earlier a token is merged; empty for "gpt2"."""
    special: dict[str, int]
    """Ids by their GGUF name: bos, eos, unknown, padding, eot."""
    add_bos: bool
    add_space_prefix: bool | None
    chat_template: str
    notes: tuple[str, ...]


def vocabulary_of(model: Model, *, size: int) -> Vocabulary:
    """The model's tokenizer with `size` tokens, one for each row of the embeddings.

    ModelError where the format has no words for it: another algorithm, an unknown way to split, tokens that eat spaces.
    """
    backend = model.tokenizer.backend_tokenizer
    data = json.loads(backend.to_str())
    where = str(model.folder / "tokenizer.json")
    kind, pre, space_prefix, notes = _kind_of(data, where=where)
    _refuse_greedy_spaces(data["added_tokens"], where=where)
    ids: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    if max(ids.values()) >= size:
        raise _unsupported(where, f"token {max(ids.values())}, with {size} rows of embeddings", "a row for every token",
                           "train with the tokenizer that the embeddings belong to")  # fmt: skip
    tokens = [f"[PAD{i}]" for i in range(size)]
    types = [UNUSED] * size
    for token, i in ids.items():
        tokens[i], types[i] = token, NORMAL
        if kind == "llama" and re.fullmatch(r"<0x[0-9A-F]{2}>", token):
            types[i] = BYTE
    for added in data["added_tokens"]:
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
        if kind == "llama" and not added["special"]:
            tokens[added["id"]] = added["content"].replace(SPACE, " ")
    if kind == "llama" and model.tokenizer.unk_token_id is not None:
        types[model.tokenizer.unk_token_id] = UNKNOWN
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    add_bos, bos_notes = _add_bos(model)
    return Vocabulary(
        kind=kind, pre=pre, tokens=tokens, types=types, merges=merges,
        scores=_scores(tokens, merges) if kind == "llama" else [], special=_special(model), add_bos=add_bos,
        add_space_prefix=space_prefix, chat_template=MARKER.sub(_plain_marker, model.renderer.template),
        notes=(*notes, *bos_notes),
    )  # fmt: skip


def encoder_of(fields: Mapping[str, Any]) -> Callable[[str], list[int]]:
    """The tokenizer that a GGUF file describes, by llama.cpp's rules: text to token ids, without BOS."""
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    whole = sorted((token for token, kind in zip(tokens, types, strict=True) if kind in (CONTROL, USER_DEFINED)),
                   key=len, reverse=True)  # fmt: skip
    ids = {token: i for i, token in enumerate(tokens)}
    if fields["tokenizer.ggml.model"] == "llama":
        return _sentencepiece(fields, ids=ids, whole=whole)
    pre = fields["tokenizer.ggml.pre"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=pre in WHOLE_WORDS))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*(pre_tokenizers.Split(Regex(words), behavior="isolated") for words in SPLITS[pre]),
         pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )  # fmt: skip
    backend.add_tokens([AddedToken(token, normalized=False, special=False) for token in whole])
    return lambda text: list(backend.encode(text, add_special_tokens=False).ids)


def _kind_of(data: Mapping[str, Any], *, where: str) -> tuple[str, str, bool | None, list[str]]:
    """Kind, pre, whether text gets a space before it, and notes."""
    model, normalizer, pre = data["model"], data["normalizer"], data["pre_tokenizer"]
    if model["type"] != "BPE" or model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise _unsupported(where, f"a {model['type']} model", "byte-level BPE, or SentencePiece-like BPE", OTHER_WAY)
    if model.get("byte_fallback"):
        return "llama", "default", _space_prefix(normalizer, pre, where=where), []
    notes = []
    if normalizer is not None:
        if normalizer != {"type": "NFC"}:
            raise _unsupported(where, f"the normalizer {normalizer['type']}", "none, or NFC", OTHER_WAY)
        notes.append("readers of GGUF do not compose characters (NFC): decomposed accents get other tokens there")
    shape = _steps(pre)
    for name, splits in SPLITS.items():
        if shape == (*splits, "bytes") and (name in WHOLE_WORDS) == bool(model.get("ignore_merges")):
            return "gpt2", name, None, notes
    raise _unsupported(where, f"the pre-tokenizer {json.dumps(pre)[:300]}",
                       f"one that GGUF has a name for ({', '.join(SPLITS)})", OTHER_WAY)  # fmt: skip


def _steps(pre: Mapping[str, Any] | None) -> tuple[str, ...]:
    """A pre-tokenizer as words that can be compared; what this file does not know becomes its JSON."""
    steps = pre["pretokenizers"] if pre and pre["type"] == "Sequence" else [pre]
    names = []
    for step in steps:
        match step:
            case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": bool(words)}:
                names += [GPT2_WORDS, "bytes"] if words else ["bytes"]
            case {"type": "Digits", "individual_digits": True}:
                names.append(r"\p{N}")
            case {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}:
                names.append(expression)
            case _:
                names.append(json.dumps(step))
    return tuple(names)


def _space_prefix(normalizer: Mapping[str, Any] | None, pre: Mapping[str, Any] | None, *, where: str) -> bool:
    """Whether a SentencePiece-like tokenizer puts a space before text, the only thing that GGUF can say of it."""
    escape = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    steps = normalizer["normalizers"] if normalizer and normalizer["type"] == "Sequence" else [normalizer]
    match [pre, *steps]:
        case [None, {"type": "Prepend", "prepend": "▁"}, step] if step == escape:
            return True
        case [None, step] if step == escape:
            return False
        case [{"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}, None]:
            return bool(scheme != "never")
    raise _unsupported(where, f"the normalizer {json.dumps(normalizer)[:200]} with the pre-tokenizer "
                       f"{json.dumps(pre)[:200]}", "spaces written as ▁, with or without one before the text",
                       OTHER_WAY)  # fmt: skip


def _refuse_greedy_spaces(added: list[dict[str, Any]], *, where: str) -> None:
    for token in added:
        if token["lstrip"] or token["rstrip"] or token["single_word"]:
            raise _unsupported(where, f"the token {token['content']!r}, which takes spaces beside it or needs a border",
                               "tokens that match as they stand", OTHER_WAY)  # fmt: skip


def _scores(tokens: list[str], merges: list[str]) -> list[float]:
    """Minus the rank of the first merge that makes a token: the reader merges the highest score first."""
    rank: dict[str, int] = {}
    for number, merge in enumerate(merges):
        rank.setdefault(merge.replace(" ", "", 1), number)
    return [float(-rank.get(token, len(merges))) for token in tokens]


def _special(model: Model) -> dict[str, int]:
    tokenizer = model.tokenizer
    named = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "unknown": tokenizer.unk_token_id,
             "padding": tokenizer.pad_token_id}  # fmt: skip
    turn_ends = sorted(model.renderer.stop_ids - {tokenizer.eos_token_id})
    if turn_ends:
        named["eot"] = turn_ends[0]
    return {name: int(i) for name, i in named.items() if i is not None}


def _add_bos(model: Model) -> tuple[bool, list[str]]:
    """Whether a reader should put BOS before a prompt: only if chat prompts begin with it, as in training."""
    bos = model.tokenizer.bos_token_id
    if bos is None or not model.bos_ids:
        return False, []
    if "bos_token" in model.renderer.template or model.tokenizer.bos_token in model.renderer.template:
        return True, []
    return False, ["the tokenizer puts BOS before plain text, the chat template does not: the file says no BOS, so "
                   "that chat prompts are those of training"]  # fmt: skip


def _plain_marker(match: re.Match[str]) -> str:
    """Generation markers are known to trainers only; a block that is always entered keeps the white space as it is."""
    word = "if true" if match[2] == "generation" else "endif"
    return f"{{%{match[1]} {word} {match[3]}%}}"


def _sentencepiece(fields: Mapping[str, Any], *, ids: dict[str, int], whole: list[str]) -> Callable[[str], list[int]]:
    scores = fields["tokenizer.ggml.scores"]
    prefix = SPACE if fields["tokenizer.ggml.add_space_prefix"] else ""
    border = re.compile("(" + "|".join(map(re.escape, whole)) + ")") if whole else None
    known = set(whole)

    def merge(text: str) -> Iterator[int]:
        symbols = list(prefix + text.replace(" ", SPACE))
        while True:
            pairs = [(scores[ids[a + b]], -t) for t, (a, b) in enumerate(pairwise(symbols))
                     if a + b in ids]  # fmt: skip
            if not pairs:
                break
            place = -max(pairs)[1]
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        for symbol in symbols:
            yield from [ids[symbol]] if symbol in ids else (ids[f"<0x{byte:02X}>"] for byte in symbol.encode())

    def encode(text: str) -> list[int]:
        pieces = border.split(text) if border else [text]
        return [i for piece in pieces if piece for i in ([ids[piece]] if piece in known else merge(piece))]

    return encode


OTHER_WAY = "export a folder (--to DIR), which keeps the tokenizer as it is"


def _unsupported(where: str, found: str, expected: str, fix: str) -> ModelError:
    return ModelError("the tokenizer cannot be written as GGUF",
                      [Problem(where=where, found=found, expected=expected, fix=fix)])  # fmt: skip
