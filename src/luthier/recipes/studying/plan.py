"""The arms of a study, in the order in which they are done: what matters most comes first, over all blocks.

A block is one seed and one choice of held-out clusters; all its arms answer the same items.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

from luthier.errors import ConfigError, DataError, Problem
from luthier.recipes.studying.config import StudyConfig
from luthier.tasks import Collection, MixtureConfig, Task, TaskRow, TasksConfig

EXTRAS = ("transfer", "tasks", "templates", "wording", "inversion", "cap", "size", "specialist")
"""The arms beside "clusters", in the order in which they are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One model of a study: what it is trained on and, by its block, what it is asked."""

    name: str
    """"clusters-4.s1.h0": kind and size, seed, choice of held-out clusters. Names a file."""
    kind: str
    """"base", "clusters", or one of `EXTRAS`."""
    seed: int
    choice: int
    """Which of the study's choices of held-out clusters."""
    held_out: tuple[str, ...]
    base: str
    """As the recipe names it."""
    trained_clusters: tuple[str, ...] = ()
    """For a base, those that the block's arms may train: it is asked about all of them."""
    trained_tasks: tuple[str, ...] = ()
    templates: int | None = None
    """Most plain templates a task; None: all that are not kept unseen. Inverted ones are not counted."""
    wording: str = "template"
    inverted: bool = True
    cap: int | None = None
    """Rows of a task that count for its rate; None: all."""
    task: str | None = None
    """The one task of a specialist or a transfer."""
    examples: int | None = None
    """Training rows of a transfer."""
    method: str | None = None
    """"full" or "lora", for a transfer."""
    start: str | None = None
    """Where a transfer starts: "base" or "tuned"."""
    needs: str | None = None
    """The arm whose model a transfer starts from."""
    keeps: bool = False
    """Whether another arm starts from this one's model."""
    contrast: bool = False
    """Whether the sets of the same topic with different intents are asked too."""

    @property
    def block(self) -> tuple[int, int]:
        """What the arm shares with those that answer the same items."""
        return self.seed, self.choice

    def to_json(self) -> dict[str, Any]:
        """What the arm's file says of it, keys that do not apply left out."""
        facts = {k: v for k, v in asdict(self).items() if v is not None and k not in ("keeps", "contrast", "needs")}
        if self.kind == "base":
            return {key: facts[key] for key in ("name", "kind", "seed", "choice", "held_out", "base")} | {"clusters": 0}
        return {**facts, "clusters": len(self.trained_clusters), "cap": self.cap}


def _quiet(line: str) -> None:
    """Say nothing."""


def plan(
    collection: Collection, study: StudyConfig, tasks: TasksConfig, *, base: str, say: Callable[[str], None] = _quiet
) -> tuple[Arm, ...]:
    """Every arm in order: base and clusters of all blocks, then the others. The same recipe gives the same plan.

    An arm that would train as that of all clusters does is left out, as is a transfer from more examples than its task
    has; `say` is told why, once for all blocks.
    ConfigError for a number of clusters that no block has, DataError for a task whose name can name no file.
    """
    choices = held_out_choices(collection, study)
    blocks = [_Block.of(collection, tasks, study, base=base, seed=seed, choice=k, held_out=held_out)
              for seed in study.seeds for k, held_out in enumerate(choices)]  # fmt: skip
    _check_counts(study, blocks)
    arms = [arm for block in blocks for arm in block.core()]
    few = [block for block in blocks if study.extra_choices is None or block.choice < study.extra_choices]
    for kind in EXTRAS:
        if kind in study.arms:
            arms += [arm for block in few for arm in block.extras(kind)]
    _check_names(collection, arms)
    for line in dict.fromkeys(line for block in blocks for line in block.left_out):
        say(line)
    needed = {arm.needs for arm in arms}
    return tuple(replace(arm, keeps=arm.name in needed) for arm in arms)


