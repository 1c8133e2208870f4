"""Run folders from outside: which there are, in what two of them differ, and what can go without losing a result.

    luthier runs list runs
    luthier runs compare runs/a runs/b
    luthier runs clean runs --yes
"""

from __future__ import annotations

import json
import os
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.errors import ConfigError, DataError, Problem
from luthier.recipes.card_numbers import interval, summaries
from luthier.recipes.cleaning import clean, is_being_written, removable, size_on_disk
from luthier.runs import read_json

DEEPEST = 4
"""Folders below the one that was named in which runs are looked for."""
STAGES = ("train", "prefer")
DIGEST = re.compile("[0-9a-f]{64}")
STATES = {"finished": "finished", "running": "running", "unfinished": "unfinished, can be continued"}


def is_run(folder: Path) -> bool:
    """Whether the folder is one that `Run` wrote: its manifest says so, and its options are there."""
    manifest = read_json(folder / "manifest.json")
    return {"luthier", "stages", "inputs"} <= manifest.keys() and (folder / "config.json").is_file()


def find_runs(folder: Path) -> list[Path]:
    """The run folders in `folder`, itself included; links and hidden folders are not followed."""
    if not folder.is_dir():
        raise _no_run(folder, "no such folder")
    found = []
    for place, names, files in os.walk(folder):
        here = Path(place)
        if "manifest.json" in files and is_run(here):
            found.append(here)
            names.clear()  # what is within a run belongs to it
        elif len(here.relative_to(folder).parts) >= DEEPEST:
            names.clear()
        names[:] = sorted(name for name in names if not name.startswith("."))
    return sorted(found)


def listed(folder: Path) -> list[dict[str, Any]]:
    """Every run in `folder`, the latest last, as JSON objects."""
    return sorted((summary_of(run) for run in find_runs(folder)), key=lambda row: (row["written"], row["run"]))


def summary_of(run: Path) -> dict[str, Any]:
    """One run as the list shows it."""
    manifest, config = read_json(run / "manifest.json"), read_json(run / "config.json")
    state = "running" if is_being_written(run) else "finished" if manifest.get("finished") else "unfinished"
    stages = {name: numbers for name in STAGES if (numbers := _stage_numbers(run, config, name))}
    verdict = _verdict(run) if state == "finished" else None
    train = stages.get("train") or next(iter(stages.values()), {})
    command = manifest.get("command", [])
    return {
        "run": str(run),
        "written": str(manifest.get("finished") or manifest.get("written") or ""),
        "command": command[1] if len(command) > 1 else None,
        "recipe": config.get("recipe"),
        "base": _nested(config, "model.base") or _nested(config, "build.start"),
        "method": _method(config, STAGES[:1] if command[1:2] == ["train"] else STAGES),
        "stages": stages,
        "loss": train.get("loss"),
        "dev_loss": train.get("dev_loss"),
        "verdict": verdict,
        "bytes": size_on_disk(run),
        "state": state,
    }


