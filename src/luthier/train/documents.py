"""Plain text for pre-training: which pieces of a file are documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from luthier.errors import DataError, Problem


def read_documents(files: Sequence[Path]) -> list[str]:
    """The documents of text files: blank lines separate them in .txt, each row's "text" is one in .jsonl.

    DataError names file, line and field of what cannot be read.
    """
    documents: list[str] = []
    for path in files:
        if not path.is_file():
            raise DataError(
                "a file is missing",
                [Problem(where=str(path), found="no such file", expected="plain text (.txt, .jsonl)",
                         fix="check the path in data.files")],
            )  # fmt: skip
        documents += _read_jsonl(path) if path.suffix == ".jsonl" else _read_text(path)
    if not documents:
        raise DataError(
            "there is no text to train on",
            [Problem(where=", ".join(map(str, files)), found="no document", expected="at least one", fix="add text")],
        )
    return documents


def _read_text(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "a file cannot be read",
            [Problem(where=str(path), found=f"byte {error.start} is not UTF-8", expected="UTF-8 text",
                     fix="save the file as UTF-8")],
        ) from None  # fmt: skip
    return [block.strip("\n") for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]


def _read_jsonl(path: Path) -> list[str]:
    problems = []
    documents = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                text = row.get("text") if isinstance(row, dict) else None
            except ValueError:
                row, text = None, None
            if isinstance(text, str):
                documents.append(text)
            else:
                problems.append(
                    Problem(where=f"{path}:{number}: text", found="no text" if row is not None else "no JSON",
                            expected='an object with a string under "text"', fix="repair or delete this line")
                )  # fmt: skip
    if problems:
        raise DataError(f"{len(problems)} rows of plain text cannot be read", problems)
    return documents
