"""Logs of Inspect, format version 2: a .json file, or an .eval file, which is a zip archive of JSON.

An item is what its task, input, options and target say; epochs are several answers to one item. Each scorer is a KPI,
each key of a scorer that gives several values is one ("scorer/key"). "C", "P", "I" and "N" are 1, 0.5, 0 and 0, as in
Inspect's own means; a score that is not a number is left out of the mean, and a sample that failed is an error.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.kpis import grades_by_item
from luthier.evaluate.logs import fields
from luthier.evaluate.logs.fields import Json, fault
from luthier.records import Completion, Example, Grade, Message, content_id

TOOL = "inspect"
VERSION = 2
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
ZSTANDARD = 93
"""The method of a zip member that zipfile does not know before Python 3.14."""
WRITE_AGAIN = "write the log again with a version of Inspect that writes log format 2"
ATTACHMENT = "attachment://"
Placed = tuple[str, Json]
"""A sample and the place where it stands."""


def read_inspect(path: Path) -> Evaluation:
    """The evaluation in one log."""
    header, samples = _archive(path) if path.suffix == ".eval" else _plain(path)
    _check_header(header, path)
    spec: Json = fields.field(header, "eval", dict, where=str(path), fix=WRITE_AGAIN)
    task = str(fields.field(spec, "task", str, where=f"{path}: eval", fix=WRITE_AGAIN))
    model = str(fields.field(spec, "model", str, where=f"{path}: eval", fix=WRITE_AGAIN))
    read = fields.gather(samples, lambda placed: (placed, _item(placed, task)), summary=f"{path} cannot be read")
    _check_samples([placed for placed, _ in read], header, path)
    model_id = content_id(TOOL, model, str(path.resolve()))
    items: dict[str, Example] = {}
    completions: dict[str, list[Completion]] = {}
    grades: list[Grade] = []
    left_out: dict[str, str] = {}
    scorers = list(dict.fromkeys(name for (_, sample), _ in read for name in fields.inner(sample, "scores")))
    ids: dict[str, set[str]] = {}
    for (_, sample), item in read:
        items.setdefault(item.id, item)
        ids.setdefault(item.id, set()).add(str(sample["id"]))
        said = Completion.of(example_id=item.id, model_id=model_id, text=_text(sample),
                             sample=len(completions.get(item.id, ())))  # fmt: skip
        completions.setdefault(item.id, []).append(said)
        grades += _grades(sample, said, scorers, left_out)
    return Evaluation(
        folder=path,
        summary={
            "model": {"id": model_id, "name": model, "prompting": _prompting(header)},
            "suite": fields.suite_facts(items, task, sum(len(known) - 1 for known in ids.values())),
            "log": {"tool": TOOL, "version": header["version"], "left_out": left_out},
        },
        items=items,
        completions=completions,
        rankings={},
        grades=grades_by_item(grade for grade in grades if grade.grader not in left_out),
    )


def _plain(path: Path) -> tuple[Json, Iterator[Placed]]:
    log = fields.read_object(path, expected="a log of Inspect, a JSON object")
    found: Any = log.get("samples") or []
    if not isinstance(found, list):
        raise fault(f"{path}: samples", fields.shown(found), "a list of samples", WRITE_AGAIN)
    return log, (_place(f"{path}: samples[{k}]", sample) for k, sample in enumerate(found))


def _archive(path: Path) -> tuple[Json, Iterator[Placed]]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise fault(str(path), f"no zip archive ({error})", "a whole .eval file", "copy the file again") from None
    with archive:
        # A changed member is added again below the same name: the last one counts.
        members = {info.filename: info for info in archive.infolist()}
        if "header.json" not in members:
            raise fault(f"{path}: header.json", "no such member", "the header of a finished evaluation",
                        "finish the evaluation with `inspect eval-retry`, or copy the file again")  # fmt: skip
        header = fields.parsed(_member(path, members["header.json"]), where=f"{path}: header.json",
                               expected="a JSON object")  # fmt: skip
        names = sorted(name for name in members if name.startswith("samples/") and name.endswith(".json"))

    def samples() -> Iterator[Placed]:
        for name in names:
            where = f"{path}: {name}"
            yield where, fields.parsed(_member(path, members[name]), where=where, expected="one sample as JSON")

    return header, samples()


def _member(path: Path, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a zip member, also one that Zstandard packed."""
    where = f"{path}: {info.filename}"
    try:
        if info.compress_type != ZSTANDARD:
            with zipfile.ZipFile(path) as archive:
                return archive.read(info)
        with path.open("rb") as file:
            file.seek(info.header_offset)
            local = file.read(30)
            file.seek(sum(struct.unpack("<HH", local[26:30])), 1)
            packed = file.read(info.compress_size)
        data: bytes = pyarrow.Codec("zstd").decompress(packed, decompressed_size=info.file_size, asbytes=True)
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, NotImplementedError) as error:
        raise fault(where, f"a damaged member ({error})", "what Inspect wrote", "copy the file again") from None
    if zlib.crc32(data) != info.CRC:
        raise fault(where, "a wrong checksum", "what Inspect wrote", "copy the file again")
    return data


def _place(where: str, sample: Any) -> Placed:
    if not isinstance(sample, dict):
        raise fault(where, fields.shown(sample), "one sample, a JSON object", WRITE_AGAIN)
    return where, sample


