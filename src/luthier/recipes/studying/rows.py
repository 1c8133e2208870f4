"""What the arms of a study read: the items that a block answers, and the rows that an arm is trained on.

One row in five is a test row, by its content alone (`TaskRow.split`): items are made from those, training from the
others. The last templates of each task ask for items only, and whole tasks and clusters are held out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, get_args

from luthier.errors import ConfigError, DataError, Problem
from luthier.recipes.studying.config import StudyConfig, StudyRecipe
from luthier.recipes.studying.plan import Arm, few_rows_of, split_rows, unseen_cluster_tasks, unseen_tasks
from luthier.records import Example
from luthier.tasks import (
    Collection,
    MixtureConfig,
    Task,
    TasksConfig,
    Template,
    Wording,
    certificate,
    read_collection,
    read_super_natural_instructions,
    without_overlap,
)
from luthier.tasks.overlap import Kind
from luthier.tasks.task import ROW_LINK

OVERLAPS: tuple[Kind, ...] = ("exact", "near", "row")
"""What no training row may have in common with an item. The plan keeps the sources of held-out clusters apart."""
OVERLAPS_OF_A_TASK: tuple[Kind, ...] = ("exact", "row")
"""The same within one task, where prompts of one template are near-duplicates by their nature."""

RUNGS = ("phrasings", "tasks", "clusters")
"""New phrasings of trained tasks, new tasks of trained clusters, new clusters: nearest first."""

SAMPLE = 200
"""Training rows whose length is measured, to know how many an arm needs."""
SPARE = 1.05
"""Rows drawn beyond what the sample says is needed: those that are dropped, and the error of the sample."""


class Items(NamedTuple):
    """What one arm is asked, by rung."""

    phrasings: list[Example]
    tasks: list[Example]
    clusters: list[Example]

    @property
    def all(self) -> list[Example]:
        """Every item, the rungs one after another."""
        return [*self.phrasings, *self.tasks, *self.clusters]


class TrainingRows(NamedTuple):
    """What one arm is trained on, and the proof that it holds no item."""

    examples: list[Example]
    inverted: int
    """How many of them are in a template that is turned around."""
    certificate: dict[str, int]
    """Overlap of what is left with the items, by kind; `dropped` rows are those that had some."""


def read_tasks(config: TasksConfig) -> Collection:
    """The collection that a recipe names: the practice world's, task files, or Super-NaturalInstructions."""
    if config.collection == "practice":
        from luthier.demo.collection import practice_collection

        return practice_collection()
    if is_super_natural(config):
        return read_super_natural_instructions(config.collection)
    return read_collection(config.collection)


def is_super_natural(config: TasksConfig) -> bool:
    """Whether the collection is a folder of Super-NaturalInstructions."""
    return config.collection != "practice" and (config.collection / "tasks.json").is_file()


def check_mixture(collection: Collection, arms: Sequence[Arm], mixture: MixtureConfig) -> None:
    """ConfigError where weights do not name just the tasks that arms train, or leave an arm with nothing to train."""
    if mixture.how != "weights":
        return
    where, weights = "tasks.mixture.weights", mixture.weights
    trained = [arm for arm in arms if arm.kind not in ("base", "transfer")]
    wanted = dict.fromkeys(name for arm in trained for name in arm.trained_tasks)
    problems = [Problem(where=f"{where}.{name}", found="no weight", expected="a weight for every task that is trained",
                        fix="add it; 0 leaves the task out") for name in wanted if name not in weights]  # fmt: skip
    # A task that only another choice of tasks would train may keep its weight; a name that nothing has may not.
    known = {task.name for task in collection.tasks}
    problems += [Problem(where=f"{where}.{name}", found="a weight", expected="the name of a task",
                         fix="correct the name, or remove it") for name in weights if name not in known]  # fmt: skip
    problems += [Problem(where=where, found=f"0 for every task of {arm.name}", expected="a task with a weight above 0",
                         fix="raise one, or leave such arms out") for arm in trained
                 if not any(weights.get(name, 1) for name in arm.trained_tasks)]  # fmt: skip
    if problems:
        raise ConfigError("the weights of the mixture do not go with the study", problems)


def items_of(collection: Collection, arm: Arm, study: StudyConfig) -> Items:
    """The items of the arm's block that apply to it: phrasings and tasks are those of clusters that it trains.

    Which rows and templates are asked depends on the seed and the task alone, so arms of a block share their items.
    DataError for a held-out task without a test row.
    """
    trained = [task for task in collection.tasks if task.name in arm.trained_tasks]
    many, most = study.items_per_task, study.templates_per_item
    held_out = unseen_cluster_tasks(collection, arm.held_out)
    if arm.kind == "transfer":
        alone = [task for task in held_out if task.name == arm.task]
        return Items([], [], _asked(alone, arm, _plain, rows=many, templates=most))
    near = [task for task in unseen_tasks(collection, arm.trained_clusters) if not {*task.clusters} & {*arm.held_out}]

    def unseen(task: Task) -> tuple[Template, ...]:
        return task.unseen(collection.unseen_templates)

    return Items(
        _asked(trained, arm, unseen, rows=study.trained_items_per_task, templates=most),
        _asked(near, arm, _plain, rows=many, templates=most),
        _asked(held_out, arm, _plain, rows=many, templates=most),
    )


