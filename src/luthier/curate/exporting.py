"""A curated folder in the shapes that other training tools read, each with a README that says how to point them at it.

    OUT/export/trl/            train.jsonl dev.jsonl held_out.jsonl (prompt, completion), preferences.jsonl
    OUT/export/llama-factory/  train.json dev.json held_out.json (sharegpt), preferences.json, dataset_info.json
    OUT/export/axolotl/        train.jsonl dev.jsonl held_out.jsonl (messages), preferences.jsonl, config.yaml

What a shape cannot carry is counted and told in the README and in the ledger: a row whose loss weights would be lost is
left out, since it would train on what must not be trained on. Fields that no shape knows (further accepted answers,
options, grading, links) are counted as lost.

Each folder holds the mark made-by-luthier. One that has files and no mark is somebody's own: it is never written to.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from luthier.curate.export_texts import AXOLOTL_YAML, LLAMA_FACTORY_INFO, README_OF
from luthier.curate.ledger import by_count, write_object
from luthier.curate.outputs import GOES_TO, PREFERENCES
from luthier.curate.workplace import MARK
from luthier.errors import ConfigError, Problem
from luthier.records import Message
from luthier.records.jsonl import parse_json
from luthier.records.whole_files import write_whole

FRACTION = "left out: a loss weight that is neither 0 nor 1"
NOT_ASSISTANT = "left out: a turn that is not the assistant's is trained on"
UNTRAINED_TURN = "left out: an assistant turn that is not trained on"
NO_ANSWER = "left out: no answer of the assistant"
NOT_ALTERNATING = "left out: turns do not alternate"
TEXT_AND_CALLS = "left out: a turn says something and calls a tool"
BAD_ARGUMENTS = "left out: arguments of a tool call are not JSON"
LOST = {"targets": "lost: accepted answers beyond the first", "choices": "lost: options of the answer",
        "grading": "lost: arguments for graders", "links": "lost: links"}  # fmt: skip

Record = Mapping[str, Any]


class Unfit(Exception):
    """A row that a shape cannot carry, and why."""


class Exported(NamedTuple):
    """What became of the rows."""

    rows: dict[str, int]
    """Rows written, by file."""
    told: dict[str, int]
    """What was left out or lost, by reason, in records."""


def export(out: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Write the exports of a curated folder; returns for the ledger what each holds and what it could not carry.

    ConfigError when a folder to write to holds somebody's own files. An export of an earlier curation that `names`
    leaves out is deleted, file by file: whatever else was put beside it stays.
    """
    refuse_foreign(out, names)
    for name in sorted(SHAPES.keys() - set(names)):  # of an earlier curation, with other rows
        _remove(out / "export" / name)
    return {name: _exported(out, name)._asdict() for name in names}


def refuse_foreign(out: Path, names: Sequence[str]) -> None:
    """ConfigError when an export would be written where somebody keeps files of his own."""
    folders = [out / "export" / name for name in names]
    problems = [
        Problem(where=str(folder), found=f"files that no curation made: there is no {MARK}",
                expected="a folder of an earlier export, an empty one, or none",
                fix="move it away, or name another folder to write to")
        for folder in folders if _is_foreign(folder)
    ]  # fmt: skip
    if problems:
        raise ConfigError("the folder of an export is not ours", problems)


def _is_foreign(folder: Path) -> bool:
    if not folder.is_dir():
        return any(path.exists() and not path.is_dir() for path in (folder.parent, folder))
    return not (folder / MARK).is_file() and any(folder.iterdir())


def _remove(folder: Path) -> None:
    """Delete what an export wrote, its mark last and only where nothing else is left; without the mark, nothing."""
    if not (folder / MARK).is_file():
        return
    for name in FILES:
        for path in (folder / name, folder / f"{name}.partial"):
            path.unlink(missing_ok=True)
    if [path.name for path in folder.iterdir()] == [MARK]:
        (folder / MARK).unlink()
        for empty in (folder, folder.parent):
            with contextlib.suppress(OSError):  # the other exports, or whatever somebody keeps there
                empty.rmdir()


