"""The judge that `[evaluate.judge]` names: as a grader of an evaluation, and between two evaluations.

    luthier compare EVAL_A EVAL_B --judge recipe.toml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.asking.config import WriterConfig
from luthier.config import Config, read_toml, validate
from luthier.errors import ConfigError, Problem
from luthier.evaluate.config import EvaluateConfig, JudgeConfig
from luthier.models.folders import digest, resolve
from luthier.recipes.writers import writer_of
from luthier.records import Example, Grader
from luthier.runs import write_json

if TYPE_CHECKING:
    from luthier.evaluate.duels import Duels
    from luthier.evaluate.evaluation import Evaluation
    from luthier.graders.judging.judge import Judge

JUDGE = "judge"
"""The grader's name."""
JOURNAL = "judge.jsonl"
TABLE = "evaluate.judge"
AGREEMENT = "judge.json"


class JudgeTable(Config):
    """What is read of [evaluate]."""

    judge: JudgeConfig


class JudgeRecipe(Config):
    """What `luthier compare --judge` reads of a recipe."""

    evaluate: JudgeTable


def graders_of(config: EvaluateConfig, *, journal: Path, say: Callable[[str], None]) -> dict[str, Grader]:
    """The graders that a recipe names, the judge among them; what the judge says is kept in `journal`."""
    from luthier.graders import named_graders

    made = {JUDGE: judge_of(config.judge, journal=journal, say=say)} if config.judge and JUDGE in config.graders else {}
    return named_graders(config.graders, where="evaluate.graders", made=made)


def judge_of(config: JudgeConfig, *, journal: Path, say: Callable[[str], None]) -> Judge:
    """The judge; ConfigError or ModelError before anything is asked where there is none."""
    from luthier.asking.asker import Asker, Budget, Journal
    from luthier.graders.judging.judge import Judge

    def tell(line: str) -> None:
        say(f"judge | {line}")

    kept = Journal(journal, tell)
    budget = Budget(config.max_requests, config.max_tokens, *kept.spent())
    writer = writer_of(judging(config.writer), seed=0, say=tell, where=f"{TABLE}.writer")
    return Judge(Asker(writer, kept, budget, tell), config.rubric)


def judging(writer: WriterConfig) -> WriterConfig:
    """The writer as it judges: at temperature 0 unless the recipe states another."""
    return writer if "temperature" in writer.model_fields_set else writer.model_copy(update={"temperature": 0.0})


def judge_model(config: EvaluateConfig) -> dict[str, str]:
    """The digest of the model folder that judges, where one does: another model under its name is another judge."""
    if config.judge is None or JUDGE not in config.graders or config.judge.writer.base_url is not None:
        return {}
    return {f"{TABLE}.writer.model": digest(resolve(config.judge.writer.model))}


def check_judge(config: EvaluateConfig) -> None:
    """ConfigError or ModelError, before hours of training, where the judge's key or folder is not there."""
    if config.judge is None or JUDGE not in config.graders:
        return
    if config.judge.writer.base_url is None:
        resolve(config.judge.writer.model)
    else:
        writer_of(config.judge.writer, seed=0, say=print, where=f"{TABLE}.writer")


def note_agreement(
    graders: Mapping[str, Grader], examples: Sequence[Example], *, out: Path, say: Callable[[str], None]
) -> None:
    """OUT/judge.json and a line, where there is a judge and the items carry people's scores."""
    judge = graders.get(JUDGE)
    if judge is None:
        return
    from luthier.graders.judging.judge import Judge
    from luthier.graders.judging.people import score_agreement

    assert isinstance(judge, Judge)
    found = score_agreement(judge, examples)
    (out / AGREEMENT).unlink(missing_ok=True)
    if found is not None:
        write_json(out / AGREEMENT, {"people": found.to_json()})
        say(f"judge | with people's scores: {found}")


def judged(a: Evaluation, b: Evaluation, *, recipe: Path, say: Callable[[str], None]) -> Duels:
    """b against a in the eyes of the judge that a recipe names; its journal is b's folder's."""
    from luthier.evaluate.duels import duels
    from luthier.graders.judging.people import duel_agreement

    config = judge_config(recipe)
    folder = b.folder if b.folder.is_dir() else b.folder.parent  # b may be another program's log
    judge = judge_of(config, journal=folder / JOURNAL, say=say)
    common = [item for item in b.items.values() if item.id in a.items]
    return duels(a, b, judge=Path(config.writer.model).name, decide=judge.duels, people=duel_agreement(judge, common))


def judge_config(recipe: Path) -> JudgeConfig:
    """The table [evaluate.judge] of a TOML file, whatever else it holds; ConfigError where it has none."""
    data, lines = read_toml(recipe)
    table = data.get("evaluate", {})
    table = table.get("judge") if isinstance(table, dict) else None
    if table is None:
        raise ConfigError(
            "there is no judge",
            [Problem(where=str(recipe), found=f"no table [{TABLE}]", expected=f"[{TABLE}.writer] with a model",
                     fix="write it, or name the recipe that has it")],
        )  # fmt: skip
    places = {key: f"{recipe}:{line}" for key, line in lines.items()}
    found = validate(JudgeRecipe, {"evaluate": {"judge": table}}, places=places, default_place=str(recipe))
    return found.evaluate.judge
