"""What a model was made of, by the files of its run: the stages that led to it, their rows and texts, its base."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.models.folders import licence_of
from luthier.runs import read_json, sha256

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
LEAST_LANGUAGE_SHARE = 0.05
"""A language of fewer rows is not named as one that the model was tuned for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedStage:
    """One training stage of the chain that led to the model."""

    folder: Path
    trained: Mapping[str, Any]
    """Of trained.json."""
    record: Mapping[str, Any]
    """Of stage.json; empty when the stage has not been finished."""

    @property
    def name(self) -> str:
        """The stage's name, which is the kind of its events too."""
        return str(self.record.get("stage", self.folder.name))

    @property
    def settings(self) -> Mapping[str, Any]:
        """The keys of its [train] table."""
        found: Mapping[str, Any] = self.record.get("parts", {}).get("options", {}).get("train", {})
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRows:
    """What the rows of one file that was trained on state about themselves."""

    name: str
    count: int
    licences: Mapping[str, Counter[str]]
    """By licence, "" for rows that state none: rows by the file that they came from."""
    languages: Counter[str]


def chain_to(run: Path, wanted: str) -> list[TrainedStage]:
    """The stages of the run that led to the model of this digest, first to last."""
    by_digest = {}
    for path in sorted(run.glob("*/trained.json")) + sorted(run.glob("improve/*/*/trained.json")):
        trained = read_json(path)
        if {"digest", "base", "method", "steps"} <= trained.keys():
            by_digest[trained["digest"]] = TrainedStage(
                folder=path.parent, trained=trained, record=read_json(path.parent / "stage.json")
            )
    chain: list[TrainedStage] = []
    while wanted in by_digest and by_digest[wanted] not in chain:
        chain.insert(0, by_digest[wanted])
        # trained.json's digest of the base covers a chat template that was given in place of the base's own.
        start = chain[0].record.get("parts", {}).get("inputs", {}).get("base")
        wanted = str(start or chain[0].trained["base"])
    return chain


def rows_of(run: Path, chain: Sequence[TrainedStage]) -> list[TrainedRows]:
    """The rows that each stage learned from, wherever the run keeps them; rows that are gone state nothing."""
    found = []
    for stage in chain:
        names = stage.record.get("parts", {}).get("inputs", {})
        turn = stage.folder.parent / "curated"
        for name in ("train", "preferences"):
            places = [folder / f"{name}.jsonl" for folder in (turn, run / "curate", run / "rows")]
            if name not in names:
                continue
            path = next((place for place in places if place.is_file() and sha256(place) == names[name]), None)
            title = f"{stage.name}: {name}"
            gone = TrainedRows(name=title, count=0, licences={"": Counter()}, languages=Counter())
            found.append(gone if path is None else _counted(title, path))
    return found


def _counted(name: str, path: Path) -> TrainedRows:
    licences: dict[str, Counter[str]] = {}
    languages: Counter[str] = Counter()
    count = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            count += 1
            source = Path(str(row.get("source", "")).rpartition(":")[0]).name
            licences.setdefault(row.get("licence") or "", Counter())[source] += 1
            if row.get("language"):
                languages[row["language"]] += 1
    return TrainedRows(name=name, count=count, licences=licences, languages=languages)


def languages_of(rows: Sequence[TrainedRows]) -> list[str]:
    """The languages that enough of the rows state."""
    counted = sum((part.languages for part in rows), Counter[str]())
    total = sum(part.count for part in rows)
    return sorted(
        name for name, count in counted.items()
        if LANGUAGE.fullmatch(name) and count >= LEAST_LANGUAGE_SHARE * total
    )  # fmt: skip


def texts_of(chain: Sequence[TrainedStage]) -> list[str]:
    """Plain text that was trained on: it states no licence."""
    found = []
    for stage in chain:
        found += [str(path) for path in (stage.settings.get("text") or {}).get("files", ())]
        if stage.trained["method"] == "pretrain":
            found += [name for name in stage.record.get("parts", {}).get("inputs", {}) if name != "base"]
    return [Path(path).name for path in dict.fromkeys(found)]


def base_of(run: Path, config: Mapping[str, Any], chain: Sequence[TrainedStage]) -> tuple[str, str | None]:
    """The base as the recipe, or the selection among its candidates, names it, and its licence."""
    winner = read_json(run / "select" / "stage.json").get("winner") if config.get("select") else None
    name = str(winner or config.get("model", {}).get("base", "unknown"))
    if chain[0].record.get("base_licence"):
        return name, str(chain[0].record["base_licence"])
    for folder in (Path(name) / "model", Path(name)):
        if (folder / "README.md").is_file():
            return name, licence_of(folder)
    return name, _hub_licence(name) if HUB_NAME.fullmatch(name) else None


def _hub_licence(name: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "README.md")
    return licence_of(Path(found).parent) if isinstance(found, str) else None
