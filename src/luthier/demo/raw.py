"""Raw training files as one finds them: several shapes, and the faults that real files have, each counted.

`truth.json` says what was planted, file by file. For each file: `read` rows = `good` + `exact_duplicates` + the sum of
`quarantine`. Rows that only need mending (`mended`) and rows with a placeholder input are among the good ones.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from luthier.demo.rows import Row

DUPLICATE_SHARE = 0.04
"""Copies of good rows, as a share of the good rows of a file."""

FAULT_SHARE = 0.006
"""Rows of each kind of fault, as a share of the good rows of a file; never fewer than two."""

MENDED_SHARE = 0.01
"""Good rows with mojibake, and as many with a zero-width character, as a share of the good rows of a file."""

PLACEHOLDERS = ("N/A", "<noinput>")
"""What some writers put into an input that they leave empty."""

Entry = dict[str, Any] | str
"""One row in the shape of its file; a string is a line that is not JSON."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and its answer, as text."""

    prompt: str
    answer: str | None


@dataclass(slots=True)
class Tally:
    """What was planted in one file."""

    good: int = 0
    exact_duplicates: int = 0
    quarantine: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    placeholder_inputs: int = 0

    def as_json(self) -> dict[str, Any]:
        """The tally with its sum, in a fixed order."""
        return {
            "read": self.good + self.exact_duplicates + self.quarantine.total(),
            "good": self.good,
            "exact_duplicates": self.exact_duplicates,
            "quarantine": dict(sorted(self.quarantine.items())),
            "mended": dict(sorted(self.mended.items())),
            "placeholder_inputs": self.placeholder_inputs,
        }


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file to write: its name, its share of the rows, its shape, its faults and how entries become bytes."""

    name: str
    share: float
    shape: Callable[[Random, Sequence[Turn], Tally], Entry]
    faults: tuple[str, ...]
    encoded: Callable[[Sequence[Entry]], bytes]
    two_turn_share: float = 0.0


def _alpaca(rng: Random, turns: Sequence[Turn], tally: Tally) -> Entry:
    """Instruction, input and output; a prompt whose first line is a sentence may be cut behind it."""
    (turn,) = turns
    head, line_break, rest = turn.prompt.partition("\n")
    is_sentence = head.count(" ") > 2 and ":" not in head
    if line_break and is_sentence and rng.random() < 0.8:
        return {"instruction": head, "input": rest, "output": turn.answer}
    blank = rng.choice(("", "", "", *PLACEHOLDERS))
    tally.placeholder_inputs += bool(blank)
    return {"instruction": turn.prompt, "input": blank, "output": turn.answer}


def _messages(rng: Random, turns: Sequence[Turn], tally: Tally) -> Entry:
    messages = []
    for turn in turns:
        messages += [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": turn.answer}]
    return {"messages": messages}


def _sharegpt(rng: Random, turns: Sequence[Turn], tally: Tally) -> Entry:
    conversation = []
    for turn in turns:
        conversation += [{"from": "human", "value": turn.prompt}, {"from": "gpt", "value": turn.answer}]
    return {"id": f"talk-{rng.randrange(16**6):06x}", "conversations": conversation}


def _pair(rng: Random, turns: Sequence[Turn], tally: Tally) -> Entry:
    (turn,) = turns
    return {"prompt": turn.prompt, "completion": turn.answer or ""}


def _json_lines(entries: Sequence[Entry], line_end: str = "\n") -> bytes:
    lines = (e if isinstance(e, str) else json.dumps(e, ensure_ascii=False) for e in entries)
    return "".join(line + line_end for line in lines).encode()


def _json_lines_crlf(entries: Sequence[Entry]) -> bytes:
    return _json_lines(entries, "\r\n")


def _json_list(entries: Sequence[Entry]) -> bytes:
    return (json.dumps(entries, ensure_ascii=False, indent=1) + "\n").encode()


def _csv_with_bom(entries: Sequence[Entry]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ("prompt", "completion"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(e for e in entries if isinstance(e, dict))
    return text.getvalue().encode("utf-8-sig")


def _markdown(entries: Sequence[Entry]) -> bytes:
    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", "<br>")

    rows = (f"| {cell(e['prompt'])} | {cell(e['completion'])} |\n" for e in entries if isinstance(e, dict))
    return ("| instruction | desired output |\n| --- | --- |\n" + "".join(rows)).encode()


RAW_FILES: tuple[RawFile, ...] = (
    RawFile("alpaca.jsonl", 0.30, _alpaca, ("broken_json", "null_answer", "empty_answer"), _json_lines),
    RawFile("chat.jsonl", 0.25, _messages, ("broken_json", "wrong_role", "null_answer", "ends_on_user"),
            _json_lines_crlf),
    RawFile("sharegpt.json", 0.20, _sharegpt, ("wrong_role", "empty_answer", "ends_on_user"), _json_list,
            two_turn_share=0.1),
    RawFile("completions.csv", 0.15, _pair, ("empty_answer",), _csv_with_bom),
    RawFile("table.md", 0.10, _pair, ("empty_answer",), _markdown),
)  # fmt: skip
"""The files of the folder raw/; their shares add up to one."""


def write_raw_files(folder: Path, rng: Random, rows: Iterator[Row], count: int) -> tuple[tuple[Path, ...], Path]:
    """Write the raw files with `count` good rows in all, and their truth; returns the files and the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    left = count
    for raw in RAW_FILES:
        good = left if raw is RAW_FILES[-1] else round(count * raw.share)
        left -= good
        tally = Tally()
        entries = _entries(rng, raw, rows, good, tally)
        (folder / raw.name).write_bytes(raw.encoded(entries))
        truth[raw.name] = tally.as_json()
    total = {key: sum(file[key] for file in truth.values()) for key in ("read", "good", "exact_duplicates")}
    total["quarantine"] = sum(sum(file["quarantine"].values()) for file in truth.values())
    # Beside the folder, not in it: a whole folder may be handed to a reader of raw files.
    truth_path = folder.parent / "truth.json"
    truth_path.write_text(json.dumps({"files": truth, "total": total}, indent=1) + "\n", encoding="utf-8")
    return tuple(folder / raw.name for raw in RAW_FILES), truth_path


