"""What tuning on tasks does for tasks that were never trained: arms at equal tokens, and what each can do.

On the practice world 54 arms: nine of a base, of 13 to 15 minutes each on one core, and 45 tuned ones, of 4 to 5; on
cores that others use too up to 21 and 7. Further kinds of arms are options. The held-out score should rise with the
number of trained clusters, and the report says whether it does.

    luthier new study && luthier run study.toml
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.errors import DataError, Problem
from luthier.models.folders import base_of
from luthier.recipes import stages
from luthier.recipes.study_report.arms import RUNG_NAMES
from luthier.recipes.studying.arms import Bench, kept_key
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.crew import Crew, Word, write_recipe
from luthier.recipes.studying.measures import check_metrics
from luthier.recipes.studying.plan import Arm, plan
from luthier.recipes.studying.rows import check_mixture
from luthier.runs import Run, sha256, write_json

__all__ = ["StudyRecipe", "main"]

FEWEST_BLOCKS = 3
"""Seeds, and choices of held-out clusters, with fewer of which a study says so."""
MOST_FAILURES = 4
"""Arms that may fail one after another before the study stops: what is wrong is then wrong with all."""
REPORT_SHARE = 0.05
"""The report is written again after an arm where that takes no more than this share of the time."""


def main(recipe: StudyRecipe, *, echo: Callable[[str], None]) -> int:
    """Do the arms that are missing and write the report; exit status 1 where an arm failed."""
    bench = Bench(recipe, recipe.run.dir)
    left_out: list[str] = []
    arms = checked(recipe, bench, say=left_out.append)
    run = stages.opened(recipe.run.dir, recipe, echo=echo, step_echo=None)
    try:
        todo = missing(bench, arms, say=run.say)
        write_json(run.folder / "plan.json", {"arms": [arm.name for arm in arms]})  # the report names what is missing
        _announce(recipe, arms, todo, run)
        for line in left_out:
            run.say(f"study | {line}")
        progress = _Progress(run, bench, total=len(arms), done=len(arms) - len(todo), left=len(todo))
        write_recipe(recipe.run.dir, recipe)
        chosen = todo if recipe.study.max_arms is None else todo[: recipe.study.max_arms]
        progress.left = len(chosen)
        for word in Crew(recipe.run.dir, recipe.study.parallel).do(chosen, is_enough=progress.is_hopeless):
            progress.hear(word)
        write_json(run.folder / "failures.json", progress.failures)
        left = len(todo) - len(chosen)
        if not left and not progress.failures:
            _tidy(bench)
        progress.report(is_last=True)
        if left:
            run.say(f"study | {left:,} arms are left; the same command goes on")
        for name in progress.failures:
            run.say(f"study | {name} failed; the same command tries it again")
    finally:
        shutil.rmtree(run.folder / "scratch", ignore_errors=True)
    run.finish()
    return 1 if progress.failures else 0


def checked(recipe: StudyRecipe, bench: Bench, *, say: Callable[[str], None]) -> tuple[Arm, ...]:
    """The plan; an error before anything has run where a file, a base, a grader or a held-out cluster is wrong.

    `say` is told which arms are left out, and why.
    """
    check_metrics(bench.collection)
    arms = plan(bench.collection, recipe.study, recipe.tasks, base=recipe.model.base, say=say)
    check_mixture(bench.collection, arms, recipe.tasks.mixture)
    for base in dict.fromkeys(arm.base for arm in arms):
        folder = bench.start_of(base)
        base_of(folder)
        stages.refuse_own_model(folder, recipe.run.dir)
    for path in (*recipe.evaluate.plain_text, *recipe.train.text.files, *filter(None, [recipe.model.chat_template])):
        sha256(path)
    twice = [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]
    assert not twice, f"arms share the name {twice[0]}"
    return arms


def missing(bench: Bench, arms: Sequence[Arm], *, say: Callable[[str], None]) -> list[Arm]:
    """The arms without a file of their key. Files of another key, or of no arm of the plan, are set aside.

    RUN/unused keeps them, so that a changed option that is changed back costs nothing.
    """
    by_name = {arm.name: arm for arm in arms}
    wanted = {arm.name: bench.key(arm, by_name) for arm in arms}
    folder, aside = bench.folder / "arms", bench.folder / "unused"
    for path in sorted(folder.glob("*.json")):
        key = _key_of(path)
        if key != wanted.get(path.stem):
            aside.mkdir(exist_ok=True)
            os.replace(path, aside / f"{path.stem}.{key or 'torn'}.json")
            changed = path.stem in wanted
            say(f"arm | {path.stem}: {'done again, since something changed' if changed else 'no longer planned'}")
    for name, key in wanted.items():
        kept = aside / f"{name}.{key}.json"
        if kept.is_file() and not (folder / f"{name}.json").is_file():
            os.replace(kept, folder / f"{name}.json")
    return [arm for arm in arms if not _is_done(bench, arm, wanted[arm.name])]


def _is_done(bench: Bench, arm: Arm, key: str) -> bool:
    """Whether the arm's file is there, and its model of the same key where models are kept."""
    if not (bench.folder / "arms" / f"{arm.name}.json").is_file():
        return False
    keeps = bench.recipe.study.keep_models and arm.kind != "base"
    return not keeps or kept_key(bench.model_folder(arm.name)) == key


