"""A model for elsewhere: adapters merged, the folder written whole, and what came out measured against what went in."""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.errors import ModelError, Problem
from luthier.models import parity
from luthier.models.adapters import save_model
from luthier.models.folders import base_of
from luthier.models.load import Model, quiet_peft
from luthier.models.tool_turns import has_tools
from luthier.records import Message
from luthier.records.jsonl import from_json

# Shape letters: T positions of a row, V vocabulary.

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
MIN_POSITIONS = 1000
MIN_AGREEMENT = 0.999
"""Merging in float32 that changes the likeliest token of more than one position in a thousand is a failed check."""
ROW_TOKENS = 128
SAME = 1e-4
"""Largest difference between two computations of the same logits, as a share of the largest logit."""
COMPANIONS = ("LICENSE*", "LICENCE*", "NOTICE*", "COPYING*", parity.FILE)
PROSE = (
    "The shop opens at 9 and closes at 18:30; call 555-0100, or write to anna@example.org.",
    "It's  two  spaces,\ta tab,\n\na blank line,   12  345 67890 and a trailing space ",
    "Ünïcödé, 日本語のテキスト, Привет, emoji 😀👩‍👩‍👧, fractions ½ ² and ‘quotes’ — don't, DON'T, we'll.",
    "def f(x):\n    return {'a': [1, 2.5e-3], \"b\": x ** 2}  # comment\r\n",
)
"""Text that tokenizers split differently: digits, runs of spaces, contractions, scripts, code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What a model is shown before and after."""

    rows: list[list[int]]
    texts: list[str]
    """Plain text, whose token ids are compared."""
    conversations: list[list[Message]]
    num_prompt_positions: int
    """Positions in `rows` that are prompts saved with the model; the rest is text made from the vocabulary."""

    @property
    def num_positions(self) -> int:
        """Positions in all rows."""
        return sum(map(len, self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far two computations of the same logits lie apart."""

    positions: int
    agree: int
    """Positions at which both find the same token likeliest."""
    largest: float
    """Largest difference of a logit."""
    scale: float
    """Largest logit, without its sign."""
    mean_kl: float
    """Mean over positions of KL(before || after), in nats."""

    @property
    def agreement(self) -> float:
        """Share of positions at which both find the same token likeliest."""
        return self.agree / self.positions

    @property
    def is_same(self) -> bool:
        """Whether the two differ by rounding in float32 only."""
        return self.largest <= SAME * max(self.scale, 1.0)

    def __str__(self) -> str:
        """The numbers in one sentence."""
        return (
            f"the likeliest token agrees at {self.agree:,} of {self.positions:,} positions ({self.agreement:.2%}), "
            f"largest logit difference {self.largest:.2g}, mean KL {max(self.mean_kl, 0.0):.2g} nats"
        )

    def to_json(self) -> dict[str, Any]:
        """The numbers, agreement included."""
        return {**asdict(self), "agreement": self.agreement}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, and what was found."""

    name: str
    passed: bool
    found: str


def probes_of(model: Model, *, min_positions: int = MIN_POSITIONS, seed: int = 0) -> Probes:
    """The prompts saved with the model, filled up with text of the vocabulary, drawn from `seed`."""
    limit = min(ROW_TOKENS, model.max_length)
    rows: list[list[int]] = []
    conversations: list[list[Message]] = []
    for row in _saved_rows(model.folder):
        messages = [from_json(Message, turn) for turn in row["messages"]]
        if not has_tools(messages, row.get("tools", ())):
            conversations.append(messages)
        rows.append(list(row["token_ids"])[:limit])
    num_prompt_positions = sum(map(len, rows))
    conversations = conversations or [[Message(role="user", content=text)] for text in PROSE]
    special = {*model.tokenizer.all_special_ids, *model.tokenizer.added_tokens_decoder}
    plain = sorted(i for i in model.tokenizer.get_vocab().values() if i not in special)
    draw = random.Random(seed)
    texts = list(PROSE)
    position_count = num_prompt_positions
    while position_count < min_positions or len(texts) < len(PROSE) + 2:
        text = model.tokenizer.decode(draw.choices(plain, k=limit))
        ids = model.renderer.encode(text)[:limit]
        texts.append(text)
        rows.append(ids)
        position_count += len(ids)
    return Probes(rows=rows, texts=texts, conversations=conversations, num_prompt_positions=num_prompt_positions)


@torch.no_grad()
def logits_of(network: Any, probes: Probes) -> list[Tensor]:
    """Logits [T, V] of each row, in float32 on the CPU."""
    device = next(network.parameters()).device
    return [network(input_ids=torch.tensor([row], device=device), use_cache=False).logits[0].float().cpu()
            for row in probes.rows]  # fmt: skip


def drift(before: Sequence[Tensor], after: Sequence[Tensor]) -> Drift:
    """How far the logits `after` lie from those `before`, row by row."""
    agree, largest, scale, kl, positions = 0, 0.0, 0.0, 0.0, 0
    for a_TV, b_TV in zip(before, after, strict=True):
        if a_TV.shape != b_TV.shape:
            raise ModelError(
                "the exported model cannot be compared",
                [Problem(where="logits", found=f"a vocabulary of {b_TV.shape[-1]}", expected=str(a_TV.shape[-1]),
                         fix="export again from a complete model")],
            )  # fmt: skip
        agree += int((a_TV.argmax(-1) == b_TV.argmax(-1)).sum())
        largest = max(largest, float((a_TV - b_TV).abs().max()))
        scale = max(scale, float(a_TV.abs().max()))
        p_TV, q_TV = a_TV.double().log_softmax(-1), b_TV.double().log_softmax(-1)
        kl += float((p_TV.exp() * (p_TV - q_TV)).sum())
        positions += len(a_TV)
    return Drift(positions=positions, agree=agree, largest=largest, scale=scale, mean_kl=kl / positions)


def merged(model: Model) -> Model:
    """The model with its adapter merged into the weights, in the float32 that it was loaded in; consumes the model."""
    _part_head(model.network)
    with quiet_peft(), warnings.catch_warnings():
        # Such a head is what these are about.
        warnings.filterwarnings("ignore", message="Model with `tie_word_embeddings=True`", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*no longer tied after merging", category=UserWarning)
        try:
            network = model.network.merge_and_unload(safe_merge=True)
        except ValueError as error:  # NaN or infinite weights
            raise _broken(model.folder, f"an adapter that cannot be merged ({str(error)[:200]})") from None
    return replace(model, network=network.eval())


def _part_head(network: Any) -> None:
    """Give a head of its own to a network whose embeddings and head are one matrix, when an adapter is on either.

    Merged into the shared matrix, the adapter of one would change the other.
    """
    from peft.tuners.lora.layer import LoraLayer

    layers = [network.get_input_embeddings(), network.get_output_embeddings()]
    if any(isinstance(layer, LoraLayer) for layer in layers):
        embeddings, head = (layer.get_base_layer() if isinstance(layer, LoraLayer) else layer for layer in layers)
        if embeddings.weight is head.weight:
            head.weight = torch.nn.Parameter(embeddings.weight.detach().clone())


def stored_dtype(folder: Path) -> str:
    """Number format of most weights in the base of `folder`; float32 where that is none of ours."""
    counts: dict[str, int] = {}
    for path in base_of(folder).glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                part = file.get_slice(name)
                size = 1
                for n in part.get_shape():
                    size *= n
                counts[part.get_dtype()] = counts.get(part.get_dtype(), 0) + size
    return STORED.get(max(counts, key=lambda kind: counts[kind]), "float32") if counts else "float32"


@torch.no_grad()
def round_weights(network: Any, dtype: str, *, matrices_only: bool = False) -> None:
    """Round every weight (or every matrix) to `dtype` in place; they stay float32. ModelError where one overflows."""
    if dtype == "float32":
        return
    for name, parameter in network.named_parameters():
        if matrices_only and parameter.dim() < 2:
            continue
        parameter.data = parameter.data.to(DTYPES[dtype]).float()
        if not torch.isfinite(parameter.data).all():
            raise ModelError(
                f"the weights do not fit into {dtype}",
                [Problem(where=name, found="values that became infinite", expected="finite weights",
                         fix="use --dtype bfloat16, which has the range of float32, or --dtype float32")],
            )  # fmt: skip


def write_folder(model: Model, folder: Path, *, dtype: str) -> None:
    """Weights in `dtype`, tokenizer, chat template, generation config, parity rows, licence and model card."""
    model.network.to(DTYPES[dtype])
    save_model(model, folder)
    copy_companions(model, folder)


def write_adapter(model: Model, folder: Path) -> None:
    """The adapter in peft's layout, with everything that goes along but the base's weights."""
    save_model(model, folder)
    copy_companions(model, folder)


def copy_companions(model: Model, folder: Path) -> None:
    """Parity rows, licence files and model card; without a card, one that states the licence."""
    for place in (base_of(model.folder), model.folder):
        for pattern in COMPANIONS:
            if pattern == parity.FILE and place != model.folder:
                continue  # the base's rows were rendered with the base's template
            for path in place.glob(pattern):
                shutil.copy2(path, folder / path.name)
    card = model.folder / "README.md"
    if card.is_file():
        shutil.copy2(card, folder / "README.md")
    elif model.licence:
        base = base_of(model.folder)
        text = f"---\nlicense: {model.licence}\n---\nExported by Luthier from {model.folder.name}"
        text += f", an adapter on {base.name}.\n" if base != model.folder else ".\n"
        (folder / "README.md").write_text(text, encoding="utf-8")


def reload_folder(folder: Path) -> Any:
    """The written network as transformers alone reads it, in float32."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()


def check_tokens(folder: Path, model: Model, probes: Probes) -> Check:
    """Whether transformers alone gives the prompts and texts the ids that training saw."""
    theirs = AutoTokenizer.from_pretrained(folder)
    pairs = [
        (model.renderer.prompt(conversation),
         theirs.apply_chat_template([{"role": m.role, "content": m.content} for m in conversation],
                                    add_generation_prompt=True, tokenize=True, return_dict=False))
        for conversation in probes.conversations
    ]  # fmt: skip
    pairs += [(model.renderer.encode(text), theirs(text, add_special_tokens=False).input_ids) for text in probes.texts]
    return compare_ids(pairs, reader="transformers")


def compare_ids(pairs: Sequence[tuple[list[int], list[int]]], *, reader: str) -> Check:
    """Whether both of each pair are the same ids; the first difference is named."""
    for number, (ours, their) in enumerate(pairs, start=1):
        if list(ours) != list(their):
            place = next((t for t, (a, b) in enumerate(zip(ours, their, strict=False)) if a != b),
                         min(len(ours), len(their)))  # fmt: skip
            found = f"text {number} of {len(pairs)}, position {place}: {reader} sees {list(their)[place : place + 5]}"
            found += f", the model was trained on {list(ours)[place : place + 5]}"
            return Check(name="token ids", passed=False, found=found)
    return Check(name="token ids", passed=True, found=f"{reader} gives {len(pairs)} texts the ids of training")


@contextmanager
def written_whole(to: Path, *, num_bytes: int) -> Iterator[Partial]:
    """A folder beside `to` to write in; `Partial.keep` moves the result to `to`, else nothing of it stays.

    ModelError when `to` is there already, when the disk has no room for `num_bytes`, or when a write fails.
    """
    refuse_existing(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(to.parent).free
    if free < num_bytes:
        raise _not_written(to, f"{free / 1e6:,.0f} MB free", num_bytes)
    folder = to.parent / f"{to.name}.partial"
    shutil.rmtree(folder, ignore_errors=True)  # what a killed export left behind
    folder.mkdir()
    try:
        yield Partial(folder=folder, to=to)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        raise _not_written(to, f"a write that failed ({reason})", num_bytes) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Partial:
    """A result that is not yet where it belongs."""

    folder: Path
    to: Path

    def keep(self, path: Path) -> int:
        """Move `path`, the folder or a file in it, to its place; returns its bytes."""
        size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
        os.replace(path, self.to)
        return size


def refuse_existing(to: Path) -> None:
    """ModelError when something is at `to` already; an empty folder is not something."""
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise ModelError(
            "the export would overwrite something",
            [Problem(where=f"--to {to}", found="a file or a folder that is not empty", expected="a new path",
                     fix="give another --to, or remove it first")],
        )  # fmt: skip


def _saved_rows(folder: Path) -> list[dict[str, Any]]:
    path = folder / parity.FILE
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    return rows


def _not_written(to: Path, found: str, num_bytes: int) -> ModelError:
    return ModelError(
        "the export could not be written, and nothing of it was left",
        [Problem(where=str(to), found=found, expected=f"room for about {num_bytes / 1e6:,.1f} MB",
                 fix="free some disk space, or give --to on another disk")],
    )  # fmt: skip


def _broken(folder: Path, found: str) -> ModelError:
    return ModelError(
        "the model cannot be exported",
        [Problem(where=str(folder), found=found, expected="finite weights", fix="export another checkpoint")],
    )
