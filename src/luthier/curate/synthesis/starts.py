"""What a method starts from, out of the user's files: requests, texts, personas.

Every row is used or counted, and what cannot be read is set aside with what is wrong with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from luthier.asking.asker import HALF
from luthier.curate.faults import BadRow, Fault
from luthier.curate.files.raw import RawRow, lines_of
from luthier.curate.files.reading import data_files, read_rows
from luthier.curate.ledger import write_quarantine
from luthier.curate.rows import converted_rows
from luthier.curate.shapes.fields import keys
from luthier.curate.synthesis.config import Method
from luthier.curate.synthesis.methods import Start
from luthier.errors import DataError, Problem
from luthier.records import Example

TEXT_NAMES = ("text", "document", "content", "output", "response", "completion", "answer")
"""Under which a row holds a text, the first that it has."""
PERSONA = "persona"
UNUSABLE, WITHOUT_A_TEXT, BROKEN = "unusable", "without a text", "broken characters"


class Starts(NamedTuple):
    """What there is to start from."""

    found: list[Start]
    account: dict[str, int]
    """Rows by what became of them: "used", or why not."""


class _Unread(NamedTuple):
    """A row that cannot be started from, as it is counted, and what is wrong with it."""

    why: str
    row: RawRow
    fault: Fault


def starts_of(method: Method, files: Sequence[Path], *, quarantine: Path | None = None) -> Starts:
    """The requests, texts or personas of the files, each once, in order.

    Rows that cannot be read go to the file `quarantine`. DataError where there is nothing to start from.
    """
    account: Counter[str] = Counter()
    found: dict[str, Start] = {}
    unread: list[_Unread] = []
    plain = [path for path in files if path.suffix.lower() == ".txt"]
    others = [path for path in files if path not in plain]
    given = [*_paragraphs(plain), *(_requests(others) if method in ("self_instruct", "evol_instruct")
                                    else _texts(others, wants_persona=method == "persona"))]  # fmt: skip
    for start in given:
        if isinstance(start, _Unread):
            unread.append(start)
        if isinstance(start, _Unread | str):
            account[start if isinstance(start, str) else start.why] += 1
            continue
        account["twice" if start.text in found else "used"] += 1
        found.setdefault(start.text, start)
    if quarantine is not None:
        write_quarantine(quarantine, ((one.row, one.fault) for one in unread))
    if not found:
        said = ", ".join(f"{count:,} {why}" for why, count in account.items()) or "no rows"
        raise DataError(
            "there is nothing to start from",
            [Problem(where="synthesise.files", found=said, expected=EXPECTED[method], fix="name other files"),
             *(one.fault.problem for one in unread)],
        )  # fmt: skip
    return Starts(list(found.values()), dict(account))


EXPECTED: dict[Method, str] = {
    "self_instruct": "rows of one request and its answer",
    "evol_instruct": "rows of one request and its answer",
    "inversion": 'rows with a "text", or a .txt file with blank lines between texts',
    "persona": 'rows with a "persona" or a "text"',
}


def _requests(files: Sequence[Path]) -> Iterator[Start | str | _Unread]:
    """The request of each row; of a conversation with several, or a preference, why it is not used."""
    for path in data_files(files) if files else ():
        for row, converted in converted_rows(path):
            if converted.fault is not None:
                yield _Unread(UNUSABLE, row, converted.fault)
            elif converted.dropped is not None:
                yield converted.dropped
            for record in () if converted.fault or converted.dropped else converted.records:
                if not isinstance(record, Example):
                    yield "a preference"
                elif [message.role for message in record.prompt] != ["user"]:
                    yield "more than one turn"
                else:
                    yield Start(record.prompt[0].content, record.source)


def _texts(files: Sequence[Path], *, wants_persona: bool) -> Iterator[Start | str | _Unread]:
    names = (PERSONA, *TEXT_NAMES) if wants_persona else TEXT_NAMES
    for path in data_files(files) if files else ():
        for row in read_rows(path):
            name = next((name for name in names if _is_text((row.data or {}).get(name))), None)
            if row.data is None:
                assert row.fault is not None
                yield _Unread(UNUSABLE, row, row.fault)
            elif name is None:
                without = BadRow(
                    WITHOUT_A_TEXT, field="", found=f"the fields {keys(row.data)}",
                    expected=f"a text in one of {', '.join(names)}", fix="add the text, or rename its field",
                )  # fmt: skip
                yield _Unread(WITHOUT_A_TEXT, row, without.fault(row.where))
            elif HALF.search(row.data[name]):  # no file of rows could hold it
                broken = BadRow(
                    BROKEN, field=name, found="half of a character", expected="whole characters",
                    fix="write the row again with a tool that cuts between characters, or delete it",
                )  # fmt: skip
                yield _Unread(BROKEN, row, broken.fault(row.where))
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
