"""Logs of lm-evaluation-harness 0.4: results_DATE.json with samples_TASK_DATE.jsonl beside it (`--log_samples`).

An item is what its task and its document say, so runs with other prompts, shots or templates still share their items.
Each (metric, filter) is a KPI: "acc", and "exact_match,strict-match" where a filter has a name. A metric that is better
when smaller becomes "1 - metric". Metrics without one number in 0..1 per item are left out, and said to be.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.kpis import grades_by_item
from luthier.evaluate.logs import fields
from luthier.evaluate.logs.fields import Json, fault
from luthier.records import Completion, Example, Grade, Message, content_id

TOOL = "lm-eval"
VERSION = re.compile(r"0\.4(\.|$)")
SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT.+)\.jsonl")
RESULTS = re.compile(r".*_(?P<date>\d{4}-\d\d-\d\dT.+)\.json")
WRITE_AGAIN = "write the log again with lm_eval 0.4.3 or later, --log_samples and --output_path"
ROW = "one item of a samples file of lm_eval 0.4, a JSON object"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of a samples file: an item under one filter."""

    where: str
    doc_id: int
    filter: str
    item: Example
    text: str
    metrics: Mapping[str, Any]


@dataclass(slots=True)
class _Log:
    """What has been read so far."""

    items: dict[str, Example] = field(default_factory=dict)
    completions: dict[str, list[Completion]] = field(default_factory=dict)
    grades: list[Grade] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    repeats: int = 0


def read_lm_eval(path: Path) -> Evaluation:
    """The evaluation in a results file, a samples file (that task alone) or a folder of one run."""
    results_path, samples = _files(path)
    results = fields.read_object(results_path, expected="the results file of a run of lm_eval 0.4")
    version = results.get("lm_eval_version")
    if version is not None and not VERSION.match(str(version)):
        raise fault(f"{results_path}: lm_eval_version", fields.shown(version), "0.4 with any third number",
                    "write the log with lm_eval 0.4, or ask for this version to be read")  # fmt: skip
    fields.field(results, "results", dict, where=str(results_path), fix=WRITE_AGAIN)
    name = str(results.get("model_name") or results_path.parent.name)
    # The harness has no digest of weights: two logs are never taken for one model.
    model_id = content_id(TOOL, name, str(results_path.resolve()))
    log = _Log()
    for task, file in samples.items():
        _take(log, _rows(file, task, results, str(results_path)), task, results, model_id)
    suite = "+".join(samples) if len(samples) < 4 else f"{len(samples)} tasks"
    return Evaluation(
        folder=path,
        summary={
            "model": {"id": model_id, "name": name, "prompting": _prompting(results, list(samples))},
            "suite": fields.suite_facts(log.items, suite, log.repeats),
            "log": {"tool": TOOL, "version": version, "left_out": log.left_out},
        },
        items=log.items,
        completions=log.completions,
        rankings={},
        grades=grades_by_item(log.grades),
    )


def _files(path: Path) -> tuple[Path, dict[str, Path]]:
    """The results file of the run, and its samples files by task."""
    found = RESULTS.fullmatch(path.name)
    only = SAMPLES.fullmatch(path.name)
    if path.is_dir():
        runs = sorted(p for pattern in ("results_*.json", "*/results_*.json") for p in path.glob(pattern))
        if len(runs) != 1:
            names = ", ".join(str(run.relative_to(path)) for run in runs) or "none"
            raise fault(str(path), f"{len(runs)} results files: {names}", "one run of lm_eval",
                        "name one of the results files" if runs else WRITE_AGAIN)  # fmt: skip
        return _files(runs[0])
    if not path.is_file() or not (found or only):
        raise fault(str(path), "a name without a date", "results_DATE.json or samples_TASK_DATE.jsonl",
                    "keep the names that lm_eval gives its files")  # fmt: skip
    date = (only or found)["date"]  # type: ignore[index]
    beside = {m["task"]: p for p in sorted(path.parent.glob("samples_*.jsonl"))
              if (m := SAMPLES.fullmatch(p.name)) and m["date"] == date}  # fmt: skip
    if only:
        results = sorted(path.parent.glob(f"*_{date}.json"))
        if not results:
            raise fault(str(path.parent), f"no results_{date}.json", "the results file of the same run",
                        "copy it beside the samples: it says which metrics are better when smaller")  # fmt: skip
        return results[0], {only["task"]: path}
    if not beside:
        raise fault(str(path.parent), f"no samples_TASK_{date}.jsonl", "a file of items for each task",
                    "run lm_eval with --log_samples")  # fmt: skip
    return path, beside


