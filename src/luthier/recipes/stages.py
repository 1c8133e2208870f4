"""The stages as steps of a run: each reads files, writes a folder, and is reused while its key is unchanged.

A reused stage imports no torch, so a finished recipe answers in seconds.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import Config
from luthier.curate.config import CurateConfig, DataConfig
from luthier.evaluate.config import EvaluateConfig
from luthier.models.folders import base_of, digest, resolve
from luthier.records import Example, Grader, Preference, Sampling, read_records
from luthier.runs import Run, Stage
from luthier.train.config import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from luthier.train.training import TrainingData

MOST_FORM_ITEMS = 64
"""Dev rows on which a base's plain-text form is chosen."""


def curated(run: Run, data: DataConfig, config: CurateConfig, *, folder: Path | None = None) -> Path:
    """Raw files -> RUN/curate: trusted examples with their ledger and card."""
    inputs = {str(path): path for path in (*data.files, *data.held_out) if path.exists()}
    options = {"curate": config.model_dump(mode="json"), "allow_overlap": data.allow_overlap,
               "files": [str(p) for p in data.files], "held_out": [str(p) for p in data.held_out]}  # fmt: skip
    stage = run.stage("curate", owner="luthier.curate.pipeline", inputs=inputs, options=options, folder=folder)
    if _is_reused(stage):
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
        from luthier.train.training import TrainingData

        if config.method == "dpo":
            return TrainingData(preferences=list(read_records(preferences, Preference)))
        has_dev = config.method == "sft" and dev.is_file()
        return TrainingData(
            examples=list(read_records(train, Example)), dev=list(read_records(dev, Example)) if has_dev else ()
        )

    files = {"preferences": preferences} if config.method == "dpo" else {"train": train, "dev": dev}
    return Material(inputs={name: path for name, path in files.items() if path.is_file()}, read=read)


def tuned(
    run: Run, name: str, config: TrainConfig, *, start: Path, model: ModelConfig, material: Material,
    folder: Path | None = None,
) -> Path:  # fmt: skip
    """The model in `start` trained on the material -> RUN/NAME/model."""
    template = {"chat_template": model.chat_template} if model.chat_template else {}
    stage = run.stage(
        name,
        owner="luthier.train.training",
        inputs={**material.inputs, "base": digest(start), **template, **_grader_files([config.grpo.grader])},
        options={"train": config.model_dump(mode="json"), "dtype": model.dtype},
        folder=folder,
    )
    if _is_reused(stage):
        return stage.folder / "model"
    from luthier.models.load import load_model
    from luthier.train.training import Place, discard_checkpoints, train

    loaded = load_model(start, dtype=model.dtype, chat_template=model.chat_template)
    for notice in loaded.notices:
        run.say(f"{name} | {notice}")
    place = Place(run=run, folder=stage.folder, key=stage.key, kind=name)
    trained = train(loaded, material.read(), config, place=place, grade_all=rewards(config.grpo.grader))
    run.say(
        f"{name} | {trained.num_steps} steps in {trained.seconds:,.0f} s | loss {trained.first_loss:.4f} -> "
        f"{trained.last_loss:.4f} | {trained.model}"
    )
    stage.finish([p for p in (stage.folder / "model").rglob("*") if p.is_file()] + [stage.folder / "trained.json"])
    discard_checkpoints(place)
    return stage.folder / "model"


def rewards(grader: str) -> Callable[..., Any]:
    """The reward function of grpo: the named grader over completions."""
    from luthier.graders import grade_all, grader_by_name

    function = grader_by_name(grader, where="train.grpo.grader")
    return lambda examples, completions: grade_all(function, examples, completions)


def examined(
    run: Run, name: str, suites: Mapping[str, Path], config: EvaluateConfig, *, model: Path, settings: ModelConfig,
    folder: Path | None = None,
) -> dict[str, Path]:  # fmt: skip
    """One model on every suite through its chat template -> RUN/evaluate/NAME/SUITE."""
    out = folder or run.folder / "evaluate" / name
    stage = _evaluation_stage(run, f"evaluate-{name}", suites, config, model, settings, out)
    places = {suite: out / suite for suite in suites}
    if _is_reused(stage):
        return places
    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.logprobs import scorer

    template = settings.chat_template if not (model / "parity.json").is_file() else None
    loaded = load_model(model, dtype=settings.dtype, chat_template=template)
    for suite, path in suites.items():
        _evaluate(
            run, suite, path, config, out=places[suite], model_id=loaded.digest, name=name, prompting="chat",
            generate=generator(loaded, batch_rows=config.batch_rows), score=scorer(loaded),
        )  # fmt: skip
    _measure_forgetting(loaded, config, out)
    stage.finish()
    return places


