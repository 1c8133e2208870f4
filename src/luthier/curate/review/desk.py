"""What a person works at who reviews flagged rows: views of them, each row in full, and decisions that last.

Everything that goes in and out is plain JSON, for a page of any kind. Any number of threads may use one desk, and any
number of desks one folder: what another has decided is read before every answer, and a folder that was curated again
is read anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from luthier.curate.review.decision_log import Added, DecisionLog, Entry, Wanted
from luthier.curate.review.decisions import KINDS, UNDO, mended
from luthier.curate.review.flagged import Flagged, FlaggedRow, signature_of
from luthier.curate.review.passages import Part, Piece, compared, editable, edited, is_about_answer, marked, parts_of
from luthier.curate.review.tally import Tally
from luthier.errors import DataError, Problem
from luthier.records.jsonl import parse_json, to_json

OPEN = "open"
STATES = (OPEN, *(kind for kind in KINDS if kind != UNDO))
"""What a row can be: not decided yet, or decided so."""
ALL = "all"
MOST_ROWS = 200
"""Rows that are summed up in one answer."""
MOST_RELATED = 8
"""Rows that are shown beside one."""
PREVIEW_CHARACTERS = 120
_NOT_EDITED = ("id", "source", "messages", "prompt", "chosen", "rejected", "targets", "choices")
_RECORD = "record"
_HALF = re.compile(r"[\ud800-\udfff]")


class Filter(NamedTuple):
    """Which rows are looked at."""

    state: str = ALL
    step: str = ""
    reason: str = ""
    words: str = ""


@dataclass(slots=True)
class Desk:
    """The flagged rows of a curated folder and the decisions on them."""

    folder: Path
    log: DecisionLog
    _flagged: Flagged
    _tally: Tally = field(default_factory=Tally)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _searched: dict[tuple[str, tuple[Any, ...]], set[int]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, decisions: Path) -> Desk:
        """Read both. DataError when the folder is no curated one or the file holds something else than decisions."""
        flagged = Flagged.read(folder)
        return cls(folder, DecisionLog.open(decisions), flagged)

    def start(self) -> dict[str, Any]:
        """What there is to do, and how far it is."""
        flagged = self._fresh()
        return {"folder": str(self.folder), "decisions": str(self.log.path), **self._progress(flagged)}

    def view(self, chosen: Mapping[str, str]) -> dict[str, Any]:
        """The numbers of the rows that fit a Filter, in order, and the state of each as a number in STATES."""
        flagged = self._fresh()
        decided = self.log.decided()
        rows = self._fitting(flagged, Filter(**chosen), decided)
        return {"numbers": [row.number for row in rows], "states": [_state(decided.get(row.id)) for row in rows],
                "version": self._version(flagged)}  # fmt: skip

    def rows(self, numbers: Sequence[int]) -> dict[str, Any]:
        """A line for each of some rows."""
        flagged = self._fresh()
        some = [flagged.rows[number] for number in numbers[:MOST_ROWS] if 0 <= number < len(flagged.rows)]
        return {"rows": [_summary(row, flagged.record(row.id)) for row in some], "version": self._version(flagged)}

    def row(self, number: int) -> dict[str, Any]:
        """All of one row: its texts with the flagged passages marked, rows it is compared with, what was decided."""
        flagged = self._fresh()
        if not 0 <= number < len(flagged.rows):
            raise _unknown(f"row {number}")
        row = flagged.rows[number]
        record = flagged.record(row.id)
        parts = parts_of(record) if record else []
        about_answer = is_about_answer(row.flags)
        answer = _answer(parts)
        related = self._related(flagged, row)
        return {
            **_summary(row, record), "is_missing": record is None,
            "parts": [
                {**_part(part, pieces), "is_flagged": about_answer and part is answer}
                for part, pieces in zip(parts, marked(parts, row.flags, regions=flagged.regions), strict=True)
            ],
            "facts": {name: value for name, value in (record or {}).items() if name not in _NOT_EDITED},
            "answer_path": answer.path if answer else None,
            "related": [self._beside(flagged, identity, parts) for identity in related[:MOST_RELATED]],
            "num_related": len(related), "is_conflict": row.id in flagged.conflicts,
            "decision": self._decision(row.id, parts), "version": self._version(flagged),
        }  # fmt: skip

    def text(self, identity: str, mend: Mapping[str, Any]) -> dict[str, Any]:
        """The record as JSON that a person can edit, with the new `texts` of `mend` in it, and as it was `before` them.

        The mended record where it was mended. DataError where there is none, or no such text in it.
        """
        base = self._base(self._fresh(), identity)
        if base is None:
            raise _unknown(identity)
        made = _with_texts(base, mend)
        if isinstance(made, Problem):
            raise DataError("this cannot be edited as JSON", [made])
        return {"text": _json_text(made), "before": _json_text(editable(base))}

    def check(self, identity: str, mend: Mapping[str, Any]) -> dict[str, Any]:
        """What is wrong with a mended record, each finding with the field that it is about; nothing where it is well.

        `mend` holds `texts`, new texts by their paths, or `json`, the whole record.
        """
        made = self._mended(self._fresh(), identity, mend)
        return {"problems": [_finding(made)] if isinstance(made, Problem) else []}

    def decide(self, decisions: Sequence[Mapping[str, Any]], *, version: str) -> dict[str, Any]:
        """Add decisions, all or none: each with `id`, `decision`, `seen` and perhaps `reason`, `texts` or `json`."""
        flagged = self._fresh()
        wanted, problems = [], []
        for one in decisions:
            made = self._wanted(flagged, one)
            if isinstance(made, Problem):
                problems.append(made)
            else:
                wanted.append(made)
        if problems:
            raise DataError("this cannot be decided", problems)
        return self._answer(flagged, self.log.add(wanted), version)

    def decide_all(self, numbers: Sequence[int], *, decision: str, reason: str, version: str) -> dict[str, Any]:
        """Keep or drop the rows with these numbers, all or none.

        Refused when the folder was curated since `version`, which came with the numbers, for they would mean other
        rows; and when one of the rows was decided meanwhile.
        """
        flagged = self._fresh()
        if decision not in ("keep", "drop"):
            raise DataError("this cannot be decided", [
                Problem(where="decision", found=repr(decision), expected="keep or drop", fix="mend rows one by one"),
            ])  # fmt: skip
        if version.partition(".")[0] != self._version(flagged).partition(".")[0]:
            return {**self._answer(flagged, Added("", (), ()), version), "is_refused": True}
        unknown = next((number for number in numbers if not 0 <= number < len(flagged.rows)), None)
        if unknown is not None:
            raise _unknown(f"row {unknown}")
        ids = dict.fromkeys(flagged.rows[number].id for number in numbers)
        return self._answer(flagged, self.log.add([Wanted(one, decision, reason) for one in ids]), version)

    def undo(self, stamp: str, *, version: str) -> dict[str, Any]:
        """Take back what one action decided."""
        flagged = self._fresh()
        return self._answer(flagged, self.log.undo(stamp), version)

    def take_back(self, identity: str, *, seen: str, version: str) -> dict[str, Any]:
        """Take back the last decision on one row."""
        flagged = self._fresh()
        return self._answer(flagged, self.log.take_back(identity, seen=seen), version)

    def changes(self, version: str) -> dict[str, Any]:
        """What was decided since a version was given out, and how far all is now."""
        flagged = self._fresh()
        return {**self._changed(flagged, version), **self._progress(flagged)}

    def _fresh(self) -> Flagged:
        self.log.refresh()
        with self._guard:
            if signature_of(self.folder) != self._flagged.signature:
                self._flagged = Flagged.read(self.folder)
                self._searched.clear()
            return self._flagged

    def _version(self, flagged: Flagged) -> str:
        epoch, lines = self.log.version()
        return f"{hashlib.sha256(repr(flagged.signature).encode()).hexdigest()[:16]}.{epoch}.{lines}"

    def _changed(self, flagged: Flagged, version: str) -> dict[str, Any]:
        """States of the rows on which something was decided since; `is_stale` where all must be asked for anew."""
        now = self._version(flagged)
        name, epoch, lines = [*version.split("."), "", ""][:3]
        ids = None
        if name == now.partition(".")[0] and epoch.isdigit() and lines.isdigit():
            ids = self.log.changed_since((int(epoch), int(lines)))
        rows = [flagged.by_id[identity] for identity in ids or () if identity in flagged.by_id]
        return {"version": now, "is_stale": ids is None,
                "changed": [[row.number, _state(self.log.current(row.id))] for row in rows]}  # fmt: skip

    def _progress(self, flagged: Flagged) -> dict[str, Any]:
        return self._tally.count(flagged, self.log)

    def _fitting(self, flagged: Flagged, chosen: Filter, decided: Mapping[str, Entry]) -> list[FlaggedRow]:
        found: set[int] | None = None
        if chosen.words.strip():
            key = (chosen.words, flagged.signature)
            if key not in self._searched:
                self._searched = {key: flagged.search(chosen.words)}
            found = self._searched[key]
        return [
            row for row in flagged.rows
            if chosen.state in (ALL, STATES[_state(decided.get(row.id))])
            and (found is None or row.number in found)
            and any(chosen.step in ("", f.step) and chosen.reason in ("", f.reason) for f in row.flags)
        ]  # fmt: skip

    def _related(self, flagged: Flagged, row: FlaggedRow) -> list[str]:
        """The ids of the rows that a row's flags compare it with."""
        found = list(flagged.conflicts.get(row.id, ()))
        for flag in row.flags:
            other = flagged.by_where.get(flag.detail.partition(" like ")[2])
            found += [other] if other else []
        return [identity for identity in dict.fromkeys(found) if identity != row.id]

    def _beside(self, flagged: Flagged, identity: str, parts: Sequence[Part]) -> dict[str, Any]:
        """Another row next to one with these parts, the words that differ marked."""
        record = flagged.record(identity)
        own = parts_of(record) if record else []
        answer, against = _answer(own), _answer(parts)
        said, asked = answer.text if answer else "", _asked(own)
        row = flagged.by_id.get(identity)
        where = next((place for place, one in flagged.by_where.items() if one == identity), "")
        return {
            "id": identity, "number": row.number if row else None, "where": row.where if row else where,
            "answer": _pieces(compared(said, against.text if against else "")),
            "of_this": _pieces(compared(against.text if against else "", said)),
            "asked": _pieces(compared(asked, _asked(parts))) if asked != _asked(parts) else None,
            "decision": self._decision(identity, own),
        }  # fmt: skip

    def _decision(self, identity: str, parts: Iterable[Part]) -> dict[str, Any] | None:
        entry = self.log.current(identity)
        if entry is None:
            return None
        before = {part.path: part.text for part in parts}
        record = self._as_record(entry)
        return {
            "decision": entry.kind, "reason": entry.reason, "at": entry.at, "stamp": entry.stamp,
            "parts": [
                _part(part, compared(part.text, before[part.path]) if part.path in before else [Piece(part.text)])
                for part in (parts_of(record) if record else ())
            ],
        }  # fmt: skip

    def _as_record(self, entry: Entry) -> dict[str, Any] | None:
        """The mended record as our files have it, whatever shape it was written in."""
        if entry.record is None:
            return None
        made = mended(entry.record, file=_RECORD, line=1)
        return None if isinstance(made, Problem) else to_json(made)

    def _wanted(self, flagged: Flagged, one: Mapping[str, Any]) -> Wanted | Problem:
        identity, kind = str(one.get("id", "")), str(one.get("decision", ""))
        if identity not in flagged.by_id and identity not in flagged.conflicts:
            return _unknown(identity).problems[0]
        if kind not in STATES[1:]:
            return Problem(where="decision", found=repr(kind), expected=f"one of {', '.join(STATES[1:])}",
                           fix="send one of these")  # fmt: skip
        record = self._mended(flagged, identity, one) if kind == "mend" else None
        if isinstance(record, Problem):
            return record
        return Wanted(identity, kind, str(one.get("reason") or ""), record, one.get("seen"))

    def _base(self, flagged: Flagged, identity: str) -> dict[str, Any] | None:
        """The record that new texts go into: the mended one where it was mended; None where there is none."""
        entry = self.log.current(identity)
        return (self._as_record(entry) if entry else None) or flagged.record(identity)

    def _mended(self, flagged: Flagged, identity: str, mend: Mapping[str, Any]) -> dict[str, Any] | Problem:
        """The record that a person wrote, if curation can use it and it is another one."""
        data: Any
        if "json" in mend:
            try:
                data = parse_json(str(mend["json"]).encode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError) as error:
                return Problem(where=_RECORD, found=str(error), expected="one JSON object", fix="correct it there")
        else:
            base = self._base(flagged, identity)
            data = _with_texts(base, mend) if base else _unknown(identity).problems[0]
            if isinstance(data, Problem):
                return data
        made = mended(data, file=_RECORD, line=1)
        if isinstance(made, Problem):
            return made
        if made.id == identity:
            return Problem(where=_RECORD, found="what the row says already", expected="something else",
                           fix="change a text, or keep the row as it is")  # fmt: skip
        return {name: value for name, value in data.items() if name not in ("id", "source")}

    def _answer(self, flagged: Flagged, added: Added, version: str) -> dict[str, Any]:
        return {
            "stamp": added.stamp, "num_added": len(added.ids), "refused": list(added.refused),
            "is_refused": bool(added.refused), **self._changed(flagged, version), **self._progress(flagged),
        }  # fmt: skip


