"""JSON files: every row is read with its place, or is a fault that names the place, and the rows around it go on."""

import gzip
import json

import pytest

from luthier.curate.files.json_texts import may_name_a_key_twice
from luthier.curate.files.reading import read_rows
from luthier.curate.shapes.recognising import convert

GOOD = '{"prompt": "a", "completion": "b"}'


def rows_of(tmp_path, content, name="rows.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(path))


def reasons(rows):
    return [row.fault.reason if row.fault else None for row in rows]


def test_lines_that_are_not_json_are_faults_at_their_line_and_the_others_are_read(tmp_path):
    rows = rows_of(tmp_path, f'{GOOD}\n{{"prompt": "a" "x"}}\n\n{GOOD}\n')
    assert [row.line for row in rows] == [1, 2, 4]
    assert reasons(rows) == [None, "not JSON", None]
    assert rows[1].raw == b'{"prompt": "a" "x"}'
    assert rows[1].fault.problem.where == f"{tmp_path}/rows.jsonl:2"
    assert "column 16" in rows[1].fault.problem.found


@pytest.mark.parametrize(("text", "found"), [
    ("not json", "'not json' at column 1 (expecting value)"),
    ('{"a": 1} {}', "'{}' at column 10 (extra data)"),
    ('{"a": "\tb"}', "at column 8 (invalid control character)"),
])  # fmt: skip
def test_what_is_no_json_is_told_apart_from_what_was_expected(tmp_path, text, found):
    (row,) = rows_of(tmp_path, text)
    assert row.fault.problem.found.endswith(found), row.fault.problem.found
    assert row.fault.problem.expected == "one JSON object"


def test_a_row_with_a_line_separator_is_not_cut_in_two(tmp_path):
    (row,) = rows_of(tmp_path, json.dumps({"prompt": "one\u2028two\x85", "completion": "b"}, ensure_ascii=False))
    assert row.data == {"prompt": "one\u2028two\x85", "completion": "b"}


def test_a_byte_order_mark_and_crlf_are_no_part_of_the_rows(tmp_path):
    rows = rows_of(tmp_path, b"\xef\xbb\xbf" + f"{GOOD}\r\n{GOOD}\r\n".encode())
    assert [(row.line, row.raw, row.data) for row in rows] == [
        (1, GOOD.encode(), json.loads(GOOD)),
        (2, GOOD.encode(), json.loads(GOOD)),
    ]


def test_bytes_that_are_not_utf8_are_a_fault_of_their_line_with_their_place_in_the_file(tmp_path):
    bad = '{"prompt": "caf\u00e9", "completion": "b"}'.encode("cp1252")
    rows = rows_of(tmp_path, GOOD.encode() + b"\n" + bad + b"\n" + GOOD.encode())
    assert reasons(rows) == [None, "not UTF-8", None]
    assert rows[1].raw == bad
    assert rows[1].fault.problem.found == f"byte 0xe9 at byte {len(GOOD) + 1 + 15} of the file"
    assert "as cp1252 it would say" in rows[1].fault.problem.fix and "caf\u00e9" in rows[1].fault.problem.fix


@pytest.mark.parametrize("value", ["[1, 2]", '"text"', "7", "null"])
def test_a_line_that_is_no_object_is_a_fault(tmp_path, value):
    assert reasons(rows_of(tmp_path, f"{GOOD}\n{value}\n")) == [None, "not an object"]


def test_nesting_without_end_and_numbers_without_end_are_faults(tmp_path):
    deep = '{"a":' * 100_000
    long = '{"a": ' + "9" * 5000 + "}"
    assert reasons(rows_of(tmp_path, f"{deep}\n{long}\n{GOOD}")) == ["not JSON", "not JSON", None]


def test_a_list_gives_its_rows_with_the_line_on_which_each_starts(tmp_path):
    rows = rows_of(tmp_path, f'[\n  {GOOD},\n  {{\n    "prompt": "c"\n  }}\n]\n', "rows.json")
    assert [(row.line, row.num_lines) for row in rows] == [(2, 1), (3, 3)]
    assert rows[1].raw == b'{\n    "prompt": "c"\n  }'


def test_a_list_cut_off_gives_the_rows_before_the_cut_and_one_fault(tmp_path):
    text = json.dumps([{"prompt": str(k), "completion": "x"} for k in range(5)], indent=2)
    cut = text[: text.index('"3"') + 2]
    rows = rows_of(tmp_path, cut, "rows.json")
    assert reasons(rows) == [None, None, None, "cut off"]
    assert rows[3].raw.decode() == cut[cut.rindex("{") :]
    assert rows[3].line == 14


@pytest.mark.parametrize("cut", ["[{}, {}", "[{}, {},"])
def test_a_list_that_is_not_closed_is_a_fault_even_when_its_last_row_is_whole(tmp_path, cut):
    assert reasons(rows_of(tmp_path, cut, "rows.json")) == [None, None, "cut off"]


def test_a_broken_row_in_the_middle_of_a_list_costs_only_itself(tmp_path):
    text = json.dumps([{"prompt": str(k), "completion": "x"} for k in range(5)], indent=2).replace('"2"', '"2" oops')
    rows = rows_of(tmp_path, text, "rows.json")
    assert reasons(rows) == [None, None, "not JSON", None, None]
    assert [row.data["prompt"] for row in rows if row.data] == ["0", "1", "3", "4"]
    assert "line 11" in rows[2].fault.problem.found


def test_bytes_that_are_not_utf8_within_a_list_are_a_fault_of_their_row(tmp_path):
    content = f"[\n{GOOD},\n".encode() + b'{"prompt": "caf\xe9"},\n' + f"{GOOD}]".encode()
    rows = rows_of(tmp_path, content, "rows.json")
    assert reasons(rows) == [None, "not UTF-8", None]
    assert f"byte {content.index(0xE9)} " in rows[1].fault.problem.found
    assert rows[1].raw == b'{"prompt": "caf\xe9"}'


def test_text_after_a_list_is_a_fault(tmp_path):
    rows = rows_of(tmp_path, f"[{GOOD}]\n[{GOOD}]\n", "rows.json")
    assert reasons(rows) == [None, "not JSON"]
    assert rows[1].fault.problem.expected == "nothing after the end of the list"


def test_a_list_is_recognised_under_jsonl_and_lines_under_json(tmp_path):
    assert len(rows_of(tmp_path, f"[{GOOD}, {GOOD}]", "list.jsonl")) == 2
    assert reasons(rows_of(tmp_path, f"{GOOD}\n{GOOD}\n{{oops\n", "lines.json")) == [None, None, "not JSON"]
    assert [row.line for row in rows_of(tmp_path, f"{GOOD}\n\n{GOOD}", "more.json")] == [1, 3]


def test_a_line_that_is_a_list_at_the_beginning_of_json_lines_is_a_fault_of_its_own(tmp_path):
    rows = rows_of(tmp_path, f"[{GOOD}]\n{GOOD}\n{GOOD}\n", "lines.jsonl")
    assert reasons(rows) == ["not an object", None, None]


def test_an_object_of_columns_gives_rows_by_number(tmp_path):
    rows = rows_of(tmp_path, '{"prompt": ["a", "b"],\n "completion": ["x", "y"]}', "columns.json")
    assert [(row.line, row.data) for row in rows] == [
        (1, {"prompt": "a", "completion": "x"}),
        (2, {"prompt": "b", "completion": "y"}),
    ]


def test_a_single_object_is_one_row_even_when_it_holds_only_a_list_of_messages(tmp_path):
    conversation = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    rows = rows_of(tmp_path, "\n" + json.dumps(conversation, indent=1), "one.json")
    assert [(row.line, row.data) for row in rows] == [(2, conversation)]


def test_a_single_object_that_is_cut_off_is_one_fault(tmp_path):
    assert reasons(rows_of(tmp_path, '{\n "prompt": "a",\n "comp', "one.json")) == ["cut off"]


def test_compressed_files_are_read_and_a_cut_archive_gives_the_rows_before_the_cut(tmp_path):
    lines = "".join(
        json.dumps({"prompt": f"{k:x}" * 50, "completion": str(k * 2654435761 % 2**32)}) + "\n" for k in range(5000)
    )
    packed = gzip.compress(lines.encode(), mtime=0)
    assert len(rows_of(tmp_path, packed, "rows.jsonl.gz")) == 5000
    rows = rows_of(tmp_path, packed[: len(packed) // 2], "rows.jsonl.gz")
    assert 100 < len(rows) < 5000
    assert reasons(rows)[-1] == "cut off" and not any(reasons(rows)[:-1])
    assert lines.split("\n")[len(rows) - 1].startswith(rows[-1].raw.decode())


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.md", "a.json.gz"])
def test_a_file_without_content_has_no_rows(tmp_path, name):
    assert rows_of(tmp_path, b"", name) == []
    assert rows_of(tmp_path, gzip.compress(b"\n \n") if name.endswith(".gz") else b"\n \n", name) == []


def test_a_list_beside_facts_about_it_gives_its_rows(tmp_path):
    rows = rows_of(tmp_path, json.dumps({"canary": "x", "examples": [json.loads(GOOD)] * 2}), "task.json")
    assert [(row.line, row.data) for row in rows] == [(1, json.loads(GOOD)), (2, json.loads(GOOD))]
    seed = {"instruction": "a", "instances": [{"input": "", "output": "b"}]}
    assert [row.data for row in rows_of(tmp_path, json.dumps(seed), "seed.json")] == [seed]


def test_a_task_of_super_natural_instructions_gives_its_instances_with_its_definition(tmp_path):
    task = {"Contributors": ["x"], "Categories": ["Question Answering"], "Definition": ["Answer", "it."],
            "Positive Examples": [{"input": "z", "output": "z"}],
            "Instances": [{"id": "1", "input": "a", "output": ["b", "c"]}, {"id": "2", "input": "d", "output": [""]}]}  # fmt: skip
    rows = rows_of(tmp_path, json.dumps(task, indent=4), "task001_answering.json")
    first, second = (convert(row) for row in rows)
    assert (first.shape, [m.content for m in first.records[0].messages]) == ("super-ni", ["Answer\nit.\n\na", "b"])
    record = first.records[0]
    assert (record.targets, record.task, record.cluster) == (("b", "c"), "task001_answering", "Question Answering")
    assert second.fault.problem.where == f"{tmp_path}/task001_answering.json:2: output[0]"


def test_numbers_beyond_64_bits_and_nan_are_read_as_json_reads_them(tmp_path):
    text = '{"a": 123456789012345678901234567890, "b": [-0.0, NaN, 1e400], "c": "\\u00e9"}'
    (row,) = rows_of(tmp_path, text)
    assert repr(row.data) == repr(json.loads(text))


def test_a_row_that_is_nested_without_end_is_a_fault(tmp_path):
    nested = {"prompt": "a", "completion": "b", "x": json.loads("[" * 300 + "]" * 300)}
    for name, text in (("rows.jsonl", json.dumps(nested)), ("rows.json", json.dumps([nested]))):
        assert reasons(rows_of(tmp_path, text, name)) == ["not JSON"]


DOUBLED = [
    '{"prompt": "one", "prompt": "two", "completion": "b"}',
    '{"prompt" : "one", "prompt" : "two", "completion" : "b"}',
    '{"prompt": "one", "prompt"\t: "two", "completion": "b"}',
    '{"prompt": "one", "prompt"   : "two", "completion": "b"}',
    '{"prompt": "\\u0022: ", "prompt": "two", "completion": "b"}',
    '{"prompt": "say \\"x\\": ", "completion": "b", "prompt": "two"}',
    '{"messages": [{"role": "user", "content": "one", "content": "two"}], "id": 1}',
    '{"prompt": "one", "pro\\u006dpt": "two", "completion": "b"}',
]


@pytest.mark.parametrize("text", DOUBLED)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "list.json", "one.json"])
def test_a_row_that_says_two_things_under_one_name_is_a_fault_and_the_others_are_read(tmp_path, text, name):
    lines = {"rows.jsonl": f"{GOOD}\n{text}\n{GOOD}\n", "rows.json": f"{GOOD}\n{text}\n{GOOD}\n",
             "list.json": f"[{GOOD}, {text}, {GOOD}]", "one.json": text}[name]  # fmt: skip
    rows = rows_of(tmp_path, lines, name)
    wanted = [None, "two values of one name", None]
    assert reasons(rows) == (wanted if len(rows) > 1 else wanted[1:2])
    (bad,) = [row for row in rows if row.fault]
    assert "'two'" in bad.fault.problem.found and bad.raw == text.encode()


@pytest.mark.parametrize("text", ['{"a": "x", "a": "", "b": 1}', '{"a": null, "b": 1, "a": "x"}', '{"b": 1, "a": [], "a": "x"}'])
def test_of_a_key_that_stands_twice_the_value_that_holds_something_is_kept(tmp_path, text):
    (row,) = rows_of(tmp_path, text)
    assert row.fault is None and row.data == {"a": "x", "b": 1}


@pytest.mark.parametrize("text", [
    '{"a": "he said \\"so\\": yes", "b": "\\" : "}', '{"a": {"a": 1, "b": {"a": 2}}, "c": [{"a": 1}, {"a": 2}]}', '{"a" : "x"}',
])  # fmt: skip
def test_rows_without_a_doubled_key_are_read_by_the_fast_parser(text):
    assert not may_name_a_key_twice(text.encode(), json.loads(text))
