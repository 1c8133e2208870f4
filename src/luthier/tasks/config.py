"""What a recipe says of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from luthier.config import Config, known_as
from luthier.tasks.mixture import MixtureConfig
from luthier.tasks.task import Wording


class TasksConfig(Config):
    """[tasks]: the tasks that are trained and measured, and how they are put into words."""

    collection: Literal["practice"] | Path = Field("practice", json_schema_extra=known_as("folder", "dir", "path"))
    """A folder of task files, or "practice" for the collection that ships with Luthier."""
    templates: int | None = Field(None, ge=1, json_schema_extra=known_as("num_templates", "prompts"))
    """Plain templates that train, of each task; without it, all but the unseen ones."""
    wording: Wording = "template"
    """What a prompt says besides the row: a template, nothing (none), the task's name, or its definition."""
    inverted: bool = Field(True, json_schema_extra=known_as("inversion"))
    """Whether templates that give the answer and ask for the input train too."""
    mixture: MixtureConfig = MixtureConfig()
    """The share of each task."""
