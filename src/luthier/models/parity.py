"""Token parity: the tokens that training saw for some rows, stored beside the weights and recomputed before serving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from luthier.errors import ModelError, Problem
from luthier.models.load import Model
from luthier.models.render import Renderer
from luthier.records import Example, Message
from luthier.records.jsonl import from_json, to_json

FILE = "parity.json"
ROWS = 32


def write(folder: Path, renderer: Renderer, examples: Sequence[Example]) -> None:
    """Store the prompts of up to 32 rows with their token ids, and the ids that stop an answer."""
    rows = [
        {"messages": [to_json(m) for m in e.prompt], **({"tools": list(e.tools)} if e.tools else {}),
         "token_ids": renderer.prompt(e.prompt, tools=e.tools)}
        for e in examples[:ROWS]
        if e.prompt
    ]  # fmt: skip
    data = {"stop_ids": sorted(renderer.stop_ids), "rows": rows}
    (folder / FILE).write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")


def verify(model: Model) -> int:
    """Recompute the stored rows; returns how many there were. ModelError when any token differs.

    The most common complaint about tuned models is a template that differs between training and serving.
    """
    path = model.folder / FILE
    if not path.is_file():
        return 0
    data = json.loads(path.read_text(encoding="utf-8"))
    for number, row in enumerate(data["rows"], start=1):
        messages = [from_json(Message, turn) for turn in row["messages"]]
        now = model.renderer.prompt(messages, tools=row.get("tools", ()))
        if now != row["token_ids"]:
            place = next((t for t, (a, b) in enumerate(zip(now, row["token_ids"], strict=False)) if a != b),
                         min(len(now), len(row["token_ids"])))  # fmt: skip
            raise _mismatch(path, f"row {number}: tokens {now[place : place + 5]} at position {place}",
                            f"{row['token_ids'][place : place + 5]}, as in training")  # fmt: skip
    if sorted(model.renderer.stop_ids) != data["stop_ids"]:
        raise _mismatch(path, f"stop tokens {sorted(model.renderer.stop_ids)}", f"{data['stop_ids']}, as in training")
    return len(data["rows"])


def _mismatch(path: Path, found: str, expected: str) -> ModelError:
    return ModelError(
        "this model would not see the prompts that it was trained on",
        [Problem(where=str(path), found=found, expected=expected,
                 fix="restore the tokenizer and chat template that training saved in this folder")],
    )  # fmt: skip