def _rows(file: Path, task: str, results: Json, results_path: str) -> list[_Row]:
    read = _row_reader(task, results)
    rows = fields.gather(fields.lines_of(file, expected=ROW), read, summary=f"{file} cannot be read")
    seen: dict[tuple[int, str], str] = {}
    problems = []
    for row in rows:
        first = seen.setdefault((row.doc_id, row.filter), row.where)
        if first != row.where:
            problems.append(
                Problem(where=f"{row.where}: doc_id", found=f"{row.doc_id} under filter {row.filter!r} again",
                        expected=f"each item once a filter (it stands in {first})",
                        fix="remove one of the lines, or write the log again")
            )  # fmt: skip
    expected = fields.inner(results, "n-samples", task).get("effective")
    for name in dict.fromkeys(row.filter for row in rows) if expected is not None else ():
        number = len({row.doc_id for row in rows if row.filter == name})
        if number != expected:
            problems.append(
                Problem(where=str(file), found=f"{number} items under filter {name!r}",
                        expected=f"{expected}, as {results_path} says in n-samples.{task}.effective",
                        fix="copy the file again, whole: lines are missing or too many")
            )  # fmt: skip
    if not rows:
        problems.append(Problem(where=str(file), found="no items", expected="one a line", fix=WRITE_AGAIN))
    if problems:
        raise DataError(f"{file} cannot be read", problems)
    return rows


def _row_reader(task: str, results: Json) -> Callable[[tuple[str, Callable[[], Json]]], _Row]:
    """What reads a line; older files of 0.4 name neither filter nor metrics, which the results then do."""
    keys = [key for key in fields.inner(results, "results", task) if "," in key and "_stderr," not in key]
    known = [key.partition(",") for key in keys]
    filters = list(dict.fromkeys(name for _, _, name in known)) or ["none"]
    is_choice = fields.inner(results, "configs", task).get("output_type") == "multiple_choice"

    def read(line: tuple[str, Callable[[], Json]]) -> _Row:
        where, load = line
        data = load()
        if "filter" not in data and len(filters) > 1:
            fields.field(data, "filter", str, where=where, fix=WRITE_AGAIN)
        name = str(data.get("filter", filters[0]))
        metrics: Any = list(dict.fromkeys(metric for metric, _, of in known if of == name))
        if "metrics" in data:
            metrics = [str(m) for m in fields.field(data, "metrics", list, where=where, fix=WRITE_AGAIN)]
        item = _item(data, task, where, is_choice=is_choice)
        missing = [metric for metric in metrics if metric not in data]
        if missing:
            raise fault(f"{where}: {missing[0]}", "no such field", "the item's value of this metric", WRITE_AGAIN)
        return _Row(
            where=where, doc_id=fields.field(data, "doc_id", int, where=where, fix=WRITE_AGAIN), filter=name, item=item,
            text=_answer(data, item, where), metrics={metric: data[metric] for metric in metrics},
        )  # fmt: skip

    return read


