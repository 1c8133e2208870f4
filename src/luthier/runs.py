"""A run: its folder, manifest, metrics, log line, and the stages that are reused while nothing they depend on changed.

RUN/config.json      every option, defaults included
RUN/manifest.json    command, code, libraries, machine, sha256 of every input and output
RUN/metrics.jsonl    one object per event; the one file of truth
RUN/log.txt          what the terminal showed
RUN/STAGE/stage.json the key under which a finished stage may be reused, and the hashes of what it wrote
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luthier import __version__
from luthier.errors import ConfigError, Problem
from luthier.provenance import commit, library_versions, machine, sha256, source_digest
from luthier.records.whole_files import write_text_whole

__all__ = [
    "Run", "Stage", "holding", "now", "read_json", "write_json",
    "library_versions", "machine", "sha256", "source_digest",
]  # fmt: skip

PASSWORD = re.compile(r"(\w+://[^:/@\s\"]*):[^\s\"]*@")
"""A store's address may hold a password, with or without a name before it; one with an @ is covered to its end."""
OPTION = re.compile(r"([?&;][\w-]*(?:password|passwd|pwd|secret|token|key)=)[^&;\s\"]+", re.IGNORECASE)
"""The same among the options of an address."""
IGNORED_OUTPUTS = {"stage.json", "log.txt"}
_LOCKS: dict[Path, int] = {}
"""File descriptors of the locks that this process holds, by run folder: a lock goes when its process ends."""


