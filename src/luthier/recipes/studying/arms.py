"""One arm of a study, from its rows to its numbers: what a worker does. The file of an arm is written whole or not."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import demo
from luthier.models.folders import digest, resolve
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.measures import (
    COPY,
    FEW_SHOT_OWN,
    answered,
    base_readings,
    base_ways,
    by_rung,
    copied,
    num_cut,
    plain_text,
    short_shots,
)
from luthier.recipes.studying.plan import Arm
from luthier.recipes.studying.promises import intents, transfer_config
from luthier.recipes.studying.rows import (
    Items,
    TrainingRows,
    few_rows,
    items_of,
    read_tasks,
    shortages,
    shots_of,
    training_rows,
)
from luthier.records import Example, content_id
from luthier.records.whole_files import write_text_whole
from luthier.runs import Run, library_versions, sha256, source_digest
from luthier.tasks import Collection
from luthier.train.config import TrainConfig
from luthier.train.documents import read_documents

if TYPE_CHECKING:
    from luthier.models.load import Model

ITEM_KEYS = {"items_per_task", "trained_items_per_task", "templates_per_item"}
OVERLAP_GRADERS = {"rouge_l", "chrf"}
"""Graders of which saying the prompt again is a baseline."""
SHOTS_A_TASK = 6
SPARE_SHOTS = 2
"""Fewest training rows of each task from which the base's shots are taken, and how many more they are than the shots
asked for: one may be what is asked, another too long to leave room."""
PRACTICE = "practice"
PRACTICE_BASE = Path(demo.__file__).parent / "model"
"""The base that ships with the package, and that `model.base = "practice"` means."""
PRACTICE_DOCUMENTS = 100
PRACTICE_TEXT_SEED = 1_000_003
"""Of the plain text on which forgetting is measured; pre-training had another."""


@dataclass(frozen=True)
class Bench:
    """What the arms of one study share: the recipe, the run's folder, and what is read once."""

    recipe: StudyRecipe
    folder: Path

    @cached_property
    def collection(self) -> Collection:
        """The tasks."""
        return read_tasks(self.recipe.tasks)

    @cached_property
    def documents(self) -> list[str]:
        """Plain text on which forgetting is measured."""
        if self.recipe.evaluate.plain_text:
            return read_documents(self.recipe.evaluate.plain_text)
        if self.recipe.tasks.collection != PRACTICE:
            return []
        from luthier.demo.text import documents

        return list(documents(PRACTICE_TEXT_SEED, PRACTICE_DOCUMENTS))

    @cached_property
    def text(self) -> list[str]:
        """Plain text that is mixed into the training of every arm."""
        files = self.recipe.train.text.files
        return read_documents(files) if files else []

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What every arm depends on, for its key."""
        recipe = self.recipe
        texts = [*recipe.evaluate.plain_text, *recipe.train.text.files, *filter(None, [recipe.model.chat_template])]
        return {
            "collection": self.collection.digest,
            "tasks": recipe.tasks.model_dump(mode="json", include={"mixture"}),
            "items": recipe.study.model_dump(mode="json", include=ITEM_KEYS),
            "evaluate": recipe.evaluate.model_dump(mode="json"),
            "files": [sha256(path) for path in texts],
            "source": source_digest("luthier.recipes.studying.arms"),
            "libraries": library_versions(),
        }

    def start_of(self, base: str) -> Path:
        """The folder of a base as a recipe names it; ModelError where there is none."""
        return PRACTICE_BASE if base == PRACTICE else resolve(base)

    def key(self, arm: Arm, arms: dict[str, Arm]) -> str:
        """Hash of everything that the arm's numbers depend on; `arms` holds the one that a transfer starts from."""
        settings = self.recipe.model
        model = [digest(self.start_of(arm.base)), settings.dtype, list(settings.new_tokens)]
        parts: dict[str, Any] = {"shared": self.shared, "arm": arm.to_json(), "model": model, "contrast": arm.contrast}
        if arm.kind != "base":
            parts["train"] = self.training(arm).model_dump(mode="json")
            parts["rows"] = self.recipe.study.rows_per_task
        if arm.needs is not None:
            parts["start"] = self.key(arms[arm.needs], arms)
        return content_id(parts)

    def training(self, arm: Arm) -> TrainConfig:
        """How the arm is trained."""
        if arm.kind == "transfer":
            return transfer_config(self.recipe, arm)
        return self.recipe.train.model_copy(update={"seed": arm.seed, "processes": 1,
                                                    "save_every": self.recipe.train.max_steps})  # fmt: skip

    def model_folder(self, name: str) -> Path:
        """Where the model of an arm is kept, if it is."""
        return self.folder / "models" / name


