"""Models examined on suites, as steps of a run: the base in its best reading, and each tuned model."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.evaluate.config import EvaluateConfig
from luthier.models.folders import digest
from luthier.recipes.bias import bias_inputs, with_its_bias
from luthier.recipes.judging import JOURNAL, graders_of, judge_model, note_agreement
from luthier.recipes.stages import grader_files, is_reused
from luthier.recipes.suites import examined_on, parts_of_key, settled, subject_of, with_its_graders
from luthier.records import Example, Sampling, content_id, read_records
from luthier.runs import Run, Stage
from luthier.train.config import ModelConfig

if TYPE_CHECKING:
    from luthier.evaluate.evaluation import Evaluation, Subject
    from luthier.models.load import Model

MOST_FORM_ITEMS = 64
"""Dev rows on which a base's plain-text form is chosen."""
CHARACTERS_A_TOKEN = 3
"""A cautious guess, for choosing shots that leave room in the context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What every model of a run is examined on, and how."""

    suites: Mapping[str, Path]
    """Files of Example records by the name of the suite."""
    config: EvaluateConfig
    settings: ModelConfig


def examined(
    run: Run, name: str, examination: Examination, *, model: Path, folder: Path | None = None
) -> dict[str, Path]:
    """One model on every suite through its chat template -> RUN/evaluate/NAME/SUITE; its bias on the first."""
    stage = _stage(run, name, examination, model, folder or run.folder / "evaluate" / name)
    if is_reused(stage, clear=_drop_stale_answers):
        return _places(stage, examination)
    from luthier.evaluate.evaluation import Subject
    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.logprobs import scorer

    # A model that Luthier tuned carries the template that it was tuned with.
    template = None if (model / "parity.json").is_file() else examination.settings.chat_template
    loaded = load_model(model, dtype=examination.settings.dtype, chat_template=template)
    subject = Subject(
        model_id=loaded.digest, model_name=name, score=scorer(loaded),
        generate=generator(loaded, batch_rows=examination.config.batch_rows),
    )  # fmt: skip
    for suite, path in examination.suites.items():
        examples = sampled(list(read_records(path, Example)), examination.config)
        say_cut_prompts(loaded, examples, say=lambda line, suite=suite: run.say(f"{stage.name} | {suite}: {line}"))  # type: ignore[misc]
    found = {}
    for number, suite in enumerate(examination.suites):
        evaluation = _evaluate(stage, suite, examination, subject, loaded, stage.folder / suite)
        found[suite] = with_its_bias(
            evaluation, subject, loaded, None if number else examination.config.bias,
            sampling=examination.config.sampling(), batch_rows=examination.config.batch_rows,
            say=lambda line, suite=suite: run.say(f"{stage.name} | {suite}: {line}"),  # type: ignore[misc]
        )  # fmt: skip
    _measure_forgetting(loaded, examination.config, stage.folder)
    _say_scores(stage, {suite: evaluation.kpis for suite, evaluation in found.items()})
    stage.finish()
    return _places(stage, examination)


def base_examined(run: Run, examination: Examination, *, model: Path, rows: Path, kpi: str) -> dict[str, Path]:
    """The base on every suite, read as favourably as it can be -> RUN/evaluate/base/SUITE.

    Its readings: the chat template, and a few-shot plain-text prompt in the form that does best on the dev rows; each
    as generated and, where items have options, by its likeliest option. The best for the KPI stands.
    """
    stage = _stage(run, "base", examination, model, run.folder / "evaluate" / "base",
                   more={"train": rows / "train.jsonl", "dev": rows / "dev.jsonl", "kpi": kpi})  # fmt: skip
    if is_reused(stage, clear=_drop_stale_answers):
        return _places(stage, examination)
    from luthier.evaluate.evaluation import Subject
    from luthier.evaluate.fair_base import fair_base
    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.logprobs import scorer
    from luthier.models.protocols import plain_protocol

    config = examination.config
    loaded = load_model(model, dtype=examination.settings.dtype, chat_template=examination.settings.chat_template)
    shots = few_shots(list(read_records(rows / "train.jsonl", Example)), config, loaded.max_length)
    form = _best_form(stage, loaded, shots, config, list(read_records(rows / "dev.jsonl", Example)))
    ways = {"chat": None, f"plain text, {config.shots} shots, form {form}": plain_protocol(loaded, shots, form=form)}
    best = {}
    for suite in examination.suites:
        readings = []
        # A suite that says how it asks is asked so, and in no other way.
        asked = ways if settled(examination.suites[suite]) is None else {"chat": None}
        for number, (prompting, protocol) in enumerate(asked.items()):
            subject = Subject(
                model_id=loaded.digest, model_name="base", prompting=prompting,
                score=scorer(loaded, protocol=protocol),
                generate=generator(loaded, protocol=protocol, batch_rows=config.batch_rows),
            )  # fmt: skip
            out = stage.folder / "readings" / suite / ("plain" if number else "chat")
            readings.append(_evaluate(stage, suite, examination, subject, loaded, out))
        best[suite] = fair_base(readings, kpi=kpi, out=stage.folder / suite)
        stage.run.say(f"{stage.name} | {suite}: the best reading is {best[suite].reading(kpi).name}")
    _measure_forgetting(loaded, config, stage.folder)
    _say_scores(stage, {suite: found.evaluation.kpis for suite, found in best.items()}, only=kpi)
    stage.finish()
    return _places(stage, examination)