def _item(data: Json, task: str, where: str, *, is_choice: bool) -> Example:
    if "doc" not in data:
        raise fault(f"{where}: doc", "no such field", "the item's document", WRITE_AGAIN)
    if "target" not in data:
        raise fault(f"{where}: target", "no such field", "the accepted answer", WRITE_AGAIN)
    given: Any = fields.field(data, "arguments", (dict, list), where=where, fix=WRITE_AGAIN)
    requests = [tuple(r.values()) if isinstance(r, dict) else tuple(r) if isinstance(r, list) else (r,)
                for r in (given.values() if isinstance(given, dict) else given)]  # fmt: skip
    if not all(requests) or not requests:
        raise fault(f"{where}: arguments", fields.shown(given), "the prompt of one request at least", WRITE_AGAIN)
    prompt = requests[0][0]
    choices: list[str] = []
    if is_choice:
        # Some metrics ask for each option without its prompt too: those come after.
        asked = [r for r in requests if r[0] == prompt and len(r) > 1]
        choices = [str(r[1]).strip() for r in asked]
    target = data["target"]
    text = str(target)
    if choices and text.isdigit() and int(text) < len(choices):
        text = choices[int(text)]
    targets = [str(t) for t in target] if isinstance(target, list) else [text]
    item = Example.of(_turns(prompt), targets=targets, choices=choices, task=task, source=where)
    return replace(item, id=content_id(TOOL, task, data["doc"], str(target)))


def _turns(prompt: Any) -> tuple[Message, ...]:
    """The turns of a chat prompt, which the harness writes as JSON; any other text is the user's."""
    if isinstance(prompt, str) and prompt.startswith("["):
        try:
            turns = fields.chat_of(json.loads(prompt))
        except ValueError:
            turns = None
        if turns is not None:
            return turns
    return fields.chat_of(prompt) or (Message(role="user", content=fields.text_of(prompt)),)


def _answer(data: Json, item: Example, where: str) -> str:
    """What the model wrote; of options the likeliest, or all that was logged where no likelihoods stand."""
    resps: Any = fields.field(data, "resps", list, where=where, fix=WRITE_AGAIN)
    flat = [resp[0] if isinstance(resp, list) and len(resp) > 0 else resp for resp in resps]
    if item.choices:
        try:
            values = [float(resp[0]) for resp in flat[: len(item.choices)]]
            return item.choices[max(range(len(values)), key=values.__getitem__)]
        except (TypeError, ValueError, IndexError, KeyError):
            return json.dumps(resps)
    return fields.text_of(flat[0]) if flat else ""


def _take(log: _Log, rows: Sequence[_Row], task: str, results: Json, model_id: str) -> None:
    higher = fields.inner(results, "higher_is_better", task)
    found: dict[str, list[Grade]] = defaultdict(list)
    answered: dict[tuple[str, int], Completion] = {}
    for row in rows:
        if (row.item.id, row.doc_id) not in answered:
            log.repeats += row.item.id in log.items
            log.items.setdefault(row.item.id, row.item)
            said = Completion.of(example_id=row.item.id, model_id=model_id, text=row.text, sample=row.doc_id)
            answered[row.item.id, row.doc_id] = said
            log.completions.setdefault(row.item.id, []).append(said)
        completion = answered[row.item.id, row.doc_id]
        for metric, raw in row.metrics.items():
            is_loss = higher.get(metric) is False
            kpi = ("1 - " if is_loss else "") + metric + ("" if row.filter == "none" else f",{row.filter}")
            try:
                value = fields.unit_value(raw)
            except ValueError as error:
                log.left_out.setdefault(f"{kpi} of {task}", str(error))
                continue
            reason = "" if value is not None else f"the logged value is {raw}"
            value = 1 - value if is_loss and value is not None else value
            found[kpi].append(Grade(completion_id=completion.id, example_id=row.item.id, grader=kpi, value=value,
                                    reason=reason))  # fmt: skip
    # Half of a metric would be another metric.
    log.grades += [g for kpi, grades in found.items() if f"{kpi} of {task}" not in log.left_out for g in grades]


def _prompting(results: Json, tasks: Sequence[str]) -> str:
    known = fields.inner(results, "n-shot")
    shots = sorted({str(known.get(task, "?")) for task in tasks})
    return f"{'chat template' if results.get('chat_template') else 'plain text'}, {' or '.join(shots)} shots"
