"""Curation: read, recognise, clean, merge duplicates, split, write; and an account of every row.

    OUT/train.jsonl dev.jsonl held_out.jsonl   examples; examples.jsonl holds the three together
    OUT/preferences.jsonl                      pairs of answers
    OUT/quarantine.jsonl                       rows that cannot be used, what is wrong with them, and how to mend it
    OUT/merged.jsonl dropped.jsonl             duplicates and what they are duplicates of; rows that a rule left out
    OUT/ledger.json card.html                  the account, for programs and for people

The same files and options give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.curate.card import NOT_STATED, write_card
from luthier.curate.cleaning import clean, has_lost_characters
from luthier.curate.config import CurateConfig
from luthier.curate.duplicates import Placed, conflicts, merge_duplicates
from luthier.curate.ledger import Books, write_lines, write_object, write_quarantine
from luthier.curate.reading import check_files, no_rows
from luthier.curate.rows import converted_rows, no_usable_row, strict_error
from luthier.curate.split import PARTS, Item, Part, assign, certificate, groups
from luthier.errors import DataError, Problem
from luthier.records import Example, Preference, write_records

Say = Callable[[str], None]

ON_HELD_OUT_PROMPT = "preference on a held-out prompt"
IN_HELD_OUT_FILE = "preference in a held-out file"
PROGRESS_ROWS = 100_000
"""After so many rows of a file it is said how far reading is."""
NAMES = (*PARTS, "examples", "preferences", "quarantine", "merged", "dropped")
"""The JSONL files of a curated folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curated:
    """A curated folder."""

    paths: Mapping[str, Path]
    """train, dev, held_out, examples, preferences, quarantine, merged, dropped, ledger, card."""
    ledger: Mapping[str, Any]
    counts: Mapping[str, int]
    """Rows of train, dev, held_out and preferences."""
    problems: tuple[Problem, ...]
    """Of quarantined rows and of files without rows."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Every kept row, in the place that it goes to."""

    parts: Mapping[Part, Sequence[Placed]]
    preferences: Sequence[Placed]

    @property
    def examples(self) -> list[Placed]:
        """The rows of the three parts."""
        return [row for part in PARTS for row in self.parts[part]]


def curate(
    files: Sequence[Path],
    *,
    out: Path,
    config: CurateConfig,
    held_out_files: Sequence[Path] = (),
    allow_overlap: bool = False,
    say: Say,
) -> Curated:
    """Make trusted examples of raw files and write them to the folder `out`.

    DataError when a file cannot be used, when a prompt of `files` is in `held_out_files` too, when no row is kept, and
    under `config.strict` when a row was quarantined; the last two only after the outputs were written.
    """
    check_files(files)
    check_files(held_out_files)
    books = Books()
    learnt = _gather(files, config, books, say)
    kept_apart = _gather(held_out_files, config, books, say)
    if not allow_overlap:
        _check_overlap(learnt, kept_apart)
    if held_out_files:
        sets = _with_held_out(learnt, kept_apart, config, books)
    else:
        sets = _split(learnt, config, books)
    ledger = _ledger(sets, books)
    paths = _write(out, sets, books, ledger)
    _say_result(say, ledger, paths)
    if not ledger["kept"]:
        raise no_usable_row(books.problems)
    if config.strict and books.problems:
        raise strict_error(books.problems)
    counts = {**ledger["splits"], "preferences": ledger["preferences"]}
    return Curated(paths=paths, ledger=ledger, counts=counts, problems=books.problems)


def _gather(files: Sequence[Path], config: CurateConfig, books: Books, say: Say) -> list[Placed]:
    """The usable rows of the files, cleaned, without duplicates."""
    rows: list[Placed] = []
    for path in files:
        shapes = books.files.setdefault(str(path), Counter())
        before = shapes.total()
        for row, converted in converted_rows(path, columns=config.columns, licence=config.licence):
            shapes[converted.shape] += 1
            if (shapes.total() - before) % PROGRESS_ROWS == 0:
                say(f"curate | {path} | {shapes.total() - before:,} rows so far")
            if converted.record is None:
                assert converted.fault is not None
                books.quarantined.append((row, converted.fault))
                continue
            record, repairs = clean(converted.record)
            books.repaired.update(repairs)
            books.lost_characters.update([str(path)] if has_lost_characters(record) else [])
            rows.append(Placed.of(row.where, record))
        found = ", ".join(f"{shape} {count:,}" for shape, count in shapes.most_common())
        say(f"curate | {path} | {shapes.total() - before:,} rows | {found or 'nothing'}")
        if shapes.total() == before:
            problem = no_rows(path)
            books.empty_files.append(problem)
            say(f"curate | warning: {problem}")
    kept, merged = merge_duplicates(rows)
    books.merged.extend(merged)
    return kept