def few_shots(train: Sequence[Example], config: EvaluateConfig, max_length: int) -> Callable[[Example], list[Example]]:
    """Solved examples for a question: of its own task where the training rows have it, else of any; short ones."""
    usable = [e for e in train if e.target and len(e.prompt) == 1]
    short = sorted(usable, key=lambda e: len(e.prompt[0].content) + len(e.target or ""))
    short = short[: max(len(short) * 3 // 4, config.shots)]
    # The prompt, its shots and the answer share the positions.
    room = CHARACTERS_A_TOKEN * (max_length - config.max_new_tokens) // (config.shots + 1)
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


def _best_form(stage: Stage, model: Any, shots: Any, config: EvaluateConfig, dev: Sequence[Example]) -> str:
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
    scores = " | ".join(f"{form} {mean:.3f}" for form, mean in means.items())
    stage.run.say(f"{stage.name} | plain-text forms on dev: {scores}")
    return best


def _measure_forgetting(model: Any, config: EvaluateConfig, out: Path) -> None:
    """Nats and tokens of each plain document, so that base and tuned model can be compared document by document."""
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


def say_cut_prompts(model: Any, examples: Sequence[Example], *, say: Callable[[str], None]) -> None:
    """Say how many prompts are longer than the model's positions: they lose their beginning, and not silently."""
    cut = sum(
        len(model.renderer.prompt(example.prompt, tools=example.tools)) > model.max_length - 1 for example in examples
    )
    if cut:
        say(f"{cut:,} of {len(examples):,} prompts are longer than {model.max_length} tokens and lose their beginning")


def _stage(
    run: Run, name: str, examination: Examination, model: Path, out: Path, more: Mapping[str, Path | str] | None = None
) -> Stage:
    config, settings = examination.config, examination.settings
    template = {"chat_template": settings.chat_template} if settings.chat_template else {}
    texts = {f"plain_text {path}": path for path in config.plain_text}
    return run.stage(
        f"evaluate-{name}",
        owner=("luthier.evaluate.fair_base", "luthier.models.generate", "luthier.models.logprobs", "luthier.graders",
               "luthier.train.documents", "luthier.evaluate.bias.audit"),
        inputs={**{f"suite {suite}": path for suite, path in examination.suites.items()}, **template, **texts,
                **{key: part for suite, path in examination.suites.items()
                   for key, part in parts_of_key(suite, path).items()},
                **(more or {}), "model": digest(model), "examining": Path(__file__),
                **grader_files(config.graders), **judge_model(config), **bias_inputs(config.bias)},
        options={"evaluate": config.model_dump(mode="json"), "dtype": settings.dtype},
        folder=out,
    )  # fmt: skip


def _places(stage: Stage, examination: Examination) -> dict[str, Path]:
    return {suite: stage.folder / suite for suite in examination.suites}


def _drop_stale_answers(stage: Stage) -> None:
    """Completions on disk outlive a change of graders, and nothing else that an answer depends on."""
    parts = json.loads(json.dumps(stage.parts, default=str))
    parts["inputs"] = {k: v for k, v in parts["inputs"].items() if not k.startswith(("grader ", "evaluate."))}
    for key in ("graders", "judge", "bias"):
        parts["options"]["evaluate"].pop(key)
    parts["source"] = {k: v for k, v in parts["source"].items() if k.startswith("luthier.models.")}
    marker = stage.folder / "answers.key"
    if not marker.is_file() or marker.read_text(encoding="utf-8") != content_id(parts):
        shutil.rmtree(stage.folder, ignore_errors=True)
        stage.folder.mkdir(parents=True)
        marker.write_text(content_id(parts), encoding="utf-8")


def _evaluate(
    stage: Stage, suite: str, examination: Examination, subject: Subject, model: Model, out: Path
) -> Evaluation:
    """The subject on a suite; where that says how it asks, the model behind the subject, asked so."""
    from luthier.evaluate.evaluation import evaluate
    from luthier.evaluate.suite import Suite

    def say(line: str) -> None:
        stage.run.say(f"{stage.name} | {suite}: {line}")

    config = examination.config
    named = settled(examination.suites[suite])
    if named is not None:
        subject = subject_of(model, subject.model_name, named, batch_rows=config.batch_rows)
        config = with_its_graders(config, named, config.graders)
        return examined_on(named, subject, config, out=out, journal=stage.run.folder / JOURNAL, say=say)
    examples = sampled(list(read_records(examination.suites[suite], Example)), config)
    graders = graders_of(config, journal=stage.run.folder / JOURNAL, say=say)
    found = evaluate(
        Suite.of(suite, examples), subject, graders=graders, sampling=config.sampling(), out=out, say=say
    )  # fmt: skip
    note_agreement(graders, examples, out=out, say=say)
    return found


def _say_scores(stage: Stage, kpis: Mapping[str, Mapping[str, Any]], *, only: str | None = None) -> None:
    """The one line that sums the stage up."""
    scores = [f"{suite}: " + ", ".join(f"{name} {kpi.estimate.value:.3f}" for name, kpi in table.items()
                                       if kpi.estimate is not None and only in (None, name))
              for suite, table in kpis.items()]  # fmt: skip
    stage.run.say(f"{stage.name} | {' | '.join(scores)} | {time.monotonic() - stage.started:.0f} s")


def sampled(examples: Sequence[Example], config: EvaluateConfig) -> Sequence[Example]:
    """At most `max_items`, the same ones for every model: those whose ids come first."""
    if config.max_items is None or len(examples) <= config.max_items:
        return examples
    return sorted(examples, key=lambda example: example.id)[: config.max_items]