def training_rows(
    collection: Collection, arm: Arm, recipe: StudyRecipe, items: Items, *, count_tokens: Callable[[Example], int]
) -> TrainingRows:
    """Rows for `max_steps` of `batch_tokens`, drawn by the mixture's rates, without any that overlaps an item.

    `count_tokens` is the length of a training row as the model reads it.
    """
    tasks = [task for task in collection.tasks if task.name in arm.trained_tasks]
    drawn = _drawn(tasks, arm, recipe, unseen_templates=collection.unseen_templates)
    sample = list(itertools.islice(drawn, SAMPLE))
    assert recipe.train.max_steps is not None and recipe.train.batch_tokens is not None  # the recipe demands both
    mean = sum(min(count_tokens(example), recipe.train.max_length) for example in sample) / len(sample)
    number = math.ceil(SPARE * recipe.train.max_steps * recipe.train.batch_tokens / mean)
    return _clean([*sample, *itertools.islice(drawn, max(0, number - SAMPLE))], items, arm, tasks)


def few_rows(collection: Collection, arm: Arm, items: Items) -> TrainingRows:
    """The training rows of a transfer: the first `examples` of an order that depends on the seed and the task alone."""
    task = next(task for task in collection.tasks if task.name == arm.task)
    rng = Random(f"templates of few rows of {task.name} {arm.seed}")
    templates = task.seen(collection.unseen_templates) or task.plain_templates
    assert arm.examples is not None
    rows = few_rows_of(task, seed=arm.seed, number=arm.examples)
    return _clean([task.example(row, rng.choice(templates)) for row in rows], items, arm, [task], OVERLAPS_OF_A_TASK)


def shots_of(collection: Collection, arm: Arm, *, number: int, is_held_out: bool = False) -> list[Example]:
    """Training rows of each task that may be trained in the arm's block: shots and a choice of form for the base.

    With `is_held_out`, of each task that may not: shots of the very task that is asked.
    """
    examples = []
    trainable = collection.trainable(arm.held_out)
    for task in [task for task in collection.tasks if task not in trainable] if is_held_out else trainable:
        rng = Random(f"shots of {task.name} {arm.seed}")
        templates = task.seen(collection.unseen_templates) or task.plain_templates
        rows = itertools.islice(split_rows(task, rng, "train"), number)
        examples += [task.example(row, rng.choice(templates)) for row in rows]
    Random(f"order of shots {arm.seed}").shuffle(examples)
    return examples


def shortages(collection: Collection, items: Items, arm: Arm, study: StudyConfig) -> list[str]:
    """A line for each task of which fewer rows are asked than the recipe says, for want of test rows."""
    trained = [] if arm.kind == "transfer" else [task.name for task in collection.tasks
                                                 if task.name in arm.trained_tasks]  # fmt: skip
    lines = []
    for rung, asked, names in (
        ("phrasings", items.phrasings, trained if collection.unseen_templates else []),
        ("tasks", items.tasks, dict.fromkeys(str(item.task) for item in items.tasks)),
        ("clusters", items.clusters, dict.fromkeys(str(item.task) for item in items.clusters)),
    ):
        key = "trained_items_per_task" if rung == "phrasings" else "items_per_task"
        wanted = getattr(study, key)
        rows: dict[str | None, set[str]] = {}
        for item in asked:
            rows.setdefault(item.task, set()).update(link for link in item.links if link.startswith(ROW_LINK))
        for name in names:
            if (found := len(rows.get(name, ()))) < wanted:
                lines.append(f"{name}: {found} test rows asked where study.{key} is {wanted}; it has no more")
    return lines


def _plain(task: Task) -> tuple[Template, ...]:
    return task.plain_templates