def _with_texts(base: Mapping[str, Any], mend: Mapping[str, Any]) -> dict[str, Any] | Problem:
    """The record with the new texts of `mend`, each by its path."""
    try:
        return edited(base, {str(path): str(text) for path, text in (mend.get("texts") or {}).items()})
    except KeyError as error:
        return Problem(where=str(error.args[0]), found="no such text", expected="a text of the row",
                       fix="load the row again")  # fmt: skip


def _json_text(record: Mapping[str, Any]) -> str:
    """As a person edits it. Half of a character, which no answer can hold, is written as its escape."""
    text = json.dumps(record, ensure_ascii=False, indent=2)
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _state(entry: Entry | None) -> int:
    return STATES.index(entry.kind) if entry else 0


def _summary(row: FlaggedRow, record: Mapping[str, Any] | None) -> dict[str, Any]:
    parts = parts_of(record) if record else []
    asked = next((part.text for part in reversed(parts) if part.role == "user"), parts[0].text if parts else "")
    return {
        "number": row.number, "id": row.id, "where": row.where,
        "flags": [{"step": flag.step, "reason": flag.reason, "detail": flag.detail} for flag in row.flags],
        "preview": " ".join(asked[: 2 * PREVIEW_CHARACTERS].split())[:PREVIEW_CHARACTERS],
    }  # fmt: skip


