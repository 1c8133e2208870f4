"""Whatever a file holds: no exception, and every row of it comes to records, to a fault, or is dropped by a rule."""

from __future__ import annotations

import codecs
import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.curate.files import unpacking
from luthier.curate.files.reading import QUARANTINE_KEYS, READERS, read_rows
from luthier.curate.ledger import quarantine_entry
from luthier.curate.names import (
    ANSWER_NAMES,
    CONVERSATION_NAMES,
    INPUT_NAMES,
    LABEL_NAMES,
    PREFERENCE_NAMES,
    PROMPT_NAMES,
    RECORD_NAMES,
    ROW_LIST_NAMES,
    TOOL_NAMES,
)
from luthier.curate.rows import converted_rows
from luthier.errors import DataError
from luthier.records.jsonl import from_json, parse_json, to_bytes

CALL = {"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"x": 1}'}}
TURNS = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
TREE = {"text": "Q", "role": "prompter", "message_id": "m", "replies": [
    {"text": "a", "role": "assistant", "deleted": False, "review_result": True, "lang": "en", "replies": [
        {"text": "R", "role": "prompter", "replies": [{"text": "b", "role": "assistant", "replies": []}]}]},
    {"text": "c", "role": "assistant", "synthetic": True, "model_name": "m", "replies": []}]}  # fmt: skip
SOUND = [
    {"instruction": "a", "input": "x", "output": "b"},
    {"prompt": "a", "completion": "b", "system": "s", "history": [["x", "y"]], "label": True},
    {"question": "a", "answer": "b", "licence": "MIT", "task": "t", "links": ["l"]},
    {"input": "a", "output": ["b", "c"], "definition": ["d"]},
    {"messages": TURNS, "targets": ["b"], "choices": ["b", "c"], "grading": {"grader": "exact"}, "cluster": "k"},
    {"messages": [*TURNS, {"role": "user", "content": [{"type": "text", "text": "c"}], "loss_weight": 0.0},
                  {"role": "assistant", "content": [{"type": "reasoning", "value": "r"}, {"type": "text", "value": "d"}]}]},
    {"messages": [TURNS[1], {"role": "assistant", "content": None, "tool_calls": [CALL]},
                  {"role": "tool", "content": "r", "tool_call_id": "c1"}, TURNS[2]], "tools": [CALL]},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": '{"name": "t", "arguments": {}}'},
                       {"from": "observation", "value": "r"}, {"from": "gpt", "value": "b"}], "tools": '[{"name": "t"}]'},
    {"message_tree_id": "i", "prompt": TREE},
    {"name": "n", "instruction": "a", "instances": [{"input": "x", "output": "b"}, {"input": "y", "output": "c"}]},
    {"Definition": ["d"], "Categories": ["k"], "Instances": [{"input": "x", "output": ["b"]}]},
    {"prompt": "a", "chosen": "b", "rejected": "c", "origin": "edit", "source": "s"},
    {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
    {"chosen_messages": TURNS, "rejected_messages": [*TURNS[:2], {"role": "assistant", "content": "c"}]},
    {"where": "f.jsonl:1", "reason": "r", "raw": '{"prompt": "a", "completion": "b"}'},
]  # fmt: skip
ODD = [None, True, False, 0, -1, 3.5, 10**30, float("nan"), float("inf"), "", " ", "\u200b", "\x00", "\ufeff", "\ud83d", "\u2028", "x" * 5000,
       "caf\u00e9", "[]", "[{", '{"name": "t"}', '"\\ud83d"', "Human: x", "\n\nHuman: x", "N/A", "<nooutput>", "false", [], {}, [[]], [{}], [None], ["a", 1],
       {"role": "user"}, {"text": "x"}, {"type": "image"}, [{"role": "user", "content": "a"}], [["a", "b"]], 10**400, -0.0]  # fmt: skip
NAMES = [*PROMPT_NAMES, *INPUT_NAMES, *ANSWER_NAMES, *CONVERSATION_NAMES, *PREFERENCE_NAMES, *RECORD_NAMES, *ROW_LIST_NAMES, *TOOL_NAMES,
         *LABEL_NAMES, *QUARANTINE_KEYS, "system", "history", "role", "content", "from", "value", "text", "replies", "weight", "type", "id",
         "Definition", "tool_calls", "function_call", "tool_call_id", "name", "arguments", "function", "deleted", "links", "source"]  # fmt: skip


def changed(value, draw, share=0.15):
    """The value with some of its parts taken away, doubled, renamed or replaced by something odd."""
    if draw.random() < share / 3:
        return draw.choice(ODD)
    if isinstance(value, list):
        items = [changed(item, draw, share) for item in value if draw.random() > share / 3]
        return items + items[:1] if draw.random() < share / 3 else items
    if isinstance(value, dict):
        items = {
            (draw.choice(NAMES) if draw.random() < share / 5 else name): changed(item, draw, share)
            for name, item in value.items() if draw.random() > share / 4
        }  # fmt: skip
        return items | {draw.choice(NAMES): draw.choice(ODD)} if draw.random() < share / 2 else items
    return value