def _exported(out: Path, name: str) -> Exported:
    folder = out / "export" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    shape, ending = SHAPES[name]
    told: Counter[str] = Counter()
    rows: dict[str, int] = {}
    for part in GOES_TO:
        made = _shaped(out / f"{part}.jsonl", shape, told, is_pair=part == PREFERENCES)
        file = f"{part}.{ending}"
        counted = _Counted(made)
        write_whole(folder / file, _json_list(counted) if ending == "json" else map(_line, counted))
        rows[file] = counted.count
    if name == "llama-factory":
        info = {f"luthier_{part}": LLAMA_FACTORY_INFO[part == PREFERENCES] | {"file_name": f"{part}.json"}
                for part in GOES_TO if rows[f"{part}.json"]}  # fmt: skip
        write_object(folder / "dataset_info.json", info)
    if name == "axolotl":
        kinds = ["train", PREFERENCES] if rows[f"{PREFERENCES}.jsonl"] else ["train"]
        write_whole(folder / "config.yaml", [AXOLOTL_YAML[kind].encode() for kind in kinds])
    exported = Exported(rows, by_count(told))
    write_whole(folder / "README.md", [_readme(name, exported).encode()])
    return exported


class _Counted:
    """Passes rows on and counts them."""

    def __init__(self, rows: Iterator[Record]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Record]:
        for row in self.rows:
            self.count += 1
            yield row


Shape = Callable[[Record, bool], list[dict[str, Any]]]


def _shaped(path: Path, shape: Shape, told: Counter[str], *, is_pair: bool) -> Iterator[Record]:
    """The rows that a file of records becomes; what a shape cannot carry is counted."""
    with path.open("rb") as file:
        for line in file:
            record = parse_json(line)
            try:
                yield from shape(record, is_pair)
            except Unfit as reason:
                told[str(reason)] += 1
                continue
            told.update(LOST[field] for field in LOST if len(record.get(field, ())) > (field == "targets"))


def trl_rows(record: Record, is_pair: bool) -> list[dict[str, Any]]:
    """Conversational prompt and completion, a row for each answer that is trained on; or prompt, chosen and rejected.

    TRL trains on completions alone, so with a row an answer every weight of 0 or 1 is kept exactly.
    """
    tools = {"tools": orjson.dumps(record["tools"]).decode()} if record.get("tools") else {}
    if is_pair:
        return [{"prompt": [_openai(turn) for turn in record["prompt"]], "chosen": _said(record["chosen"]),
                 "rejected": _said(record["rejected"])}]  # fmt: skip
    turns = record["messages"]
    return [{"prompt": [_openai(turn) for turn in turns[:at]], "completion": [_openai(turns[at])], **tools}
            for at in _trained(turns)]  # fmt: skip


def sharegpt_rows(record: Record, is_pair: bool) -> list[dict[str, Any]]:
    """LLaMA-Factory's sharegpt: turns of people and models by turns. It trains on every turn of the model."""
    turns = record["prompt"] if is_pair else record["messages"]
    if not is_pair and len(_trained(turns)) < sum(turn["role"] == "assistant" for turn in turns):
        raise Unfit(UNTRAINED_TURN)
    row: dict[str, Any] = {"conversations": [], "system": "", "tools": ""}
    if turns and turns[0]["role"] == "system":
        row["system"], turns = turns[0]["content"], turns[1:]
    for turn in turns:
        said = _sharegpt(turn)
        last = row["conversations"][-1:] or [{"from": ""}]
        if said["from"] == "observation" == last[0]["from"]:  # as LLaMA-Factory itself joins several results
            last[0]["value"] += f"\n</tool_response>\n<tool_response>\n{said['value']}"
        else:
            row["conversations"].append(said)
    asks = [said["from"] in ("human", "observation") for said in row["conversations"]]
    if asks != [k % 2 == 0 for k in range(len(asks))] or len(asks) % 2 != is_pair or not asks:
        raise Unfit(NOT_ALTERNATING)
    if record.get("tools"):
        row["tools"] = orjson.dumps([tool.get("function", tool) for tool in record["tools"]]).decode()
    if is_pair:
        row |= {name: {"from": "gpt", "value": record[name]} for name in ("chosen", "rejected")}
    return [row]