def held_out_choices(collection: Collection, study: StudyConfig) -> tuple[tuple[str, ...], ...]:
    """The recipe's choices of held-out clusters, or the collection's. ConfigError where they leave nothing to do."""
    where = "study.held_out" if study.held_out else "collection.toml: held_out"
    choices = tuple(tuple(choice) for choice in (study.held_out or collection.held_out))
    problems = []
    if not choices:
        problems.append(Problem(where=where, found="no choice of held-out clusters", expected="at least one",
                                fix='set study.held_out = [["CLUSTER", "CLUSTER"], ...]'))  # fmt: skip
    for choice in choices:
        for name in choice:
            if name not in collection.clusters:
                problems.append(Problem(where=where, found=repr(name), expected="one of "
                                        + ", ".join(collection.clusters), fix="correct the name"))  # fmt: skip
        if not problems and not collection.trainable(choice):
            problems.append(Problem(where=where, found=f"{list(choice)}, which excludes every other task",
                                    expected="clusters that leave something to train on",
                                    fix="hold out fewer"))  # fmt: skip
        if not problems and not unseen_cluster_tasks(collection, choice):
            problems.append(Problem(where=where, found=f"{list(choice)}, and no task lies in these clusters alone",
                                    expected="clusters with tasks of their own", fix="choose others"))  # fmt: skip
    if problems:
        raise ConfigError("the study cannot be planned", problems)
    return choices


def _check_counts(study: StudyConfig, blocks: Sequence[_Block]) -> None:
    """The numbers that a recipe gives itself must be there in some block; the default ones need not."""
    most = max(len(block.order) for block in blocks)
    given = study.clusters != StudyConfig.model_fields["clusters"].default and "clusters" in study.arms
    problems = [
        Problem(where="study.clusters", found=f"{count}", expected=f"at most {most}, the clusters that may be trained",
                fix='leave it out; "all" means every cluster')
        for count in study.clusters
        if given and count != "all" and count > most
    ]  # fmt: skip
    if problems:
        raise ConfigError("the study cannot be planned", problems)


def _check_names(collection: Collection, arms: Sequence[Arm]) -> None:
    """Names of tasks are parts of the names of files."""
    named = {arm.task for arm in arms}
    problems = [
        Problem(where=task.path or task.name, found=f"the name {task.name!r}",
                expected="a name without / or \\, since the arms of this task are named after it",
                fix="give the task another name")
        for task in collection.tasks
        if task.name in named and not {"/", "\\", "\0"}.isdisjoint(task.name)
    ]  # fmt: skip
    if problems:
        raise DataError("an arm cannot be named after its task", problems)