def do(arm: Arm, bench: Bench, arms: dict[str, Arm]) -> dict[str, Any]:
    """Train and measure one arm and write RUN/arms/NAME.json; returns what it holds."""
    started = time.perf_counter()
    items = items_of(bench.collection, arm, bench.recipe.study)
    facts = _base(arm, bench, items) if arm.kind == "base" else _tuned(arm, bench, items, arms)
    notes = shortages(bench.collection, items, arm, bench.recipe.study)
    whole = {"key": bench.key(arm, arms), "arm": arm.to_json(), **facts, "notes": notes,
             "seconds": round(time.perf_counter() - started, 2)}  # fmt: skip
    write_arm(bench.folder / "arms" / f"{arm.name}.json", whole)
    return whole


def write_arm(path: Path, data: dict[str, Any]) -> None:
    """The file of an arm on one line, whole or not at all, whenever the process ends."""
    write_text_whole(path, json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")


def _base(arm: Arm, bench: Bench, items: Items) -> dict[str, Any]:
    """The base's readings of everything that any arm of its block is asked."""
    from luthier.models.load import load_model

    recipe = bench.recipe
    start = bench.start_of(arm.base)
    model = load_model(start, dtype=recipe.model.dtype, chat_template=recipe.model.chat_template)
    rows = max(SHOTS_A_TASK, recipe.evaluate.shots + SPARE_SHOTS)
    known = shots_of(bench.collection, arm, number=rows)
    held_out = shots_of(bench.collection, arm, number=rows, is_held_out=True)
    ways = base_ways(model, recipe.evaluate, known=known, held_out=held_out)
    facts = base_readings(model, items, recipe.evaluate, protocols=ways.protocols) | {"forms": ways.forms}
    facts["graders"] = sorted({str(item.grading["grader"]) for item in items.all})
    if not OVERLAP_GRADERS.isdisjoint(facts["graders"]):
        facts["readings"][COPY] = copied(items)
    if arm.contrast:
        facts["promises"] = {name: intents(model, recipe.evaluate, seed=arm.seed, protocol=protocol)
                             for name, protocol in ways.protocols.items() if name != FEW_SHOT_OWN}  # fmt: skip
    facts["short_shots"] = short_shots(items, ways, recipe.evaluate)
    facts["cut_prompts"] = sum(num_cut(model, items.all, protocol=way) for way in ways.protocols.values())
    facts["parameters"] = model.num_parameters
    facts["pretraining"] = pretraining(start)
    return {**facts, **_text(model, bench)}


def _tuned(arm: Arm, bench: Bench, items: Items, arms: dict[str, Arm]) -> dict[str, Any]:
    """The arm's model, trained in a folder that goes afterwards, and its numbers."""
    from luthier.models.load import load_model

    scratch = bench.folder / "scratch" / arm.name
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        start = bench.start_of(arm.base) if arm.needs is None else _start(arms[arm.needs], bench)
        folder, facts = _trained(arm, bench, items, start, scratch)
        model = load_model(folder, dtype=bench.recipe.model.dtype)
        evaluate = bench.recipe.evaluate
        facts["items"] = by_rung(items, lambda asked: answered(model, asked, evaluate))
        if arm.contrast:
            facts["promises"] = intents(model, evaluate, seed=arm.seed)
        facts["cut_prompts"] = num_cut(model, items.all)
        facts |= _text(model, bench) if arm.kind != "transfer" else {}
        if arm.keeps or bench.recipe.study.keep_models:
            with _locked(arm, bench):
                _keep(folder, bench.model_folder(arm.name), bench.key(arm, arms))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return facts


def _trained(arm: Arm, bench: Bench, items: Items, start: Path, scratch: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the trained model, and what the training was."""
    from luthier.models.load import load_model
    from luthier.models.tokens import add_tokens
    from luthier.train.loop import Place
    from luthier.train.training import TrainingData, train

    settings, config = bench.recipe.model, bench.training(arm)
    is_base = arm.needs is None  # else the start brings its template and its new tokens
    model = load_model(start, dtype=settings.dtype, chat_template=settings.chat_template if is_base else None,
                       quantised=config.adapter == "qlora")  # fmt: skip
    model = add_tokens(model, settings.new_tokens) if is_base else model
    rows = _rows(arm, bench, items, model)
    scratch.mkdir(parents=True)
    run = Run(folder=scratch)
    data = TrainingData(examples=rows.examples, text=bench.text if config.text.files else ())
    trained = train(model, data, config, place=Place(run=run, folder=scratch / "train", key=arm.name))
    events = [json.loads(line) for line in (scratch / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    tokens = sum(event["train/tokens"] for event in events if event["kind"] == "train")
    facts = {
        "train": {"steps": trained.num_steps, "tokens": tokens, "rows": len(rows.examples),
                  "inverted_rows": rows.inverted, "seconds": trained.seconds,
                  "loss": trained.last_loss, "first_loss": trained.first_loss, "ledger": trained.rows},
        "certificate": rows.certificate,
    }  # fmt: skip
    return trained.model, facts


def _rows(arm: Arm, bench: Bench, items: Items, model: Model) -> TrainingRows:
    if arm.kind == "transfer":
        return few_rows(bench.collection, arm, items)

    def count_tokens(example: Example) -> int:
        return sum(len(row.token_ids) for row in model.renderer.render(example.messages))

    return training_rows(bench.collection, arm, bench.recipe, items, count_tokens=count_tokens)


def _start(arm: Arm, bench: Bench) -> Path:
    """The tuned model that a transfer starts from; trained again where an earlier call has removed it.

    One process does that; the others that need the model wait for it.
    """
    kept = bench.model_folder(arm.name)
    key = bench.key(arm, {})
    with _locked(arm, bench):
        if kept_key(kept) != key:
            items = items_of(bench.collection, arm, bench.recipe.study)
            scratch = bench.folder / "scratch" / f"{arm.name}.start-{os.getpid()}"
            shutil.rmtree(scratch, ignore_errors=True)
            try:
                folder, _ = _trained(arm, bench, items, bench.start_of(arm.base), scratch)
                _keep(folder, kept, key)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return kept


@contextmanager
def _locked(arm: Arm, bench: Bench) -> Iterator[None]:
    """Nobody else makes or moves the arm's model meanwhile; the lock goes with its process, however that ends."""
    path = bench.folder / "scratch" / f"{arm.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kept_key(model: Path) -> str | None:
    """The key under which a kept model was made; None where there is no whole one."""
    marker = model / "arm.key"
    return marker.read_text(encoding="utf-8") if marker.is_file() else None


def _keep(model: Path, target: Path, key: str) -> None:
    """Move a model to where it is kept, whole or not at all, with the key under which it was made.

    One of the same key stays, since somebody may be reading it.
    """
    if kept_key(target) == key:
        return
    (model / "arm.key").write_text(key, encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(model, target)


def _text(model: Model, bench: Bench) -> dict[str, Any]:
    return {"plain_text": plain_text(model, bench.documents, bench.recipe.evaluate)} if bench.documents else {}


def pretraining(base: Path) -> dict[str, float]:
    """Tokens and seconds of pre-training as the base's card states them; empty where it does not."""
    card = base / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    tokens = re.search(r"^- Text: .*?([\d,]+) tokens consumed", text, re.MULTILINE)
    hours = re.search(r"^- Time: ([\d.]+) hours of training", text, re.MULTILINE)
    found = {"tokens": float(tokens[1].replace(",", "")) if tokens else None,
             "seconds": float(hours[1]) * 3600 if hours else None}  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}
