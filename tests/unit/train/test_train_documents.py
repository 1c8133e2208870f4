"""Plain text files as documents."""

from __future__ import annotations

import pytest

from luthier.errors import DataError
from luthier.train.documents import read_documents


def test_blank_lines_separate_documents_in_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\nstill one\r\n\r\n\r\ntwo\n\n  \n\nthree\u2028still".encode())
    assert read_documents([path]) == ["one\nstill one", "two", "three\u2028still"]


def test_each_row_of_jsonl_is_a_document(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\\n\\nstill", "id": 1}\n\n{"text": "two\u2028"}\n', encoding="utf-8")
    assert read_documents([path, path]) == ["one\n\nstill", "two\u2028"] * 2


def test_rows_that_cannot_be_read_are_named_together(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": 3}\n{"text"\n["x"]\n')
    with pytest.raises(DataError, match="3 rows of plain text cannot be read") as error:
        read_documents([path])
    assert [p.where for p in error.value.problems] == [f"{path}:{n}: text" for n in (2, 3, 4)]


@pytest.mark.parametrize(
    ("content", "expected"), [(b"caf\xe9", "byte 3 is not UTF-8"), (b" \n\n ", "no document"), (None, "no such file")]
)
def test_a_file_that_gives_no_text_says_why(tmp_path, content, expected):
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_documents([path])