def _check_header(header: Json, path: Path) -> None:
    version: Any = fields.field(header, "version", int, where=str(path), fix=WRITE_AGAIN)
    if version != VERSION:
        raise fault(f"{path}: version", str(version), str(VERSION), WRITE_AGAIN)
    status = header.get("status")
    if status != "success":
        raise fault(f"{path}: status", fields.shown(status), "'success'", f"finish it: `inspect eval-retry {path}`")
    if header.get("invalidated"):
        raise fault(f"{path}: invalidated", "true", "a log that stands", "run the evaluation again")


def _check_samples(samples: list[Placed], header: Json, path: Path) -> None:
    problems = []
    seen: dict[tuple[str, Any], str] = {}
    for where, sample in samples:
        first = seen.setdefault((str(sample["id"]), sample["epoch"]), where)
        if first != where:
            problems.append(
                Problem(where=f"{where}: id", found=f"{sample['id']!r} in epoch {sample['epoch']} again",
                        expected=f"each sample once an epoch (it stands in {first})", fix="write the log again")
            )  # fmt: skip
    completed = fields.inner(header, "results").get("completed_samples")
    expected = completed if isinstance(completed, int) and completed > 0 else 1
    if len(samples) < expected:
        problems.append(
            Problem(where=str(path), found=f"{len(samples)} samples",
                    expected=f"at least {expected}, the completed ones",
                    fix="copy the file again, whole, or run Inspect without --no-log-samples")
        )  # fmt: skip
    if problems:
        raise DataError(f"{path} cannot be read", problems)


def _item(placed: Placed, task: str) -> Example:
    where, sample = placed
    fields.field(sample, "id", (str, int), where=where, fix=WRITE_AGAIN)
    fields.field(sample, "epoch", int, where=where, fix=WRITE_AGAIN)
    if not isinstance(sample.get("error"), dict):
        fields.field(sample, "scores", dict, where=where, fix="score the log with `inspect score`")
    given: Any = fields.field(sample, "input", (str, list), where=where, fix=WRITE_AGAIN)
    target: Any = fields.field(sample, "target", (str, list), where=where, fix=WRITE_AGAIN)
    attachments = fields.inner(sample, "attachments")
    turns = fields.chat_of(_attached(given, attachments)) if isinstance(given, list) else None
    if isinstance(given, str):
        turns = (Message(role="user", content=str(_attached(given, attachments))),)
    if turns is None:
        raise fault(f"{where}: input", fields.shown(given), "a text, or turns with role and content", WRITE_AGAIN)
    options: Any = sample.get("choices") or []
    if not isinstance(options, list):
        raise fault(f"{where}: choices", fields.shown(options), "a list of options", WRITE_AGAIN)
    choices = [str(_attached(choice, attachments)) for choice in options]
    targets = [_option(str(_attached(t, attachments)), choices) for t in
               (target if isinstance(target, list) else [target])]  # fmt: skip
    item = Example.of(turns, targets=targets, choices=choices, task=task, source=where)
    said = [(turn.role, turn.content) for turn in turns]
    return replace(item, id=content_id(TOOL, task, said, choices, targets))


def _option(target: str, choices: list[str]) -> str:
    """The option that a letter names."""
    place = ord(target) - ord("A") if len(target) == 1 else -1
    return choices[place] if 0 <= place < len(choices) else target


def _attached(value: Any, attachments: Mapping[str, Any]) -> Any:
    """The value with long texts put back, which Inspect keeps apart under their hash."""
    if isinstance(value, str) and value.startswith(ATTACHMENT):
        return attachments.get(value.removeprefix(ATTACHMENT), value)
    if isinstance(value, list):
        return [_attached(part, attachments) for part in value]
    if isinstance(value, dict):
        return {key: _attached(part, attachments) for key, part in value.items()}
    return value


def _text(sample: Json) -> str:
    completion = _attached(fields.inner(sample, "output").get("completion", ""), fields.inner(sample, "attachments"))
    return completion if isinstance(completion, str) else fields.text_of(completion)


def _grades(sample: Json, said: Completion, scorers: list[str], left_out: dict[str, str]) -> Iterator[Grade]:
    scores = fields.inner(sample, "scores")
    error = fields.inner(sample, "error").get("message", "the sample has no score")
    for scorer in scorers:
        if scorer not in scores:
            yield Grade(completion_id=said.id, example_id=said.example_id, grader=scorer, value=None, is_error=True,
                        reason=str(error))  # fmt: skip
            continue
        score = scores[scorer] if isinstance(scores[scorer], dict) else {"value": scores[scorer]}
        reason = str(score.get("explanation") or "")
        for kpi, raw in _values(scorer, score.get("value")):
            try:
                value = _number(raw)
            except ValueError as why:
                left_out.setdefault(kpi, str(why))
                continue
            yield Grade(completion_id=said.id, example_id=said.example_id, grader=kpi, value=value, reason=reason)


def _values(scorer: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{scorer}/{key}", part) for key, part in value.items()]
    if isinstance(value, list):
        return [(f"{scorer}/{k}", part) for k, part in enumerate(value)]
    return [(scorer, value)]


def _number(raw: Any) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, str):
        if raw in LETTERS:
            return LETTERS[raw]
        if raw.lower() in WORDS:
            return WORDS[raw.lower()]
        try:
            raw = float(raw)
        except ValueError:
            raise ValueError(f"a value per item is a word such as {raw!r}") from None
    return fields.unit_value(raw)


def _prompting(header: Json) -> str:
    steps = fields.inner(header, "plan").get("steps")
    names = [str(step.get("solver")) for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return ", ".join(names) or "as asked"