def base_examined(
    run: Run, suites: Mapping[str, Path], config: EvaluateConfig, *, model: Path, settings: ModelConfig, rows: Path,
    kpi: str,
) -> dict[str, Path]:  # fmt: skip
    """The base on every suite, read as favourably as it can be -> RUN/evaluate/base/SUITE.

    Its readings: the chat template, and a few-shot plain-text prompt in the form that does best on the dev rows; each
    as generated and, where items have options, by its likeliest option. The best for the KPI stands.
    """
    out = run.folder / "evaluate" / "base"
    stage = _evaluation_stage(
        run, "evaluate-base", suites, config, model, settings, out,
        more={"train": rows / "train.jsonl", "dev": rows / "dev.jsonl", "kpi": kpi},
    )  # fmt: skip
    places = {suite: out / suite for suite in suites}
    if _is_reused(stage):
        return places
    from luthier.evaluate.fair_base import fair_base
    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.logprobs import scorer
    from luthier.models.protocols import plain_protocol

    loaded = load_model(model, dtype=settings.dtype, chat_template=settings.chat_template)
    shots = few_shots(list(read_records(rows / "train.jsonl", Example)), config, loaded.max_length)
    form = _best_form(run, loaded, shots, config, list(read_records(rows / "dev.jsonl", Example)))
    plain = plain_protocol(loaded, shots, form=form)
    for suite, path in suites.items():
        readings = [
            _evaluate(
                run, suite, path, config, out=out / "readings" / suite / how, model_id=loaded.digest, name="base",
                prompting=prompting, generate=generator(loaded, protocol=protocol, batch_rows=config.batch_rows),
                score=scorer(loaded, protocol=protocol),
            )
            for how, protocol, prompting in (
                ("chat", None, "chat"), ("plain", plain, f"plain text, {config.shots} shots, form {form}"),
            )
        ]  # fmt: skip
        best = fair_base(readings, kpi=kpi, out=places[suite])
        reading = best.reading(kpi)
        run.say(f"evaluate | base on {suite}: best reading is {reading.name} ({reading.mean or 0:.3f})")
    _measure_forgetting(loaded, config, out)
    stage.finish()
    return places


def stand(model: Path, run_folder: Path) -> Path:
    """Make `model` the one that RUN/model holds; files are linked where the disk allows it, so it costs no room."""
    target, temporary = run_folder / "model", run_folder / "model.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(model, temporary, copy_function=_link)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    return target


def start_of(settings: ModelConfig) -> Path:
    """The folder of the model that a recipe starts from; ModelError before anything has run when there is none."""
    folder = resolve(settings.base)
    base_of(folder)
    return folder


def _is_reused(stage: Stage) -> bool:
    if stage.is_done():
        stage.run.say(f"{stage.name} | reused, nothing it depends on has changed")
        return True
    changed = stage.changed()
    if changed:
        stage.run.say(f"{stage.name} | done again, since this changed: {', '.join(changed)}")
    return False


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _evaluation_stage(
    run: Run, name: str, suites: Mapping[str, Path], config: Config, model: Path, settings: ModelConfig, out: Path,
    more: Mapping[str, Path | str] | None = None,
) -> Stage:  # fmt: skip
    assert isinstance(config, EvaluateConfig)
    template = {"chat_template": settings.chat_template} if settings.chat_template else {}
    texts = {f"plain_text {path}": path for path in config.plain_text}
    return run.stage(
        name,
        owner=("luthier.evaluate.fair_base", "luthier.models.generate", "luthier.models.logprobs", "luthier.graders"),
        inputs={**suites, **template, **texts, **(more or {}), "model": digest(model), **_grader_files(config.graders)},
        options={"evaluate": config.model_dump(mode="json"), "dtype": settings.dtype},
        folder=out,
    )


def _grader_files(graders: Sequence[str]) -> dict[str, Path]:
    """The files of the user's own graders: their bytes decide results too."""
    paths = [Path(name.rpartition(":")[0]) for name in graders if ":" in name]
    return {f"grader {path}": path for path in paths if path.is_file()}


