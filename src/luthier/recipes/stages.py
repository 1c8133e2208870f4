"""The stages as steps of a run: each reads files, writes a folder, and is reused while its key is unchanged.

A reused stage imports no torch, so a finished recipe answers in seconds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.curate.config import CurateConfig, DataConfig
from luthier.errors import ConfigError, Problem
from luthier.models.folders import base_of, digest, licence_of, resolve
from luthier.recipes import launch
from luthier.records import Example, Preference, Sampling, read_records
from luthier.runs import Run, Stage
from luthier.train.config import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.train.training import TrainingData

MOST_DEV_PROMPTS = 200
"""Dev prompts that a run answers at each measurement."""


def curated(run: Run, data: DataConfig, config: CurateConfig, *, folder: Path | None = None) -> Path:
    """Raw files -> RUN/curate: trusted examples with their ledger and card."""
    decisions = (config.decisions,) if config.decisions else ()
    inputs = {str(p): p for p in (*data.files, *data.held_out, *config.leaks.against, *decisions) if p.exists()}
    # Who does the work changes nothing of the result.
    options = {"curate": config.model_dump(mode="json", exclude={"engine", "workers", "memory_mb"}),
               "allow_overlap": data.allow_overlap, "files": [str(p) for p in data.files],
               "held_out": [str(p) for p in data.held_out]}  # fmt: skip
    stage = run.stage("curate", owner="luthier.curate.pipeline", inputs=inputs, options=options, folder=folder)
    if is_reused(stage):
        return stage.folder
    from luthier.curate.pipeline import curate

    curate(
        list(data.files), out=stage.folder, config=config, held_out_files=list(data.held_out),
        allow_overlap=data.allow_overlap, say=run.say,
    )  # fmt: skip
    stage.finish()
    return stage.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a training stage reads: files whose bytes are in its key, and how they become its data."""

    inputs: Mapping[str, Path]
    read: Callable[[], TrainingData]


def curated_material(rows: Path, config: TrainConfig) -> Material:
    """The files of a curated folder that the method reads."""
    preferences, train, dev = rows / "preferences.jsonl", rows / "train.jsonl", rows / "dev.jsonl"

    def read() -> TrainingData:
        from luthier.train.documents import read_documents
        from luthier.train.training import TrainingData

        if config.method == "dpo":
            return TrainingData(preferences=list(read_records(preferences, Preference)))
        return TrainingData(
            examples=list(read_records(train, Example)),
            dev=list(read_records(dev, Example)) if dev.is_file() else (),
            text=read_documents(config.text.files) if config.text.files else (),
        )

    files = {"preferences": preferences} if config.method == "dpo" else {"train": train, "dev": dev}
    text = {f"text {path}": path for path in config.text.files}
    return Material(inputs={**{n: path for n, path in files.items() if path.is_file()}, **text}, read=read)


def tuned(
    run: Run, name: str, config: TrainConfig, *, start: Path, model: ModelConfig, material: Material,
    folder: Path | None = None,
) -> Path:  # fmt: skip
    """The model in `start` trained on the material -> RUN/NAME/model."""
    template = {"chat_template": model.chat_template} if model.chat_template else {}
    stage = run.stage(
        name,
        owner=("luthier.train.training", *(("luthier.graders",) if _graders(config) else ()),
               *(("luthier.train.documents",) if config.text.files or config.method == "pretrain" else ())),
        inputs={**material.inputs, "base": digest(start), **template, **grader_files(_graders(config))},
        options={"train": config.model_dump(mode="json", exclude={"processes"}), "dtype": model.dtype,
                 "new_tokens": model.new_tokens},
        folder=folder,
    )  # fmt: skip
    if is_reused(stage):
        shutil.rmtree(stage.folder / "checkpoints", ignore_errors=True)
        return stage.folder / "model"
    from luthier.recipes import fit  # it reads material by what is here
    from luthier.train.loop import Place
    from luthier.train.training import discard_checkpoints

    job = launch.Job(start=start, model=model, train=config, run=run.folder, folder=stage.folder, key=stage.key,
                     kind=name)  # fmt: skip
    compare = fit.watch(run, config, model, material.inputs, stage=stage)
    data = material.read()
    trained = launch.trained(
        job, data, run, grade_all=rewards(config.grpo.grader), grade_dev=dev_grade(config, data)
    )
    run.say(
        f"{name} | {trained.num_steps} steps in {trained.seconds:,.0f} s | loss {trained.first_loss:.4f} -> "
        f"{trained.last_loss:.4f} | {trained.model}"
    )
    stage.finish([p for p in (stage.folder / "model").rglob("*") if p.is_file()] + [stage.folder / "trained.json"],
                 base_licence=licence_of(start) or licence_of(base_of(start)), **compare(trained))  # fmt: skip
    discard_checkpoints(Place(run=run, folder=stage.folder, key=stage.key))
    return stage.folder / "model"


