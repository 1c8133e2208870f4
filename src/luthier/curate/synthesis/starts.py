"""What a method starts from, out of the user's files: requests, texts, personas. Every row is used or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from luthier.curate.files.raw import lines_of
from luthier.curate.files.reading import data_files, read_rows
from luthier.curate.rows import converted_rows
from luthier.curate.synthesis.asking import HALF
from luthier.curate.synthesis.config import Method
from luthier.curate.synthesis.methods import Start
from luthier.errors import DataError, Problem
from luthier.records import Example

TEXT_NAMES = ("text", "document", "content", "output", "response", "completion", "answer")
"""Under which a row holds a text, the first that it has."""
PERSONA = "persona"


class Starts(NamedTuple):
    """What there is to start from."""

    found: list[Start]
    account: dict[str, int]
    """Rows by what became of them: "used", or why not."""


def starts_of(method: Method, files: Sequence[Path]) -> Starts:
    """The requests, texts or personas of the files, each once, in order. DataError where there are none."""
    account: Counter[str] = Counter()
    found: dict[str, Start] = {}
    plain = [path for path in files if path.suffix.lower() == ".txt"]
    others = [path for path in files if path not in plain]
    given = [*_paragraphs(plain), *(_requests(others) if method in ("self_instruct", "evol_instruct")
                                    else _texts(others, wants_persona=method == "persona"))]  # fmt: skip
    for start in given:
        if isinstance(start, str):
            account[start] += 1
            continue
        if HALF.search(start.text):  # no file of rows could hold it
            account["broken characters"] += 1
            continue
        account["twice" if start.text in found else "used"] += 1
        found.setdefault(start.text, start)
    if not found:
        said = ", ".join(f"{count:,} {why}" for why, count in account.items()) or "no rows"
        raise DataError(
            "there is nothing to start from",
            [Problem(where="synthesise.files", found=said, expected=EXPECTED[method], fix="name other files")],
        )  # fmt: skip
    return Starts(list(found.values()), dict(account))


EXPECTED: dict[Method, str] = {
    "self_instruct": "rows of one request and its answer",
    "evol_instruct": "rows of one request and its answer",
    "inversion": 'rows with a "text", or a .txt file with blank lines between texts',
    "persona": 'rows with a "persona" or a "text"',
}


def _requests(files: Sequence[Path]) -> Iterator[Start | str]:
    """The request of each row; of a conversation with several, or a preference, why it is not used."""
    for path in data_files(files) if files else ():
        for _, converted in converted_rows(path):
            if converted.fault is not None:
                yield "unusable"
            elif converted.dropped is not None:
                yield converted.dropped
            for record in () if converted.fault or converted.dropped else converted.records:
                if not isinstance(record, Example):
                    yield "a preference"
                elif [message.role for message in record.prompt] != ["user"]:
                    yield "more than one turn"
                else:
                    yield Start(record.prompt[0].content, record.source)


def _texts(files: Sequence[Path], *, wants_persona: bool) -> Iterator[Start | str]:
    names = (PERSONA, *TEXT_NAMES) if wants_persona else TEXT_NAMES
    for path in data_files(files) if files else ():
        for row in read_rows(path):
            name = next((name for name in names if _is_text((row.data or {}).get(name))), None)
            if row.data is None or name is None:
                yield "unusable" if row.data is None else "without a text"
            else:
                yield Start(row.data[name].strip(), row.where, is_persona=name == PERSONA)


def _paragraphs(files: Sequence[Path]) -> Iterator[Start | str]:
    """The texts of .txt files: blank lines stand between two."""
    for path in files:
        if not path.is_file():
            raise DataError("a file is missing", [
                Problem(where=str(path), found="no such file", expected="a file of texts", fix="check the path"),
            ])  # fmt: skip
        held: list[str] = []
        first = 0
        for line in lines_of(path):
            text = line.data.decode("utf-8", "replace").rstrip()
            if not held and text.strip():
                first = line.number
            if text.strip():
                held.append(text)
            elif held:
                yield Start("\n".join(held).strip(), f"{path}:{first}")
                held = []
        if held:
            yield Start("\n".join(held).strip(), f"{path}:{first}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
