"""What a worker does: one piece of a file, read, taken through the row steps, and written as a shard.

It depends on the piece and the job alone, so any worker, on any machine, makes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from luthier.curate.columns import Columns
from luthier.curate.config import ROW_STEPS, CurateConfig, StepName
from luthier.curate.duplicates import KEY_BYTES, Keys, keys_of, pairs_of
from luthier.curate.files.chunks import Chunk, content_of, rows_of, some_of
from luthier.curate.files.raw import RawRow
from luthier.curate.labels.endings import may_break_off
from luthier.curate.labels.groups import LabelKeys
from luthier.curate.labels.step import ANSWERS, faulty_answers, label_keys, save_keys
from luthier.curate.ledger import quarantine_entry
from luthier.curate.personal import redaction_of
from luthier.curate.review.decisions import Decision
from luthier.curate.shapes.recognising import convert
from luthier.curate.shards import EDGE, ROW, Notes, Writer, read_notes
from luthier.curate.steps import ROW_STEPS_BY_NAME, Row, Settings, count_findings
from luthier.records import Example, Message, Preference
from luthier.records.jsonl import to_bytes
from luthier.similarity.containment import QuestionIndex
from luthier.similarity.near import NearText, Sketches

BATCH_ROWS = 512
"""Rows that go through a step together: few enough to stay in the processor's cache, enough to time a step by."""
BATCH_BYTES = 4 << 20
"""Fewer go together when they have so many bytes."""
NO_NAME = ""
_USUAL_ROLES, _USUAL_WEIGHTS = (["user"], ["user", "assistant"]), ([0.0], [0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for all pieces; every worker gets it once."""

    config: CurateConfig
    work: Path
    num_learnt: int
    """So many files are learnt from; those after them are only evaluated on, and hold no leaks."""
    key: str
    """Hash of the options, the decisions, the questions and the code: a shard made under another is made again."""
    questions: Path | None = None
    """A pickled QuestionIndex, where rows are compared with evaluation questions."""
    decisions: dict[str, Decision] = field(default_factory=dict)


class Done(NamedTuple):
    """What the driver hears of a finished piece."""

    name: str
    file: int
    num_inputs: int
    bytes_before_end: int
    """As the piece says it."""
    is_reused: bool


def make_shard(chunk: Chunk, job: Job) -> Done:
    """Make the shard of a piece, unless it is there under the same key."""
    folder = job.work / chunk.name
    key = f"{job.key} {content_of(chunk)}"
    old = read_notes(folder)
    if old.key == key:
        return Done(chunk.name, chunk.file, old.num_inputs, chunk.bytes_before_end, True)
    with Writer(folder) as writer:
        maker = _Maker(job, writer, key, is_learnt=chunk.file < job.num_learnt)
        columns = Columns(job.config.columns)
        raw = rows_of(chunk, columns)
        while batch := maker.read(raw):
            maker.take(batch)
        maker.notes.counts["columns"].update(columns.met)
        maker.finish()
    return Done(chunk.name, chunk.file, maker.num_inputs, chunk.bytes_before_end, False)


class _Maker:
    """The making of one shard, batch by batch."""

    def __init__(self, job: Job, writer: Writer, key: str, *, is_learnt: bool) -> None:
        self.job, self.notes, self.writer = job, Notes(key), writer
        self.settings = Settings(job.config, job.decisions, redaction_of(job.config.personal))
        self.questions = _questions(job.questions) if job.questions is not None and is_learnt else None
        self.names: dict[str, dict[str, int]] = {"language": {NO_NAME: 0}, "licence": {NO_NAME: 0}}
        self.near: list[NearText] = []
        self.asked: list[str] = []
        self.labels: list[LabelKeys] = []
        self.num_inputs = 0

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the processor time that is spent inside to a step's."""
        started = time.process_time()
        yield
        seconds = time.process_time() - started
        self.notes.seconds[step] = self.notes.seconds.get(step, 0.0) + seconds

    def read(self, raw: Iterator[RawRow]) -> list[RawRow]:
        """The next rows of the file."""
        with self.timed("read"):
            return some_of(raw, most_rows=BATCH_ROWS, most_bytes=BATCH_BYTES)[0]

    def take(self, batch: Sequence[RawRow]) -> None:
        """Rows of the file: convert them, take them through the row steps, and write them."""
        with self.timed("read"):
            rows = made = [row for raw in batch for row in self._converted(raw)]
        for name in self.job.config.steps:
            if name in ROW_STEPS:
                with self.timed(name):
                    self._step(name, rows)
                rows = [row for row in rows if row.dropped is None]
        count_findings(made, self.notes.counts)
        with self.timed("keys"):
            records = [row.record for row in rows]
            keys = [keys_of(record) for record in records]
            entries = self._entries(rows, keys)
            if "near" in self.job.config.steps:
                self.near += [near_text(record) for record in records]
            if self.questions is not None:
                self.asked += [asked(record) for record in records]
        with self.timed("write"):
            first = self.writer.add([to_bytes(record) for record in records], entries, _edges(records, keys))
            for number, row in enumerate(rows, start=first):
                self._tell(number, row)
        if "labels" in self.job.config.steps:
            with self.timed("labels"):
                self.labels.append(label_keys(records, first=first))
                for number, faults in faulty_answers(records, first=first):
                    self.writer.tell(ANSWERS, number, faults)

    def finish(self) -> None:
        """The shard appears. What is fastest for many rows at once is done here."""
        if self.questions is not None:
            with self.timed("leaks"):
                self._tell_leaks(self.questions)
        if "near" in self.job.config.steps:
            with self.timed("near"):
                Sketches.of(self.near).save(self.writer.partial / "near")
        if "labels" in self.job.config.steps:
            save_keys(self.writer.partial, self.labels)
        names = {what: list(numbers) for what, numbers in self.names.items()}
        self.writer.finish(replace(self.notes, num_inputs=self.num_inputs, names=names))

    def _converted(self, raw: RawRow) -> Iterator[Row]:
        """The records of a row of the file; its end is written down where it has none."""
        number, self.num_inputs = self.num_inputs, self.num_inputs + 1
        converted = convert(raw, licence=self.job.config.licence)
        self.notes.counts["shape"][converted.shape] += 1
        if converted.fault is not None:
            self.notes.counts["quarantined"][converted.fault.reason] += 1
            self.writer.tell("quarantine", number, quarantine_entry(raw, converted.fault))
        elif converted.dropped is not None:
            identity = converted.records[0].id if converted.records else ""
            self._drop(number, raw.where, identity, converted.dropped)
        else:
            for part, record in enumerate(converted.records, start=1):
                yield Row(raw.where if part == 1 else f"{raw.where}#{part}", raw.line, part, number, record)

    def _step(self, name: StepName, rows: Sequence[Row]) -> None:
        """One row step, and what it dropped."""
        ROW_STEPS_BY_NAME[name](rows, self.settings, self.notes.counts)
        gone = [row for row in rows if row.dropped is not None]
        for row in gone:
            self._drop(row.input, row.where, row.record.id, str(row.dropped))
        self.notes.counts["rows_in"][name] += len(rows)
        self.notes.counts["rows_out"][name] += len(rows) - len(gone)

    def _drop(self, number: int, where: str, identity: str, rule: str) -> None:
        self.writer.tell("dropped", number, {"where": where, "id": identity, "rule": rule})

    def _tell(self, number: int, row: Row) -> None:
        """The flags of a row that goes on, with the id that it has now."""
        if row.is_settled:
            self.writer.tell("settled", number, {})
            return
        for flag in row.flags:
            self.writer.tell("flagged", number, flag._replace(id=row.record.id)._asdict())

    def _tell_leaks(self, questions: QuestionIndex) -> None:
        """Which records hold questions of an evaluation."""
        for number, matches in enumerate(questions.matches_of(self.asked)):
            for match in matches:
                self.writer.tell("leaks", number, match._asdict())

    def _entries(self, rows: Sequence[Row], keys: Sequence[Keys]) -> np.ndarray:
        """What the driver needs to know of each record."""
        entries = np.zeros(len(rows), ROW)
        records = [row.record for row in rows]
        answers = [answer_of(record) for record in records]
        entries["exact"] = pairs_of([key.exact for key in keys])
        entries["prompt"] = pairs_of([key.prompt for key in keys])
        entries["answer"] = np.frombuffer(b"".join(key.answer for key in keys), ">u8")
        entries["id"] = [int(record.id, 16) for record in records]
        entries["line"] = [row.line for row in rows]
        entries["part"] = [row.part for row in rows]
        entries["input"] = [row.input for row in rows]
        entries["answer_chars"] = [len(answer) for answer in answers]
        entries["is_cut"] = [may_break_off(answer) for answer in answers]
        entries["is_preference"] = [isinstance(record, Preference) for record in records]
        entries["has_links"] = [bool(record.links) for record in records]
        for what, numbers in self.names.items():
            named = [getattr(record, what, None) or NO_NAME for record in records]
            entries[what] = [numbers.setdefault(name, len(numbers)) for name in named]
        return entries


@lru_cache(maxsize=2)
def _questions(path: Path) -> QuestionIndex:
    """The index that all pieces of a job share, read once a process."""
    with path.open("rb") as file:
        index: QuestionIndex = pickle.load(file)
    return index


def asked(record: Example | Preference) -> str:
    """All that the user says in a record."""
    messages = record.messages if isinstance(record, Example) else record.prompt
    return "\n".join(message.content for message in messages if message.role == "user")


def answer_of(record: Example | Preference) -> str:
    """The answer that is learnt: the first accepted one, or the one that is preferred."""
    return record.chosen if isinstance(record, Preference) else record.target or ""


def near_text(record: Example | Preference) -> NearText:
    """What the search of near-duplicates reads of a record."""
    prompt = "\n".join(message.text for message in record.prompt)
    if isinstance(record, Preference):
        return NearText(prompt, f"{record.chosen}\n{record.rejected}", fixed=_fixed(record.prompt))
    said = [message.text for message in record.messages[len(record.prompt) :]]
    answers = [*said, *(target for target in record.targets if target not in said)]
    fixed = _fixed(record.messages)
    if record.grading or record.tools or len(answers) > 1:
        # Of several answers it counts which is which.
        fixed += json.dumps([record.grading, record.tools, answers[1:]], sort_keys=True, default=str)
    return NearText(prompt, "\n".join(answers), record.choices, fixed)


def _fixed(messages: Sequence[Message]) -> str:
    """Who speaks when, and what is trained on; nothing where it is one request and its answer, as in most rows."""
    if len(messages) <= 2 and [message.role for message in messages] in _USUAL_ROLES:
        weighed = [message.loss_weight for message in messages]
        return "" if weighed in _USUAL_WEIGHTS else str(weighed)
    return " ".join(f"{message.role} {message.loss_weight}" for message in messages)


def _edges(records: Sequence[Example | Preference], keys: Sequence[Keys]) -> np.ndarray:
    """The further ties of each record."""
    found = [(row, False, key) for row, some in enumerate(keys) for key in some.earlier]
    found += [(row, True, link_key(link)) for row, record in enumerate(records) for link in record.links]
    edges = np.zeros(len(found), EDGE)
    if found:
        rows, are_links, ties = zip(*found, strict=True)
        edges["row"], edges["is_link"], edges["key"] = rows, are_links, pairs_of(list(ties))
    return edges


def link_key(link: str) -> bytes:
    """A hash of a link, compared like the key of a prompt."""
    return hashlib.blake2b(link.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
