"""Tables of HTML pages."""

import pytest

from luthier.curate.files.reading import read_rows


def rows_of(tmp_path, page, name="page.html"):
    path = tmp_path / name
    path.write_bytes(page if isinstance(page, bytes) else page.encode())
    return list(read_rows(path))


def data_of(tmp_path, page):
    rows = rows_of(tmp_path, page)
    assert all(row.fault is None for row in rows), rows
    return [tuple(row.data.values()) for row in rows]


PAIR = {"prompt": "a", "completion": "b"}
PAGES = [
    "<table><tr><th>Instruction</th><th>Desired output</th></tr><tr><td>a</td><td>b</td></tr></table>",
    "<table><thead><tr><th>Desired output</th><th>Instruction</th></tr></thead><tr><td>b</td><td>a</td></tr></table>",
    "<TABLE><TR><TD>a<TD>b</TABLE>",
    "<p>x | y</p><table border=1>\n<tr>\n<td> a </td>\n<td>b\n</td></tr></table><script>var t = '<td>'</script>",
    "<table><tr><td>a</td><td>b",
]


@pytest.mark.parametrize("page", PAGES)
def test_a_table_of_two_columns_is_request_and_answer_with_or_without_a_header(tmp_path, page):
    (row,) = rows_of(tmp_path, page)
    assert dict(row.data) == PAIR


def test_blanks_are_one_blank_breaks_are_kept_and_entities_are_characters(tmp_path):
    page = """<table><tr><td>one   two
      three<br>four<p>five</p>six</td><td>&lt;b&gt; &amp; caf&eacute; <b>bold</b></td></tr>
      <tr><td>code</td><td><pre>def f():
    return  1</pre></td></tr></table>"""
    assert data_of(tmp_path, page) == [
        ("one two three\nfour\nfive\nsix", "<b> & caf\u00e9 bold"), ("code", "def f():\n    return  1"),
    ]  # fmt: skip


def test_each_table_has_its_own_header_and_a_table_in_a_cell_is_text_of_it(tmp_path):
    page = """<table><tr><th>question</th><th>answer</th></tr><tr><td>a</td><td>b</td></tr></table>
    <table><tr><th>context</th><th>question</th><th>answer</th></tr>
    <tr><td>c</td><td>d</td><td><table><tr><td>e</td><td>f</td></tr></table></td></tr></table>"""
    rows = [dict(row.data) for row in rows_of(tmp_path, page)]
    assert rows[0] == {"question": "a", "answer": "b"} or rows[0] == PAIR
    assert {name: text.split() for name, text in rows[1].items()} == {
        "context": ["c"], "question": ["d"], "answer": ["e", "f"],
    }  # fmt: skip


def test_rows_are_named_by_the_line_on_which_they_start_and_faults_keep_the_row(tmp_path):
    page = "<table>\n<tr><td>a</td><td>b</td></tr>\n<tr><td>only\none</td></tr>\n<tr><td>c</td><td>d</td></tr></table>"
    rows = rows_of(tmp_path, page)
    assert [(row.line, row.num_lines) for row in rows] == [(2, 1), (3, 2), (5, 1)]
    assert rows[1].fault.reason == "wrong number of cells"
    assert rows[1].raw == b"<tr><td>only\none</td></tr>"


def test_bytes_that_are_not_utf8_are_a_fault_of_their_row(tmp_path):
    page = b"<table><tr><td>a</td><td>b</td></tr>\n" + b"<tr><td>caf\xe9</td><td>d</td></tr></table>"
    rows = rows_of(tmp_path, page)
    assert [row.fault.reason if row.fault else None for row in rows] == [None, "not UTF-8"]
    assert f"byte 0xe9 at byte {page.index(0xE9)} " in rows[1].fault.problem.found


def test_a_declaration_without_end_costs_the_rest_of_the_page_only(tmp_path):
    rows = rows_of(tmp_path, "<table><tr><td>a</td><td>b</td></tr><![foo[ <tr><td>c</td><td>d</td></tr></table>")
    assert dict(rows[0].data) == PAIR
    assert [row.fault.reason for row in rows[1:]] in (["not HTML"], [])