def _graders(config: TrainConfig) -> list[str]:
    """The graders that decide what the training leaves."""
    of_dev = [config.keep_best] if config.keep_best not in (None, "loss") else []
    return [*([config.grpo.grader] if config.method == "grpo" else []), *filter(None, of_dev)]


def dev_grade(config: TrainConfig, data: TrainingData) -> Callable[[Model], float] | None:
    """The mean grade of greedy answers to the dev prompts, by the grader that `keep_best` names."""
    if config.keep_best in (None, "loss"):
        return None
    from luthier.graders import grade_all, grader_by_name
    from luthier.models.generate import generator

    assert config.keep_best is not None
    grader = grader_by_name(config.keep_best, where="train.keep_best")
    asked = [e for e in data.dev if e.targets][:MOST_DEV_PROMPTS]
    if not asked:
        raise ConfigError(
            "the best checkpoint cannot be found",
            [Problem(where="train.keep_best", found=f"{config.keep_best!r}, and no dev row with an answer",
                     expected="dev rows to answer", fix='raise curate.dev_share, or set train.keep_best = "loss"')],
        )  # fmt: skip

    def measure(model: Model) -> float:
        longest = max(len(model.renderer.encode(e.targets[0])) for e in asked)
        completions = generator(model)(asked, Sampling(max_new_tokens=2 * longest + 8, temperature=0.0))
        values = [g.value for g in grade_all(grader, asked, completions) if g.value is not None]
        return sum(values) / max(len(values), 1)

    return measure


def refuse_own_model(start: Path, run_folder: Path) -> None:
    """A run that starts from what it wrote would train on and on from its own output."""
    if start.resolve().is_relative_to(run_folder.resolve()):
        raise ConfigError(
            "a run cannot start from its own model",
            [Problem(where="model.base", found=str(start), expected="a model outside run.dir",
                     fix="give run.dir another folder")],
        )  # fmt: skip


def rewards(grader: str) -> Callable[..., Any]:
    """The reward function of grpo: the named grader over completions."""
    from luthier.graders import grade_all, grader_by_name

    function = grader_by_name(grader, where="train.grpo.grader")
    return lambda examples, completions: grade_all(function, examples, completions)


def stand(model: Path, run_folder: Path) -> Path:
    """Make `model` the one that RUN/model holds; files are linked where the disk allows it, so it costs no room."""
    target, temporary = run_folder / "model", run_folder / "model.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(model, temporary, copy_function=_link)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    return target


def opened(
    folder: Path, recipe: Any, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> Run:  # fmt: skip
    """The run of a recipe, with the tracking services that it names; `watch` is called with every event too."""
    from luthier.tracking import tracker

    config = recipe.model_dump(mode="json")
    # Before the folder is touched: a missing package or login must not leave a finished run marked as unfinished.
    trackers: list[Any] = [tracker(name, folder, config, say=echo) for name in recipe.run.track]
    run = Run.open(folder, recipe, echo=echo, step_echo=step_echo)
    run.trackers += trackers + ([watch] if watch is not None else [])
    return run


def start_of(settings: ModelConfig) -> Path:
    """The folder of the model that a recipe starts from; ModelError before anything has run when there is none."""
    folder = resolve(settings.base)
    base_of(folder)
    return folder


def is_reused(stage: Stage, *, clear: Callable[[Stage], None] | None = None) -> bool:
    """Whether the stage's result stands; if not, it says why, and removes what another key left behind.

    `clear` removes less than the whole folder, where some of it outlives the change.
    """
    if stage.is_done():
        stage.run.say(f"{stage.name} | reused, nothing it depends on has changed")
        return True
    changed = stage.changed()
    if changed:
        stage.run.say(f"{stage.name} | done again, since this changed: {', '.join(changed)}")
        if clear is None:
            shutil.rmtree(stage.folder)  # nothing of another key may be taken for this one's
    if clear is not None:
        clear(stage)
    return False


def _link(source: str, target: str) -> str:
    """Weights are linked, since nobody edits them in place; the small files, which people do edit, are copied."""
    if source.endswith(".safetensors"):
        try:
            os.link(source, target)
        except OSError:
            pass
        else:
            return target
    shutil.copy2(source, target)
    return target


def grader_files(graders: Sequence[str]) -> dict[str, Path]:
    """The files of the user's own graders: their bytes decide results too."""
    paths = [Path(name.rpartition(":")[0]) for name in graders if ":" in name]
    return {f"grader {path}": path for path in paths if path.is_file()}


def kept_version(model: Path, versions: Path) -> Path:
    """A copy of `model` under its digest in `versions`, which later runs never overwrite."""
    target = versions / digest(model)
    if not target.is_dir():
        temporary = target.with_suffix(".partial")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(model, temporary, copy_function=_link)
        os.replace(temporary, target)
    return target
