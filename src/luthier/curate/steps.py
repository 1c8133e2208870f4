"""The steps that look at one row at a time. Each takes some rows, and changes, drops or flags them.

To add one, write a function like these, give it a line in ROW_STEPS_BY_NAME, and its name to `config.StepName`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from luthier.curate.cleaning import NO_REPAIRS, clean, has_lost_characters, texts_of
from luthier.curate.config import CurateConfig, StepName
from luthier.curate.personal import found_in, replaced_in
from luthier.curate.review.decisions import Decision
from luthier.curate.shapes.making import Record
from luthier.curate.stated import code_of
from luthier.languages import UNDETERMINED, identify
from luthier.privacy import Redaction
from luthier.records import Preference

LOOKED_AT_CHARACTERS = 300
"""The language is told from so much of the request and so much of the answer."""
BY_DECISION = "review"
PERSONAL = "personal data"
CARRIED = frozenset({"task", "cluster", "template", "links", "licence", "generator"})
"""What a mended row has of the row before it, where the person says nothing of it. The language is told anew; tools and
what a grader compares with belong to the text that was replaced."""


class Flag(NamedTuple):
    """A row that a person should look at."""

    where: str
    id: str
    step: str
    reason: str
    detail: str


@dataclass(slots=True)
class Row:
    """One record on its way."""

    where: str
    line: int
    part: int
    """1 for the first record of an input row, 2 for the second ..."""
    input: int
    """The number of the input row in its piece."""
    record: Record
    dropped: str | None = None
    """The rule that left it out."""
    flags: list[Flag] = field(default_factory=list)
    repairs: frozenset[str] = NO_REPAIRS
    """What was repaired in it."""
    personal: Counter[str] = field(default_factory=Counter)
    """The kinds of personal data that were found in it, and how often."""
    is_settled: bool = False
    """A person has decided to keep it as it is: what flags it is answered."""

    def flag(self, step: str, reason: str, detail: str) -> None:
        """Let a person look at the row. Its id is filled in when no step changes it any more."""
        self.flags.append(Flag(self.where, "", step, reason, detail))


@dataclass(frozen=True, slots=True)
class Settings:
    """What row steps need to know."""

    config: CurateConfig
    decisions: Mapping[str, Decision]
    redaction: Redaction


Counts = Mapping[str, Counter[str]]
"""By what is counted, a counter for each that is asked for."""


def clean_rows(rows: Sequence[Row], settings: Settings, counts: Counts) -> None:
    """Repair what tools break in a text on its way."""
    for row in rows:
        row.record, row.repairs = clean(row.record)


def tell_languages(rows: Sequence[Row], settings: Settings, counts: Counts) -> None:
    """Write down the language of each row, and drop those in a language that is not wanted.

    A row that states one is believed; a statement that names no language is as good as none.
    """
    wanted = settings.config.languages.keep
    for row in rows:
        stated = row.record.language
        code = (code_of(stated) if stated is not None else None) or identify(_sample(row.record)).code
        told = None if code == UNDETERMINED else code
        if told != stated:
            row.record = replace(row.record, language=told)
        if wanted and code not in (*wanted, UNDETERMINED):
            row.dropped = f"language {code}"


def protect_persons(rows: Sequence[Row], settings: Settings, counts: Counts) -> None:
    """Replace personal data, or drop or flag the rows that hold some."""
    action = settings.config.personal.action
    for row in rows:
        if action == "replace":
            row.record, kinds = replaced_in(row.record, settings.redaction)
        else:
            kinds = found_in(row.record, settings.redaction)
        if not kinds:
            continue
        row.personal = kinds
        if action == "drop":
            row.dropped = PERSONAL
        elif action == "flag":
            row.flag("personal", PERSONAL, ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))


def apply_decisions(rows: Sequence[Row], settings: Settings, counts: Counts) -> None:
    """Do what a person decided about rows that were flagged before: drop, mend, or keep as it is.

    A decision may be about the row that another one made of it, and so on, until one is met again.
    """
    for row in rows:
        met: set[str] = set()
        identity = row.record.id
        while row.dropped is None and identity in settings.decisions and identity not in met:
            met.add(identity)
            decision = settings.decisions[identity]
            counts["review"][decision.kind] += 1
            counts["reviewed"][decision.id] += 1
            if decision.kind == "drop":
                row.dropped = BY_DECISION
            elif decision.kind == "keep":
                row.is_settled = True
            elif decision.record is not None:
                _mend(row, decision.record, settings, counts)
                # A second decision may be about the row as it is now, or as the person wrote it.
                identity = row.record.id if row.record.id in settings.decisions else decision.record.id


def _mend(row: Row, mended: Record, settings: Settings, counts: Counts) -> None:
    """Put what a person wrote in a row's place, with all that the row said and the person does not; then do to it what
    was done to the row."""
    old = row.record
    names = {spec.name for spec in fields(mended)} & {spec.name for spec in fields(old)} & CARRIED
    carried = {name: getattr(old, name) for name in names if not getattr(mended, name)}
    row.record = replace(mended, source=old.source, **carried)
    row.flags.clear()  # they spoke of the text that the person has replaced, and so did what was found in it
    row.repairs, row.personal = NO_REPAIRS, Counter()
    for name in settings.config.steps[: settings.config.steps.index("review")]:
        if row.dropped is None:
            ROW_STEPS_BY_NAME[name]([row], settings, counts)
    if row.record.language is None:
        row.record = replace(row.record, language=old.language)


def count_findings(rows: Sequence[Row], counts: Counts) -> None:
    """Count what was repaired and found in rows that have been through all steps, once a row: of one that a person has
    mended, what was found in the mended text. Lost characters count in rows that go on."""
    for row in rows:
        counts["repaired"].update(row.repairs)
        if row.personal:
            counts["personal"].update(row.personal)
            counts["personal_rows"]["rows"] += 1
        if row.dropped is None and has_lost_characters(row.record):
            counts["lost"]["rows"] += 1


RowStep = Callable[[Sequence[Row], Settings, Counts], None]
ROW_STEPS_BY_NAME: Mapping[StepName, RowStep] = {
    "clean": clean_rows,
    "language": tell_languages,
    "personal": protect_persons,
    "review": apply_decisions,
}


def _sample(record: Record) -> str:
    """Some of the request and some of the answer, to tell the language from."""
    texts = texts_of(record)
    answer = record.chosen if isinstance(record, Preference) else record.target
    asked = record.prompt[-1].content if record.prompt else texts[0]
    return f"{asked[:LOOKED_AT_CHARACTERS]}\n{(answer or '')[:LOOKED_AT_CHARACTERS]}"
