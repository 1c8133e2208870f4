"""Rows that nobody wrote down yet: labelled tables in the words of templates, or what a model is asked to write.

    luthier synthesise recipe.toml

What it makes is raw data: name RUN/synthesise/rows.jsonl in `data.files` of a tune recipe, or curate it. Each answer of
a model is kept in RUN/requests.jsonl the moment it comes; the same command goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from luthier.config import Config, read_toml
from luthier.curate.synthesis_config import WRITTEN, SynthesiseConfig, WriterConfig
from luthier.recipes import stages
from luthier.runs import Run, Stage, read_json
from luthier.train.config import RunConfig

MODULES = (
    "luthier.curate.synthesis", "luthier.curate.synthesis_starts", "luthier.curate.synthesis_paraphrase",
    "luthier.curate.templating",
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
    """Make the rows -> RUN/synthesise/rows.jsonl; returns the account of them."""
    config = recipe.synthesise
    run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=None)
    options = recipe.model_dump(mode="json", include={"synthesise", "writer"})
    stage = run.stage("synthesise", owner=MODULES, inputs=_inputs(config), options=options)
    if not stages.is_reused(stage):
        if config.method == "templates":
            _templated(config, run, stage)
        else:
            assert recipe.writer is not None  # the recipe demands it
            _written(config, recipe.writer, run, stage)
        stage.finish()
    run.finish()
    run.say(f"synthesise | done | {stage.folder / 'rows.jsonl'}")
    return read_json(stage.folder / "ledger.json")


def _inputs(config: SynthesiseConfig) -> dict[str, Path]:
    """Every file that decides the rows: those that are named, those of named folders, the rows of task files."""
    named = [path for path in (config.tasks, *config.files) if path is not None]
    paths = [p for path in named for p in ([path] if path.is_file() else sorted(path.rglob("*")))]
    for path in [p for p in paths if p.suffix == ".toml" and p.is_file()]:
        rows = read_toml(path)[0].get("rows")
        paths += [path.parent / rows] if isinstance(rows, str) else []
    return {str(path): path for path in paths if path.is_file()}


def _templated(config: SynthesiseConfig, run: Run, stage: Stage) -> None:
    from luthier.curate.templating import apply_templates

    assert config.tasks is not None  # the config demands it
    apply_templates(
        config.tasks, config.files, out=stage.folder, config=config.templates, seed=config.seed, say=run.say
    )


def _written(config: SynthesiseConfig, writer: WriterConfig, run: Run, stage: Stage) -> None:
    """Ask the writer until the rows are there, or the budget is spent."""
    from luthier.curate.synthesis import Book, synthesise
    from luthier.curate.synthesis_asking import Asker, Budget, Journal
    from luthier.curate.synthesis_methods import METHODS
    from luthier.curate.synthesis_paraphrase import paraphrase, task_files
    from luthier.curate.synthesis_starts import starts_of
    from luthier.recipes.synthesise_writer import writer_of

    book = Book(writer=Path(writer.model).name if writer.base_url is None else writer.model, method=config.method)
    tasks = None
    if config.method == "paraphrase":
        assert config.tasks is not None  # the config demands it
        tasks = task_files(config.tasks)
        rounds = paraphrase(tasks, config, book)
    else:
        starts = starts_of(config.method, config.files)
        run.say("synthesise | starts with: " + " | ".join(f"{why} {n:,}" for why, n in starts.account.items()))
        book.facts["starts"] = starts.account
        rounds = METHODS[config.method](starts.found, config, book)
    journal = Journal(run.folder / JOURNAL)
    requests, tokens = journal.spent()
    budget = Budget(config.max_requests, config.max_tokens, requests, tokens)
    asker = Asker(writer_of(writer, seed=config.seed, say=run.say), journal, budget, run.say)

    def finish() -> None:
        if tasks is not None:
            book.facts["templates"] = tasks.write(stage.folder / "tasks")

    synthesise(rounds, book, asker, out=stage.folder, say=run.say, before_ledger=finish)
