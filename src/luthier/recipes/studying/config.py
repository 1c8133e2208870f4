"""Keys of a study. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from luthier.config import Config, known_as
from luthier.tasks.config import TasksConfig
from luthier.train.config import ModelConfig, RunConfig, TrainConfig

ArmKind = Literal[
    "clusters", "tasks", "templates", "wording", "inversion", "cap", "size", "specialist", "transfer", "contrast"
]


class TransferConfig(Config):
    """Held-out tasks learned from few examples, once from the base and once from the model tuned on all clusters.

    Trained as `train` says but for the steps, the batch, the adapter and the learning rate, which stand here.
    """

    tasks: int = Field(2, ge=1)
    """Held-out tasks that are learned, one after the other from each held-out cluster."""
    examples: tuple[int, ...] = Field((8, 32, 128, 512), min_length=1)
    """Training rows of the task; a larger set holds the smaller ones. A number that the task does not have is left
    out."""
    methods: tuple[Literal["full", "lora"], ...] = Field(("full", "lora"), min_length=1)
    """Every weight, or a low-rank adapter of the usual size (the defaults of `train.lora`)."""
    epochs: int = Field(3, ge=1)
    """Times that each example is seen: the steps follow, so that few examples are not learned by heart."""
    batch_rows: int = Field(8, ge=1)
    """Rows of each step."""
    lr: float = Field(3e-4, gt=0)
    """Highest learning rate of "full"."""
    lora_lr: float = Field(3e-3, gt=0)
    """Highest learning rate of "lora"."""


READ_BY = {"tasks": "tasks", "templates": "templates", "wordings": "wording", "bases": "size",
           "specialists": "specialist", "transfer": "transfer"}  # fmt: skip
"""Keys of one kind of arm, and that kind."""
LISTS = ("seeds", "arms", "clusters", "held_out", "bases", "tasks", "templates", "wordings")
"""Keys whose values name arms, so that each may stand once."""


# Above its class: the recipe below makes one with nothing but defaults.
def _unread(config: StudyConfig) -> Iterator[str]:
    """What is said against keys of arms that are not run."""
    for key, kind in READ_BY.items():
        if getattr(config, key) != StudyConfig.model_fields[key].default and kind not in config.arms:
            yield f'{key} is not read without "{kind}" in arms; add it there, or leave the key out'
    if "size" in config.arms and not config.bases:
        yield 'arms names "size", and no bases are given; set bases'
    lists = {key: getattr(config, key) for key in LISTS}
    lists |= {f"transfer.{key}": getattr(config.transfer, key) for key in ("examples", "methods")}
    for key, values in lists.items():
        if key != "seeds" and (low := [value for value in values if isinstance(value, int) and value < 1]):
            yield f"{key} holds {low[0]}, where a number is at least 1; remove it"
        twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
        if twice:
            yield f"{key} names something twice, {json.dumps(twice[0])}, where each may stand once; remove one"


class StudyConfig(Config):
    """Which arms are run, and what each is asked."""

    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=1)
    """One block of arms for each seed and each choice of held-out clusters. The seed decides the rows, the items, and
    the order of training; seed and choice the order of clusters."""
    held_out: tuple[tuple[str, ...], ...] = ()
    """Choices of clusters that are held out together; without it, those of the collection."""
    arms: tuple[ArmKind, ...] = ("clusters",)
    """What is varied. "clusters": how many are trained. Beside the arm of all clusters, and on the first choices of
    held-out clusters only (`extra_choices`): "tasks" (fewer tasks), "templates" (fewer plain ones a task), "wording"
    (the task's name or nothing in place of the instruction), "inversion" (without it), "cap" (without the mixture's
    cap), "size" (other bases), "specialist" (one task only), "transfer". "contrast": the practice world's sets of the
    same topic with different intents are asked too. An arm that would differ in nothing is left out, and a line says
    so."""
    clusters: tuple[int | Literal["all"], ...] = Field((1, 2, 4, "all"), min_length=1)
    """Numbers of trained clusters. An arm takes the first ones of an order that each block draws anew."""
    tasks: tuple[int, ...] = Field((18, 36), min_length=1)
    """Numbers of trained tasks, taken from all clusters in turn (arm "tasks"): on the practice world about one and two
    of each cluster. A number below that of the clusters leaves clusters out, so such an arm differs in two things."""
    templates: tuple[int, ...] = Field((1, 3), min_length=1)
    """Numbers of plain templates a task (arm "templates"). Inverted ones all stay, in the share that they have beside
    every plain one; only "inversion" is without them."""
    wordings: tuple[Literal["none", "name", "definition"], ...] = Field(("none", "name"), min_length=1)
    """What training prompts say in place of a template (arm "wording"). Templates that are turned around keep their
    words, which alone say that they are, so these arms train the same rows as that of all clusters."""
    bases: tuple[str, ...] = ()
    """Further bases to tune on all clusters (arm "size")."""
    specialists: int = Field(3, ge=1)
    """Tasks that are each trained alone (arm "specialist")."""
    transfer: TransferConfig = TransferConfig()
    extra_choices: int | None = Field(1, ge=1)
    """Choices of held-out clusters, the first ones, for which the arms beside "clusters" are run; "none": for all."""
    items_per_task: int = Field(12, ge=1)
    """Test rows of each unseen task that every arm of a block is asked about."""
    trained_items_per_task: int = Field(4, ge=1)
    """Test rows of each trained task, in its unseen templates. There are many such tasks."""
    templates_per_item: int = Field(5, ge=1)
    """Templates in which each of these rows is asked."""
    rows_per_task: int = Field(2000, ge=1)
    """Most distinct training rows of a task; they come again, in other templates, where an arm needs more."""
    parallel: int = Field(1, ge=1)
    """Arms in work at a time, each in a process of its own; the cores are shared out. Never changes the plan."""
    max_arms: int | None = Field(None, ge=1)
    """Arms that one call does at most; the next call goes on. Without it, all."""
    keep_models: bool = False
    """Keep the tuned model of each arm in RUN/models."""

    @model_validator(mode="after")
    def _is_read(self) -> StudyConfig:
        if faults := list(_unread(self)):
            raise ValueError("\n".join(faults))
        return self


class StudyEvaluateConfig(Config):
    """How the models of a study are asked."""

    max_new_tokens: int = Field(24, ge=1, json_schema_extra=known_as("max_tokens"))
    """Tokens after which an answer is cut."""
    batch_rows: int = Field(64, ge=1, json_schema_extra=known_as("batch_size"))
    """Prompts answered side by side; changes speed and memory only."""
    shots: int = Field(4, ge=1, json_schema_extra=known_as("num_fewshot", "few_shot"))
    """Solved examples in the few-shot prompts of the base. They are training rows, and never of a held-out task but in
    the reading of the same task, which shows fewer, or none, where the task has no more that leave room."""
    plain_text: tuple[Path, ...] = ()
    """Plain text on which forgetting is measured. The practice world brings its own where none is named."""


class StudyRecipe(Config):
    """Keys of a study recipe."""

    recipe: Literal["study"] = "study"
    """The script that reads this file."""
    model: ModelConfig
    tasks: TasksConfig = TasksConfig()
    train: TrainConfig
    """How every arm is trained: the same steps and the same tokens. `max_steps` and `batch_tokens` are needed."""
    evaluate: StudyEvaluateConfig = StudyEvaluateConfig()
    study: StudyConfig = StudyConfig()
    run: RunConfig

    @model_validator(mode="after")
    def _is_equal(self) -> StudyRecipe:
        if faults := list(_unequal(self)):
            raise ValueError("\n".join(faults))
        return self


def _unequal(recipe: StudyRecipe) -> Iterator[str]:
    """What is said against a training that would differ between arms, or reads what a study does not have."""
    train = recipe.train
    if train.method != "sft":
        yield f'train.method is "{train.method}", and arms are tuned on examples; set method = "sft"'
    for key in ("max_steps", "batch_tokens"):
        if getattr(train, key) is None:
            yield f"train.{key} is needed, so that all arms train on equally many tokens; set it"
    mixture = recipe.tasks.mixture
    if "cap" in recipe.study.arms and (mixture.cap is None or mixture.cap >= recipe.study.rows_per_task):
        yield "tasks.mixture.cap is not below study.rows_per_task, so an arm without it would be the same; lower it"
    if "transfer" in recipe.study.arms and train.adapter != "none":
        yield 'train.adapter goes with no "transfer", which starts from whole models; set adapter = "none"'
    unread = {
        "epochs": "arms end by max_steps", "seed": "study.seeds decides", "processes": "an arm is one process",
        "mixture": "tasks.mixture decides", "mixture_by": "tasks.mixture decides",
        "keep_best": "arms have no dev rows", "eval_every": "arms have no dev rows", "save_every": "arms are short",
    }  # fmt: skip
    for key, why in unread.items():
        if getattr(train, key) != TrainConfig.model_fields[key].default:
            yield f"train.{key} is not read by a study, where {why}; leave it out"
