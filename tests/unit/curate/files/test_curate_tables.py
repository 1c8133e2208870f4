"""Tables: cells keep their line breaks and separators, headers are understood, and broken rows cost only themselves."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from luthier.curate.files.reading import read_rows
from luthier.errors import DataError


def rows_of(tmp_path, content, name, columns=None):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(path, columns))


def data_of(rows):
    return [row.data for row in rows]


def reasons(rows):
    return [row.fault.reason if row.fault else None for row in rows]


def test_csv_cells_hold_line_breaks_separators_quotes_and_line_separators(tmp_path):
    content = '\ufeffprompt,completion\r\n"a\r\nb, ""c""",x\u2028y\r\n\r\nd,e\r\n'
    rows = rows_of(tmp_path, content, "t.csv")
    assert data_of(rows) == [{"prompt": 'a\nb, "c"', "completion": "x\u2028y"}, {"prompt": "d", "completion": "e"}]
    assert [(row.line, row.num_lines) for row in rows] == [(2, 2), (5, 1)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_is_read_with_the_separator_of_its_first_line(tmp_path, separator):
    rows = rows_of(tmp_path, f"instruction{separator}output\na{separator}b\n", "t.csv")
    assert data_of(rows) == [{"instruction": "a", "output": "b"}]


def test_csv_cells_may_be_very_long(tmp_path):
    long = "x" * 200_000
    assert data_of(rows_of(tmp_path, f"prompt,completion\na,{long}\n", "t.csv"))[0]["completion"] == long


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path):
    rows = rows_of(tmp_path, 'prompt,completion\na,b\n"c,d\ne,f\n"g""h",i\n', "t.csv")
    assert reasons(rows) == [None, "broken quotes", None, None]
    assert rows[1].line == 3 and rows[1].raw == b'"c,d'
    assert data_of(rows)[2:] == [{"prompt": "e", "completion": "f"}, {"prompt": 'g"h', "completion": "i"}]


def test_a_row_with_too_many_or_too_few_cells_is_a_fault(tmp_path):
    rows = rows_of(tmp_path, "prompt,completion\na,b,c\nd\ne,f\n", "t.csv")
    assert reasons(rows) == ["wrong number of cells", "wrong number of cells", None]
    assert rows[0].fault.problem.found == "3 cells"
    assert rows[0].raw == b"a,b,c"


def test_a_table_row_that_is_not_utf8_is_a_fault_with_the_byte(tmp_path):
    rows = rows_of(tmp_path, b"prompt,completion\na,caf\xe9\nb,c\n", "t.csv")
    assert reasons(rows) == ["not UTF-8", None]
    assert rows[0].fault.problem.found == "byte 0xe9 at byte 23 of the file"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Instruction\tDesired output", {"prompt": "a", "completion": "b"}),
        ("Expected answer\tUser question", {"prompt": "b", "completion": "a"}),
        ("ANSWER\tQuestion", {"answer": "a", "question": "b"}),
        ("Request\tWhat we want", {"prompt": "a", "completion": "b"}),
    ],
)
def test_two_columns_are_named_by_the_words_of_their_header(tmp_path, header, expected):
    assert data_of(rows_of(tmp_path, f"{header}\na\tb\n", "t.tsv")) == [expected]


def test_two_columns_without_a_header_are_request_and_answer_from_the_first_row(tmp_path):
    rows = rows_of(tmp_path, "What is the answer to all this?\t42\nc\td\n", "t.tsv")
    assert data_of(rows) == [
        {"prompt": "What is the answer to all this?", "completion": "42"},
        {"prompt": "c", "completion": "d"},
    ]
    assert rows[0].line == 1


def test_columns_are_named_by_the_user(tmp_path):
    rows = rows_of(tmp_path, "Nr,Frage,Antwort\n1,a,b\n", "t.csv", {"Frage": "prompt", "Antwort": "completion"})
    assert data_of(rows) == [{"nr": "1", "prompt": "a", "completion": "b"}]
    rows = rows_of(tmp_path, '{"Frage": "a", "Antwort": "b"}', "t.jsonl", {"Frage": "prompt", "Antwort": "completion"})
    assert data_of(rows) == [{"prompt": "a", "completion": "b"}]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (r"one\ntwo", "one\ntwo"),
        (r"a\tb\nC", "a\tb\nC"),
        (r"3 \times 4", r"3 \times 4"),
        (r"\frac{1}{2}\neq 3", r"\frac{1}{2}\neq 3"),
        (r"C:\new\docs", r"C:\new\docs"),
        (r"a\\nb", r"a\\nb"),
        ('"he said ""no"""', 'he said "no"'),
        ('"yes", he said', '"yes", he said'),
    ],
)
def test_tsv_cells_write_line_breaks_as_escapes_but_latex_and_paths_stay(tmp_path, cell, expected):
    assert data_of(rows_of(tmp_path, f"prompt\tcompletion\n{cell}\tb\n", "t.tsv"))[0]["prompt"] == expected