def _entries(rng: Random, raw: RawFile, rows: Iterator[Row], good: int, tally: Tally) -> list[Entry]:
    """All rows of a file in random order, the planted ones among them."""
    entries, sound = [], []
    for _ in range(good):
        turns = _turns(rng, raw, rows)
        damaged = _damaged(rng, turns, round(good * MENDED_SHARE), tally)
        entries.append(raw.shape(rng, damaged, tally))
        if damaged is turns:
            sound.append(entries[-1])
    copies = rng.sample(sound, round(good * DUPLICATE_SHARE))
    tally.placeholder_inputs += sum(
        isinstance(copy, dict) and bool(copy.get("input") in PLACEHOLDERS) for copy in copies
    )
    tally.good, tally.exact_duplicates = good, len(copies)
    for fault in raw.faults:
        for _ in range(max(2, round(good * FAULT_SHARE))):
            copies.append(_faulty(rng, raw, rows, fault))
            tally.quarantine[fault] += 1
    entries += copies
    rng.shuffle(entries)
    return entries


def _turns(rng: Random, raw: RawFile, rows: Iterator[Row]) -> list[Turn]:
    count = 2 if rng.random() < raw.two_turn_share else 1
    return [Turn(row.prompt, row.answer) for row in islice(rows, count)]


def _damaged(rng: Random, turns: list[Turn], limit: int, tally: Tally) -> list[Turn]:
    """The turns with damage that cleaning can mend, until `limit` rows of each sort have it; else the turns given."""
    text = "".join(f"{turn.prompt}{turn.answer}" for turn in turns)
    if not text.isascii() and tally.mended["mojibake"] < limit and rng.random() < 0.5:
        tally.mended["mojibake"] += 1
        return [Turn(_mojibake(turn.prompt), _mojibake(turn.answer or "")) for turn in turns]
    if text.isascii() and tally.mended["zero_width"] < limit and rng.random() < 0.03:
        tally.mended["zero_width"] += 1
        first = turns[0]
        return [Turn(first.prompt.replace(" ", " \u200b", 1), first.answer), *turns[1:]]
    return turns


def _mojibake(text: str) -> str:
    """The text as it looks when its UTF-8 bytes are read as Windows-1252."""
    return text.encode("utf-8").decode("cp1252")


def _faulty(rng: Random, raw: RawFile, rows: Iterator[Row], fault: str) -> Entry:
    """A row that no stage can train on, whose fault is the only one it has."""
    (row,) = islice(rows, 1)
    answer = {"null_answer": None, "empty_answer": ""}.get(fault, row.answer)
    entry = raw.shape(rng, [Turn(row.prompt, answer)], Tally())
    assert isinstance(entry, dict)
    if fault == "broken_json":
        line = json.dumps(entry, ensure_ascii=False)
        return line[: rng.randrange(len(line) // 3, len(line) - 1)]
    turns = entry.get("messages") or entry.get("conversations") or []
    if fault == "ends_on_user":
        turns.pop()
    if fault == "wrong_role":
        turns[-1]["role" if "role" in turns[-1] else "from"] = "asistant"
    return entry