def _answer(parts: Sequence[Part]) -> Part | None:
    """The last answer; of a preference the chosen one."""
    chosen = next((part for part in parts if part.path == "chosen"), None)
    return chosen or next((part for part in reversed(parts) if part.role == "assistant"), None)


def _asked(parts: Sequence[Part]) -> str:
    """All before the answer, with the names of the speakers where there is more than one turn."""
    before = [part for part in parts if part.path.startswith(("messages", "prompt")) and part is not _answer(parts)]
    return before[0].text if len(before) == 1 else "\n\n".join(f"{part.role}: {part.text}" for part in before)


def _part(part: Part, pieces: Iterable[Piece]) -> dict[str, Any]:
    return {"path": part.path, "role": part.role, "text": part.text, "pieces": _pieces(pieces)}


def _pieces(pieces: Iterable[Piece]) -> list[list[str]]:
    return [[piece.text, piece.mark] for piece in pieces]


def _finding(problem: Problem) -> dict[str, str]:
    """A problem as a page shows it: the field within the record in place of file and line."""
    return {"field": problem.where.removeprefix(f"{_RECORD}:1").removeprefix(": "), "found": problem.found,
            "expected": problem.expected, "fix": problem.fix}  # fmt: skip


def _unknown(what: str) -> DataError:
    return DataError("there is no such row", [
        Problem(where=what, found="no flagged row", expected="a row of this folder",
                fix="load the page again: the folder may have been curated anew"),
    ])  # fmt: skip