def list_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The list as a table for the terminal."""
    if not rows:
        return ["no runs here: no folder with a manifest.json that Luthier wrote"]
    head = ("run", "when", "recipe", "base", "method", "steps", "loss", "dev loss", "verdict", "size", "state")
    table = [
        (
            row["run"], row["written"][:16].replace("T", " "), row["command"] or row["recipe"] or "-",
            Path(row["base"]).name if row["base"] else "-", row["method"] or "-",
            " + ".join(_steps_text(stage) for stage in row["stages"].values()) or "-",
            _number(row["loss"]), _number(row["dev_loss"]), row["verdict"] or "-", size_text(row["bytes"]),
            STATES[row["state"]],
        )
        for row in rows
    ]  # fmt: skip
    return aligned([head, *table])


def compared(folders: Sequence[Path]) -> dict[str, Any]:
    """In what the runs differ, and their numbers side by side. DataError where a folder is no run."""
    if len(folders) < 2:
        raise ConfigError(
            "there is nothing to compare with",
            [Problem(where="command line", found="one run", expected="two run folders or more",
                     fix="for example: luthier runs compare runs/a runs/b")],
        )  # fmt: skip
    for folder in folders:
        if not is_run(folder):
            raise _no_run(folder, "no run folder" if folder.is_dir() else "no such folder")
    manifests = [read_json(folder / "manifest.json") for folder in folders]
    configs = [_flat(read_json(folder / "config.json")) for folder in folders]
    for config in configs:
        config.pop("run.dir", None)
    libraries = [{"luthier": m["luthier"], **m.get("libraries", {}), **m.get("machine", {})} for m in manifests]
    inputs = [_inputs(folder, m) for folder, m in zip(folders, manifests, strict=True)]
    numbers = [_numbers(folder, read_json(folder / "config.json")) for folder in folders]
    known = dict.fromkeys(key for found in numbers for key, value in found.items() if value is not None)
    return {
        "runs": [str(folder) for folder in folders],
        "config": _differing(configs),
        "inputs": _differing(inputs),
        "libraries": _differing(libraries),
        "numbers": {key: [found.get(key) for found in numbers] for key in known},
        "same_items": _same_items(folders),
    }


def compare_lines(found: Mapping[str, Any]) -> list[str]:
    """The comparison as text: a table for each part, then what to run next."""
    names = [chr(ord("a") + k) if k < 26 else str(k) for k in range(len(found["runs"]))]
    lines = [f"{name}: {run}" for name, run in zip(names, found["runs"], strict=True)]
    for part in ("config", "inputs", "libraries"):
        rows = [(key, *(_short(value) for value in values)) for key, values in found[part].items()]
        lines += ["", *aligned([(part, *names), *rows])] if rows else ["", f"{part}: no difference"]
    rows = [(key, *(_shown(value) for value in values)) for key, values in found["numbers"].items()]
    lines += ["", *aligned([("numbers", *names), *rows])]
    if found["same_items"]:
        lines += ["", "evaluated on the same items; the paired difference with its interval:"]
        lines += [f"  luthier compare {a} {b}" for a, b in found["same_items"]]
    return lines


def cleaned(folder: Path, *, is_sure: bool) -> dict[str, Any]:
    """What can go from the runs in `folder`, or, when `is_sure`, what went."""
    rows, skipped = [], []
    for run in find_runs(folder):
        if is_being_written(run):
            skipped.append(str(run))
            continue
        found = clean(run) if is_sure else removable(run)
        rows += [{"path": str(r.path), "why": r.why, "frees": r.frees} for r in found]
    return {"removed": is_sure, "paths": rows, "frees": sum(row["frees"] for row in rows), "being_written": skipped}


def clean_lines(found: Mapping[str, Any]) -> list[str]:
    """What can go, or went, as text."""
    lines = [f"left alone, since it is being written: {run}" for run in found["being_written"]]
    if not found["paths"]:
        return [*lines, "nothing to remove"]
    lines += aligned([(size_text(row["frees"]), row["path"], row["why"]) for row in found["paths"]])
    total = size_text(found["frees"])
    return [*lines, f"removed; {total} are free again" if found["removed"] else
            f"{total} would be free; `--yes` removes these, and nothing else"]  # fmt: skip


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows with their columns below one another."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def size_text(num_bytes: int) -> str:
    """A number of bytes in the unit that suits it."""
    size = float(num_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _stage_numbers(run: Path, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What metrics.jsonl says of one training stage; empty when it holds no step of it."""
    steps = [e for e in events_of(run) if e.get("kind") == name and "train/loss" in e]
    if not steps:
        return {}
    dev = [e["train/dev_loss"] for e in events_of(run) if e.get("kind") == f"{name}_dev" and "train/dev_loss" in e]
    of = (
        steps[-1].get("num_steps")
        or read_json(run / name / "trained.json").get("steps")
        or _nested(config, f"{name}.max_steps")
    )
    return {
        "step": steps[-1]["step"],
        "num_steps": of,
        "tokens": sum(e.get("train/tokens", 0) for e in steps),
        "loss": steps[-1]["train/loss"],
        "dev_loss": dev[-1] if dev else None,
        "lowest_dev_loss": min(dev) if dev else None,
        "tokens_per_s": statistics.median(e.get("train/tokens_per_s", 0.0) for e in steps),
    }