def _key_of(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["key"])
    except (ValueError, KeyError, TypeError):
        return ""


def _announce(recipe: StudyRecipe, arms: Sequence[Arm], todo: Sequence[Arm], run: Run) -> None:
    kinds = Counter(arm.kind for arm in arms)
    blocks = len({arm.block for arm in arms})
    run.say(f"study | {len(arms):,} arms in {blocks} blocks: "
            + ", ".join(f"{kind} {count}" for kind, count in kinds.items()))  # fmt: skip
    choices = len({arm.choice for arm in arms})
    for number, what in ((len(recipe.study.seeds), "seeds"), (choices, "choices of held-out clusters")):
        if number < FEWEST_BLOCKS:
            run.say(f"study | {number} {what}: with fewer than {FEWEST_BLOCKS} little can be claimed of others")
    if len(todo) < len(arms):
        run.say(f"study | {len(arms) - len(todo):,} are finished and reused, {len(todo):,} are to do")


@dataclass(slots=True)
class _Progress:
    """One line an arm, with its place in the count and the time left; and the report, as often as it is cheap."""

    run: Run
    bench: Bench
    total: int
    done: int
    left: int
    """Arms that this call has still to do."""
    started: float = field(default_factory=time.monotonic)
    ended: int = 0
    """Arms of this call that have ended."""
    failures: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0
    noted: set[str] = field(default_factory=set)
    """What was said of tasks with few rows; all arms of a block say the same."""
    reported: float = 0.0
    report_s: float = 0.0

    def is_hopeless(self) -> bool:
        """Whether so many arms failed one after another that the others would too."""
        return self.in_a_row >= MOST_FAILURES

    def hear(self, word: Word) -> None:
        """One arm has ended."""
        self.ended += 1
        self.left -= 1
        if word.failure is not None:
            self.in_a_row += 1
            self.failures[word.arm.name] = word.failure
            self.run.say(f"arm | {word.arm.name} failed: {word.failure}")
            return
        self.in_a_row = 0
        self.done += 1
        data = json.loads((self.bench.folder / "arms" / f"{word.arm.name}.json").read_text(encoding="utf-8"))
        seconds = (time.monotonic() - self.started) / self.ended * self.left
        left = f"{seconds // 3600:02.0f}:{seconds % 3600 // 60:02.0f}:{seconds % 60:02.0f}"
        self.run.say(f"arm | {self.done}/{self.total} {word.arm.name} | {_in_words(data)} | left {left}")
        for note in data.get("notes", ()):
            if note not in self.noted:
                self.noted.add(note)
                self.run.say(f"study | {note}")
        self.run.log({"step": self.done, "arm": word.arm.name, **_means(data)}, kind="study")
        self.report()

    def report(self, *, is_last: bool = False) -> None:
        """RUN/study.json and RUN/report.html of what is finished; its closing lines at the end."""
        now = time.monotonic()
        if not is_last and self.report_s > REPORT_SHARE * (now - self.reported):
            return
        from luthier.recipes.study_report.page import write_study

        if not self.done:
            raise DataError(
                "no arm of the study could be finished",
                [Problem(where=name, found=words, expected="a finished arm", fix="mend what it says, and run again")
                 for name, words in self.failures.items()],
            )  # fmt: skip
        lines = write_study(self.run.folder)
        self.reported, self.report_s = time.monotonic(), time.monotonic() - now
        for line in lines if is_last else ():
            self.run.say(line)


def _means(data: Mapping[str, Any]) -> dict[str, float]:
    """The mean grade of each rung as it was generated."""
    found = {}
    for rung, rows in data["items"].items():
        values = [row["generated"] for row in rows if row["generated"] is not None]
        if values:
            found[f"study/{rung}"] = sum(values) / len(values)
    return found


def _in_words(data: Mapping[str, Any]) -> str:
    parts = [f"{RUNG_NAMES[name.removeprefix('study/')]} {value:.3f}" for name, value in _means(data).items()]
    if "train" in data:
        parts.append(f"loss {data['train']['first_loss']:.3f} -> {data['train']['loss']:.3f}")
    dropped = data.get("certificate", {}).get("dropped", 0)
    parts += [f"{dropped:,} rows dropped that overlap items"] if dropped else []
    cut = data.get("cut_prompts", 0)
    parts += [f"{cut:,} prompts cut"] if cut else []
    return " | ".join([*parts, f"{data['seconds']:.0f} s"])


def _tidy(bench: Bench) -> None:
    """Remove the models that transfers started from, unless all are to be kept."""
    if not bench.recipe.study.keep_models:
        shutil.rmtree(bench.folder / "models", ignore_errors=True)
