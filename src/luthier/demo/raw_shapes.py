"""The shapes of the raw files: how turns become an entry, how entries become text, and which file has which shape."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from luthier.demo.faults import Turn, as_line

Entry = dict[str, Any] | str
"""One row in the shape of its file; a string is text that is not JSON."""


class Written(NamedTuple):
    """A file's text in parts: what comes before the rows, each row, and what comes after them."""

    head: str
    rows: list[str]
    tail: str = ""
    encoding: str = "utf-8"

    def first_lines(self) -> list[int]:
        """Where each row begins, counted from 1."""
        found, line = [], 1 + self.head.count("\n")
        for row in self.rows:
            found.append(line)
            line += row.count("\n")
        return found


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file to write: its name, its share of the rows, its shape, its faults and how entries become text."""

    name: str
    share: float
    shape: Callable[[Random, Sequence[Turn]], dict[str, Any]]
    faults: tuple[str, ...]
    written: Callable[[Sequence[Entry]], Written]
    two_turn_share: float = 0.0
    """Of its conversations, those of two requests that have nothing to do with each other."""
    talk_share: float = 0.0
    """Of its conversations, those of several turns that belong together."""


def _alpaca(rng: Random, turns: Sequence[Turn]) -> dict[str, Any]:
    """Instruction, input and output; a prompt whose first line is a sentence may be cut behind it."""
    (turn,) = turns
    head, line_break, rest = turn.prompt.partition("\n")
    is_sentence = head.count(" ") > 2 and ":" not in head
    is_cut = bool(line_break) and is_sentence and rng.random() < 0.8
    instruction, given = (head, rest) if is_cut else (turn.prompt, "")
    return {"instruction": instruction, "input": given, "output": turn.answer}


def in_messages(rng: Random, turns: Sequence[Turn]) -> dict[str, Any]:
    """Roles and contents, as chat programs write them."""
    messages = []
    for turn in turns:
        messages += [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": turn.answer}]
    return {"messages": messages}


def _sharegpt(rng: Random, turns: Sequence[Turn]) -> dict[str, Any]:
    conversation = []
    for turn in turns:
        conversation += [{"from": "human", "value": turn.prompt}, {"from": "gpt", "value": turn.answer}]
    return {"id": f"talk-{rng.randrange(16**6):06x}", "conversations": conversation}


def _pair(rng: Random, turns: Sequence[Turn]) -> dict[str, Any]:
    (turn,) = turns
    return {"prompt": turn.prompt, "completion": turn.answer or ""}


def json_lines(entries: Sequence[Entry]) -> Written:
    """An entry on each line."""
    return Written("", [(e if isinstance(e, str) else as_line(e)) + "\n" for e in entries])


def _json_lines_crlf(entries: Sequence[Entry]) -> Written:
    return Written("", [row.replace("\n", "\r\n") for row in json_lines(entries).rows])


def _json_list(entries: Sequence[Entry]) -> Written:
    rows = [" " + json.dumps(e, ensure_ascii=False, indent=1).replace("\n", "\n ") + ",\n" for e in entries]
    return Written("[\n", [*rows[:-1], rows[-1].removesuffix(",\n") + "\n"], "]\n")


def _csv_with_bom(entries: Sequence[Entry]) -> Written:
    def row(cells: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue()

    rows = [row((e["prompt"], e["completion"])) for e in entries if isinstance(e, dict)]
    return Written(row(("prompt", "completion")), rows, encoding="utf-8-sig")


def _markdown(entries: Sequence[Entry]) -> Written:
    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", "<br>")

    rows = [f"| {cell(e['prompt'])} | {cell(e['completion'])} |\n" for e in entries if isinstance(e, dict)]
    return Written("| instruction | desired output |\n| --- | --- |\n", rows)


RAW_FILES: tuple[RawFile, ...] = (
    RawFile("alpaca.jsonl", 0.30, _alpaca, ("broken_json", "cut_in_two", "null_answer", "empty_answer"), json_lines),
    RawFile("chat.jsonl", 0.25, in_messages, ("broken_json", "cut_in_two", "wrong_role", "null_answer", "ends_on_user"),
            _json_lines_crlf, talk_share=0.08),
    RawFile("sharegpt.json", 0.20, _sharegpt, ("wrong_role", "empty_answer", "ends_on_user"), _json_list,
            two_turn_share=0.1, talk_share=0.08),
    RawFile("completions.csv", 0.15, _pair, ("empty_answer",), _csv_with_bom),
    RawFile("table.md", 0.10, _pair, ("empty_answer",), _markdown),
)  # fmt: skip
"""The files of the folder raw/; their shares add up to one."""
QUARANTINED = frozenset(fault for raw in RAW_FILES for fault in raw.faults)
"""The faults for which a row cannot be used."""
