"""A collection: the tasks of a folder, what excludes what, and what may be trained when some clusters are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydantic

from luthier.config import Config
from luthier.errors import DataError, Problem
from luthier.tasks.files import Maker, Parsed, Places, read_table, read_task
from luthier.tasks.rows import closest
from luthier.tasks.task import Task

SETTINGS_FILE = "collection.toml"
DIGEST_HEX_DIGITS = 16


class CollectionFile(Config):
    """The keys of collection.toml, as docs/tasks.md explains them."""

    exclusions: tuple[tuple[str, str], ...] = ()
    held_out_tasks: tuple[str, ...] = ()
    unseen_templates: int = pydantic.Field(0, ge=0)
    held_out: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Tasks and the rules about which of them may meet."""

    tasks: tuple[Task, ...]
    exclusions: tuple[tuple[str, str], ...] = ()
    """Pairs of clusters that are never on both sides."""
    held_out_tasks: tuple[str, ...] = ()
    """Tasks that are never trained: the unseen tasks of clusters that are."""
    unseen_templates: int = 0
    """The last plain templates of each task that are never trained."""
    held_out: tuple[tuple[str, ...], ...] = ()
    """Choices of clusters to hold out, for a study."""
    folder: Path | None = None
    digest: str = ""
    """Of the files' names and bytes; what a maker does is not in it."""

    @property
    def clusters(self) -> tuple[str, ...]:
        """Every cluster, in the order of the tasks."""
        return tuple(dict.fromkeys(cluster for task in self.tasks for cluster in task.clusters))

    def members(self, clusters: Sequence[str]) -> tuple[Task, ...]:
        """The tasks that belong to any of the clusters. DataError for a cluster that no task has."""
        self._check_known(clusters)
        return tuple(task for task in self.tasks if not set(task.clusters).isdisjoint(clusters))

    def trainable(self, held_out_clusters: Sequence[str]) -> tuple[Task, ...]:
        """The tasks that a model may train on if it is to count these clusters as unseen.

        Left out are the tasks of a cluster that is held out or that excludes one that is, the tasks made from a source
        that a held-out task is made from, and the unseen tasks (FLAN, arXiv:2109.01652; sources: arXiv:2204.07705).
        DataError for a cluster that no task has.
        """
        held_out = self.members(held_out_clusters)
        closed = set(held_out_clusters)
        for first, second in self.exclusions:
            if first in held_out_clusters:
                closed.add(second)
            if second in held_out_clusters:
                closed.add(first)
        sources = {source for task in held_out for source in task.sources}
        return tuple(
            task
            for task in self.tasks
            if closed.isdisjoint(task.clusters)
            and sources.isdisjoint(task.sources)
            and task.name not in self.held_out_tasks
        )

    def _check_known(self, clusters: Sequence[str]) -> None:
        known = self.clusters
        problems = [
            Problem(where=f"{self.folder or 'the collection'}", found=f"no task of the cluster {name!r}",
                    expected=f"one of {', '.join(known)}", fix=closest(name, known) or "correct the name")
            for name in clusters
            if name not in known
        ]  # fmt: skip
        if problems:
            raise DataError("a cluster is not known", problems)


def read_collection(folder: Path, *, makers: Mapping[str, Maker] | None = None) -> Collection:
    """The collection in a folder: its task files at any depth and its collection.toml, if it has one.

    `makers` give the rows of the tasks that say `source = "practice"`, by the task's name. DataError with every
    problem of every file: the file, the line and the key, what stands there, what should, and what to do.
    """
    settings_path = folder / SETTINGS_FILE
    paths = sorted(path for path in folder.rglob("*.toml") if path != settings_path)
    if not paths:
        found = "no file that ends in .toml" if folder.is_dir() else "no such folder"
        raise DataError(
            "a collection of tasks is missing",
            [Problem(where=str(folder), found=found, expected="a folder of task files",
                     fix="check the path, or write a task file as docs/tasks.md shows")],
        )  # fmt: skip
    parsed = [read_task(path, makers=makers or {}) for path in paths]
    problems = [problem for found in parsed for problem in found.problems]
    tasks = tuple(found.task for found in parsed if found.task is not None)
    problems.extend(_repeated_names(parsed))
    settings, places = CollectionFile(), None
    if settings_path.is_file():
        try:
            settings, places = read_table(CollectionFile, settings_path)
        except DataError as error:
            problems.extend(error.problems)
    collection = Collection(
        tasks=tasks, exclusions=settings.exclusions, held_out_tasks=settings.held_out_tasks,
        unseen_templates=settings.unseen_templates, held_out=settings.held_out, folder=folder,
        digest=_digest(folder, paths, settings_path),
    )  # fmt: skip
    # Names are compared once every task could be read; else a broken file would also be missed by name.
    if not problems and places is not None:
        problems.extend(_setting_problems(collection, places))
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise DataError(f"{count} in the tasks of {folder}", problems)
    return collection


def _repeated_names(parsed: Sequence[Parsed]) -> list[Problem]:
    problems = []
    first: dict[str, Task] = {}
    for task, _, places in parsed:
        if task is None or places is None:
            continue
        if task.name in first:
            problems.append(
                Problem(where=places.of("name"), found=f"the name {task.name!r}, which {first[task.name].path} has",
                        expected="a name of its own for each task", fix="give one of them another name")
            )  # fmt: skip
        first.setdefault(task.name, task)
    return problems


def _setting_problems(collection: Collection, places: Places) -> list[Problem]:
    """Names that nothing has, templates that leave none to train, held-out clusters that leave nothing to train."""
    clusters = collection.clusters
    names = [task.name for task in collection.tasks]
    problems = []
    for key, known, what, wanted in (
        ("exclusions", clusters, "cluster", [name for pair in collection.exclusions for name in pair]),
        ("held_out", clusters, "cluster", [name for choice in collection.held_out for name in choice]),
        ("held_out_tasks", names, "task", collection.held_out_tasks),
    ):
        for name in dict.fromkeys(wanted):
            if name not in known:
                problems.append(Problem(where=places.of(key), found=repr(name), expected=f"the name of a {what}",
                                        fix=closest(name, known) or f"one of {', '.join(known)}"))  # fmt: skip
    for task in collection.tasks:
        plain = len(task.plain_templates)
        if plain <= collection.unseen_templates:
            problems.append(
                Problem(where=places.of("unseen_templates"), found=f"{task.name} with {plain} plain templates",
                        expected=f"more than {collection.unseen_templates}, to leave one to train",
                        fix=f"write more templates in {task.path}")
            )  # fmt: skip
    if not problems:
        for choice in collection.held_out:
            if not choice or not collection.trainable(choice):
                found = f"{list(choice)}, which leaves no task to train" if choice else "an empty choice"
                problems.append(Problem(where=places.of("held_out"), found=found, expected="a choice of clusters",
                                        fix="hold out other clusters"))  # fmt: skip
    return problems


def _digest(folder: Path, paths: Sequence[Path], settings_path: Path) -> str:
    rows = sorted(folder.rglob("*.jsonl"))
    digest = hashlib.sha256()
    for path in (*paths, *rows, settings_path):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:DIGEST_HEX_DIGITS]
