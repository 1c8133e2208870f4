"""What a model of a study says to the items: as generated, by its likeliest option, and how well it still knows text.

The base was never trained on chats, so it is read in four ways: "chat", through the chat template; "plain", the
question alone in plain text; "few_shot", in plain text after solved training rows, none of a held-out task; and
"few_shot_own", after solved training rows of the very task, which no tuned arm has seen: the most that a prompt can do.
Each of the latter three is in the form that does best on training rows asked in its way. The named comparison is with
the better zero-shot reading of each rung, since tuned arms are asked without examples too (arXiv:2109.01652); the
few-shot readings stand beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from luthier.errors import ConfigError, Problem
from luthier.graders import GRADERS, auto, grade_all
from luthier.graders.choice import accepted_options
from luthier.graders.rank import can_be_ranked, rank_grade, rank_options
from luthier.recipes.studying.config import StudyEvaluateConfig
from luthier.recipes.studying.rows import RUNGS, Items
from luthier.records import Completion, Example, Sampling
from luthier.tasks import Collection
from luthier.tasks.task import ROW_LINK

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.models.protocols import Protocol

ZERO_SHOT = ("chat", "plain")
FEW_SHOT = "few_shot"
FEW_SHOT_OWN = "few_shot_own"
"""The readings of a base, by what stands before the question: nothing, solved examples, or such of the same task."""
COPY = "copy"
"""Beside the readings: what saying the prompt again scores."""
FORM_ITEMS = 48
"""Training rows on which the base's plain-text form is chosen, for each reading anew."""
CHARACTERS_A_TOKEN = 3
"""A cautious guess, for choosing shots that leave room in the context."""

Shots = Callable[[Example], Sequence[Example]]
"""The solved examples to show before a question."""
Row = dict[str, Any]
"""One item as an arm's file holds it: task, cluster, template, item, generated, ranked, chance."""


def check_metrics(collection: Collection) -> None:
    """ConfigError where a task names a grader that does not exist, before anything has run."""
    problems = []
    for task in collection.tasks:
        for metric in dict.fromkeys((task.metric, *(t.metric for t in task.templates if t.metric))):
            if metric not in GRADERS:
                problems.append(Problem(where=f"{task.path or task.name}: metric", found=repr(metric),
                                        expected=f"one of {', '.join(GRADERS)}", fix="correct the name"))  # fmt: skip
    if problems:
        raise ConfigError("the study cannot be graded", problems)


def answered(
    model: Model, items: Sequence[Example], config: StudyEvaluateConfig, *, protocol: Protocol | None = None
) -> list[Row]:
    """The items asked in one way: each generated answer's grade and, where there are options, whether it ranks first.

    An answer that its grader cannot tell is null.
    """
    if not items:
        return []
    from luthier.models.logprobs import scorer

    generated = _generated(model, items, config, protocol)
    ranked = [item for item in items if can_be_ranked(item)]
    score = scorer(model, protocol=protocol, batch_rows=config.batch_rows)
    rankings = rank_options(ranked, score, model_id=model.digest) if ranked else []
    likeliest = {item.id: rank_grade(item, ranking).value for item, ranking in zip(ranked, rankings, strict=True)}
    return [_row(item, generated[item.id], likeliest.get(item.id)) for item in items]


def by_rung(items: Items, ask: Callable[[Sequence[Example]], list[Row]]) -> dict[str, list[Row]]:
    """All rungs asked at once, since longer batches are faster, and sorted into rungs again."""
    rows = iter(ask(items.all))
    return {rung: [next(rows) for _ in of_rung] for rung, of_rung in zip(RUNGS, items, strict=True)}


class BaseWays(NamedTuple):
    """The ways to ask a base."""

    protocols: dict[str, Protocol | None]
    """By reading; None is the chat template."""
    forms: dict[str, str]
    """The form of plain text of each reading in plain text."""
    shots: dict[str, Shots]
    """What each few-shot reading shows before a question."""


def base_ways(
    model: Model, config: StudyEvaluateConfig, *, known: Sequence[Example], held_out: Sequence[Example]
) -> BaseWays:
    """The four ways to ask a base, each plain text in the form that does best where nothing is held out.

    `known` are training rows of tasks that are trained: some are shots, and on the last ones the forms are tried.
    `held_out` are training rows of the tasks that are not, for shots of the same task only.
    """
    from luthier.models.protocols import PLAIN_FORMS, plain_protocol

    trial = list(known)[-FORM_ITEMS:]
    room = model.max_length
    # The form is tried as it will be used: for items of held-out clusters, the shots are of other clusters.
    ways: Mapping[str, tuple[Shots, Shots]] = {
        "plain": (_no_shots, _no_shots),
        FEW_SHOT: (shots_for(known, config, room), shots_for(known, config, room, of="others")),
        FEW_SHOT_OWN: (shots_for([*known, *held_out], config, room, of="own"),
                       shots_for(known, config, room, of="own")),
    }  # fmt: skip
    found = BaseWays({"chat": None}, {}, {name: ways[name][0] for name in (FEW_SHOT, FEW_SHOT_OWN)})
    for name, (shots, tried) in ways.items():
        scores = {form: _mean(_generated(model, trial, config, plain_protocol(model, tried, form=form)).values())
                  for form in PLAIN_FORMS}  # fmt: skip
        best = max(scores, key=lambda form: scores[form])
        found.forms[name], found.protocols[name] = best, plain_protocol(model, shots, form=best)
    return found