def now() -> str:
    """The present moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(path: Path, data: Any) -> None:
    """Write JSON whole or not at all, passwords of addresses masked: for facts about a run, not for what trains."""
    text = json.dumps(data, indent=2, ensure_ascii=False, default=str)
    write_text_whole(path, OPTION.sub(r"\1***", PASSWORD.sub(r"\1:***@", text)) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of ours; empty when it is missing, torn, as after a crash of the machine, or no object."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


@dataclass(slots=True)
class Run:
    """One run folder. The library never prints; what people see goes through `say`."""

    folder: Path
    echo: Callable[[str], None] | None = None
    """Where terminal lines go; None for a silent run."""
    step_echo: Callable[[str], None] | None = None
    """Where the line of each training step goes; None: only into log.txt."""
    inputs: dict[str, str] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    trackers: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    """Each is called with every event that is logged; one with a `close` is closed when the run is finished."""

    @classmethod
    def open(
        cls,
        folder: Path,
        config: Any,
        *,
        echo: Callable[[str], None] | None = None,
        step_echo: Callable[[str], None] | None = None,
    ) -> Run:
        """Create the folder, or open it again to go on; writes config.json and manifest.json."""
        folder.mkdir(parents=True, exist_ok=True)
        _hold(folder)
        run = cls(folder=folder, echo=echo, step_echo=step_echo)
        before = read_json(folder / "manifest.json")
        run.inputs, run.stages = before.get("inputs", {}), before.get("stages", {})
        data = config.model_dump(mode="json") if hasattr(config, "model_dump") else config
        write_json(folder / "config.json", data)
        run._write_manifest(finished=None)
        return run

    def say(self, text: str) -> None:
        """One line for the terminal and log.txt."""
        self._append("log.txt", text)
        if self.echo is not None:
            self.echo(text)

    def log(self, event: Mapping[str, Any], *, kind: str, line: str | None = None) -> None:
        """One event for metrics.jsonl, and `line`, if any, as the one log line of a step."""
        whole = {"kind": kind, **event}
        self._append("metrics.jsonl", json.dumps(whole, ensure_ascii=False, allow_nan=False))
        for tracker in self.trackers:
            tracker(whole)
        if line is not None:
            self._append("log.txt", line)
            if self.step_echo is not None:
                self.step_echo(line)

    def forget_after(self, step: int, *, kind: str) -> None:
        """Drop events of `kind` later than `step`: a killed run logged them, and the resumed one will again."""
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return
        kept = []
        for text in path.read_text(encoding="utf-8").split("\n"):  # splitlines would cut at U+2028 too
            try:
                event = json.loads(text)
            except ValueError:  # the line that was being written when the run was killed, or nothing after the last
                continue
            if event.get("kind") != kind or event.get("step", 0) <= step:
                kept.append(text + "\n")
        write_text_whole(path, "".join(kept))

    def stage(
        self,
        name: str,
        *,
        owner: str | Sequence[str],
        inputs: Mapping[str, Path | str],
        options: Any,
        folder: Path | None = None,
    ) -> Stage:
        """The stage `name`, keyed by input bytes, options, the source of its `owner` modules, and library versions.

        `inputs` maps a name to a path, whose bytes count, or to a string, which counts as it stands.
        """
        target = folder or self.folder / name
        _refuse_own_output(inputs, target)
        hashes = {key: sha256(value) if isinstance(value, Path) else value for key, value in inputs.items()}
        data = options.model_dump(mode="json") if hasattr(options, "model_dump") else options
        source = {name: source_digest(name) for name in ([owner] if isinstance(owner, str) else owner)}
        parts = {"inputs": hashes, "options": data, "source": source, "libraries": library_versions()}
        self.inputs.update({str(v): hashes[k] for k, v in inputs.items() if isinstance(v, Path)})
        return Stage(run=self, name=name, folder=target, parts=parts)

    def finish(self) -> None:
        """Complete the manifest with the hashes of everything the stages wrote."""
        self._write_manifest(finished=now())
        for tracker in self.trackers:
            close = getattr(tracker, "close", None)
            if close is not None:
                close()
        _release(self.folder)

    def note_stage(self) -> None:
        """Keep the manifest true while the run goes on: a stage has just been finished."""
        self._write_manifest(finished=None)

    def _append(self, name: str, text: str) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def _write_manifest(self, *, finished: str | None) -> None:
        write_json(
            self.folder / "manifest.json",
            {
                "command": ["luthier", *sys.argv[1:]],
                "luthier": __version__,
                "commit": commit(),
                "libraries": library_versions(),
                "machine": machine(),
                "written": now(),
                "finished": finished,
                "inputs": self.inputs,
                "stages": self.stages,
            },
        )


@dataclass(slots=True)
class Stage:
    """One stage of a run: reused when its key is unchanged and its outputs are as it left them."""

    run: Run
    name: str
    folder: Path
    parts: dict[str, Any]
    started: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> str:
        """Hash of everything that the stage's result depends on."""
        text = json.dumps(self.parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        """What the last finished run of this stage left in stage.json; empty when there is none."""
        return read_json(self.folder / "stage.json")

    def is_done(self) -> bool:
        """Whether the outputs on disk are those of this key, byte for byte."""
        record = self.record
        if record.get("key") != self.key:
            return False
        outputs = record.get("outputs", {})
        done = all((self.folder / n).is_file() and sha256(self.folder / n) == h for n, h in outputs.items())
        if done:
            self.run.stages[self.name] = record
        return done

    def changed(self) -> list[str]:
        """What differs from the last finished run of this stage: names of inputs, options, source, libraries."""
        before = self.record.get("parts")
        if not before:
            return []
        return [f"{part}.{k}" if isinstance(self.parts[part], dict) else part
                for part in self.parts if self.parts[part] != before.get(part)
                for k in (_differing(self.parts[part], before.get(part)) or [""])]  # fmt: skip

    def finish(self, outputs: Sequence[Path] | None = None, **facts: Any) -> None:
        """State that the stage is complete; `outputs` defaults to every file in its folder."""
        paths = outputs if outputs is not None else [p for p in self.folder.rglob("*") if p.is_file()]
        hashes = {
            p.relative_to(self.folder).as_posix(): sha256(p)
            for p in sorted(paths)
            if p.name not in IGNORED_OUTPUTS and not p.name.endswith(".partial")
        }
        record = {
            "stage": self.name,
            "key": self.key,
            "parts": json.loads(json.dumps(self.parts, default=str)),
            "outputs": hashes,
            "seconds": round(time.monotonic() - self.started, 2),
            "finished": now(),
            **facts,
        }
        write_json(self.folder / "stage.json", record)
        self.run.stages[self.name] = record
        self.run.note_stage()


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Inside, nobody else writes the run; ConfigError where somebody does."""
    was_held = folder.resolve() in _LOCKS
    _hold(folder)
    try:
        yield
    finally:
        if not was_held:
            _release(folder)


def _hold(folder: Path) -> None:
    """Hold RUN/run.lock until the run is finished or this process ends: two that write one run would tear its files.

    A POSIX lock: it belongs to the process, so opening a run twice in one is no conflict, and kill -9 releases it.
    """
    path = folder.resolve()
    if path in _LOCKS:
        return
    number = os.open(path / "run.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(number)
        raise ConfigError(
            "the run is being written by another process",
            [Problem(where=str(folder), found="its run.lock is held", expected="one process at a time",
                     fix="wait for it or end it, or give run.dir another folder")],
        ) from None  # fmt: skip
    except OSError:  # a disk without locks
        os.close(number)
        return
    _LOCKS[path] = number


def _release(folder: Path) -> None:
    number = _LOCKS.pop(folder.resolve(), None)
    if number is not None:
        os.close(number)


def _refuse_own_output(inputs: Mapping[str, Path | str], target: Path) -> None:
    """A stage clears its folder before it works, so nothing that it reads may lie there."""
    inside = [v for v in inputs.values() if isinstance(v, Path) and v.resolve().is_relative_to(target.resolve())]
    if inside:
        raise ConfigError(
            "a stage would overwrite what it reads",
            [Problem(where=str(path), found=f"a file inside {target}", expected="a file outside the stage's own folder",
                     fix="copy it elsewhere and name the copy") for path in inside],
        )  # fmt: skip


def _differing(now_part: Any, before: Any) -> list[str]:
    if not isinstance(now_part, dict) or not isinstance(before, dict):
        return []
    return sorted(k for k in {*now_part, *before} if now_part.get(k) != before.get(k))
