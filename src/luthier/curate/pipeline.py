"""Curation: read, recognise, clean, compare, split, write; and an account of every row.

    OUT/train.jsonl dev.jsonl held_out.jsonl   examples; examples.jsonl holds the three together
    OUT/preferences.jsonl                      pairs of answers
    OUT/quarantine.jsonl                       rows that cannot be used, what is wrong with them, and how to mend it
    OUT/merged.jsonl dropped.jsonl             duplicates and what they are duplicates of; rows that a rule left out
    OUT/flagged.jsonl                          rows that a person should look at, and why
    OUT/conflicts.jsonl leaks.jsonl            prompts with several answers; rows that hold evaluation questions
    OUT/random_control.jsonl                   where rows were selected, as many of train by lot; also as many words
    OUT/ledger.json card.html                  the account, for programs and for people
    OUT/timings.json                           how long each step took

Files are cut into pieces, workers make a shard of each (see mapping.py), the steps that compare rows look at the
shards' arrays (comparing.py), and one last pass copies the records to where they go (outputs.py). The same files and
options give the same bytes, whoever does the work; timings.json alone differs. What was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from luthier.curate import engines
from luthier.curate.amounts import counted
from luthier.curate.bias.survey import find_bias, write_bias
from luthier.curate.card.page import write_card
from luthier.curate.columns import Columns
from luthier.curate.comparing import SET_STEPS, Comparison, drop_doubted
from luthier.curate.config import ROW_STEPS, CurateConfig
from luthier.curate.counted_texts import read_texts
from luthier.curate.exporting import export, refuse_foreign
from luthier.curate.files.chunks import chunks, piece_bytes
from luthier.curate.files.reading import check_files, data_files, no_rows
from luthier.curate.gathered import Gathered
from luthier.curate.ledger import NOT_STATED, account, by_count, write_object
from luthier.curate.mapping import Job
from luthier.curate.outputs import GOES_TO, NAMES, NOWHERE, PREFERENCES, write_examples, write_outputs
from luthier.curate.parting import (
    certificate,
    check_overlap,
    drop_linked,
    no_held_out,
    parted,
    ties_of,
    told_of,
)
from luthier.curate.progress import Progress
from luthier.curate.questions import Questions, read_questions
from luthier.curate.review.decisions import read_decisions
from luthier.curate.rows import no_usable_row
from luthier.curate.shards import Shard
from luthier.curate.split import PARTS
from luthier.curate.subset import CONTROLS, TRAIN, Subset, keep_some
from luthier.curate.workplace import refuse_outputs, work_folder
from luthier.errors import ConfigError, DataError, LuthierError, Problem
from luthier.runs import library_versions, source_digest

Say = Callable[[str], None]
AGAINST = "curate.leaks.against"
KEPT_PROBLEMS = 1000
"""So many problems are held for whoever called; quarantine.jsonl has all."""
MAPPED_SHARE = 8
"""With a limit of memory, a piece is at most this part of it: a worker holds its rows, their texts and what it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curated:
    """A curated folder."""

    paths: Mapping[str, Path]
    """The JSONL files by name (train, dev, held_out, examples, preferences ...), ledger, card and timings."""
    ledger: Mapping[str, Any]
    counts: Mapping[str, int]
    """Rows of train, dev, held_out and preferences."""
    problems: tuple[Problem, ...]
    """Of quarantined rows (the first thousand) and of files without rows."""


class Inputs(NamedTuple):
    """The files that are read, folders by their files."""

    learnt: Sequence[Path]
    held_out: Sequence[Path]
    against: Sequence[Path]
    """Of evaluation questions."""


class Finished(NamedTuple):
    """What is written, and what is wrong with it."""

    curated: Curated
    num_problems: int
    """Rows in quarantine and files without rows."""
    refused: LuthierError | None
    """What the rows did not allow."""


