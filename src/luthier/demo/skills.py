"""Every skill that the text asks for, and every maker of task rows, cluster by cluster."""

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from luthier.demo.asking import Skill
from luthier.demo.makers import (
    arithmetic,
    category,
    comparison,
    conversation,
    entailment,
    facts,
    form,
    intent,
    lists,
    paraphrase,
    reading,
    sentiment,
    spelling,
    steps,
    style,
    summary,
    translation,
    tutoring,
    words,
    writing,
)
from luthier.tasks.task import TaskRow

_MODULES = (
    words, translation, comparison, facts, category, sentiment, reading, summary, paraphrase, entailment, arithmetic,
    lists, steps, form, spelling, conversation, tutoring, writing, style, intent,
)  # fmt: skip

SKILLS: tuple[Skill, ...] = tuple(skill for module in _MODULES for skill in module.SKILLS)
"""What the plain text asks for; `Skill.cluster` says which cluster of tasks asks for the same in other words."""

CLUSTER_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"reading": 1.6, "translation": 1.6, "lists": 1.4, "facts": 1.4, "arithmetic": 1.3, "steps": 1.2, "spelling": 0.8}
)
"""How often the text asks for a cluster, where it is not as often as for the others: more where there is more to learn,
such as finding a word again in what was given."""

PROSE: tuple[tuple[Callable[[Random], str], int], ...] = tuple(intent.PROSE)
"""Pages that ask nothing, and state what some tasks ask about; each with how often it is used (see `demo.prose`)."""

MAKERS: Mapping[str, Callable[[Random], TaskRow]] = MappingProxyType(
    {name: make for module in _MODULES for name, make in module.MAKERS.items()}
)
"""The maker of each practice task's rows, by the task's name."""