def axolotl_rows(record: Record, is_pair: bool) -> list[dict[str, Any]]:
    """Axolotl's chat_template: messages that say turn by turn whether they train; or messages, chosen, rejected."""
    if is_pair:
        turns = [_openai(turn, is_text=True) for turn in record["prompt"]]
        return [{"messages": turns} | {name: _said(record[name])[0] for name in ("chosen", "rejected")}]
    trained = set(_trained(record["messages"]))
    messages = [_openai(turn, is_text=True) | {"train": at in trained} for at, turn in enumerate(record["messages"])]
    tools = {"tools": orjson.dumps(record["tools"]).decode()} if record.get("tools") else {}
    return [{"messages": messages, **tools}]


SHAPES: Mapping[str, tuple[Shape, str]] = {
    "trl": (trl_rows, "jsonl"), "llama-factory": (sharegpt_rows, "json"), "axolotl": (axolotl_rows, "jsonl"),
}  # fmt: skip
FILES = (*(f"{part}.{ending}" for part in GOES_TO for ending in ("jsonl", "json")),
         "dataset_info.json", "config.yaml", "README.md")  # fmt: skip
"""All that an export writes, whatever its shape, but the mark."""


def _trained(turns: Sequence[Record]) -> list[int]:
    """The numbers of the turns that are trained on. Unfit where a weight is more than yes or no."""
    trained = []
    for at, turn in enumerate(turns):
        weight = Message(role=turn["role"], content="", weight=turn.get("weight")).loss_weight
        if weight not in (0.0, 1.0):
            raise Unfit(FRACTION)
        if weight and turn["role"] != "assistant":
            raise Unfit(NOT_ASSISTANT)
        if weight:
            trained.append(at)
    if not trained:
        raise Unfit(NO_ANSWER)
    return trained


def _openai(turn: Record, *, is_text: bool = False) -> dict[str, Any]:
    """A turn in OpenAI's form; arguments of calls as objects, which templates write as JSON, or as their JSON text."""
    said: dict[str, Any] = {"role": turn["role"], "content": turn["content"]}
    calls = [
        {"type": "function", "function": {
            "name": call["function"]["name"],
            "arguments": call["function"]["arguments"] if is_text else _arguments(call),
        }} | ({"id": call["id"]} if "id" in call else {})
        for call in turn.get("tool_calls", ())
    ]  # fmt: skip
    said |= {"tool_calls": calls} if calls else {}
    return said | {name: turn[name] for name in ("tool_call_id", "name") if turn.get(name)}


def _sharegpt(turn: Record) -> dict[str, str]:
    names = {"user": "human", "assistant": "gpt", "tool": "observation", "system": "system"}
    if not turn.get("tool_calls"):
        return {"from": names[turn["role"]], "value": turn["content"]}
    if turn["content"].strip():
        raise Unfit(TEXT_AND_CALLS)
    calls = [{"name": call["function"]["name"], "arguments": _arguments(call)} for call in turn["tool_calls"]]
    return {"from": "function_call", "value": json.dumps(calls if len(calls) > 1 else calls[0], ensure_ascii=False)}


def _arguments(call: Record) -> Any:
    try:
        return json.loads(call["function"]["arguments"])
    except ValueError as error:
        raise Unfit(BAD_ARGUMENTS) from error


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _line(row: Record) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _json_list(rows: _Counted) -> Iterator[bytes]:
    yield b"["
    for number, row in enumerate(rows):
        yield (b",\n" if number else b"\n") + _line(row).rstrip(b"\n")
    yield b"\n]\n"


def _readme(name: str, exported: Exported) -> str:
    told = [f"- {reason}: {count:,} records" for reason, count in exported.told.items()] or ["- nothing"]
    files = [f"| `{file}` | {count:,} |" for file, count in exported.rows.items()]
    return "\n".join([
        README_OF[name], "## Files", "", "| file | rows |", "| --- | ---: |", *files, "",
        "held_out is for evaluation only: never train on it.", "", "## What this shape cannot carry", "", *told, "",
    ])  # fmt: skip
