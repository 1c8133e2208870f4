"""Pre-train on plain text: a model built from its sizes, or one that exists, grown or pruned before (docs/build.md).

The base that ships with the practice world is made by this.
With recipes/pretrain.toml: 5.0M parameters, 29.7M tokens of the practice world's text; its model card says how long.

    luthier run pretrain.toml run.dir=runs/base
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from luthier.config import Config
from luthier.errors import ConfigError, DataError, Problem
from luthier.models.config import CHANGES, BuildConfig
from luthier.models.folders import digest, licence_of, resolve
from luthier.recipes import launch, stages
from luthier.runs import Run
from luthier.train.config import ModelConfig, RunConfig, TrainConfig


class PretrainData(Config):
    """The text."""

    files: tuple[Path, ...] = ()
    """Plain text: .txt with blank lines between documents, or .jsonl with a "text" in each row."""
    practice_documents: int = Field(0, ge=0)
    """Documents of the practice world to generate and add."""
    practice_without: tuple[str, ...] = ()
    """Clusters of the practice tasks whose requests those documents never hold, in whatever words."""
    dev_share: float = Field(0.005, ge=0, lt=1)
    """Share of the documents kept for measuring the loss; the last ones."""


class PretrainRecipe(Config):
    """Keys of a pretrain recipe."""

    recipe: Literal["pretrain"] = "pretrain"
    """The script that reads this file."""
    data: PretrainData
    build: BuildConfig = BuildConfig()
    train: TrainConfig
    run: RunConfig


def main(
    recipe: PretrainRecipe, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> int:  # fmt: skip
    """Text -> tokenizer and random network, or a model to go on from -> pre-trained model in RUN/model."""
    from luthier.models.load import load_model
    from luthier.recipes import check, fit
    from luthier.train.loop import Place
    from luthier.train.training import TrainingData, discard_checkpoints

    if recipe.train.method != "pretrain":
        raise ConfigError(
            "this recipe cannot train that way",
            [Problem(where="train.method", found=repr(recipe.train.method), expected='"pretrain"',
                     fix='write method = "pretrain" under [train]')],
        )  # fmt: skip
    start = start_folder(recipe)
    run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=step_echo, watch=watch)
    text = documents_of(recipe.data, seed=recipe.train.seed)
    documents, dev = text.train, text.dev
    run.say(f"data | {len(documents):,} documents to train on, {len(dev):,} to measure on")
    if text.requests:
        run.say(f"data | the practice text asks for, in its own words: {_counted(text.requests)}")
    stage = run.stage(
        "train", owner=("luthier.train.training", "luthier.models.reshape", "luthier.demo.text",
                        "luthier.train.documents"),
        options={**recipe.model_dump(mode="json", exclude={"train": {"processes"}}), "run": None},
        inputs={**{str(path): path for path in recipe.data.files}, **({"start": digest(start)} if start else {})},
    )  # fmt: skip
    if not stages.is_reused(stage):
        blank = stage.folder / f"untrained-{stage.key[:16]}"
        if not blank.is_dir():
            shutil.rmtree(blank.with_suffix(".partial"), ignore_errors=True)
            for words in write_untrained(recipe, documents, blank.with_suffix(".partial")):
                run.say(f"build | {words}")
            os.replace(blank.with_suffix(".partial"), blank)
        job = launch.Job(start=blank, model=ModelConfig(base=str(blank)), train=recipe.train, run=run.folder,
                         folder=stage.folder, key=stage.key, kind="train")  # fmt: skip
        compare = fit.watch(run, recipe.train, start, check.pretrain_inputs(recipe), stage=stage)
        trained = launch.trained(job, TrainingData(documents=documents, dev_documents=dev), run)
        model = load_model(trained.model, device="cpu")
        facts = _facts(recipe, model, run, text=text, start=start)
        (trained.model / "README.md").write_text(_card(facts), encoding="utf-8")
        stage.finish([p for p in trained.model.rglob("*") if p.is_file() and p.name != "README.md"], facts=facts,
                     **compare(trained))  # fmt: skip
        discard_checkpoints(Place(run=run, folder=stage.folder, key=stage.key))
        shutil.rmtree(blank)
    stages.stand(stage.folder / "model", recipe.run.dir)
    run.finish()
    run.say(f"done  | {recipe.run.dir / 'model'}")
    return 0


def start_folder(recipe: PretrainRecipe) -> Path | None:
    """The folder of `build.start`; an error before anything has run where it is none, or this run's own."""
    if recipe.build.start is None:
        return None
    start = resolve(recipe.build.start)
    if start.resolve().is_relative_to(recipe.run.dir.resolve()):
        raise ConfigError(
            "a run cannot start from its own model",
            [Problem(where="build.start", found=str(start), expected="a model outside run.dir",
                     fix="give run.dir another folder")],
        )  # fmt: skip
    return start


def write_untrained(recipe: PretrainRecipe, documents: list[str], folder: Path) -> list[str]:
    """Write the network before its first step to `folder`; returns what was done to the model at `build.start`."""
    if recipe.build.start is not None:
        from luthier.models.reshape import reshape_model

        return reshape_model(recipe.build, documents, folder)
    from luthier.models.build import build_model

    build_model(recipe.build, documents, folder, seed=recipe.train.seed)
    return []


