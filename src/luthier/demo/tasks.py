"""The practice tasks, and which of them are never trained on.

Three rungs of "new" can be measured with them: an unseen phrasing of a trained task (the last templates of each task),
an unseen task of a trained cluster, and an unseen cluster.
"""

from luthier.demo.families.knowledge import CATEGORY, FACT_TASKS
from luthier.demo.families.language import TRANSLATION, WORDS
from luthier.demo.families.lists import FORMAT, LISTS, REWARDED
from luthier.demo.families.numbers import ARITHMETIC, COMPARISON
from luthier.demo.families.passages import ENTAILMENT, READING, SENTIMENT
from luthier.demo.practice import Item, PracticeTask

__all__ = ["HELD_OUT_CLUSTERS", "HELD_OUT_TASKS", "REWARD_TASKS", "TASKS", "TRAINED_TASKS", "Item", "PracticeTask"]

TASKS: tuple[PracticeTask, ...] = (
    *SENTIMENT, *CATEGORY, *WORDS, *TRANSLATION, *READING, *FACT_TASKS, *ARITHMETIC, *COMPARISON, *LISTS, *FORMAT,
    *ENTAILMENT,
)  # fmt: skip
"""Every practice task, cluster by cluster."""

HELD_OUT_CLUSTERS: tuple[str, ...] = ("words", "comparison")
"""Clusters of which no task is trained. No trained task asks for their skills: neither for a word's opposite, plural,
past form or young, nor for which of two numbers, sizes, ages or prices is more."""

_HELD_OUT_SINGLE_TASKS = ("second", "brackets", "where", "story_sum")

HELD_OUT_TASKS: tuple[str, ...] = tuple(
    task.name for task in TASKS if task.cluster in HELD_OUT_CLUSTERS or task.name in _HELD_OUT_SINGLE_TASKS
)
"""Tasks that are never trained on: those of held-out clusters, and single tasks of clusters that are trained."""

TRAINED_TASKS: tuple[PracticeTask, ...] = tuple(task for task in TASKS if task.name not in HELD_OUT_TASKS)
"""Tasks whose seen templates may be trained on."""

REWARD_TASKS: tuple[PracticeTask, ...] = REWARDED
"""The tasks whose reward a reinforcement round can raise; they are no part of `TASKS`."""