def _check_overlap(learnt: Sequence[Placed], kept_apart: Sequence[Placed]) -> None:
    """DataError when a prompt stands among the rows to learn from and among those kept apart."""
    places = {key: row.where for row in reversed(learnt) for key in (row.prompt_key, *row.earlier_keys)}
    problems = [
        Problem(where=row.where, found=f"the prompt of {places[row.prompt_key]}",
                expected="a prompt that training never sees",
                fix="remove one of the two rows, or set data.allow_overlap = true")
        for row in kept_apart if row.prompt_key in places
    ]  # fmt: skip
    if problems:
        count = f"{len(problems):,} held-out prompt{'s are' if len(problems) != 1 else ' is'}"
        raise DataError(f"{count} among the rows to learn from", problems)


def _split(rows: Sequence[Placed], config: CurateConfig, books: Books) -> Sets:
    """The rows in three parts. A preference in a group that is held out is dropped: training on it would leak."""
    names = groups([_item(row) for row in rows])
    with_examples = [name for name, row in zip(names, rows, strict=True) if isinstance(row.record, Example)]
    part_of = assign(
        with_examples, dev_share=config.dev_share, held_out_share=config.held_out_share, seed=config.seed
    )
    parts: dict[Part, list[Placed]] = {part: [] for part in PARTS}
    preferences: list[Placed] = []
    for name, row in zip(names, rows, strict=True):
        if isinstance(row.record, Example):
            parts[part_of[name]].append(row)
        elif part_of.get(name) == "held_out":
            books.dropped.append((row, ON_HELD_OUT_PROMPT))
        else:
            preferences.append(row)
    return Sets(parts, preferences)


def _with_held_out(
    learnt: Sequence[Placed], kept_apart: Sequence[Placed], config: CurateConfig, books: Books
) -> Sets:
    """The rows in three parts, of which held_out was given as files."""
    sets = _split(learnt, config.model_copy(update={"held_out_share": 0.0}), books)
    held_out = [row for row in kept_apart if isinstance(row.record, Example)]
    books.dropped.extend((row, IN_HELD_OUT_FILE) for row in kept_apart if isinstance(row.record, Preference))
    return Sets({**sets.parts, "held_out": held_out}, sets.preferences)


def _item(row: Placed) -> Item:
    return Item(row.prompt_key, row.record.links, row.earlier_keys)


def _ledger(sets: Sets, books: Books) -> dict[str, Any]:
    ledger = books.ledger(
        parts={part: len(sets.parts[part]) for part in PARTS}, preferences=len(sets.preferences)
    )
    # Counted anew from the records that are written, not from the keys that made the split.
    fresh = {
        name: [_item(Placed.of(row.where, row.record)) for row in rows]
        for name, rows in (*sets.parts.items(), ("preferences", sets.preferences))
    }
    disputed = conflicts(sets.examples)
    licences = Counter(row.record.licence or NOT_STATED for row in (*sets.examples, *sets.preferences))
    return ledger | {
        "conflicts": {"prompts": len(disputed), "answers": sum(len(rows) for rows in disputed)},
        "certificate": certificate(fresh),
        "licences": dict(sorted(licences.items())),
    }


def _write(out: Path, sets: Sets, books: Books, ledger: Mapping[str, Any]) -> dict[str, Path]:
    paths = {name: out / f"{name}.jsonl" for name in NAMES} | {
        "ledger": out / "ledger.json",
        "card": out / "card.html",
    }
    for part in PARTS:
        write_records(paths[part], (row.record for row in sets.parts[part]))
    write_records(paths["examples"], (row.record for row in sets.examples))
    write_records(paths["preferences"], (row.record for row in sets.preferences))
    write_quarantine(paths["quarantine"], books.quarantined)
    write_lines(paths["merged"], (
        {"where": row.where, "id": row.record.id, "into": stays.record.id, "into_where": stays.where}
        for row, stays in books.merged
    ))  # fmt: skip
    write_lines(paths["dropped"], (
        {"where": row.where, "id": row.record.id, "rule": rule} for row, rule in books.dropped
    ))  # fmt: skip
    write_object(paths["ledger"], ledger)
    write_card(paths["card"], ledger, sets.parts, sets.preferences, books)
    return paths


def _say_result(say: Say, ledger: Mapping[str, Any], paths: Mapping[str, Path]) -> None:
    quarantined = sum(ledger["quarantined"].values())
    counts = {"read": ledger["read"], "kept": ledger["kept"], **ledger["merged"], **ledger["dropped"]}
    line = " | ".join(f"{name} {count:,}" for name, count in counts.items())
    place = f" (see {paths['quarantine']})" if quarantined else ""
    say(f"curate | {line} | quarantined {quarantined:,}{place}")
    splits = {**ledger["splits"], "preferences": ledger["preferences"]}
    prompts = sum(ledger["certificate"]["prompts"].values())
    say("curate | " + " | ".join(f"{name} {count:,}" for name, count in splits.items())
        + f" | held-out prompts that training sees {prompts:,}")  # fmt: skip
    if ledger["conflicts"]["prompts"]:
        say(f"curate | {ledger['conflicts']['prompts']:,} prompts have more than one answer (see {paths['card']})")