def _verdict(run: Path) -> str | None:
    """The gate's answer on a model that the stages hold now; None where it was since trained anew."""
    gate = read_json(run / "gate.json")
    made = {read_json(run / stage / "trained.json").get("digest") for stage in STAGES} - {None}
    answer: str | None = gate.get("answer")
    return answer if not made or gate.get("model") in (None, *made) else None


def _numbers(run: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of one run by name, those of its evaluations with their intervals."""
    found: dict[str, Any] = {}
    for stage in STAGES:
        found |= {f"{stage}/{key}": value for key, value in _stage_numbers(run, config, stage).items()}
    for folder, summary in summaries(run):
        for name, kpi in summary["kpis"].items():
            key = f"{folder.relative_to(run).as_posix()}: {name}"
            found[key] = {part: kpi[part] for part in ("value", "low", "high", "n")}
    answer = _verdict(run)
    return {**found, **({"gate": answer} if answer else {})}


def _same_items(folders: Sequence[Path]) -> list[tuple[str, str]]:
    """Evaluations of the first run and of another one on the same suite, of the same place in their runs."""
    pairs = []
    first = {(f.relative_to(folders[0]), s["suite"]["digest"]): f for f, s in summaries(folders[0])}
    for other in folders[1:]:
        for folder, summary in summaries(other):
            mine = first.get((folder.relative_to(other), summary["suite"]["digest"]))
            if mine is not None:
                pairs.append((str(mine), str(folder)))
    return pairs


def _inputs(run: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """The digest of each input; files within the run are named from the run on, so that two runs can be compared."""
    named = {}
    for name, value in manifest.get("inputs", {}).items():
        path = Path(name)
        if path.suffix == ".py" and path.parts[-3:-1] == ("luthier", "recipes"):
            continue  # the code of a stage, which the versions stand for
        inside = path.is_relative_to(run) or path.resolve().is_relative_to(run.resolve())
        named["RUN/" + path.resolve().relative_to(run.resolve()).as_posix() if inside else name] = value
    return named


def _differing(parts: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """By key: the value of each run, where they are not all the same."""
    keys = sorted({key for part in parts for key in part})
    values = {key: [part.get(key) for part in parts] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def _nested(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _method(config: Mapping[str, Any], stages: Sequence[str]) -> str | None:
    """ "sft, lora + dpo": the method of each stage, with its adapter."""
    tables = [config[name] for name in stages if isinstance(config.get(name), Mapping)]
    words = [
        table["method"] + (f", {table['adapter']}" if table.get("adapter", "none") != "none" else "")
        for table in tables
        if "method" in table
    ]
    return " + ".join(words) or None


def _steps_text(stage: Mapping[str, Any]) -> str:
    return f"{stage['step']}/{stage['num_steps'] or '?'}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(value: Any) -> str:
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if DIGEST.fullmatch(text):
        return text[:12]
    return text if len(text) <= 40 else f"{text[:18]}...{text[-19:]}"  # paths differ at their ends


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{interval(value)} n {value['n']}"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
    return _short(value) if not isinstance(value, int) else f"{value:,}"


def _no_run(folder: Path, found: str) -> DataError:
    return DataError(
        "there is no such run",
        [Problem(where=str(folder), found=found, expected="a run folder: config.json and the manifest.json of a run",
                 fix="check the path; `luthier runs list` shows the runs of a folder")],
    )  # fmt: skip


def events_of(run: Path) -> Iterator[dict[str, Any]]:
    """The events of the run's metrics.jsonl; none where it has none."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:  # the line that was being written when a run was killed
                continue
            if isinstance(event, dict):
                yield event
