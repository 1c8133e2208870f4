"""One training run and nothing else: rows are checked, never cleaned, merged or dropped.

    luthier train recipe.toml train.optim.lr=1e-4
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from luthier.curate.duplicates import Placed
from luthier.curate.rows import read_examples
from luthier.errors import DataError, Problem
from luthier.recipes import launch, stages
from luthier.recipes.model_card import write_model_card
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, Preference, write_records
from luthier.runs import Run

if TYPE_CHECKING:
    from luthier.train.training import TrainingData


def main(
    recipe: TuneRecipe, *, echo: Callable[[str], None], step_echo: Callable[[str], None] | None,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> int:  # fmt: skip
    """Train as the recipe says -> RUN/model and RUN/metrics.jsonl."""
    if launch.is_follower():
        return launch.follow()
    with launch.leading():
        start = stages.start_of(recipe.model)
        stages.refuse_own_model(start, recipe.run.dir)
        run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=step_echo, watch=watch)
        material = _text(recipe) if recipe.train.method == "pretrain" else _rows(recipe, run)
        model = stages.tuned(run, "train", recipe.train, start=start, model=recipe.model, material=material)
        write_model_card(run.folder, model)
        stages.stand(model, run.folder)
        run.finish()
        run.say(f"train | done | {run.folder / 'model'}")
    return 0


def _text(recipe: TuneRecipe) -> stages.Material:
    from luthier.train.documents import read_documents

    def read() -> TrainingData:
        from luthier.train.training import TrainingData

        held_out = read_documents(recipe.data.held_out) if recipe.data.held_out else ()
        return TrainingData(documents=read_documents(recipe.data.files), dev_documents=held_out)

    files = (*recipe.data.files, *recipe.data.held_out)
    return stages.Material(inputs={str(path): path for path in files}, read=read)


def _rows(recipe: TuneRecipe, run: Run) -> stages.Material:
    """The usable rows of the files in RUN/rows; the others in RUN/rows/quarantine.jsonl."""
    folder = run.folder / "rows"
    found = read_examples(
        list(recipe.data.files), quarantine=folder / "quarantine.jsonl", strict=recipe.curate.strict,
        columns=recipe.curate.columns, say=run.say,
    )  # fmt: skip
    if found.problems:
        run.say(f"train | {len(found.problems):,} rows cannot be used; see {folder / 'quarantine.jsonl'}")
    if recipe.data.held_out and not recipe.data.allow_overlap:
        _refuse_overlap(recipe, (*found.examples, *found.preferences))
    write_records(folder / "train.jsonl", found.examples)
    write_records(folder / "preferences.jsonl", found.preferences)
    return stages.curated_material(folder, recipe.train)


def _refuse_overlap(recipe: TuneRecipe, records: Sequence[Example | Preference]) -> None:
    held = {Placed.of("", e).prompt_key: e.source for e in read_examples(list(recipe.data.held_out)).examples}
    placed = [(record.source, Placed.of("", record)) for record in records]
    shared = [(source, held[k]) for source, p in placed for k in (p.prompt_key, *p.earlier_keys) if k in held]
    if shared:
        raise DataError(
            f"{len(shared):,} prompts are both trained on and held out",
            [Problem(where=ours, found=f"the prompt of {theirs}", expected="a prompt that is in data.files only",
                     fix="remove the row from one of them, or set data.allow_overlap = true")
             for ours, theirs in shared],
        )  # fmt: skip