def json_text(value, draw):
    """The value as JSON; lone surrogates as escapes, or as bytes that are not UTF-8."""
    if draw.random() < 0.5:
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def read(path):
    """Every row of a file, each seen to be in one place, and fit to be written there."""
    found = []
    for row, converted in converted_rows(path):
        place = [
            bool(converted.records) and converted.dropped is None,
            converted.fault is not None,
            converted.dropped is not None,
        ]
        assert place.count(True) == 1, (row, converted)
        if converted.fault is not None:
            assert not converted.records
            json.dumps(quarantine_entry(row, converted.fault), ensure_ascii=False).encode()
            assert str(path) in converted.fault.problem.where and str(converted.fault.problem)
        for record in converted.records:
            assert from_json(type(record), parse_json(to_bytes(record))).id == record.id
        found.append(row)
    return found


def test_sound_rows_are_sound(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SOUND))
    assert [converted.fault for _, converted in converted_rows(path)] == [None] * len(SOUND)


@pytest.mark.parametrize("seed", range(6))
def test_changed_rows_are_accounted_for_line_by_line_and_item_by_item(tmp_path, seed):
    draw = random.Random(seed)
    values = [changed(draw.choice(SOUND), draw, draw.choice([0.05, 0.2, 0.6])) for _ in range(700)]
    texts = [json_text(value, draw) for value in values]
    end = draw.choice([b"\n", b"\r\n"])
    lines = tmp_path / "rows.jsonl"
    lines.write_bytes(codecs.BOM_UTF8 + end.join(texts))
    rows = read(lines)
    assert [row.line for row in rows] == list(range(1, len(texts) + 1))
    for name, content in (
        ("flat.json", b"[" + b", ".join(texts) + b"]"),
        ("lines.json", b"[\n" + b",\n".join(texts) + b"\n]"),
    ):
        (tmp_path / name).write_bytes(content)
        assert len(read(tmp_path / name)) == len(values)


@pytest.mark.parametrize("seed", range(4))
def test_lines_that_are_cut_torn_or_of_another_encoding_are_accounted_for(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 1000)
    draw = random.Random(seed)
    lines = []
    for _ in range(400):
        row = changed(draw.choice(SOUND), draw, 0.05)
        try:
            line = json.dumps(row, ensure_ascii=False).encode(
                draw.choice(["utf-8", "latin-1", "cp1252", "gb18030", "utf-8-sig"])
            )
        except UnicodeEncodeError:
            line = json.dumps(row).encode()
        kind = draw.random()
        if kind < 0.2:
            line = line[: draw.randrange(len(line) + 1)]
        elif kind < 0.4:
            place = draw.randrange(len(line) + 1)
            line = line[:place] + draw.randbytes(draw.randrange(4)) + line[place + draw.randrange(4) :]
        lines.append(line.replace(b"\n", b" ").replace(b"\r", b" "))
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(lines))
    expected = [number for number, line in enumerate(lines, start=1) if line.strip()]
    assert [row.line for row in read(tmp_path / "rows.jsonl")] == expected


SAMPLES = {
    ".jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in SOUND),
    ".json": json.dumps(SOUND, indent=2, ensure_ascii=False),
    ".csv": 'prompt,completion,messages\r\na,"b\nc",\r\n,"caf\u00e9 ""x""","[{""role"": ""user""}]"\r\n' * 4,
    ".tsv": "question\tanswer\na\\nb\tc\nd\te\n" * 4,
    ".md": "# x\n\n| Instruction | Desired output |\n|---|---|\n| a \\| b | c<br>d |\n| e | f |\n\ntext\n" * 3,
    ".html": "<html><table><tr><th>prompt</th><th>completion</th></tr><tr><td>a<br>b</td><td>&lt;c&gt;</td></tr>\n"
             "<tr><td><pre>d\n e</pre></td><td><table><tr><td>f</td></tr></table></td></tr></table></html>" * 3,
}  # fmt: skip


NUM_ROWS = {".jsonl": len(SOUND), ".json": len(SOUND), ".csv": 11, ".tsv": 11, ".md": 6, ".html": 6}
MANY_A_LINE = (".json", ".html")
"""Formats in which several rows may begin on one line."""
IN_DOUBT = 2
"""Where a file is cut within quotes, its last rows may be told otherwise than those of the whole file."""


def places(rows, suffix):
    """The lines on which rows begin, seen to be in order: none is told twice, none out of turn."""
    lines = [row.line for row in rows]
    assert lines == sorted(lines) and (suffix in MANY_A_LINE or len(set(lines)) == len(lines)), lines
    return lines


@pytest.mark.parametrize("suffix", SAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "cp1252"])
def test_of_a_file_that_is_cut_every_row_before_the_cut_is_read_as_it_was(tmp_path, suffix, encoding):
    draw = random.Random(suffix + encoding)
    text = SAMPLES[suffix]
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(text.encode(encoding))
    whole = read(path)
    assert len(places(whole, suffix)) == NUM_ROWS[suffix]
    for end in draw.sample(range(len(text)), 30):
        path.write_bytes(text[:end].encode(encoding))
        rows = read(path)
        places(rows, suffix)
        before = text[:end].count("\n")
        ended = sum(row.line + row.num_lines - 1 <= before for row in whole)
        assert ended <= len(rows) <= len(whole), (end, before)
        sure = max(0, len(rows) - IN_DOUBT)
        assert [(row.line, row.raw, row.data) for row in rows[:sure]] == [
            (row.line, row.raw, row.data) for row in whole[:sure]
        ]