def test_a_markdown_table_of_two_columns_is_read_whatever_its_header_says(tmp_path):
    content = (
        "# Our rows\n\nSome | text\n\n"
        "| What people ask | What we want |\n|:---|---:|\n"
        "| a \\| b | one<br>two<BR/>three |\n"
        "c | d\n"
        "| e |\n"
        "\nMore text.\n\n| instruction | input | output |\n|-|-|-|\n| x | | y |\n"
    )
    rows = rows_of(tmp_path, content, "t.md")
    assert reasons(rows) == [None, None, "wrong number of cells", None]
    assert data_of(rows) == [
        {"prompt": "a | b", "completion": "one\ntwo\nthree"},
        {"prompt": "c", "completion": "d"},
        None,
        {"instruction": "x", "input": "", "output": "y"},
    ]
    assert [row.line for row in rows] == [7, 8, 9, 15]


def test_json_in_a_cell_is_read_where_the_column_holds_lists(tmp_path):
    content = 'messages,note\n"[{""role"": ""user"", ""content"": ""a""}]","[1]"\n'
    assert data_of(rows_of(tmp_path, content, "t.csv")) == [
        {"messages": [{"role": "user", "content": "a"}], "note": "[1]"}
    ]


def test_parquet_rows_have_their_number_as_place(tmp_path):
    table = pyarrow.table({"Frage": ["a", "b"], "completion": ["x", None]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    rows = list(read_rows(tmp_path / "t.parquet", {"Frage": "prompt"}))
    assert [(row.line, row.data) for row in rows] == [
        (1, {"prompt": "a", "completion": "x"}),
        (2, {"prompt": "b", "completion": None}),
    ]


def test_a_parquet_file_that_is_none_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"t\.parquet.*expected a Parquet file"):
        rows_of(tmp_path, b"not parquet", "t.parquet")


TWO = "two columns are completion: 'Antwort' and 'completion'"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "prompt,Antwort,completion\na,b,c\nd,,e\n"),
        ("t.md", "|prompt|Antwort|completion|\n|-|-|-|\n|a|b|c|\n|d||e|\n"),
        ("t.jsonl", '{"prompt": "a", "Antwort": "b", "completion": "c"}\n{"prompt": "d", "Antwort": null, "completion": "e"}\n'),
        ("t.json", '{"prompt": ["a", "d"], "Antwort": ["b", null], "completion": ["c", "e"]}'),
    ],
)
def test_two_columns_of_one_name_are_a_fault_where_both_hold_something(tmp_path, name, content):
    bad, good = rows_of(tmp_path, content, name, {"Antwort": "completion"})
    assert bad.data is None and bad.fault.problem.found == TWO and "rename one" in bad.fault.problem.fix
    assert b"b" in bad.raw and b"c" in bad.raw
    assert good.data == {"prompt": "d", "completion": "e"}


def test_two_columns_of_one_name_in_parquet_are_a_fault_that_keeps_both(tmp_path):
    columns = [pyarrow.array(["a", "d"]), pyarrow.array(["b", None]), pyarrow.array(["c", "e"])]
    table = pyarrow.Table.from_arrays(columns, names=["prompt", "completion", "completion"])
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    bad, good = read_rows(tmp_path / "t.parquet")
    assert bad.fault.problem.found == "two columns are completion: 'completion' and 'completion'"
    assert json.loads(bad.raw) == {"prompt": "a", "completion": "b", "completion (2)": "c"}
    assert good.data == {"prompt": "d", "completion": "e"}


def test_a_csv_header_that_names_a_column_twice_loses_neither_and_columns_without_a_name_are_no_matter(tmp_path):
    bad, good = rows_of(tmp_path, "prompt,completion,Completion,,\na,b,c,1,2\nd,e,,1,2\n", "t.csv")
    assert bad.fault.reason == "two columns of one name" and bad.raw == b"a,b,c,1,2"
    assert (good.data["prompt"], good.data["completion"]) == ("d", "e")
