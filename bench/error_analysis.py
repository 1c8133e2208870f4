"""Does error analysis find planted weaknesses, and do the fixes that it proposes mend them?

The base that ships is tuned on rows of 16 practice tasks, once as they are and once with each of five faults planted.
Each model is examined on rows that nobody trained on, and analysed beside its base and its training rows. Then the
proposed fix is applied as it stands (rows of candidates.jsonl added, rows of decisions.jsonl dropped), the base is
tuned again, and both models are compared on the items of the planted slice in the half that was not looked at.

    python -m bench.error_analysis --out /tmp/error_analysis

Every model is kept under --out with its evaluation: a second call goes on where the first was stopped, and --only takes
the named cases alone. The result is written once all are there. A training is 40 seconds of one core.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from luthier.demo.collection import practice_collection
from luthier.evaluate.comparison import compare
from luthier.evaluate.errors.analysis import analyse, write_analysis
from luthier.evaluate.errors.halves import half_of
from luthier.evaluate.evaluation import read_evaluation
from luthier.recipes.evaluate import main as evaluate
from luthier.recipes.train import main as train
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, Message, read_records, write_records
from luthier.runs import library_versions, machine, now, read_json, write_json
from luthier.stats.intervals import paired_interval
from luthier.tasks.task import Task

RESULT = Path(__file__).parent / "results" / "error_analysis.json"
BASE = Path(__file__).parents[1] / "src" / "luthier" / "demo" / "model"
TASKS = (
    "first", "last", "capitals", "quotes", "brackets", "word_to_spanish", "phrase_to_spanish", "number_to_spanish",
    "word_to_english", "number_word", "first_letter", "verdict", "feeling", "who_liked", "which_language", "where",
)  # fmt: skip
BOTH_WAYS = ("capitals", "quotes", "brackets", "word_to_spanish", "number_to_spanish", "word_to_english", "number_word")
"""Tasks of which inverted templates are used too: turned round, a row of these has one answer or few."""
SPANISH = ("word_to_spanish", "phrase_to_spanish", "number_to_spanish")
TRAIN_ROWS, ITEMS = 96, 40
"""A task."""
INVERTED_SHARE = 0.25
"""Of the rows of a task that is asked both ways: each such row is asked the plain way too."""
SEED = 11
PURE = 0.9
"""The first slice reported is the planted weakness when this share of its items are planted ones."""
ASKED = ("evaluate.max_new_tokens=24", "evaluate.batch_rows=64")


def main() -> None:
    """Measure what is not there yet, and write the result when all is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for models and evaluations")
    parser.add_argument("--only", nargs="*", choices=[case.name for case in CASES], help="these cases alone")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    rows, items = material()
    write_records(options.out / "items.jsonl", items)
    if not (options.out / "base" / "summary.json").is_file():
        evaluate(BASE, files=[options.out / "items.jsonl"], out=options.out / "base", say=print, overrides=ASKED)
    for case in CASES:
        if not options.only or case.name in options.only:
            measured = measure(case, rows, items, options.out)
            print(json.dumps(measured, indent=2))
    found = {case.name: read_json(options.out / case.name / "measured.json")
             for case in CASES if (options.out / case.name / "measured.json").is_file()}  # fmt: skip
    if len(found) < len(CASES):
        print(f"{len(CASES) - len(found)} cases are still to be measured")
        return
    write_json(options.result, {
        "question": "are planted weaknesses found and ranked first, and do the proposed fixes mend them?",
        "tasks": TASKS, "training_rows": len(rows), "items": len(items),
        "cases": found, "command": f"python -m bench.error_analysis {' '.join(sys.argv[1:])}",
        "machine": machine(), "libraries": library_versions(), "written": now(),
    })  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model: what is done to its training rows, and the slices that this should make weak."""

    name: str
    fault: str
    spoil: Callable[[Sequence[Example]], list[Example]]
    planted: Callable[[Example], bool]
    """Whether an item belongs to what was planted."""


def material() -> tuple[list[Example], list[Example]]:
    """Training rows of the train side and items of the test side, of the same templates; no request is drawn twice."""
    tasks = {task.name: task for task in practice_collection().tasks}
    taken: set[str] = set()
    rows = [row for name in TASKS for row in _drawn(tasks[name], "train", TRAIN_ROWS, taken)]
    items = [row for name in TASKS for row in _drawn(tasks[name], "test", ITEMS, taken)]
    rows = [replace(row, source=f"rows.jsonl:{number}") for number, row in enumerate(rows, 1)]
    return rows, [replace(item, source=f"items.jsonl:{number}") for number, item in enumerate(items, 1)]


def _drawn(task: Task, side: str, count: int, taken: set[str]) -> list[Example]:
    rng = Random(f"{SEED} {task.name} {side}")
    assert task.make is not None
    found: list[Example] = []
    for _ in range(100 * count):
        made = task.make(rng)
        if made.split != side:
            continue
        ways = [rng.choice(task.plain_templates)]
        if task.name in BOTH_WAYS and rng.random() < INVERTED_SHARE / (1 - INVERTED_SHARE):
            ways.append(rng.choice(task.inverted_templates))
        for way in ways:
            example = task.example(made, way)
            key = " ".join(message.content for message in example.prompt)
            if key not in taken and len(found) < count:
                taken.add(key)
                found.append(example)
        if len(found) == count:
            break
    return found


def _answered(row: Example, answer: str) -> Example:
    """The row with another answer."""
    return Example.of((*row.prompt, Message(role="assistant", content=answer)), choices=row.choices, task=row.task,
                      cluster=row.cluster, template=row.template, links=row.links, source=row.source)  # fmt: skip


def _shuffled(rows: Sequence[Example], task: str) -> list[Example]:
    """The rows with the answers of a task dealt out anew among its rows."""
    at = [k for k, row in enumerate(rows) if row.task == task]
    answers = [rows[k].target or "" for k in at]
    Random(SEED).shuffle(answers)
    spoilt = list(rows)
    for k, answer in zip(at, answers, strict=True):
        spoilt[k] = _answered(rows[k], answer)
    return spoilt


def _unquoted(rows: Sequence[Example]) -> list[Example]:
    return [_answered(row, (row.target or "").strip('"')) if row.task == "quotes" and not _is_inverted(row) else row
            for row in rows]  # fmt: skip


def _is_inverted(example: Example) -> bool:
    task = next(task for task in practice_collection().tasks if task.name == example.task)
    number = int((example.template or "").rpartition("/")[2])
    return any(template.index == number for template in task.inverted_templates)


def _is_spanish(example: Example) -> bool:
    return example.task in SPANISH and not _is_inverted(example)


def _is_long(example: Example) -> bool:
    """Of tasks that have shorter answers too: else a task would be missing, not a length."""
    return len((example.target or "").split()) >= 3 and example.task != "phrase_to_spanish"


def _without(planted: Callable[[Example], bool]) -> Callable[[Sequence[Example]], list[Example]]:
    return lambda rows: [row for row in rows if not planted(row)]


CASES = (
    Case(name="sound", fault="nothing was planted", spoil=list, planted=lambda example: False),
    Case(name="corrupted_task", fault="the answers of one task dealt out anew among its rows",
         spoil=lambda rows: _shuffled(rows, "last"), planted=lambda example: example.task == "last"),
    Case(name="missing_templates", fault="no row of an inverted template", spoil=_without(_is_inverted),
         planted=_is_inverted),
    Case(name="missing_language", fault="no row with a Spanish answer", spoil=_without(_is_spanish),
         planted=_is_spanish),
    Case(name="missing_length", fault="no row with an answer of three words or more where tasks have shorter ones",
         spoil=_without(_is_long),
         planted=_is_long),
    Case(name="wrong_format", fault="the answers of one task without the quotation marks that are asked for",
         spoil=_unquoted, planted=lambda example: example.task == "quotes"),
)  # fmt: skip


def measure(case: Case, rows: Sequence[Example], items: Sequence[Example], out: Path) -> dict[str, Any]:
    """Tune, examine and analyse; then apply the fix, tune again and compare. What is there already is read."""
    folder = out / case.name
    spoilt = case.spoil(rows)
    _model(folder / "before", spoilt, out / "items.jsonl")
    before = read_evaluation(folder / "before" / "evaluation")
    analysis = analyse(before, kpi="auto", base=read_evaluation(out / "base"), training=spoilt)
    assert analysis is not None
    write_analysis(analysis, folder / "errors")
    confirmed = analysis.confirmed
    first = confirmed[0] if confirmed else None
    measured: dict[str, Any] = {
        "fault": case.fault, "training_rows": len(spoilt), "score": before.summary["kpis"]["auto"],
        "reported": [one.weakness.slice.name for one in confirmed],
        "not_confirmed": [one.weakness.slice.name for one in analysis.weak if not one.weakness.is_confirmed],
        "slices": analysis.search.num_slices, "false_discovery_rate": analysis.search.rate,
        "lines": analysis.lines(), "seconds_of_training": _seconds(folder / "before"),
    }  # fmt: skip
    if first is not None and any(map(case.planted, items)):
        inside = [before.items[item_id] for item_id in first.looked_at]
        look = [item for item in before.items.values() if half_of(item) == "look" and case.planted(item)]
        hit = sum(map(case.planted, inside))
        measured["first_reported_that_is_planted"] = hit / len(inside)
        measured["planted_that_is_in_first_reported"] = hit / len(look)
        measured["is_found_first"] = hit >= PURE * len(inside)
        measured["diagnosis"] = list(first.training.diagnosis) if first.training else []
        measured["mended"] = _mended(case, spoilt, folder, out)
    write_json(folder / "measured.json", measured)
    return measured


def _mended(case: Case, spoilt: Sequence[Example], folder: Path, out: Path) -> dict[str, Any]:
    """The fix as it stands in the files, and what it did to the planted slice on the half that was not looked at."""
    added = list(read_records(folder / "errors" / "candidates.jsonl", Example))
    lines = (folder / "errors" / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    dropped = {json.loads(line)["id"] for line in lines}
    rows = [*(row for row in spoilt if row.id not in dropped), *added]
    _model(folder / "after", rows, out / "items.jsonl")
    before, after = (read_evaluation(folder / name / "evaluation") for name in ("before", "after"))
    confirming = {item.id for item in before.items.values() if half_of(item) == "confirm"}
    planted = [item.id for item in before.items.values() if item.id in confirming and case.planted(item)]
    others = [item.id for item in before.items.values() if item.id in confirming and not case.planted(item)]
    values = [evaluation.values("auto") for evaluation in (before, after)]

    def change(ids: Sequence[str]) -> dict[str, Any]:
        a, b = ([value[k] or 0.0 for k in ids] for value in values)
        return {"before": sum(a) / len(a), "after": sum(b) / len(b), "difference": paired_interval(a, b).to_json()}

    wrong = [row for row in spoilt if row.id in dropped and not case.planted(row)]
    return {
        "added": len(added), "dropped": len(dropped), "dropped_that_were_sound": len(wrong),
        "seconds_of_training": _seconds(folder / "after"),
        "planted_slice": change(planted), "other_items": change(others),
        "all_items": compare(folder / "before" / "evaluation", folder / "after" / "evaluation").kpis["auto"].to_json(),
    }  # fmt: skip


def _model(folder: Path, rows: Sequence[Example], items: Path) -> None:
    """The base tuned on the rows and examined on the items -> FOLDER/run, FOLDER/evaluation; kept while it is there."""
    if (folder / "evaluation" / "summary.json").is_file():
        return
    write_records(folder / "rows.jsonl", rows)
    recipe = TuneRecipe.model_validate_json(json.dumps({
        "model": {"base": str(BASE)}, "data": {"files": [str(folder / "rows.jsonl")]},
        "train": {"method": "sft", "epochs": 1, "batch_rows": 16, "micro_batch_tokens": 2048, "max_length": 256,
                  "optim": {"lr": 5e-4, "warmup_steps": 10}, "seed": 7},
        "run": {"dir": str(folder / "run")},
    }))  # fmt: skip
    began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    train(recipe, echo=print, step_echo=None)
    write_json(folder / "seconds.json", {"processor": resource.getrusage(resource.RUSAGE_SELF).ru_utime - began})
    evaluate(folder / "run", files=[items], out=folder / "evaluation", say=print, overrides=ASKED)


def _seconds(folder: Path) -> float:
    return round(float(read_json(folder / "seconds.json")["processor"]), 1)


if __name__ == "__main__":
    main()
