"""What every contender of `bench.train` is given: a model folder, rows of Dolly, and the rows of each step."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.shapes import Shape

LARGEST_TOKENIZER = 49_152
"""A larger vocabulary is the network's alone: the texts here would not fill it, and its size is what costs time."""
SHORT_PROMPT, SHORT_ANSWER = 57, 56
"""Mean tokens of "short" rows, as in a typical instruction set."""
NATURAL_LENGTH = 512
"""Longest "natural" row in tokens."""


class Sized(NamedTuple):
    """A row and its lengths in tokens."""

    row: dict[str, Any]
    prompt: int
    answer: int


def data_folder() -> Path:
    """The folder of real data; it does not ship with Luthier."""
    folder = os.environ.get("LUTHIER_TEST_DATA", "")
    if not (Path(folder) / "dolly" / "dolly_15k.jsonl.gz").is_file():
        raise SystemExit("set LUTHIER_TEST_DATA to a folder that holds dolly/dolly_15k.jsonl.gz (databricks-dolly-15k)")
    return Path(folder)


def dolly_rows(data: Path) -> list[dict[str, Any]]:
    """Dolly as conversations of one turn, in the order of the file; rows without an answer are left out."""
    rows = []
    with gzip.open(data / "dolly" / "dolly_15k.jsonl.gz", "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            found = json.loads(line)
            prompt = "\n\n".join(part for part in (found["instruction"].strip(), found["context"].strip()) if part)
            answer = found["response"].strip()
            if prompt and answer:
                messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
                rows.append({"messages": messages, "source": f"dolly_15k.jsonl:{number}"})
    return rows


def texts(data: Path) -> Iterator[str]:
    """What the tokenizer learns from: Dolly, and the other English texts that are there."""
    for row in dolly_rows(data):
        yield from (message["content"] for message in row["messages"])
    for path in sorted((data / "text").glob("*.txt")):
        yield from path.read_text(encoding="utf-8").split("\n")
    tasks = data / "superni" / "instances.jsonl.gz"
    if tasks.is_file():
        with gzip.open(tasks, "rt", encoding="utf-8") as file:
            yield from (json.loads(line)["input"] for line in file)


def write_model(shape: Shape, folder: Path, *, data: Path, seed: int) -> None:
    """A random network of the shape and a byte-level BPE tokenizer with Luthier's chat format, for both tools."""
    import torch

    from luthier.models.build import train_tokenizer

    size = min(shape.vocabulary, LARGEST_TOKENIZER)
    tokenizer = train_tokenizer(texts(data), vocabulary=size, positions=shape.positions)
    assert len(tokenizer) <= shape.vocabulary
    torch.manual_seed(seed)
    network = _network(shape, eos=int(tokenizer.convert_tokens_to_ids(tokenizer.eos_token)))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _network(shape: Shape, *, eos: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    config, network = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}[shape.kind]
    return network(config(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim, max_position_embeddings=shape.positions, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=eos, pad_token_id=None,
    ))  # fmt: skip


def sized_rows(rows: Sequence[dict[str, Any]], folder: Path) -> list[Sized]:
    """Rows with their lengths as the model in `folder` renders them."""
    from transformers import AutoTokenizer

    from luthier.models.render import Renderer
    from luthier.records import Message

    renderer = Renderer(AutoTokenizer.from_pretrained(folder), name=str(folder))
    sized = []
    for row in rows:
        (rendered,) = renderer.render([Message(**message) for message in row["messages"]])
        answer = sum(weight > 0 for weight in rendered.weights)
        sized.append(Sized(row, len(rendered.token_ids) - answer, answer))
    return sized


def choose(sized: Sequence[Sized], *, kind: str, number: int, seed: int) -> list[Sized]:
    """`number` rows drawn from the seed, none twice.

    "natural": any of at most `NATURAL_LENGTH` tokens. "short": prompt and answer each between a third and twice the
    aimed mean, taken one at a time where they bring both means nearer to the aims or leave them within a token.
    """
    drawn = [sized[i] for i in np.random.Generator(np.random.PCG64(seed)).permutation(len(sized))]
    if kind == "natural":
        chosen = [row for row in drawn if row.prompt + row.answer <= NATURAL_LENGTH][:number]
    else:
        near = [r for r in drawn if _near(r.prompt, SHORT_PROMPT) and _near(r.answer, SHORT_ANSWER)]
        chosen = _with_mean(near, number)
    if len(chosen) < number:
        raise SystemExit(f"{number} {kind!r} rows are wanted, {len(chosen)} are there: use fewer steps or rows a step")
    return chosen


def _near(length: int, aim: int) -> bool:
    return aim // 3 <= length <= aim * 2


def _with_mean(rows: Sequence[Sized], number: int) -> list[Sized]:
    chosen: list[Sized] = []
    prompts = answers = 0
    for row in rows:
        count = len(chosen)
        if count < number and all(
            abs((total + length) / (count + 1) - aim) <= max(1.0, abs(total / count - aim) if count else aim / 2)
            for total, length, aim in ((prompts, row.prompt, SHORT_PROMPT), (answers, row.answer, SHORT_ANSWER))
        ):
            chosen.append(row)
            prompts += row.prompt
            answers += row.answer
    return chosen


def order_of_steps(sized: Sequence[Sized], *, rows_a_step: int, steps: int, seed: int) -> list[list[int]]:
    """The rows of each step as Luthier takes them; the other contenders are given the same."""
    from luthier.train.batch import plan_steps

    plan = plan_steps(
        [row.prompt + row.answer for row in sized], batch_rows=rows_a_step, batch_tokens=None, max_steps=steps,
        epochs=None, seed=seed,
    )  # fmt: skip
    return [[int(i) for i in step] for step in plan]
