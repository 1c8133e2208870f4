"""What can be removed from run folders without losing a result, and removing it.

    checkpoints      of a stage that is finished and whole: only a killed run goes on from them
    *.partial        half-written files of a process that is no more
    untrained-*      the network before the first step, once it has been trained

Nothing else is touched: no model, no answer, no grade, no log; nothing outside the folders that a run makes; no run
that is being written.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.runs import read_json, sha256

LOCK = "run.lock"
"""Held (POSIX, so by the process) by the process that writes the run, as long as it lives."""
QUIET_S = 600.0
"""An unfinished run without a lock may be alive; it is left alone until nothing was written for this long."""
OWN_FOLDERS = ("curate", "rows", "select", "train", "prefer", "evaluate", "suites", "versions", "improve")
"""Folders that only a run writes into. What else lies beside them may be somebody's own."""
OWN_FILES = ("config.json", "manifest.json", "metrics.jsonl", "gate.json", "report.html", "tracking.json", "model")
"""Files and folders of a run that are written under another name first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that can go."""

    path: Path
    why: str
    frees: int
    """Bytes that the disk gets back: those of files without another name that stays."""


def removable(run: Path) -> list[Removal]:
    """What can be removed from the run; empty while it is being written."""
    return [] if is_being_written(run) else _found(run)


def clean(run: Path) -> list[Removal]:
    """Remove what can go; returns what went. No run can start in the folder meanwhile."""
    with _held(run) as is_ours:
        gone = _found(run) if is_ours else []
        for removal in gone:
            if removal.path.is_dir():
                shutil.rmtree(removal.path)
            else:
                removal.path.unlink(missing_ok=True)
    return gone


def is_being_written(run: Path) -> bool:
    """Whether a process writes the run: it holds the lock, or, where locks do not tell, wrote to it just now."""
    state = _lock_state(run)
    if state is not None:
        return state
    if read_json(run / "manifest.json").get("finished"):
        return False
    written = [p.stat().st_mtime for p in run.iterdir() if p.is_file() and p.name != LOCK]
    return time.time() - max(written, default=0.0) < QUIET_S


def size_on_disk(folder: Path) -> int:
    """Bytes of the files below `folder`, each once however many names it has; links are not followed."""
    return sum({(s.st_dev, s.st_ino): s.st_size for s in map(os.lstat, _files(folder))}.values())


def _found(run: Path) -> list[Removal]:
    found = [(path, "left half-written") for path in _partials(run)]
    for stage in _stages(run):
        record, checkpoints = read_json(stage / "stage.json"), stage / "checkpoints"
        spent = [checkpoints] if _are_of(checkpoints, str(record.get("key"))) else []
        spent = [path for path in (*spent, *sorted(stage.glob("untrained-*")))
                 if path.is_dir() and not path.is_symlink()]  # fmt: skip
        if spent and _is_whole(stage, record):
            found += [(path, f"{stage.name} is finished") for path in spent]
    paths = {path for path, _ in found}
    tops = {path: why for path, why in sorted(found) if not paths & set(path.parents)}
    freed = _freed(list(tops))
    return [Removal(path=path, why=why, frees=freed[path]) for path, why in tops.items()]


def _partials(run: Path) -> Iterator[Path]:
    """Half-written files and folders, by the names that only Luthier gives them and where only it writes."""
    for name in OWN_FILES:
        path = run / f"{name}.partial"
        if path.exists() and not path.is_symlink():
            yield path
    for place, names, files in _own(run):
        for name in [*names, *files]:
            is_checkpoint = place.name == "checkpoints" and name.startswith("partial-")
            if (is_checkpoint or name.endswith(".partial")) and not (place / name).is_symlink():
                yield place / name


def _stages(run: Path) -> list[Path]:
    return sorted(place for place, _, files in _own(run) if "stage.json" in files)


def _own(run: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The folders that only a run writes into, and what is in them; links are not followed."""
    for top in OWN_FOLDERS:
        if (run / top).is_symlink():
            continue
        for place, names, files in os.walk(run / top):
            yield Path(place), names, files


def _is_whole(stage: Path, record: dict[str, Any]) -> bool:
    """Whether the stage was finished and all that it wrote is there, byte for byte: else it is done again."""
    outputs = record.get("outputs") or {}
    is_there = all((stage / name).is_file() for name in outputs)
    return bool(record.get("key")) and bool(outputs) and is_there and all(
        sha256(stage / name) == digest for name, digest in outputs.items()
    )  # fmt: skip


def _are_of(checkpoints: Path, key: str) -> bool:
    """Whether no checkpoint is of another training than the one that was finished."""
    return all(read_json(path).get("key", key) == key for path in checkpoints.glob("step-*/state.json"))


def _freed(paths: Sequence[Path]) -> dict[Path, int]:
    """The bytes that removing all these gives back, by path: a file whose other name stays gives back none."""
    names: dict[tuple[int, int], int] = {}
    first: dict[tuple[int, int], tuple[Path, os.stat_result]] = {}
    for path in paths:
        for file in _files(path):
            found = os.lstat(file)
            key = (found.st_dev, found.st_ino)
            names[key] = names.get(key, 0) + 1
            first.setdefault(key, (path, found))
    freed = dict.fromkeys(paths, 0)
    for key, (path, found) in first.items():
        if names[key] >= found.st_nlink:
            freed[path] += found.st_size
    return freed


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return [Path(place) / name for place, _, files in os.walk(path) for name in files]


def _lock_state(run: Path) -> bool | None:
    """Whether a process holds the run's lock; None where there is no lock, or a disk without locks."""
    try:
        with (run / LOCK).open("rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # systems differ in how they say that it is held
        return True
    except OSError:
        return None
    return False


@contextmanager
def _held(run: Path) -> Iterator[bool]:
    """Hold the run's lock; gives False, and holds nothing, while the run is being written."""
    if is_being_written(run):
        yield False
        return
    with (run / LOCK).open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            yield False
        except OSError:  # a disk without locks: the run is finished, or nothing has been written for a while
            yield True
        else:
            yield True