def unseen_cluster_tasks(collection: Collection, held_out: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of the third rung: all of their clusters are held out."""
    return tuple(task for task in collection.tasks if set(task.clusters) <= set(held_out))


def unseen_tasks(collection: Collection, trained_clusters: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of the second rung: never trained by anyone, their first cluster is trained."""
    names = set(collection.held_out_tasks)
    return tuple(task for task in collection.tasks if task.name in names and task.cluster in trained_clusters)


def split_rows(task: Task, rng: Random, side: Literal["train", "test"]) -> Iterator[TaskRow]:
    """Distinct rows of one side, in random order."""
    return (row for row in task.draw(rng, set()) if task.row_split(row) == side)


def few_rows_of(task: Task, *, seed: int, number: int) -> list[TaskRow]:
    """The training rows that a transfer learns from, fewer where the task has no more."""
    return list(itertools.islice(split_rows(task, Random(f"few rows of {task.name} {seed}"), "train"), number))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    study: StudyConfig
    collection: Collection
    seed: int
    choice: int
    held_out: tuple[str, ...]
    order: tuple[str, ...]
    """The clusters that may be trained, in an order that is drawn for the block."""
    trainable: tuple[Task, ...]
    plain: Arm
    """An arm of this block without any training yet, with what the recipe says of tasks."""
    mixture: MixtureConfig
    left_out: list[str] = field(default_factory=list)
    """Why arms were left out, as `extras` and `core` find it."""

    @classmethod
    def of(
        cls, collection: Collection, tasks: TasksConfig, study: StudyConfig, *, base: str, seed: int, choice: int,
        held_out: tuple[str, ...],
    ) -> _Block:  # fmt: skip
        trainable = collection.trainable(held_out)
        order = list(dict.fromkeys(task.cluster for task in collection.tasks))
        Random(f"order of clusters {seed} {choice}").shuffle(order)
        first = {task.cluster for task in trainable}
        plain = Arm(
            name="", kind="", seed=seed, choice=choice, held_out=held_out, base=base, templates=tasks.templates,
            wording=tasks.wording, inverted=tasks.inverted, cap=tasks.mixture.cap,
        )  # fmt: skip
        return cls(study=study, collection=collection, seed=seed, choice=choice, held_out=held_out, plain=plain,
                   order=tuple(c for c in order if c in first), trainable=trainable, mixture=tasks.mixture)  # fmt: skip

    def core(self) -> Iterator[Arm]:
        """The base, then the arms of "clusters" from the fewest to all; without that kind, the arm of all alone."""
        yield self._named("base", self._full, kind="base")
        most = len(self.order)
        if "clusters" in self.study.arms:
            counts = [count for count in self.study.clusters if count != "all"]
            for count in sorted(count for count in counts if count < most):
                yield self._of_clusters(count, f"clusters-{count}")
            for count in (count for count in counts if count >= most):
                self._leave_out(
                    f"clusters-{count}", f"with {', '.join(self.held_out)} held out there are {most} clusters"
                )
        yield self._full

    def extras(self, kind: str) -> Iterator[Arm]:
        """The arms of one kind beside "clusters"; each differs from the arm of all clusters in one thing."""
        for arm in self._extras(kind):
            why = None if arm.kind == "transfer" else self._sameness(arm)
            if why is None:
                yield arm
            elif arm.kind != "base":  # one line for a further base and the arm that starts from it
                self._leave_out(arm.name.removesuffix(f".s{self.seed}.h{self.choice}"), why)

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out.append(f"{name} is left out: {why}, so it would be the arm of all clusters")

    def _sameness(self, arm: Arm) -> str | None:
        """Why the arm trains as that of all clusters does; None where it differs."""
        full = self._full
        if (arm.base, set(arm.trained_tasks)) != (full.base, set(full.trained_tasks)):
            return None
        most = max(len(task.seen(self.collection.unseen_templates)) for task in self.trainable)
        if min(arm.templates or most, most) != min(full.templates or most, most) or arm.wording != full.wording:
            return None
        if arm.inverted != full.inverted and any(task.inverted_templates for task in self.trainable):
            return None
        if arm.cap != full.cap and self._cap_matters():
            return None
        return {
            "tasks": f"there are {len(full.trained_tasks)} tasks",
            "specialist": "there is one task",
            "templates": f"no task has more than {min(full.templates or most, most)} templates that are trained",
            "wording": f'tasks.wording is "{full.wording}"',
            "inversion": "no task has a template that is turned around",
            "cap": "the mixture's cap changes no share",
            "base": "",
            "size": f"the base of the study is {full.base} too",
        }[arm.kind]

    def _cap_matters(self) -> bool:
        """Whether the shares differ without the cap: some task has more rows, and not all have equally many."""
        cap, most = self.plain.cap, self.study.rows_per_task
        if self.mixture.how not in ("proportional", "temperature") or cap is None:
            return False
        known: set[int] = set()
        for task in self.trainable:
            known.add(
                sum(1 for _ in itertools.islice(split_rows(task, Random(f"{task.name} {self.seed}"), "train"), most))
            )
            if max(known) > cap and len(known) > 1:
                return True
        return False

    def _extras(self, kind: str) -> Iterator[Arm]:
        full = replace(self._full, kind=kind, contrast=False)
        study = self.study
        if kind == "tasks":
            for count in study.tasks:
                yield self._of_tasks(f"tasks-{count}", kind, self._in_turn(self.trainable, self.order)[:count])
        elif kind == "templates":
            for count in study.templates:
                yield self._named(f"templates-{count}", full, templates=count)
        elif kind == "wording":
            for words in study.wordings:
                yield self._named(f"wording-{words}", full, wording=words)
        elif kind == "inversion":
            yield self._named("inversion-none" if full.inverted else "inversion", full, inverted=not full.inverted)
        elif kind == "cap":
            yield self._named("cap-none", full, cap=None)
        elif kind == "size":
            for number, base in enumerate(study.bases, start=1):
                yield self._named(f"base-{number}-{Path(base).name}", full, kind="base", base=base)
                yield self._named(f"size-{number}-{Path(base).name}", full, base=base)
        elif kind == "specialist":
            for task in self._in_turn(self.trainable, self.order)[: study.specialists]:
                yield replace(self._of_tasks(f"specialist-{task.name}", kind, [task]), task=task.name)
        elif kind == "transfer":
            yield from self._transfers()

    def _transfers(self) -> Iterator[Arm]:
        config = self.study.transfer
        held_out = self._in_turn(unseen_cluster_tasks(self.collection, self.held_out), self.held_out)
        tuned = self._full.name
        chosen = held_out[: config.tasks]
        known = {task.name: len(few_rows_of(task, seed=self.seed, number=max(config.examples))) for task in chosen}
        for task, start, method, count in itertools.product(chosen, ("base", "tuned"), config.methods, config.examples):
            if count > known[task.name]:
                self.left_out.append(
                    f"transfer-{task.name} from {count} examples is left out: the task has {known[task.name]} training "
                    "rows"
                )
                continue
            yield self._named(
                f"transfer-{task.name}-{start}-{method}-{count}", kind="transfer", task=task.name, start=start,
                method=method, examples=count, needs=tuned if start == "tuned" else None,
                trained_clusters=task.clusters, trained_tasks=(task.name,),
            )  # fmt: skip

    @property
    def _full(self) -> Arm:
        """The arm of all clusters: where the arms of "clusters" end, and what the others are compared with."""
        full = self._of_clusters(len(self.order), "clusters-all")
        return replace(full, contrast="contrast" in self.study.arms)

    def _of_clusters(self, count: int, name: str) -> Arm:
        """The arm of the first `count` clusters; a hybrid task needs all of its clusters to be among them."""
        chosen, known = set(self.order[:count]), set(self.order)
        tasks = [task for task in self.trainable if set(task.clusters) & known <= chosen]
        arm = self._of_tasks(name, "clusters", tasks)
        return replace(arm, trained_clusters=self.order[:count])

    def _of_tasks(self, name: str, kind: str, tasks: Sequence[Task]) -> Arm:
        trained = {task.cluster for task in tasks}
        return self._named(
            name, kind=kind, trained_clusters=tuple(c for c in self.order if c in trained),
            trained_tasks=tuple(task.name for task in tasks),
        )  # fmt: skip

    def _named(self, name: str, arm: Arm | None = None, **changes: Any) -> Arm:
        return replace(arm or self.plain, name=f"{name}.s{self.seed}.h{self.choice}", **changes)

    def _in_turn(self, tasks: Sequence[Task], order: Sequence[str]) -> list[Task]:
        """The tasks, one of each cluster in turn; which one of a cluster comes first is drawn."""
        columns = []
        for cluster in order:
            column = [task for task in tasks if task.cluster == cluster]
            Random(f"order of tasks {self.seed} {self.choice} {cluster}").shuffle(column)
            columns.append(column)
        return [task for row in itertools.zip_longest(*columns) for task in row if task is not None]