@pytest.mark.parametrize("suffix", SAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "cp1252"])
def test_torn_files_of_every_format_are_read_to_their_end(tmp_path, suffix, encoding):
    draw = random.Random(suffix + encoding)
    whole = SAMPLES[suffix].encode(encoding)
    path = tmp_path / f"rows{suffix}"
    for _ in range(60):
        data = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.5 else whole)
        for _ in range(draw.randrange(6)):
            place = draw.randrange(len(data) + 1)
            data[place : place + draw.randrange(3)] = draw.choice(
                [b"", b'"', b"\n", b"\x00", b"\xff", b"{", b"]", b"|", b"<", b"\t", b",", b"<![x["]
            )
        path.write_bytes(bytes(data))
        found = places(read(path), suffix)
        if suffix == ".jsonl" and encoding == "utf-8":
            assert found == [number for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_torn_archives_are_read_to_where_they_are_torn(tmp_path, suffix):
    draw = random.Random(suffix)
    data = SAMPLES[".jsonl"].encode() * 50
    packed = gzip.compress(data, mtime=0) if suffix == ".gz" else pyarrow.compress(data, codec="zstd", asbytes=True)
    path = tmp_path / f"rows.jsonl{suffix}"
    for _ in range(40):
        torn = bytearray(packed[: draw.randrange(4, len(packed))])
        torn[draw.randrange(4, len(torn) + 1) :][:1] = b"\x55"
        path.write_bytes(bytes(torn))
        rows = read(path)
        assert rows and rows[-1].fault is not None


def odd_line(draw):
    """A line that may be cut, of another encoding, or hold line ends that are none."""
    row = changed(draw.choice(SOUND), draw, draw.choice([0.02, 0.2, 0.6]))
    if draw.random() < 0.1:
        row = {"prompt": f"a\u2028b\u0085{draw.random()}", "completion": "c\x0bd\x1ee\u2029", "more": row}
    try:
        line = json.dumps(row, ensure_ascii=False).encode(draw.choice(["utf-8", "utf-8", "utf-8", "cp1252", "utf-8-sig"]))
    except UnicodeEncodeError:
        line = json_text(row, draw)
    if draw.random() < 0.1:
        line = line[: draw.randrange(1, len(line) + 1)]
    return line.replace(b"\n", b" ").replace(b"\r", b" ") or b"{"


CURATED = """
import json, sys
from pathlib import Path
from bench.measuring import peak_memory_mib
from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
config = CurateConfig(memory_mb=512)
ledger = curate([Path(sys.argv[1])], out=Path(sys.argv[2]), config=config, say=lambda line: None).ledger
print(json.dumps({"ledger": ledger, "peak_mib": peak_memory_mib()}))
"""


@pytest.mark.slow
def test_a_hundred_thousand_odd_lines_are_accounted_for_in_bounded_memory(tmp_path):
    draw = random.Random(11)
    huge = {30_000, 60_000, 60_001, 90_000}
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(codecs.BOM_UTF8)
        for number in range(100_000):
            text = "x y " * 2_600_000
            line = json.dumps({"prompt": text, "completion": "b"}).encode() if number in huge else odd_line(draw)
            file.write(line + draw.choice([b"\n", b"\r\n"]))
    command = [sys.executable, "-c", CURATED, str(path), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    ledger = told["ledger"]
    ends = [ledger["kept"], *(sum(ledger[name].values()) for name in ("merged", "dropped", "quarantined"))]
    assert ledger["read"] == sum(ends) == 100_000 and min(ends) > 0, ends
    with (tmp_path / "out" / "quarantine.jsonl").open("rb") as file:
        assert sum(1 for _ in file) == ends[-1]
    assert told["peak_mib"] < 1024


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=300),
    suffix=st.sampled_from(sorted(READERS)),
    packing=st.sampled_from(["", "", ".gz", ".zst"]),
)
def test_any_bytes_at_all_are_read_or_refused_with_words(tmp_path, data, suffix, packing):
    path = tmp_path / f"rows{suffix}{packing}"
    path.write_bytes(data)
    try:
        read(path)
    except DataError as error:
        assert suffix in (".parquet", ".arrow") and str(path) in str(error)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(
    st.one_of(st.sampled_from(NAMES), st.text(max_size=3)),
    st.recursive(st.one_of(st.sampled_from(ODD), st.text(max_size=8)),
                 lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)),
                 max_leaves=8),
    max_size=5), max_size=5))  # fmt: skip
def test_rows_of_any_fields_and_values_are_accounted_for(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(read(path)) == len(rows)
    assert [row.line for row in read_rows(path)] == [row.line for row in read(Path(path))]