def _asked(
    tasks: Sequence[Task], arm: Arm, templates_of: Callable[[Task], tuple[Template, ...]], *, rows: int, templates: int
) -> list[Example]:
    """Each of the first test rows of each task, in each of the templates that were drawn."""
    items: dict[str, Example] = {}
    empty = []
    for task in tasks:
        rng = Random(f"items of {task.name} {arm.seed}")
        chosen_rows = list(itertools.islice(split_rows(task, rng, "test"), rows))
        if not chosen_rows and (arm.kind == "transfer" or task.name not in arm.trained_tasks):
            empty.append(task)
        known = templates_of(task)
        chosen = sorted(rng.sample(known, min(templates, len(known))), key=lambda one: one.index)
        for row, template in itertools.product(chosen_rows, chosen):
            example = task.example(row, template)
            items.setdefault(example.id, example)
    if empty:
        raise DataError(
            "a held-out task cannot be asked",
            [Problem(where=task.path or task.name, found=f"{task.name} without a test row", expected="at least one",
                     fix="add rows, of which one in five is kept for testing, or remove the task") for task in empty],
        )  # fmt: skip
    return list(items.values())


def _drawn(tasks: Sequence[Task], arm: Arm, recipe: StudyRecipe, *, unseen_templates: int) -> Iterator[Example]:
    """Training rows without end: a task by its rate, its next row, one of its templates."""
    rng = Random(f"rows of {arm.seed}")
    # Rows that earn no greater share are drawn when they are needed, which for most of them is never.
    most = recipe.study.rows_per_task
    pools, upcoming = {}, {}
    for task in tasks:
        rows = itertools.islice(split_rows(task, Random(f"{task.name} {arm.seed}"), "train"), most)
        pools[task.name] = list(itertools.islice(rows, min(most, arm.cap or most)))
        upcoming[task.name] = itertools.cycle(itertools.chain(pools[task.name], rows))
    empty = [task for task in tasks if not pools[task.name]]
    if empty:
        raise DataError(
            "there is nothing to train on",
            [Problem(where=task.path or task.name, found="no training row", expected="at least one",
                     fix="add rows; one in five is kept for testing") for task in empty],
        )  # fmt: skip
    weights_of = recipe.tasks.mixture.weights
    mixture = recipe.tasks.mixture.model_copy(
        update={"cap": arm.cap, "weights": {name: weights_of[name] for name in pools} if weights_of else {}}
    )
    shares = mixture.rates({name: len(pool) for name, pool in pools.items()})
    phrasings = {task.name: _Phrasings.of(task, arm, unseen_templates) for task in tasks}
    weights = list(itertools.accumulate(shares[task.name] for task in tasks))
    wording = next(word for word in get_args(Wording) if word == arm.wording)
    while True:
        task = rng.choices(tasks, cum_weights=weights)[0]
        template = phrasings[task.name].draw(rng)
        # Without its template, a task cannot say that it is turned around.
        worded: Wording = "template" if template.is_inverted else wording
        yield task.example(next(upcoming[task.name]), template, wording=worded)


class _Phrasings(NamedTuple):
    """The templates of a task that an arm trains."""

    plain: Sequence[Template]
    inverted: Sequence[Template]
    inverted_share: float

    @classmethod
    def of(cls, task: Task, arm: Arm, unseen_templates: int) -> _Phrasings:
        """As many plain ones as the arm has, drawn by the seed.

        `Arm.templates` counts plain ones alone: all inverted ones stay, as often as beside all plain ones, so that an
        arm of fewer templates is not one of more inverted rows too.
        """
        plain = task.seen(unseen_templates) or task.plain_templates
        inverted = task.inverted_templates if arm.inverted else ()
        share = len(inverted) / (len(inverted) + len(plain))
        if arm.templates is not None and arm.templates < len(plain):
            plain = tuple(Random(f"templates of {task.name} {arm.seed}").sample(plain, arm.templates))
        return cls(plain, inverted, share)

    def draw(self, rng: Random) -> Template:
        return rng.choice(self.inverted if self.inverted and rng.random() < self.inverted_share else self.plain)


def _clean(
    examples: Sequence[Example], items: Items, arm: Arm, tasks: Sequence[Task], kinds: tuple[Kind, ...] = OVERLAPS
) -> TrainingRows:
    """The rows without those that overlap an item; DataError where none is left."""
    kept, dropped = without_overlap(examples, items.all, kinds=kinds)
    if not kept:
        raise DataError(
            "there is nothing to train on",
            [Problem(where=arm.name, found=f"{len(dropped):,} rows, all of which overlap items that are held out",
                     expected="rows of their own", fix="add rows to the tasks, or templates that differ more")],
        )  # fmt: skip
    proof = certificate(kept, items.all, kinds=kinds)
    sources = certificate(kept, items.clusters, kinds=("source",)).sources if kinds is OVERLAPS else 0
    counts = {"exact": proof.exact, "near": proof.near, "rows": proof.rows, "sources": sources}
    inverted = {f"{task.name}/{template.index}" for task in tasks for template in task.inverted_templates}
    num_inverted = sum(example.template in inverted for example in kept)
    return TrainingRows(kept, num_inverted, {**counts, "dropped": len(dropped)})