@dataclass(frozen=True, slots=True)
class Text:
    """What is trained on."""

    train: list[str]
    dev: list[str]
    """To measure on."""
    requests: Mapping[str, int]
    """How often the documents of the practice world ask for each cluster's skills; no document holds four words in a
    row of a task's template."""


def documents_of(data: PretrainData, *, seed: int) -> Text:
    """The documents to train on, and those to measure on: of the files, then of the practice world."""
    from luthier.demo.text import pages, requests_by_cluster
    from luthier.train.documents import read_documents

    texts = read_documents(data.files) if data.files else []
    try:
        practice = list(pages(seed, data.practice_documents, data.practice_without))
    except ValueError as error:
        raise ConfigError(
            "the practice world has no such text",
            [Problem(where="data.practice_without", found=", ".join(data.practice_without), expected=str(error),
                     fix="name clusters of the practice tasks")],
        ) from error  # fmt: skip
    texts += [page.text for page in practice]
    if not texts:
        raise DataError(
            "there is no text to train on",
            [Problem(where="data", found="no files and no practice_documents", expected="at least one of them",
                     fix='add files = ["text.txt"] under [data]')],
        )  # fmt: skip
    cut = max(1, len(texts) - math.ceil(len(texts) * data.dev_share))
    return Text(texts[:cut], texts[cut:], requests_by_cluster(practice))


def _facts(recipe: PretrainRecipe, model: Any, run: Run, *, text: Text, start: Path | None) -> dict[str, Any]:
    lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").strip().split("\n")
    events = [json.loads(line) for line in lines]
    done = [e for e in events if e["kind"] == "train"]
    dev = [e["train/dev_loss"] for e in events if e["kind"] == "train_dev"]
    sizes = recipe.build.model_dump(exclude={"start", *CHANGES}, exclude_none=True)
    facts = {
        "parameters": model.num_parameters,
        "documents": len(text.train),
        "requests": dict(text.requests),
        "tokens": sum(e["train/tokens"] for e in done),
        "steps": len(done),
        "hours": round(sum(e["train/tokens"] / max(e["train/tokens_per_s"], 1e-9) for e in done) / 3600, 2),
        "dev_loss": dev[-1] if dev else None,
    }
    if start is None:
        if recipe.build.experts is None:
            del sizes["experts_per_token"]  # nothing reads it
        return {**facts, "sizes": sizes}
    changes = recipe.build.model_dump(include=set(CHANGES), exclude_defaults=True)
    return {**facts, "start": str(start), "digest": digest(start), "licence": licence_of(start), "changes": changes}


def _counted(requests: Mapping[str, int]) -> str:
    return ", ".join(f"{cluster} {count:,}" for cluster, count in sorted(requests.items()))


def _card(facts: dict[str, Any]) -> str:
    """The model card: what it is, on what it was trained, for how long, and what it is not for."""
    loss = facts["dev_loss"]
    measured = (
        f"loss {loss:.4f} nats a token, perplexity {math.exp(loss):.3f}, on documents kept apart"
        if loss is not None
        else "not measured: no documents were kept apart"
    )
    trained = (
        f"- Text: {facts['documents']:,} documents, {facts['tokens']:,} tokens consumed in {facts['steps']:,} steps\n"
        f"- Time: {facts['hours']} hours of training steps\n"
        f"- Measured: {measured}\n"
    )
    asked = ""
    if facts["requests"]:
        counts = [(cluster, f"{count:,}") for cluster, count in sorted(facts["requests"].items())]
        asked = (
            "\n## Requests in that text\n\n"
            "Requests of each kind; a document may hold several, and none holds four words in a row of a task's "
            "template.\n\n"
            + _table(("kind", "requests"), counts)
        )
    if "start" in facts:
        licence = f"---\nlicense: {facts['licence']}\n---\n" if facts["licence"] else ""
        return (
            f"{licence}# A model pre-trained further by Luthier\n\n"
            f"- Start: {facts['start']}, digest {facts['digest']}; changed: {facts['changes'] or 'nothing'}\n"
            f"- Shape: {facts['parameters']:,} parameters\n{trained}"
            "- What it knew beside this text may have faded: measure it before use.\n"
            f"{asked}"
        )
    shape = "Qwen3-MoE" if "experts" in facts["sizes"] else "Llama"
    number = f"{facts['parameters']:,}"
    sizes = [(f"`{key}`", json.dumps(value).strip('"')) for key, value in facts["sizes"].items()]
    return (
        "---\nlicense: apache-2.0\n---\n"
        "# A small base model, pre-trained from scratch by Luthier\n\n"
        f"{trained}"
        "- Trained on plain text only: never on chats, nor was it tuned to follow instructions.\n"
        "- For practice and tests; it knows nothing of the world outside its text.\n\n"
        "## Shape\n\n"
        f"{_table(('shape', shape), [('parameters', number), *sizes])}"
        f"{asked}"
    )


def _table(heading: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join([f"| {heading[0]} | {heading[1]} |", "| --- | --- |", *lines]) + "\n"