@dataclass(slots=True)
class Timings:
    """How long the parts of a curation took in this process: by the clock, and of the processor."""

    wall: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    last: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))

    def mark(self, name: str) -> None:
        """All since the last mark was spent on `name`."""
        now = time.perf_counter(), time.process_time()
        self.wall[name] = self.wall.get(name, 0.0) + now[0] - self.last[0]
        self.processor[name] = self.processor.get(name, 0.0) + now[1] - self.last[1]
        self.last = now


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

    DataError when a file cannot be used or is one of the outputs, when a prompt of `files` is in `held_out_files` too,
    when no row is kept, or none of `held_out_files`, and under `config.strict` when a row was quarantined. ConfigError
    when another run writes to `out`, when somebody's own files are where an export goes, and when `config.select.keep`
    is more than there is. What is said of rows that were not kept, quarantined or selected comes after the outputs were
    written. With more than one worker a script that calls this needs `if __name__ == "__main__":`, as the workers
    import it.
    """
    timings = Timings()
    inputs = _inputs(files, held_out_files, out, config, say)
    refuse_foreign(out, config.export)
    with work_folder(out, say=say) as folder:
        done = _done(inputs, out, folder, config, allow_overlap, timings, say)
    ledger, problems = done.curated.ledger, done.curated.problems
    _say_result(say, ledger, done.curated.paths)
    if not ledger["kept"]:
        raise no_usable_row(problems)
    if done.refused is not None:
        raise done.refused
    if config.strict and problems:
        count = done.num_problems
        raise DataError(f"{counted(count, 'problem')} in the data, and `strict` is set", problems)
    return done.curated


def _inputs(files: Sequence[Path], held_out_files: Sequence[Path], out: Path, config: CurateConfig, say: Say) -> Inputs:
    """The files behind the paths. DataError when one cannot be used, or would be written over."""
    check_files([*files, *held_out_files], without=out)
    check_files(config.leaks.against, without=out, key=AGAINST)
    refuse_outputs([*files, *held_out_files, *config.leaks.against, *([config.decisions] if config.decisions else [])],
                   out)  # fmt: skip
    inputs = Inputs(
        data_files(files, say=say, without=out), data_files(held_out_files, say=say, without=out),
        data_files(config.leaks.against, say=say, without=out, key=AGAINST),
    )  # fmt: skip
    refuse_outputs([file for some in inputs for file in some], out)
    return inputs


def _done(
    inputs: Inputs, out: Path, folder: Path, config: CurateConfig, allow_overlap: bool, timings: Timings, say: Say
) -> Finished:
    """Do it all, in the work folder `folder`."""
    columns = Columns(config.columns)
    questions = read_questions(inputs.against, columns=columns) if inputs.against else None
    job = _job(folder, config, questions, num_learnt=len(inputs.learnt), say=say)
    timings.mark("questions")
    table = _mapped([*inputs.learnt, *inputs.held_out], job, config, columns, say)
    timings.mark("map")
    is_apart = bool(inputs.held_out) and not allow_overlap
    if is_apart:
        check_overlap(table)
    work = Comparison(config, allow_overlap, questions.counts if questions else {}, say)
    steps = _compared(table, work, timings)
    ties = ties_of(table)
    if is_apart:
        drop_linked(table, ties)
    goes_to, found = parted(table, ties, config, has_held_out=bool(inputs.held_out), say=say)
    gone = drop_doubted(table, work, goes_to == TRAIN)
    goes_to[gone] = NOWHERE
    if len(gone):
        steps["labels"]["rows_out"] -= len(gone)
    timings.mark("split")
    subset = None
    refused: LuthierError | None = None
    try:
        subset = _selected(table, goes_to, config, steps, timings) if "select" in config.steps else None
    except ConfigError as error:  # told when all is written: the work was done, and another number needs no new run
        refused = error
    proof = certificate(table, ties, goes_to, has_sketches="near" in config.steps) | told_of(found)
    timings.mark("split")
    flags = write_outputs(out, table, goes_to, work)
    ledger = _ledger(table, goes_to, work, job) | {
        "flagged": by_count(flags), "certificate": proof, "steps": steps, "select": subset.report if subset else {},
        "columns_not_met": sorted(config.columns.keys() - columns.met),
    }  # fmt: skip
    paths = {name: out / f"{name}.jsonl" for name in NAMES} | {
        "ledger": out / "ledger.json", "bias": out / "bias.json", "card": out / "card.html",
        "timings": out / "timings.json",
    } | _write_controls(out, table, subset)  # fmt: skip
    timings.mark("write")
    texts = read_texts(table, goes_to, most=config.bias.max_rows)
    bias = find_bias(texts, config.bias)
    ledger["bias"] = write_bias(paths["bias"], bias, table)
    timings.mark("bias")
    ledger["export"] = export(out, config.export)
    write_card(paths["card"], ledger, table, goes_to, work, texts, bias)
    write_object(paths["ledger"], ledger)
    timings.mark("write")
    write_object(paths["timings"], _timed(timings, table, config))
    counts = {**ledger["splits"], PREFERENCES: ledger[PREFERENCES]}
    if inputs.held_out and not counts["held_out"]:
        refused = no_held_out(table)
    curated = Curated(paths=paths, ledger=ledger, counts=counts, problems=tuple(_problems(table)))
    return Finished(curated, len(_empty_files(table)) + sum(ledger["quarantined"].values()), refused)


def _job(work: Path, config: CurateConfig, questions: Questions | None, *, num_learnt: int, say: Say) -> Job:
    """What workers need, and the key that their shards are made under."""
    work.mkdir(parents=True, exist_ok=True)
    decisions = read_decisions(config.decisions, say=say) if config.decisions else {}
    read = {"steps", "licence", "columns", "languages", "personal"}
    options = config.model_dump(mode="json", include=read)
    hashed = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    hashed.update(repr([decisions[name] for name in sorted(decisions)]).encode())
    hashed.update(source_digest("luthier.curate.mapping").encode() + repr(library_versions()).encode())
    path = None
    if questions is not None:
        path = work / "questions.pickle"
        data = pickle.dumps(questions.index)
        path.write_bytes(data)
        hashed.update(data)
    return Job(config, work, num_learnt, f"{hashed.hexdigest()} {num_learnt}", path, decisions)


def _mapped(files: Sequence[Path], job: Job, config: CurateConfig, columns: Columns, say: Say) -> Gathered:
    """Every piece of every file as a shard, and all of them as one table; `columns` hears which names were met."""
    most = config.memory_mb and config.memory_mb * 2**20 // MAPPED_SHARE
    pieces = chunks(files, columns=columns, size=piece_bytes(files, most=most))
    progress = Progress(say, [path.stat().st_size for path in files])
    names = []
    for done in engines.run(pieces, job, engine=config.engine, workers=config.workers):
        names.append(done.name)
        progress.add(done.file, done.bytes_before_end, done.num_inputs, is_reused=done.is_reused)
    table = Gathered(files, job.num_learnt, [Shard(job.work / name) for name in sorted(names)])
    for number, path in enumerate(files):
        shapes = table.counted("shape", file=number)
        shown = ", ".join(f"{shape} {count:,}" for shape, count in by_count(shapes).items())
        say(f"curate | {path} | {counted(shapes.total(), 'row')} | {shown or 'nothing'}")
        if not shapes:
            say(f"curate | warning: {no_rows(path)}")
    columns.met.update(table.counted("columns"))
    for name in sorted(config.columns.keys() - columns.met):
        say(f"curate | warning: curate.columns: no file has a column {name!r}; correct the name, or leave it out")
    return table


def _compared(table: Gathered, work: Comparison, timings: Timings) -> dict[str, dict[str, int]]:
    """Do the steps that compare rows; returns for every step how many records went in and came out."""
    rows_in, rows_out = table.counted("rows_in"), table.counted("rows_out")
    steps: dict[str, dict[str, int]] = {}
    for name in work.config.steps:
        if name in ROW_STEPS:
            steps[name] = {"rows_in": rows_in[name], "rows_out": rows_out[name]}
            continue
        if name == "select":  # after the split, since it chooses among the rows of train
            continue
        before = int(table.is_kept.sum())
        SET_STEPS[name](table, work)
        steps[name] = {"rows_in": before, "rows_out": int(table.is_kept.sum())}
        timings.mark(name)
    return steps


def _selected(
    table: Gathered, goes_to: np.ndarray, config: CurateConfig, steps: dict[str, dict[str, int]], timings: Timings
) -> Subset | None:
    """Do the step that keeps a part of train, where that is wanted. ConfigError where that cannot be."""
    before = int(table.is_kept.sum())
    steps["select"] = {"rows_in": before, "rows_out": before}
    subset = keep_some(table, goes_to, config)
    steps["select"]["rows_out"] = int(table.is_kept.sum())
    timings.mark("select")
    return subset


def _write_controls(out: Path, table: Gathered, subset: Subset | None) -> dict[str, Path]:
    """The controls of a selection by name; those of an earlier one go where nothing was selected."""
    paths = {name: out / f"{name}.jsonl" for name in CONTROLS.values()}
    if subset is None:
        for path in paths.values():
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".version.json").unlink(missing_ok=True)
        return {}
    for name, mask in subset.controls.items():
        write_examples(paths[name], table, mask)
    return paths


def _ledger(table: Gathered, goes_to: np.ndarray, work: Comparison, job: Job) -> dict[str, Any]:
    """The counts, in input rows where nothing else is said. AssertionError when they do not balance."""
    ends = account(table)
    parts = np.bincount(goes_to, minlength=len(GOES_TO))[: len(GOES_TO)].tolist()
    files = range(len(table.files))
    lost = {str(table.files[file]): table.counted("lost", file=file).total() for file in files}
    licences = table.named("licence", goes_to < len(GOES_TO))
    languages = Counter(
        {name or "und": count for name, count in table.named("language", goes_to < len(GOES_TO)).items()}
    )
    review = table.counted("review")
    return {
        "read": ends.read, "kept": ends.kept, "merged": by_count(ends.merged), "dropped": by_count(ends.dropped),
        "quarantined": by_count(ends.quarantined), "made": ends.made, "records": dict(ends.records),
        "files": {str(table.files[file]): by_count(table.counted("shape", file=file)) for file in files},
        "splits": dict(zip(PARTS, parts, strict=False)), PREFERENCES: parts[GOES_TO.index(PREFERENCES)],
        "repaired": by_count(table.counted("repaired")),
        "lost_characters": {file: count for file, count in lost.items() if count},
        "languages": by_count(languages) if "language" in work.config.steps else {},
        "personal": {"rows": table.counted("personal_rows").total(), "found": by_count(table.counted("personal")),
                     "regions": list(work.config.personal.regions)},
        "near": work.facts.get("near", {}),
        "conflicts": work.facts.get("conflicts", {"prompts": 0, "answers": 0, "preferences": 0}),
        "leaks": work.facts.get("leaks", {}),
        "labels": work.facts.get("labels", {}),
        "review": {**by_count(review), "without a row": len(job.decisions.keys() - table.counted("reviewed").keys())}
        if job.decisions else {},
        "licences": dict(sorted((name or NOT_STATED, count) for name, count in licences.items())),
    }  # fmt: skip


def _timed(timings: Timings, table: Gathered, config: CurateConfig) -> dict[str, Any]:
    """What timings.json says."""
    workers: dict[str, float] = {}
    for shard in table.shards:
        for name, seconds in shard.notes.seconds.items():
            workers[name] = workers.get(name, 0.0) + seconds
    rows, seconds = sum(shard.notes.num_inputs for shard in table.shards), sum(timings.wall.values())
    return {
        "seconds": round(seconds, 3), "rows_per_s": round(rows / max(seconds, 1e-9)), "engine": config.engine,
        "workers": config.workers or engines.num_cores(),
        "wall_s": {name: round(value, 3) for name, value in timings.wall.items()},
        "processor_s": {name: round(value, 3) for name, value in timings.processor.items()},
        "processor_s_of_workers": {name: round(value, 3) for name, value in workers.items()},
    }  # fmt: skip


def _empty_files(table: Gathered) -> list[Path]:
    return [path for number, path in enumerate(table.files) if not table.counted("shape", file=number)]


def _problems(table: Gathered) -> list[Problem]:
    """Of files without rows, and of the first rows in quarantine."""
    problems = [no_rows(path) for path in _empty_files(table)]
    for shard in table.shards:
        for _, entry in shard.lines("quarantine"):
            if len(problems) >= KEPT_PROBLEMS:
                return problems
            problems.append(Problem(**{name: entry[name] for name in ("where", "found", "expected", "fix")}))
    return problems


def _say_result(say: Say, ledger: Mapping[str, Any], paths: Mapping[str, Path]) -> None:
    quarantined = sum(ledger["quarantined"].values())
    counts = {"read": ledger["read"], "kept": ledger["kept"], **ledger["merged"], **ledger["dropped"]}
    line = " | ".join(f"{name} {count:,}" for name, count in counts.items())
    place = f" (see {paths['quarantine']})" if quarantined else ""
    say(f"curate | {line} | quarantined {quarantined:,}{place}")
    splits = {**ledger["splits"], PREFERENCES: ledger[PREFERENCES]}
    prompts = sum(ledger["certificate"]["prompts"].values())
    say("curate | " + " | ".join(f"{name} {count:,}" for name, count in splits.items())
        + f" | held-out prompts that training sees {prompts:,}")  # fmt: skip
    for file, found in ledger["leaks"].items():
        if found["found"]:
            say(f"curate | {found['found']:,} of {counted(found['questions'], 'question')} of {file} stood in "
                f"{counted(found['rows'], 'row')} (see {paths['leaks']})")  # fmt: skip
    if (personal := ledger["personal"])["rows"]:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in personal["found"].items())
        say(f"curate | personal data in {counted(personal['rows'], 'row')}: {kinds}")
    conflicts = ledger["conflicts"]
    if conflicts["prompts"]:
        said = counted(conflicts["prompts"], "prompt has", "prompts have")
        say(f"curate | {said} more than one answer (see {paths['conflicts']})")
    if conflicts["preferences"]:
        said = counted(conflicts["preferences"], "preference is", "preferences are")
        say(f"curate | {said} contradicted by others (see {paths['conflicts']})")
    flagged = sum(ledger["flagged"].values())
    if flagged:
        say(f"curate | {counted(flagged, 'flag that deserves', 'flags that deserve')} a look (see {paths['flagged']})")