def base_readings(
    model: Model, items: Items, config: StudyEvaluateConfig, *, protocols: Mapping[str, Protocol | None]
) -> dict[str, Any]:
    """The base's answers asked in each way, the better zero-shot way for each rung, and the answers of that."""
    readings = {name: by_rung(items, lambda asked, protocol=protocol: answered(model, asked, config, protocol=protocol))  # type: ignore[misc]
                for name, protocol in protocols.items()}  # fmt: skip
    best = {rung: max(ZERO_SHOT, key=lambda name: _mean(row["generated"] for row in readings[name][rung]))
            for rung in RUNGS}  # fmt: skip
    return {"readings": readings, "best": best, "items": {rung: readings[best[rung]][rung] for rung in RUNGS}}


def _no_shots(example: Example) -> Sequence[Example]:
    return ()


def shots_for(
    known: Sequence[Example], config: StudyEvaluateConfig, max_length: int, *,
    of: Literal["nearest", "others", "own"] = "nearest",
) -> Shots:  # fmt: skip
    """Solved examples for a question: of its task where `known` has enough, else of its cluster, else of any task.

    `of` "others": of other clusters, if there are any. "own": of its task and of no other, so fewer or none where
    `known` has no more that leave room. Never the question itself. Each question has its own, drawn by its id, so that
    no four rows decide what a base can do.
    """
    room = CHARACTERS_A_TOKEN * (max_length - config.max_new_tokens) // (config.shots + 1)
    usable = [e for e in known if e.target and len(e.prompt) == 1 and len(e.prompt[0].content) + len(e.target) <= room]
    by_task: defaultdict[tuple[str, str | None], list[Example]] = defaultdict(list)
    for example in usable:
        by_task["task", example.task].append(example)
        by_task["cluster", example.cluster].append(example)

    def choose(example: Example) -> Sequence[Example]:
        own = (by_task.get(("task", example.task), []), by_task.get(("cluster", example.cluster), []))
        away = [e for e in usable if e.cluster != example.cluster]
        pools = {"nearest": (*own, usable), "others": (away, usable), "own": own[:1]}[of]
        others = [[e for e in pool if e.id != example.id] for pool in pools]
        pool = next((pool for pool in others if len(pool) >= config.shots), others[-1])
        return Random(f"shots of {example.id}").sample(pool, min(config.shots, len(pool)))

    return choose


def short_shots(items: Items, ways: BaseWays, config: StudyEvaluateConfig) -> dict[str, dict[str, dict[str, int]]]:
    """By few-shot reading and rung: the items, those with fewer shots than asked for, and those of them with none."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for name, choose in ways.shots.items():
        counts = {rung: [len(choose(item)) for item in asked] for rung, asked in zip(RUNGS, items, strict=True)}
        found[name] = {rung: {"items": len(shown), "fewer": sum(n < config.shots for n in shown),
                              "none": shown.count(0)} for rung, shown in counts.items()}  # fmt: skip
    return found


def copied(items: Items) -> dict[str, list[Row]]:
    """The score of saying the prompt again, the baseline of overlap metrics; no model is asked."""

    def ask(asked: Sequence[Example]) -> list[Row]:
        said = [Completion.of(example_id=item.id, model_id="copy", text=item.prompt[-1].content) for item in asked]
        return [_row(item, grade.value, None) for item, grade in zip(asked, grade_all(auto, asked, said), strict=True)]

    return by_rung(items, ask)


def plain_text(model: Model, documents: Sequence[str], config: StudyEvaluateConfig) -> dict[str, list[float]]:
    """Nats and tokens of each document, to compare document by document before and after tuning."""
    from luthier.models.logprobs import sum_logprobs
    from luthier.models.render import Rendered

    rows = []
    for text in documents:
        ids = [*model.bos_ids, *model.renderer.encode(text)][: model.max_length]
        rows.append(Rendered(tuple(ids), (1.0,) * len(ids)))
    sums = sum_logprobs(model.network, rows, batch_rows=config.batch_rows)
    return {"nats": [-s for s in sums], "tokens": [max(len(row.token_ids) - 1, 1) for row in rows]}


def num_cut(model: Model, items: Sequence[Example], *, protocol: Protocol | None = None) -> int:
    """Prompts that are longer than the model's positions and lose their beginning."""
    from luthier.models.protocols import chat_protocol

    prompt = (protocol or chat_protocol(model)).prompt
    return sum(len(prompt(item)) > model.max_length - 1 for item in items)


def _row(item: Example, generated: float | None, ranked: float | None) -> Row:
    chance = len(accepted_options(item)) / len(item.choices) if item.choices else 0.0
    key = next((link.removeprefix(ROW_LINK) for link in item.links if link.startswith(ROW_LINK)), item.id)
    return {"task": item.task, "cluster": item.cluster, "template": item.template, "item": key,
            "generated": generated, "ranked": ranked, "chance": chance}  # fmt: skip


def _generated(
    model: Model, items: Sequence[Example], config: StudyEvaluateConfig, protocol: Protocol | None
) -> dict[str, float | None]:
    """The grade of what the model writes, by the item's id."""
    from luthier.models.generate import generator

    generate = generator(model, protocol=protocol, batch_rows=config.batch_rows)
    completions = generate(items, Sampling(max_new_tokens=config.max_new_tokens)) if items else []
    return {grade.example_id: grade.value for grade in grade_all(auto, items, completions)}


def _mean(grades: Iterable[float | None]) -> float:
    values = [grade for grade in grades if grade is not None]
    return sum(values) / len(values) if values else 0.0
