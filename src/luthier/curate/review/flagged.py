"""The flagged rows of a curated folder: each with all that was said of it, and its record found by one seek."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.faults import shown
from luthier.errors import DataError, Problem
from luthier.privacy import REGIONS
from luthier.records.jsonl import parse_json
from luthier.runs import read_json

RECORD_FILES = ("examples.jsonl", "preferences.jsonl")
FILES = (*RECORD_FILES, "flagged.jsonl", "conflicts.jsonl", "ledger.json")
_HEAD = b'{"id":"'
"""How a line of records begins: the id follows, without anything to unescape."""


class Flag(NamedTuple):
    """What was said of a row."""

    step: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class FlaggedRow:
    """A row that a person should look at."""

    number: int
    """From 0, in the order of flagged.jsonl."""
    id: str
    where: str
    """The place of the first record with this id."""
    flags: tuple[Flag, ...]


class Place(NamedTuple):
    """Where the bytes of a record stand: number of the file in RECORD_FILES, first byte, length."""

    file: int
    start: int
    size: int


@dataclass(slots=True)
class Flagged:
    """What a curated folder asks a person. The files stay open: a curation that replaces them does not disturb."""

    rows: list[FlaggedRow]
    by_id: Mapping[str, FlaggedRow]
    by_where: Mapping[str, str]
    """The id of a row by its place, as far as flags and conflicts name it."""
    conflicts: Mapping[str, tuple[str, ...]]
    """For a row that is in conflict, the ids of all rows of its group, itself included."""
    places: Mapping[str, Place]
    regions: tuple[str, ...]
    """Whose telephone numbers curation knew in their national form."""
    signature: tuple[Any, ...]
    """Of the files that were read; another one means that the folder was curated again."""
    _open: list[_OpenFile] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Flagged:
        """Read the folder. DataError when it is none that curation wrote, or a line is not one of curation's."""
        if not (folder / "flagged.jsonl").is_file():
            raise DataError("this is not a curated folder", [
                Problem(where=str(folder), found="no flagged.jsonl", expected="a folder that `luthier curate` wrote",
                        fix="luthier curate --data FILE --out FOLDER, then name FOLDER here"),
            ])  # fmt: skip
        signature = signature_of(folder)
        rows, by_where = _flagged_rows(folder / "flagged.jsonl")
        conflicts: dict[str, tuple[str, ...]] = {}
        for line, entry in _objects(folder / "conflicts.jsonl", must_exist=False):
            group = _group(entry, f"{folder / 'conflicts.jsonl'}:{line}")
            by_where.update(group)
            ids = tuple(dict.fromkeys(group.values()))
            conflicts.update(dict.fromkeys(ids, ids))
        by_id = {row.id: row for row in rows}
        files = [_OpenFile(folder / name) for name in RECORD_FILES]
        places = _places(files, by_id.keys() | conflicts.keys())
        return cls(rows, by_id, by_where, conflicts, places, regions_of(folder), signature, files)

    def record(self, identity: str) -> dict[str, Any] | None:
        """The record with this id as JSON has it; None where no file of records holds it."""
        place = self.places.get(identity)
        if place is None:
            return None
        record: dict[str, Any] = parse_json(self._open[place.file].piece(place.start, place.size))
        return record

    def search(self, words: str) -> set[int]:
        """The numbers of the rows in whose texts, flags or place all these words stand, whatever their case."""
        wanted = words.casefold().split()
        found = set()
        for row in self.rows:
            text = "\n".join([row.where, row.id, *(text for flag in row.flags for text in flag)]).casefold()
            missing = [word for word in wanted if word not in text]
            if missing:
                said = "\n".join(_strings(self.record(row.id))).casefold()
                missing = [word for word in missing if word not in said]
            if not missing:
                found.add(row.number)
        return found


class _OpenFile:
    """A file that may not be there, read by place from any thread, closed when nobody needs it any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._number: int | None = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            self._number = None

    def __del__(self) -> None:
        if getattr(self, "_number", None) is not None:
            os.close(self._number)  # type: ignore[arg-type]
            self._number = None

    def piece(self, start: int, size: int) -> bytes:
        return b"" if self._number is None else os.pread(self._number, size, start)

    def lines(self) -> Iterator[bytes]:
        if self._number is not None:
            with os.fdopen(os.dup(self._number), "rb") as file:
                yield from file


def signature_of(folder: Path) -> tuple[Any, ...]:
    """Changes when one of the files that are read here is written again."""
    found: list[Any] = []
    for name in FILES:
        try:
            stat = os.stat(folder / name)
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def regions_of(folder: Path) -> tuple[str, ...]:
    """The regions of telephone numbers that the folder was curated with, by its ledger; else the usual ones."""
    personal = read_json(folder / "ledger.json").get("personal")
    found = personal.get("regions") if isinstance(personal, dict) else None
    if isinstance(found, list) and all(isinstance(region, str) for region in found):
        return tuple(found)
    return REGIONS


def _flagged_rows(path: Path) -> tuple[list[FlaggedRow], dict[str, str]]:
    flags: dict[str, list[Flag]] = {}
    where: dict[str, str] = {}
    by_where: dict[str, str] = {}
    for line, entry in _objects(path):
        values = [entry.get(name) for name in ("id", "where", "step", "reason", "detail")]
        if not all(isinstance(value, str) for value in values) or not values[0]:
            raise _not_written_by_us(f"{path}:{line}", entry, "a flag with where, id, step, reason and detail")
        identity, place, step, reason, detail = map(str, values)
        flag = Flag(step, reason, detail)
        where.setdefault(identity, place)
        by_where[place] = identity
        some = flags.setdefault(identity, [])
        if flag not in some:
            some.append(flag)
    rows = [FlaggedRow(number, id, where[id], tuple(some)) for number, (id, some) in enumerate(flags.items())]
    return rows, by_where


def _group(entry: Mapping[str, Any], place: str) -> dict[str, str]:
    """Of a line of conflicts.jsonl the ids of its rows by their places."""
    try:
        return {str(row["where"]): str(row["id"]) for row in entry["rows"]}
    except (KeyError, TypeError):
        raise _not_written_by_us(place, entry, "rows with where and id") from None


def _places(files: list[_OpenFile], wanted: set[str]) -> dict[str, Place]:
    """Where the wanted records stand. Most lines are only looked at for their first characters."""
    names = {identity.encode() for identity in wanted}
    places: dict[str, Place] = {}
    for number, file in enumerate(files):
        start = 0
        for line in file.lines():
            head = line[len(_HEAD) : line.find(b'"', len(_HEAD))] if line.startswith(_HEAD) else _id_of(line)
            if head in names:
                places.setdefault(head.decode(), Place(number, start, len(line)))
            start += len(line)
    return places


def _id_of(line: bytes) -> bytes:
    """The id of a record that somebody else wrote down."""
    try:
        data = parse_json(line)
    except (ValueError, RecursionError):
        return b""
    return str(data.get("id", "")).encode() if isinstance(data, dict) else b""


def _objects(path: Path, *, must_exist: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    if not must_exist and not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                data = parse_json(line)
            except (ValueError, RecursionError):
                data = None
            if not isinstance(data, dict):
                raise _not_written_by_us(f"{path}:{number}", line[:60], "one JSON object")
            yield number, data


def _not_written_by_us(where: str, found: object, expected: str) -> DataError:
    return DataError("this is not a curated folder", [
        Problem(where=where, found=shown(found), expected=expected, fix="run `luthier curate` again"),
    ])  # fmt: skip


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
