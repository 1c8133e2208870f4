"""Rows that nobody wrote down yet: labelled tables in the words of templates, or what a model is asked to write.

    luthier synthesise recipe.toml

What it makes is raw data: name RUN/synthesise/rows.jsonl in `data.files` of a tune recipe, or curate it. Each answer of
a model is kept in RUN/requests.jsonl the moment it comes; the same command goes on from there, until no request has
failed and the budget was enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from luthier.asking.config import WriterConfig
from luthier.config import Config, read_toml
from luthier.curate.files.hub import hub_files, hub_problem, is_hub_name
from luthier.curate.synthesis.config import WRITTEN, SynthesiseConfig
from luthier.errors import DataError, Problem
from luthier.models.folders import digest, resolve
from luthier.recipes import stages
from luthier.runs import Run, Stage, read_json
from luthier.train.config import RunConfig

MODULES = (
    "luthier.curate.synthesis.rounds", "luthier.curate.synthesis.starts", "luthier.curate.synthesis.paraphrase",
    "luthier.curate.synthesis.templating",
)  # fmt: skip
JOURNAL = "requests.jsonl"
"""Of the run folder: what was asked outlives a change of the recipe."""


class SynthesiseRecipe(Config):
    """Keys of a synthesise recipe."""

    recipe: Literal["synthesise"] = "synthesise"
    """The script that reads this file."""
    synthesise: SynthesiseConfig
    writer: WriterConfig | None = None
    """Who answers requests: a server that speaks the OpenAI chat API, or a model folder on this machine. All methods
    but "templates" need it."""
    run: RunConfig

    @model_validator(mode="after")
    def _has_its_writer(self) -> SynthesiseRecipe:
        if (self.synthesise.method in WRITTEN) != (self.writer is not None):
            said = "is needed by" if self.writer is None else "is not read by"
            fix = "write the table [writer]" if self.writer is None else "leave it out"
            raise ValueError(f"writer {said} {self.synthesise.method}; {fix}")
        return self


def main(recipe: SynthesiseRecipe, *, echo: Callable[[str], None]) -> dict[str, Any]:
    """Make the rows -> RUN/synthesise/rows.jsonl; returns the account of them. DataError where there are none."""
    config = recipe.synthesise
    run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=None)
    options = recipe.model_dump(mode="json", include={"synthesise", "writer"})
    stage = run.stage("synthesise", owner=MODULES, inputs=_inputs(config) | _model(recipe.writer), options=options)
    ledger: dict[str, Any] = {}
    if not stages.is_reused(stage):
        if config.method == "templates":
            _templated(config, run, stage)
        else:
            assert recipe.writer is not None  # the recipe demands it
            ledger = _written(config, recipe.writer, run, stage)
        if left := _left(ledger):
            run.stages.pop(stage.name, None)  # of a recipe before this one
            run.note_stage()
            run.say(f"synthesise | not all is there: {left} | {stage.folder / 'rows.jsonl'}")
            return ledger
        stage.finish()
    run.finish()
    run.say(f"synthesise | done | {stage.folder / 'rows.jsonl'}")
    return read_json(stage.folder / "ledger.json")


def _left(ledger: Mapping[str, Any]) -> str:
    """Why the same command has more to do; empty where it has not."""
    failed = sum(ledger.get("failed", {}).values())
    what = "1 request" if failed == 1 else f"{failed:,} requests"
    parts = [f"{what} failed; the same command asks again"] if failed else []
    if ledger.get("is_spent"):
        parts.append("the budget is spent; the same command with a larger one goes on")
    return "; ".join(parts)


def _model(writer: WriterConfig | None) -> dict[str, str]:
    """The digest of the model folder that answers, where one does: another model under its name is another writer."""
    return {"writer.model": digest(resolve(writer.model))} if writer is not None and writer.base_url is None else {}


def _inputs(config: SynthesiseConfig) -> dict[str, Path | str]:
    """Every file that decides the rows: those that are named, of named folders and data sets, rows of task files."""
    paths = []
    for path in (path for path in (config.tasks, *config.files) if path is not None):
        is_of_hub = is_hub_name(path) and hub_problem(path) is None
        paths += [path] if path.is_file() else hub_files(path) if is_of_hub else sorted(path.rglob("*"))
    for path in [p for p in paths if p.suffix == ".toml" and p.is_file()]:
        rows = read_toml(path)[0].get("rows")
        paths += [path.parent / rows] if isinstance(rows, str) else []
    return {str(path): path for path in paths if path.is_file()}


def _templated(config: SynthesiseConfig, run: Run, stage: Stage) -> None:
    from luthier.curate.synthesis.templating import apply_templates

    assert config.tasks is not None  # the config demands it
    apply_templates(
        config.tasks, config.files, out=stage.folder, config=config.templates, seed=config.seed, say=run.say
    )


def _written(config: SynthesiseConfig, writer: WriterConfig, run: Run, stage: Stage) -> dict[str, Any]:
    """Ask the writer until the rows are there, or the budget is spent; returns the account."""
    from luthier.asking.asker import Asker, Budget, Journal
    from luthier.curate.synthesis.methods import METHODS
    from luthier.curate.synthesis.paraphrase import paraphrase, task_files
    from luthier.curate.synthesis.rounds import Book, synthesise
    from luthier.curate.synthesis.starts import starts_of
    from luthier.recipes.writers import writer_of

    name = "@".join([Path(writer.model).name, *_model(writer).values()]) if writer.base_url is None else writer.model
    book = Book(writer=name, method=config.method)
    tasks = None
    if config.method == "paraphrase":
        assert config.tasks is not None  # the config demands it
        tasks = task_files(config.tasks)
        rounds = paraphrase(tasks, config, book)
    else:
        quarantine = stage.folder / "quarantine.jsonl"
        starts = starts_of(config.method, config.files, quarantine=quarantine)
        see = f" (see {quarantine})" if quarantine.stat().st_size else ""
        run.say("synthesise | starts with: " + " | ".join(f"{why} {n:,}" for why, n in starts.account.items()) + see)
        book.facts["starts"] = starts.account
        rounds = METHODS[config.method](starts.found, config, book)

    def say(line: str) -> None:
        run.say(f"synthesise | {line}")

    journal = Journal(run.folder / JOURNAL, say)
    requests, tokens = journal.spent()
    budget = Budget(config.max_requests, config.max_tokens, requests, tokens)
    asker = Asker(writer_of(writer, seed=config.seed, say=say), journal, budget, say)

    def finish() -> None:
        if tasks is not None:
            book.facts["templates"] = tasks.write(stage.folder / "tasks")

    ledger = synthesise(rounds, book, asker, out=stage.folder, say=run.say, before_ledger=finish)
    if tasks is None and not book.rows:
        raise DataError(
            "no row was made",
            [Problem(where=str(stage.folder / "rejected.jsonl"),
                     found=f"0 rows of {ledger['requests']:,} requests, most often: {book.commonest()}",
                     expected="at least one row",
                     fix=_left(ledger) or "look at what the writer said; try another one")],
        )  # fmt: skip
    return ledger