def _evaluate(
    run: Run, suite: str, path: Path, config: EvaluateConfig, *, out: Path, model_id: str, name: str, prompting: str,
    generate: Any, score: Any,
) -> Any:  # fmt: skip
    from luthier.evaluate.evaluation import Subject, evaluate
    from luthier.evaluate.suite import Suite
    from luthier.graders import named_graders

    graders: dict[str, Grader] = named_graders(config.graders, where="evaluate.graders")
    subject = Subject(model_id=model_id, model_name=name, generate=generate, score=score, prompting=prompting)
    examples = _sampled(list(read_records(path, Example)), config)
    return evaluate(
        Suite.of(suite, examples), subject, graders=graders, sampling=config.sampling(), out=out, say=run.say
    )


def _sampled(examples: list[Example], config: EvaluateConfig) -> list[Example]:
    """At most `max_items`, the same ones for every model: those whose ids come first."""
    if config.max_items is None or len(examples) <= config.max_items:
        return examples
    return sorted(examples, key=lambda example: example.id)[: config.max_items]


def few_shots(train: Sequence[Example], config: EvaluateConfig, max_length: int) -> Callable[[Example], list[Example]]:
    """Solved examples for a question: of its own task where the training rows have it, else of any; short ones."""
    usable = [e for e in train if e.target and len(e.prompt) == 1]
    short = sorted(usable, key=lambda e: len(e.prompt[0].content) + len(e.target or ""))
    short = short[: max(len(short) * 3 // 4, config.shots)]
    # The prompt, its shots and the answer share the positions; about three characters make a token.
    room = 3 * (max_length - config.max_new_tokens) // (config.shots + 1)
    short = [e for e in short if len(e.prompt[0].content) + len(e.target or "") <= room]
    random.Random(config.seed).shuffle(short)
    by_task: dict[str | None, list[Example]] = defaultdict(list)
    for example in short:
        by_task[example.task].append(example)

    def choose(example: Example) -> list[Example]:
        known = by_task.get(example.task, []) if example.task else []
        pool = known if len(known) >= config.shots else short
        return [e for e in pool if e.id != example.id][: config.shots]

    return choose


def _best_form(run: Run, model: Any, shots: Any, config: EvaluateConfig, dev: Sequence[Example]) -> str:
    """The plain-text form whose answers score best on the dev rows."""
    from luthier.graders import auto, grade_all
    from luthier.models.generate import generator
    from luthier.models.protocols import PLAIN_FORMS, plain_protocol

    items = sorted((e for e in dev if e.targets), key=lambda e: e.id)[:MOST_FORM_ITEMS]
    if not items:
        return next(iter(PLAIN_FORMS))
    means = {}
    for form in PLAIN_FORMS:
        generate = generator(model, protocol=plain_protocol(model, shots, form=form), batch_rows=config.batch_rows)
        completions = generate(items, Sampling(max_new_tokens=config.max_new_tokens, seed=config.seed))
        values = [g.value for g in grade_all(auto, items, completions) if g.value is not None]
        means[form] = sum(values) / len(values) if values else 0.0
    best = max(means, key=lambda form: means[form])
    run.say("evaluate | plain-text forms on dev: " + " | ".join(f"{form} {mean:.3f}" for form, mean in means.items()))
    return best


def _measure_forgetting(model: Any, config: EvaluateConfig, out: Path) -> None:
    """Nats per byte of each plain document, so that base and tuned model can be compared document by document."""
    if not config.plain_text:
        return
    from luthier.models.logprobs import sum_logprobs
    from luthier.models.render import Rendered
    from luthier.runs import write_json
    from luthier.train.documents import read_documents

    documents = read_documents(config.plain_text)
    rows = []
    for text in documents:
        ids = [*model.bos_ids, *model.renderer.encode(text)][: model.max_length]
        rows.append(Rendered(tuple(ids), (1.0,) * len(ids)))
    sums = sum_logprobs(model.network, rows, batch_rows=config.batch_rows)
    tokens = [max(len(row.token_ids) - 1, 1) for row in rows]
    write_json(out / "plain_text.json", {"nats": [-s for s in sums], "tokens": tokens})


def kept_version(model: Path, versions: Path) -> Path:
    """A copy of `model` under its digest in `versions`, which later runs never overwrite."""
    target = versions / digest(model)
    if not target.is_dir():
        temporary = target.with_suffix(".partial")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(model, temporary, copy_function=_link)
        os.replace(temporary, target)
    return target
