"""One model on a suite: asked, drawn and graded as the suite says.

    luthier evaluate --model RUN --suite support --out evaluation
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.curate.rows import read_examples
from luthier.errors import ConfigError, Problem
from luthier.evaluate.config import EvaluateConfig
from luthier.evaluate.suite import Suite
from luthier.evaluate.suite_file import NamedSuite, SuiteFile, is_suite, read_suite, suite_file
from luthier.recipes.judging import JOURNAL, graders_of
from luthier.records import Example, content_id, read_records, write_records
from luthier.records.jsonl import from_json, to_json
from luthier.runs import library_versions, read_json, source_digest, write_json

if TYPE_CHECKING:
    from luthier.evaluate.evaluation import Evaluation, Subject
    from luthier.models.load import Model

OWN_KEYS = ("graders", "batch_rows", "judge")
"""Keys of [evaluate] that a suite leaves to the caller; graders are added to its own."""


def opened_suite(path: Path, *, quarantine: Path, say: Callable[[str], None]) -> NamedSuite:
    """The suite at `path`; rows that cannot be used go to the folder `quarantine`."""

    def read(files: Sequence[Path]) -> Sequence[Example]:
        target = quarantine / f"{files[0].stem}.quarantine.jsonl"
        found = read_examples(list(files), quarantine=target)
        if found.problems:
            say(f"suite | {len(found.problems):,} rows cannot be used; see {target}")
        return found.examples

    return read_suite(path, read)


def suite_name(path: Path) -> str:
    """The name of a suite, or of a file of items, by which guardrails and reports call it."""
    return suite_file(path)[1].name if is_suite(path) else path.stem


def suite_files(path: Path) -> tuple[Path, ...]:
    """The files of rows that `path` stands for."""
    if not is_suite(path):
        return (path,)
    found = suite_file(path)[1]
    return (*found.items, *filter(None, [found.prompting.shot_items]))


def settle(suite: NamedSuite, target: Path) -> None:
    """Write the suite as a run keeps it: its items as records in `target`, all else beside them."""
    write_records(target, suite.suite.examples)
    kept = {"file": suite.file.model_dump(mode="json"), "shots": [to_json(shot) for shot in suite.shots],
            "digest": suite.suite.digest}  # fmt: skip
    write_json(_beside(target), kept)


def unsettle(target: Path) -> None:
    """Forget that the items in `target` were a suite's."""
    _beside(target).unlink(missing_ok=True)


def settled(target: Path) -> NamedSuite | None:
    """The suite whose items are in `target`; None where they are only items."""
    if not _beside(target).is_file():
        return None
    kept = read_json(_beside(target))
    file = SuiteFile.model_validate_json(json.dumps(kept["file"]))
    suite = replace(Suite.of(file.name, read_records(target, Example)), digest=kept["digest"])
    return NamedSuite(path=target, file=file, suite=suite, shots=tuple(from_json(Example, s) for s in kept["shots"]))


def parts_of_key(name: str, target: Path) -> dict[str, str]:
    """What a stage's key holds of a suite beside its items; a change of its graders alone keeps the answers."""
    suite = settled(target)
    if suite is None:
        return {}
    phrasings = [phrasing.model_dump() for phrasing in suite.file.phrasings]
    asked = content_id(suite.file.sampling.model_dump(), suite.prompting, phrasings)
    return {f"suite {name} asks": asked, f"grader suite {name}": content_id(list(suite.file.graders))}


def _beside(target: Path) -> Path:
    return target.with_suffix(".suite.json")


def refuse_keys_of_the_suite(config: EvaluateConfig, suite: Path) -> None:
    """ConfigError for keys that the suite decides: an evaluation under its name asks what it says."""
    if config.bias is not None:
        raise ConfigError(
            "a suite is not swapped",
            [Problem(where="command line: evaluate.bias", found="a value beside --suite", expected="--data FILE",
                     fix="name the suite's file of items with --data")],
        )  # fmt: skip
    taken = sorted(config.model_fields_set - set(OWN_KEYS))
    if taken:
        raise ConfigError(
            "the suite decides that",
            [Problem(where=f"command line: evaluate.{key}", found="a value beside --suite",
                     expected=f"only evaluate.{', evaluate.'.join(OWN_KEYS)}",
                     fix=f"write it into {suite}, and raise its version") for key in taken],
        )  # fmt: skip


def with_its_graders(config: EvaluateConfig, suite: NamedSuite, more: Sequence[str]) -> EvaluateConfig:
    """The config with the suite's graders, and after them those that were named beside it."""
    return config.model_copy(update={"graders": tuple(dict.fromkeys((*suite.file.graders, *more)))})


def subject_of(model: Model, name: str, suite: NamedSuite, *, batch_rows: int) -> Subject:
    """The model, asked as the suite says."""
    from luthier.evaluate.evaluation import Subject
    from luthier.models.generate import generator
    from luthier.models.logprobs import scorer
    from luthier.models.protocols import chat_protocol, plain_protocol

    asked = suite.file.prompting
    is_chat = asked.protocol == "chat"
    protocol = chat_protocol(model) if is_chat else plain_protocol(model, suite.shots, form=asked.form)
    return Subject(
        model_id=model.digest, model_name=name, prompting=suite.prompting,
        generate=generator(model, protocol=protocol, batch_rows=batch_rows), score=scorer(model, protocol=protocol),
        made_by=content_id(source_digest("luthier.models.generate"), source_digest("luthier.models.logprobs"),
                           library_versions()),
    )  # fmt: skip


def examined_on(
    suite: NamedSuite, subject: Subject, config: EvaluateConfig, *, out: Path, journal: Path,
    say: Callable[[str], None],
) -> Evaluation:  # fmt: skip
    """OUT as the suite asks for it, in all of its phrasings; OUT/suite.json says what was asked.

    The graders are those of `config`, which `with_its_graders` makes.
    """
    from luthier.evaluate.evaluation import evaluate
    from luthier.evaluate.phrasings import folded, phrased, spreads

    graders = graders_of(config, journal=journal, say=say)
    write_json(out / "suite.json", suite.to_json())
    if not suite.file.phrasings:
        shutil.rmtree(out / "phrased", ignore_errors=True)  # of another version of the suite
        (out / "phrasings.json").unlink(missing_ok=True)
        return evaluate(suite.suite, subject, graders=graders, sampling=suite.sampling, out=out, say=say)
    asked = evaluate(phrased(suite.suite, suite.file.phrasings), subject, graders=graders, sampling=suite.sampling,
                     out=out / "phrased", say=say)  # fmt: skip
    for spread in spreads(asked):
        say(f"phrasings | {spread.line()}")
    return folded(asked, suite.suite, out)


def on_suite(
    model: Path, path: Path, config: EvaluateConfig, *, out: Path, say: Callable[[str], None]
) -> Evaluation:
    """The model in a folder on the suite at `path`."""
    from luthier.models.load import load_model

    def tell(line: str) -> None:
        say(f"evaluate | {line}")

    refuse_keys_of_the_suite(config, path)
    suite = opened_suite(path, quarantine=out, say=tell)
    loaded = load_model(model)
    for notice in loaded.notices:
        tell(notice)
    tell(f"suite {suite.file.name}, version {suite.file.version}, digest {suite.suite.digest}")
    subject = subject_of(loaded, model.name, suite, batch_rows=config.batch_rows)
    more = config.graders if "graders" in config.model_fields_set else ()
    config = with_its_graders(config, suite, more)
    return examined_on(suite, subject, config, out=out, journal=out / JOURNAL, say=tell)
