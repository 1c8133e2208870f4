"""Choose a base by measurement: every candidate answers the user's own dev rows on the user's own machine."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import ConfigError, ModelError, Problem
from luthier.evaluate.config import EvaluateConfig
from luthier.models.folders import digest, resolve
from luthier.recipes import examining, stages
from luthier.recipes.examining import few_shots
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, read_records
from luthier.runs import Run, write_json
from luthier.select.config import SelectConfig

if TYPE_CHECKING:
    from luthier.select.measure import OpenedModel


def selected(run: Run, config: SelectConfig, evaluate: EvaluateConfig, *, rows: Path) -> Path:
    """The candidate that the dev rows favour -> RUN/select/selection.json; its table is said line by line."""
    inputs: dict[str, Path | str] = {"dev": rows / "dev.jsonl", "train": rows / "train.jsonl"}
    inputs |= {str(path): _digest_or_error(path) for path in config.candidates}
    inputs |= {**stages.grader_files([config.grader]), "shots": Path(examining.__file__)}
    stage = run.stage(
        "select", owner=("luthier.select.ranking", "luthier.models.generate", "luthier.models.logprobs"),
        inputs=inputs,
        options={"select": config.model_dump(mode="json"), "shots": evaluate.shots, "seed": evaluate.seed,
                 "max_new_tokens": evaluate.max_new_tokens},
    )  # fmt: skip
    if stage.is_done():
        run.say("select | reused, nothing it depends on has changed")
        return Path(stage.record["winner"])
    from luthier.graders import grader_by_name
    from luthier.select.measure import measure
    from luthier.select.ranking import rank_candidates

    examples = list(read_records(rows / "dev.jsonl", Example))[: config.num_examples]
    grader = grader_by_name(config.grader, where="select.grader")
    open_model = _opener(evaluate, list(read_records(rows / "train.jsonl", Example)))
    measured = []
    for path in config.candidates:
        run.say(f"select | measuring {path} on {len(examples)} dev rows")
        measured.append(
            measure(path, open_model=open_model, examples=examples, grader=grader, max_new_tokens=config.max_new_tokens)
        )
    selection = rank_candidates(measured, criterion=config.kpi)
    for line in selection.lines():
        run.say(f"select | {line}")
    if selection.winner is None:
        raise ModelError(
            "no candidate can be used",
            [Problem(where=f"select.candidates: {row.candidate}", found=row.error or "no value",
                     expected="a model that can be measured", fix="see the table above") for row in selection.rows],
        )  # fmt: skip
    write_json(stage.folder / "selection.json", selection.to_json())
    stage.finish(winner=selection.winner.candidate)
    return Path(selection.winner.candidate)


def main(recipe: TuneRecipe, *, say: Callable[[str], None]) -> dict[str, Any]:
    """`luthier select`: curate, measure, rank, try the training of each; returns the table as JSON."""
    if recipe.select is None:
        raise ConfigError(
            "there is nothing to select from",
            [Problem(where="select", found="no such table in the recipe", expected="[select] with candidates",
                     fix='add [select] and candidates = ["DIR", "DIR"]')],
        )  # fmt: skip
    run = Run.open(recipe.run.dir, recipe, echo=say)
    rows = stages.curated(run, recipe.data, recipe.curate)
    chosen = selected(run, recipe.select, recipe.evaluate, rows=rows)
    run.finish()
    table: dict[str, Any] = json.loads((run.folder / "select" / "selection.json").read_text(encoding="utf-8"))
    able = [row["candidate"] for row in table["candidates"] if not row["error"]]
    table["training"] = _trainings(recipe, run, rows, candidates=able) if recipe.train.method != "pretrain" else {}
    say(f"select | {chosen}")
    return table


def _trainings(recipe: TuneRecipe, run: Run, rows: Path, *, candidates: list[str]) -> dict[str, Any]:
    """Whether the training of each candidate fits and how long it takes, measured; kept for the run that follows."""
    from luthier.recipes import fit

    limits = fit.Machine.here(run.folder)
    kept = {}
    found: dict[str, Any] = {}
    for candidate in candidates:
        settings = recipe.model.model_copy(update={"base": candidate})
        key = fit.key_of(recipe.train, settings, stages.curated_material(rows, recipe.train).inputs)
        before = fit.kept(run.folder, key)
        tried = fit.Tried([before]) if before else fit.predict(
            recipe.train, settings, [rows], run_folder=run.folder, limits=limits
        )  # fmt: skip
        for prediction in tried.predictions:
            kept[key], found[candidate] = prediction, prediction.to_json()
            words = prediction.line(limits.memory_gib, limits.disk_free_gib)
            run.say(f"select | training {candidate}: {words}{'' if limits.hold(prediction) else '; it does not fit'}")
        if tried.failure:
            found[candidate] = {"failure": tried.failure}
            run.say(f"select | training {candidate}: {tried.failure}. Fix: {tried.fix}")
    fit.keep(run.folder, kept)
    return found


def _digest_or_error(path: Path) -> str:
    """A candidate that cannot be loaded becomes a row of the table, so it must not stop the key from being made."""
    try:
        return digest(resolve(path))
    except ModelError as error:
        return str(error)


def _opener(evaluate: EvaluateConfig, train: list[Example]) -> Callable[[Path], OpenedModel]:
    """Opens a candidate, asked in few-shot plain text: the one way that serves bases and chat models alike."""
    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.logprobs import scorer
    from luthier.models.protocols import plain_protocol
    from luthier.select.measure import OpenedModel

    def open_model(path: Path) -> OpenedModel:
        model = load_model(path)
        protocol = plain_protocol(model, few_shots(train, evaluate, model.max_length))
        return OpenedModel(
            score=scorer(model, protocol=protocol),
            generate=generator(model, protocol=protocol, batch_rows=evaluate.batch_rows),
            context_length=model.max_length,
            num_parameters=model.num_parameters,
            licence=model.licence,
            digest=model.digest,
            close=_free,
        )

    return open_model


def _free() -> None:
    gc.collect()
