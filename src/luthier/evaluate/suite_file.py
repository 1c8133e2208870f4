"""A suite as a file: suite.toml beside its items says what is asked, how, and how answers are graded.

    support/suite.toml      name, version, items, graders, [sampling], [prompting], [[phrasings]]
    support/items.jsonl

Paths in it are relative to it, so a suite is a folder that can be copied. It is data: it names graders that are built
in, and no code. Its digest changes with everything that decides what is asked and how it is graded, and with nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from luthier.config import Config, known_as, load_config
from luthier.errors import ConfigError, DataError, Problem
from luthier.evaluate.suite import Suite
from luthier.records import Example, Sampling, content_id

FILE = "suite.toml"
SLOT = "{prompt}"


class SuiteSampling(Config):
    """[sampling]: how answers are drawn."""

    max_new_tokens: int = Field(64, ge=1, json_schema_extra=known_as("max_tokens", "max_gen_toks"))
    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    num_samples: int = Field(1, ge=1, json_schema_extra=known_as("repeats", "epochs"))
    seed: int = 0
    stop: tuple[str, ...] = Field((), json_schema_extra=known_as("until"))


class SuitePrompting(Config):
    """[prompting]: how an item becomes a prompt."""

    protocol: Literal["chat", "plain"] = "chat"
    """Through the model's chat template, or as plain text with solved examples before the question."""
    form: Literal["answer", "q_and_a", "arrow"] = "answer"
    """Of plain text: what stands around question and answer."""
    shots: int = Field(0, ge=0, json_schema_extra=known_as("num_fewshot", "few_shot"))
    """Of plain text: the first so many of `shot_items` stand before each question."""
    shot_items: Path | None = None
    """Solved examples, a file of any recognised shape."""


class SuitePhrasing(Config):
    """[[phrasings]]: one way to put every item."""

    name: str = Field(min_length=1)
    prompt: str
    """The words of the request; `{prompt}` is the item's own last request."""


class SuiteFile(Config):
    """The keys of suite.toml."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """Guardrails and reports call the suite by it."""
    version: str = Field(min_length=1)
    items: tuple[Path, ...] = Field(min_length=1, json_schema_extra=known_as("files", "data"))
    graders: tuple[str, ...] = Field(("auto",), min_length=1, json_schema_extra=known_as("metrics", "kpis"))
    sampling: SuiteSampling = SuiteSampling()
    prompting: SuitePrompting = SuitePrompting()
    phrasings: tuple[SuitePhrasing, ...] = Field((), json_schema_extra=known_as("templates", "prompts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSuite:
    """A suite as it was read."""

    path: Path
    file: SuiteFile
    suite: Suite
    """The items as they stand, before any phrasing, with the digest of everything that is asked."""
    shots: tuple[Example, ...]

    @property
    def sampling(self) -> Sampling:
        """How answers are drawn."""
        return Sampling(**self.file.sampling.model_dump())

    @property
    def prompting(self) -> str:
        """How items are asked, in words that change when prompts do."""
        asked = self.file.prompting
        if asked.protocol == "chat":
            return "chat"
        shots = f" ({content_id([s.id for s in self.shots])})" if self.shots else ""
        return f"plain text, {asked.shots} shots{shots}, form {asked.form}"

    def to_json(self) -> dict[str, Any]:
        """What is written beside an evaluation: the keys of the file, the digest, the numbers of items and shots."""
        return {"file": str(self.path), **self.file.model_dump(mode="json"), "digest": self.suite.digest,
                "num_items": len(self.suite.examples), "num_shots": len(self.shots)}  # fmt: skip


def is_suite(path: Path) -> bool:
    """Whether `path` names a suite and not a file of items."""
    return path.suffix == ".toml" or (path / FILE).is_file()


def suite_file(path: Path) -> tuple[Path, SuiteFile]:
    """The file, and what it says with its paths made usable from here; ConfigError names file, line and key."""
    place = path / FILE if path.is_dir() else path
    found = load_config(SuiteFile, place)
    problems = _problems(place, found)
    if problems:
        raise ConfigError(f"{place} cannot be used", problems)
    prompting = found.prompting
    shot_items = None if prompting.shot_items is None else place.parent / prompting.shot_items
    return place, found.model_copy(update={
        "items": tuple(place.parent / item for item in found.items),
        "prompting": prompting.model_copy(update={"shot_items": shot_items}),
    })  # fmt: skip


def _problems(place: Path, found: SuiteFile) -> list[Problem]:
    """What keys that are right in themselves get wrong together."""
    prompting, names = found.prompting, [phrasing.name for phrasing in found.phrasings]
    problems = [
        _problem(place, "graders", repr(name), "graders that are built in", "name your own with evaluate.graders")
        for name in found.graders if ":" in name
    ]  # fmt: skip
    problems += [
        _problem(place, f"phrasings.{k}.prompt", repr(phrasing.prompt), f"{SLOT} in it, once",
                 "say where the item's request stands")
        for k, phrasing in enumerate(found.phrasings) if phrasing.prompt.count(SLOT) != 1
    ]  # fmt: skip
    problems += [_problem(place, f"phrasings.{k}.name", f"{name!r} again", "a name of its own", "rename one of them")
                 for k, name in enumerate(names) if name in names[:k]]  # fmt: skip
    if prompting.protocol == "chat" and prompting.model_fields_set - {"protocol"}:
        problems.append(_problem(place, "prompting.protocol", '"chat"', '"plain", which reads form and shots',
                                 'write protocol = "plain", or remove the other keys'))  # fmt: skip
    elif (prompting.shots > 0) != (prompting.shot_items is not None):
        given = f"{prompting.shots}, with shot_items {'given' if prompting.shot_items else 'not given'}"
        problems.append(_problem(place, "prompting.shots", given, "both or neither",
                                 "name a file of solved examples, and how many of them stand"))  # fmt: skip
    return problems


def read_suite(path: Path, read: Callable[[Sequence[Path]], Sequence[Example]]) -> NamedSuite:
    """The suite at `path`, a folder or a .toml file; `read` reads files of items."""
    place, found = suite_file(path)
    shots: Sequence[Example] = ()
    if found.prompting.shot_items is not None:
        solved = [e for e in read([found.prompting.shot_items]) if e.target]
        if len(solved) < found.prompting.shots:
            raise DataError(
                f"{place} cannot be used",
                [_problem(place, "prompting.shots", f"{len(solved)} solved examples",
                          f"at least {found.prompting.shots}", "add examples with answers, or lower shots")],
            )  # fmt: skip
        shots = solved[: found.prompting.shots]
    suite = Suite.of(found.name, read(found.items))
    shown = {shot.id for shot in shots}
    given_away = [item for item in suite.examples if item.id in shown]
    if given_away:
        raise DataError(
            f"{place} cannot be used",
            [Problem(where=item.source, found="an item that is a shot too", expected="shots that are not asked",
                     fix="remove it from one of the files") for item in given_away],
        )  # fmt: skip
    asked = {"sampling": asdict(Sampling(**found.sampling.model_dump())), "graders": sorted(found.graders),
             "prompting": [found.prompting.protocol, found.prompting.form, [(s.id, s.target) for s in shots]],
             "phrasings": sorted((p.name, p.prompt) for p in found.phrasings)}  # fmt: skip
    digest = content_id("suite file", suite.digest, asked)
    return NamedSuite(path=place, file=found, suite=replace(suite, digest=digest), shots=tuple(shots))


def _problem(place: Path, key: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(where=f"{place}: {key}", found=found, expected=expected, fix=fix)
